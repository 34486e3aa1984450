"""The way of one request through an application, top to bottom.

    wsgi_app ── push the contexts
      full_dispatch_request
        preprocess_request     URL value preprocessors, before_request functions
        dispatch_request       the view                    } what these raise goes to
        handle_user_exception  the error handler           } the error handlers
        finalize_request
          make_response        the return value becomes a response
          process_response     after_request functions, the session
      handle_exception         whatever is left: a 500
    pop the contexts: teardown functions

Each step is a method of the application and is called as one, so that overriding works;
the methods' bodies stand here.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import TYPE_CHECKING, Any, cast

from carboy.app import signals
from carboy.app.debughelpers import FormDataRoutingRedirect
from carboy.app.globals import _cv_app, _cv_request, request_ctx
from carboy.http.exceptions import (
    BadRequest,
    BadRequestKeyError,
    HTTPException,
    InternalServerError,
)
from carboy.http.headers import Headers
from carboy.http.response import Response as BaseResponse
from carboy.routing import RequestRedirect, RoutingException

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

    from carboy.app import typing as ft
    from carboy.app.app import Carboy
    from carboy.app.context import RequestContext
    from carboy.app.wrappers import Request, Response

KEEPS_CONTENT = {307, 308}
WITHOUT_CONTENT = {"GET", "HEAD", "OPTIONS"}


def wsgi(app: Carboy, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """`app.wsgi_app`: a whole request, from the environ to the body."""
    ctx = app.request_context(environ)
    error: BaseException | None = None
    try:
        try:
            response = respond(app, ctx)
        except Failed as failed:
            error = failed.error
            response = failed.response
        return response(environ, start_response)
    except BaseException as raised:
        error = raised
        raise
    finally:
        preserve = environ.get("werkzeug.debug.preserve_context")
        if preserve is not None:  # a debugger or a test client wants to look at them later
            preserve(_cv_app.get())
            preserve(_cv_request.get())
        finish(app, ctx, error)


class Failed(Exception):
    """The response is that of an error nobody handled; the teardown functions get the error."""

    def __init__(self, error: Exception, response: Response) -> None:
        self.error = error
        self.response = response


def respond(app: Carboy, ctx: RequestContext) -> Response:
    """The response to the request of `ctx`. Raises Failed with the one to an unhandled error."""
    try:
        ctx.push()
        return app.full_dispatch_request()
    except Exception as error:
        raise Failed(error, app.handle_exception(error)) from None


def finish(app: Carboy, ctx: RequestContext, error: BaseException | None) -> None:
    """Pop the context, with the error for the teardown functions unless it is to be ignored."""
    if error is not None and app.should_ignore_error(error):
        error = None
    ctx.pop(error)


def full_dispatch(app: Carboy) -> Response:
    """From the hooks to the finished response; what no handler takes is raised."""
    if not app._got_first_request:
        app._got_first_request = True
    try:
        signals.send_async("request_started", app)
        rv = app.preprocess_request()
        if rv is None:
            rv = app.dispatch_request()
    except Exception as error:
        rv = app.handle_user_exception(error)
    return app.finalize_request(rv)


def preprocess(app: Carboy) -> Any:
    """The hooks before the view: the application's, then the blueprints' from outside in."""
    request = request_ctx.request
    names: tuple[str | None, ...] = (None, *reversed(request.blueprints))
    for name in names:
        for change in app.url_value_preprocessors.get(name, ()):
            change(request.endpoint, request.view_args)
    for name in names:
        for hook in app.before_request_funcs.get(name, ()):
            rv = app.ensure_sync(hook)()
            if rv is not None:
                return rv
    return None


def call_view(app: Carboy) -> Any:
    """Call the view that matched, or raise what the URL matching found."""
    request = request_ctx.request
    if request.routing_exception is not None:
        app.raise_routing_exception(request)
    rule: Any = request.url_rule
    if request.method == "OPTIONS" and getattr(rule, "provide_automatic_options", False):
        return app.make_default_options_response()
    return app.ensure_sync(app.view_functions[rule.endpoint])(**(request.view_args or {}))


def raise_routing(app: Carboy, request: Request) -> Any:
    """Raise the routing error; in debug mode explain a redirect that would lose content."""
    error = request.routing_exception
    assert error is not None
    if (
        app.debug
        and isinstance(error, RequestRedirect)
        and error.code not in KEEPS_CONTENT
        and request.method not in WITHOUT_CONTENT
    ):
        raise FormDataRoutingRedirect(request)
    raise error


def finalize(app: Carboy, rv: Any, from_error_handler: bool) -> Response:
    """Make the response and run the hooks on it."""
    response = app.make_response(rv)
    try:
        response = app.process_response(response)
        signals.send_async("request_finished", app, response=response)
    except Exception:
        if not from_error_handler:
            raise
        app.logger.exception(
            "Request finalizing failed with an error: a hook raised on the response of an"
            " error handler"
        )
    return response


def process(app: Carboy, response: Response) -> Response:
    """The hooks after the view: this request's, the blueprints' from inside out, the rest."""
    ctx = request_ctx._get_current_object()  # type: ignore[attr-defined]
    for hook in ctx._after or ():
        response = app.ensure_sync(hook)(response)
    if app.after_request_funcs:
        for name in chain(ctx.request.blueprints, (None,)):
            for hook in reversed(app.after_request_funcs.get(name, ())):
                response = app.ensure_sync(hook)(response)
    if ctx._opened is not None or session_to_refresh(app, ctx):
        session = ctx._session
        if not app.session_interface.is_null_session(session):
            app.session_interface.save_session(app, session, response)
    return response


def session_to_refresh(app: Carboy, ctx: RequestContext) -> bool:
    """Whether a session nobody touched may still have to be sent again: it came with a cookie."""
    config = app.config
    if config["SECRET_KEY"] is None or not config["SESSION_REFRESH_EACH_REQUEST"]:
        return False
    name = config["SESSION_COOKIE_NAME"]
    exchange = getattr(ctx, "exchange", None)
    if exchange is not None and f"{name}=".encode() not in exchange.head.block:
        return False  # no cookie of that name, without splitting the fields
    return name in ctx.request.cookies


def teardown(app: Carboy, exc: BaseException | None) -> None:
    """The teardown functions of a request, the last registered first."""
    if app.teardown_request_funcs:
        for name in chain(request_ctx.request.blueprints, (None,)):
            for hook in reversed(app.teardown_request_funcs.get(name, ())):
                app.ensure_sync(hook)(exc)
    signals.send_async("request_tearing_down", app, exc=exc)


# --- return values -------------------------------------------------------------------


def make_response(app: Carboy, rv: Any) -> Response:
    """What a view returned as a response of the application's class."""
    status: Any = None
    headers: Any = None
    if isinstance(rv, tuple):
        rv, status, headers = _split(rv)
    if rv is None:
        endpoint = request_ctx.request.endpoint
        raise TypeError(
            f"The view function for {endpoint!r} did not return a valid response: it"
            " returned None. End every path through it with a return statement."
        )
    if not isinstance(rv, app.response_class):
        if isinstance(rv, str | bytes | bytearray | Iterator):
            # The class takes both; given at once, an own class sees them in its constructor.
            rv = app.response_class(cast(Any, rv), status=status, headers=headers)
            status = headers = None
        else:
            rv = _convert(app, rv)
    response = cast("Response", rv)
    if status is not None:
        if isinstance(status, str | bytes | bytearray):
            response.status = status  # type: ignore[assignment]
        else:
            response.status_code = status
    if headers:
        response.headers.update(headers)
    return response


