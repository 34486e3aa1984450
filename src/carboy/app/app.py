"""The application.

An application is a registry (routes, hooks, handlers), a configuration, and a WSGI
callable. The bodies of the request cycle are in `cycle`, those about URLs in `urls`; this file is
the surface that users call and override.
It is longer than the house allows because that surface is Flask's, which is one class: cut
in parts, one would open three files to find an attribute.
"""

from __future__ import annotations

import os
import sys
import weakref
from collections.abc import Callable, Iterable
from datetime import timedelta
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, ClassVar, TypeVar, cast

from carboy.app import cycle, errors, plan, returns, signals, urls
from carboy.app.blueprint import Blueprint
from carboy.app.config import Config, ConfigAttribute
from carboy.app.context import UNSET, AppContext, RequestContext, _AppCtxGlobals
from carboy.app.defaults import DEFAULT_CONFIG
from carboy.app.globals import g, request, request_ctx
from carboy.app.helpers import (
    folder_max_age,
    get_debug_flag,
    get_load_dotenv,
    open_in_folder,
    serve_static,
)
from carboy.app.json.provider import DefaultJSONProvider, JSONProvider
from carboy.app.packages import instance_path_of
from carboy.app.registry import Scaffold, endpoint_from_view_func, setupmethod
from carboy.app.sessions import SecureCookieSessionInterface, SessionInterface
from carboy.app.wrappers import Request, Response
from carboy.http.containers.immutable import ImmutableDict
from carboy.http.exceptions import Aborter, HTTPException
from carboy.http.properties import cached_property
from carboy.http.response.redirects import redirect as _redirect
from carboy.routing import BuildError, Map, Rule

if TYPE_CHECKING:
    import logging
    from collections.abc import ValuesView
    from wsgiref.types import StartResponse, WSGIEnvironment

    from jinja2 import BaseLoader

    from carboy.app import typing as ft
    from carboy.app.commands import AppGroup
    from carboy.app.templating import Environment
    from carboy.gateway.interface import Exchange
    from carboy.http.response.response import Response as BaseResponse
    from carboy.routing import MapAdapter
    from carboy.testing import FlaskClient, FlaskCliRunner

__all__ = ["Carboy"]

F = TypeVar("F", bound=Callable[..., Any])

LEFT_OUT = (
    " * Ignoring a call to 'app.run()': the command line serves the application already."
    " Put the call under \"if __name__ == '__main__':\"."
)


def _timedelta(value: Any) -> Any:
    """Seconds as a timedelta; None stays."""
    return value if value is None or isinstance(value, timedelta) else timedelta(seconds=value)


class _LateClass:
    """A class attribute whose class lives in a module that loads when it is first asked for."""

    def __init__(self, load: Callable[[], Any]) -> None:
        self.load = load

    def __get__(self, obj: object, owner: type) -> Any:
        return self.load()


def _jinja_environment() -> type[Environment]:
    from carboy.app.templating import Environment

    return Environment


