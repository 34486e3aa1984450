"""`python -m carboy`."""

from carboy.cli.main import main

main()
