"""The plan of one application's request cycle: which shortcuts the cycle may take.

A Plan says which steps of the cycle the application has replaced, and what follows from its
classes: which return values need no Response, whether a URL can be matched before there is a
Request. The open tables (hooks, views, error handlers, configuration) are not part of the plan,
because the cycle reads them at each request.

An assignment to the application discards its plan. Classes can be patched as well, which no
assignment reveals. So `plan_of` compares everything that the plan depends on with its current
state: for each request on the WSGI lane, and once per turn of the leader, before it reads requests,
on the direct lane.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from copy import copy
from functools import partial
from operator import attrgetter, itemgetter
from types import FunctionType, MethodType
from typing import TYPE_CHECKING, Any

from carboy.app import quick_urls, urls
from carboy.app.context import AppContext, RequestContext
from carboy.app.json.provider import DefaultJSONProvider
from carboy.app.sessions import SecureCookieSession, SecureCookieSessionInterface
from carboy.app.time_limits import declare_configured
from carboy.app.wrappers import Request, Response, _split_blueprint_path
from carboy.http.exceptions import HTTPException, NotFound
from carboy.http.request.request import Request as RequestBase
from carboy.http.response.response import Response as ResponseBase
from carboy.routing import Map, MapAdapter

if TYPE_CHECKING:
    from wsgiref.types import WSGIEnvironment

    from carboy.app.interface import Application
    from carboy.gateway.interface import Exchange

ENTRY = ("__call__", "wsgi_app")


class Steps:
    """True for each step that the application has replaced. The cycle runs the others itself.

    All other methods that take part in a request are always called as methods.
    """

    _find_error_handler: bool
    app_context: bool
    create_url_adapter: bool
    dispatch_request: bool
    do_teardown_appcontext: bool
    do_teardown_request: bool
    ensure_sync: bool
    finalize_request: bool
    full_dispatch_request: bool
    handle_exception: bool
    handle_http_exception: bool
    handle_user_exception: bool
    make_response: bool
    preprocess_request: bool
    process_response: bool
    raise_routing_exception: bool
    request_context: bool
    trap_http_exception: bool


STEPS = tuple(Steps.__annotations__)
# An assignment to one of these attributes discards the plan of the application.
WATCHED = frozenset(
    {
        *ENTRY,
        *STEPS,
        "__class__",
        "config",
        "json",
        "request_class",
        "response_class",
        "session_interface",
        "subdomain_matching",
        "url_map",
    }
)
URL_FACTS = ("host", "host_header")  # what the check of TRUSTED_HOSTS reads
MADE_BY = ("__init__", "__new__", "close", "environ", "from_exchange")
NAMED_BY = ("blueprint", "blueprints", "endpoint")
# What the cycle sets on a request that no rule matches, and what it reads.
ROUTED_BY = ("__setattr__", "routing_exception", "url_rule", "view_args")
SESSION_KEPT = ("is_null_session", "make_null_session", "open_session", "save_session")
NO_HOST = "no host"  # the dispatch key of requests for a host that is not served
NO_RULE = "no rule"  # the dispatch key of requests that no rule matches
MAX_HOSTS = 512  # remembered at most, because clients choose their number
INVALID = "<invalid>"  # the subdomain of a host outside SERVER_NAME, with a warning each time
CO_COROUTINE = 0x80
CO_GENERATORS = 0x20 | 0x200  # plain and async

_steps_of = attrgetter(*ENTRY, *STEPS)
_context_of = attrgetter("__init__", "pop", "push")
_match_of = attrgetter("_open_session", "match_request")
_request_of = attrgetter("__init__", "close", "from_exchange")
_base_request_of = itemgetter(*URL_FACTS, "environ")
_response_of = attrgetter(
    "__call__",
    "__init__",
    "answer",
    "automatically_set_content_length",
    "close",
    "default_mimetype",
    "default_status",
    "get_app_iter",
    "get_wsgi_headers",
    "get_wsgi_response",
    "iter_encoded",
    "set_data",
)
_error_of = attrgetter(
    "__call__", "__init__", "get_body", "get_description", "get_headers", "get_response", "name"
)
_session_of = attrgetter(*SESSION_KEPT, "session_class")
_json_of = attrgetter("dumps", "response")
_map_of = attrgetter("bind", "bind_to_environ", "lookup", "search")

_originals: dict[str, Any] = {}
# Methods of applications and blueprints for static files, which a subclass may override.
stock_methods: set[Any] = set()


def keep_originals(kind: type[Any]) -> None:
    """Keep the attributes of the classes before anything can patch them."""
    stock_methods.update((kind.get_send_file_max_age, kind.send_static_file))
    quick_urls.stock_url_for, quick_urls.stock_defaults = kind.url_for, kind.inject_url_defaults
    _originals["steps"] = dict(zip((*ENTRY, *STEPS), _steps_of(kind), strict=True))
    _originals["classes"] = _classes()
    _originals["map"] = _map_of(Map)


def _classes() -> tuple[Any, ...]:
    """The attributes of this package's classes that the shortcuts of the cycle leave out."""
    return (
        (_context_of(AppContext), _context_of(RequestContext), _match_of(RequestContext)),
        (_request_of(Request), _base_request_of(RequestBase.__dict__), len(Request.__dict__)),
        _response_of(Response),
        _error_of(HTTPException),
        _session_of(SecureCookieSessionInterface),
        _json_of(DefaultJSONProvider),
        MapAdapter.match,
    )


