"""The direct lane: from a server's exchange to its answer without an environ.

The quick way through it leaves out what nobody asked for; the long way is the same cycle
as under WSGI. Which one is taken never shows in the result:

    quick   nothing of the cycle is overridden, the URL matched at once, nobody listens to
            the signals. Hooks, error handlers, sessions and teardown work as ever.
    long    everything else.

Open tables (hooks, views, configuration) are read at each request, because applications
and extensions change them at any time. What only an assignment to the application or a
subclass can change is decided once, in the Plan, which an assignment throws away.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from functools import partial
from types import FunctionType, MethodType
from typing import TYPE_CHECKING, Any, cast

from carboy.app import dispatch, signals
from carboy.app.context import DirectContext, RequestContext
from carboy.app.globals import _cv
from carboy.app.json.provider import DefaultJSONProvider
from carboy.app.sessions import SecureCookieSession, SecureCookieSessionInterface
from carboy.app.wrappers import Request, Response
from carboy.http.origin_exchange import path as wire_path
from carboy.http.response import Response as BaseResponse
from carboy.http.response_status import is_empty, of_code

if TYPE_CHECKING:
    from carboy.app.app import Carboy
    from carboy.gateway.interface import Answer, Exchange

ENTRY = ("__call__", "wsgi_app")
CYCLE = (
    "app_context",
    "create_url_adapter",
    "dispatch_request",
    "do_teardown_appcontext",
    "do_teardown_request",
    "ensure_sync",
    "finalize_request",
    "full_dispatch_request",
    "make_response",
    "preprocess_request",
    "process_response",
    "request_context",
)
WATCHED = frozenset(
    {
        *ENTRY,
        *CYCLE,
        "config",
        "json",
        "request_class",
        "response",
        "response_class",
        "session_interface",
        "subdomain_matching",
        "url_map",
    }
)
URL_FACTS = ("host_header", "method", "path")
REQUEST_MADE = ("__init__", "__new__", "close", "environ", "from_exchange")
SESSION_KEPT = ("is_null_session", "make_null_session", "open_session", "save_session")
RESPONSE_SHAPE = {"default_mimetype": "text/html", "default_status": 200}
HTML = ("Content-Type", "text/html; charset=utf-8")
# The field of every small page, made once: the wire remembers the pairs it has checked.
COUNTED = 1024
LENGTHS = [("Content-Length", str(size)) for size in range(COUNTED)]
CO_COROUTINE = 0x80
MAX_HOSTS = 512  # hosts known to be well-formed; a client chooses them, so they are bounded

_stock: dict[str, Any] = {}


def remember(kind: type[Carboy]) -> None:
    """Keep the class's own methods, to notice later which have been replaced."""
    _stock.update({name: kind.__dict__[name] for name in (*ENTRY, *CYCLE)})


def _untouched(app: Carboy, names: tuple[str, ...]) -> bool:
    kind, own = type(app), app.__dict__
    return all(getattr(kind, name) is _stock[name] and name not in own for name in names)


def _same(kind: type, base: type, names: tuple[str, ...]) -> bool:
    return kind is base or all(_static(kind, name) is _static(base, name) for name in names)


def _static(kind: type, name: str) -> Any:
    """The attribute as it stands in the class, without its descriptor at work."""
    for base in kind.__mro__:
        if name in base.__dict__:
            return base.__dict__[name]
    return None


def _session_is_stock(app: Carboy) -> bool:
    interface = app.session_interface
    return (
        isinstance(interface, SecureCookieSessionInterface)
        and not interface.__dict__
        and interface.session_class is SecureCookieSession
        and _same(type(interface), SecureCookieSessionInterface, SESSION_KEPT)
    )