def _split(rv: tuple[Any, ...]) -> tuple[Any, Any, Any]:
    if len(rv) == 3:
        return rv
    if len(rv) == 2:
        body, second = rv
        if isinstance(second, Headers | dict | tuple | list):
            return body, None, second
        return body, second, None
    raise TypeError(
        "The view function did not return a valid response tuple: its length is"
        f" {len(rv)}. A tuple must have the form (body, status), (body, headers) or"
        " (body, status, headers)."
    )


def _convert(app: Carboy, rv: Any) -> Any:
    if isinstance(rv, dict | list):
        return app.json.response(rv)
    if isinstance(rv, BaseResponse) or callable(rv):
        if _is_own_page(rv):
            rv = rv.get_response()
        environ = None if isinstance(rv, BaseResponse) else request_ctx.request.environ
        try:
            return app.response_class.force_type(rv, environ)
        except TypeError as error:
            raise TypeError(f"{error}\n{_not_a_response(rv)}").with_traceback(
                sys.exc_info()[2]
            ) from None
    raise TypeError(_not_a_response(rv))


def _is_own_page(rv: Any) -> bool:
    """Whether it is an HTTP error of ours, whose page needs no environ to be made.

    The direct lane has not built one. For HEAD the exception is called, as any application:
    hooks then see the page without its content.
    """
    return (
        isinstance(rv, HTTPException)
        and type(rv).__module__ in OWN_ERRORS
        and rv.response is None
        and request_ctx.request.method != "HEAD"
    )


OWN_ERRORS = {HTTPException.__module__, RequestRedirect.__module__}


def _not_a_response(rv: Any) -> str:
    return (
        "The view function did not return a valid response. The return type must be text, bytes,"
        " a dict or list for JSON, an iterator, a Response, a WSGI callable, or a tuple of one of"
        f" these with status and headers, but it was a {type(rv).__name__}."
    )


# --- errors --------------------------------------------------------------------------


def find_error_handler(
    app: Carboy, error: Exception, blueprints: list[str]
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
                    return cast("ft.ErrorHandlerCallable", handler)
    return None


NOTHING: dict[Any, Any] = {}


def handle_http(app: Carboy, error: HTTPException) -> Any:
    """The handler's answer to an HTTP error; the error itself, which is a response, without."""
    # Without a code it is somebody's proxy for a response; a redirect is no error.
    if error.code is None or isinstance(error, RoutingException):
        return error
    handler = app._find_error_handler(error, request_ctx.request.blueprints)
    return error if handler is None else app.ensure_sync(handler)(error)


def handle_user(app: Carboy, error: Exception) -> Any:
    """The handler's answer to an error of a view or hook; raised again without a handler."""
    if isinstance(error, BadRequestKeyError) and (
        app.debug or app.config["TRAP_BAD_REQUEST_ERRORS"]
    ):
        error.show_exception = True
    if isinstance(error, HTTPException) and not app.trap_http_exception(error):
        return app.handle_http_exception(error)
    handler = app._find_error_handler(error, request_ctx.request.blueprints)
    if handler is None:
        raise error
    return app.ensure_sync(handler)(error)


def handle_unhandled(app: Carboy, error: Exception) -> Response:
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
    handler = app._find_error_handler(answer, request_ctx.request.blueprints)
    if handler is not None:
        answer = app.ensure_sync(handler)(answer)
    return app.finalize_request(answer, from_error_handler=True)


def trapped(app: Carboy, error: Exception) -> bool:
    """Whether an HTTP error is treated like any other exception."""
    if app.config["TRAP_HTTP_EXCEPTIONS"]:
        return True
    trap = app.config["TRAP_BAD_REQUEST_ERRORS"]
    if trap is None and app.debug and isinstance(error, BadRequestKeyError):
        return True
    return bool(trap) and isinstance(error, BadRequest)
