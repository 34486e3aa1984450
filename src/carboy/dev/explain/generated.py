"""The origin of code that is not in a file of Python: templates and generated functions.

Jinja compiles a template to Python. What is shown are the lines of the template. Libraries write
functions as text and run it: dataclasses, attrs, named tuples, the builders of Werkzeug's rules,
methods of SQLAlchemy. The code of such a function has no file, and does not say who made it, but
its global variables or its caller do. So it is looked at while it runs.
"""

from __future__ import annotations

import linecache
import re
import sys
from bisect import bisect_right
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

FILES = (".py", ".pyw")
FROZEN = "<frozen "
CREATED = "__create_fn__.<locals>."  # begins the names of functions made by dataclasses
NAMED_TUPLE = "namedtuple_"
TITLE = re.compile(r"<(\w+) (generated|routing)")
TEXT = "<template>"  # the name of a template that was made from a string


@dataclass(frozen=True, slots=True)
class Origin:
    """Where the code of a function comes from."""

    by: str  # the module that generated the code, or "" for a template
    file: str = ""  # with the source
    name: str = ""  # of a template
    first: int = 0  # lines of a template that belong to the function
    last: int = 0
    lines: tuple[tuple[int, int], ...] = field(default=(), repr=False)  # of Python, of the template

    def name_of(self, name: str, args: dict[str, str]) -> str:
        """The name to show for the function, from its qualified name and arguments."""
        if self.name:
            if name.startswith("block_"):
                return f"block {name[6:]}"
            return "the template" if name == "root" else name.rpartition(".")[2]
        if not name.startswith(CREATED):
            return name
        method = name.removeprefix(CREATED)
        owner = re.match(r"<(\w+)", args.get("self", ""))
        return f"{owner[1]}.{method}" if owner else method

    def line_of(self, line: int) -> int:
        """The line of the source for a line of the generated code."""
        if not self.lines:
            return line if self.file else 0
        found = bisect_right(self.lines, (line, sys.maxsize)) - 1
        return self.lines[max(found, 0)][1]


_origins: dict[tuple[CodeType, str], Origin] = {}
_files: set[str] = set()  # that exist


def note(frame: FrameType) -> None:
    """Look at a function that is called, if its code is not that of a file."""
    code = frame.f_code
    file = code.co_filename
    if file in _files:
        return
    if file.endswith(FILES):
        if Path(file).exists():
            _files.add(file)
        else:  # a module in an archive
            linecache.lazycache(file, frame.f_globals)
        return
    if code.co_filename.startswith(FROZEN):
        return
    key = (code, code.co_filename)
    if key not in _origins and (found := _origin(frame, code, frame.f_globals)):
        _origins[key] = found


def origin_of(code: CodeType) -> Origin | None:
    """The origin of a function that `note` has looked at; None for that of a file."""
    return _origins.get((code, code.co_filename))


def line_of(frame: FrameType) -> int:
    """The line that runs, in the template if it is compiled from one."""
    line = frame.f_lineno or 0
    if frame.f_code.co_filename.endswith(FILES):
        return line
    origin = origin_of(frame.f_code)
    return origin.line_of(line) if origin else line


def name_of(code: CodeType, name: str, args: dict[str, str] | None = None) -> str:
    """The name to show for a function with this qualified name."""
    origin = origin_of(code)
    return origin.name_of(name, args or {}) if origin else name


def _origin(frame: FrameType, code: CodeType, names: dict[str, Any]) -> Origin | None:
    if type(names.get("debug_info")) is str and type(names.get("blocks")) is dict:
        return _template(code, names)
    if "__jinja_exception__" in names:
        return Origin("jinja2")  # a line of the template for the traceback
    if "__name__" not in names and names.keys() >= {"environment", "__file__"}:
        return Origin("", "", Path(code.co_filename).name)  # is being loaded
    if not code.co_filename.startswith("<"):
        return None
    file = code.co_filename if code.co_filename in linecache.cache else ""
    return Origin(_generator(frame, code, names), file)


def _template(code: CodeType, names: dict[str, Any]) -> Origin:
    """The lines of a template that a function of Jinja renders."""
    pairs = [each.split("=") for each in names["debug_info"].split("&") if each]
    lines = sorted((int(python), int(source)) for source, python in pairs)
    last = max((line for _, _, line in code.co_lines() if line), default=0)
    inside = [source for python, source in lines if code.co_firstlineno <= python <= last]
    name = names.get("name")
    file = "" if code.co_filename.startswith("<") else code.co_filename
    return Origin(
        "", file, name if type(name) is str else TEXT, min(inside, default=0),
        max(inside, default=0), tuple(lines),
    )  # fmt: skip


def _generator(frame: FrameType, code: CodeType, names: dict[str, Any]) -> str:
    """The module that generated a function."""
    if title := TITLE.match(code.co_filename):
        return title[1]  # <attrs generated __init__ app.Point>, <werkzeug routing>
    if code.co_qualname.startswith(CREATED):
        return "dataclasses"
    module = names.get("__name__")
    if type(module) is str:
        return "collections.namedtuple" if module.startswith(NAMED_TUPLE) else module
    return str(frame.f_back.f_globals.get("__name__", "")) if frame.f_back else ""
