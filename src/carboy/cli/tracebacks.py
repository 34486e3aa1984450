"""Tracebacks of errors in the user's code, without the frames of libraries."""

from __future__ import annotations

import os
import re
import sys
import traceback
from pathlib import Path
from typing import Any

from carboy.dev.debugger.tbtools import DebugTraceback, shortened
from carboy.dev.ownership import is_library
from carboy.dev.recursion import folded

CARBOY = str(Path(__file__).resolve().parents[1])
MOST = 50_000  # characters that are shown, of the begin and of the end
# The parts of the line with the place of a frame.
PLACE = re.compile(r"""([ |]*File ")(.*)(", line \d+(?:, in )?)(.*)\n""")
# Control characters that a client may have put into a message, and that a terminal would execute.
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
PHRASES = ("Traceback ", "The above exception", "During handling")
FULL = "CARBOY_FULL_TRACEBACK"


def import_report(name: str, problem: BaseException) -> str:
    """The text for an error while `name` was imported or called: the frames and what to do."""
    return f"{name} could not be loaded.\n\n{traceback_text(problem)}\n{advice(name, problem)}"


def traceback_text(problem: BaseException) -> str:
    """A traceback in Python's form, with the user's frames only."""
    trimmed = DebugTraceback(problem).exception
    left_out = 0 if os.environ.get(FULL) else _trim(trimmed)
    text = shortened("".join(trimmed.format()).rstrip("\n"), MOST) + "\n"
    if left_out:
        frames = "frame of libraries is" if left_out == 1 else "frames of libraries are"
        text += f"({left_out} {frames} left out; {FULL}=1 shows all.)\n"
    return CONTROL.sub(lambda match: f"\\x{ord(match[0]):02x}", text)


def coloured(text: str) -> str:
    """The text of a traceback with places, carets and the exception in colours."""
    return "".join(map(_coloured, text.splitlines(keepends=True)))


def _coloured(line: str) -> str:
    bare = line.strip(" |\n")
    if place := PLACE.fullmatch(line):
        return "{}\x1b[36m{}\x1b[0m{}\x1b[1m{}\x1b[0m\n".format(*place.groups(""))
    if bare and not bare.strip("~^"):
        return line.replace(bare, f"\x1b[31m{bare}\x1b[0m")
    if line[0] in " |\n" or line.startswith(PHRASES):
        return line
    if line.startswith("("):
        return f"\x1b[2m{line[:-1]}\x1b[0m\n"
    return f"\x1b[1;31m{line[:-1]}\x1b[0m\n"


class Folded(traceback.StackSummary):
    """Frames of a traceback whose text shows a cycle of calls once."""

    def format(self, **options: Any) -> list[str]:
        lines: list[str] = []
        for frames, left_out in folded(self):
            lines += traceback.StackSummary.from_list(frames).format(**options)
            if left_out:
                lines.append(f"  [{left_out}]\n")
        return lines


def _trim(error: traceback.TracebackException) -> int:
    """Keep only the user's frames in every exception of the chain; returns how many others."""
    left_out = 0
    seen: set[int] = set()
    links = [error]
    while links:
        link = links.pop()
        if id(link) in seen:
            continue
        seen.add(id(link))
        own = [frame for frame in link.stack if not frame.is_library]  # type: ignore[attr-defined]
        left_out += sum(not _is_machinery(f.filename) for f in link.stack) - len(own)
        link.stack = Folded(own)
        links += (each for each in (link.__cause__, link.__context__) if each is not None)
        links += getattr(link, "exceptions", None) or ()
    return left_out


def _is_machinery(filename: str) -> bool:
    """Whether it is a frame of the import itself, which is never shown."""
    return filename.startswith(("<frozen importlib", CARBOY)) or "/importlib/" in filename


def advice(name: str, problem: BaseException) -> str:
    """One line that tells the user what to do."""
    if isinstance(problem, ModuleNotFoundError) and problem.name:
        top = problem.name.partition(".")[0]
        if top in sys.modules:
            return f"{top!r} is installed but has no {problem.name!r}. Correct the import."
        return (
            f"Install the package that provides {top!r} into this environment (pip install …),"
            " or run carboy in the folder that has it."
        )
    if isinstance(problem, SyntaxError) and problem.filename:
        return f"Correct the syntax in {problem.filename}, line {problem.lineno}."
    if isinstance(problem, SystemExit):
        return (
            f"{name} ended the program while it was imported. Put the code that does this"
            ' under `if __name__ == "__main__":`.'
        )
    frames = [f for f in traceback.extract_tb(problem.__traceback__) if not is_library(f.filename)]
    if frames:
        return f"Correct {frames[-1].filename}, line {frames[-1].lineno}."
    return "Correct the error above."
