"""The time limit of a request: of its view, of a blueprint, or of the application.

A server calls `limit_of` from a thread of its own while the request runs, so requests pay nothing
for it. It only reads tables, and the active context of the request.
"""

from __future__ import annotations

from typing import Any

from carboy import time_limits
from carboy.app.active import _cv
from carboy.time_limits import ATTRIBUTE, TimeLimit, of_configuration, of_view, read_seconds


def limit_of(exchange: Any) -> TimeLimit | None:
    """The limit of a request of a Carboy application; None: the application has none for it.

    The nearest one counts: those of `of_view`, then that of the configuration.
    """
    ctx = getattr(exchange.context.get(_cv), "request_ctx", None)
    if ctx is None:
        return None
    app = ctx.app
    limit = of_view(app, _rule_of(ctx), str(ctx.method))
    return of_configuration(app.config) if limit is None else limit


def _rule_of(ctx: Any) -> Any:
    if ctx._request is not None and ctx._request.url_rule is not None:
        return ctx._request.url_rule
    return ctx.match[0] if ctx.match is not None else getattr(ctx.search, "rule", None)


def declare_for_rule(rule: Any, seconds: float | None) -> None:
    """Set the limit of a rule (`timeout=` of a route). Raises ValueError and TypeError."""
    limit = TimeLimit(read_seconds(seconds, "timeout"))
    setattr(rule, ATTRIBUTE, limit)
    time_limits.declare(limit.seconds)


def declare_configured(config: Any) -> None:
    """Note the limit in the configuration of an application, if there is one."""
    limit = of_configuration(config)
    if limit is not None:
        time_limits.declare(limit.seconds)


time_limits.finders.append(limit_of)
