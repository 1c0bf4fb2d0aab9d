"""Run the `hagan` command as `python -m hagan_lite.cli`, where scripts are not on the path."""

from hagan_lite.cli.app import main

main()
