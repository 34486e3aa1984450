"""A program that starts again when its files change: `loops` has Werkzeug's names."""

from carboy.dev.reload.loops import run_with_reloader

__all__ = ["run_with_reloader"]
