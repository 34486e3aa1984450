"""The files of crash reports: one JSON object each, which only the user can read.

The name of a file is the time and the process id of the worker, so names are in the order of time.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

FOLDER = "crashes"  # below the state folder
SUFFIX = ".json"
LARGEST = 8 * 1024 * 1024  # bytes of a file that is read

_name = re.compile(r"\d{8}T\d{6}Z-\d+\.json")

Report = dict[str, Any]


class UnreadableReport(ValueError):
    """A file is not a crash report, or cannot be read; the text says why."""


def write(folder: Path, name: str, content: bytes, keep: int) -> None:
    """Write a report, and remove the oldest ones beyond `keep`. Raises OSError.

    A file with the name of a report is always complete.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = folder / f".{name}.tmp"
    try:
        temporary.unlink(missing_ok=True)
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(fd, "wb") as file:
            file.write(content)
        temporary.rename(folder / f"{name}{SUFFIX}")
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    for path in paths(folder)[keep:]:
        path.unlink(missing_ok=True)


def paths(folder: Path) -> list[Path]:
    """The files of the reports, newest first. Raises OSError if the folder cannot be read."""
    try:
        found = [path for path in folder.iterdir() if _name.fullmatch(path.name)]
    except FileNotFoundError:
        return []
    return sorted(found, key=lambda path: path.name, reverse=True)


def read(path: Path) -> Report:
    """The report in a file. Raises UnreadableReport."""
    try:
        with path.open("rb") as file:
            found = json.loads(file.read(LARGEST))
    except OSError as problem:
        raise UnreadableReport(f"{path} cannot be read: {problem.strerror or problem}.") from None
    except ValueError:
        found = None
    if not isinstance(found, dict) or found.get("id") != path.stem:
        raise UnreadableReport(f"{path} is not a crash report. Remove it.")
    return found
