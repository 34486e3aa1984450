"""The access log: one line for each request that was answered or refused.

`Common`, `as_json` and `Pretty` format the line; serving/log.py has Werkzeug's format. The line is
formatted in the thread that answered, because bytes that wait keep no request alive. Another
thread writes it (server/logs/channel.py).
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Protocol

from carboy.dates import MONTHS
from carboy.protocol.events import RequestHead
from carboy.server.logs.channel import could_not_be_written
from carboy.server.logs.debugger_secrets import without_secrets
from carboy.server.logs.output import STANDARD, LogFile, Output, colours_wanted, standard
from carboy.server.logs.writer import Writer

if TYPE_CHECKING:
    from carboy.server.exchange import ServerExchange

# (seconds since the epoch, client, head or None, the received part of the request line without a
#  head, status, bytes of content sent, seconds taken, exchange). A request that was refused before
#  its head was complete has no exchange.
Record = tuple[float, str, RequestHead | None, str, int, int, float, "ServerExchange | None"]


class RequestLog(Protocol):
    """Called by the engine with a record for every request. Must not block or raise."""

    def __call__(self, record: Record, /) -> None: ...

    def close(self) -> None: ...


FORMATS = ("auto", "common", "combined", "json", "pretty")

# Quoted fields contain only these characters unchanged. Other bytes are written as \xNN, so that
# a client cannot end a field or a line of the log.
UNSAFE = re.compile(r"[^ !#-\[\]-~]")


def escape(text: str) -> str:
    """`text` for a quoted field: quotes and backslashes escaped, other unsafe bytes as \\xNN."""
    return UNSAFE.sub(_escaped, text)


def _escaped(match: re.Match[str]) -> str:
    char = match[0]
    if char in '"\\':
        return "\\" + char
    # Text of a request is latin-1: one character is one byte.
    encoded = char.encode("latin-1" if char <= "\xff" else "utf-8")
    return "".join(f"\\x{byte:02x}" for byte in encoded)


def referrer_and_agent(head: RequestHead | None) -> tuple[str, str]:
    """The first Referer and User-Agent fields of a head; "" without one."""
    found: dict[str, str] = {}
    if head is not None:
        for name, value in head.fields():
            if len(name) in (7, 10):
                found.setdefault(name.lower(), value)
    return without_secrets(found.get("referer", "")), found.get("user-agent", "")


def request_line(head: RequestHead | None, fallback: str) -> str:
    """The request line, or the received part of it, without secrets of a debugger."""
    return without_secrets(head.request_line() if head else fallback)


class Common:
    """NCSA common log format, followed by the seconds taken.

    `combined` adds the Referer and User-Agent fields before the seconds, as other servers do.
    """

    def __init__(self, combined: bool = False) -> None:
        self.combined = combined
        self._second = -1
        self._moment = ""

    def __call__(self, record: Record) -> str:
        when, peer, head, fallback, status, sent, seconds, _ = record
        line = escape(request_line(head, fallback)) or "-"
        extra = ""
        if self.combined:
            extra = "".join(f' "{escape(each) or "-"}"' for each in referrer_and_agent(head))
        return (
            f'{escape(peer) or "-"} - - [{self.moment(int(when))}] "{line}" '
            f"{status} {sent or '-'}{extra} {seconds:.6f}\n"
        )

    def moment(self, second: int) -> str:
        """The local time with its offset from UTC, formatted once a second."""
        if second != self._second:
            local = time.localtime(second)
            month = MONTHS[local.tm_mon - 1]  # strftime would use the user's language
            self._moment = time.strftime(f"%d/{month}/%Y:%H:%M:%S %z", local)
            self._second = second
        return self._moment


# `json.dumps` with separators would make an encoder for every call.
_encode = json.JSONEncoder(separators=(",", ":")).encode


def as_json(record: Record) -> str:
    """A JSON object on one line; time in UTC (RFC 3339), seconds as a number."""
    when, peer, head, fallback, status, sent, seconds, exchange = record
    line: dict[str, Any] = {
        "time": f"{_utc(int(when))}.{int(when % 1 * 1e6):06}Z",
        "client": peer,
        "request": request_line(head, fallback),
        "status": status,
        "bytes": sent,
        "seconds": round(seconds, 6),
        "pid": os.getpid(),
    }
    if head is not None:
        query = without_secrets(head.query)
        line |= {"method": head.method, "path": head.path, "query": query, "host": head.host}
        line["referer"], line["user_agent"] = referrer_and_agent(head)
    if exchange is not None:
        trace = exchange.trace
        line |= {"id": exchange.id, "trace_id": trace.trace_id, "span_id": trace.span_id}
    return _encode(line) + "\n"


@lru_cache(maxsize=4)
def _utc(second: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))


class Pretty:
    """For a person at a terminal: time, status, request, duration, size, client."""

    COLOURS = {1: "1", 2: "32", 3: "36", 4: "33", 5: "1;31"}

    def __init__(self, colour: bool) -> None:
        self.colour = colour

    def __call__(self, record: Record) -> str:
        when, peer, head, fallback, status, sent, seconds, _ = record
        moment = time.strftime("%H:%M:%S", time.localtime(when))
        target = without_secrets(head.target if head else fallback)
        line = f"{head.method:<7} {escape(target)}" if head else escape(target) or "-"
        tail = f"{duration(seconds)}  {size(sent)}  {escape(peer)}"
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


def formatter(name: str, output: Output) -> Callable[[Record], str]:
    """The function that formats a record, for a name in FORMATS; ValueError for other names."""
    if name == "auto":
        name = "pretty" if output.is_terminal() else "common"
    if name == "json":
        return as_json
    if name == "pretty":
        return Pretty(colours_wanted(output))
    if name in ("common", "combined"):
        return Common(name == "combined")
    raise ValueError(f"Access log format {name!r} does not exist. Use one of {', '.join(FORMATS)}.")


class AccessLog:
    """Writes records to standard output ("stdout"), standard error ("stderr") or a file.

    Lines are appended to a file, which is opened again within a second when log rotation has moved
    it away. Requests for paths that begin with `skip` are left out.
    """

    def __init__(
        self, writer: Writer, format: str = "auto", to: str = "stdout", skip: str | None = None
    ) -> None:
        self.skip = skip
        name = STANDARD.get(to, to)
        if to == "stdout":
            self.output = standard(sys.stdout, 1)
        elif to == "stderr":
            self.output = writer.errors.output
        else:
            self.output = LogFile(to)
        self.render = formatter(format, self.output)
        self.channel = writer.channel(self.output, name)
        self.channel.start()

    def __call__(self, record: Record) -> None:
        if self.skip is not None:
            head = record[2]
            if head is not None and head.path.startswith(self.skip):
                return
        try:
            line = self.render(record).encode("utf-8", "backslashreplace")
        except Exception as problem:
            line = could_not_be_written(problem)
        self.channel.put(line)

    def close(self) -> None:
        """Close the log file, if any; call this when the writer is closed."""
        if isinstance(self.output, LogFile) and not self.channel.stalled:
            self.output.close()
