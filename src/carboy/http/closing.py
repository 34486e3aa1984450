"""A WSGI iterable that runs callbacks when the server is done with it (PEP 3333, close)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any


class ClosingIterator:
    """Iterates `iterable`; `close` closes it and then calls every one of `callbacks`."""

    def __init__(
        self,
        iterable: Iterable[bytes],
        callbacks: Callable[[], Any] | Iterable[Callable[[], Any]] | None = None,
    ) -> None:
        self._next = iter(iterable).__next__
        if callbacks is None:
            todo: list[Callable[[], Any]] = []
        elif callable(callbacks):
            todo = [callbacks]
        else:
            todo = list(callbacks)
        close = getattr(iterable, "close", None)
        if close is not None:
            todo.insert(0, close)
        self._callbacks = todo

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        return self._next()

    def close(self) -> None:
        for callback in self._callbacks:
            callback()
