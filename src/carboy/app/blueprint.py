"""Blueprints: record routes, hooks and folders, and register them on applications later."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import timedelta
from functools import update_wrapper
from typing import TYPE_CHECKING, Any, TypeVar

from carboy.app.helpers import folder_max_age, open_in_folder, serve_static
from carboy.app.plan import stock_methods
from carboy.app.registry import Scaffold, decorator_of, extend_by_name, setupmethod
from carboy.app.urls import endpoint_from_view_func

if TYPE_CHECKING:
    from typing import IO

    from carboy.app import typing as ft
    from carboy.app.wrappers import Response

__all__ = ["Blueprint", "BlueprintSetupState"]

F = TypeVar("F", bound=Callable[..., Any])
DeferredSetupFunction = Callable[["BlueprintSetupState"], None]
_own_name = object()  # cli_group: a group with the name of the blueprint


class BlueprintSetupState:
    """A registration of a blueprint on an application: the argument of recorded functions."""

    def __init__(
        self, blueprint: Blueprint, app: Any, options: dict[str, Any], first_registration: bool
    ) -> None:
        self.app = app
        self.blueprint = blueprint
        self.options = options
        self.first_registration = first_registration
        self.subdomain = _first(options.get("subdomain"), blueprint.subdomain)
        self.url_prefix = _first(options.get("url_prefix"), blueprint.url_prefix)
        self.name = options.get("name", blueprint.name)
        self.name_prefix = options.get("name_prefix", "")
        self.url_defaults = {
            **blueprint.url_values_defaults,
            **dict(options.get("url_defaults", ())),
        }

    def add_url_rule(
        self,
        rule: str,
        endpoint: str | None = None,
        view_func: ft.RouteCallable | None = None,
        **options: Any,
    ) -> None:
        """Register a rule on the application, with the prefix and name of the blueprint."""
        if self.url_prefix is not None:
            joined = f"{self.url_prefix.rstrip('/')}/{rule.lstrip('/')}"
            rule = joined if rule else self.url_prefix
        options.setdefault("subdomain", self.subdomain)
        if endpoint is None:
            endpoint = endpoint_from_view_func(view_func)
        defaults = self.url_defaults
        if "defaults" in options:
            defaults = {**defaults, **options.pop("defaults")}
        self.app.add_url_rule(
            rule,
            f"{self.name_prefix}.{self.name}.{endpoint}".lstrip("."),
            view_func,
            defaults=defaults,
            **options,
        )


class Blueprint(Scaffold):
    """A part of an application, with a name, that can be registered under a URL prefix.

    Endpoints become `name.endpoint`. Blueprints nest; a name must not contain a dot.
    Raises ValueError for an empty or dotted name.
    """

    _got_registered_once = False

    def __init__(
        self,
        name: str,
        import_name: str,
        static_folder: str | os.PathLike[str] | None = None,
        static_url_path: str | None = None,
        template_folder: str | os.PathLike[str] | None = None,
        url_prefix: str | None = None,
        subdomain: str | None = None,
        url_defaults: dict[str, Any] | None = None,
        root_path: str | None = None,
        cli_group: str | None = _own_name,  # type: ignore[assignment]
    ) -> None:
        super().__init__(import_name, static_folder, static_url_path, template_folder, root_path)
        if not name:
            raise ValueError("'name' may not be empty. Give the blueprint a name.")
        _refuse_dot(name, "'name'")
        self.name = name
        self.url_prefix = url_prefix
        self.subdomain = subdomain
        self.deferred_functions: list[DeferredSetupFunction] = []
        self.url_values_defaults = {} if url_defaults is None else url_defaults
        self.cli_group = cli_group
        self._blueprints: list[tuple[Blueprint, dict[str, Any]]] = []

    def _check_setup_finished(self, f_name: str) -> None:
        if self._got_registered_once:
            raise AssertionError(
                f"The setup method {f_name!r} can no longer be called on the blueprint"
                f" {self.name!r}: it has already been registered, and that application would not"
                " see the change. Call the method, and import the modules that call it, before"
                " register_blueprint."
            )

    # --- recording -------------------------------------------------------------------

    @setupmethod
    def record(self, func: DeferredSetupFunction) -> None:
        """Call `func(state)` at each registration."""
        self.deferred_functions.append(func)

    @setupmethod
    def record_once(self, func: DeferredSetupFunction) -> None:
        """Call `func(state)` at the first registration on an application only."""

        def only_first(state: BlueprintSetupState) -> None:
            if state.first_registration:
                func(state)

        self.record(update_wrapper(only_first, func))

    def make_setup_state(
        self, app: Any, options: dict[str, Any], first_registration: bool = False
    ) -> BlueprintSetupState:
        """The argument of recorded functions."""
        return BlueprintSetupState(self, app, options, first_registration)

    @setupmethod
    def register_blueprint(self, blueprint: Blueprint, **options: Any) -> None:
        """Nest a blueprint: it is registered with this one, under its prefix and name."""
        if blueprint is self:
            raise ValueError(
                f"Cannot register a blueprint on itself: {self.name!r}. Register another blueprint."
            )
        self._blueprints.append((blueprint, options))

    @setupmethod
    def add_url_rule(
        self,
        rule: str,
        endpoint: str | None = None,
        view_func: ft.RouteCallable | None = None,
        provide_automatic_options: bool | None = None,
        **options: Any,
    ) -> None:
        """Record a rule; see the application's method of this name."""
        if endpoint:
            _refuse_dot(endpoint, "'endpoint'")
        if view_func is not None:
            _refuse_dot(getattr(view_func, "__name__", ""), "'view_func' name")
        self.record(
            lambda state: state.add_url_rule(
                rule,
                endpoint,
                view_func,
                provide_automatic_options=provide_automatic_options,
                **options,
            )
        )

    # --- registration ----------------------------------------------------------------

    def register(self, app: Any, options: dict[str, Any]) -> None:
        """Apply everything that is recorded to `app`; called by `app.register_blueprint`."""
        prefix = options.get("name_prefix", "")
        own = options.get("name", self.name)
        name = f"{prefix}.{own}".lstrip(".")
        known = app.blueprints.get(name)
        if known is not None:
            taken = "this blueprint" if known is self else "a different blueprint"
            raise ValueError(
                f"The name {own!r} is already registered for {taken}. Use 'name=' to give this"
                " registration a unique name."
            )
        first = not any(blueprint is self for blueprint in app.blueprints.values())
        app.blueprints[name] = self
        self._got_registered_once = True
        state = self.make_setup_state(app, options, first)
        if self.has_static_folder:
            state.add_url_rule(
                f"{self.static_url_path}/<path:filename>",
                view_func=self.send_static_file,
                endpoint="static",
            )
        # At every registration, because the hooks are found by its name.
        self._merge_blueprint_funcs(app, name)
        for deferred in self.deferred_functions:
            deferred(state)
        self._register_commands(app, options.get("cli_group", self.cli_group), name)
        for blueprint, own in self._blueprints:
            blueprint.register(app, _nested_options(state, blueprint, own, name))

    def _merge_blueprint_funcs(self, app: Any, name: str) -> None:
        for table in (
            "before_request_funcs",
            "after_request_funcs",
            "teardown_request_funcs",
            "url_default_functions",
            "url_value_preprocessors",
            "template_context_processors",
        ):
            extend_by_name(getattr(app, table), getattr(self, table), name)
        app.view_functions.update(self.view_functions)
        for key, by_code in self.error_handler_spec.items():
            target = app.error_handler_spec[name if key is None else f"{name}.{key}"]
            for code, handlers in by_code.items():
                target[code].update(handlers)

    def _register_commands(self, app: Any, group: Any, name: str) -> None:
        if "cli" not in self.__dict__ or not self.cli.commands:
            return
        if group is None:
            app.cli.commands.update(self.cli.commands)
            return
        self.cli.name = name if group is _own_name else group
        app.cli.add_command(self.cli)

    # --- files -----------------------------------------------------------------------

    def get_send_file_max_age(self, filename: str | None) -> int | None:
        """Seconds that a browser may cache a file; None: the browser has to ask each time."""
        return folder_max_age()

    def send_static_file(self, filename: str) -> Response:
        """The view of the static folder."""
        return serve_static(self, filename)

    def open_resource(
        self, resource: str, mode: str = "rb", encoding: str | None = "utf-8"
    ) -> IO[Any]:
        """Open a file below `root_path` for reading."""
        return open_in_folder(self.root_path, resource, mode, encoding)

    # --- for the whole application -------------------------------------------------------

    def _in_app(self, table: str, f: F) -> F:
        self.record_once(lambda state: getattr(state.app, table).setdefault(None, []).append(f))
        return f

    @setupmethod
    def every(
        self, interval: float | str | timedelta, *, at_start: bool = False
    ) -> Callable[[F], F]:
        """`every` of the application."""

        def decorator(f: F) -> F:
            self.record_once(lambda state: state.app.every(interval, at_start=at_start)(f))
            return f

        return decorator

    @setupmethod
    def before_app_request(self, f: F) -> F:
        """`before_request` of the whole application."""
        return self._in_app("before_request_funcs", f)

    @setupmethod
    def after_app_request(self, f: F) -> F:
        """`after_request` of the whole application."""
        return self._in_app("after_request_funcs", f)

    @setupmethod
    def teardown_app_request(self, f: F) -> F:
        """`teardown_request` of the whole application."""
        return self._in_app("teardown_request_funcs", f)

    @setupmethod
    def before_app_serving(self, f: F) -> F:
        """`before_serving` of the application."""
        self.record_once(lambda state: state.app.before_serving(f))
        return f

    @setupmethod
    def while_app_serving(self, f: F) -> F:
        """`while_serving` of the application."""
        self.record_once(lambda state: state.app.while_serving(f))
        return f

    @setupmethod
    def after_app_serving(self, f: F) -> F:
        """`after_serving` of the application."""
        self.record_once(lambda state: state.app.after_serving(f))
        return f

    @setupmethod
    def app_context_processor(self, f: F) -> F:
        """`context_processor` of the whole application."""
        return self._in_app("template_context_processors", f)

    @setupmethod
    def app_url_value_preprocessor(self, f: F) -> F:
        """`url_value_preprocessor` of the whole application."""
        return self._in_app("url_value_preprocessors", f)

    @setupmethod
    def app_url_defaults(self, f: F) -> F:
        """`url_defaults` of the whole application."""
        return self._in_app("url_default_functions", f)

    @setupmethod
    def app_errorhandler(self, code: type[Exception] | int) -> Callable[[F], F]:
        """`errorhandler` of the whole application."""

        def decorator(f: F) -> F:
            self.record_once(lambda state: state.app.register_error_handler(code, f))
            return f

        return decorator

    def _add_template_part(self, kind: str, f: Any, name: str | None) -> None:
        self.record_once(
            lambda state: getattr(state.app.jinja_env, kind).__setitem__(name or f.__name__, f)
        )

    @setupmethod
    def app_template_filter(self, name: str | None = None) -> Callable[[F], F]:
        """Decorate a filter for all templates."""
        return decorator_of(self.add_app_template_filter, name)

    @setupmethod
    def add_app_template_filter(
        self, f: ft.TemplateFilterCallable, name: str | None = None
    ) -> None:
        """Add a filter for all templates."""
        self._add_template_part("filters", f, name)

    @setupmethod
    def app_template_test(self, name: str | None = None) -> Callable[[F], F]:
        """Decorate a test for all templates."""
        return decorator_of(self.add_app_template_test, name)

    @setupmethod
    def add_app_template_test(self, f: ft.TemplateTestCallable, name: str | None = None) -> None:
        """Add a test for all templates."""
        self._add_template_part("tests", f, name)

    @setupmethod
    def app_template_global(self, name: str | None = None) -> Callable[[F], F]:
        """Decorate a global function for all templates."""
        return decorator_of(self.add_app_template_global, name)

    @setupmethod
    def add_app_template_global(
        self, f: ft.TemplateGlobalCallable, name: str | None = None
    ) -> None:
        """Add a global function for all templates."""
        self._add_template_part("globals", f, name)


