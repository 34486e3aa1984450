"""Helpers that belong to no other module, and the names that are looked for here."""

from __future__ import annotations

import re

from carboy.http.imports import ImportStringError, find_modules, import_string
from carboy.http.media import get_content_type
from carboy.http.properties import cached_property, environ_property, header_property
from carboy.http.redirects import append_slash_redirect, redirect
from carboy.http.sending import send_file, send_from_directory

__all__ = [
    "ImportStringError",
    "append_slash_redirect",
    "cached_property",
    "environ_property",
    "find_modules",
    "get_content_type",
    "header_property",
    "import_string",
    "redirect",
    "secure_filename",
    "send_file",
    "send_from_directory",
]

_UNSAFE = re.compile(r"[^A-Za-z0-9_.-]+")
# Windows opens a device for a file of such a name, whatever its extension.
_DEVICES = frozenset(
    {"CON", "PRN", "AUX", "NUL", *(f"{port}{n}" for port in ("COM", "LPT") for n in range(10))}
)


def secure_filename(filename: str, _windows: bool | None = None) -> str:
    """A name for the file system made of one from a client: ASCII, no path, not hidden.

    May be empty. On Windows a device's name is preceded by an underscore.
    """
    import os
    from unicodedata import normalize

    name = normalize("NFKD", filename).encode("ascii", "ignore").decode("ascii")
    for separator in (os.sep, os.altsep):
        if separator:
            name = name.replace(separator, " ")
    name = _UNSAFE.sub("", "_".join(name.split())).strip("._")
    windows = os.name == "nt" if _windows is None else _windows
    if windows and name.split(".")[0].upper() in _DEVICES:
        name = f"_{name}"
    return name
