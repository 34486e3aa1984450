"""What becomes of an error: its handler, or a page of its own."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from carboy.app import signals
from carboy.app.context import _cv_request
from carboy.http.exceptions import (
    BadRequest,
    BadRequestKeyError,
    HTTPException,
    InternalServerError,
)
from carboy.routing import RequestRedirect, RoutingException

if TYPE_CHECKING:
    from carboy.app import typing as ft
    from carboy.app.context import RequestContext
    from carboy.app.interface import Application
    from carboy.app.plan import Plan
    from carboy.app.wrappers import Request, Response


KEEPS_CONTENT = {307, 308}
WITHOUT_CONTENT = {"GET", "HEAD", "OPTIONS"}


class UnexpectedUnicodeError(AssertionError, UnicodeError):
    """Text where bytes are needed, or bytes where text is needed."""


class FormDataRoutingRedirect(AssertionError):
    """A redirect would lose the content of a request; raised in debug mode only."""

    def __init__(self, request: Request) -> None:
        exc: Any = request.routing_exception
        text = (
            f"A request was sent to {request.url!r}, but routing issued a redirect to the"
            f" canonical URL {exc.new_url!r}, and clients will drop the content of a"
            f" {request.method} on the way."
        )
        if f"{request.base_url}/" == exc.new_url.partition("?")[0]:
            text += " The URL was defined with a trailing slash, and this one has none."
        text += " Send requests to the canonical URL. This error is raised in debug mode only."
        super().__init__(text)


def find_error_handler(
    app: Application, error: Exception, blueprints: Sequence[str | None]
) -> ft.ErrorHandlerCallable | None:
    """The handler nearest to an error.

    By its status code before its class alone; then the blueprints from inside out before the
    application; then its own class before the bases.
    """
    exc_class, code = app._get_exc_class_and_code(type(error))
    spec: Mapping[Any, Any] = app.error_handler_spec
    for number in (None,) if code is None else (code, None):
        for name in (*blueprints, None):
            handlers = spec.get(name, NOTHING).get(number)
            if not handlers:
                continue
            for base in exc_class.__mro__:
                handler = handlers.get(base)
                if handler is not None:
                    return handler  # type: ignore[no-any-return]
    return None


NOTHING: dict[Any, Any] = {}


def _handler_of(
    app: Application, plan: Plan, ctx: RequestContext, error: Exception
) -> ft.ErrorHandlerCallable | None:
    if plan._find_error_handler:
        return app._find_error_handler(error, ctx.request.blueprints)
    if not app.error_handler_spec:
        return None
    return find_error_handler(app, error, plan.names_of(ctx)[:-1])


def raise_routing(app: Application, request: Request) -> Any:
    """Raise the routing error; in debug mode explain a redirect that would lose content."""
    error = request.routing_exception
    assert error is not None
    if (
        app.config["DEBUG"]
        and isinstance(error, RequestRedirect)
        and error.code not in KEEPS_CONTENT
        and request.method not in WITHOUT_CONTENT
    ):
        raise FormDataRoutingRedirect(request)
    raise error


UNHANDLED: Any = object()


def handled(app: Application, plan: Plan, ctx: RequestContext, error: Exception) -> Any:
    """The handler's answer to an error of a view or hook, or UNHANDLED."""
    if isinstance(error, HTTPException):
        if isinstance(error, BadRequestKeyError) and (
            app.config["DEBUG"] or app.config["TRAP_BAD_REQUEST_ERRORS"]
        ):
            error.show_exception = True
        if plan.trap_http_exception:
            trap = app.trap_http_exception(error)
        else:
            trap = trapped(app, error)
        if not trap:
            if plan.handle_http_exception:
                return app.handle_http_exception(error)
            return handle_http(app, plan, ctx, error)
    handler = _handler_of(app, plan, ctx, error)
    return UNHANDLED if handler is None else app.ensure_sync(handler)(error)


def handle_user(app: Application, plan: Plan, ctx: RequestContext, error: Exception) -> Any:
    """The handler's answer to an error of a view or hook; raised again without a handler."""
    rv = handled(app, plan, ctx, error)
    if rv is UNHANDLED:
        raise error
    return rv


def handle_http(app: Application, plan: Plan, ctx: RequestContext, error: HTTPException) -> Any:
    """The handler's answer to an HTTP error; the error itself, which is a response, without."""
    # Without a code it only carries a response; a redirect is not an error.
    if error.code is None or isinstance(error, RoutingException):
        return error
    handler = _handler_of(app, plan, ctx, error)
    return error if handler is None else app.ensure_sync(handler)(error)


def handle_unhandled(app: Application, error: Exception) -> Response:
    """The last resort: log the error and answer 500, or let it through where it is wanted."""
    exc_info = sys.exc_info()
    signals.send_async("got_request_exception", app, exception=error)
    propagate = app.config["PROPAGATE_EXCEPTIONS"]
    if propagate is None:
        propagate = app.testing or app.debug
    if propagate:
        raise error
    app.log_exception(exc_info)
    answer: Any = InternalServerError(original_exception=error)
    handler = app._find_error_handler(answer, _cv_request().request.blueprints)
    if handler is not None:
        answer = app.ensure_sync(handler)(answer)
    return app.finalize_request(answer, from_error_handler=True)


def trapped(app: Application, error: Exception) -> bool:
    """Whether an HTTP error is treated like any other exception."""
    if app.config["TRAP_HTTP_EXCEPTIONS"]:
        return True
    trap = app.config["TRAP_BAD_REQUEST_ERRORS"]
    if trap is None and app.config["DEBUG"] and isinstance(error, BadRequestKeyError):
        return True
    return bool(trap) and isinstance(error, BadRequest)
