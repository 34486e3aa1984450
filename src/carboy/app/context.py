"""The two contexts: of an application, and of a request.

`g`, the session and the URL adapter are made when they are first used. A session of the default
interface depends only on the request's cookie and the configuration, so it can be opened late.
Any other session interface is asked when the context is pushed, as its author expects.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from functools import update_wrapper
from typing import TYPE_CHECKING, Any, TypeVar, cast

from carboy.app import signals
from carboy.app.active import (
    NO_APP,
    NO_REQUEST,
    ActiveContext,
    ContextSlots,
    Token,
    _cv,
    active_app,
)
from carboy.http.exceptions import HTTPException
from carboy.http.properties import lazy
from carboy.routing.adapter import matched_rule

if TYPE_CHECKING:
    from types import TracebackType
    from wsgiref.types import WSGIEnvironment

    from carboy.app import typing as ft
    from carboy.app.interface import Application
    from carboy.app.sessions import SessionMixin
    from carboy.app.wrappers import Request
    from carboy.gateway.interface import Exchange
    from carboy.routing import MapAdapter, Rule
    from carboy.routing.trie import Search

__all__ = [
    "AppContext",
    "RequestContext",
    "after_this_request",
    "copy_current_request_context",
    "has_app_context",
    "has_request_context",
]

F = TypeVar("F", bound=Callable[..., Any])


class _Unset:
    """Not given, or not made yet, where None is a value."""

    def __repr__(self) -> str:
        return "<unset>"


UNSET: Any = _Unset()

_cv_app: ActiveContext[AppContext] = ActiveContext("app_ctx", NO_APP)
_cv_request: ActiveContext[RequestContext] = ActiveContext("request_ctx", NO_REQUEST)


class _AppCtxGlobals:
    """`g`: a namespace for the objects that an application keeps during one context."""

    def get(self, name: str, default: Any = None) -> Any:
        """The attribute of this name, or `default`."""
        return self.__dict__.get(name, default)

    def pop(self, name: str, default: Any = UNSET) -> Any:
        """Remove and return an attribute; KeyError if it does not exist and there is no default."""
        if default is UNSET:
            return self.__dict__.pop(name)
        return self.__dict__.pop(name, default)

    def setdefault(self, name: str, default: Any = None) -> Any:
        """The attribute of this name, which is first set to `default` if it does not exist."""
        return self.__dict__.setdefault(name, default)

    # For type checkers: any name may be read, set and deleted.
    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...

        def __setattr__(self, name: str, value: Any) -> None: ...

        def __delattr__(self, name: str) -> None: ...

    def __contains__(self, item: str) -> bool:
        return item in self.__dict__

    def __iter__(self) -> Iterator[str]:
        return iter(self.__dict__)

    def __repr__(self) -> str:
        ctx = _cv_app.get(None)
        return object.__repr__(self) if ctx is None else f"<flask.g of {ctx.app.name!r}>"


class AppContext:
    """The context of an application: `current_app` and `g` belong to it."""

    _cv_tokens: list[Token[AppContext]]
    _g: Any = None
    _adapter: Any = UNSET

    def __init__(self, app: Application) -> None:
        self.app = app
        self._cv_tokens = []
        if not app._plan.plain_urls:
            self._adapter = app.create_url_adapter(None)

    @property
    def g(self) -> Any:
        """The namespace of this context."""
        found = self._g
        if found is None:
            found = self._g = self.app.app_ctx_globals_class()
        return found

    @g.setter
    def g(self, value: Any) -> None:
        self._g = value

    @property
    def url_adapter(self) -> MapAdapter | None:
        """The adapter that builds URLs outside a request; None unless SERVER_NAME is set."""
        if self._adapter is UNSET:
            self._adapter = self.app.create_url_adapter(None)
        return self._adapter  # type: ignore[no-any-return]

    @url_adapter.setter
    def url_adapter(self, value: MapAdapter | None) -> None:
        self._adapter = value

    def push(self) -> None:
        """Make this the active application context."""
        self._cv_tokens.append(_cv_app.set(self))
        signals.send_async("appcontext_pushed", self.app)

    def pop(self, exc: BaseException | None = UNSET) -> None:
        """Make the previous context active again. The last pop runs the teardown functions."""
        try:
            if len(self._cv_tokens) == 1:
                if exc is UNSET:
                    exc = sys.exc_info()[1]
                self.app.do_teardown_appcontext(exc)
        finally:
            active = self._leave()
        if active is not self:
            raise _wrong_order(active, self)
        signals.send_async("appcontext_popped", self.app)

    def _leave(self) -> AppContext:
        """Make the previous context active again; returns the one that was active."""
        active = _cv_app.get()
        _cv_app.reset(self._cv_tokens.pop())
        return active

    def __enter__(self) -> AppContext:
        self.push()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self.pop(exc_value)


_new_request = cast("Callable[[type[Request]], Request]", object.__new__)


def _late_request(ctx: RequestContext) -> Request:
    """The request of a context that the cycle has made. Most small views never use it."""
    app, exchange = ctx.app, ctx.exchange
    if exchange is None:
        request = app.request_class(ctx.environ)  # type: ignore[arg-type]
    else:
        request = _new_request(app.request_class)
        request._exchange = exchange
    ctx._request = request
    if ctx.match is not None:
        request.url_rule, request.view_args = ctx.match
    if ctx.match is not None or ctx.search is not None:  # found without an adapter, which sets this
        trusted = app.config["TRUSTED_HOSTS"]
        if trusted is not None:
            request.trusted_hosts = trusted
    return request


class RequestContext(ContextSlots):
    """The context of a request: `request` and `session` belong to it.

    Pushing it also pushes an application context, unless that of its application is active.
    `cycle.run` makes a context without `__init__` and pushes it without `push`. That context is
    its own Frame; its application context, its request and the tokens of its push are made when
    they are first used. If a streamed response pushes it again, it is like any other context.
    """

    app: Application
    method: str | None
    # The origin of the request, and the result of URL matching before the context was made.
    exchange: Exchange | None
    match: tuple[Rule, dict[str, Any]] | None
    # Made when first used.
    _request: Request | None  # set if it has to be closed at the end
    _app_ctx: AppContext | None
    _opened: Any  # the session; None: not opened yet
    _after: list[ft.AfterRequestCallable[Any]] | None
    _tokens: list[Any] | None
    # Defaults in the class, because each request makes a context and sets few of these.
    flashes: list[tuple[str, str]] | None = None
    environ: WSGIEnvironment | None = None  # instead of an exchange
    search: Search | None = None  # instead of a match
    copied = False  # for another thread or task
    _adapter: Any = UNSET  # made when first used
    jobs: Any = None  # those of `after_response`

    def __init__(
        self,
        app: Application,
        environ: WSGIEnvironment | None,
        request: Request | None = None,
        session: SessionMixin | None = None,
    ) -> None:
        self.app = app
        self.exchange = self.match = self._after = self._app_ctx = None
        if request is None:
            request = app.request_class(environ)  # type: ignore[arg-type]
            request.json_module = app.json
        self.request = self._request = request
        self.method = request.method
        self._tokens = []
        self._opened = session
        self.make_adapter()

    if TYPE_CHECKING:
        request: Request
    else:
        request = lazy(_late_request)

    # --- the attributes of a Frame ---

    @property
    def request_ctx(self) -> RequestContext:
        return self

    @property
    def app_ctx(self) -> AppContext:
        found = self._app_ctx
        if found is None:
            found = self._app_ctx = AppContext(self.app)
            found._cv_tokens.append(Token(None, None))
        return found

    @property
    def _cv_tokens(self) -> list[Any]:
        if self._tokens is None:
            # Pushed by the cycle and not popped yet. After another context was pushed and popped,
            # the active Frame is another object, which holds this one.
            pushed = getattr(_cv.get(), "request_ctx", None) is self
            self._tokens = [(Token(None, None), self.app_ctx)] if pushed else []
        return self._tokens

    # --- adapter, session and rule ---

    def make_adapter(self) -> MapAdapter | None:
        self._adapter = None
        try:
            self._adapter = self.app.create_url_adapter(self.request)
            self.app._plan.learn_host(self.request)
        except HTTPException as error:
            self.request.routing_exception = error
        return self._adapter  # type: ignore[no-any-return]

    @property
    def url_adapter(self) -> MapAdapter | None:
        """The adapter that matches and builds URLs for this request."""
        if self._adapter is UNSET:
            self.make_adapter()
        return self._adapter  # type: ignore[no-any-return]

    @url_adapter.setter
    def url_adapter(self, value: MapAdapter | None) -> None:
        self._adapter = value

    @property
    def _after_request_functions(self) -> list[ft.AfterRequestCallable[Any]]:
        if self._after is None:
            self._after = []
        return self._after

    @property
    def _session(self) -> SessionMixin | None:
        """The session, not marked as accessed."""
        if self._opened is None and self._cv_tokens:
            self._open_session()
        return self._opened  # type: ignore[no-any-return]

    @_session.setter
    def _session(self, value: SessionMixin | None) -> None:
        self._opened = value

    @property
    def session(self) -> SessionMixin:
        """The session, marked as accessed: the response depends on the cookie from now on."""
        found = self._opened
        if found is None:
            found = self._open_session()
        found.accessed = True
        return found  # type: ignore[no-any-return]

    def _open_session(self) -> SessionMixin:
        interface = self.app.session_interface
        found = interface.open_session(self.app, self.request)
        if found is None:
            found = interface.make_null_session(self.app)
        self._opened = found
        return found

    def copy(self) -> RequestContext:
        """A context of the same request and session, for another thread or task."""
        made = type(self)(self.app, environ=None, request=self.request, session=self._session)
        made.copied = True
        return made

    def match_request(self) -> None:
        """Find the rule of the request, or keep the error for `dispatch_request` to raise."""
        if self._adapter is None:
            return  # it could not be made, and left its error as `routing_exception`
        request, search = self.request, self.search
        if self.match is not None:
            request.url_rule, request.view_args = self.match
            return
        try:
            # Only a redirect depends on the name of the server.
            if (
                search is not None
                and search.other_path is None
                and (search.rule is None or search.rule._direct)
            ):
                request.url_rule, request.view_args = matched_rule(search)
                return
            adapter = self.url_adapter
            if adapter is not None:
                rule, args = adapter.match(return_rule=True)
                request.url_rule, request.view_args = rule, dict(args)
                exchange: Any = self.exchange or request.environ.get("carboy.exchange")
                if exchange is not None:
                    exchange.rule = rule  # for its record
        except HTTPException as error:
            request.routing_exception = error

    def open_session_early(self) -> None:
        """Open the session as its interface expects: before there is an endpoint."""
        match, self.match = self.match, None
        self._open_session()
        self.match = match

    def push(self) -> None:
        """Make this the active request, open its session and match its URL."""
        outer = _cv_app.get(None)
        own: AppContext | None = None
        if outer is None or outer.app is not self.app:
            own = self.app.app_context()
            own.push()
        self._cv_tokens.append((_cv_request.set(self), own))
        if self._opened is None and self.app._plan.early_session:
            self.open_session_early()
        self.match_request()

    def pop(self, exc: BaseException | None = UNSET) -> None:
        """Make the previous request active again. The last pop runs the teardown functions."""
        last = len(self._cv_tokens) == 1
        try:
            if last:
                if exc is UNSET:
                    exc = sys.exc_info()[1]
                self.app.do_teardown_request(exc)
                if self._request is not None:
                    self._request.close()
        finally:
            active, own = self._leave(last)
            if own is not None:
                own.pop(exc)
        if active is not self:
            raise _wrong_order(active, self)

    def _leave(self, last: bool) -> tuple[RequestContext, AppContext | None]:
        """Make the previous request active again.

        Returns the one that was active, and the application context that was pushed with it.
        """
        active = _cv_request.get()
        token, own = self._cv_tokens.pop()
        _cv_request.reset(token)
        if last and self._request is not None:
            # The environ and the request refer to each other: end the reference cycle.
            environ = self._request.__dict__.get("environ")
            if environ is not None:
                environ["werkzeug.request"] = None
        return active, own

    def __enter__(self) -> RequestContext:
        self.push()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self.pop(exc_value)

    def __repr__(self) -> str:
        request = self.request
        return f"<{type(self).__name__} {request.url!r} [{request.method}] of {self.app.name}>"


def _wrong_order(active: object, popped: object) -> AssertionError:
    kind = "app" if isinstance(popped, AppContext) else "request"
    return AssertionError(
        f"Popped wrong {kind} context: {popped!r} while {active!r} is active. Pop contexts in the"
        " reverse order of their pushes."
    )


def after_this_request(f: F) -> F:
    """Call `f(response)` after this request only; it returns the response to send."""
    ctx = _cv_request.get(None)
    if ctx is None:
        raise RuntimeError(
            "'after_this_request' can only be used when a request context is active. Call"
            " it in a view or a hook."
        )
    ctx._after_request_functions.append(f)
    return f


def copy_current_request_context(f: F) -> F:
    """A function that runs `f` with the current request active, wherever it is called.

    For background threads and tasks. They share the request and the session with the view,
    so they should only read them.
    """
    original = _cv_request.get(None)
    if original is None:
        raise RuntimeError(
            "'copy_current_request_context' can only be used when a request context is"
            " active. Decorate the function inside a view or a hook."
        )
    ctx = original.copy()

    def in_request(*args: Any, **kwargs: Any) -> Any:
        with ctx:
            return ctx.app.ensure_sync(f)(*args, **kwargs)

    return cast(F, update_wrapper(in_request, f))


def has_request_context() -> bool:
    """Whether a request is active here."""
    return _cv_request.get(None) is not None


def has_app_context() -> bool:
    """Whether an application is active here."""
    return active_app() is not None


def _default_template_ctx_processor() -> dict[str, Any]:
    """`g`, and in a request `request`; `session` is a global of the Jinja environment."""
    app_ctx = _cv_app.get(None)
    request_ctx = _cv_request.get(None)
    found: dict[str, Any] = {}
    if app_ctx is not None:
        found["g"] = app_ctx.g
    if request_ctx is not None:
        found["request"] = request_ctx.request
    return found


def release(request: Request) -> None:
    """Close the files of a request and end its reference cycle, as popping its context does."""
    kept = request.__dict__
    if kept.get("files"):
        request.close()
    if "environ" in kept:
        kept["environ"]["werkzeug.request"] = None
