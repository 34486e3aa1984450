"""Time limits of requests, as an application declares them, and the exception of an exceeded one.

Both columns use this module: an application declares limits and says which of them a request has
(`finders`), and a server enforces them (server/time_limits.py).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from types import CodeType
from typing import Any, NamedTuple, TypeVar

T = TypeVar("T")

KEY = "REQUEST_TIMEOUT"  # in the configuration of an application
ATTRIBUTE = "carboy_time_limit"  # of a view, a class of views, a method of one, or a blueprint


class RequestTimeout(BaseException):
    """The request has taken longer than its time limit. The server raises it inside the view.

    Not an Exception, so that `except Exception` in a view does not handle it. The client has got
    its response already. Let the exception pass, and clean up in `finally` blocks.
    """

    def __init__(self, text: str = "The request has taken longer than its time limit.") -> None:
        super().__init__(text)


class TimeLimit(NamedTuple):
    """The time that a request may take, in seconds; infinity: any.

    `upstream` is the name of the service that the view waits for: the client gets 504 then, and
    503 otherwise.
    """

    seconds: float
    upstream: str = ""


# Functions that return the limit of a request, by its exchange; None: its application has none.
finders: list[Callable[[Any], TimeLimit | None]] = []
# Code in which the exception is not raised: it would skip what has to run.
shielded: set[CodeType] = set()
_declared: set[float] = set()
_listeners: list[Callable[[], object]] = []


def timeout(seconds: float | None, *, upstream: str = "") -> Callable[[T], T]:
    """Decorate a view: its requests may take this many seconds. None or 0: any time.

    Works on functions, coroutine functions, classes of views, their methods, and blueprints
    (`timeout(5)(blueprint)`), in any order with other decorators. `upstream` names the service that
    the view waits for, so that the client gets 504 instead of 503. Raises ValueError for a time
    that is negative or not finite, and TypeError for something that is not a number.
    """
    limit = TimeLimit(read_seconds(seconds, "timeout"), upstream)

    def decorate(target: T) -> T:
        try:
            setattr(target, ATTRIBUTE, limit)
        except AttributeError:
            raise TypeError(
                f"A time limit cannot be set on {target!r}. Decorate a function or a class."
            ) from None
        declare(limit.seconds)
        return target

    return decorate


def read_seconds(value: Any, name: str) -> float:
    """A declared time in seconds; infinity for None and 0. Raises ValueError and TypeError."""
    if value is None:
        return math.inf
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{name} needs a number of seconds, not {value!r}. Write it like 5 or 2.5.")
    if not 0 <= value < math.inf:
        raise ValueError(f"{name} needs a positive number of seconds, not {value!r}. 0: no limit.")
    return float(value) or math.inf


def of_configuration(config: Mapping[str, Any]) -> TimeLimit | None:
    """The limit in the configuration of an application; None: it has none.

    Raises ValueError and TypeError for a value that is not a number of seconds.
    """
    value = config.get(KEY)
    return None if value is None else TimeLimit(read_seconds(value, KEY))


def declare(seconds: float) -> None:
    """Note that requests may have this limit, so that servers look for them."""
    if seconds < math.inf and seconds not in _declared:
        _declared.add(seconds)
        for listener in list(_listeners):
            listener()


def shortest() -> float:
    """The shortest limit that was declared, in seconds; infinity: none was."""
    return min(_declared, default=math.inf)


def listen(listener: Callable[[], object]) -> Callable[[], object]:
    """Call `listener` when a limit is declared; returns a function that ends this."""
    _listeners.append(listener)
    return partial(_forget, listener)


def _forget(listener: Callable[[], object]) -> None:
    if listener in _listeners:
        _listeners.remove(listener)


def limit_of(exchange: Any) -> TimeLimit | None:
    """The limit that its application gives a request; None: none."""
    for find in finders:
        found = find(exchange)
        if found is not None:
            return found
    return None
