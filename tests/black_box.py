"""Two libraries asked the same question: what each answers, in a form that can be compared."""

from __future__ import annotations

import re
import types
from collections.abc import Callable
from typing import Any

_ADDRESS = re.compile(r" at 0x[0-9a-f]+")
_MODULE = re.compile(r"\b(?:carboy|flask|werkzeug)(?:\.\w+)+\.(?=[A-Z])")


def plain(value: Any) -> str:
    """The repr without addresses and module names; what is lazy is drawn out first."""
    if isinstance(value, types.GeneratorType):
        value = list(value)
    if isinstance(value, tuple):
        return f"({', '.join([plain(each) for each in value])})"
    if isinstance(value, set | frozenset):
        return f"{{{', '.join(sorted(map(repr, value)))}}}"
    return _MODULE.sub("", _ADDRESS.sub("", repr(value)))


def outcome(question: Callable[[], Any]) -> str:
    """The answer, or the type of the exception; never its text, which is each library's own."""
    try:
        return plain(question())
    except Exception as error:
        return f"raises {type(error).__name__}"


def evaluated(expression: str, names: dict[str, Any]) -> str:
    return outcome(lambda: eval(expression, dict(names)))
