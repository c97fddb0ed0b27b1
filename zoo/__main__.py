"""`python -m tonezoo` is the command `tonezoo`."""

from tonezoo.cli import main

main()
