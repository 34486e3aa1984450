"""The context variable: which application and which request are active here.

Flask has one context variable for the application and one for the request. Setting and resetting
a context variable costs as much as the rest of a small request, so here one variable, `_cv`, holds
both: a Frame, or the context of a request, which can serve as its own Frame (see `context`).
An ActiveContext gives access to one of the two, with the methods of a ContextVar.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from types import ModuleType
from typing import Any, Generic, TypeVar

from carboy.request_identity import finders
from carboy.speedups import speedups

T = TypeVar("T")
SWITCHING = "101 Switching Protocols"  # what middleware sees of a WebSocket

NO_APP = """\
Working outside of application context. No application is active here.

`current_app`, `g` and the functions that use them need an application context. There is one in
every request and in every command of the application. Anywhere else, make one:

    with app.app_context():
        ...
"""
NO_REQUEST = """\
Working outside of request context. No request is active here.

`request`, `session` and the functions that use them can only be used while a request is being
handled. In a test, make a request with `with app.test_request_context(...):`. In a thread, or in a
generator that runs after the view, use `copy_current_request_context` or `stream_with_context`.
"""


class Frame:
    """The active application context and request context; either may be None."""

    __slots__ = ("app_ctx", "request_ctx")

    def __init__(self, app_ctx: Any, request_ctx: Any) -> None:
        self.app_ctx = app_ctx
        self.request_ctx = request_ctx

    # Without a context these raise AttributeError, which the proxies expect.

    @property
    def app(self) -> Any:
        return self.app_ctx.app

    @property
    def request(self) -> Any:
        return self.request_ctx.request


class ContextSlots:
    """The attributes that the cycle sets in each context of a request (see `context`).

    Slots, because compiled functions set and read them in much less time than other attributes.
    """

    __slots__ = (
        "_after",
        "_app_ctx",
        "_opened",
        "_request",
        "_tokens",
        "app",
        "exchange",
        "match",
        "method",
    )


class Suspended(BaseException):
    """Ends the cycle for now: the view is a coroutine function, and is awaited without a thread.

    `call` is the call of the view (see `loop`), or of the handler of a WebSocket. Not an Exception,
    so that nothing handles it.
    """

    def __init__(self, call: Any) -> None:
        super().__init__("The view is awaited.")
        self.call = call

    def later(self, origin: Any, resume: Callable[..., Any], start_response: Any) -> Any:
        """Have the server go on with other requests, and call `resume` to end the cycle.

        Returns what the cycle returns for now. On the WSGI lane, that is not sent: the gateway
        knows from the exchange that the answer comes later.
        """
        answer = self.call.later(origin, resume)
        if start_response is None:
            return answer
        start_response(SWITCHING, [])
        return []


# A Frame, or a RequestContext that is its own Frame, or None.
_cv: ContextVar[Any] = ContextVar("carboy.context", default=None)


class Token(Generic[T]):
    """The value to restore: what `ActiveContext.set` returns and `reset` takes."""

    __slots__ = ("old_value", "var")

    def __init__(self, var: ActiveContext[T] | None, old_value: T | None) -> None:
        self.var = var
        self.old_value = old_value


class ActiveContext(Generic[T]):
    """The active application context, or the active request context.

    `name` is the attribute of the Frame, `message` the error text for proxies.
    """

    __slots__ = ("message", "name")

    def __init__(self, name: str, message: str) -> None:
        self.name = name
        self.message = message

    def get(self, *default: Any) -> T:
        """The active context. Without one: `default` if given, or LookupError."""
        frame = _cv.get()
        found = None if frame is None else getattr(frame, self.name)
        if found is not None:
            return found  # type: ignore[no-any-return]
        if default:
            return default[0]  # type: ignore[no-any-return]
        raise LookupError(self)

    def set(self, value: T | None) -> Token[T]:
        """Make `value` the active context and leave the other context as it is."""
        frame = _cv.get()
        before = None if frame is None else getattr(frame, self.name)
        app_ctx = None if frame is None else frame.app_ctx
        request_ctx = None if frame is None else frame.request_ctx
        if self.name == "app_ctx":
            app_ctx = value
        else:
            request_ctx = value
        empty = app_ctx is None and request_ctx is None
        _cv.set(None if empty else Frame(app_ctx, request_ctx))
        return Token(self, before)

    def reset(self, token: Token[T]) -> None:
        """Make the previous context active again."""
        self.set(token.old_value)

    def __call__(self) -> T:
        """The active context, for proxies; RuntimeError with advice if there is none."""
        frame = _cv.get()
        found = None if frame is None else getattr(frame, self.name)
        if found is None:
            raise RuntimeError(self.message)
        return found  # type: ignore[no-any-return]

    def __repr__(self) -> str:
        return f"<context {self.name}>"


def active_app() -> Any:
    """The active application, or None."""
    try:
        return _cv.get().app
    except AttributeError:
        return None


def find_app() -> Any:
    """The active application; RuntimeError with advice if there is none."""
    try:
        return _cv.get().app
    except AttributeError:
        raise RuntimeError(NO_APP) from None


def find_app_ctx() -> Any:
    """The active application context; RuntimeError with advice if there is none."""
    frame = _cv.get()
    found = None if frame is None else frame.app_ctx
    if found is None:
        raise RuntimeError(NO_APP)
    return found


def find_g() -> Any:
    """The namespace of the active application context; RuntimeError if there is none."""
    return find_app_ctx().g


def find_request() -> Any:
    """The active request; RuntimeError with advice if there is none."""
    # Not built on another function, because it runs for every `request.something`.
    try:
        return _cv.get().request
    except AttributeError:
        raise RuntimeError(NO_REQUEST) from None


def _choose(compiled: ModuleType | None) -> None:
    if compiled is not None:
        compiled.prepare_finder(find_request, _cv)


speedups.twins("local", _choose)


def _identity() -> Any:
    """The identity of the active request: its exchange, or the request under other servers."""
    ctx = getattr(_cv.get(), "request_ctx", None)
    if ctx is None:
        return None
    exchange = ctx.exchange
    if exchange is None:
        exchange = exchange_of(ctx.request)
    return exchange if hasattr(exchange, "trace") else ctx.request


finders.append(_identity)


def exchange_of(request: Any) -> Any:
    """The exchange of a request; None under other servers."""
    exchange = getattr(request, "_exchange", None)
    if exchange is not None:
        return exchange
    environ = getattr(request, "__dict__", {}).get("environ")
    return environ.get("carboy.exchange") if environ else None
