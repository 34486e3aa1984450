"""`carboy dev`: serve an application for whoever is writing it."""

from carboy.cli.dev.command import make_command

__all__ = ["make_command"]
