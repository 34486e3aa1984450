"""Jinja with an application: the environment, the loaders and the rendering functions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, MutableMapping
from typing import TYPE_CHECKING, Any

from jinja2 import BaseLoader, TemplateNotFound, nodes
from jinja2 import Environment as BaseEnvironment

from carboy.app import signals
from carboy.app.context import _cv_request, _default_template_ctx_processor
from carboy.app.globals import current_app, g, request, session
from carboy.app.helpers import get_flashed_messages, stream_with_context
from carboy.app.template_code import CodeGenerator
from carboy.app.template_files import cache_for
from carboy.app.template_runtime import Context
from carboy.app.template_strings import TemplateStrings

if TYPE_CHECKING:
    from jinja2 import Template

    from carboy.app.interface import Application

__all__ = [
    "DispatchingJinjaLoader",
    "Environment",
    "_default_template_ctx_processor",
    "render_template",
    "render_template_string",
    "stream_template",
    "stream_template_string",
]

KEPT = 128
"""Templates given as text whose code is kept (the configuration TEMPLATE_STRING_CACHE)."""

ATTRIBUTES_OF_DICT = frozenset(dir(dict))
Found = tuple[str, str | None, Callable[[], bool] | None]


class Environment(BaseEnvironment):
    """A Jinja environment that loads templates of its application and blueprints."""

    # See template_code. A subclass may have others, and the configuration may turn these off.
    code_generator_class = CodeGenerator
    context_class = Context

    def __init__(self, app: Application, **options: Any) -> None:
        if not app.config.get("TEMPLATE_SHORTCUTS", True):
            self._use_jinjas()
        if "loader" not in options:
            options["loader"] = app.create_global_jinja_loader()
        super().__init__(**options)
        self.app = app
        self._strings = TemplateStrings(app.config.get("TEMPLATE_STRING_CACHE", KEPT))

    def _use_jinjas(self) -> None:
        """Compile and run templates by the code of Jinja alone."""
        if self.code_generator_class is CodeGenerator:
            self.code_generator_class = BaseEnvironment.code_generator_class  # type: ignore[assignment]
        if self.context_class is Context:
            self.context_class = BaseEnvironment.context_class  # type: ignore[assignment]

    def getattr(self, obj: Any, attribute: str) -> Any:
        """`obj.attribute`, or else the item of this name, or else an Undefined."""
        if type(obj) is not dict or attribute in ATTRIBUTES_OF_DICT:
            try:
                return getattr(obj, attribute)
            except AttributeError:
                pass
        try:
            return obj[attribute]
        except (TypeError, LookupError, AttributeError):
            return self.undefined(obj=obj, name=attribute)

    def from_string(
        self,
        source: str | nodes.Template,
        globals: MutableMapping[str, Any] | None = None,
        template_class: type[Template] | None = None,
    ) -> Template:
        """A new template, as Jinja makes it, from code that may have been compiled before."""
        if not isinstance(source, str):
            return super().from_string(source, globals, template_class)
        made = template_class or self.template_class
        code = self._strings.code(self, source)
        return made.from_code(self, code, self.make_globals(globals), None)


class DispatchingJinjaLoader(BaseLoader):
    """Looks in the template folder of the application, then in those of its blueprints."""

    def __init__(self, app: Application) -> None:
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
        attempts: list[tuple[BaseLoader, Any, Found | None]] = []
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

    def _iter_loaders(self, template: str) -> Iterator[tuple[Any, BaseLoader]]:
        for source in (self.app, *self.app.iter_blueprints()):
            loader = source.jinja_loader
            if loader is not None:
                yield source, loader

    def list_templates(self) -> list[str]:
        names: set[str] = set()
        for _, loader in self._iter_loaders(""):
            names.update(loader.list_templates())
        return list(names)


def _describe(loader: Any) -> str:
    lines = [f"class: {type(loader).__module__}.{type(loader).__name__}"]
    for name, value in sorted(loader.__dict__.items()):
        if name.startswith("_"):
            continue
        if isinstance(value, tuple | list):
            if all(isinstance(item, str) for item in value):
                lines.append(f"{name}:")
                lines.extend(f"  - {item}" for item in value)
        elif isinstance(value, str | int | float | bool):
            lines.append(f"{name}: {value!r}")
    return "\n".join(f"       {line}" for line in lines)


def _outcome(result: Any) -> str:
    return f"found ({result[1] or '<string>'!r})" if result else "no match"


def explain_template_loading_attempts(
    app: Application, template: str, attempts: list[tuple[Any, Any, Any]]
) -> None:
    """Log which loaders were asked for a template and what each of them found."""
    lines = [f"Locating template {template!r}:"]
    found = 0
    for number, (loader, source, result) in enumerate(attempts, start=1):
        kind = "application" if source is app else "blueprint"
        origin = repr(app.name) if source is app else f"{source.name!r} ({source.import_name})"
        lines.append(f"{number:5}: trying loader of {kind} {origin}")
        lines.append(_describe(loader))
        lines.append(f"       -> {_outcome(result)}")
        found += result is not None
    if found != 1:
        lines.append(
            "Error: the template could not be found: no loader has it."
            if not found
            else "Warning: multiple loaders returned a match, and the first wins."
        )
        ctx = _cv_request.get(None)
        if ctx is not None and ctx.request.blueprint is not None:
            lines.append(
                "  The template was looked up from an endpoint that belongs to the blueprint"
                f" {ctx.request.blueprint!r}. Is it in the folder of another blueprint?"
                "\n  See https://flask.palletsprojects.com/blueprints/#templates"
            )
    app.logger.info("\n".join(lines))


def make_environment(app: Application) -> Environment:
    """The environment of an application, with the functions that templates call."""
    options = dict(app.jinja_options)
    options.setdefault("autoescape", app.select_jinja_autoescape)
    if "auto_reload" not in options:
        reload = app._auto_reload
        if reload is None:
            reload = app.config["TEMPLATES_AUTO_RELOAD"]
        options["auto_reload"] = app.debug if reload is None else reload
    if "bytecode_cache" not in options:
        options["bytecode_cache"] = cache_for(app)
    env: Environment = app.jinja_environment(app, **options)
    env.globals.update(
        url_for=app.url_for,
        get_flashed_messages=get_flashed_messages,
        config=app.config,
        # The proxies, for templates that are imported without a context.
        request=request,
        session=session,
        g=g,
    )
    env.policies["json.dumps_function"] = app.json.dumps
    return env


def add_processed(app: Application, context: dict[str, Any]) -> None:
    """`app.update_template_context`."""
    names: list[str | None] = [None]
    if request:
        names.extend(reversed(request.blueprints))
    given = context.copy()
    for name in names:
        for function in app.template_context_processors.get(name, ()):
            context.update(app.ensure_sync(function)())
    context.update(given)


def _app() -> Application:
    return current_app._get_current_object()  # type: ignore[attr-defined,no-any-return]


def _render(app: Application, template: Template, context: dict[str, Any]) -> str:
    app.update_template_context(context)
    signals.send_async("before_render_template", app, template=template, context=context)
    text = template.render(context)
    signals.send_async("template_rendered", app, template=template, context=context)
    return text


def _stream(app: Application, template: Template, context: dict[str, Any]) -> Iterator[str]:
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
    """Render the template of this name, or the first of several names that exists."""
    app = _app()
    return _render(app, app.jinja_env.get_or_select_template(template_name_or_list), context)


def render_template_string(source: str, **context: Any) -> str:
    """Render a template given as text."""
    app = _app()
    return _render(app, app.jinja_env.from_string(source), context)


def stream_template(template_name_or_list: Any, **context: Any) -> Iterator[str]:
    """Render like `render_template`, in pieces. A view can return the iterator."""
    app = _app()
    return _stream(app, app.jinja_env.get_or_select_template(template_name_or_list), context)


def stream_template_string(source: str, **context: Any) -> Iterator[str]:
    """Render like `render_template_string`, in pieces."""
    app = _app()
    return _stream(app, app.jinja_env.from_string(source), context)
