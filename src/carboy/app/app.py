"""The application: the class that users call and override.

An application is a registry (routes, hooks, handlers), a configuration, and a WSGI callable, with
the methods of Flask. Bodies of more than a few lines are in the modules that they belong to.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterable, ValuesView
from datetime import timedelta
from typing import IO, TYPE_CHECKING, Any, ClassVar, TypeVar

from carboy.app import cycle, errors, plan, returns, stepwise, teardown, urls
from carboy.app.config import DEFAULT_CONFIG, Config, ConfigAttribute, _timedelta
from carboy.app.context import UNSET, AppContext, RequestContext, _AppCtxGlobals, _cv_request
from carboy.app.globals import g, request
from carboy.app.helpers import folder_max_age, get_debug_flag, open_in_folder, serve_static
from carboy.app.json.provider import DefaultJSONProvider, JSONProvider
from carboy.app.packages import instance_path_of, name_of
from carboy.app.registry import LateJinjaEnvironment, Scaffold, decorator_of, setupmethod
from carboy.app.serving_hooks import ServingHooks
from carboy.app.sessions import SecureCookieSessionInterface, SessionInterface
from carboy.app.wrappers import Request, Response
from carboy.http.containers.immutable import ImmutableDict
from carboy.http.exceptions import Aborter, HTTPException
from carboy.http.properties import cached_property, once_property
from carboy.http.response.redirects import redirect as _redirect
from carboy.late import pathlib
from carboy.routing import BuildError, Map, Rule

if TYPE_CHECKING:
    import logging
    from wsgiref.types import StartResponse, WSGIEnvironment

    from jinja2 import BaseLoader

    from carboy.app import typing as ft
    from carboy.app.blueprint import Blueprint
    from carboy.app.templating import Environment
    from carboy.http.response.response import Response as BaseResponse
    from carboy.routing import MapAdapter
    from carboy.testing import FlaskClient, FlaskCliRunner

__all__ = ["Carboy"]

MARKUP = (".html", ".htm", ".xml", ".xhtml", ".svg")
F = TypeVar("F", bound=Callable[..., Any])


class Carboy(ServingHooks, Scaffold):
    """A web application: register views on it, then run or serve it.

    `import_name` is usually `__name__`; folders are looked for next to that module. ValueError
    for a relative `instance_path`, AssertionError for `static_host` without `host_matching`.
    """

    request_class: type[Request] = Request
    response_class: type[Response] = Response
    session_interface: SessionInterface = SecureCookieSessionInterface()
    aborter_class: type[Aborter] = Aborter
    jinja_environment: Any = LateJinjaEnvironment()
    app_ctx_globals_class: type[Any] = _AppCtxGlobals
    config_class: type[Config] = Config
    json_provider_class: type[JSONProvider] = DefaultJSONProvider
    url_rule_class: type[Rule] = Rule
    url_map_class: type[Map] = Map
    test_client_class: type[Any] | None = None
    test_cli_runner_class: type[Any] | None = None
    jinja_options: dict[str, Any] = {}
    default_config: ClassVar[Any] = ImmutableDict(DEFAULT_CONFIG)

    testing = ConfigAttribute[bool]("TESTING")
    secret_key = ConfigAttribute[str | bytes | None]("SECRET_KEY")
    permanent_session_lifetime = ConfigAttribute[timedelta](
        "PERMANENT_SESSION_LIFETIME", get_converter=_timedelta
    )

    _got_first_request = False
    _auto_reload: bool | None = None
    _plan_made: plan.Plan | None = None
    _signer: tuple[Any, Any] | None = None  # the serializer of sessions, with its settings

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
        elif not pathlib.Path(instance_path).is_absolute():
            raise ValueError(
                f"If an instance path is given it must be absolute, and {instance_path!r} is not."
                " Use os.path.abspath."
            )
        self.instance_path = instance_path
        self.config = self.make_config(instance_relative_config)
        self.aborter = self.make_aborter()
        self.json: JSONProvider = self.json_provider_class(self)
        self.url_build_error_handlers: list[Callable[..., str | None]] = []
        self.teardown_appcontext_funcs: list[ft.TeardownCallable] = []
        self.shell_context_processors: list[ft.ShellContextProcessorCallable] = []
        self.blueprints: dict[str, Blueprint] = {}
        self.extensions: dict[str, Any] = {}
        self.url_map = self.url_map_class(host_matching=host_matching)
        self.subdomain_matching = subdomain_matching
        if self.has_static_folder:
            self._add_static_route(static_host, host_matching)

    def _add_static_route(self, static_host: str | None, host_matching: bool) -> None:
        urls.add_static_rule(self, static_host, host_matching, Carboy.wsgi_app.__module__)

    def __setattr__(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)
        if name in plan.WATCHED:
            self.__dict__.pop("_plan_made", None)

    def __delattr__(self, name: str) -> None:
        object.__delattr__(self, name)
        if name in plan.WATCHED:
            self.__dict__.pop("_plan_made", None)

    @property
    def _plan(self) -> plan.Plan:
        return self._plan_made or plan.plan_of(self)

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
        """The import name, or for `__main__` the name of the file that is run."""
        return name_of(self.import_name)

    @cached_property
    def logger(self) -> logging.Logger:
        """The logger named after the application."""
        from carboy.app.logging import create_logger

        return create_logger(self)

    @property
    def debug(self) -> bool:
        """Debug mode: DEBUG of the configuration."""
        return self.config["DEBUG"]  # type: ignore[no-any-return]

    @debug.setter
    def debug(self, value: bool) -> None:
        self.config["DEBUG"] = value
        if self.config["TEMPLATES_AUTO_RELOAD"] is None:
            self._auto_reload = value  # the key may change before the environment is made
            if "jinja_env" in self.__dict__:
                self.jinja_env.auto_reload = value

    def make_config(self, instance_relative: bool = False) -> Config:
        """The configuration with its defaults; called by the constructor."""
        root = self.instance_path if instance_relative else self.root_path
        return self.config_class(root, {**self.default_config, "DEBUG": get_debug_flag()})

    def make_aborter(self) -> Aborter:
        """The object that `abort` calls; called by the constructor."""
        return self.aborter_class()

    def auto_find_instance_path(self) -> str:
        """The instance folder of an application that was given none."""
        return instance_path_of(self.import_name, self.name)

    def get_send_file_max_age(self, filename: str | None) -> int | None:
        """Seconds that a browser may cache a file; None: the browser has to ask each time."""
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
        """Open a file of the instance folder, for reading or writing."""
        path = pathlib.Path(self.instance_path, resource)
        return path.open(mode, encoding=None if "b" in mode else encoding)

    def make_shell_context(self) -> dict[str, Any]:
        """The names of an interactive shell."""
        names: dict[str, Any] = {"app": self, "g": g}
        for processor in self.shell_context_processors:
            names.update(processor())
        return names

    # --- templates; bodies in `templating` -------------------------------------------------

    @once_property
    def jinja_env(self) -> Environment:
        """The Jinja environment, made when first asked for."""
        return self.create_jinja_environment()

    def create_jinja_environment(self) -> Environment:
        """Make the Jinja environment from `jinja_options` and the configuration."""
        from carboy.app.templating import make_environment

        return make_environment(self)

    def create_global_jinja_loader(self) -> BaseLoader:
        """The loader that looks in the folders of the application and its blueprints."""
        from carboy.app.templating import DispatchingJinjaLoader

        return DispatchingJinjaLoader(self)

    def select_jinja_autoescape(self, filename: str | None) -> bool:
        """Whether a template is escaped: one with a name of markup, or one given as text."""
        return filename is None or filename.endswith(MARKUP)

    def update_template_context(self, context: dict[str, Any]) -> None:
        """Add the variables of the context processors; names that are set already win."""
        from carboy.app.templating import add_processed

        add_processed(self, context)

    @setupmethod
    def template_filter(self, name: str | None = None) -> Callable[[F], F]:
        """Decorate a filter for templates."""
        return decorator_of(self.add_template_filter, name)

    @setupmethod
    def add_template_filter(self, f: ft.TemplateFilterCallable, name: str | None = None) -> None:
        """Add a filter for templates."""
        self.jinja_env.filters[name or f.__name__] = f

    @setupmethod
    def template_test(self, name: str | None = None) -> Callable[[F], F]:
        """Decorate a test for templates."""
        return decorator_of(self.add_template_test, name)

    @setupmethod
    def add_template_test(self, f: ft.TemplateTestCallable, name: str | None = None) -> None:
        """Add a test for templates."""
        self.jinja_env.tests[name or f.__name__] = f

    @setupmethod
    def template_global(self, name: str | None = None) -> Callable[[F], F]:
        """Decorate a global function for templates."""
        return decorator_of(self.add_template_global, name)

    @setupmethod
    def add_template_global(self, f: ft.TemplateGlobalCallable, name: str | None = None) -> None:
        """Add a global function for templates."""
        self.jinja_env.globals[name or f.__name__] = f

    # --- registering ---------------------------------------------------------------------

    @setupmethod
    def register_blueprint(self, blueprint: Blueprint, **options: Any) -> None:
        """Register a blueprint; the options override those it was made with."""
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

        The endpoint defaults to the view's name, `methods` to its attribute or GET. `timeout` is in
        seconds; other options are those of `routing.Rule`. AssertionError for a second view.
        """
        urls.add_rule(self, rule, endpoint, view_func, provide_automatic_options, options)

    @setupmethod
    def teardown_appcontext(self, f: F) -> F:
        """Call `f(exception or None)` when an application context is popped."""
        self.teardown_appcontext_funcs.append(f)
        return f

    @setupmethod
    def shell_context_processor(self, f: F) -> F:
        """Add the names that `f()` returns to an interactive shell."""
        self.shell_context_processors.append(f)
        return f

    # --- URLs; bodies in `urls` ------------------------------------------------------------

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
        """The URL of an endpoint with these values; values that the rule lacks become the query.

        A leading dot means the blueprint of the current request. Outside a request the URL is
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
        """A redirect as a response of the application's class."""
        return _redirect(location, code=code, Response=self.response_class)

    # --- the request cycle; bodies in `cycle`, `returns` and `errors` ------------------------

    def wsgi_app(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """The WSGI application itself. Wrap this method in middleware, so that `app` stays."""
        return cycle.wsgi(self, environ, start_response)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        return self.wsgi_app(environ, start_response)

    def full_dispatch_request(self) -> Response:
        """Run the hooks, the view and the error handlers, and make the response."""
        return self.finalize_request(cycle.return_value(self, *cycle.current(self)))

    def preprocess_request(self) -> ft.ResponseReturnValue | None:
        """Run the hooks before the view; a value that one returns replaces the view's."""
        return cycle.preprocess(self, *cycle.current(self))  # type: ignore[no-any-return]

    def dispatch_request(self) -> ft.ResponseReturnValue:
        """Call the view of the current request."""
        return cycle.call_view(self, *cycle.current(self))  # type: ignore[no-any-return]

    def raise_routing_exception(self, request: Request) -> Any:
        """Raise the error of URL matching."""
        errors.raise_routing(self, request)

    def finalize_request(self, rv: Any, from_error_handler: bool = False) -> Response:
        """Make a return value a response and run the hooks after the view."""
        return cycle.finalize(self, *cycle.current(self), rv, from_error_handler)

    def make_default_options_response(self) -> Response:
        """The response to OPTIONS: the methods that this URL allows."""
        return cycle.options_response(self, _cv_request())

    def make_response(self, rv: Any) -> Response:
        """A view's return value as a response; raises TypeError if it cannot be one."""
        return returns.make_response(self, rv)

    def process_response(self, response: Response) -> Response:
        """Run the hooks after the view and store the session."""
        return cycle.process(self, *cycle.current(self), response)

    def do_teardown_request(self, exc: BaseException | None = UNSET) -> None:
        """Run the teardown functions of a request."""
        teardown.teardown(self, *cycle.current(self), sys.exc_info()[1] if exc is UNSET else exc)

    def do_teardown_appcontext(self, exc: BaseException | None = UNSET) -> None:
        """Run the teardown functions of an application context."""
        teardown.teardown_app(self, sys.exc_info()[1] if exc is UNSET else exc)

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """A function that can be called without `await`, even if `func` is a coroutine function."""
        return self.async_to_sync(func) if plan.is_coroutine_function(func) else func

    def async_to_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """A plain function that runs a coroutine function on the event loop of the process."""
        from carboy.app.loop import waiting_for

        return waiting_for(func)

    def handle_http_exception(self, e: HTTPException) -> Any:
        """The response to an HTTP error."""
        return errors.handle_http(self, *cycle.current(self), e)

    def handle_user_exception(self, e: Exception) -> Any:
        """The response to an error of a view or hook; raised again without a handler."""
        return errors.handle_user(self, *cycle.current(self), e)

    def handle_exception(self, e: Exception) -> Response:
        """The 500 for an error without a handler; raised in debug mode and in tests."""
        return errors.handle_unhandled(self, e)

    def _find_error_handler(
        self, e: Exception, blueprints: list[str]
    ) -> ft.ErrorHandlerCallable | None:
        return errors.find_error_handler(self, e, blueprints)

    def trap_http_exception(self, e: Exception) -> bool:
        """Whether an HTTP error is handled like any other exception."""
        return errors.is_trapped(self, e)

    def should_ignore_error(self, error: BaseException | None) -> bool:
        """Whether the teardown functions get None instead of this error."""
        return False

    def log_exception(self, exc_info: Any) -> None:
        """Log an error without a handler."""
        self.logger.error(f"Exception on {request.path} [{request.method}]", exc_info=exc_info)

    def app_context(self) -> AppContext:
        """A context in which `current_app` is this application: `with app.app_context():`."""
        return AppContext(self)

    def request_context(self, environ: WSGIEnvironment) -> RequestContext:
        """A context of the request in a WSGI environ."""
        return RequestContext(self, environ)

    def test_request_context(self, *args: Any, **kwargs: Any) -> RequestContext:
        """A context of a made-up request; the arguments are those of `testing.EnvironBuilder`."""
        from carboy.testing import EnvironBuilder

        with contextlib.closing(EnvironBuilder(self, *args, **kwargs)) as builder:
            return self.request_context(builder.get_environ())

    # --- the direct lane: the functions themselves, because a call of a method costs more ------

    direct_ready = cycle.ready
    direct_prepare = cycle.prepare
    direct_body_limit = cycle.body_limit
    direct_wants_stream = cycle.wants_stream
    direct_handle = cycle.handle
    _run_stepwise = stepwise.run

    # --- running and testing ---------------------------------------------------------------

    def run(
        self,
        host: str | None = None,
        port: int | None = None,
        debug: bool | None = None,
        load_dotenv: bool = True,
        **options: Any,
    ) -> None:
        """Serve the application until Ctrl+C; does nothing under `carboy run`.

        Host and port default to those of SERVER_NAME, or else to 127.0.0.1:5000. The other
        options are those of `serving.run_simple`. Debug mode turns on the reloader and debugger.
        """
        from carboy.app.commands import run

        run(self, host, port, debug, load_dotenv, options)

    def test_client(self, use_cookies: bool = True, **kwargs: Any) -> FlaskClient:
        """A client that calls this application, of `test_client_class` if that is set."""
        from carboy.testing import FlaskClient

        kind: type[FlaskClient] = self.test_client_class or FlaskClient
        return kind(self, self.response_class, use_cookies=use_cookies, **kwargs)

    def test_cli_runner(self, **kwargs: Any) -> FlaskCliRunner:
        """A runner of this application's commands, of `test_cli_runner_class` if that is set."""
        from carboy.testing import FlaskCliRunner

        kind: type[FlaskCliRunner] = self.test_cli_runner_class or FlaskCliRunner
        return kind(self, **kwargs)


plan.keep_originals(Carboy)

# The class is called Flask where people see its name: in repr(app) and in pickles.
Flask = Carboy
Flask.__name__ = Flask.__qualname__ = "Flask"
