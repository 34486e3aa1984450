"""Modules of the standard library and regular expressions, made when they are first used.

`from carboy.late import parse` gives what `from urllib import parse` gives, and `compiled_later`
what `re.compile` gives. Without them, importing Flask and request takes a fifth less time. Each
use takes a moment longer, so functions that run for every request do not use them.
"""

from __future__ import annotations

import re
from importlib import import_module
from typing import TYPE_CHECKING, Any, AnyStr, cast

__all__ = [
    "base64",
    "compiled_later",
    "difflib",
    "importlib_util",
    "markupsafe",
    "parse",
    "pathlib",
    "shutil",
    "string",
    "subprocess",
    "sysconfig",
    "tempfile",
    "tomllib",
    "tracemalloc",
]


class _LatePattern:
    """Stands for `re.compile(text, flags)`. Two threads may both compile it."""

    def __init__(self, text: Any, flags: int) -> None:
        self._arguments = text, flags

    def __getattr__(self, name: str) -> object:
        value = getattr(re.compile(*self._arguments), name)
        setattr(self, name, value)  # Python finds it here from now on
        return value


class _LateModule:
    """Stands for a module. Its names are not kept: gevent and tests replace them."""

    def __init__(self, module: str) -> None:
        self._module = module

    def __getattr__(self, name: str) -> object:
        return getattr(import_module(self._module), name)


def compiled_later(text: AnyStr, flags: int = 0) -> re.Pattern[AnyStr]:
    """The pattern of `re.compile(text, flags)`, compiled when it is first used."""
    return cast("re.Pattern[AnyStr]", _LatePattern(text, flags))


if TYPE_CHECKING:
    import base64
    import difflib
    import importlib.util as importlib_util
    import pathlib
    import shutil
    import string
    import subprocess
    import sysconfig
    import tempfile
    import tomllib
    import tracemalloc
    from urllib import parse

    import markupsafe
else:
    base64 = _LateModule("base64")
    difflib = _LateModule("difflib")
    importlib_util = _LateModule("importlib.util")
    markupsafe = _LateModule("markupsafe")
    parse = _LateModule("urllib.parse")
    pathlib = _LateModule("pathlib")
    shutil = _LateModule("shutil")
    string = _LateModule("string")
    subprocess = _LateModule("subprocess")
    sysconfig = _LateModule("sysconfig")
    tempfile = _LateModule("tempfile")
    tomllib = _LateModule("tomllib")
    tracemalloc = _LateModule("tracemalloc")
