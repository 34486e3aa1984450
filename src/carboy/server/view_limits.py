"""The time limit of a view of another framework, which `carboy.timeout` has decorated.

    framework             where its view is
    Flask                 in the tables of the application, by `url_rule` of the request
    Starlette, FastAPI    `endpoint` in the scope
    Bottle                `callback` of `bottle.route` in the environ

The thread of the time limits calls this while the request runs, so requests pay nothing for it.
Carboy's own applications have a finder of their own (app/time_limits.py).
"""

from __future__ import annotations

import sys
from typing import Any

from carboy.time_limits import ATTRIBUTE, TimeLimit, of_view


def foreign_limit(exchange: Any) -> TimeLimit | None:
    """The limit of the view that handles a request; None: it has none, or it is not known."""
    if exchange.scope is not None:
        return _declared(exchange.scope.get("endpoint"), str(exchange.scope.get("method", "")))
    environ = exchange.cached_environ
    if environ is None:
        return None
    rule = getattr(environ.get("werkzeug.request"), "url_rule", None)
    if rule is not None:
        return _of_flask(exchange, rule)
    callback = getattr(environ.get("bottle.route"), "callback", None)
    return _declared(callback, "")


def _declared(view: Any, method: str) -> TimeLimit | None:
    """The limit of a view, or of the method of a class of views."""
    for each in (getattr(view, method.lower(), None) if method else None, view):
        limit = getattr(each, ATTRIBUTE, None)
        if isinstance(limit, TimeLimit):
            return limit
    return None


def _of_flask(exchange: Any, rule: Any) -> TimeLimit | None:
    flask = sys.modules.get("flask")
    if flask is None:
        return None
    # The context is entered by the thread of the request, so this thread looks in a copy.
    app = exchange.context.copy().run(_current_app, flask)
    if app is None:
        return None
    return of_view(app, rule, exchange.head.method)


def _current_app(flask: Any) -> Any:
    """The application that is active in this context, None without one."""
    return flask.current_app._get_current_object() if flask.has_app_context() else None
