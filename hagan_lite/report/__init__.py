"""Which experiments a table is made of, Tables I-IV, the claims and their verdicts, what goes into
figures/.
"""
