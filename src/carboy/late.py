"""Modules of the standard library and regular expressions, made when they are first used.

An import of Flask and request needs neither these modules nor most regular expressions, and without
them it takes a fifth less time. `from carboy.late import parse` gives what `from urllib import
parse` gives, and `compiled_later` what `re.compile` gives.

Each attribute is found one step later than in the module or the expression itself, so functions
that run for every request do not use this module.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, AnyStr, cast

__all__ = [
    "base64",
    "compiled_later",
    "importlib_util",
    "markupsafe",
    "parse",
    "pathlib",
    "string",
    "zlib",
]


class _Late:
    """Stands for what `make` returns. Two threads may both make it."""

    def __init__(self, make: Callable[..., object], *arguments: object) -> None:
        self._made_by = make, arguments

    def __getattr__(self, name: str) -> object:
        make, arguments = self._made_by
        value = getattr(make(*arguments), name)
        setattr(self, name, value)  # Python finds it here from now on
        return value


def compiled_later(text: AnyStr, flags: int = 0) -> re.Pattern[AnyStr]:
    """The pattern of `re.compile(text, flags)`, compiled when it is first used."""
    return cast("re.Pattern[AnyStr]", _Late(re.compile, text, flags))


if TYPE_CHECKING:
    import base64
    import importlib.util as importlib_util
    import pathlib
    import string
    import zlib
    from urllib import parse

    import markupsafe
else:
    base64 = _Late(import_module, "base64")
    importlib_util = _Late(import_module, "importlib.util")
    markupsafe = _Late(import_module, "markupsafe")
    parse = _Late(import_module, "urllib.parse")
    pathlib = _Late(import_module, "pathlib")
    string = _Late(import_module, "string")
    zlib = _Late(import_module, "zlib")
