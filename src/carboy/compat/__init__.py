"""Makes the names `flask` and `werkzeug` mean Carboy, so that applications and extensions run.

    import carboy.compat

    carboy.compat.install()  # before anything imports flask

`carboy run --flask APP`, `python -m carboy.compat SCRIPT` and `pytest -p carboy.compat.pytest`
do the same for a server, a script and a test run.
"""

from __future__ import annotations

import importlib
import sys

from carboy.compat.alias import Alias
from carboy.compat.child_processes import prepare
from carboy.compat.finder import AliasFinder, AliasPathHook
from carboy.compat.module_map import VERSIONS
from carboy.compat.qualnames import NamingFinder, rename_loaded

__all__ = ["AlreadyImported", "install", "is_installed"]


class AlreadyImported(ImportError):
    """The real flask or werkzeug is already imported, so there would be two of each class."""


def install(children: bool | None = None) -> None:
    """Make `flask` and `werkzeug` mean Carboy, even if the real packages are installed.

    `children` says whether the processes that this one starts have the names too; if not, they
    warn on standard error when they import the real flask. None leaves that to the variable
    CARBOY_COMPAT. A second call has no effect. Raises AlreadyImported if one of the real
    packages was imported before.
    """
    for name in sorted(sys.modules):
        if name.partition(".")[0] in VERSIONS and not isinstance(sys.modules[name], Alias):
            raise AlreadyImported(
                f"{name} was imported before carboy.compat.install(). Call install() before flask,"
                " werkzeug or an extension is imported, or start the program with"
                " `python -m carboy.compat`, `carboy run --flask` or"
                " `pytest -p carboy.compat.pytest`.",
                name=name,
            )
    if not is_installed():
        sys.meta_path[:0] = [AliasFinder(), NamingFinder()]
        sys.path_hooks.insert(0, AliasPathHook)
        rename_loaded()
        importlib.invalidate_caches()
    prepare(children)


def is_installed() -> bool:
    """Whether `flask` and `werkzeug` mean Carboy."""
    return any(isinstance(finder, AliasFinder) for finder in sys.meta_path)