def _facts(app: Application) -> tuple[Any, ...]:
    """Everything that a plan depends on and that can change without an assignment."""
    url_map, session, json = app.url_map, app.session_interface, app.json
    return (
        _classes(),
        _steps_of(type(app)),
        (app.request_class, app.request_class.__init__, len(app.request_class.__dict__)),
        app.response_class,
        (session, bool(_instance_dict(session))),
        (json, _instance_dict(json).get("dumps"), _instance_dict(json).get("response")),
        (_map_of(type(url_map)), url_map.host_matching, url_map.default_subdomain),
        (NotFound.code, NotFound.description, len(NotFound.__dict__)),
    )


def _instance_dict(value: object) -> dict[str, Any]:
    """The attributes of an object that are not those of its class."""
    return getattr(value, "__dict__", {})


def plan_of(app: Application) -> Plan:
    """The plan of an application; a new one if anything that it depends on has changed."""
    plan: Plan | None = app._plan_made
    facts = _facts(app)
    if plan is None or plan.facts != facts:
        plan = app.__dict__["_plan_made"] = Plan(app, facts)
    return plan


def _same(kind: type, base: type, names: Iterable[str]) -> bool:
    """Whether a subclass has the same attributes of these names as its base."""
    return kind is base or all(_static(kind, name) is _static(base, name) for name in names)


def _static(kind: type, name: str) -> Any:
    """The attribute in the class itself: its descriptor is not called."""
    for base in kind.__mro__:
        if name in base.__dict__:
            return base.__dict__[name]
    return None


def _session_can_wait(app: Application) -> bool:
    """Whether a session can be opened when it is first used, with the same result."""
    interface = app.session_interface
    return (
        isinstance(interface, SecureCookieSessionInterface)
        and not _instance_dict(interface)
        and interface.session_class is SecureCookieSession
        and _same(type(interface), SecureCookieSessionInterface, SESSION_KEPT)
    )


