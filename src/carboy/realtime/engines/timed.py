"""A time limit for calls of an engine's client library, which has its own, longer limits."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import TypeVar

from carboy.realtime.engine import EngineError

__all__ = ["OWN_LIMITS", "within"]

T = TypeVar("T")

OWN_LIMITS = 5.0  # seconds: from here on, the limits of the client libraries are enough


def within(seconds: float, work: Callable[[], T], shown: str) -> T:
    """The result of `work`, or EngineError if there is none after `seconds`.

    A shorter limit than OWN_LIMITS needs a thread, which goes on after the error until the client
    library gives up.
    """
    if seconds >= OWN_LIMITS:
        return work()
    results: SimpleQueue[tuple[T] | BaseException] = SimpleQueue()

    def run() -> None:
        try:
            results.put((work(),))
        except BaseException as error:
            results.put(error)

    threading.Thread(target=run, name="carboy-channels-request", daemon=True).start()
    try:
        result = results.get(timeout=max(0.0, seconds))
    except Empty:
        raise EngineError(
            f"The engine at {shown} has not answered within {seconds:g} s. A message that was to be"
            " published may still be."
        ) from None
    if isinstance(result, BaseException):
        raise result
    return result[0]
