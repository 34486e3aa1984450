"""The steps of a connection as one self-contained HTML page: bytes, states, code and objects."""

from __future__ import annotations

import json
import linecache
import re
from html import escape
from importlib import resources
from types import CodeType
from typing import Any

from carboy.dev.editor import editor_link
from carboy.dev.explain import places
from carboy.dev.explain.byte_steps import BODY, REQUEST, RESPONSE, Part, Step, Stepped
from carboy.dev.explain.machine_trace import Line
from carboy.dev.explain.secrets import Eraser, secrets_of
from carboy.dev.explain.values import SECRET_NAME
from carboy.dev.highlight import parts_of
from carboy.dev.links import link_of
from carboy.protocol.head import quick_head, similar_head
from carboy.protocol.states import Reading, Writing

MOST_BYTES = 1024  # of one step; a body is cut there
QUICK = (
    "The head came to the server in one piece and {name}() read it with one pattern ({where})."
    " The steps show the reader that takes a head line by line. Both have the same outcome."
)


def make(title: str, found: Stepped) -> str:
    """The page as HTML. Secrets are covered."""
    files = resources.files("carboy.dev.explain") / "shared"
    parts = {
        "title": escape(title),
        "summary": escape(summary_of(found)),
        "style": (files / "stepper.css").read_text("utf-8"),
        "script": (files / "stepper.js").read_text("utf-8"),
        # A closing tag inside the data must not end the script element.
        "data": json.dumps(data_of(found), ensure_ascii=False).replace("<", "\\u003c"),
    }
    text = (files / "stepper.html").read_text("utf-8")
    return re.sub("%([a-z]+)%", lambda match: parts[match[1]], text)


def summary_of(found: Stepped) -> str:
    """One line about the whole connection."""
    return (
        f"{len(found.request):,} bytes from the client,"
        f" {len(found.response):,} bytes to the client, {len(found.steps)} steps"
    )


class Cover:
    """Both directions as text, one character a byte, with asterisks for secrets."""

    def __init__(self, found: Stepped) -> None:
        request, response = found.request.decode("latin-1"), found.response.decode("latin-1")
        self._eraser = Eraser(_secrets(found, request, response))
        self._texts = {
            REQUEST: self._eraser.blank(request),
            RESPONSE: self._eraser.blank(response),
        }

    def text(self, step: Step) -> str:
        """The bytes of a step."""
        return self._texts[step.direction][step.first : step.last]

    def part(self, step: Step, part: Part) -> str:
        """The text of a part of a step."""
        if part.last > part.first:
            return self._texts[step.direction][part.first : part.last]
        return self._eraser.blank(part.text)


def _secrets(found: Stepped, request: str, response: str) -> set[str]:
    secrets: set[str] = set()
    for step in found.steps:
        parts = {part.name: part.text for part in step.parts}
        if "target" in parts:
            secrets |= secrets_of(parts["target"], (), None)
    # A refused head has no parts, so its lines are searched as they are, and the body too.
    for line in (request + "\n" + response).split("\n"):
        name, colon, value = line.partition(":")
        if colon and SECRET_NAME.search(name.strip()):
            secrets |= secrets_of("/", [(name.strip(), value.strip())], None)
    head, _, body = request.partition("\r\n\r\n")
    target = head.partition("\n")[0].partition(" ")[2].partition(" ")[0]
    bodies = [body.encode("latin-1"), response.partition("\r\n\r\n")[2].encode("latin-1")]
    bodies += [found.bytes_of(step) for step in found.steps if step.kind == BODY]
    for each in bodies:
        secrets |= secrets_of(target, (), each)
    return secrets


def note_of(found: Stepped) -> str:
    """Which reader takes the first head in the server, if it is not the one in the steps."""
    if not found.quick:
        return ""
    code = next(code for code in _quick_codes() if code.co_qualname == found.quick)
    return QUICK.format(name=found.quick, where=places.of_code(code).lines)


def _quick_codes() -> list[CodeType]:
    return [quick_head.__code__, similar_head.__code__]


def data_of(found: Stepped) -> dict[str, Any]:
    """Bytes, steps, states and source code, as values for JSON."""
    sources: dict[str, dict[str, Any]] = {}
    cover = Cover(found)
    return {
        "steps": [_step(step, cover, sources) for step in found.steps],
        "sources": sources,
        "reading": {state.name: state.value for state in Reading},
        "writing": {state.name: state.value for state in Writing},
        "note": note_of(found),
    }


def _step(step: Step, cover: Cover, sources: dict[str, dict[str, Any]]) -> dict[str, Any]:
    ran: dict[str, list[int]] = {}
    for line in [*step.stack, *step.ran]:
        lines = ran.setdefault(_source(line, sources), [])
        if line[1] not in lines:
            lines.append(line[1])
    return {
        "direction": step.direction,
        "kind": step.kind,
        "title": step.title,
        "first": step.first,
        "last": step.last,
        "text": cover.text(step)[:MOST_BYTES],
        "before": step.before,
        "after": step.after,
        "stack": [(_source(line, sources), line[1]) for line in step.stack],
        "ran": ran,
        "parts": [
            (part.name, cover.part(step, part)[:MOST_BYTES], part.first, part.last)
            for part in step.parts
        ],
    }


def _source(line: Line, sources: dict[str, dict[str, Any]]) -> str:
    """The key of a function in `sources`, where it is added."""
    code = line[0]
    place = places.of_code(code)
    if place.lines not in sources:
        text = "".join(linecache.getlines(place.file)[place.first - 1 : place.last])
        link = link_of(place)
        sources[place.lines] = {
            "name": code.co_qualname,
            "first": place.first,
            "short": place.short,
            "text": text,
            "parts": parts_of(text),
            "link": link.url,
            "edit": editor_link(place.file, place.first),
        }
    return place.lines
