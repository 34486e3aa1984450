"""Names of a module that are loaded from other modules when they are first used."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from typing import Any


def homes(table: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    """The (name, module, name in that module) of every name in a table.

    The table maps modules to the names they define, separated by spaces. `public=defined` exports a
    name under another one.
    """
    for module, names in table.items():
        for entry in names.split():
            name, _, defined = entry.partition("=")
            yield name, module, defined or name


def lazy_names(
    module_name: str, table: Mapping[str, str]
) -> tuple[list[str], Callable[[str], Any], Callable[[], list[str]]]:
    """`__all__`, `__getattr__` and `__dir__` for a module with this table."""
    found = {name: (module, defined) for name, module, defined in homes(table)}
    own = vars(sys.modules[module_name])

    def load(name: str) -> Any:
        home = found.get(name)
        if home is None:
            raise AttributeError(f"module {module_name!r} has no attribute {name!r}")
        module, defined = home
        owner = import_module(module)
        if not hasattr(owner, defined):
            import_module(f"{module}.{defined}")  # a module may be exported as well
        value = own[name] = getattr(owner, defined)
        return value

    def names() -> list[str]:
        return sorted({*found, *(name for name in own if name.startswith("__"))})

    return sorted(found), load, names
