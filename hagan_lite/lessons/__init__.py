"""What notebooks need beside the paper: shipped networks, exercises that check themselves,
explorers.
"""
