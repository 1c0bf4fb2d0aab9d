"""Define the `hagan` command, one file for each family of commands."""
