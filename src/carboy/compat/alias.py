"""Modules of `flask` and `werkzeug` whose names are defined in modules of Carboy."""

from __future__ import annotations

import sys
import warnings
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from opcode import opmap
from types import ModuleType
from typing import Any

import carboy
from carboy.compat import imported_names
from carboy.compat.module_map import DEPRECATED, MODULE_MAP, VERSIONS
from carboy.compat.qualnames import QUALNAMES

# Names of the package `carboy` that `from flask import *` must not put in place of a user's own.
CARBOYS_OWN = {
    name
    for module, names in vars(carboy)["NAMES"].items()
    if not module.startswith(("carboy.app", "carboy.http")) or module == "carboy.app.after_response"
    for name in names.split()
}

# The value of a name that dir() lists and that cannot be read.
MISSING: Any = object()

IMPORT_FROM = opmap.get("IMPORT_FROM")


def _file(modules: tuple[str, ...]) -> str:
    """The file of the first module; only packages are imported to find it."""
    spec = find_spec(modules[0] if modules else "carboy")
    if spec is None or spec.origin is None:
        raise AttributeError(f"The modules {modules} have no file.")
    return spec.origin


def lacking(module: str) -> str:
    """The advice after the message that a module, or a name in it, was not found."""
    package = module.partition(".")[0]
    return (
        f"Carboy is used in place of {package} here and does not have it. If {package}"
        f" {VERSIONS[package]} has it, report that to Carboy (docs/from-flask.md, Reporting)."
    )


def _imported_by_name(depth: int) -> bool:
    """Whether the frame at this depth runs a `from … import …`.

    Python drops the text of an AttributeError there, but keeps that of an ImportError.
    """
    frame = sys._getframe(depth + 1)
    return frame.f_lasti >= 0 and frame.f_code.co_code[frame.f_lasti] == IMPORT_FROM


@dataclass(frozen=True, slots=True)
class Binding:
    """A name in a module of Carboy, with its original value."""

    module: ModuleType
    name: str
    value: Any

    def is_replaced(self) -> bool:
        return vars(self.module).get(self.name, self.value) is not self.value


# Modules that the real packages do not import themselves.
NOT_LOADED = {"debug", "debughelpers", "middleware", "testapp", "testing", "views"}

# (alias, name in it): the bindings that were replaced or deleted through the alias
BINDINGS: dict[tuple[str, str], list[Binding]] = {}


# alias: its names, and the names of itself and of the modules behind it that they were made from
LISTED: dict[str, tuple[list[list[str]], list[str]]] = {}


def loaded(name: str) -> ModuleType:
    """The module, as from import_module, which takes longer for one that is loaded."""
    module = sys.modules.get(name)
    if module is None or getattr(module.__spec__, "_initializing", False):
        return import_module(name)
    return module


def own(module: ModuleType) -> dict[str, Any]:
    """The attributes of an alias itself, without those of the modules behind it."""
    names: dict[str, Any] = vars(ModuleType)["__dict__"].__get__(module)
    return names


