"""Compares the results of two libraries for the same call."""

from __future__ import annotations

import re
import types
from collections.abc import Callable
from typing import Any

_ADDRESS = re.compile(r" at 0x[0-9a-f]+")
_MODULE = re.compile(r"\b(?:carboy|flask|werkzeug)(?:\.\w+)+\.(?=[A-Z])")


def plain(value: Any) -> str:
    """The repr without addresses and module names; a generator is turned into a list."""
    if isinstance(value, types.GeneratorType):
        value = list(value)
    if isinstance(value, tuple):
        return f"({', '.join([plain(each) for each in value])})"
    if isinstance(value, set | frozenset):
        return f"{{{', '.join(sorted(map(repr, value)))}}}"
    return _MODULE.sub("", _ADDRESS.sub("", repr(value)))


def outcome(question: Callable[[], Any]) -> str:
    """The result, or the type of the exception, but not its text, which differs."""
    try:
        return plain(question())
    except Exception as error:
        return f"raises {type(error).__name__}"


def evaluated(expression: str, names: dict[str, Any]) -> str:
    return outcome(lambda: eval(expression, dict(names)))
