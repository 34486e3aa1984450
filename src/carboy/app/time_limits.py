"""The time limit of a request: of its view, of a blueprint, or of the application.

A server calls `limit_of` from a thread of its own while the request runs, so requests pay nothing
for it. It only reads tables, and the active context of the request.
"""

from __future__ import annotations

from typing import Any

from carboy import time_limits
from carboy.app.active import _cv
from carboy.app.wrappers import _split_blueprint_path
from carboy.time_limits import ATTRIBUTE, TimeLimit, of_configuration


def limit_of(exchange: Any) -> TimeLimit | None:
    """The limit of a request of a Carboy application; None: the application has none for it.

    The nearest one counts: of the method of a view, of the view, of its class, of its blueprint,
    of the blueprints around that, of the configuration.
    """
    ctx = getattr(exchange.context.get(_cv), "request_ctx", None)
    if ctx is None:
        return None
    app = ctx.app
    rule = _rule_of(ctx)
    endpoint: str = getattr(rule, "endpoint", "")
    view = app.view_functions.get(endpoint)
    if view is not None:
        kind = getattr(view, "view_class", None)
        method = getattr(kind, str(ctx.method).lower(), None)
        for each in (method, view, kind):
            limit = getattr(each, ATTRIBUTE, None)
            if isinstance(limit, TimeLimit):
                return limit
        if "." in endpoint:
            for name in _split_blueprint_path(endpoint.rpartition(".")[0]):
                limit = getattr(app.blueprints.get(name), ATTRIBUTE, None)
                if isinstance(limit, TimeLimit):
                    return limit
    return of_configuration(app.config)


def _rule_of(ctx: Any) -> Any:
    if ctx._request is not None and ctx._request.url_rule is not None:
        return ctx._request.url_rule
    return ctx.match[0] if ctx.match is not None else getattr(ctx.search, "rule", None)


def declare_configured(config: Any) -> None:
    """Note the limit in the configuration of an application, if there is one."""
    limit = of_configuration(config)
    if limit is not None:
        time_limits.declare(limit.seconds)


time_limits.finders.append(limit_of)
