"""Error handling: runs the handler of an error that a view or hook raised, or makes its page."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from carboy.app import signals
from carboy.app.active import exchange_of
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
UNHANDLED: Any = object()  # there is no handler; None is a value that a handler may return
NO_HANDLERS: dict[Any, Any] = {}


class UnexpectedUnicodeError(AssertionError, UnicodeError):
    """Text where bytes are needed, or bytes where text is needed."""


class FormDataRoutingRedirect(AssertionError):
    """A redirect would lose the content of a request. Raised in debug mode only."""

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


def raise_routing(app: Application, request: Request) -> Any:
    """Raise the error of URL matching; in debug mode explain a redirect that loses content."""
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


def handle_error(app: Application, plan: Plan, ctx: RequestContext, error: Exception) -> Any:
    """The return value of the handler of an error, or UNHANDLED."""
    handler, otherwise = handler_of(app, plan, ctx, error)
    return otherwise if handler is None else called(app, plan, handler)(error)


def handler_of(
    app: Application, plan: Plan, ctx: RequestContext, error: Exception
) -> tuple[Any, Any]:
    """The handler of an error, or None; the return value without a handler, or UNHANDLED."""
    if isinstance(error, HTTPException):
        if isinstance(error, BadRequestKeyError) and (
            app.config["DEBUG"] or app.config["TRAP_BAD_REQUEST_ERRORS"]
        ):
            error.show_exception = True
        if plan.trap_http_exception:
            trap = app.trap_http_exception(error)
        else:
            trap = is_trapped(app, error)
        if not trap:
            if plan.handle_http_exception:
                return app.handle_http_exception, None
            return _http_handler(app, plan, ctx, error), error
    return _handler_of(app, plan, ctx, error), UNHANDLED


def called(app: Application, plan: Any, function: Any) -> Any:
    """The function, or a plain function that waits for a coroutine function."""
    found = app.ensure_sync(function)
    if found is not function:
        plan.awaits = True
    return found


def handle_user(app: Application, plan: Plan, ctx: RequestContext, error: Exception) -> Any:
    """`app.handle_user_exception`: an error without a handler is raised again."""
    rv = handle_error(app, plan, ctx, error)
    if rv is UNHANDLED:
        raise error
    return rv


def handle_http(app: Application, plan: Plan, ctx: RequestContext, error: HTTPException) -> Any:
    """The return value of the handler, or the HTTP error itself, which is a response as well."""
    handler = _http_handler(app, plan, ctx, error)
    return error if handler is None else called(app, plan, handler)(error)


def _http_handler(app: Application, plan: Plan, ctx: RequestContext, error: HTTPException) -> Any:
    # An error without a code only carries a response, and a redirect is not an error.
    if error.code is None or isinstance(error, RoutingException):
        return None
    return _handler_of(app, plan, ctx, error)


def handle_unhandled(app: Application, error: Exception) -> Response:
    """Log an error without a handler and make the 500, or raise it (PROPAGATE_EXCEPTIONS)."""
    handler, answer = unhandled(app, error)
    if handler is not None:
        answer = called(app, app._plan, handler)(answer)
    return app.finalize_request(answer, from_error_handler=True)


def unhandled(app: Application, error: Exception) -> tuple[Any, Any]:
    """Log an error without a handler, or raise it; returns the handler of the 500 and the 500."""
    exc_info = sys.exc_info()
    signals.send_async("got_request_exception", app, exception=error)
    propagate = app.config["PROPAGATE_EXCEPTIONS"]
    if propagate is None:
        propagate = app.testing or app.debug
    if propagate:
        raise error
    app.log_exception(exc_info)
    answer = InternalServerError(original_exception=error)
    request = _cv_request().request
    exchange = exchange_of(request)
    if hasattr(exchange, "id"):  # under Carboy's server, whose logs have the id
        answer.request_id = exchange.shown_id
        if exchange.span is not None:
            exchange.failure = error
    return app._find_error_handler(answer, request.blueprints), answer


def is_trapped(app: Application, error: Exception) -> bool:
    """Whether an HTTP error is treated like any other exception."""
    if app.config["TRAP_HTTP_EXCEPTIONS"]:
        return True
    trap = app.config["TRAP_BAD_REQUEST_ERRORS"]
    if trap is None and app.config["DEBUG"] and isinstance(error, BadRequestKeyError):
        return True
    return bool(trap) and isinstance(error, BadRequest)


def _handler_of(
    app: Application, plan: Plan, ctx: RequestContext, error: Exception
) -> ft.ErrorHandlerCallable | None:
    if plan._find_error_handler:
        return app._find_error_handler(error, ctx.request.blueprints)
    if not app.error_handler_spec:
        return None
    return find_error_handler(app, error, plan.hook_names(ctx)[:-1])


def find_error_handler(
    app: Application, error: Exception, blueprints: Sequence[str | None]
) -> ft.ErrorHandlerCallable | None:
    """The closest handler of an error, or None.

    Handlers of the status code come before handlers of the class alone; then the blueprints, from
    inside out, before the application; then the class of the error before its bases.
    """
    exc_class, code = app._get_exc_class_and_code(type(error))
    spec: Mapping[Any, Any] = app.error_handler_spec
    for number in (None,) if code is None else (code, None):
        for name in (*blueprints, None):
            handlers = spec.get(name, NO_HANDLERS).get(number)
            if not handlers:
                continue
            for base in exc_class.__mro__:
                handler = handlers.get(base)
                if handler is not None:
                    return handler  # type: ignore[no-any-return]
    return None
