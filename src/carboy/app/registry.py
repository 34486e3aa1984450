"""The base of applications and blueprints: the tables of everything that is registered.

    view functions, hooks, error handlers ── by the name of the blueprint that they belong to,
                                             None for the whole application

The tables are open: extensions read and change them. The request cycle reads them at each request
and keeps no copy.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable
from functools import update_wrapper
from typing import TYPE_CHECKING, Any, TypeVar, cast

from carboy.app.context import _default_template_ctx_processor
from carboy.app.packages import get_root_path
from carboy.http.exceptions import HTTPException, default_exceptions
from carboy.http.properties import cached_property
from carboy.late import pathlib

if TYPE_CHECKING:
    from collections.abc import Iterable

    from jinja2 import BaseLoader

    from carboy.app import typing as ft
    from carboy.app.commands import AppGroup
    from carboy.app.templating import Environment

__all__ = ["Scaffold", "setupmethod"]

F = TypeVar("F", bound=Callable[..., Any])


def setupmethod(f: F) -> F:
    """Decorate a method that must be called before the first request (or the registration)."""
    name = f.__name__

    def checked(self: Scaffold, *args: Any, **kwargs: Any) -> Any:
        self._check_setup_finished(name)
        return f(self, *args, **kwargs)

    return cast(F, update_wrapper(checked, f))


def decorator_of(add: Callable[..., object], name: str | None) -> Callable[[F], F]:
    """A decorator that calls `add(f, name=name)`."""

    def decorator(f: F) -> F:
        add(f, name=name)
        return f

    return decorator


class LateJinjaEnvironment:
    """The class attribute `jinja_environment`: loads Jinja2 when it is first read."""

    def __get__(self, obj: object, owner: type) -> type[Environment]:
        from carboy.app.templating import Environment

        return Environment


class Scaffold:
    """Routes, hooks, error handlers, folders and commands of an application or a blueprint."""

    name: str
    _static_folder: str | None = None
    _static_url_path: str | None = None

    def __init__(
        self,
        import_name: str,
        static_folder: str | os.PathLike[str] | None = None,
        static_url_path: str | None = None,
        template_folder: str | os.PathLike[str] | None = None,
        root_path: str | None = None,
    ) -> None:
        self.import_name = import_name
        self.root_path = get_root_path(import_name) if root_path is None else root_path
        self.static_folder = static_folder
        self.static_url_path = static_url_path
        self.template_folder = template_folder

        self.view_functions: dict[str, ft.RouteCallable] = {}
        self.error_handler_spec: dict[
            ft.AppOrBlueprintKey,
            dict[int | None, dict[type[Exception], ft.ErrorHandlerCallable]],
        ] = defaultdict(lambda: defaultdict(dict))
        self.before_request_funcs: dict[ft.AppOrBlueprintKey, list[ft.BeforeRequestCallable]]
        self.before_request_funcs = defaultdict(list)
        self.after_request_funcs: dict[ft.AppOrBlueprintKey, list[ft.AfterRequestCallable[Any]]]
        self.after_request_funcs = defaultdict(list)
        self.teardown_request_funcs: dict[ft.AppOrBlueprintKey, list[ft.TeardownCallable]]
        self.teardown_request_funcs = defaultdict(list)
        self.template_context_processors: dict[
            ft.AppOrBlueprintKey, list[ft.TemplateContextProcessorCallable]
        ] = defaultdict(list, {None: [_default_template_ctx_processor]})
        self.url_value_preprocessors: dict[
            ft.AppOrBlueprintKey, list[ft.URLValuePreprocessorCallable]
        ] = defaultdict(list)
        self.url_default_functions: dict[ft.AppOrBlueprintKey, list[ft.URLDefaultCallable]]
        self.url_default_functions = defaultdict(list)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r}>"

    def _check_setup_finished(self, f_name: str) -> None:
        raise NotImplementedError

    @cached_property
    def cli(self) -> AppGroup:
        """The commands that are registered here (a click group)."""
        from carboy.app.commands import AppGroup

        return AppGroup(name=self.name)

    # --- folders ---------------------------------------------------------------------

    @property
    def static_folder(self) -> str | None:
        """The absolute path of the folder with static files, or None."""
        if self._static_folder is None:
            return None
        return os.path.join(self.root_path, self._static_folder)  # noqa: PTH118 — Flask's text

    @static_folder.setter
    def static_folder(self, value: str | os.PathLike[str] | None) -> None:
        self._static_folder = None if value is None else os.fspath(value).rstrip(r"\/")

    @property
    def has_static_folder(self) -> bool:
        """Whether a static folder is set. The folder need not exist."""
        return self.static_folder is not None

    @property
    def static_url_path(self) -> str | None:
        """The URL prefix of static files; the name of the folder unless it is set."""
        if self._static_url_path is not None:
            return self._static_url_path
        if self.static_folder is None:
            return None
        # basename of the text: Path would read "root/" and "root/." as the folder root.
        return f"/{os.path.basename(self.static_folder)}".rstrip("/")  # noqa: PTH119

    @static_url_path.setter
    def static_url_path(self, value: str | None) -> None:
        self._static_url_path = None if value is None else value.rstrip("/")

    @cached_property
    def jinja_loader(self) -> BaseLoader | None:
        """The loader of the template folder, or None."""
        if self.template_folder is None:
            return None
        from jinja2 import FileSystemLoader

        return FileSystemLoader(pathlib.Path(self.root_path, self.template_folder))

    # --- routes ----------------------------------------------------------------------

    def _method_route(self, method: str, rule: str, options: dict[str, Any]) -> Callable[[F], F]:
        if "methods" in options:
            raise TypeError(
                "Use the 'route' decorator to pass 'methods'; the name of this one is its method."
            )
        return self.route(rule, methods=[method], **options)

    @setupmethod
    def get(self, rule: str, **options: Any) -> Callable[[F], F]:
        """`route` with methods=["GET"]."""
        return self._method_route("GET", rule, options)

    @setupmethod
    def post(self, rule: str, **options: Any) -> Callable[[F], F]:
        """`route` with methods=["POST"]."""
        return self._method_route("POST", rule, options)

    @setupmethod
    def put(self, rule: str, **options: Any) -> Callable[[F], F]:
        """`route` with methods=["PUT"]."""
        return self._method_route("PUT", rule, options)

    @setupmethod
    def delete(self, rule: str, **options: Any) -> Callable[[F], F]:
        """`route` with methods=["DELETE"]."""
        return self._method_route("DELETE", rule, options)

    @setupmethod
    def patch(self, rule: str, **options: Any) -> Callable[[F], F]:
        """`route` with methods=["PATCH"]."""
        return self._method_route("PATCH", rule, options)

    @setupmethod
    def route(self, rule: str, **options: Any) -> Callable[[F], F]:
        """Decorate the view of this rule (see `add_url_rule`)."""

        def decorator(f: F) -> F:
            endpoint = options.pop("endpoint", None)
            self.add_url_rule(rule, endpoint, f, **options)
            return f

        return decorator

    @setupmethod
    def add_url_rule(
        self,
        rule: str,
        endpoint: str | None = None,
        view_func: ft.RouteCallable | None = None,
        provide_automatic_options: bool | None = None,
        **options: Any,
    ) -> None:
        """Register a rule for an endpoint and, if given, the view of that endpoint."""
        raise NotImplementedError

    @setupmethod
    def endpoint(self, endpoint: str) -> Callable[[F], F]:
        """Decorate the view of an endpoint whose rules are registered elsewhere."""

        def decorator(f: F) -> F:
            self.view_functions[endpoint] = f
            return f

        return decorator

    @setupmethod
    def websocket(self, rule: str, **options: Any) -> Callable[[F], F]:
        """Decorate the handler of a WebSocket rule (see `add_websocket`)."""

        def decorator(f: F) -> F:
            endpoint = options.pop("endpoint", None)
            self.add_websocket(rule, endpoint, f, **options)
            return f

        return decorator

    @setupmethod
    def add_websocket(
        self,
        rule: str,
        endpoint: str | None,
        handler: ft.WebSocketHandler,
        *,
        subprotocols: Iterable[str] = (),
        **options: Any,
    ) -> None:
        """Register a rule for WebSocket connections.

        `handler(ws, **values)` is a function, a generator function or a coroutine function. Of
        `subprotocols`, the first that a client offers is chosen. The other options are those of
        `add_url_rule`, without `methods`.
        """
        from carboy.realtime.websocket_view import WebSocketView

        if "methods" in options:
            raise TypeError("A WebSocket rule has no methods. Leave out 'methods'.")
        if "timeout" in options:
            raise TypeError("A WebSocket has no time limit. Leave out 'timeout'.")
        view: Any = WebSocketView(handler, subprotocols)
        self.add_url_rule(rule, endpoint, view, websocket=True, **options)

    # --- hooks -----------------------------------------------------------------------

    @setupmethod
    def before_request(self, f: F) -> F:
        """Call `f()` before each request. If it returns a value, that is the response."""
        self.before_request_funcs.setdefault(None, []).append(f)
        return f

    @setupmethod
    def after_request(self, f: F) -> F:
        """Call `f(response)` after each request; it returns the response to send."""
        self.after_request_funcs.setdefault(None, []).append(f)
        return f

    @setupmethod
    def teardown_request(self, f: F) -> F:
        """Call `f(exception or None)` when the context of a request is popped."""
        self.teardown_request_funcs.setdefault(None, []).append(f)
        return f

    @setupmethod
    def context_processor(self, f: F) -> F:
        """Add the variables that `f()` returns to those of templates."""
        self.template_context_processors[None].append(f)
        return f

    @setupmethod
    def url_value_preprocessor(self, f: F) -> F:
        """Call `f(endpoint, view_args)` before each view; it may change the arguments."""
        self.url_value_preprocessors[None].append(f)
        return f

    @setupmethod
    def url_defaults(self, f: F) -> F:
        """Call `f(endpoint, values)` whenever a URL is built; it may add values."""
        self.url_default_functions[None].append(f)
        return f

    # --- errors ----------------------------------------------------------------------

    @setupmethod
    def errorhandler(self, code_or_exception: type[Exception] | int) -> Callable[[F], F]:
        """Decorate the handler of an exception class or of an HTTP status code."""

        def decorator(f: F) -> F:
            self.register_error_handler(code_or_exception, f)
            return f

        return decorator

    @setupmethod
    def register_error_handler(
        self, code_or_exception: type[Exception] | int, f: ft.ErrorHandlerCallable
    ) -> None:
        """Register the handler of an exception class or of an HTTP status code."""
        exc_class, code = self._get_exc_class_and_code(code_or_exception)
        self.error_handler_spec[None][code][exc_class] = f

    @staticmethod
    def _get_exc_class_and_code(
        exc_class_or_code: type[Exception] | int,
    ) -> tuple[type[Exception], int | None]:
        """The exception class of an error handler, and the status code of an HTTP error."""
        found: Any = exc_class_or_code
        if isinstance(found, int):
            kind = default_exceptions.get(found)
            if kind is None:
                raise ValueError(
                    f"'{found}' is not a recognized HTTP error code. Use a subclass of"
                    " HTTPException that has this code."
                )
            found = kind
        if isinstance(found, Exception):
            raise TypeError(
                f"{found!r} is an instance, not a class. Register the handler for its class."
            )
        if not issubclass(found, Exception):
            raise ValueError(
                f"{found.__name__!r} is not a subclass of Exception. Register the handler for"
                " an exception class or a status code."
            )
        return found, (found.code if issubclass(found, HTTPException) else None)


def extend_by_name(
    target: dict[Any, list[Any]], source: dict[Any, Iterable[Any]], name: str
) -> None:
    """Add a blueprint's table to the application's, under the blueprint's full name."""
    for key, values in source.items():
        target[name if key is None else f"{name}.{key}"].extend(values)
