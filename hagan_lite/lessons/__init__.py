"""Hold what notebooks need beside the paper.

That is the shipped networks, exercises that check themselves, and explorers.
"""
