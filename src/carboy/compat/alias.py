"""A module of `flask` or `werkzeug` whose every name lives in a module of Carboy."""

from __future__ import annotations

import warnings
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any

from carboy.compat.origins import DEPRECATED, ORIGINS, VERSIONS


def _file(modules: tuple[str, ...]) -> str:
    """Where the first of them is written; nothing is loaded for it but packages."""
    spec = find_spec(modules[0] if modules else "carboy")
    if spec is None or spec.origin is None:
        raise AttributeError(f"{modules} have no file.")
    return spec.origin


class Alias(ModuleType):
    """Reads and assignments reach the module that owns the name.

    So `monkeypatch.setattr("werkzeug.serving.run_simple", fake)` changes what Carboy calls.
    Nothing is loaded before a name is asked for.
    """

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            return self._dunder(name)
        if f"{self.__name__}.{name}" in ORIGINS:
            return import_module(f"{self.__name__}.{name}")
        owner, there = self._owner(name)
        return getattr(owner, there) if there else owner

    def __setattr__(self, name: str, value: Any) -> None:
        if name.startswith("__") or f"{self.__name__}.{name}" in ORIGINS:
            ModuleType.__setattr__(self, name, value)
            return
        try:
            owner, there = self._owner(name)
        except AttributeError:
            ModuleType.__setattr__(self, name, value)
        else:
            setattr(owner, there, value)

    def __delattr__(self, name: str) -> None:
        if name in vars(self):
            ModuleType.__delattr__(self, name)
        else:
            owner, there = self._owner(name)
            delattr(owner, there)

    def __dir__(self) -> list[str]:
        origin = ORIGINS[self.__name__]
        names = {*vars(self), *origin.renamed}
        for module in origin.modules:
            names.update(dir(import_module(module)))
        return sorted(names - DEPRECATED)

    def _dunder(self, name: str) -> Any:
        if name == "__version__" and self.__name__ == "flask":
            warnings.warn(
                "The '__version__' attribute is deprecated and will be removed in Flask 3.2:"
                " use importlib.metadata.version('flask').",
                DeprecationWarning,
                stacklevel=3,
            )
            return VERSIONS["flask"]
        if name == "__file__":
            return _file(ORIGINS[self.__name__].modules)
        if name == "__all__":
            return [public for public in dir(self) if not public.startswith("_")]
        raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")

    def _owner(self, name: str) -> tuple[ModuleType, str]:
        """The module that has `name`, and its name there; AttributeError if none has."""
        origin = ORIGINS[self.__name__]
        if name in origin.renamed:
            module, _, there = origin.renamed[name].partition(":")
            return import_module(module), there
        for module in origin.modules:
            owner = import_module(module)
            if hasattr(owner, name):
                return owner, name
        raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
