"""The place of a module or package on disk, and the place of its data when it is installed."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from carboy.late import importlib_util, pathlib

if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec

__all__ = ["find_package", "get_root_path", "instance_path_of", "name_of"]


def _spec(name: str) -> ModuleSpec | None:
    try:
        return importlib_util.find_spec(name)
    except (ImportError, ValueError):  # a missing parent; __main__ has no spec
        return None


def get_root_path(import_name: str) -> str:
    """The directory of a module or package, or the working directory if that is unknown.

    Raises RuntimeError for a module without a file (built-in, or a namespace package).
    """
    module = sys.modules.get(import_name)
    filename = getattr(module, "__file__", None)
    if filename is None:
        spec = _spec(import_name)
        if spec is None or spec.loader is None:
            return os.getcwd()  # noqa: PTH109 — Flask gives text
        filename = spec.origin
        if filename is None or not spec.has_location:
            raise RuntimeError(
                f"No root path can be found for the provided module {import_name!r}: it is"
                " built in, or a namespace package. Pass root_path with the directory to use."
            )
    return str(pathlib.Path(filename).absolute().parent)


def name_of(import_name: str) -> str:
    """The import name, or for `__main__` the name of the file that is run."""
    if import_name != "__main__":
        return import_name
    filename: str | None = getattr(sys.modules["__main__"], "__file__", None)
    return "__main__" if filename is None else pathlib.Path(filename).stem


def _package_path(import_name: str) -> pathlib.Path:
    """The directory that holds the top-level module or package."""
    spec = _spec(import_name.partition(".")[0])
    if spec is None:
        return pathlib.Path.cwd()
    if spec.submodule_search_locations:
        places = [pathlib.Path(place).absolute() for place in spec.submodule_search_locations]
        if spec.origin not in (None, "namespace"):
            return pathlib.Path(str(spec.origin)).absolute().parent.parent
        inner = _spec(import_name)
        file = inner.origin if inner and inner.has_location else None
        origin = pathlib.Path(file) if file else None
        for place in places:
            if origin is not None and origin.is_relative_to(place):
                return place.parent
        return places[0].parent
    if spec.origin is None or not spec.has_location:
        return pathlib.Path.cwd()
    return pathlib.Path(spec.origin).absolute().parent


def find_package(import_name: str) -> tuple[str | None, str]:
    """(the prefix it is installed under or None, the directory it is imported from)."""
    path = _package_path(import_name)
    if path.is_relative_to(pathlib.Path(sys.prefix).absolute()):
        return sys.prefix, str(path)
    if path.name.lower() != "site-packages":
        return None, str(path)
    above = path.parent
    if above.name.lower() == "lib":  # Windows: prefix/Lib/site-packages
        return str(above.parent), str(path)
    if above.parent.name.lower() == "lib":  # elsewhere: prefix/lib/python3.x/site-packages
        return str(above.parent.parent), str(path)
    return str(above), str(path)


def instance_path_of(import_name: str, name: str) -> str:
    """The default instance folder: beside the package, or below the prefix when installed."""
    prefix, path = find_package(import_name)
    if prefix is None:
        return str(pathlib.Path(path, "instance"))
    return str(pathlib.Path(prefix, "var", f"{name}-instance"))
