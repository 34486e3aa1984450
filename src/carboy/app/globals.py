"""The proxies, such as `request`, which views use without passing them around."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from carboy.app.active import find_app, find_app_ctx, find_g, find_request
from carboy.app.context import _cv_app, _cv_request  # noqa: F401 (as in Flask)
from carboy.http.local import LocalProxy

if TYPE_CHECKING:
    from carboy.app.context import AppContext, RequestContext, _AppCtxGlobals
    from carboy.app.interface import Application
    from carboy.app.sessions import SessionMixin
    from carboy.app.wrappers import Request

__all__ = ["app_ctx", "current_app", "g", "request", "request_ctx", "session"]

app_ctx = cast("AppContext", LocalProxy(find_app_ctx))
current_app = cast("Application", LocalProxy(find_app))
g = cast("_AppCtxGlobals", LocalProxy(find_g))
request_ctx = cast("RequestContext", LocalProxy(_cv_request))
request = cast("Request", LocalProxy(find_request))
session = cast("SessionMixin", LocalProxy(_cv_request, "session"))
