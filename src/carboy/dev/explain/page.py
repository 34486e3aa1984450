"""An explanation as one self-contained HTML page: steps, flame chart, tree, source code."""

from __future__ import annotations

import json
import linecache
import re
from collections.abc import Iterable, Iterator
from html import escape
from importlib import resources
from pathlib import Path
from typing import Any

from carboy.dev.editor import editor_link
from carboy.dev.explain import places
from carboy.dev.explain.changed import has_changed
from carboy.dev.explain.explanation import Explanation
from carboy.dev.explain.places import Place
from carboy.dev.explain.steps import Step
from carboy.dev.explain.terminal import duration, size
from carboy.dev.explain.tree import Node
from carboy.dev.highlight import is_python, parts_of
from carboy.dev.links import link_of

MOST_LINES = 120  # of the source code of a function


def make(found: Explanation) -> str:
    """The page of an explanation as HTML."""
    facts = [found.status, size(found.size), f"{found.count:,} calls"]
    summary = " · ".join([*facts, f"{duration(found.time)} {found.span}"])
    return of_data(found.request, summary, data_of(found))


def of_data(title: str, summary: str, data: dict[str, Any], nonce: str = "", back: str = "") -> str:
    """The page for the result of `data_of`; `nonce` is for its policy, `back` is a link."""
    files = resources.files("carboy.dev.explain") / "shared"
    parts = {
        "title": escape(title),
        "summary": escape(summary),
        "back": f"<a href={escape(back)}>←</a>" if back else "",
        "nonce": f' nonce="{escape(nonce)}"' if nonce else "",
        "style": (files / "page.css").read_text("utf-8"),
        "script": (files / "page.js").read_text("utf-8"),
        # A closing tag inside the data must not end the script element.
        "data": json.dumps(data, ensure_ascii=False).replace("<", "\\u003c"),
    }
    text = (files / "page.html").read_text("utf-8")
    return re.sub("%([a-z]+)%", lambda match: parts[match[1]], text)


def data_of(found: Explanation) -> dict[str, Any]:
    """Steps, calls and source code, as values for JSON."""
    sources = Sources()
    tracks = [
        {
            "name": track.name,
            "time": track.time,
            "waited": track.waited,
            "calls": _calls(track.roots, sources),
        }
        for track in found.tracks
    ]
    steps = [
        {"number": step.number, "title": _times(step), "where": step.where, "time": step.time}
        for step in found.steps
    ]
    return {
        "tracks": tracks,
        "steps": steps,
        "sources": sources.found,
        "time": found.time,
        "shares": [(name.removeprefix("carboy."), own) for name, _, own in found.shares()],
        "overflowed": found.overflowed,
        "notice": found.notice,
        "rule": found.rule,
    }


def _times(step: Step) -> str:
    return step.title if step.times == 1 else f"{step.title} ×{step.times}"


class Sources:
    """The source code of functions; a call has the index of its own."""

    def __init__(self) -> None:
        self.found: list[dict[str, Any]] = []
        self._indexes: dict[tuple[str, int, int], int] = {}

    def index(self, node: Node) -> int | None:
        """The index of the source code of a call; None for code without lines."""
        place = node.place
        if not place.first:
            return None
        key = (place.file, place.first, place.last)
        if key not in self._indexes:
            self._indexes[key] = len(self.found)
            self.found.append(_source(node))
        return self._indexes[key]


def _calls(roots: list[Node], sources: Sources) -> list[dict[str, Any]]:
    """All calls in order, each with the index of its caller: JSON cannot be nested as deep."""
    found: list[dict[str, Any]] = []
    waiting = [(node, -1) for node in reversed(list(_shown(roots)))]
    while waiting:
        node, above = waiting.pop()
        number = len(found)
        found.append({"above": above, **_call(node, sources)})
        waiting += [(child, number) for child in reversed(list(_shown(node.children)))]
    return found


def _call(node: Node, sources: Sources) -> dict[str, Any]:
    place = node.place
    return {
        "name": node.name,
        "room": place.room,
        "where": place.lines,
        "source": sources.index(node),
        "began": node.began,
        "time": node.time,
        "args": node.args,
        "result": node.result,
        "raised": node.raised,
        "line": node.line,
        "role": node.role,
        "step": node.step,
    }


def _shown(calls: Iterable[Node]) -> Iterator[Node]:
    """The calls without short calls into C, which are replaced by the calls they made."""
    for call in calls:
        is_c = call.place.room == places.C_CODE and not call.step
        if is_c and call.own < places.LEAST_WAIT:
            yield from _shown(call.children)
        else:
            yield call


def _source(node: Node) -> dict[str, Any]:
    place = node.place
    lines = linecache.getlines(place.file)[place.first - 1 : place.last]
    text = "".join(lines[:MOST_LINES])
    return {
        "note": _note(node, len(lines)),
        "first": place.first,
        "text": text,
        "parts": parts_of(text) if is_python(place.file) else {},
        "link": _address(place),
        "edit": editor_link(place.file, place.first),
    }


def _note(node: Node, count: int) -> str:
    """A warning about the source code of a call, which has so many lines, or ""."""
    if not count:
        return "The source code cannot be read."
    if node.code is not None and node.place.room != places.TEMPLATE and has_changed(node.code):
        return "The file has changed since it was loaded. The code that ran may be different."
    return f"Only the first {MOST_LINES} of {count} lines are shown." if count > MOST_LINES else ""


def _address(place: Place) -> str:
    """A permanent link, or that of the file itself for code of the application."""
    link = "" if place.package == places.APPLICATION else link_of(place).url
    return link or (Path(place.file).as_uri() if Path(place.file).is_absolute() else "")
