"""`python -m hagan_lite.cli` is the `hagan` command, for where scripts are not on the path."""

from hagan_lite.cli.app import main

main()
