"""Responses from the return values of views."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from carboy.app.context import _cv_request
from carboy.http import exceptions
from carboy.http.exceptions import HTTPException
from carboy.http.fields.headers import Headers
from carboy.http.response.response import Response as BaseResponse
from carboy.http.status import status_text
from carboy.routing import RequestRedirect

if TYPE_CHECKING:
    from carboy.app.interface import Application
    from carboy.app.plan import Plan
    from carboy.app.wrappers import Response

    # An Answer whose body is complete.
    WholeAnswer = tuple[str, list[tuple[str, str]], bytes, None]


def make_response(app: Application, rv: Any) -> Response:
    """A return value as a response of the application's class."""
    status: Any = None
    headers: Any = None
    if isinstance(rv, tuple):
        rv, status, headers = _split(rv)
    if rv is None:
        endpoint = _cv_request().request.endpoint
        raise TypeError(
            f"The view function for {endpoint!r} did not return a valid response: it"
            " returned None. End every path through it with a return statement."
        )
    if not isinstance(rv, app.response_class):
        if isinstance(rv, str | bytes | bytearray | Iterator) or hasattr(rv, "__aiter__"):
            # Passed to the constructor, where a custom response class may read them.
            rv = app.response_class(rv, status=status, headers=headers)
            status = headers = None
        else:
            rv = _convert(app, rv)
    response: Response = rv
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
        f" {len(rv)}. A tuple must have the form (body, status), (body, headers) or (body,"
        " status, headers)."
    )


def _convert(app: Application, rv: Any) -> Any:
    if isinstance(rv, dict | list):
        return app.json.response(rv)
    if isinstance(rv, BaseResponse) or callable(rv):
        # For HEAD the error is called like any WSGI application: hooks see a page without content.
        if (is_own_page(rv) or isinstance(rv, RequestRedirect)) and (
            _cv_request().request.method != "HEAD"
        ):
            rv = rv.get_response()
        environ = None if isinstance(rv, BaseResponse) else _cv_request().request.environ
        try:
            return app.response_class.force_type(rv, environ)
        except TypeError as error:
            raise TypeError(f"{error}\n{_not_a_response(rv)}").with_traceback(
                sys.exc_info()[2]
            ) from None
    raise TypeError(_not_a_response(rv))


# The classes, not their `__module__`: `carboy.compat` gives them the modules of Werkzeug.
OWN_ERRORS = {each for each in vars(exceptions).values() if isinstance(each, type)}


def is_own_page(rv: Any) -> bool:
    """Whether `rv` is an HTTP error of this package, whose page can be made without an environ."""
    if not isinstance(rv, HTTPException):
        return False
    kind = type(rv)
    return (
        kind in OWN_ERRORS
        and kind.get_response is HTTPException.get_response
        and rv.response is None
        and rv.code is not None
    )


def _not_a_response(rv: Any) -> str:
    return (
        "The view function did not return a valid response. The return type must be text, bytes,"
        " a dict or list for JSON, an iterator, an async iterator, a Response, a WSGI callable, or"
        f" a tuple of one of these with status and headers, but it was a {type(rv).__name__}."
    )


def page_of(plan: Plan, method: str | None, error: HTTPException) -> WholeAnswer:
    """The answer to an HTTP error without a handler."""
    kind, text = type(error), error.description
    known = plan.pages.get(kind)
    if known is not None and known[0] is text:
        body = known[1]
    else:
        body = error.get_body().encode()
        # Kept for all errors of the class, unless this one has its own description.
        if text is kind.description and kind.get_body is HTTPException.get_body:
            plan.pages[kind] = (text, body)
    fields = [*error.get_headers(), ("Content-Length", str(len(body)))]
    return status_text(error.code or 0), fields, b"" if method == "HEAD" else body, None