class Carboy(Scaffold):
    """A web application: register views on it, then run or serve it.

    `import_name` is usually `__name__`: templates, static files and resources are looked for
    beside that module. Raises ValueError for a relative `instance_path`, AssertionError for a
    `static_host` without `host_matching` or the other way round.
    """

    request_class: type[Request] = Request
    response_class: type[Response] = Response
    session_interface: SessionInterface = SecureCookieSessionInterface()
    aborter_class: type[Aborter] = Aborter
    jinja_environment: Any = _LateClass(_jinja_environment)
    app_ctx_globals_class: type[Any] = _AppCtxGlobals
    config_class: type[Config] = Config
    json_provider_class: type[JSONProvider] = DefaultJSONProvider
    url_rule_class: type[Rule] = Rule
    url_map_class: type[Map] = Map
    test_client_class: type[Any] | None = None
    test_cli_runner_class: type[Any] | None = None
    jinja_options: ClassVar[dict[str, Any]] = {}
    default_config: ClassVar[Any] = ImmutableDict(DEFAULT_CONFIG)

    testing = ConfigAttribute[bool]("TESTING")
    secret_key = ConfigAttribute["str | bytes | None"]("SECRET_KEY")
    permanent_session_lifetime = ConfigAttribute[timedelta](
        "PERMANENT_SESSION_LIFETIME", get_converter=_timedelta
    )

    _got_first_request = False
    _auto_reload: bool | None = None
    _plan_made: plan.Plan | None = None
    _signer: tuple[Any, Any] | None = None  # of sessions, with all it was made of

    def __init__(
        self,
        import_name: str,
        static_url_path: str | None = None,
        static_folder: str | os.PathLike[str] | None = "static",
        static_host: str | None = None,
        host_matching: bool = False,
        subdomain_matching: bool = False,
        template_folder: str | os.PathLike[str] | None = "templates",
        instance_path: str | None = None,
        instance_relative_config: bool = False,
        root_path: str | None = None,
    ) -> None:
        super().__init__(import_name, static_folder, static_url_path, template_folder, root_path)
        if instance_path is None:
            instance_path = self.auto_find_instance_path()
        elif not Path(instance_path).is_absolute():
            raise ValueError(
                f"If an instance path is given it must be absolute, and {instance_path!r} is"
                " not. Use os.path.abspath."
            )
        self.instance_path = instance_path
        self.config = self.make_config(instance_relative_config)
        self.aborter = self.make_aborter()
        self.json: JSONProvider = self.json_provider_class(self)
        self.url_build_error_handlers: list[
            Callable[[Exception, str, dict[str, Any]], str | None]
        ] = []
        self.teardown_appcontext_funcs: list[ft.TeardownCallable] = []
        self.shell_context_processors: list[ft.ShellContextProcessorCallable] = []
        self.blueprints: dict[str, Blueprint] = {}
        self.extensions: dict[str, Any] = {}
        self.url_map = self.url_map_class(host_matching=host_matching)
        self.subdomain_matching = subdomain_matching
        if self.has_static_folder:
            self._add_static_route(static_host, host_matching)

    def _add_static_route(self, static_host: str | None, host_matching: bool) -> None:
        if bool(static_host) != host_matching:
            raise AssertionError(
                "Invalid static_host/host_matching combination: set both or neither."
            )
        # A strong reference from the view would keep the application in a cycle.
        this = weakref.ref(self)

        view = lambda **kwargs: cast(Carboy, this()).send_static_file(**kwargs)  # noqa: E731
        # Extensions exempt this view by its dotted name, flask.app.<lambda>.
        view.__module__ = Carboy.send_static_file.__module__
        view.__qualname__ = "Flask.__init__.<locals>.<lambda>"
        self.add_url_rule(
            f"{self.static_url_path}/<path:filename>",
            endpoint="static",
            host=static_host,
            view_func=view,
        )

    def __setattr__(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)
        if name in plan.WATCHED:  # the plan of the request cycle rests on it
            self.__dict__.pop("_plan_made", None)

    def __delattr__(self, name: str) -> None:
        object.__delattr__(self, name)
        if name in plan.WATCHED:
            self.__dict__.pop("_plan_made", None)

    @property
    def _plan(self) -> plan.Plan:
        return self._plan_made or plan.proven(self)

    def _check_setup_finished(self, f_name: str) -> None:
        if self._got_first_request:
            raise AssertionError(
                f"The setup method {f_name!r} can no longer be called on the application: it"
                " has handled a request, and earlier requests did not see the change. Finish"
                " the setup, and import the modules that do it, before serving."
            )

    # --- what the application is ---------------------------------------------------------

    @cached_property
    def name(self) -> str:
        """The import name; for `__main__` the name of the file that is run."""
        if self.import_name != "__main__":
            return self.import_name
        filename: str | None = getattr(sys.modules["__main__"], "__file__", None)
        return "__main__" if filename is None else Path(filename).stem

    @cached_property
    def logger(self) -> logging.Logger:
        """The logger named after the application."""
        from carboy.app.logging import create_logger

        return create_logger(self)

    @cached_property
    def cli(self) -> AppGroup:  # type: ignore[override]
        """The application's own commands (a click group)."""
        from carboy.app.commands import AppGroup

        return AppGroup(name=self.name)

    @property
    def debug(self) -> bool:
        """Debug mode: DEBUG of the configuration."""
        return self.config["DEBUG"]  # type: ignore[no-any-return]

    @debug.setter
    def debug(self, value: bool) -> None:
        self.config["DEBUG"] = value
        if self.config["TEMPLATES_AUTO_RELOAD"] is None:
            # Decided now, whatever the key says when the environment is made later.
            self._auto_reload = value
            if "jinja_env" in self.__dict__:
                self.jinja_env.auto_reload = value

    def make_config(self, instance_relative: bool = False) -> Config:
        """The configuration with its defaults; called by the constructor."""
        root = self.instance_path if instance_relative else self.root_path
        defaults = dict(self.default_config)
        defaults["DEBUG"] = get_debug_flag()
        return self.config_class(root, defaults)

    def make_aborter(self) -> Aborter:
        """What `abort` calls; called by the constructor."""
        return self.aborter_class()

    def auto_find_instance_path(self) -> str:
        """The instance folder if none is given."""
        return instance_path_of(self.import_name, self.name)

    # --- templates -----------------------------------------------------------------------

    @cached_property
    def jinja_env(self) -> Environment:
        """The Jinja environment; made when first asked for."""
        return self.create_jinja_environment()

    def create_jinja_environment(self) -> Environment:
        """Make the Jinja environment from `jinja_options` and the configuration."""
        from carboy.app.templating import make_environment

        return make_environment(self)

    def create_global_jinja_loader(self) -> BaseLoader:
        """The loader that looks in the application's and the blueprints' folders."""
        from carboy.app.templating import DispatchingJinjaLoader

        return DispatchingJinjaLoader(self)

    def select_jinja_autoescape(self, filename: str | None) -> bool:
        """Whether a template is escaped: markup by its name, and templates given as text."""
        if filename is None:
            return True
        return filename.endswith((".html", ".htm", ".xml", ".xhtml", ".svg"))

    def update_template_context(self, context: dict[str, Any]) -> None:
        """Add what the context processors give; names that are there already win."""
        names: list[str | None] = [None]
        if request:
            names.extend(reversed(request.blueprints))
        given = context.copy()
        for name in names:
            for function in self.template_context_processors.get(name, ()):
                context.update(self.ensure_sync(function)())
        context.update(given)

    def make_shell_context(self) -> dict[str, Any]:
        """The names of an interactive shell."""
        names: dict[str, Any] = {"app": self, "g": g}
        for processor in self.shell_context_processors:
            names.update(processor())
        return names

    def _template_part(self, kind: str, name: str | None) -> Callable[[F], F]:
        def decorator(f: F) -> F:
            getattr(self, f"add_template_{kind}")(f, name=name)
            return f

        return decorator

    @setupmethod
    def template_filter(self, name: str | None = None) -> Callable[[F], F]:
        """Decorate a filter for templates."""
        return self._template_part("filter", name)

    @setupmethod
    def add_template_filter(self, f: ft.TemplateFilterCallable, name: str | None = None) -> None:
        """Add a filter for templates."""
        self.jinja_env.filters[name or f.__name__] = f

    @setupmethod
    def template_test(self, name: str | None = None) -> Callable[[F], F]:
        """Decorate a test for templates."""
        return self._template_part("test", name)

    @setupmethod
    def add_template_test(self, f: ft.TemplateTestCallable, name: str | None = None) -> None:
        """Add a test for templates."""
        self.jinja_env.tests[name or f.__name__] = f

    @setupmethod
    def template_global(self, name: str | None = None) -> Callable[[F], F]:
        """Decorate a global function for templates."""
        return self._template_part("global", name)

    @setupmethod
    def add_template_global(self, f: ft.TemplateGlobalCallable, name: str | None = None) -> None:
        """Add a global function for templates."""
        self.jinja_env.globals[name or f.__name__] = f

    # --- registering ---------------------------------------------------------------------

    @setupmethod
    def register_blueprint(self, blueprint: Blueprint, **options: Any) -> None:
        """Register a blueprint; the options win over what it was made with."""
        blueprint.register(self, options)

    def iter_blueprints(self) -> ValuesView[Blueprint]:
        """The blueprints in the order of their registration."""
        return self.blueprints.values()

    @setupmethod
    def add_url_rule(
        self,
        rule: str,
        endpoint: str | None = None,
        view_func: ft.RouteCallable | None = None,
        provide_automatic_options: bool | None = None,
        **options: Any,
    ) -> None:
        """Register a rule for an endpoint and, if given, the view of that endpoint.

        The endpoint defaults to the view's name, `methods` to the view's attribute of that
        name or GET. Other options are those of `routing.Rule`. Raises AssertionError if the
        endpoint has another view already.
        """
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
        automatic = provide_automatic_options
        if automatic is None:
            automatic = getattr(view_func, "provide_automatic_options", None)
        if automatic is None:
            automatic = "OPTIONS" not in methods and self.config["PROVIDE_AUTOMATIC_OPTIONS"]
            if automatic:
                methods.add("OPTIONS")
        made: Any = self.url_rule_class(rule, methods=methods, endpoint=endpoint, **options)
        made.provide_automatic_options = automatic
        self.url_map.add(made)
        if view_func is None:
            return
        known = self.view_functions.get(endpoint)
        if known is not None and known != view_func:
            raise AssertionError(
                "View function mapping is overwriting an existing endpoint function:"
                f" {endpoint}. Give one of the two views its own endpoint='...', or use"
                " functools.wraps in the decorator."
            )
        self.view_functions[endpoint] = view_func

    @setupmethod
    def teardown_appcontext(self, f: F) -> F:
        """Call `f(exception or None)` when an application context goes."""
        self.teardown_appcontext_funcs.append(f)
        return f

    @setupmethod
    def shell_context_processor(self, f: F) -> F:
        """Add what `f()` returns to the names of an interactive shell."""
        self.shell_context_processors.append(f)
        return f

    # --- URLs ----------------------------------------------------------------------------

    def create_url_adapter(self, request: Request | None) -> MapAdapter | None:
        """The URL adapter of a request; without one, of SERVER_NAME if that is set."""
        return urls.make_adapter(self, request)

    def url_for(
        self,
        /,
        endpoint: str,
        *,
        _anchor: str | None = None,
        _method: str | None = None,
        _scheme: str | None = None,
        _external: bool | None = None,
        **values: Any,
    ) -> str:
        """The URL of an endpoint with these values; what the rule does not take goes in the query.

        A leading dot means the blueprint of the present request. Outside a request the URL is
        external and needs SERVER_NAME. Raises what `handle_url_build_error` raises.
        """
        return urls.build(self, endpoint, _anchor, _method, _scheme, _external, values)

    def inject_url_defaults(self, endpoint: str, values: dict[str, Any]) -> None:
        """Run the `url_defaults` functions on the values of a URL."""
        urls.inject_defaults(self, endpoint, values)

    def handle_url_build_error(
        self, error: BuildError, endpoint: str, values: dict[str, Any]
    ) -> str:
        """A URL from the `url_build_error_handlers`; raises the error if they have none."""
        return urls.handle_build_error(self, error, endpoint, values)

    def redirect(self, location: str, code: int = 302) -> BaseResponse:
        """A response of the application's class that sends the client elsewhere."""
        return _redirect(location, code=code, Response=self.response_class)

    # --- the request cycle; bodies in `cycle` ----------------------------------------------

    def wsgi_app(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """The WSGI application proper: wrap this one in middleware, and `app` stays itself."""
        return cycle.wsgi(self, environ, start_response)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        return self.wsgi_app(environ, start_response)

    def full_dispatch_request(self) -> Response:
        """Hooks, view, error handlers and the finished response."""
        made, ctx = cycle.at_work(self)
        return self.finalize_request(cycle.returned(self, made, ctx))

    def preprocess_request(self) -> ft.ResponseReturnValue | None:
        """Run the hooks before the view; what one returns is taken for the view's answer."""
        return cycle.preprocess(self, *cycle.at_work(self))  # type: ignore[no-any-return]

    def dispatch_request(self) -> ft.ResponseReturnValue:
        """Call the view of the present request."""
        return cycle.call_view(self, *cycle.at_work(self))  # type: ignore[no-any-return]

    def raise_routing_exception(self, request: Request) -> Any:
        """Raise what URL matching found instead of a rule."""
        cycle.raise_routing(self, request)

    def finalize_request(self, rv: Any, from_error_handler: bool = False) -> Response:
        """Make a return value a response and run the hooks after the view."""
        return cycle.finalize(self, *cycle.at_work(self), rv, from_error_handler)

    def make_default_options_response(self) -> Response:
        """The answer to OPTIONS: the methods this URL allows."""
        response = self.response_class()
        adapter = request_ctx.url_adapter
        response.allow.update(() if adapter is None else adapter.allowed_methods())
        return response

    def make_response(self, rv: Any) -> Response:
        """A view's return value as a response; raises TypeError for one that is none."""
        return returns.make_response(self, rv)

    def process_response(self, response: Response) -> Response:
        """Run the hooks after the view and store the session."""
        return cycle.process(self, *cycle.at_work(self), response)

    def handle_http_exception(self, e: HTTPException) -> Any:
        """The answer to an HTTP error."""
        return errors.handle_http(self, *cycle.at_work(self), e)

    def handle_user_exception(self, e: Exception) -> Any:
        """The answer to an error of a view or hook; raised again if no handler takes it."""
        return errors.handle_user(self, *cycle.at_work(self), e)

    def handle_exception(self, e: Exception) -> Response:
        """The 500 for an error that no handler took; raised in debug mode and in tests."""
        return errors.handle_unhandled(self, e)

    def _find_error_handler(
        self, e: Exception, blueprints: list[str]
    ) -> ft.ErrorHandlerCallable | None:
        return errors.find_error_handler(self, e, blueprints)

    def trap_http_exception(self, e: Exception) -> bool:
        """Whether an HTTP error is handled like any other exception."""
        return errors.trapped(self, e)

    def should_ignore_error(self, error: BaseException | None) -> bool:
        """Whether the teardown functions are not told of this error."""
        return False

    def log_exception(self, exc_info: Any) -> None:
        """Log an error that no handler took."""
        self.logger.error(f"Exception on {request.path} [{request.method}]", exc_info=exc_info)

    def do_teardown_request(self, exc: BaseException | None = UNSET) -> None:
        """Run the teardown functions of a request."""
        cycle.teardown(self, *cycle.at_work(self), sys.exc_info()[1] if exc is UNSET else exc)

    def do_teardown_appcontext(self, exc: BaseException | None = UNSET) -> None:
        """Run the teardown functions of an application context."""
        if exc is UNSET:
            exc = sys.exc_info()[1]
        for function in reversed(self.teardown_appcontext_funcs):
            self.ensure_sync(function)(exc)
        signals.send_async("appcontext_tearing_down", self, exc=exc)

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """A function that can be called without `await`, whatever kind `func` is."""
        return self.async_to_sync(func) if plan.is_coroutine_function(func) else func

    def async_to_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """A plain function that runs a coroutine function on the process's event loop.

        The loop is one, and lives as long as the process: `carboy.app.loop`.
        """
        from carboy.app.loop import waiting_for

        return waiting_for(func)

    # --- contexts ------------------------------------------------------------------------

    def app_context(self) -> AppContext:
        """A context in which `current_app` is this application: `with app.app_context():`."""
        return AppContext(self)

    def request_context(self, environ: WSGIEnvironment) -> RequestContext:
        """A context of the request in a WSGI environ."""
        return RequestContext(self, environ)

    def test_request_context(self, *args: Any, **kwargs: Any) -> RequestContext:
        """A context of a made-up request; the arguments are those of `testing.EnvironBuilder`."""
        from carboy.testing import EnvironBuilder

        builder = EnvironBuilder(self, *args, **kwargs)
        try:
            return self.request_context(builder.get_environ())
        finally:
            builder.close()

    # --- the direct lane; it is short of time, so its functions are the methods themselves ---

    direct_prepare = cycle.prepare
    direct_handle = cycle.handle

    def direct_ready(self) -> bool:
        """Whether nothing stands between a server and this application.

        Asked once a turn, before requests are read: it looks at everything that the cycle's
        short cuts rest on, which may have been patched.
        """
        return plan.proven(self).direct

    def direct_body_limit(self, exchange: Exchange) -> int | None:
        """None: the server's own limit holds for what it receives.

        Content of undeclared length may turn out to be over MAX_CONTENT_LENGTH. That is for
        the view, or the application's handler of 413, to answer, as on the WSGI lane.
        """
        return None

    def direct_wants_stream(self, exchange: Exchange) -> bool:
        """Whether the declared content is over MAX_CONTENT_LENGTH: it is not received then.

        The view runs all the same, because Flask's raises 413 only where it reads the content:
        the application's own error handler answers, or the view has raised the limit for
        itself, or does not look at the content at all.
        """
        limit = self.config["MAX_CONTENT_LENGTH"]
        return limit is not None and (exchange.head.content_length or 0) > limit

    # --- files ---------------------------------------------------------------------------

    def get_send_file_max_age(self, filename: str | None) -> int | None:
        """Seconds that a browser may keep a file; None: it has to ask each time."""
        return folder_max_age()

    def send_static_file(self, filename: str) -> Response:
        """The view of the static folder."""
        return serve_static(self, filename)

    def open_resource(
        self, resource: str, mode: str = "rb", encoding: str | None = None
    ) -> IO[Any]:
        """Open a file below `root_path` for reading."""
        return open_in_folder(self.root_path, resource, mode, encoding)

    def open_instance_resource(
        self, resource: str, mode: str = "rb", encoding: str | None = "utf-8"
    ) -> IO[Any]:
        """Open a file of the instance folder, for writing too."""
        path = Path(self.instance_path, resource)
        return path.open(mode, encoding=None if "b" in mode else encoding)

    # --- running and testing ---------------------------------------------------------------

    def run(
        self,
        host: str | None = None,
        port: int | None = None,
        debug: bool | None = None,
        load_dotenv: bool = True,
        **options: Any,
    ) -> None:
        """Serve the application until Ctrl+C.

        Host and port default to those of SERVER_NAME, else 127.0.0.1:5000; the other options
        are those of `carboy.serving.run_simple`. In debug mode it starts again when a file
        changes, and shows errors as a page to work in. Does nothing under `carboy run`.
        """
        from carboy.app.commands import load_dotenv as read_dotenv
        from carboy.app.commands import show_server_banner
        from carboy.serving.development import is_running_from_reloader, run_simple

        if os.environ.get("FLASK_RUN_FROM_CLI") == "true":
            if not is_running_from_reloader():
                print(LEFT_OUT, file=sys.stderr)
            return
        if get_load_dotenv(load_dotenv):
            read_dotenv()
            if "CARBOY_DEBUG" in os.environ or "FLASK_DEBUG" in os.environ:
                self.debug = get_debug_flag()
        if debug is not None:
            self.debug = bool(debug)
        show_server_banner(self.debug, self.name)
        name, number = _address(self.config["SERVER_NAME"])
        options.setdefault("use_reloader", self.debug)
        options.setdefault("use_debugger", self.debug)
        options.setdefault("threaded", True)
        try:
            run_simple(host or name, number if port is None else int(port), self, **options)
        finally:
            # The application may be set up further afterwards, in an interactive session.
            self._got_first_request = False

    def test_client(self, use_cookies: bool = True, **kwargs: Any) -> FlaskClient:
        """A client that calls this application; of `test_client_class` if that is set."""
        kind = self.test_client_class
        if kind is None:
            from carboy.testing import FlaskClient

            kind = FlaskClient
        return cast(
            "FlaskClient", kind(self, self.response_class, use_cookies=use_cookies, **kwargs)
        )

    def test_cli_runner(self, **kwargs: Any) -> FlaskCliRunner:
        """A runner of this application's commands; of `test_cli_runner_class` if that is set."""
        kind = self.test_cli_runner_class
        if kind is None:
            from carboy.testing import FlaskCliRunner

            kind = FlaskCliRunner
        return cast("FlaskCliRunner", kind(self, **kwargs))


def _address(server_name: str | None) -> tuple[str, int]:
    """Host and port of SERVER_NAME, with Flask's defaults for what is missing."""
    host, _, port = (server_name or "").partition(":")
    return host or "127.0.0.1", int(port or 5000)


plan.remember(Carboy)

# What people see of the class, in repr(app) or a pickle, is what they know it by.
Flask = Carboy
Flask.__name__ = Flask.__qualname__ = "Flask"
