"""Jinja with an application: the environment, the loaders and the functions to render."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from jinja2 import BaseLoader, TemplateNotFound
from jinja2 import Environment as BaseEnvironment

from carboy.app import signals
from carboy.app.context import _default_template_ctx_processor
from carboy.app.debughelpers import explain_template_loading_attempts
from carboy.app.globals import current_app, g, request, session
from carboy.app.helpers import get_flashed_messages, stream_with_context

if TYPE_CHECKING:
    from jinja2 import Template

    from carboy.app.app import Carboy
    from carboy.app.registry import Scaffold

__all__ = [
    "DispatchingJinjaLoader",
    "Environment",
    "_default_template_ctx_processor",
    "render_template",
    "render_template_string",
    "stream_template",
    "stream_template_string",
]

Found = tuple[str, str | None, Callable[[], bool] | None]


class Environment(BaseEnvironment):
    """A Jinja environment that knows its application and loads from it and its blueprints."""

    def __init__(self, app: Carboy, **options: Any) -> None:
        if "loader" not in options:
            options["loader"] = app.create_global_jinja_loader()
        super().__init__(**options)
        self.app = app


class DispatchingJinjaLoader(BaseLoader):
    """Looks in the application's template folder, then in those of its blueprints."""

    def __init__(self, app: Carboy) -> None:
        self.app = app

    def get_source(self, environment: BaseEnvironment, template: str) -> Found:
        if self.app.config["EXPLAIN_TEMPLATE_LOADING"]:
            return self._explained(environment, template)
        for _, loader in self._iter_loaders(template):
            try:
                return loader.get_source(environment, template)
            except TemplateNotFound:
                continue
        raise TemplateNotFound(template)

    def _explained(self, environment: BaseEnvironment, template: str) -> Found:
        attempts: list[tuple[BaseLoader, Scaffold, Found | None]] = []
        first: Found | None = None
        for source, loader in self._iter_loaders(template):
            found: Found | None = None
            try:
                found = loader.get_source(environment, template)
            except TemplateNotFound:
                pass
            first = found if first is None else first
            attempts.append((loader, source, found))
        explain_template_loading_attempts(self.app, template, attempts)
        if first is None:
            raise TemplateNotFound(template)
        return first

    def _iter_loaders(self, template: str) -> Iterator[tuple[Scaffold, BaseLoader]]:
        for source in (self.app, *self.app.iter_blueprints()):
            loader = source.jinja_loader
            if loader is not None:
                yield source, loader

    def list_templates(self) -> list[str]:
        names: set[str] = set()
        for _, loader in self._iter_loaders(""):
            names.update(loader.list_templates())
        return list(names)


def make_environment(app: Carboy) -> Environment:
    """The environment of an application, with what templates call in it."""
    options = dict(app.jinja_options)
    options.setdefault("autoescape", app.select_jinja_autoescape)
    if "auto_reload" not in options:
        reload = app._auto_reload
        if reload is None:
            reload = app.config["TEMPLATES_AUTO_RELOAD"]
        options["auto_reload"] = app.debug if reload is None else reload
    env: Environment = app.jinja_environment(app, **options)
    env.globals.update(
        url_for=app.url_for,
        get_flashed_messages=get_flashed_messages,
        config=app.config,
        # The proxies are for templates imported without their context.
        request=request,
        session=session,
        g=g,
    )
    env.policies["json.dumps_function"] = app.json.dumps
    return env


def _app() -> Carboy:
    return current_app._get_current_object()  # type: ignore[attr-defined,no-any-return]


def _render(app: Carboy, template: Template, context: dict[str, Any]) -> str:
    app.update_template_context(context)
    signals.send_async("before_render_template", app, template=template, context=context)
    text = template.render(context)
    signals.send_async("template_rendered", app, template=template, context=context)
    return text


def _stream(app: Carboy, template: Template, context: dict[str, Any]) -> Iterator[str]:
    app.update_template_context(context)
    signals.send_async("before_render_template", app, template=template, context=context)

    def pieces() -> Iterator[str]:
        yield from template.generate(context)
        signals.send_async("template_rendered", app, template=template, context=context)

    stream = pieces()
    if request:
        stream = stream_with_context(stream)
    return stream


def render_template(template_name_or_list: Any, **context: Any) -> str:
    """Render the template of this name, or the first that exists of several."""
    app = _app()
    return _render(app, app.jinja_env.get_or_select_template(template_name_or_list), context)


def render_template_string(source: str, **context: Any) -> str:
    """Render a template given as text."""
    app = _app()
    return _render(app, app.jinja_env.from_string(source), context)


def stream_template(template_name_or_list: Any, **context: Any) -> Iterator[str]:
    """The same as `render_template`, piece by piece; return it from a view."""
    app = _app()
    return _stream(app, app.jinja_env.get_or_select_template(template_name_or_list), context)


def stream_template_string(source: str, **context: Any) -> Iterator[str]:
    """The same as `render_template_string`, piece by piece."""
    app = _app()
    return _stream(app, app.jinja_env.from_string(source), context)
