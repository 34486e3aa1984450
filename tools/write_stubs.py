"""Writes the `__init__.pyi` of every package whose names load from a table.

    python tools/write_stubs.py

Type checkers read the stubs, because they cannot follow names that load when they are first used
(carboy/lazy.py). `tests/test_lazy.py` fails when a stub does not agree with its table.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from carboy.lazy import homes

PACKAGES = ("carboy.http",)
HEAD = '"""Written by tools/write_stubs.py from the table NAMES in __init__.py."""\n\n'


def stub(package: str) -> str:
    """The text of the package's stub."""
    module = import_module(package)
    lines = sorted(
        f"from {home} import {defined} as {name}\n" for name, home, defined in homes(module.NAMES)
    )
    return HEAD + "".join(lines)


def path(package: str) -> Path:
    """Where the package's stub is."""
    file = import_module(package).__file__
    assert file is not None
    return Path(file).with_suffix(".pyi")


if __name__ == "__main__":
    for each in PACKAGES:
        path(each).write_text(stub(each))
