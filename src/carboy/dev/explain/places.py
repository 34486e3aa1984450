"""Where code comes from: file and lines, room of Carboy, package, version."""

from __future__ import annotations

import sys
import sysconfig
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path
from types import CodeType

KERNEL = "kernel"  # system calls that transfer bytes or wait for them
C_CODE = "C"
APPLICATION = "your application"
PYTHON = "python"
TEMPLATE = "template"
CARBOY = Path(__file__).parents[2]
LIBRARY = tuple({Path(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib")})
SITES = {"site-packages", "dist-packages"}
SYSTEM_CALLS = ("socket.", "epoll.", "poll.", "kqueue.", "select", "sendfile", "SSLSocket.")
WAITS = {"epoll.poll", "poll.poll", "kqueue.control", "select"}


@dataclass(frozen=True, slots=True)
class Place:
    """The place of a function; `first` and `last` are 0 for code without lines."""

    file: str
    first: int
    last: int
    package: str  # name of the distribution, or APPLICATION, PYTHON, KERNEL
    room: str  # room of Carboy such as "http", else the package
    short: str  # short name of the file: "flask/app.py"

    @property
    def lines(self) -> str:
        """File and lines: `flask/app.py:10-20`; or only the file."""
        if not self.first:
            return self.short
        return f"{self.short}:{self.first}" + (f"-{self.last}" if self.last > self.first else "")


def of_c(name: str) -> Place:
    """The place of a C function with this name."""
    kind = KERNEL if name.startswith(SYSTEM_CALLS) else C_CODE
    return Place("", 0, 0, kind, kind, "")


def of_code(code: CodeType) -> Place:
    """The place of a Python function."""
    return _of_code(code, code.co_filename)


@cache
def _of_code(code: CodeType, file: str) -> Place:
    # The file is part of the key, because equal code objects of two files compare equal.
    path = Path(file)
    if not file.endswith(".py") or not path.is_absolute():
        if file.startswith(("<frozen ", "<string>")):
            return Place("", 0, 0, PYTHON, PYTHON, file)
        return Place(file, 0, 0, APPLICATION, TEMPLATE, path.name)
    first, last = code.co_firstlineno, _last_line(code)
    if path.is_relative_to(CARBOY):
        inside = path.relative_to(CARBOY)
        room = inside.parts[0].removesuffix(".py")
        return Place(file, first, last, "carboy", room, str(Path("carboy") / inside))
    for number, part in enumerate(path.parts):
        if part in SITES:
            inside = Path(*path.parts[number + 1 :])
            package = distribution_of(inside.parts[0].removesuffix(".py"))
            return Place(file, first, last, package, package, str(inside))
    for library in LIBRARY:
        if path.is_relative_to(library):
            return Place(file, first, last, PYTHON, PYTHON, str(path.relative_to(library)))
    return Place(file, first, last, APPLICATION, APPLICATION, _near(path))


def in_library(inside: str) -> str:
    """The path of a file of the standard library, such as "http/server.py"; "" if it is missing."""
    return next((str(each / inside) for each in LIBRARY if (each / inside).is_file()), "")


def _near(path: Path) -> str:
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(Path(*path.parts[-2:]))


def _last_line(code: CodeType) -> int:
    last = max((line for _, _, line in code.co_lines() if line), default=code.co_firstlineno)
    inner = (_last_line(each) for each in code.co_consts if isinstance(each, CodeType))
    return max(last, *inner, code.co_firstlineno)


@cache
def _distributions() -> dict[str, list[str]]:
    return dict(metadata.packages_distributions())


def distribution_of(top: str) -> str:
    """The name of the distribution that contains the package `top`."""
    names = _distributions().get(top)
    return names[0].lower() if names else top


def version_of(package: str) -> str:
    """The installed version of a package, or ""."""
    if package == PYTHON:
        return sys.version.split()[0]
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""
