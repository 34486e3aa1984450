"""The facts of a request that a line of the access log may have, computed when asked for."""

from __future__ import annotations

import binascii
import time
from functools import lru_cache
from typing import TYPE_CHECKING

from carboy.dates import MONTHS
from carboy.protocol.events import RequestHead
from carboy.server.logs.redaction import Private

if TYPE_CHECKING:
    from carboy.server.exchange import ServerExchange

# (seconds since the epoch, client, head or None, the received part of the request line without a
#  head, status, bytes of content sent, seconds taken, exchange). A request that was refused before
#  its head was complete has no exchange.
Record = tuple[float, str, RequestHead | None, str, int, int, float, "ServerExchange | None"]

LONGEST_USER = 256


class Facts:
    """One record, and what follows from it; text is "" if it is not known."""

    __slots__ = (
        "bytes", "client", "exchange", "head", "line", "private", "seconds", "status", "when",
    )  # fmt: skip

    def __init__(self, record: Record, private: Private) -> None:
        (
            self.when, self.client, self.head, self.line, self.status, self.bytes, self.seconds,
            self.exchange,
        ) = record  # fmt: skip
        self.private = private

    def request(self) -> str:
        """The request line, or the received part of it."""
        return self.private(self.head.request_line() if self.head else self.line)

    def method(self) -> str:
        return self.head.method if self.head else ""

    def path(self) -> str:
        """The path as it was sent, percent-encoded."""
        return self.head.path if self.head else ""

    def query(self) -> str:
        return self.private(self.head.query) if self.head else ""

    def protocol(self) -> str:
        return self.head.version if self.head else ""

    def host(self) -> str:
        return self.head.host if self.head else ""

    def scheme(self) -> str:
        return self.exchange.scheme if self.exchange else ""

    def field(self, name: str) -> str:
        """The value of a header field of the request; repeated fields are joined."""
        if self.head is None:
            return ""
        values = (value for each, value in self.head.fields() if each.lower() == name)
        return self.private(", ".join(values))

    def sent_field(self, name: str) -> str:
        """The value of a header field of the response, as the application has set it."""
        exchange = self.exchange
        if exchange is None:
            return ""
        values = [value for each, value in exchange.response_fields if each.lower() == name]
        return self.private(", ".join(values))

    def variable(self, name: str) -> str:
        """The value of a variable of the WSGI environ, by its name in any case."""
        exchange = self.exchange
        if exchange is None:
            return ""
        environ = exchange.environ()
        value = environ.get(name, environ.get(name.upper(), environ.get(name.lower(), "")))
        return self.private(str(value))

    def user(self) -> str:
        """The name of the user in basic authentication (RFC 7617)."""
        kind, _, text = self.field("authorization").partition(" ")
        if kind.lower() != "basic":
            return ""
        try:
            decoded = binascii.a2b_base64(text.strip()).decode("utf-8", "replace")
        except (ValueError, binascii.Error):
            return ""
        return decoded.partition(":")[0][:LONGEST_USER]

    def route(self) -> str:
        """The rule that matched, such as /notes/<int:number>."""
        return route_of(self.exchange)

    def id(self) -> str:
        return self.exchange.id if self.exchange else ""

    def trace_id(self) -> str:
        return self.exchange.trace.trace_id if self.exchange else ""

    def span_id(self) -> str:
        return self.exchange.trace.span_id if self.exchange else ""

    def queue(self) -> float:
        return queue_seconds(self.exchange)

    def utc(self) -> str:
        """The time of the end of the request in UTC (RFC 3339)."""
        return f"{_utc(int(self.when))}.{int(self.when % 1 * 1e6):06}Z"

    def local(self) -> str:
        """That time in the format of NCSA, in local time with its offset from UTC."""
        return ncsa_time(int(self.when))


def has_content(method: str, status: int) -> bool:
    """Whether the content of a response is sent (RFC 9110, sections 9.3.2 and 15)."""
    return method != "HEAD" and status not in (204, 205, 304)


def route_of(exchange: ServerExchange | None) -> str:
    """The rule of a request, "" if none is known."""
    return "" if exchange is None else exchange.route


def queue_seconds(exchange: ServerExchange | None) -> float:
    """The seconds that a request has waited for a thread, here and in front of the server."""
    return 0.0 if exchange is None else exchange.queued_seconds


@lru_cache(maxsize=4)
def _utc(second: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))


@lru_cache(maxsize=4)
def ncsa_time(second: int) -> str:
    """The local time of NCSA's formats, such as 14/Nov/2023:22:13:20 +0000."""
    local = time.localtime(second)
    month = MONTHS[local.tm_mon - 1]  # strftime would use the user's language
    return time.strftime(f"%d/{month}/%Y:%H:%M:%S %z", local)
