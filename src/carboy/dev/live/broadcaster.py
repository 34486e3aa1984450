"""Publishes changes to browsers, as server-sent events. Knows nothing else of HTTP."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from queue import Empty, SimpleQueue
from threading import RLock
from typing import Any

# Each stream holds a thread of the server. A hidden tab has no stream.
STREAMS = 16
# A browser opens six connections to a host (HTTP/1.1) for all its tabs, and pages need some.
STREAMS_OF_ONE = 3
# Seconds between comments that are sent to find out whether the browser is still connected.
HEARTBEAT = 15.0
COMMENT = b": here\n\n"
KINDS = ("page", "style", "error")


@dataclass(frozen=True)
class Failure:
    """An exception: `title` such as "SyntaxError: invalid syntax"; `text` is the traceback."""

    title: str
    text: str


@dataclass(frozen=True)
class State:
    """The state in which a page was made. A browser with a page of an older state is out of date.

    `page` and `style` count the events of that kind since the process started.
    """

    generation: str
    page: int = 0
    style: int = 0


class Broadcaster:
    """Publishes events to all open streams; any thread may call it.

    `generation` identifies this process among those that serve the address one after the other.
    `failure` is the reason why the application could not be loaded, or None.
    """

    def __init__(self, generation: str, failure: Failure | None = None) -> None:
        self.failure = failure
        self._state = State(generation)
        # Reentrant, because a signal handler may call close() during publish().
        self._lock = RLock()
        self._streams: dict[
            SimpleQueue[bytes | None], str
        ] = {}  # stream: its browser; the oldest first
        self._closed = False

    @property
    def generation(self) -> str:
        """The identifier of this process."""
        return self._state.generation

    @property
    def state(self) -> State:
        """The state of a page that is made now."""
        return self._state

    @property
    def closed(self) -> bool:
        """Whether the streams have ended."""
        return self._closed

    def publish(
        self, kind: str, paths: Sequence[str] = (), *, failure: Failure | None = None
    ) -> None:
        """Send an event to every browser. ValueError for an unknown kind.

        `kind` is "page" (reload the page), "style" (reload the style sheets in the files `paths`)
        or "error" (show `failure`).
        """
        if kind not in KINDS:
            raise ValueError(f"There is no event {kind!r}. Use one of {', '.join(KINDS)}.")
        if (failure is None) == (kind == "error"):
            raise ValueError(
                'The event "error" needs failure=Failure(title, text); no other event takes it.'
            )
        with self._lock:
            if kind == "page":
                self._state = State(self.generation, self._state.page + 1, self._state.style)
            elif kind == "style":
                self._state = State(self.generation, self._state.page, self._state.style + 1)
            told = asdict(failure) if failure else {**asdict(self._state), "paths": list(paths)}
            for stream in list(self._streams):
                # Not "error": browsers use that name for the end of a stream.
                stream.put(event("failure" if failure else kind, told))

    def close(self) -> None:
        """End all streams, also future ones: the process is about to be replaced."""
        with self._lock:
            self._closed = True
            for stream in list(self._streams):
                stream.put(None)

    def listen(self, once: bool = False, browser: str = "") -> Iterator[bytes]:
        """The events of one stream, beginning with "hello"; with `once` only that one.

        `browser` names the client. A browser with too many streams loses the oldest one.
        """
        stream: SimpleQueue[bytes | None] = SimpleQueue()
        with self._lock:  # so that no event is lost between hello and joining
            first = self._hello(once)
            if not once:
                self._join(stream, browser)
        try:
            yield first
            while not once:
                try:
                    message = stream.get(timeout=HEARTBEAT)
                except Empty:
                    message = COMMENT
                if message is None:
                    return
                yield message
        finally:
            with self._lock:
                self._streams.pop(stream, None)

    def _hello(self, once: bool) -> bytes:
        failure = asdict(self.failure) if self.failure else None
        return event("hello", {**asdict(self._state), "failure": failure, "once": once})

    def _join(self, stream: SimpleQueue[bytes | None], browser: str) -> None:
        same = [each for each, other in self._streams.items() if other == browser]
        if self._closed:
            stream.put(None)
        elif len(same) >= STREAMS_OF_ONE:
            self._end(same[0])
        elif len(self._streams) >= STREAMS:
            self._end(next(iter(self._streams)))
        self._streams[stream] = browser

    def _end(self, stream: SimpleQueue[bytes | None]) -> None:
        """End a stream; "full" tells the browser to wait before it opens another one."""
        del self._streams[stream]
        stream.put(event("full", {}))
        stream.put(None)


def event(name: str, data: dict[str, Any]) -> bytes:
    """One server-sent event (HTML, section 9.2)."""
    return f"event: {name}\ndata: {json.dumps(data)}\n\n".encode()
