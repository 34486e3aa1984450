"""Paths that `url_for` makes without options, by the generated function of the endpoint alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from carboy.app.active import _cv
from carboy.app.context import RequestContext
from carboy.routing import MapAdapter

if TYPE_CHECKING:
    from carboy.app.interface import Application

# The methods `url_for` and `inject_url_defaults`, before anything patches the class.
stock_url_for: Any = None
stock_defaults: Any = None
_stock_build = MapAdapter.build


def path(app: Application, endpoint: str, values: dict[str, Any]) -> str | None:
    """The path that `build` makes without options; None where that takes more than the rule."""
    try:
        request_ctx = _cv.get().request_ctx
        adapter = request_ctx._adapter
        rules = adapter.map
        fill = rules._fast_builds[endpoint]
        if (
            endpoint[0] == "."
            or type(request_ctx) is not RequestContext
            or type(adapter) is not MapAdapter
            or MapAdapter.build is not _stock_build
            or adapter.script_name != "/"
            or adapter.subdomain != rules.default_subdomain
            or app.url_default_functions
            or app.inject_url_defaults.__func__ is not stock_defaults  # type: ignore[attr-defined]
            or fill is None
        ):
            return None
    except (AttributeError, LookupError, TypeError):
        return None  # no request, an adapter that has to be made, an endpoint not used before, …
    return fill(values, True)  # type: ignore[no-any-return]


def path_here(endpoint: str, values: dict[str, Any]) -> str | None:
    """The same for the active application, whose `url_for` may be replaced."""
    try:
        app = _cv.get().app
        if type(app).url_for is not stock_url_for or "url_for" in app.__dict__:
            return None
    except AttributeError:
        return None  # no application
    return path(app, endpoint, values)
