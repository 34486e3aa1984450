"""Calls a function when certain modules have been imported."""

from __future__ import annotations

import sys
from collections.abc import Callable, Container, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any


class ImportHook(MetaPathFinder):
    """A finder for `sys.meta_path`: it calls `imported` with the name at the end of an import.

    Modules are found and loaded by the other finders, and keep their own loaders.
    """

    def __init__(self, names: Container[str], imported: Callable[[str], object]) -> None:
        self._names = names
        self._imported = imported

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The spec of the other finders, with a loader that reports the end."""
        if name not in self._names:
            return None
        for finder in list(sys.meta_path):
            if finder is self or not hasattr(finder, "find_spec"):
                continue
            spec = finder.find_spec(name, path, target)
            if spec is not None:
                self._report(name, spec.loader)
                return spec
        return None

    def _report(self, name: str, loader: Any) -> None:
        execute = getattr(loader, "exec_module", None)
        if execute is None:
            return

        def exec_module(module: ModuleType) -> None:
            execute(module)
            if module.__name__ == name:  # a loader may load several modules
                vars(loader).pop("exec_module", None)
                self._imported(name)

        try:
            loader.exec_module = exec_module
        except AttributeError:
            pass  # a loader that is shared by all modules of its kind