class Plan(Steps):
    """The plan of one application (see the top of this file)."""

    def __init__(self, app: Application, facts: tuple[Any, ...]) -> None:
        kind, own, stock = type(app), app.__dict__, _originals["steps"]
        replaced = {name for name in stock if name in own or getattr(kind, name) is not stock[name]}
        for name in STEPS:
            setattr(self, name, name in replaced)
        self.facts = facts
        self.config = app.config
        declare_configured(app.config)
        self.direct = replaced.isdisjoint(ENTRY)
        contexts, requests, responses, errors, sessions, json, match = (
            now == then for now, then in zip(facts[0], _originals["classes"], strict=True)
        )
        self.own_contexts = not contexts or self.app_context or self.request_context
        # A replaced `create_url_adapter` has to be called when the contexts are made.
        self.full_push = self.own_contexts or self.create_url_adapter
        # Whether no code of the application is between the cycle and the view.
        self.suspends = not (self.full_dispatch_request or self.dispatch_request)
        # Whether hooks, handlers and teardown functions may be awaited without a thread, too, and
        # whether there are any that are coroutine functions (see stepwise).
        self.may_step = self.suspends and not (
            self.ensure_sync
            or self.preprocess_request
            or self.handle_exception
            or self.handle_user_exception
            or self.do_teardown_request
            or self.do_teardown_appcontext
        )
        self.awaits = False
        self.own_responses = self.finalize_request or self.make_response or self.process_response
        ResponseBase._look_for_hooks()
        when_used = getattr(app.session_interface, "opened_when_used", False)
        self.early_session = not (when_used or (sessions and _session_can_wait(app)))
        self.keyless_sessions = when_used
        self.own_teardown = self.do_teardown_request or self.do_teardown_appcontext
        self._examine_requests(app, requests, match)
        self._examine_responses(app, responses, errors, json)
        self._examine_cycle()
        self.static: dict[Any, Any] = {}  # answers with static files
        # Filled by requests: how views and hooks are called, by endpoint and by name.
        self.views: dict[str, tuple[Any, Callable[..., Any]]] = {}
        self.before: dict[str | None, Callables] = {}
        self.after: dict[str | None, Callables] = {}
        self.teardown: dict[str | None, Callables] = {}
        self.teardown_app: dict[str | None, Callables] = {}
        self.chains: dict[Any, tuple[str | None, ...]] = {}
        self.pages: dict[type[HTTPException], tuple[str | None, bytes]] = {}

    def _examine_requests(self, app: Application, requests: bool, match: bool) -> None:
        """How a request is made, and whether its URL can be matched before that."""
        kind, url_map = app.request_class, app.url_map
        stock = requests and issubclass(kind, Request)
        # A request class with its own constructor gets an environ.
        self.from_wire = stock and _same(kind, Request, MADE_BY)
        self.own_names = not _same(kind, Request, NAMED_BY)
        self.plain_errors = not self.own_names and _same(kind, Request, ROUTED_BY)
        self.matches_early = (
            stock
            and match
            and _same(kind, Request, URL_FACTS)
            and _map_of(type(url_map)) == _originals["map"]
            and not self.create_url_adapter
        )
        self.plain_urls = (
            self.matches_early and not url_map.host_matching and not app.subdomain_matching
        )
        self.find: Callable[[str, str], Any] = url_map.lookup
        self.stock_find = Map.lookup.__get__(url_map)
        self.domains: dict[Hashable, str] = {}
        self.default_domain = url_map.default_subdomain
        self.trusted: Any = None

    def _examine_responses(
        self, app: Application, responses: bool, errors: bool, json: bool
    ) -> None:
        """Which return values can be answered without a Response."""
        plain = responses and app.response_class is Response
        provider = app.json
        own_json = (
            not json
            or type(provider) is not DefaultJSONProvider
            or not _instance_dict(provider).keys().isdisjoint({"dumps", "response"})
        )
        plain_types = {str, bytes} if own_json else {str, bytes, dict, list}
        self.plain_types = frozenset(plain_types if plain else ())
        self.error_pages = plain and errors
        # Whether the page of 404 is always the same (see no_route.missing_of).
        stock_page = _error_of(NotFound) == _error_of(HTTPException) and NotFound.code == 404
        self.fixed_missing = self.error_pages and stock_page
        self.missing: tuple[str, list[tuple[str, str]], bytes, None] | None = None

    def _examine_cycle(self) -> None:
        """Which parts of the application can take part in a request at all."""
        # Whether nothing but hooks and receivers can take part in a request (see static_lane).
        self.stock_cycle = not (
            self.own_responses
            or self.full_push
            or self.full_dispatch_request
            or self.dispatch_request
            or self.preprocess_request
            or self.own_teardown
            or self.early_session
            or self.keyless_sessions
        ) and (self.from_wire and self.matches_early and bool(self.plain_types))
        # The same for a URL that is matched without its host (see _speedups/cycle.pyx).
        self.quick = self.stock_cycle and self.plain_urls and self.find == self.stock_find
        # The same for handlers as well, for a request without a rule (see no_route).
        self.stock_errors = (self.stock_cycle and self.error_pages and self.plain_errors) and not (
            self._find_error_handler
            or self.handle_http_exception
            or self.handle_user_exception
            or self.raise_routing_exception
            or self.trap_http_exception
        )

    def forget_hosts(self) -> None:
        """Forget the hosts, because TRUSTED_HOSTS has changed."""
        self.domains, self.trusted = {}, copy(self.config["TRUSTED_HOSTS"])

    def domain_of(self, app: Application, exchange: Exchange) -> str | None:
        """The domain of the rules for this host; None for a host that is not served."""
        domains = self.domains
        host = exchange.head.host
        key: Hashable = host if self.plain_urls else (exchange.scheme, host)
        domain = domains.get(key)
        if domain is None:
            try:
                adapter: Any = urls.make_adapter(app, Request.from_exchange(exchange))
            except Exception:  # the application answers it, within the contexts
                return None
            domain = adapter.server_name if app.url_map.host_matching else adapter.subdomain or ""
            # Not kept for a request without a host, nor where each request causes a warning.
            if host and domain != INVALID and len(domains) < MAX_HOSTS:
                domains[key] = domain
        return domain

    def learn_host(self, request: Request) -> None:
        """Remember that the host of a request is served, because it has an adapter."""
        if self.config["TRUSTED_HOSTS"] != self.trusted:
            self.forget_hosts()
        host = request.host_header
        if self.plain_urls and host and len(self.domains) < MAX_HOSTS:
            self.domains[host] = self.default_domain

    def can_match(self, environ: WSGIEnvironment) -> bool:
        """Whether the URL in an environ can be matched without an adapter: its host is known."""
        return (
            environ.get("HTTP_HOST") in self.domains
            and self.config["TRUSTED_HOSTS"] == self.trusted
            and "HTTP_UPGRADE" not in environ
            and bool(environ.get("PATH_INFO"))  # empty: the prefix of a mounted application
        )

    def hook_names(self, ctx: RequestContext) -> tuple[str | None, ...]:
        """The keys of a request in the tables of hooks: its blueprints from inside out, None."""
        rule: Any
        if ctx._request is None:
            rule = ctx.match[0]  # type: ignore[index]
        elif self.own_names:
            return (*ctx.request.blueprints, None)
        else:
            rule = ctx.request.url_rule
            if rule is None:
                return (None,)
        endpoint = rule.endpoint
        chain = self.chains.get(endpoint)
        if chain is None:
            names: list[str] = []
            if "." in endpoint:
                names = _split_blueprint_path(endpoint.rpartition(".")[0])
            chain = self.chains[endpoint] = (*names, None)
        return chain

    def learn_view(
        self, app: Application, endpoint: str, view: Any
    ) -> tuple[Any, Callable[..., Any]]:
        """The view and its callable, which is kept unless `ensure_sync` is replaced."""
        called: Any = app.ensure_sync(view)
        if called is not view:
            called = getattr(called, "suspending", called)  # of a coroutine function, see loop
        else:
            own, suspending = getattr(view, "suspending_view", (None, None))
            if own is view:  # a class-based view that no decorator wraps, see views
                called = suspending
        found = (view, called)
        if not self.ensure_sync:
            self.views[endpoint] = found
        return found

    def callables(
        self, app: Application, known: dict[str | None, Callables], name: str | None, hooks: Any
    ) -> list[Callable[..., Any]]:
        """The hooks of one name in a table, as they are called."""
        found = known.get(name)
        if found is None or found[0] != hooks:
            found = self.learn_hooks(app, known, name, hooks)
        return found[1]

    def learn_hooks(
        self,
        app: Application,
        known: dict[str | None, Callables],
        name: str | None,
        hooks: Iterable[Any],
    ) -> Callables:
        """The hooks of one name in a table and their callables, kept like those of views."""
        kept = list(hooks)
        found = (kept, [app.ensure_sync(hook) for hook in kept])
        self.awaits = self.awaits or found[0] != found[1]
        if not self.ensure_sync:
            known[name] = found
        return found


Callables = tuple[list[Any], list[Callable[..., Any]]]


def is_coroutine_function(func: Any) -> bool:
    """Whether calling `func` returns a coroutine: inspect.iscoroutinefunction, not imported."""
    func = _innermost(func)
    if isinstance(func, FunctionType):
        return bool(func.__code__.co_flags & CO_COROUTINE) or hasattr(func, "_is_coroutine_mark")
    return hasattr(func, "_is_coroutine_mark")


def is_generator_function(func: Any) -> bool:
    """Whether calling `func` returns a generator or an async generator."""
    func = _innermost(func)
    return isinstance(func, FunctionType) and bool(func.__code__.co_flags & CO_GENERATORS)


def _innermost(func: Any) -> Any:
    while isinstance(func, MethodType | partial):
        func = func.__func__ if isinstance(func, MethodType) else func.func
    return func
