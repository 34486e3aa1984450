"""Writes the `__init__.pyi` of each package whose names load from a table.

    python tools/write_stubs.py

Type checkers read these stubs, because they cannot follow names that load when they are first
used (carboy/lazy.py). `tests/test_lazy.py` fails when a stub does not agree with its table.
"""

from __future__ import annotations

from importlib import import_module
from operator import itemgetter
from pathlib import Path

from carboy.lazy import homes

PACKAGES = ("carboy", "carboy.http", "carboy.serving", "carboy.shared", "carboy.testing")
# Names whose own modules are below the class in their type, so that they say less there.
TYPES = {
    "current_app": "current_app: Carboy",
    "jsonify": "def jsonify(*args: object, **kwargs: object) -> Response: ...",
}
HEAD = '"""Written by tools/write_stubs.py from the table NAMES in __init__.py."""'


def stub(package: str) -> str:
    """The text of the package's stub."""
    module = import_module(package)
    lines = [HEAD, ""]
    for name, home, defined in sorted(homes(module.NAMES), key=itemgetter(1, 0)):
        if name in TYPES:
            continue
        lines.append(f"from {home} import {defined}" + (f" as {name}" if name != defined else ""))
    typed = [TYPES[name] for name in sorted(set(TYPES) & set(module.__all__))]
    if typed:
        lines += ["", *typed]
    if hasattr(module, "__version__"):
        lines += ["", "__version__: str"]
    lines += ["", "__all__ = [", *(f'    "{name}",' for name in module.__all__), "]", ""]
    return "\n".join(lines)


def path(package: str) -> Path:
    """The file of the package's stub."""
    file = import_module(package).__file__
    assert file is not None
    return Path(file).with_suffix(".pyi")


if __name__ == "__main__":
    for each in PACKAGES:
        path(each).write_text(stub(each))
