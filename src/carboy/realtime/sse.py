"""`sse`: a response that sends events as they come (text/event-stream)."""

from __future__ import annotations

import random
from collections.abc import AsyncIterable, AsyncIterator, Iterable
from typing import Any

from carboy.app.async_body import AsyncBody
from carboy.app.globals import current_app, request
from carboy.app.wrappers import Response
from carboy.realtime.event import KEEP_ALIVE, Dumps, Event, encode
from carboy.realtime.stream import as_async

HEADERS = {
    "Content-Type": "text/event-stream; charset=utf-8",
    # Neither stored nor compressed on the way: both would keep events back.
    "Cache-Control": "no-cache, no-store, no-transform",
    # nginx and proxies like it do not buffer such a response.
    "X-Accel-Buffering": "no",
}
# Milliseconds after which clients connect again when the server stops, so that they do not all come
# at the same moment.
AGAIN = (1000, 3000)


def sse(
    source: Iterable[Any] | AsyncIterable[Any],
    *,
    retry: int | None = None,
    keep_alive: float = 15.0,
) -> Response:
    """A response with the events of `source`, each sent when it has come (text/event-stream).

    An event is an Event, or only its data: text, bytes in UTF-8, or a value for JSON. `retry` is
    the time in milliseconds after which a client connects again. A comment is sent when no event
    has come for `keep_alive` seconds; 0 turns this off.

    An async iterator holds no thread. A plain iterator has a thread of its own. Both are closed at
    once when the client goes or the server stops.
    """
    if keep_alive < 0:
        raise ValueError(f"The value of keep_alive is a number of seconds, not {keep_alive!r}.")
    first = KEEP_ALIVE if retry is None else encode(Event(retry=retry), str)
    again = random.randint(*AGAIN) if retry is None else retry
    body = AsyncBody(
        _encoded(as_async(source), current_app.json.dumps),
        first=first,
        keep_alive=keep_alive,
        filler=KEEP_ALIVE,
        last=encode(Event(retry=again), str),
        ends_at_stop=True,
    )
    return current_app.response_class(body, headers=HEADERS)


def last_event_id() -> str | None:
    """The id of the last event that the client has received; None for its first request.

    A client that connects again sends it in the field Last-Event-ID.
    """
    value: str | None = request.headers.get("Last-Event-ID")
    return None if value is None else value.encode("latin-1", "replace").decode("utf-8", "replace")


async def _encoded(source: AsyncIterable[Any], dumps: Dumps) -> AsyncIterator[bytes]:
    events = aiter(source)
    try:
        async for value in events:
            yield encode(value, dumps)
    finally:
        close = getattr(events, "aclose", None)
        if close is not None:
            await close()
