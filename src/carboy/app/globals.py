"""What a view reaches without passing it around: the active application and request.

Flask has a context variable for each of the two. Setting and resetting one costs as much as
the rest of a small request, so here one variable, `_cv`, holds both: a Frame, or the context
of a request on the direct lane, which stands for itself and its application at once.
`_cv_app` and `_cv_request` are the two halves of it, with the methods of a ContextVar.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from carboy.http.local import LocalProxy

if TYPE_CHECKING:
    from carboy.app.app import Carboy
    from carboy.app.context import AppContext, RequestContext, _AppCtxGlobals
    from carboy.app.sessions import SessionMixin
    from carboy.app.wrappers import Request

__all__ = ["app_ctx", "current_app", "g", "request", "request_ctx", "session"]

T = TypeVar("T")

_no_app_msg = """\
Working outside of application context. No application is active here.

`current_app`, `g` and what builds on them work inside an application context. A
request or a command of the application has one; anywhere else make it yourself:

    with app.app_context():
        ...
"""
_no_req_msg = """\
Working outside of request context. No request is active here.

`request`, `session` and what builds on them work while a request is handled. In a
test make one with `with app.test_request_context(...):`; in a thread or a generator
that outlives the view use `copy_current_request_context` or `stream_with_context`.
"""


class Frame:
    """The active application context and request context; either may be None."""

    __slots__ = ("app_ctx", "request_ctx")

    def __init__(self, app_ctx: AppContext | None, request_ctx: RequestContext | None) -> None:
        self.app_ctx = app_ctx
        self.request_ctx = request_ctx

    # These raise AttributeError where there is no such context; the proxies know.

    @property
    def app(self) -> Carboy:
        return self.app_ctx.app  # type: ignore[union-attr]

    @property
    def request(self) -> Request:
        return self.request_ctx.request  # type: ignore[union-attr]


# Frame, or a RequestContext of the direct lane, or None.
_cv: ContextVar[Any] = ContextVar("carboy.context", default=None)


class Undo(Generic[T]):
    """What `set` gives for `reset`: the value before."""

    __slots__ = ("old_value", "var")

    def __init__(self, var: Half[T] | None, old_value: T | None) -> None:
        self.var = var
        self.old_value = old_value


class Half(Generic[T]):
    """One of the two contexts, with the methods of a ContextVar."""

    __slots__ = ("message", "name")

    def __init__(self, name: str, message: str) -> None:
        self.name = name
        self.message = message

    def get(self, *default: Any) -> T:
        """The active context; `default`, or else LookupError, if there is none."""
        frame = _cv.get()
        found = None if frame is None else getattr(frame, self.name)
        if found is not None:
            return found  # type: ignore[no-any-return]
        if default:
            return default[0]  # type: ignore[no-any-return]
        raise LookupError(self)

    def set(self, value: T | None) -> Undo[T]:
        """Make this the active context, the other one staying as it is."""
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
        return Undo(self, before)

    def reset(self, token: Undo[T]) -> None:
        """Make the context before active again."""
        self.set(token.old_value)

    def __call__(self) -> T:
        """The active context; RuntimeError with advice if there is none (for proxies)."""
        frame = _cv.get()
        found = None if frame is None else getattr(frame, self.name)
        if found is None:
            raise RuntimeError(self.message)
        return found  # type: ignore[no-any-return]

    def __repr__(self) -> str:
        return f"<context {self.name}>"


_cv_app: Half[AppContext] = Half("app_ctx", _no_app_msg)
_cv_request: Half[RequestContext] = Half("request_ctx", _no_req_msg)


def active_app() -> Carboy | None:
    """The application that is active, or None: `current_app` without the proxy."""
    try:
        return _cv.get().app  # type: ignore[no-any-return]
    except AttributeError:
        return None


def _find_app() -> Any:
    try:
        return _cv.get().app
    except AttributeError:
        raise RuntimeError(_no_app_msg) from None


def _find_request() -> Any:
    # Written out, not built upon another function: it runs for every `request.something`.
    try:
        return _cv.get().request
    except AttributeError:
        raise RuntimeError(_no_req_msg) from None


app_ctx = cast("AppContext", LocalProxy(_cv_app))
current_app = cast("Carboy", LocalProxy(_find_app))
g = cast("_AppCtxGlobals", LocalProxy(_cv_app, "g"))
request_ctx = cast("RequestContext", LocalProxy(_cv_request))
request = cast("Request", LocalProxy(_find_request))
session = cast("SessionMixin", LocalProxy(_cv_request, "session"))
