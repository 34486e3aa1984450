"""Whether an object can be called as a WSGI application, and what it is if it cannot.

An ASGI application is a callable too. Called with an environ, it fails at each request, or returns
a coroutine that is never awaited. This module detects such an application before the first request.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from types import BuiltinFunctionType, FunctionType, MethodType, MethodWrapperType
from typing import Any

ASGI = ("scope", "receive", "send")
PLAIN = (FunctionType, MethodType, BuiltinFunctionType, MethodWrapperType, partial)
WHAT_TO_DO = (
    "Carboy does not serve ASGI yet. Use an ASGI server, for example uvicorn, or give its WSGI"
    " application if it has one."
)


def check(app: Any) -> None:
    """Raise TypeError, which says what to do, if `app` cannot be a WSGI application."""
    if not callable(app):
        raise TypeError(
            f"{app!r} is not a WSGI application. Give a function or object that takes"
            " (environ, start_response)."
        )
    if is_asgi(app):
        raise TypeError(f"{named(app)} is an ASGI application. {WHAT_TO_DO}")


def is_asgi(thing: Any) -> bool:
    """Whether `thing` is an ASGI application: version 3 or 2, an object, function or class.

    Only its type is examined, because the object may be a proxy.
    """
    kind = type(thing)
    if issubclass(kind, type):
        return _is_coroutine_function(_call_of(thing)) or _is_legacy(thing)
    if issubclass(kind, PLAIN):
        return _is_coroutine_function(thing) or _names(thing) == ASGI or _is_legacy(thing)
    call = _call_of(kind)
    return _is_coroutine_function(call) or _names(call)[1:] == ASGI


def named(thing: Any) -> str:
    """The name of a function, or of the class of an object."""
    while isinstance(thing, partial):
        thing = thing.func
    kind = thing if issubclass(type(thing), (type, *PLAIN)) else type(thing)
    return f"{kind.__module__}.{getattr(kind, '__qualname__', kind)}"


def _call_of(kind: type) -> Any:
    """The function that runs when an object of this class is called."""
    return next(
        (each.__dict__["__call__"] for each in kind.__mro__ if "__call__" in each.__dict__), None
    )


def _is_coroutine_function(function: Any) -> bool:
    return inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function)


def _is_legacy(thing: Callable[..., Any]) -> bool:
    """Whether `thing` is an ASGI 2 application, which is called with the scope alone."""
    return _names(thing) == ("scope",)


def _names(function: Any) -> tuple[str, ...]:
    """The names of the parameters without a default; () if they are not known."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except Exception:  # built in, or a proxy without an object
        return ()
    given = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return tuple(
        each.name for each in parameters if each.default is each.empty and each.kind in given
    )
