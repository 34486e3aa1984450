"""Names of a package that load from their modules when they are first used."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from typing import Any


def homes(table: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    """The (name, module, name in that module) of every name in a package's table.

    The table maps modules to the names they define, separated by spaces; `public=defined`
    exports a name under another one.
    """
    for module, names in table.items():
        for entry in names.split():
            name, _, defined = entry.partition("=")
            yield name, module, defined or name


def lazy_names(
    package: str, table: Mapping[str, str]
) -> tuple[list[str], Callable[[str], Any], Callable[[], list[str]]]:
    """`__all__`, `__getattr__` and `__dir__` of the package with this table."""
    found = {name: (module, defined) for name, module, defined in homes(table)}
    own = vars(sys.modules[package])

    def load(name: str) -> Any:
        if name not in found:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        module, defined = found[name]
        owner = import_module(module)
        if not hasattr(owner, defined):
            import_module(f"{module}.{defined}")  # the name is that of a submodule
        value = own[name] = getattr(owner, defined)
        return value

    def names() -> list[str]:
        return sorted({*(name for name in own if name.startswith("__")), *found})

    return sorted(found), load, names
