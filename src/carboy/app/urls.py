"""URLs of an application: rules, adapters to match and build with, and `url_for`."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from carboy.app import quick_urls
from carboy.app.context import _cv_app, _cv_request
from carboy.app.time_limits import declare_for_rule
from carboy.app.wrappers import _split_blueprint_path
from carboy.http.request import exchange as wire
from carboy.http.request.url import get_host
from carboy.http.urls import FRAGMENT_SAFE
from carboy.late import parse
from carboy.routing import BuildError

if TYPE_CHECKING:
    from types import CodeType

    from carboy.app import typing as ft
    from carboy.app.context import AppContext, RequestContext
    from carboy.app.interface import Application
    from carboy.app.wrappers import Request
    from carboy.routing import MapAdapter


def endpoint_from_view_func(view_func: Callable[..., Any] | None) -> str:
    """The default endpoint of a view: the name of the function."""
    if view_func is None:
        raise AssertionError(
            "expected view func if endpoint is not provided: pass view_func, endpoint or both."
        )
    name: str = view_func.__name__
    return name


def add_rule(
    app: Application,
    rule: str,
    endpoint: str | None,
    view_func: ft.RouteCallable | None,
    automatic_options: bool | None,
    options: dict[str, Any],
) -> None:
    """`app.add_url_rule`."""
    if endpoint is None:
        endpoint = endpoint_from_view_func(view_func)
    methods = options.pop("methods", None)
    if methods is None:
        methods = getattr(view_func, "methods", None) or ("GET",)
    if isinstance(methods, str):
        raise TypeError(
            "Allowed methods must be a list of strings, not one string. Write methods=['POST']."
        )
    methods = {method.upper() for method in methods}
    methods |= {method.upper() for method in getattr(view_func, "required_methods", ())}
    if automatic_options is None:
        automatic_options = getattr(view_func, "provide_automatic_options", None)
    if automatic_options is None:
        automatic_options = "OPTIONS" not in methods and app.config["PROVIDE_AUTOMATIC_OPTIONS"]
        if automatic_options:
            methods.add("OPTIONS")
    limited = "timeout" in options  # None is a limit as well: any time
    seconds = options.pop("timeout", None)
    made: Any = app.url_rule_class(rule, methods=methods, endpoint=endpoint, **options)
    made.provide_automatic_options = automatic_options
    if limited:
        declare_for_rule(made, seconds)
    app.url_map.add(made)
    if view_func is None:
        return
    known = app.view_functions.get(endpoint)
    if known is not None and known != view_func:
        raise AssertionError(
            "View function mapping is overwriting an existing endpoint function:"
            f" {endpoint}. Give one of the two views its own endpoint='...', or use"
            " functools.wraps in the decorator."
        )
    app.view_functions[endpoint] = view_func


static_view_code: CodeType | None = None  # of the view of every static folder


def add_static_rule(
    app: Application, static_host: str | None, host_matching: bool, module: str
) -> None:
    """Register the rule of the static folder; `module` is the module name of its view."""
    if bool(static_host) != host_matching:
        raise AssertionError("Invalid static_host/host_matching combination: set both or neither.")
    # A strong reference from the view would make a reference cycle.
    this: Callable[[], Any] = weakref.ref(app)

    view = lambda **kwargs: this().send_static_file(**kwargs)  # noqa: E731
    global static_view_code
    static_view_code = view.__code__
    # Extensions exempt this view by its dotted name, flask.app.<lambda>.
    view.__module__ = module
    view.__qualname__ = "Flask.__init__.<locals>.<lambda>"
    app.add_url_rule(
        f"{app.static_url_path}/<path:filename>",
        endpoint="static",
        host=static_host,
        view_func=view,
    )


def make_adapter(app: Application, request: Request | None) -> MapAdapter | None:
    """The adapter of a request; without one, of SERVER_NAME if that is set."""
    config = app.config
    server_name = config["SERVER_NAME"]
    if request is None:
        if server_name is None:
            return None
        return app.url_map.bind(
            server_name,
            script_name=config["APPLICATION_ROOT"],
            url_scheme=config["PREFERRED_URL_SCHEME"],
        )
    trusted = config["TRUSTED_HOSTS"]
    if trusted is not None:
        request.trusted_hosts = trusted
    # Raises SecurityError for a host that is not trusted, before other code can use it.
    request.host  # noqa: B018
    subdomain: str | None = None
    if app.url_map.host_matching:
        server_name = None
    elif not app.subdomain_matching:
        subdomain = app.url_map.default_subdomain or ""
    exchange = request._exchange
    if (
        exchange is None
        or not exchange.head.path  # the prefix of a mounted application, without a slash
        or server_name is not None
        or subdomain is None
    ):
        return app.url_map.bind_to_environ(
            request.environ, server_name=server_name, subdomain=subdomain
        )
    # The same as bind_to_environ, without an environ. The attributes of the request are not used,
    # because a subclass may have overridden them.
    scheme = exchange.scheme
    if exchange.head.upgrade and wire.asks_for_websocket(exchange):
        scheme = "wss" if scheme == "https" else "ws"
    return app.url_map.bind(
        get_host(exchange.scheme, wire.host_header(exchange), wire.server(exchange)),
        script_name=wire.root_path(exchange),
        subdomain=subdomain,
        url_scheme=scheme,
        default_method=wire.method(exchange),
        path_info=wire.path(exchange),
        query_args=wire.query_string(exchange).decode(errors="replace"),
    )


def build(
    app: Application,
    endpoint: str,
    anchor: str | None,
    method: str | None,
    scheme: str | None,
    external: bool | None,
    values: dict[str, Any],
) -> str:
    """`app.url_for`."""
    if anchor is None and method is None and scheme is None and not external:
        path = quick_urls.path(app, endpoint, values)
        if path is not None:
            return path
    request_ctx: RequestContext | None = _cv_request.get(None)
    adapter: MapAdapter | None
    if request_ctx is not None:
        adapter = request_ctx.url_adapter
        if endpoint[:1] == ".":
            blueprint = request_ctx.request.blueprint
            endpoint = endpoint[1:] if blueprint is None else f"{blueprint}{endpoint}"
        if external is None:
            external = scheme is not None
    else:
        app_ctx: AppContext | None = _cv_app.get(None)
        adapter = app.create_url_adapter(None) if app_ctx is None else app_ctx.url_adapter
        if external is None:
            external = True
    if adapter is None:
        raise RuntimeError(
            "Unable to build URLs outside an active request without 'SERVER_NAME'. Set it"
            " in the configuration, with APPLICATION_ROOT and PREFERRED_URL_SCHEME if they"
            " differ."
        )
    if scheme is not None and not external:
        raise ValueError("When specifying '_scheme', '_external' must be left out or true.")
    app.inject_url_defaults(endpoint, values)
    try:
        url: str = adapter.build(
            endpoint, values, method=method, url_scheme=scheme, force_external=external
        )
    except BuildError as error:
        values.update(_anchor=anchor, _method=method, _scheme=scheme, _external=external)
        return app.handle_url_build_error(error, endpoint, values)
    if anchor is not None:
        url = f"{url}#{parse.quote(anchor, safe=FRAGMENT_SAFE)}"
    return url


def inject_defaults(app: Application, endpoint: str, values: dict[str, Any]) -> None:
    """Run the `url_defaults` functions: the application's, then the blueprints' from outside in."""
    names: list[str | None] = [None]
    if "." in endpoint:
        names.extend(reversed(_split_blueprint_path(endpoint.rpartition(".")[0])))
    for name in names:
        for function in app.url_default_functions.get(name, ()):
            function(endpoint, values)


def handle_build_error(
    app: Application, error: BuildError, endpoint: str, values: dict[str, Any]
) -> str:
    """Ask the `url_build_error_handlers`; raise the error if none of them has a URL."""
    for handler in app.url_build_error_handlers:
        try:
            url = handler(error, endpoint, values)
        except BuildError as another:
            error = another
        else:
            if url is not None:
                return url
    raise error
