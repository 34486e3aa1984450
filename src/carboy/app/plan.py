"""What the request cycle of one application rests on, found out once and proven again.

A Plan tells which steps of the cycle the application has replaced, and what follows from its
classes: which answers need no Response to be made, whether a URL can be matched before there
is a Request. The open tables (hooks, views, error handlers, configuration) are not part of it,
because the cycle reads them as they are.

An assignment to the application throws its plan away. A class can be patched as well, which no
assignment tells, so `proven` compares all that a plan rests on with what is there now: for each
request on the WSGI lane, and once a turn of the leader, before it reads, on Carboy's server.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from copy import copy
from functools import partial
from operator import attrgetter, itemgetter
from types import FunctionType, MethodType
from typing import TYPE_CHECKING, Any

from carboy.app import urls
from carboy.app.context import AppContext, RequestContext
from carboy.app.json.provider import DefaultJSONProvider
from carboy.app.sessions import SecureCookieSession, SecureCookieSessionInterface
from carboy.app.wrappers import Request, Response, _split_blueprint_path
from carboy.http.exceptions import HTTPException
from carboy.http.request.request import Request as RequestBase
from carboy.http.response.response import Response as ResponseBase
from carboy.routing import Map, MapAdapter

if TYPE_CHECKING:
    from wsgiref.types import WSGIEnvironment

    from carboy.app.interface import Application
    from carboy.gateway.interface import Exchange

ENTRY = ("__call__", "wsgi_app")


class Steps:
    """What the cycle does by itself; True where the application has a method of its own.

    Every other method that has a part in a request is called as one.
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
    handle_http_exception: bool
    handle_user_exception: bool
    make_response: bool
    preprocess_request: bool
    process_response: bool
    raise_routing_exception: bool
    request_context: bool
    trap_http_exception: bool


STEPS = tuple(Steps.__annotations__)
# Assigned to an application, these throw its plan away.
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
URL_FACTS = ("host", "host_header")  # what trust in a host rests on
MADE_BY = ("__init__", "__new__", "close", "environ", "from_exchange")
NAMED_BY = ("blueprint", "blueprints", "endpoint")
SESSION_KEPT = ("is_null_session", "make_null_session", "open_session", "save_session")
NO_HOST = "no host"  # the dispatch key of requests for a host that is not served
NO_RULE = "no rule"  # and of those that no rule takes
MAX_HOSTS = 512  # hosts that were looked at; clients choose them
INVALID = "<invalid>"  # the subdomain of a host outside SERVER_NAME: warned of each time
CO_COROUTINE = 0x80

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
    "__call__", "get_body", "get_description", "get_headers", "get_response", "name"
)
_session_of = attrgetter(*SESSION_KEPT, "session_class")
_json_of = attrgetter("dumps", "response")
_map_of = attrgetter("bind", "bind_to_environ", "lookup", "search")

_stock: dict[str, Any] = {}


def remember(kind: type[Any]) -> None:
    """Keep the attributes of the classes as they are before anything could patch them."""
    _stock["steps"] = dict(zip((*ENTRY, *STEPS), _steps_of(kind), strict=True))
    _stock["classes"] = _classes()
    _stock["map"] = _map_of(Map)


def _classes() -> tuple[Any, ...]:
    """What the classes of this package are like that the cycle takes short cuts around."""
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
    """All that a plan rests on and an assignment to the application does not tell."""
    url_map, session, json = app.url_map, app.session_interface, app.json
    return (
        _classes(),
        _steps_of(type(app)),
        (app.request_class, app.request_class.__init__, len(app.request_class.__dict__)),
        app.response_class,
        (session, bool(_own_of(session))),
        (json, _own_of(json).get("dumps"), _own_of(json).get("response")),
        (_map_of(type(url_map)), url_map.host_matching, url_map.default_subdomain),
    )


def _own_of(value: object) -> dict[str, Any]:
    """What an object has besides its class."""
    return getattr(value, "__dict__", {})


def proven(app: Application) -> Plan:
    """The plan of an application, made anew if anything it rests on has changed."""
    plan: Plan | None = app._plan_made
    facts = _facts(app)
    if plan is None or plan.facts != facts:
        plan = app.__dict__["_plan_made"] = Plan(app, facts)
    return plan


def _same(kind: type, base: type, names: Iterable[str]) -> bool:
    """Whether a subclass has these attributes as its base has them."""
    return kind is base or all(_static(kind, name) is _static(base, name) for name in names)


def _static(kind: type, name: str) -> Any:
    """The attribute as it is in the class, without calling its descriptor."""
    for base in kind.__mro__:
        if name in base.__dict__:
            return base.__dict__[name]
    return None


def _session_is_stock(app: Application) -> bool:
    """Whether a session opened late is the same as one opened at once."""
    interface = app.session_interface
    return (
        isinstance(interface, SecureCookieSessionInterface)
        and not _own_of(interface)
        and interface.session_class is SecureCookieSession
        and _same(type(interface), SecureCookieSessionInterface, SESSION_KEPT)
    )


