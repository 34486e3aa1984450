"""`carboy dev`: serves an application while it is being written."""

from carboy.cli.dev.command import make_command

__all__ = ["make_command"]
