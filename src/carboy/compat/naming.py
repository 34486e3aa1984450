"""Gives Carboy's classes and functions the names of the real ones, as soon as they are loaded."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import FunctionType, ModuleType
from typing import Any, ForwardRef

from carboy.compat.homes import HOMES

# The class of applications keeps its own name; its methods are views and hooks of programs.
METHODS_ONLY = {("carboy.app.app", "Flask"): "flask.app"}


class NamingFinder(MetaPathFinder):
    """Finds modules of Carboy as usual, and renames what they define once they have run."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname not in HOMES:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is None or spec.loader is None:
            return spec
        loader: Any = spec.loader
        run = loader.exec_module

        def exec_module(module: ModuleType) -> None:
            run(module)
            rename(module)

        loader.exec_module = exec_module
        return spec


def rename_loaded() -> None:
    """What was imported before the names were installed is renamed now."""
    for name in HOMES:
        module = sys.modules.get(name)
        if module is not None:
            rename(module)


def rename(module: ModuleType) -> None:
    """Give every class and function of a module its name in the real package."""
    own = module.__name__
    for name, (home, there) in HOMES[own].items():
        thing: Any = vars(module).get(name)
        thing = getattr(thing, "callback", thing)  # a command is known by its function
        if getattr(thing, "__module__", None) != own:
            continue
        alias = import_module(home)  # inspect looks there for the class and its file
        if isinstance(thing, type):
            _move_class(thing, module, alias)
        else:
            thing.__module__ = home
        thing.__name__ = thing.__qualname__ = there
    # After all functions: one of them may be the method of a class as well.
    for name, (home, there) in HOMES[own].items():
        thing = vars(module).get(name)
        if isinstance(thing, type):
            _rename_methods(thing, own, home, there)
    for (ours, name), home in METHODS_ONLY.items():
        if ours == own:
            _rename_methods(vars(module)[name], own, home, name)


def _move_class(kind: Any, module: ModuleType, alias: ModuleType) -> None:
    """Give it the alias for its module; what depends on where it is written stays true."""
    annotations = vars(kind).get("__annotations__", {})
    for name, value in annotations.items():
        if isinstance(value, str):
            annotations[name] = ForwardRef(value, module=module.__name__, is_class=True)
    # From 3.13 on a class forgets its line when it is moved; it counts in the alias's file.
    line = vars(kind).get("__firstlineno__")
    kind.__module__ = alias.__name__
    if line is not None and alias.__file__ == module.__file__:
        kind.__firstlineno__ = line


def _rename_methods(kind: type, own: str, home: str, name: str) -> None:
    for value in vars(kind).values():
        function = getattr(value, "__func__", value)  # of a class method or a static method
        if isinstance(function, FunctionType) and function.__module__ == own:
            function.__module__ = home
            function.__qualname__ = f"{name}.{function.__name__}"