class Plan(Steps):
    """What one application's request cycle rests on."""

    def __init__(self, app: Application, facts: tuple[Any, ...]) -> None:
        kind, own, stock = type(app), app.__dict__, _stock["steps"]
        replaced = {name for name in stock if name in own or getattr(kind, name) is not stock[name]}
        for name in STEPS:
            setattr(self, name, name in replaced)
        self.facts = facts
        self.config = app.config
        self.direct = replaced.isdisjoint(ENTRY)
        contexts, requests, responses, errors, sessions, json, match = (
            now == then for now, then in zip(facts[0], _stock["classes"], strict=True)
        )
        self.own_contexts = not contexts or self.app_context or self.request_context
        # An adapter of the application's own is asked for when the contexts are made.
        self.whole_push = self.own_contexts or self.create_url_adapter
        self.own_answers = self.finalize_request or self.make_response or self.process_response
        ResponseBase._look_for_hooks()
        self.early_session = not (sessions and _session_is_stock(app))
        self.own_teardown = self.do_teardown_request or self.do_teardown_appcontext
        self._look_at_requests(app, requests, match)
        self._look_at_answers(app, responses, errors, json)
        # Learned as requests come: how views and hooks are called, by endpoint and by name.
        self.views: dict[str, tuple[Any, Callable[..., Any]]] = {}
        self.before: dict[str | None, Synced] = {}
        self.after: dict[str | None, Synced] = {}
        self.chains: dict[Any, tuple[str | None, ...]] = {}
        self.pages: dict[type[HTTPException], tuple[str | None, bytes]] = {}

    def _look_at_requests(self, app: Application, requests: bool, match: bool) -> None:
        """How a request is made, and whether its URL can be matched before it is."""
        kind, url_map = app.request_class, app.url_map
        stock = requests and issubclass(kind, Request)
        # A request class that wants an environ in its constructor gets one.
        self.from_wire = stock and _same(kind, Request, MADE_BY)
        self.own_names = not _same(kind, Request, NAMED_BY)
        self.matches_early = (
            stock
            and match
            and _same(kind, Request, URL_FACTS)
            and _map_of(type(url_map)) == _stock["map"]
            and not self.create_url_adapter
        )
        self.plain_urls = (
            self.matches_early and not url_map.host_matching and not app.subdomain_matching
        )
        self.find: Callable[[str, str], Any] = url_map.lookup
        self.domains: dict[Hashable, str] = {}
        self.default_domain = url_map.default_subdomain
        self.trusted: Any = None

    def _look_at_answers(self, app: Application, responses: bool, errors: bool, json: bool) -> None:
        """Which return values have an answer that is known without making a Response."""
        plain = responses and app.response_class is Response
        provider = app.json
        own_json = (
            not json
            or type(provider) is not DefaultJSONProvider
            or not _own_of(provider).keys().isdisjoint({"dumps", "response"})
        )
        shapes = {str, bytes} if own_json else {str, bytes, dict, list}
        self.shapes = frozenset(shapes if plain else ())
        self.error_pages = plain and errors

    def distrust(self) -> None:
        """Forget the hosts, because TRUSTED_HOSTS has changed."""
        self.domains, self.trusted = {}, copy(self.config["TRUSTED_HOSTS"])

    def domain_of(self, app: Application, exchange: Exchange) -> str | None:
        """What the rules for this host are filed under; None for a host that is not served."""
        domains = self.domains
        host = exchange.head.host
        key: Hashable = host if self.plain_urls else (exchange.scheme, host)
        domain = domains.get(key)
        if domain is None:
            try:
                adapter: Any = urls.make_adapter(app, Request.from_exchange(exchange))
            except Exception:  # for the application to answer, within the contexts
                return None
            domain = adapter.server_name if app.url_map.host_matching else adapter.subdomain or ""
            # Without a host it depends on the server's own name; an invalid one is warned of.
            if host and domain != INVALID and len(domains) < MAX_HOSTS:
                domains[key] = domain
        return domain

    def learn_host(self, request: Request) -> None:
        """An adapter could be made for this host: it is served."""
        if self.config["TRUSTED_HOSTS"] != self.trusted:
            self.distrust()
        host = request.host_header
        if self.plain_urls and host and len(self.domains) < MAX_HOSTS:
            self.domains[host] = self.default_domain

    def serves(self, environ: WSGIEnvironment) -> bool:
        """Whether the URL in an environ can be matched without an adapter."""
        return (
            environ.get("HTTP_HOST") in self.domains
            and self.config["TRUSTED_HOSTS"] == self.trusted
            and "HTTP_UPGRADE" not in environ
            and bool(environ.get("PATH_INFO"))  # mounted, and asked for without a slash
        )

    def names_of(self, ctx: RequestContext) -> tuple[str | None, ...]:
        """The names under which the hooks of a request are filed, from the inside out."""
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
        """The view and how it is called: found out once, unless `ensure_sync` is another one."""
        found = (view, app.ensure_sync(view))
        if not self.ensure_sync:
            self.views[endpoint] = found
        return found

    def learn_hooks(
        self,
        app: Application,
        known: dict[str | None, Synced],
        name: str | None,
        hooks: Iterable[Any],
    ) -> Synced:
        """A table's hooks of one name and how they are called; as for views."""
        kept = list(hooks)
        found = (kept, [app.ensure_sync(hook) for hook in kept])
        if not self.ensure_sync:
            known[name] = found
        return found


Synced = tuple[list[Any], list[Callable[..., Any]]]


def is_coroutine_function(func: Any) -> bool:
    """Whether calling `func` gives a coroutine (what `inspect` says, without importing it)."""
    while isinstance(func, MethodType | partial):
        func = func.__func__ if isinstance(func, MethodType) else func.func
    if isinstance(func, FunctionType):
        return bool(func.__code__.co_flags & CO_COROUTINE) or hasattr(func, "_is_coroutine_mark")
    return hasattr(func, "_is_coroutine_mark")
