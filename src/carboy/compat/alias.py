"""A module of `flask` or `werkzeug` whose every name lives in a module of Carboy."""

from __future__ import annotations

import sys
import warnings
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from opcode import opmap
from types import ModuleType
from typing import Any

from carboy.compat import imported_names
from carboy.compat.module_map import DEPRECATED, MODULE_MAP, VERSIONS
from carboy.compat.qualnames import QUALNAMES

# What a name has that dir() tells and that cannot be had.
MISSING: Any = object()

IMPORT_FROM = opmap.get("IMPORT_FROM")


def _file(modules: tuple[str, ...]) -> str:
    """Where the first of them is written; nothing is loaded for it but packages."""
    spec = find_spec(modules[0] if modules else "carboy")
    if spec is None or spec.origin is None:
        raise AttributeError(f"{modules} have no file.")
    return spec.origin


def lacking(module: str) -> str:
    """What to say after the sentence that a module, or a name in it, was not found."""
    package = module.partition(".")[0]
    return (
        f"Carboy stands in for {package} here and does not have it. If {package}"
        f" {VERSIONS[package]} has it, report that to Carboy (docs/from-flask.md, Reporting)."
    )


def _imported_by_name(depth: int) -> bool:
    """Whether the frame at this depth is at a `from … import …`.

    Python forgets the text of an AttributeError there, but passes an ImportError on.
    """
    frame = sys._getframe(depth + 1)
    return frame.f_lasti >= 0 and frame.f_code.co_code[frame.f_lasti] == IMPORT_FROM


@dataclass(frozen=True, slots=True)
class Place:
    """A module of Carboy, a name in it, and the value it has of its own."""

    module: ModuleType
    name: str
    value: Any

    def is_replaced(self) -> bool:
        return vars(self.module).get(self.name, self.value) is not self.value


# Modules that the packages do not load by themselves.
NOT_LOADED = {"debug", "debughelpers", "middleware", "testapp", "testing", "views"}

# What was replaced or deleted through an alias: (alias, name there), where it is.
PLACES: dict[tuple[str, str], list[Place]] = {}


def own(module: ModuleType) -> dict[str, Any]:
    """What a module itself has, apart from what its owners have."""
    names: dict[str, Any] = vars(ModuleType)["__dict__"].__get__(module)
    return names


class Alias(ModuleType):
    """Reads and assignments reach the modules that own the name.

    So `monkeypatch.setattr("werkzeug.serving.run_simple", fake)` changes what Carboy calls.
    Nothing is loaded before a name is asked for.
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
        places = self._places(name)
        if not places:
            ModuleType.__setattr__(self, name, value)
        for place in places:
            setattr(place.module, place.name, value)

    def __delattr__(self, name: str) -> None:
        """Deletes, or gives back what was replaced: so mock.patch ends what it began."""
        places = self._places(name)
        if not places:
            ModuleType.__delattr__(self, name)
        replaced = any(place.is_replaced() for place in places)
        for place in places:
            if replaced:
                setattr(place.module, place.name, place.value)
            else:
                delattr(place.module, place.name)

    @property
    def __dict__(self) -> dict[str, Any]:  # type: ignore[override]
        """All names with their values, as they are now: for those who look past getattr."""
        named = {name: getattr(self, name, MISSING) for name in dir(self)}
        return own(self) | {n: value for n, value in named.items() if value is not MISSING}

    def __dir__(self) -> list[str]:
        origin = MODULE_MAP[self.__name__]
        theirs = {*own(self), *origin.renamed, *children(self.__name__)}
        names: set[str] = set()
        for module in map(import_module, origin.modules):
            known = [*dir(module), *getattr(module, "__all__", ())]  # the latter: not yet loaded
            names.update(name for name in known if not name.startswith("__"))
        theirs |= (names - _other_names(origin.modules)) | imported_names.names(self.__name__)
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
        """What `from … import *` gives: a package's own names, and the modules it has loaded."""
        origin = MODULE_MAP[self.__name__]
        found: set[str] = set(dir(self))
        if origin.package and all(hasattr(import_module(m), "__all__") for m in origin.modules):
            exported = (import_module(module).__all__ for module in origin.modules)
            found = set(children(self.__name__)) - NOT_LOADED
            found.update(*exported, origin.renamed)
        return sorted(name for name in found if not name.startswith("_"))

    def _owner(self, name: str) -> tuple[ModuleType, str] | None:
        """The first module that has `name`, and its name there; "" for the module itself."""
        origin = MODULE_MAP[self.__name__]
        if name in origin.renamed:
            module, _, there = origin.renamed[name].partition(":")
            return import_module(module), there
        for module in origin.modules:
            owner = import_module(module)
            if hasattr(owner, name):
                return owner, name
        return None

    def _places(self, name: str) -> list[Place]:
        """Where the value of `name` is kept, as it was before it was first replaced."""
        key = (self.__name__, name)
        if key not in PLACES:
            if name.startswith("__") or name in own(self) or ".".join(key) in MODULE_MAP:
                return []
            found = self._owner(name)
            if found is None or not found[1]:
                return []
            PLACES[key] = self._sharing(*found)
        return PLACES[key]

    def _sharing(self, owner: ModuleType, name: str) -> list[Place]:
        # A step of theirs in one module may be spread over several of ours, all of which call it.
        value = getattr(owner, name)
        modules = (sys.modules.get(module) for module in MODULE_MAP[self.__name__].modules)
        others = (
            module
            for module in modules
            if module is not None and module is not owner and vars(module).get(name) is value
        )
        return [Place(module, name, value) for module in (owner, *others)]


def _other_names(modules: tuple[str, ...]) -> set[str]:
    """Our names of things that have another name in the real package."""
    homes = (QUALNAMES.get(module, {}) for module in modules)
    return {"Carboy"} | {ours for home in homes for ours, (_, name) in home.items() if ours != name}


def children(package: str) -> list[str]:
    """The names of a package's modules; a program, as `python -m flask`, is not one of them."""
    found = (name.rpartition(".") for name in MODULE_MAP)
    return [name for parent, _, name in found if parent == package and name != "__main__"]
