"""Watching files, and starting a program again when they change.

watching   reports which files have changed
changes    groups changes that belong together (burst) and says what they mean (rules)
loops      the reloader under Werkzeug's names, for run_simple
"""

from carboy.dev.reload.loops import run_with_reloader

__all__ = ["run_with_reloader"]
