"""The names `flask` and `werkzeug` for Carboy, so that applications and extensions run unchanged.

    import carboy.compat

    carboy.compat.install()  # first thing, before anything imports flask

`carboy run --flask APP`, `python -m carboy.compat SCRIPT` and `pytest -p carboy.compat.pytest`
do the same for a server, a script and a test run.
"""

from __future__ import annotations

import importlib
import sys

from carboy.compat.alias import Alias
from carboy.compat.child_processes import prepare
from carboy.compat.finder import AliasFinder, Walk
from carboy.compat.module_map import VERSIONS
from carboy.compat.qualnames import NamingFinder, rename_loaded

__all__ = ["AlreadyImported", "install"]


class AlreadyImported(ImportError):
    """The real flask or werkzeug is in use, so its classes would live beside Carboy's."""


def install(children: bool | None = None) -> None:
    """Let `flask` and `werkzeug` mean Carboy from here on, also where the real ones are installed.

    With `children`, in the processes that this one starts as well; without, they say on standard
    error if they run the real flask. None does what the variable CARBOY_COMPAT says. Doing it
    twice is harmless. Raises AlreadyImported if the real one was imported before.
    """
    for name in sorted(sys.modules):
        if name.partition(".")[0] in VERSIONS and not isinstance(sys.modules[name], Alias):
            raise AlreadyImported(
                f"{name} was imported before carboy.compat.install(). Call install() first thing,"
                " before flask, werkzeug or an extension is imported; or start the program with"
                " `python -m carboy.compat`, `carboy run --flask` or"
                " `pytest -p carboy.compat.pytest`.",
                name=name,
            )
    if not any(isinstance(finder, AliasFinder) for finder in sys.meta_path):
        sys.meta_path[:0] = [AliasFinder(), NamingFinder()]
        sys.path_hooks.insert(0, Walk)
        rename_loaded()
        importlib.invalidate_caches()
    prepare(children)
