"""The application as the other modules of this room use it (typing.Protocol only).

`app.Carboy` is such an application. It imports most of these modules, so they know it by this
interface only. `Any` is the type of what is defined above this module.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, ValuesView
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from wsgiref.types import WSGIEnvironment

    import click
    from jinja2 import BaseLoader
    from jinja2 import Environment as JinjaEnvironment

    from carboy.app import typing as ft
    from carboy.app.config import Config
    from carboy.app.json.provider import JSONProvider
    from carboy.app.sessions import SessionInterface
    from carboy.app.wrappers import Request, Response
    from carboy.http.exceptions import Aborter, HTTPException
    from carboy.http.response.response import Response as BaseResponse
    from carboy.routing import BuildError, Map, MapAdapter, Rule

    Hooks = dict[str | None, list[Callable[..., Any]]]


class PlanOfContexts(Protocol):
    """The plan of the request cycle (`plan.Plan`) as the contexts use it."""

    plain_urls: bool
    early_session: bool

    def learn_host(self, request: Request) -> None: ...


class Application(Protocol):
    """An application."""

    # --- the classes and objects it consists of ---
    config: Config
    json: JSONProvider
    aborter: Aborter
    url_map: Map
    session_interface: SessionInterface
    request_class: type[Request]
    response_class: type[Response]
    app_ctx_globals_class: type[Any]
    url_rule_class: type[Rule]
    jinja_environment: Any
    jinja_options: dict[str, Any]
    subdomain_matching: bool
    testing: Any
    debug: bool
    permanent_session_lifetime: Any
    import_name: str
    root_path: str
    instance_path: str
    _auto_reload: bool | None
    _got_first_request: bool
    _plan_made: Any

    @property
    def name(self) -> str: ...
    @property
    def cli(self) -> click.Group: ...
    @property
    def logger(self) -> logging.Logger: ...
    @property
    def jinja_env(self) -> JinjaEnvironment: ...
    @property
    def jinja_loader(self) -> BaseLoader | None: ...
    @property
    def static_url_path(self) -> str | None: ...
    @property
    def _plan(self) -> PlanOfContexts: ...

    # --- the tables that applications and extensions fill ---
    view_functions: dict[str, ft.RouteCallable]

    @property
    def error_handler_spec(self) -> Mapping[str | None, Mapping[int | None, Mapping[Any, Any]]]: ...

    before_request_funcs: Hooks
    after_request_funcs: Hooks
    teardown_request_funcs: Hooks
    url_value_preprocessors: Hooks
    url_default_functions: Hooks
    template_context_processors: Hooks
    url_build_error_handlers: list[Callable[..., str | None]]
    teardown_appcontext_funcs: list[ft.TeardownCallable]

    # --- contexts ---
    def app_context(self) -> Any: ...
    def request_context(self, environ: WSGIEnvironment) -> Any: ...
    def create_url_adapter(self, request: Request | None) -> MapAdapter | None: ...
    def do_teardown_appcontext(self, exc: BaseException | None = ...) -> None: ...
    def do_teardown_request(self, exc: BaseException | None = ...) -> None: ...

    # --- the request cycle ---
    def full_dispatch_request(self) -> Response: ...
    def preprocess_request(self) -> Any: ...
    def dispatch_request(self) -> Any: ...
    def raise_routing_exception(self, request: Request) -> Any: ...
    def make_default_options_response(self) -> Response: ...
    def make_response(self, rv: Any) -> Response: ...
    def finalize_request(self, rv: Any, from_error_handler: bool = ...) -> Response: ...
    def process_response(self, response: Response) -> Response: ...
    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]: ...

    def _run_stepwise(self, plan: Any, ctx: Any, exchange: Any) -> Any: ...

    # --- errors ---
    def handle_http_exception(self, e: HTTPException) -> Any: ...
    def handle_user_exception(self, e: Exception) -> Any: ...
    def handle_exception(self, e: Exception) -> Response: ...
    def trap_http_exception(self, e: Exception) -> bool: ...
    def should_ignore_error(self, error: BaseException | None) -> bool: ...
    def log_exception(self, exc_info: Any) -> None: ...
    def _find_error_handler(
        self, e: Exception, blueprints: list[str]
    ) -> ft.ErrorHandlerCallable | None: ...
    @staticmethod
    def _get_exc_class_and_code(
        exc_class_or_code: type[Exception] | int,
    ) -> tuple[type[Exception], int | None]: ...

    # --- URLs, files and templates ---
    def add_url_rule(
        self, rule: str, endpoint: str | None = ..., view_func: Any = ..., **options: Any
    ) -> None: ...
    def url_for(self, /, endpoint: str, **values: Any) -> str: ...
    def inject_url_defaults(self, endpoint: str, values: dict[str, Any]) -> None: ...
    def handle_url_build_error(
        self, error: BuildError, endpoint: str, values: dict[str, Any]
    ) -> str: ...
    def redirect(self, location: str, code: int = ...) -> BaseResponse: ...
    def get_send_file_max_age(self, filename: str | None) -> int | None: ...
    def send_static_file(self, filename: str) -> Response: ...
    def update_template_context(self, context: dict[str, Any]) -> None: ...
    def create_global_jinja_loader(self) -> BaseLoader: ...
    def select_jinja_autoescape(self, filename: str | None) -> bool: ...
    def make_shell_context(self) -> dict[str, Any]: ...
    def iter_blueprints(self) -> ValuesView[Any]: ...
