"""The identity of the request that is being handled: its id and its trace.

An identity is an object with the attributes `id` and `trace` (a TraceContext): the exchange of the
server, or under other servers the request of the framework. The server makes it the current one
in the context of the request (`contextvars`), where the code of an application runs, on any thread
and in coroutines. On the direct lane of a Carboy application, the context of the application leads
to it, so that most requests pay nothing: `finders` has a function for that.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from types import CodeType, FrameType
from typing import Any
from weakref import ref

# A weak reference: an exchange has the context in which this variable has its value, and each
# would keep the other alive. A compiled function has another callable that does the same.
current: ContextVar[ref[Any] | None] = ContextVar("carboy.request", default=None)
# Functions that run requests on threads of their own, such as handlers of WebSockets. Each has a
# function that finds the exchange in its frames. For commands that show the threads of a server.
runners: dict[CodeType, Callable[[FrameType], Any]] = {}
# Each returns an identity, or None.
finders: list[Callable[[], Any]] = []


def identity() -> Any:
    """The identity of the current request, None outside of a request."""
    known = current.get()
    found = None if known is None else known()
    if found is not None:
        return found
    for find in finders:
        found = find()
        if found is not None:
            return found
    return None


def request_id() -> str:
    """The id of the request that is being handled. Raises RuntimeError outside of a request."""
    return str(_found().id)


def trace_headers() -> dict[str, str]:
    """The header fields that continue the trace of this request in another service.

    Pass them with a request that the application sends: traceparent, and tracestate if the client
    has sent one (W3C Trace Context). Raises RuntimeError outside of a request.
    """
    fields: dict[str, str] = _found().trace.headers()
    return fields


def _found() -> Any:
    found = identity()
    if found is None:
        raise RuntimeError(
            "No request is being handled here. Call this function in a request, or in a thread"
            " that runs in the context of one (contextvars.copy_context)."
        )
    return found
