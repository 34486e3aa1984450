"""An explanation as text for a terminal: summary, steps, tree of calls."""

from __future__ import annotations

import re
import traceback
from pathlib import Path
from types import FrameType

from carboy.dev.explain import places, tree
from carboy.dev.explain.explanation import Explanation
from carboy.dev.explain.tree import Line, Node

COLOURS = {
    places.APPLICATION: "33;1",
    places.TEMPLATE: "33",
    places.KERNEL: "31",
    places.PYTHON: "2",
    places.WAITING: "2",
    "protocol": "36",
    "net": "36",
    "server": "34",
    "gateway": "34",
    "http": "32",
    "routing": "32",
    "app": "32",
}
OTHER = "35"
BAR = 24
MOST_THREADS = 8  # that are listed
# Iteration ends with an exception, and so does a look at a socket that has nothing.
USUAL = re.compile(r"(?:StopIteration|StopAsyncIteration|GeneratorExit|BlockingIOError)\b")
ESCAPES = re.compile(r"\x1b\[[\d;]*m|\x1b\]8;;.*?\x1b\\")


class Painter:
    """Adds colours and links if the terminal shows them."""

    def __init__(self, coloured: bool, width: int = 0) -> None:
        self.coloured = coloured
        self.width = width  # 0: unlimited
        self.full = False  # show exceptions that end an iteration, too

    def fitting(self, place: str, taken: int) -> str:
        """The place, shortened so that it fits into a line with `taken` columns, or ""."""
        forms = (place, place.rpartition("/")[2])
        return next(
            (each for each in forms if not self.width or taken + len(each) <= self.width), ""
        )

    def colour(self, text: str, code: str) -> str:
        """The text in the colour of an escape code."""
        return f"\x1b[{code}m{text}\x1b[0m" if self.coloured and text else text

    def link(self, text: str, file: str) -> str:
        """The text as a link to a file (OSC 8)."""
        return self.address(text, Path(file).as_uri() if Path(file).is_absolute() else "")

    def address(self, text: str, url: str) -> str:
        """The text as a link to an address (OSC 8)."""
        if not self.coloured or not url:
            return text
        return f"\x1b]8;;{url}\x1b\\{text}\x1b]8;;\x1b\\"


def show(
    found: Explanation,
    *,
    coloured: bool = False,
    width: int = 0,
    depth: int | None = None,
    only: str | None = None,
    full: bool = False,
) -> str:
    """The whole text.

    `width` is that of the terminal, `depth` the number of levels shown, `only` a room or a package
    whose calls are shown, and `full` shows all calls.
    """
    painter = Painter(coloured, width)
    lines = [
        f"{painter.colour(found.request, '1')} → {found.status}, {size(found.size)};"
        f" {found.count:,} calls in {duration(found.time)} {found.span}",
        "",
        *_shares(found, painter),
        *_other_threads(found, painter),
        *_failure(found, painter),
        "",
        painter.colour("Steps", "1"),
        *_steps(found, painter),
    ]
    if found.rule:
        lines += ["", painter.colour("How the rule was found", "1"), *found.rule[1:]]
    if found.notice:
        lines += ["", found.notice]
    lines += trees(found, painter, depth, only, full)
    return "\n".join(lines) + "\n"


def trees(
    found: Explanation, painter: Painter, depth: int | None, only: str | None, full: bool
) -> list[str]:
    """The lines of the calls of all threads; the parameters are those of `show`."""
    lines: list[str] = []
    painter.full = full
    for track in found.tracks:
        made = tree.unfolded(track.roots) if full else tree.fold(track.roots, found.time)
        if only is not None:
            made = tree.only(made, lambda node: only in (node.place.room, node.place.package))
        if made:
            title = "Calls" if track is found.tracks[0] else f"Calls on thread {track.name}"
            lines += ["", painter.colour(title, "1"), *_tree(made, painter, depth)]
    return lines


def duration(nanoseconds: int) -> str:
    """Text in microseconds or milliseconds."""
    micros = nanoseconds / 1000
    return f"{micros / 1000:,.2f} ms" if micros >= 1000 else f"{micros:.1f} µs"


