"""Time limits of requests, as an application declares them, and the exception of an exceeded one.

Both columns use this module: an application declares limits and says which of them a request has
(`finders`), and a server enforces them (server/time_limits.py).
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from types import CodeType
from typing import Any, TypeVar

from carboy.request_identity import identity

T = TypeVar("T")

KEY = "REQUEST_TIMEOUT"  # in the configuration of an application
ATTRIBUTE = "carboy_time_limit"  # of a rule, a view, a class of views, a method of one, a blueprint


class RequestTimeout(BaseException):
    """The request has taken longer than its time limit. The server raises it inside the view.

    Not an Exception, so that `except Exception` in a view does not handle it. The client has got
    its response already. Let the exception pass, and clean up in `finally` blocks.
    """

    def __init__(self, text: str = "The request has taken longer than its time limit.") -> None:
        super().__init__(text)


class TimeLimit:
    """The time that a request may take, in seconds; infinity: any.

    `upstream` is the name of the service that the view waits for: the client gets 504 then, and
    503 otherwise.
    """

    __slots__ = ("seconds", "upstream")

    def __init__(self, seconds: float, upstream: str = "") -> None:
        self.seconds = seconds
        self.upstream = upstream


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


class Wait:
    """A service that a request waits for, and the function that has said so."""

    __slots__ = ("code", "service")

    def __init__(self, service: str, code: CodeType) -> None:
        self.service = service
        self.code = code


class WaitingFor:
    """A block in which a request waits for another service; see `waiting_for`."""

    def __init__(self, service: str) -> None:
        if not isinstance(service, str):
            raise TypeError(
                f"waiting_for needs the name of a service, not {service!r}."
                " Write it like 'payments'."
            )
        if not service.strip():
            raise ValueError("waiting_for needs the name of a service. Write it like 'payments'.")
        self._service = service

    # Coroutines and threads of one request may wait at the same time, so it has a list.

    def __enter__(self) -> None:
        exchange = identity()
        if hasattr(exchange, "services"):
            wait = Wait(self._service, sys._getframe(1).f_code)
            vars(exchange).setdefault("services", []).append(wait)

    def __exit__(self, *exc: object) -> None:
        services: list[Wait] = getattr(identity(), "services", [])
        for each in reversed(services[:]):
            if each.service == self._service:
                services.remove(each)
                return


def waiting_for(service: str) -> WaitingFor:
    """A context manager: the request waits for another service in its block.

    If the request exceeds its time limit there, its client gets 504 instead of 503, and the log has
    the name. `carboy status`, `carboy top` and `carboy profile` show it. Works in all frameworks,
    in functions and coroutine functions. Has no effect outside of a request and under other
    servers. Raises TypeError for a name that is not a string, and ValueError for an empty one.
    """
    return WaitingFor(service)


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
    return min(_declared.copy(), default=math.inf)  # a limit may be declared meanwhile


def listen(listener: Callable[[], object]) -> Callable[[], object]:
    """Call `listener` when a limit is declared; returns a function that ends this."""
    _listeners.append(listener)
    return partial(_forget, listener)


def _forget(listener: Callable[[], object]) -> None:
    if listener in _listeners:
        _listeners.remove(listener)


def of_view(app: Any, rule: Any, method: str) -> TimeLimit | None:
    """The limit of a rule, or of its view in the tables of an application; None: it has none.

    The nearest one counts: of the rule, of the method of a view, of the view, of its class, of its
    blueprint, of the blueprints around that.
    """
    for each in _declaring(app, rule, method):
        limit = getattr(each, ATTRIBUTE, None)
        if isinstance(limit, TimeLimit):
            return limit
    return None


def _declaring(app: Any, rule: Any, method: str) -> Iterator[Any]:
    yield rule
    endpoint = getattr(rule, "endpoint", None)
    view = app.view_functions.get(endpoint)
    if view is None or not isinstance(endpoint, str):
        return
    kind = getattr(view, "view_class", None)
    yield getattr(kind, method.lower(), None)
    yield view
    yield kind
    name, dot, _ = endpoint.rpartition(".")
    while dot:
        yield app.blueprints.get(name)
        name, dot, _ = name.rpartition(".")


def limit_of(exchange: Any) -> TimeLimit | None:
    """The limit that its application gives a request; None: none."""
    for find in finders:
        found = find(exchange)
        if found is not None:
            return found
    return None
