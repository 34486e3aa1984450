"""Modules that load, and regular expressions that are compiled, when they are first used.

`from carboy.late import parse` gives what `from urllib import parse` gives, and `compiled_later`
what `re.compile` gives. With them, importing Flask and request takes a fifth less time.
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
    "late_module",
    "markupsafe",
    "parse",
    "pathlib",
    "random",
    "shlex",
    "shutil",
    "string",
    "subprocess",
    "sysconfig",
    "tempfile",
    "tomllib",
    "tracemalloc",
]


class _LatePattern:
    """The pattern of `re.compile(text, flags)`. Two threads may both compile it."""

    def __init__(self, text: Any, flags: int) -> None:
        self._arguments = text, flags

    def __getattr__(self, name: str) -> object:
        value = getattr(re.compile(*self._arguments), name)
        setattr(self, name, value)  # Python finds it here from now on
        return value


class _LateModule:
    """A module, whose names are found in its own table from the first use on.

    So a name that is replaced later, as gevent and tests do it, is the new one here, too.
    """

    __slots__ = ("__dict__", "_module")

    def __init__(self, module: str) -> None:
        self._module = module

    def __getattr__(self, name: str) -> object:
        module = import_module(self._module)  # waits for another thread that imports it
        self.__dict__ = vars(module)
        return getattr(module, name)


def compiled_later(text: AnyStr, flags: int = 0) -> re.Pattern[AnyStr]:
    """The pattern of `re.compile(text, flags)`, compiled when it is first used."""
    return cast("re.Pattern[AnyStr]", _LatePattern(text, flags))


def late_module(name: str) -> Any:
    """A module of Carboy that loads when it is first used: `import_module(name)`, but later.

    Type checkers read an import of the same module, under `if TYPE_CHECKING`.
    """
    return _LateModule(name)


if TYPE_CHECKING:
    import base64
    import difflib
    import importlib.util as importlib_util
    import pathlib
    import random
    import shlex
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
    random = _LateModule("random")
    shlex = _LateModule("shlex")
    shutil = _LateModule("shutil")
    string = _LateModule("string")
    subprocess = _LateModule("subprocess")
    sysconfig = _LateModule("sysconfig")
    tempfile = _LateModule("tempfile")
    tomllib = _LateModule("tomllib")
    tracemalloc = _LateModule("tracemalloc")