class Alias(ModuleType):
    """A module whose reads and assignments reach the modules that define a name.

    So `monkeypatch.setattr("werkzeug.serving.run_simple", fake)` changes what Carboy calls.
    Nothing is imported before a name is read.
    """

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            return self._dunder(name)
        if f"{self.__name__}.{name}" in MODULE_MAP:
            return import_module(f"{self.__name__}.{name}")
        found = self._owner(name)
        if found is not None:
            owner, there = found
            return getattr(owner, there) if there else owner
        try:
            value = imported_names.find(self.__name__, name)
        except KeyError:
            pass
        else:
            ModuleType.__setattr__(self, name, value)
            return value
        if _imported_by_name(depth=1):
            raise ImportError(
                f"cannot import name {name!r} from {self.__name__!r}. {lacking(self.__name__)}",
                name=self.__name__,
            )
        raise AttributeError(
            f"module {self.__name__!r} has no attribute {name!r}. {lacking(self.__name__)}",
            name=name,
        )

    def __setattr__(self, name: str, value: Any) -> None:
        bindings = self._bindings(name)
        if not bindings:
            ModuleType.__setattr__(self, name, value)
        for binding in bindings:
            setattr(binding.module, binding.name, value)

    def __delattr__(self, name: str) -> None:
        """Delete a name, or restore the value that was replaced, as mock.patch expects."""
        bindings = self._bindings(name)
        if not bindings:
            ModuleType.__delattr__(self, name)
        replaced = any(binding.is_replaced() for binding in bindings)
        for binding in bindings:
            if replaced:
                setattr(binding.module, binding.name, binding.value)
            else:
                delattr(binding.module, binding.name)

    @property
    def __dict__(self) -> dict[str, Any]:  # type: ignore[override]
        """All names with their current values, for code that does not use getattr."""
        named = {name: getattr(self, name, MISSING) for name in dir(self)}
        return own(self) | {n: value for n, value in named.items() if value is not MISSING}

    def __dir__(self) -> list[str]:
        entry = MODULE_MAP[self.__name__]
        modules = [loaded(name) for name in entry.modules]
        # Tools that freeze the time list all names of all modules for each test.
        key = [list(own(self)), *(list(vars(module)) for module in modules)]
        kept = LISTED.get(self.__name__)
        if kept is None or kept[0] != key:
            kept = LISTED[self.__name__] = key, self._names(modules)
        return list(kept[1])

    def _names(self, modules: list[ModuleType]) -> list[str]:
        """The sorted names of this module: those of Carboy's modules, and its own."""
        entry = MODULE_MAP[self.__name__]
        theirs = {*own(self), *entry.renamed, *children(self.__name__)}
        names: set[str] = set()
        for module in modules:
            known = [
                *dir(module),
                *getattr(module, "__all__", ()),
            ]  # also lazy ones
            names.update(name for name in known if not name.startswith("__"))
        theirs |= (names - _other_names(entry.modules)) | imported_names.names(self.__name__)
        return sorted(theirs - DEPRECATED)

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
            return _file(MODULE_MAP[self.__name__].modules)
        if name == "__all__":
            return self._public()
        raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}", name=name)

    def _public(self) -> list[str]:
        """The names of `from … import *`: those of the package, and the modules it imports."""
        entry = MODULE_MAP[self.__name__]
        found: set[str] = set(dir(self))
        if entry.package and all(hasattr(import_module(m), "__all__") for m in entry.modules):
            exported = (import_module(module).__all__ for module in entry.modules)
            found = set(children(self.__name__)) - NOT_LOADED
            found.update(*exported, entry.renamed)
            found -= CARBOYS_OWN
        return sorted(name for name in found if not name.startswith("_"))

    def _owner(self, name: str) -> tuple[ModuleType, str] | None:
        """The first module that defines `name`, and the name there; "" for the module itself."""
        entry = MODULE_MAP[self.__name__]
        if name in entry.renamed:
            module, _, there = entry.renamed[name].partition(":")
            return loaded(module), there
        for module in entry.modules:
            owner = loaded(module)
            if hasattr(owner, name):
                return owner, name
        return None

    def _bindings(self, name: str) -> list[Binding]:
        """The bindings of `name`, with the values from before the first replacement."""
        key = (self.__name__, name)
        if key not in BINDINGS:
            if name.startswith("__") or name in own(self) or ".".join(key) in MODULE_MAP:
                return []
            found = self._owner(name)
            if found is None or not found[1]:
                return []
            BINDINGS[key] = self._sharing(*found)
        return BINDINGS[key]

    def _sharing(self, owner: ModuleType, name: str) -> list[Binding]:
        # One of their modules may be several of Carboy's, all of which call the name.
        value = getattr(owner, name)
        modules = (sys.modules.get(module) for module in MODULE_MAP[self.__name__].modules)
        others = (
            module
            for module in modules
            if module is not None and module is not owner and vars(module).get(name) is value
        )
        return [Binding(module, name, value) for module in (owner, *others)]


@cache
def _other_names(modules: tuple[str, ...]) -> set[str]:
    """The names that differ in Carboy and therefore do not exist in the real package."""
    homes = (QUALNAMES.get(module, {}) for module in modules)
    return {"Carboy"} | {ours for home in homes for ours, (_, name) in home.items() if ours != name}


@cache
def children(package: str) -> list[str]:
    """The names of a package's modules, without `__main__`."""
    found = (name.rpartition(".") for name in MODULE_MAP)
    return [name for parent, _, name in found if parent == package and name != "__main__"]
