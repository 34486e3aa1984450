"""Which kind of application an object is: WSGI or ASGI.

Both are callables. An ASGI application that is called with an environ fails at each request, or
returns a coroutine that is never awaited. So the kind is found before the first request.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from functools import partial
from types import BuiltinFunctionType, FunctionType, MethodType, MethodWrapperType
from typing import Any

WSGI, ASGI = "wsgi", "asgi"
INTERFACES = ("auto", WSGI, ASGI)
ASGI_PARAMETERS = ("scope", "receive", "send")
PLAIN = (FunctionType, MethodType, BuiltinFunctionType, MethodWrapperType, partial)
WHAT_TO_DO = (
    "Serve it with `carboy run`, `carboy dev`, carboy.server.serve() or run_simple(), or give its"
    " WSGI application if it has one."
)


def interface_of(app: Any, wanted: str = "auto") -> str:
    """WSGI or ASGI: the kind of `app`, or the kind that is `wanted`.

    Raises TypeError for an object that cannot be called.
    """
    if wanted == "auto" and is_asgi(app):
        return ASGI
    if wanted == "auto":
        check(app)
        return WSGI
    if not callable(app):
        raise TypeError(f"{app!r} is not an application. Give a function or object to call.")
    return wanted


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
        return _is_coroutine_function(_call_of(thing)) or is_legacy(thing)
    if issubclass(kind, PLAIN):
        return _is_coroutine_function(thing) or _names(thing) == ASGI_PARAMETERS or is_legacy(thing)
    call = _call_of(kind)
    return _is_coroutine_function(call) or _names(call)[1:] == ASGI_PARAMETERS


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


def is_legacy(thing: Callable[..., Any]) -> bool:
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


def of_version_2(app: Any) -> Callable[..., Awaitable[None]]:
    """An application of version 3 that calls one of version 2."""

    async def version_3(scope: dict[str, Any], receive: Any, send: Any) -> None:
        await app(scope)(receive, send)

    return version_3
