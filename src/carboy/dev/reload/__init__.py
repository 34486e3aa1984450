"""A program that starts again when its files change.

`loops` has Werkzeug's names, for `run_simple(use_reloader=True)`; `supervisor` keeps the socket
open and the imports warm meanwhile, for `carboy dev`.
"""

from carboy.dev.reload.loops import run_with_reloader

__all__ = ["run_with_reloader"]
