"""Whether code is the user's own, or belongs to Python, to Carboy or to an installed package."""

from __future__ import annotations

import os
import site
import sys
import sysconfig
from functools import lru_cache
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

# Where Python and packages are installed. The prefix is not among them: /usr/src may be a project.
SYSTEM_PATHS = tuple(
    os.path.realpath(path) + os.sep
    for path in {
        *(sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")),
        *site.getsitepackages(),
        site.getusersitepackages(),
        str(Path(__file__).parents[1]),
    }
)
# The packages of applications that are served, which may be installed as well.
_own: set[str] = set()


def claim(app: Any) -> None:
    """Note that the package of an application is the user's, even if it is installed."""
    top = str(getattr(app, "import_name", "")).partition(".")[0]
    module = sys.modules.get(top)
    places = getattr(module, "__path__", None) or filter(None, [getattr(module, "__file__", None)])
    for place in map(os.path.realpath, places):
        if _is_installed(place + os.sep):
            _own.add(place)


def is_library(filename: str, globals: dict[str, Any] | None = None) -> bool:
    """Whether code is not the user's. Code that another module made belongs to that module."""
    if filename.startswith("<frozen "):
        return True
    if filename.startswith("<"):  # made by the code of a module, or typed
        filename = str((globals or {}).get("__file__") or filename)
    real = os.path.realpath(filename)
    if any(real == own or real.startswith(own + os.sep) for own in _own):
        return False
    return _is_installed(real)


def _is_installed(real: str) -> bool:
    if real.startswith(SYSTEM_PATHS):
        return True
    for folder in sys.path:
        if folder and real.startswith(start := folder.rstrip(os.sep) + os.sep):
            return real[len(start) :].partition(os.sep)[0] in _installed_names(folder)
    return False


@lru_cache(maxsize=256)
def _installed_names(folder: str) -> frozenset[str]:
    """Files and folders that pip has installed into a folder of sys.path (`pip install -t`)."""
    found = distributions(path=[folder])
    return frozenset(
        file.parts[0]
        for each in found
        if str(getattr(each, "_path", "")).endswith(".dist-info")
        for file in each.files or ()
    )
