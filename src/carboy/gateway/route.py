"""The route of a request: the rule that matched, never the path, which clients choose.

    application           where its rule is
    Carboy                what the gateway has matched, or `url_rule` of its request
    Flask, Werkzeug       `url_rule` of the request in the environ, while the response starts
    Starlette, FastAPI    `route` in the scope, below the prefixes of its mounts
    Litestar              `path_template` in the scope
    Bottle                `bottle.route` in the environ
    any other             `carboy.route` in the environ or the scope, which the application sets

Gateways that answer without an application set `exchange.rule` to a name in parentheses.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

KEY = "carboy.route"
DEEPEST = 8  # mounts within each other
MOST_PATHS = 4096  # routes of Starlette whose whole path is remembered

# By the identity of a route, which is kept so that no other one gets it.
_paths: dict[int, tuple[Any, str]] = {}


def route_of(exchange: Any) -> str:
    """The rule with the prefix of its mount; "" if none matched, or none is known."""
    rule = exchange.rule
    if rule is None:
        match = exchange.match
        rule = match[0] if match.__class__ is tuple else _other_rule(exchange, match)
    if rule.__class__ is not str:
        rule = getattr(rule, "rule", "")
        if rule.__class__ is not str:
            rule = ""
    if exchange.mounted_at and rule:
        return f"{exchange.mounted_at}{rule}"
    return rule


def rule_of(exchange: Any) -> str:
    """The rule without the prefix of its mount."""
    return route_of(exchange).removeprefix(exchange.mounted_at)


def rule_of_environ(exchange: Any, environ: dict[str, Any]) -> None:
    """Note the rule of the request in an environ. A framework forgets the request soon."""
    request = environ.get("werkzeug.request")
    if request is not None:
        exchange.rule = getattr(request, "url_rule", None) or exchange.rule


def _other_rule(exchange: Any, match: Any) -> Any:
    """The rule as an object with an attribute `rule`, or as text."""
    if match is not None:
        return getattr(match, "rule", "")
    scope = exchange.scope
    if scope is not None:
        return _of_scope(scope)
    environ = exchange.cached_environ
    if environ is None:
        return ""
    return environ.get(KEY) or environ.get("bottle.route") or ""


def _of_scope(scope: dict[str, Any]) -> Any:
    named = scope.get(KEY) or scope.get("path_template")
    if named is not None:
        return named
    route = wanted = scope.get("route")
    included = scope.get("fastapi")  # of newer versions: a route does not know its router's prefix
    if isinstance(included, dict) and "effective_route_context" in included:
        route, wanted = included["effective_route_context"], included.get("included_router")
    path = getattr(route, "path", None)
    if not isinstance(path, str):
        return ""
    known = _paths.get(id(route))
    if known is not None and known[0] is route:
        return known[1]
    whole = next(_prefixes(scope.get("router"), wanted), "") + path
    if len(_paths) >= MOST_PATHS:
        _paths.clear()
    _paths[id(route)] = route, whole
    return whole


def _prefixes(router: Any, wanted: Any, prefix: str = "", depth: int = DEEPEST) -> Iterator[str]:
    """The prefixes of the mounts of a router below which a route is."""
    for each in getattr(router, "routes", None) or ():
        if each is wanted:
            yield prefix
        elif depth and getattr(each, "routes", None):
            path = getattr(each, "path", None) or ""
            yield from _prefixes(each, wanted, f"{prefix}{path}", depth - 1)
