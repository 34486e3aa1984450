"""The formats of the access log: common, combined, json, pretty, and those that the user writes.

serving/log.py has Werkzeug's format.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from typing import Any

from carboy.protocol.events import RequestHead
from carboy.server.logs.atoms import FormatString, escape
from carboy.server.logs.debugger_secrets import without_secrets
from carboy.server.logs.facts import Facts, Record, ncsa_time
from carboy.server.logs.output import Output, colours_wanted
from carboy.server.logs.redaction import Private

FORMATS = ("auto", "common", "combined", "json", "pretty")
Render = Callable[[Record], str]


def referrer_and_agent(head: RequestHead | None, private: Private) -> tuple[str, str]:
    """The first Referer and User-Agent fields of a head; "" without one."""
    found: dict[str, str] = {}
    if head is not None:
        for name, value in head.fields():
            if len(name) in (7, 10):
                found.setdefault(name.lower(), value)
    return private(found.get("referer", "")), found.get("user-agent", "")


class Common:
    """NCSA common log format, followed by the seconds taken.

    `combined` adds the Referer and User-Agent fields before the seconds, as other servers do.
    """

    def __init__(self, combined: bool = False, private: Private = without_secrets) -> None:
        self.combined = combined
        self._private = private

    def __call__(self, record: Record) -> str:
        when, client, head, fallback, status, sent, seconds, _ = record
        private = self._private
        line = escape(private(head.request_line() if head else fallback)) or "-"
        extra = ""
        if self.combined:
            found = referrer_and_agent(head, private)
            extra = "".join(f' "{escape(each) or "-"}"' for each in found)
        return (
            f'{escape(client) or "-"} - - [{ncsa_time(int(when))}] "{line}" '
            f"{status} {sent or '-'}{extra} {seconds:.6f}\n"
        )


# `json.dumps` with separators would make an encoder for every call.
_encode = json.JSONEncoder(separators=(",", ":")).encode


class Json:
    """A JSON object on one line; time in UTC (RFC 3339), seconds as numbers."""

    def __init__(self, private: Private = without_secrets) -> None:
        self._private = private

    def __call__(self, record: Record) -> str:
        facts = Facts(record, self._private)
        line: dict[str, Any] = {
            "time": facts.utc(),
            "client": facts.client,
            "request": facts.request(),
            "status": facts.status,
            "bytes": facts.bytes,
            "seconds": round(facts.seconds, 6),
            "pid": os.getpid(),
        }
        if facts.head is not None:
            line |= {
                "method": facts.method(),
                "path": facts.path(),
                "query": facts.query(),
                "host": facts.host(),
            }
            found = referrer_and_agent(facts.head, self._private)
            line["referer"], line["user_agent"] = found
        if facts.exchange is not None:
            line |= {
                "route": facts.route(),
                "queue": round(facts.queue(), 6),
                "id": facts.id(),
                "trace_id": facts.trace_id(),
                "span_id": facts.span_id(),
            }
        return _encode(line) + "\n"


class Pretty:
    """For a person at a terminal: time, status, request, duration, size, client."""

    COLOURS = {1: "1", 2: "32", 3: "36", 4: "33", 5: "1;31"}

    def __init__(self, colour: bool, private: Private = without_secrets) -> None:
        self.colour = colour
        self._private = private

    def __call__(self, record: Record) -> str:
        when, client, head, fallback, status, sent, seconds, _ = record
        moment = time.strftime("%H:%M:%S", time.localtime(when))
        target = self._private(head.target if head else fallback)
        line = f"{head.method:<7} {escape(target)}" if head else escape(target) or "-"
        tail = f"{duration(seconds)}  {size(sent)}  {escape(client)}"
        code = str(status)
        if self.colour:
            code = f"\x1b[{self.COLOURS.get(status // 100, '0')}m{code}\x1b[0m"
            moment, tail = f"\x1b[2m{moment}\x1b[0m", f"\x1b[2m{tail}\x1b[0m"
        return f"{moment}  {code}  {line}  {tail}\n"


def duration(seconds: float) -> str:
    """A duration for people: 85 µs, 12.3 ms, 2.05 s."""
    if seconds < 0.001:
        return f"{seconds * 1e6:.0f} µs"
    return f"{seconds * 1000:.1f} ms" if seconds < 1 else f"{seconds:.2f} s"


def size(count: int) -> str:
    """A size for people: 512 B, 1.5 KiB, 3.0 MiB."""
    if count < 1024:
        return f"{count} B"
    return f"{count / 1024:.1f} KiB" if count < 1024**2 else f"{count / 1024**2:.1f} MiB"


def check_format(name: str) -> None:
    """Raise ValueError unless `name` is one of FORMATS or a format with fields."""
    if name not in FORMATS:
        written(name, without_secrets)


def written(text: str, private: Private) -> FormatString:
    """A format that the user has written. Raises ValueError if it is not one."""
    if "%(" not in text:
        raise ValueError(
            f"Access log format {text!r} does not exist. Use one of {', '.join(FORMATS)}, or a"
            " format with fields, such as '%(h)s \"%(r)s\" %(s)s %(id)s'."
        )
    return FormatString(text, private)


def formatter(name: str, output: Output, private: Private = without_secrets) -> Render:
    """The function that formats a record, for a name in FORMATS or a format with fields."""
    if name == "auto":
        name = "pretty" if output.is_terminal() else "common"
    if name == "json":
        return Json(private)
    if name == "pretty":
        return Pretty(colours_wanted(output), private)
    if name in ("common", "combined"):
        return Common(name == "combined", private)
    return written(name, private)
