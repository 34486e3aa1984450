"""Watching files, and starting a program again when they change.

watching   tells which files have changed
changes    gathers what belongs together (burst) and says what it means (rules)
loops      the reloader under Werkzeug's names, for run_simple
"""

from carboy.dev.reload.loops import run_with_reloader

__all__ = ["run_with_reloader"]
