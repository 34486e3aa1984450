"""The routes of applications of other frameworks, from what these frameworks document.

    Starlette, FastAPI    app.routes; fastapi.routing.iter_route_contexts for included routers
    Litestar              app.routes
    BlackSheep            app.router.registered_routes
    Django                django.urls.get_resolver, of the settings that the application has set up
    Channels              ProtocolTypeRouter.application_mapping, URLRouter.routes

Quart has Flask's `url_map`. None of these packages is imported here: an application is of one of
them if its class is.
"""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from carboy.cli.tracebacks import import_report

# A parameter in a path: {name}, {name:int}, {int:name}, <name> and :name.
KINDS = {"int", "float", "str", "path", "uuid"}
PARAMETER = re.compile(r"[{<]([^{}<>]+)[}>]|(?<=/):(\w+)")
BLACKSHEEPS_WEBSOCKET = "GET_WS"


class BrokenRoutes(Exception):
    """The routes cannot be loaded; the text has the traceback of the application."""


@dataclass(frozen=True, slots=True)
class ForeignRoute:
    """A route, with the names that a rule of Flask has. `methods` None: all, or not known."""

    rule: str
    endpoint: str
    methods: set[str] | None
    websocket: bool = False
    host: str = ""
    subdomain: str = ""

    @property
    def arguments(self) -> set[str]:
        """The names of the parameters in the path."""
        found = set()
        for bracketed, plain in PARAMETER.findall(self.rule):
            parts = [part for part in (plain or bracketed).split(":") if part]
            found.add(next((part for part in parts if part not in KINDS), parts[0]))
        return found


def routes_of(app: Any) -> list[Any] | None:
    """The rules of an application, or None if they are not known."""
    if hasattr(app, "url_map"):
        return list(app.url_map.iter_rules())
    for package, find in FRAMEWORKS:
        if any(each.__module__.partition(".")[0] == package for each in type(app).__mro__):
            return list(find(app))
    return None


def _of_starlette(app: Any) -> Iterator[ForeignRoute]:
    yield from _below(app.routes, "", "")


def _below(routes: Iterable[Any], prefix: str, host: str) -> Iterator[ForeignRoute]:
    """The routes of a list, and of those that are mounted in it, under their prefix."""
    contexts = getattr(sys.modules.get("fastapi.routing"), "iter_route_contexts", None)
    for each in routes if contexts is None else contexts(list(routes)):
        route = getattr(each, "original_route", each)
        inner = getattr(route, "routes", None)
        path = f"{prefix}{getattr(each, 'path', None) or ''}"
        here = getattr(route, "host", "") or host
        if inner:
            yield from _below(inner, path, here)
        elif inner is not None:  # an application that is not known, such as StaticFiles
            yield ForeignRoute(
                f"{path}/{{path}}", getattr(route, "name", "") or "", None, host=here
            )
        else:
            methods = getattr(each, "methods", None)
            is_websocket = "WebSocket" in type(route).__name__
            name = getattr(each, "name", "") or type(route).__name__
            yield ForeignRoute(path, name, methods and set(methods), is_websocket, here)


def _of_litestar(app: Any) -> Iterator[ForeignRoute]:
    for route in app.routes:
        kind = str(getattr(route.scope_type, "value", route.scope_type))
        own = getattr(route, "route_handler", None)
        for handler in [own] if own is not None else route.route_handlers:
            methods = getattr(handler, "http_methods", None)
            if str(handler).startswith("litestar.routes."):
                continue  # OPTIONS, which Litestar answers itself
            name = getattr(handler, "name", None) or handler.handler_name
            found = None if methods is None else {str(getattr(x, "value", x)) for x in methods}
            yield ForeignRoute(route.path, name, found, kind == "websocket")


def _of_blacksheep(app: Any) -> Iterator[ForeignRoute]:
    for method, route in app.router.registered_routes:
        pattern = route.pattern
        path = pattern.decode() if isinstance(pattern, bytes) else str(pattern)
        name = getattr(route.handler, "__name__", type(route.handler).__name__)
        is_websocket = method == BLACKSHEEPS_WEBSOCKET
        yield ForeignRoute(path, name, {method}, is_websocket)


def _of_django(app: Any) -> Iterator[ForeignRoute]:
    """The patterns of ROOT_URLCONF, which Django imports here. Raises BrokenRoutes."""
    try:
        patterns = importlib.import_module("django.urls").get_resolver().url_patterns
        yield from _of_patterns(patterns, "/", "")
    except Exception as problem:
        raise BrokenRoutes(import_report("ROOT_URLCONF", problem)) from problem


def _of_patterns(
    patterns: Iterable[Any], prefix: str, namespace: str, websocket: bool = False
) -> Iterator[ForeignRoute]:
    """The routes of a list of Django's, and of those that it includes, under their prefix."""
    for each in patterns:
        path = prefix + without_groups(str(each.pattern))
        inner = getattr(each, "url_patterns", None)
        if inner is not None:
            own = getattr(each, "namespace", None)
            below = f"{namespace}{own}:" if own else namespace
            yield from _of_patterns(inner, path, below, websocket)
        else:
            name = f"{namespace}{each.name}" if each.name else str(each.lookup_str)
            yield ForeignRoute(path, name, _methods_of(each.callback), websocket)


def _methods_of(view: Any) -> set[str] | None:
    """The methods of a view that is made of a class; a function may take any."""
    kind = getattr(view, "view_class", None)
    names = getattr(kind, "http_method_names", None)
    return None if names is None else {name.upper() for name in names if hasattr(kind, name)}


def without_groups(pattern: str) -> str:
    """A path of Django; in one that is a regular expression, <name> for each named group."""
    if not pattern.startswith("^") and "(?P<" not in pattern:
        return pattern
    text = pattern.removeprefix("^").removesuffix("$")
    while (start := text.find("(?P<")) >= 0:
        depth, end = 0, start
        while end < len(text):
            if text[end] == "\\":
                end += 1
            elif text[end] in "()":
                depth += 1 if text[end] == "(" else -1
                if not depth:
                    break
            end += 1
        name = text[start + 4 : text.index(">", start)]
        text = f"{text[:start]}<{name}>{text[end + 1 :]}"
    return text


def _of_channels(app: Any) -> Iterator[ForeignRoute]:
    for kind, inner in getattr(app, "application_mapping", {"websocket": app}).items():
        if kind == "websocket":
            while not hasattr(inner, "routes"):  # middleware around the router
                inner = getattr(inner, "inner", None) or getattr(inner, "application", None)
                if inner is None:
                    break
            yield from _of_patterns(getattr(inner, "routes", ()), "/", "", websocket=True)
        elif kind == "http":
            yield from routes_of(inner) or ()


FRAMEWORKS: tuple[tuple[str, Callable[[Any], Iterator[ForeignRoute]]], ...] = (
    ("starlette", _of_starlette),
    ("litestar", _of_litestar),
    ("blacksheep", _of_blacksheep),
    ("django", _of_django),
    ("channels", _of_channels),
)
