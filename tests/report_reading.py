"""Reads a report that is Markdown: its steps, the lines that it quotes, and its links."""

from __future__ import annotations

import importlib.util
import re
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

STEP = re.compile(
    r"^(\d+)\. \*\*([^\n]+?)\.\*\*(.*?)(?=^\d+\. \*\*|^#+ |\Z)", re.MULTILINE | re.DOTALL
)
AT = r"`([^`]+)`, (?:\[`([^`]+)`\]\((\S+)\)|`([^`]+)`)"  # a function and its place
FUNCTION = re.compile(rf"^ +- function: {AT}?", re.MULTILINE)
CALLER = re.compile(rf"^ +- called by: {AT}(?:: (`+) ?(.+?) ?\5(?= \(|$))?", re.MULTILINE)
LINE = re.compile(r"^ +[→ ] +(\d+)(?:  (.*))?$", re.MULTILINE)


@dataclass(frozen=True)
class Step:
    """One step of a report."""

    number: int
    title: str
    function: str
    place: str  # file and lines; "" for code in C
    caller: str
    called_at: str  # file and line; "" if a thread starts here
    call: str  # the line that makes the call, without indentation
    text: str  # everything

    def quoted(self) -> dict[int, str]:
        """The quoted lines by their number."""
        fence = re.search(r"^ +```.*?\n(.*?)^ +```", self.text, re.MULTILINE | re.DOTALL)
        lines = LINE.findall(fence[1]) if fence else []
        return {int(number): text for number, text in lines}

    @property
    def file(self) -> str:
        """The file of the quoted lines: that of the function, or of the caller of code in C."""
        return (self.place or self.called_at).partition(":")[0]


def steps_of(report: str) -> list[Step]:
    """All steps of a report."""
    return list(_steps(report))


def _steps(report: str) -> Iterator[Step]:
    for number, title, text in STEP.findall(report):
        name, linked, _, plain = FUNCTION.search(text).groups("")  # type: ignore[union-attr]
        caller = CALLER.search(text)
        by, at, _, at_plain, _, call = caller.groups("") if caller else ("",) * 6
        yield Step(int(number), title, name, linked or plain, by, at or at_plain, call, text)


def installed(short: str, own: Path) -> Path:
    """The file that a report names: of a package, of Python, or of the application in `own`."""
    if frozen := re.fullmatch(r"<frozen ([\w.]+)>", short):
        short = frozen[1].replace(".", "/") + ".py"
    carboy = importlib.util.find_spec("carboy")
    assert carboy is not None
    assert carboy.origin is not None
    folders = (
        own, Path(sysconfig.get_path("purelib")), Path(sysconfig.get_path("stdlib")),
        Path(carboy.origin).parents[1],
    )  # fmt: skip
    return next(folder / short for folder in folders if (folder / short).is_file())


def wrong_lines(steps: list[Step], own: Path) -> list[str]:
    """The quoted lines, and lines of callers, that are not in the files as they are quoted."""
    wrong = []
    for step in steps:
        quoted = step.quoted()
        lines = installed(step.file, own).read_text("utf-8").split("\n") if quoted else []
        wrong += [
            f"step {step.number}, {step.file}:{number}: {text!r}"
            for number, text in quoted.items()
            if lines[number - 1].rstrip() != text
        ]
        if step.call:
            file, _, number = step.called_at.rpartition(":")
            line = installed(file, own).read_text("utf-8").split("\n")[int(number) - 1]
            if line.strip() != step.call:
                wrong.append(f"caller of step {step.number}, {step.called_at}: {step.call!r}")
    return wrong
