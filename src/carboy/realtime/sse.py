"""`sse`: a response that sends events as they come (text/event-stream)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from carboy.app.globals import current_app, request
from carboy.app.wrappers import Response
from carboy.realtime.event import Dumps, Event, encode

HEADERS = {
    "Content-Type": "text/event-stream; charset=utf-8",
    # Neither stored nor compressed on the way: both would keep events back.
    "Cache-Control": "no-cache, no-store, no-transform",
    # nginx and proxies like it do not buffer such a response.
    "X-Accel-Buffering": "no",
}


def sse(source: Iterable[Any], *, retry: int | None = None) -> Response:
    """A response with the events of `source`, each sent when it has come.

    An event is an Event, or only its data: text, bytes in UTF-8, or a value for JSON. `retry` is
    the time in milliseconds after which a client connects again.
    """
    first = b"" if retry is None else encode(Event(retry=retry), str)
    body = _encoded(iter(source), first, current_app.json.dumps)
    return current_app.response_class(body, headers=HEADERS)


def last_event_id() -> str | None:
    """The id of the last event that the client has received; None for its first request.

    A client that connects again sends it in the field Last-Event-ID.
    """
    value: str | None = request.headers.get("Last-Event-ID")
    return None if value is None else value.encode("latin-1", "replace").decode("utf-8", "replace")


def _encoded(source: Iterator[Any], first: bytes, dumps: Dumps) -> Iterator[bytes]:
    try:
        if first:
            yield first
        for value in source:
            yield encode(value, dumps)
    finally:
        close = getattr(source, "close", None)
        if close is not None:
            close()