def size(count: int) -> str:
    """A number of bytes as text."""
    return "1 byte" if count == 1 else f"{count:,} bytes"


def _shares(found: Explanation, painter: Painter) -> list[str]:
    shares = found.shares()
    whole = sum(own for _, _, own in shares) or 1
    width = max((len(name) for name, _, _ in shares), default=0)
    lines = []
    for name, calls, own in shares:
        bar = "█" * round(BAR * own / whole)
        noun = "call " if calls == 1 else "calls"
        code = COLOURS.get(name.removeprefix("carboy."), OTHER)
        lines.append(
            f"  {painter.colour(name.ljust(width), code)}  {duration(own):>9}  {own / whole:4.0%}"
            f"  {calls:6,} {noun}  {painter.colour(bar, code)}".rstrip()
        )
    return lines


def _other_threads(found: Explanation, painter: Painter) -> list[str]:
    """A line for each thread that ran at the same time, which is not part of the time."""
    lines = []
    for track in sorted(found.tracks[1:], key=lambda each: -each.time)[:MOST_THREADS]:
        waited = f", of which it waited {duration(track.waited)}" if track.waited else ""
        lines.append(f"  At the same time, thread {track.name}: {duration(track.time)}{waited}")
    more = len(found.tracks) - 1 - len(lines)
    if more > 0:
        lines.append(f"  At the same time, {more} more threads")
    return [painter.colour(line, "2") for line in lines]


def _steps(found: Explanation, painter: Painter) -> list[str]:
    lines = []
    for step in found.steps:
        where = painter.link(step.where, step.file)
        times = f" ×{step.times}" if step.times > 1 else ""
        lines.append(
            f"{step.number:4}. {step.title}{times}  {painter.colour(f'({where})', '2')}"
            f"  {duration(step.time)}"
        )
    return lines


def _failure(found: Explanation, painter: Painter) -> list[str]:
    failure = found.failure()
    if failure is None:
        return []
    error, _ = failure
    frames = list(traceback.walk_tb(error.__traceback__))
    own = [each for each in frames if _is_own(each[0])]
    frame, number = (own or frames)[-1]
    file = frame.f_code.co_filename
    said = found.erase("".join(traceback.format_exception_only(error)).strip())
    place = painter.link(f"{file}:{number}", file)
    return ["", painter.colour(f"The application raised {said}", "31;1"), f"  at {place}"]


def _is_own(frame: FrameType) -> bool:
    return places.of_code(frame.f_code).room == places.APPLICATION


def _tree(lines: list[Line], painter: Painter, depth: int | None, level: int = 0) -> list[str]:
    if depth is not None and level >= depth:
        return []
    text = []
    for line in lines:
        text.append(_line(line, painter, level))
        text += _tree(line.children, painter, depth, level + 1)
    return text


def _line(line: Line, painter: Painter, level: int) -> str:
    node = line.node
    code = COLOURS.get(node.place.room, OTHER)
    parts = [
        f"{duration(line.time):>9}",
        "  " * level + painter.colour(node.place.room, code),
        painter.link(painter.colour(node.name, "1") if node.step else node.name, node.place.file),
    ]
    if line.times > 1:
        parts.append(f"×{line.times}")
    elif line.calls > 1:
        more = line.calls - 1
        parts.append(painter.colour(f"+{more:,} {'call' if more == 1 else 'calls'}", "2"))
    note = _note(node, painter.full)
    taken = len(ESCAPES.sub("", " ".join(parts))) + len(note) + 2
    if place := painter.fitting(node.place.lines, taken):
        parts.append(painter.colour(painter.link(place, node.place.file), "2"))
    if painter.width and (over := taken - painter.width) > 0:
        note = f"{note[: -over - 1]}…"
    if note:
        parts.append(painter.colour(note, "36"))
    return " ".join(parts)


def _note(node: Node, full: bool) -> str:
    raised = ""
    if node.raised and (full or not USUAL.match(node.result)):
        raised = f"raised {node.result or 'an exception'}"
    return " ".join(filter(None, (f"[{node.step}]" if node.step else "", node.role, raised)))
