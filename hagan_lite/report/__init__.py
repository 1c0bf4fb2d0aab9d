"""Choose the experiments of a table, draw Tables I-IV, and decide the claims."""