class Plan:
    """What the request cycle of one application can leave out."""

    __slots__ = (
        "calls",
        "config",
        "direct",
        "find",
        "from_wire",
        "hosts",
        "late_session",
        "plain_urls",
        "provider",
        "quick",
        "request_class",
        "response",
        "shapes",
    )

    def __init__(self, app: Carboy) -> None:
        self.config = app.config
        self.request_class = app.request_class
        self.response = app.response_class
        self.direct = _untouched(app, ENTRY)
        # A request class that wants an environ in its constructor gets one.
        self.from_wire = issubclass(self.request_class, Request) and _same(
            self.request_class, Request, REQUEST_MADE
        )
        self.plain_urls = (
            _untouched(app, ("create_url_adapter",))
            and not app.url_map.host_matching
            and not app.subdomain_matching
            and _same(self.request_class, Request, URL_FACTS)
        )
        self.find: Callable[[str, str], Any] = app.url_map.lookup
        self.hosts: set[str] = set()
        self.late_session = _session_is_stock(app)
        self.quick = (
            self.direct
            and self.from_wire
            and self.plain_urls
            and self.late_session
            and _untouched(app, CYCLE)
        )
        self.provider = cast("DefaultJSONProvider", app.json)
        self.shapes = self._shapes(app)
        self.calls: dict[str, tuple[Any, Callable[..., Any]]] = {}

    def _shapes(self, app: Carboy) -> frozenset[type]:
        """The types of return values whose answer is known without making a Response."""
        plain = app.response_class is Response and all(
            getattr(Response, name) == value for name, value in RESPONSE_SHAPE.items()
        )
        if not plain:
            return frozenset()
        own_json = type(app.json) is not DefaultJSONProvider or bool(
            app.json.__dict__.keys() & {"dumps", "response"}
        )
        return frozenset({str, bytes} if own_json else {str, bytes, dict, list})

    def learn_host(self, request: Request) -> None:
        """An adapter could be made for this host: it is one."""
        if self.plain_urls and len(self.hosts) < MAX_HOSTS:
            self.hosts.add(request.host_header or "")

    def lookup(self, request: Request) -> Any:
        """The plain match of a request; None: ask the adapter."""
        exchange = request._exchange
        if exchange is not None:
            return exchange.match
        if (
            (request.host_header or "") not in self.hosts
            or self.config["TRUSTED_HOSTS"] is not None
            or "HTTP_UPGRADE" in request.environ
            or not request.environ.get("PATH_INFO")  # mounted, and asked for without a slash
        ):
            return None
        return self.find(request.method, request.path)

    def learn(self, app: Carboy, endpoint: str, view: Any) -> tuple[Any, Callable[..., Any]]:
        """The view and how it can be called, found out once for each view."""
        found = self.calls[endpoint] = (view, app.ensure_sync(view))
        return found


def prepare(app: Carboy, exchange: Exchange) -> Hashable:
    """Match the URL. A plain match is kept for `handle`; its endpoint is the dispatch key."""
    plan = app._plan_made or app._plan
    head = exchange.head
    if (
        plan.plain_urls
        and head.host in plan.hosts
        and not head.upgrade
        and plan.config["TRUSTED_HOSTS"] is None
    ):
        path = head.path
        if "%" in path or not path.isascii():
            path = wire_path(exchange)
        found = plan.find(head.method, path)
        if found is not None:
            exchange.match = found
            return found[0].endpoint  # type: ignore[no-any-return]
    return None


def handle(app: Carboy, exchange: Exchange) -> Answer:
    """The whole request."""
    plan = app._plan_made
    match = exchange.match
    if (
        match is None
        or plan is None
        or not plan.quick
        or _cv.get() is not None
        or (signals.loaded and signals.cycle_heard())
        or exchange.head.method == "OPTIONS"
    ):
        return _long(app, app._plan, exchange)
    if not app._got_first_request:
        app.__dict__["_got_first_request"] = True
    ctx = DirectContext()
    ctx.app = app
    ctx.exchange = exchange
    ctx.match = match
    # Python finds a default in the class much more slowly than an attribute of its own.
    ctx._after = ctx._opened = ctx._tokens = ctx._request = ctx._app_ctx = None
    token = _cv.set(ctx)
    failed: BaseException | None = None
    try:
        try:
            if app.before_request_funcs or app.url_value_preprocessors:
                rv = dispatch.preprocess(app)
            else:
                rv = None
            if rv is None:
                endpoint = match[0].endpoint
                view = app.view_functions[endpoint]
                known = plan.calls.get(endpoint)
                if known is None or known[0] is not view:
                    known = plan.learn(app, endpoint, view)
                values = match[1]
                # With ** a call goes through C, which costs more than all of a small view.
                rv = known[1](**values) if values else known[1]()
        except Exception as error:
            rv = app.handle_user_exception(error)
        return _finished(plan, app, ctx, rv)
    except Exception as error:
        failed = error
        return _answer(app.handle_exception(error), exchange)
    except BaseException as error:
        failed = error
        raise
    finally:
        if (
            failed is None
            and ctx._tokens is None
            and not app.teardown_request_funcs
            and not app.teardown_appcontext_funcs
        ):
            if ctx._request is not None:
                _release(ctx._request)
            if ctx._app_ctx is not None:
                ctx._app_ctx._cv_tokens.clear()
            _cv.reset(token)
        else:
            dispatch.finish(app, ctx, failed)


