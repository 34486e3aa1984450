"""Finds the installed packages that an application uses, and imports them before it is loaded.

Installed packages hardly ever change while an application is developed; its own files do.
"""

from __future__ import annotations

import importlib
import os
import sys
import threading
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from carboy.late import sysconfig

PLACES = ("stdlib", "platstdlib", "purelib", "platlib")
PACKAGE_FOLDERS = ("site-packages", "dist-packages")
CARBOY = str(Path(__file__).parents[1]) + os.sep  # even when it is not among the packages


def installed_modules() -> list[str]:
    """The names of installed modules that this process has imported, in the order of import."""
    return [name for name, file in _files().items() if _is_installed(file)]


def own_files() -> list[str]:
    """The files of imported modules that are not installed: those that the user edits."""
    return [file for file in _files().values() if not _is_installed(file)]


def _files() -> dict[str, str]:
    found = {}
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if isinstance(file, str) and name != "__main__":
            found[name] = file
    return found


@cache
def _places() -> tuple[str, ...]:
    return tuple(sysconfig.get_path(place) + os.sep for place in PLACES)


def _is_installed(file: str) -> bool:
    if any(f"{os.sep}{folder}{os.sep}" in file for folder in PACKAGE_FOLDERS):
        return True
    return file.startswith((CARBOY, *_places()))


def import_all(names: Iterable[str]) -> None:
    """Import these modules. Errors are left for the application to explain."""
    for name in names:
        if name in sys.modules:
            continue
        try:
            importlib.import_module(name)
        except BaseException:  # a test runner's Skipped, SystemExit, anything
            sys.modules.pop(name, None)


def stamps(names: Iterable[str]) -> dict[str, int]:
    """When the files of imported modules were changed, by path, in nanoseconds."""
    files = (getattr(sys.modules.get(name), "__file__", None) for name in names)
    return {file: _changed_at(file) for file in files if isinstance(file, str)}


def _changed_at(file: str) -> int:
    try:
        return os.stat(file).st_mtime_ns  # noqa: PTH116 - a thousand of them
    except OSError:
        return 0


def is_fresh(stamps: dict[str, int]) -> bool:
    """Whether those files are still as they were."""
    return all(_changed_at(file) == at for file, at in stamps.items())


def shadowed(names: Iterable[str], folder: Path) -> bool:
    """Whether a file in `folder`, which comes first on sys.path, hides one of the packages."""
    tops = {name.partition(".")[0] for name in names}
    try:
        entries = list(folder.iterdir())
    except OSError:
        return False
    return any(
        entry.name.removesuffix(".py") in tops and (entry.suffix == ".py" or _is_package(entry))
        for entry in entries
    )


def _is_package(folder: Path) -> bool:
    return (folder / "__init__.py").is_file()


def thread_count() -> int:
    """How many threads this process has, on Linux with those of compiled libraries."""
    try:
        return len(os.listdir("/proc/self/task"))  # noqa: PTH208
    except OSError:
        return threading.active_count()
