"""Who listens for changes, and what they are told. Knows nothing of HTTP but the event stream."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from queue import Empty, SimpleQueue
from threading import RLock
from typing import Any

# Each stream holds a thread of the server; tabs that are not looked at hold none.
STREAMS = 16
# A browser has six connections to a host (HTTP/1.1), for all its windows, and pages need some.
STREAMS_OF_ONE = 3
# Seconds between two signs of life: only writing tells that a browser has gone.
HEARTBEAT = 15.0
BEAT = b": here\n\n"
KINDS = ("page", "style", "error")


@dataclass(frozen=True)
class Failure:
    """What went wrong: `title` as in "SyntaxError: invalid syntax", `text` the whole traceback."""

    title: str
    text: str


@dataclass(frozen=True)
class State:
    """What a page was made of; a browser whose page has another one is behind.

    `page` and `style` count what was published of that kind since the process began.
    """

    generation: str
    page: int = 0
    style: int = 0


class Broadcaster:
    """Passes on what changed to every stream of events; any thread may call it.

    `generation` names this process among those that come and go under one address; `failure` is
    why its application could not be loaded, or None.
    """

    def __init__(self, generation: str, failure: Failure | None = None) -> None:
        self.failure = failure
        self._state = State(generation)
        # Reentrant: a signal's handler may close the broadcaster in the middle of a publish.
        self._lock = RLock()
        self._streams: dict[SimpleQueue[bytes | None], str] = {}  # whose, the oldest first
        self._closed = False

    @property
    def generation(self) -> str:
        """The name of this process."""
        return self._state.generation

    @property
    def state(self) -> State:
        """What a page made now is made of."""
        return self._state

    @property
    def closed(self) -> bool:
        """Whether nobody is told anything any more."""
        return self._closed

    def publish(
        self, kind: str, paths: Sequence[str] = (), *, failure: Failure | None = None
    ) -> None:
        """Tell every browser. `kind` is "page" (load it again), "style" (the style sheets at
        `paths`, files, have changed) or "error" (show `failure`). ValueError for another one.
        """
        if kind not in KINDS:
            raise ValueError(f"There is no event {kind!r}: it is one of {', '.join(KINDS)}.")
        if (failure is None) == (kind == "error"):
            raise ValueError('failure=Failure(title, text) goes with "error", and only with it.')
        with self._lock:
            if kind == "page":
                self._state = State(self.generation, self._state.page + 1, self._state.style)
            elif kind == "style":
                self._state = State(self.generation, self._state.page, self._state.style + 1)
            told = asdict(failure) if failure else {**asdict(self._state), "paths": list(paths)}
            for stream in list(self._streams):
                # A browser calls the end of a stream "error".
                stream.put(event("failure" if failure else kind, told))

    def close(self) -> None:
        """End every stream, and those to come: the process is about to be replaced."""
        with self._lock:
            self._closed = True
            for stream in list(self._streams):
                stream.put(None)

    def listen(self, once: bool = False, who: str = "") -> Iterator[bytes]:
        """The events of one stream, beginning with "hello"; with `once` only that one.

        `who` names the browser. A browser with too many streams loses the oldest one.
        """
        stream: SimpleQueue[bytes | None] = SimpleQueue()
        with self._lock:  # nothing is published between the hello and the place in the list
            first = self._hello(once)
            if not once:
                self._join(stream, who)
        try:
            yield first
            while not once:
                try:
                    message = stream.get(timeout=HEARTBEAT)
                except Empty:
                    message = BEAT
                if message is None:
                    return
                yield message
        finally:
            with self._lock:
                self._streams.pop(stream, None)

    def _hello(self, once: bool) -> bytes:
        failure = asdict(self.failure) if self.failure else None
        return event("hello", {**asdict(self._state), "failure": failure, "once": once})

    def _join(self, stream: SimpleQueue[bytes | None], who: str) -> None:
        same = [each for each, whose in self._streams.items() if whose == who]
        if self._closed:
            stream.put(None)
        elif len(same) >= STREAMS_OF_ONE:
            self._send_away(same[0])
        elif len(self._streams) >= STREAMS:
            self._send_away(next(iter(self._streams)))
        self._streams[stream] = who

    def _send_away(self, stream: SimpleQueue[bytes | None]) -> None:
        """It may ask now and then, but not come back at once and push out the next one."""
        del self._streams[stream]
        stream.put(event("full", {}))
        stream.put(None)


def event(name: str, data: dict[str, Any]) -> bytes:
    """One event as a browser reads it (HTML, section 9.2, server-sent events)."""
    return f"event: {name}\ndata: {json.dumps(data)}\n\n".encode()
