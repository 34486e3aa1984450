"""The body of a response that an async iterator makes.

On Carboy's own server it is sent through the channel of the request, and no thread waits for it
(pump.py). Everywhere else it is an iterable like any other body, and a thread waits.

The contexts of the request stay pushed until the body has ended: `request`, `g` and the session can
be used in the iterator, and the teardown functions run after it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Generator, Iterator
from typing import TYPE_CHECKING, Any

from carboy.app.active import _cv

if TYPE_CHECKING:
    from carboy.gateway.interface import Answer


class AsyncBody:
    """The pieces, text or bytes, of an async iterable.

    `first` is sent before the first piece, or alone if that takes a moment. While no piece comes
    for `keep_alive` seconds, `filler` is sent. With `ends_at_stop`, the iterator is closed when a
    graceful stop begins, and `last` is sent; without, it may go on until the stop ends.
    """

    __slots__ = (
        "_ctx",
        "_pieces",
        "ends_at_stop",
        "error",
        "filler",
        "first",
        "keep_alive",
        "last",
        "source",
    )

    def __init__(
        self,
        source: Any,
        *,
        first: bytes = b"",
        keep_alive: float = 0.0,
        filler: bytes = b"",
        last: bytes = b"",
        ends_at_stop: bool = False,
    ) -> None:
        self.source = source
        self.first = first
        self.keep_alive = keep_alive
        self.filler = filler
        self.last = last
        self.ends_at_stop = ends_at_stop
        self.error: BaseException | None = None  # that has ended the iterator
        self._ctx: Any = None  # the context that is kept
        self._pieces: Generator[bytes, None, None] | None = None  # for a thread

    def keep_contexts(self) -> None:
        """Push the contexts of the request once more; `close` pops them."""
        ctx = getattr(_cv.get(), "request_ctx", None)
        if ctx is not None and self._ctx is None:
            ctx.push()
            self._ctx = ctx

    def later(self, exchange: Any, answer: Answer) -> Answer:
        """Have the server send the body through a channel: LATER."""
        from carboy.app.pump import Pump

        later: Answer = exchange.later(Pump(self, exchange.context, answer))
        return later

    def close(self) -> None:
        """Close the iterator if a thread waits for it, and pop the contexts."""
        pieces, self._pieces = self._pieces, None
        if pieces is not None:
            pieces.close()
        self.pop_contexts()

    def pop_contexts(self) -> None:
        """Pop the contexts; the teardown functions get the error of the iterator, if there is."""
        ctx, self._ctx = self._ctx, None
        if ctx is not None:
            ctx.pop(self.error)

    def __aiter__(self) -> AsyncIterator[Any]:
        return aiter(self.source)

    def __iter__(self) -> Iterator[bytes]:
        from carboy.app.pump import pieces

        self._pieces = found = pieces(self)
        return found


class Kept:
    """The iterable that a WSGI server gets, which Carboy's own server may send later instead."""

    def __init__(self, body: AsyncBody, iterable: Any) -> None:
        self._body = body
        self._iterable = iterable

    def answer_later(self, exchange: Any, status: str, headers: list[tuple[str, str]]) -> Answer:
        """Have the server send the body through a channel: LATER."""
        return self._body.later(exchange, (status, headers, (), self.close))

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._iterable)

    def close(self) -> None:
        """Close the response."""
        close: Callable[[], object] | None = getattr(self._iterable, "close", None)
        if close is not None:
            close()


def body_of(source: Any) -> AsyncBody:
    """The body of an async iterable, which may be an AsyncBody already."""
    return source if isinstance(source, AsyncBody) else AsyncBody(source)


def may_answer_later(exchange: Any) -> bool:
    """Whether the server may send the response to this request through a channel."""
    return getattr(exchange, "may_answer_later", False) and not exchange.head.upgrade