def _release(request: Request) -> None:
    """What popping the context does to its request."""
    kept = request.__dict__
    if kept.get("files"):
        request.close()
    if "environ" in kept:
        kept["environ"]["werkzeug.request"] = None


def _finished(plan: Plan, app: Carboy, ctx: DirectContext, rv: Any) -> Answer:
    """The answer of a return value, leaving out the hooks that are not there."""
    config = plan.config
    if (
        app.after_request_funcs
        or ctx._after is not None
        or ctx._opened is not None
        or (config["SECRET_KEY"] is not None and dispatch.session_to_refresh(app, ctx))
    ):
        return _answer(app.finalize_request(rv), ctx.exchange)
    status, value, kind = "200 OK", rv, type(rv)
    if kind is tuple and len(rv) == 2 and type(rv[1]) is int:
        code = rv[1]
        if 200 <= code < 600 and not is_empty(code):
            status, value = of_code(code), rv[0]
            kind = type(value)
    if kind not in plan.shapes:
        # Not `kind`: of a tuple that is the type of its first part.
        response = rv if type(rv) is plan.response else app.make_response(rv)
        return _answer(response, ctx.exchange)
    content_type = HTML
    if kind is str:
        body = value.encode()
    elif kind is bytes:
        body = value
    else:
        provider = plan.provider
        body = f"{provider.dumps_compact(value, config['DEBUG'])}\n".encode()
        content_type = ("Content-Type", provider.mimetype)
    size = len(body)
    length = LENGTHS[size] if size < COUNTED else ("Content-Length", str(size))
    if ctx.exchange.head.method == "HEAD":
        body = b""
    return status, [content_type, length], body, None


def _long(app: Carboy, plan: Plan, exchange: Exchange) -> Answer:
    """The request as under WSGI, but for the environ."""
    if plan.from_wire and _untouched(app, ("request_context",)):
        request = plan.request_class.from_exchange(exchange)
        request.json_module = app.json
        ctx = RequestContext(app, None, request=request)
    else:
        ctx = app.request_context(exchange.environ())
    error: BaseException | None = None
    try:
        try:
            response = dispatch.respond(app, ctx)
        except dispatch.Failed as failed:
            error = failed.error
            response = failed.response
        return _answer(response, exchange)
    except BaseException as raised:
        error = raised
        raise
    finally:
        dispatch.finish(app, ctx, error)


def _answer(response: Response, exchange: Exchange) -> Answer:
    """A response as an answer; one that is called its own way is called."""
    if type(response).__call__ is BaseResponse.__call__:
        return response.answer(exchange)
    started: list[Any] = []

    def start_response(status: str, headers: Any, exc_info: Any = None) -> Any:
        started[:] = [status, headers]
        return write

    def write(chunk: bytes) -> object:
        if len(started) == 2:  # the first chunk sends the head
            started.append(exchange.start(*started))
        return started[2](chunk)

    body = response(exchange.environ(), start_response)
    status, headers = started[:2]
    return status, headers, body, getattr(body, "close", None)


def is_coroutine_function(func: Any) -> bool:
    """Whether calling `func` gives a coroutine (what `inspect` says, without importing it)."""
    while isinstance(func, MethodType | partial):
        func = func.__func__ if isinstance(func, MethodType) else func.func
    if isinstance(func, FunctionType):
        return bool(func.__code__.co_flags & CO_COROUTINE) or hasattr(func, "_is_coroutine_mark")
    return hasattr(func, "_is_coroutine_mark")
