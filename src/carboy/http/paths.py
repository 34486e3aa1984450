"""Joins a directory with a path that came from outside."""

from __future__ import annotations

import os
import posixpath
import re

# Opening one of these on Windows reaches a device, in whichever directory and with whatever
# extension it is named.
_DEVICE = re.compile(
    r"(?:CON|PRN|AUX|NUL|CONIN\$|CONOUT\$|(?:COM|LPT)[0-9¹²³])\s*(?:[.:].*)?",
    re.IGNORECASE | re.DOTALL,
).fullmatch

# What this system has besides the slash; tests set those of another system.
_os_alt_seps = [each for each in (os.sep, os.path.altsep) if each not in (None, "/")]


# What separates segments here besides the slash.
_os_alt_seps = [sep for sep in (os.sep, os.altsep) if sep not in (None, "/")]


def safe_join(directory: str, *untrusted: str) -> str | None:
    """`directory` joined with untrusted parts, None if the result would lie outside it.

    Every part and every segment is judged by itself, without asking the file system: no
    absolute part, no way up, no NUL; on Windows no backslash, drive, stream or device name.
    """
    parts = [directory or "."]
    for part in untrusted:
        if not part:
            continue
        part = posixpath.normpath(part)
        if not _is_inside(part):
            return None
        parts.append(part)
    return posixpath.join(*parts)


def _is_inside(part: str) -> bool:
    if "\0" in part or part.startswith("/") or any(sep in part for sep in _os_alt_seps):
        return False
    if any(separator in part for separator in _os_alt_seps):
        return False
    segments = part.split("/")
    if ".." in segments:
        return False
    return os.name != "nt" or not any(
        "\\" in segment or ":" in segment or _DEVICE(segment.lstrip()) for segment in segments
    )
