"""What a view reaches without passing it around: the active application and request."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, cast

from carboy.http.local import LocalProxy

if TYPE_CHECKING:
    from carboy.app.app import Carboy
    from carboy.app.context import AppContext, RequestContext, _AppCtxGlobals
    from carboy.app.sessions import SessionMixin
    from carboy.app.wrappers import Request

__all__ = ["app_ctx", "current_app", "g", "request", "request_ctx", "session"]

_no_app_msg = """\
No application is active here.

`current_app`, `g` and what builds on them work inside an application context. A
request or a command of the application has one; anywhere else make it yourself:

    with app.app_context():
        ...
"""
_no_req_msg = """\
No request is active here.

`request`, `session` and what builds on them work while a request is handled. In a
test make one with `with app.test_request_context(...):`; in a thread or a generator
that outlives the view use `copy_current_request_context` or `stream_with_context`.
"""

_cv_app: ContextVar[AppContext] = ContextVar("carboy.app_ctx")
_cv_request: ContextVar[RequestContext] = ContextVar("carboy.request_ctx")

app_ctx = cast("AppContext", LocalProxy(_cv_app, unbound_message=_no_app_msg))
current_app = cast("Carboy", LocalProxy(_cv_app, "app", unbound_message=_no_app_msg))
g = cast("_AppCtxGlobals", LocalProxy(_cv_app, "g", unbound_message=_no_app_msg))
request_ctx = cast("RequestContext", LocalProxy(_cv_request, unbound_message=_no_req_msg))
request = cast("Request", LocalProxy(_cv_request, "request", unbound_message=_no_req_msg))
session = cast("SessionMixin", LocalProxy(_cv_request, "session", unbound_message=_no_req_msg))