def _first(given: Any, otherwise: Any) -> Any:
    return otherwise if given is None else given


def _refuse_dot(name: str, what: str) -> None:
    if "." in name:
        raise ValueError(
            f"{what} may not contain a dot: {name!r}. Dots separate the names of nested blueprints."
        )


def _nested_options(
    state: BlueprintSetupState, blueprint: Blueprint, own: dict[str, Any], name: str
) -> dict[str, Any]:
    """The options of a nested registration: prefixes and subdomains are joined."""
    options = dict(own)
    subdomain = _first(options.get("subdomain"), blueprint.subdomain)
    if state.subdomain is not None and subdomain is not None:
        options["subdomain"] = f"{subdomain}.{state.subdomain}"
    elif subdomain is not None or state.subdomain is not None:
        options["subdomain"] = _first(subdomain, state.subdomain)
    prefix = _first(options.get("url_prefix"), blueprint.url_prefix)
    if state.url_prefix is not None and prefix is not None:
        options["url_prefix"] = f"{state.url_prefix.rstrip('/')}/{prefix.lstrip('/')}"
    elif prefix is not None or state.url_prefix is not None:
        options["url_prefix"] = _first(prefix, state.url_prefix)
    options["name_prefix"] = name
    return options


stock_methods.update((Blueprint.get_send_file_max_age, Blueprint.send_static_file))
