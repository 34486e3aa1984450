"""A Response as the server gets it: the body for an environ, an Answer for an exchange."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from carboy.app.async_body import Kept, body_of, may_answer_later
from carboy.http.response.response import Response as BaseResponse
from carboy.http.status import has_no_content

if TYPE_CHECKING:
    from wsgiref.types import StartResponse

    from carboy.app.context import RequestContext
    from carboy.gateway.interface import Answer, Exchange

ORIGINAL_CALL = BaseResponse.__call__  # a patch replaces the attribute, not this


def send(
    response: Any, origin: Any, start_response: StartResponse | None, ctx: RequestContext
) -> Any:
    """Send a Response: returns the body for an environ, an Answer for an exchange."""
    if ctx._after is not None and ctx.jobs is not None:
        ctx.jobs.attach(response, origin)
    if hasattr(getattr(response, "response", None), "__aiter__"):
        return _send_async(response, origin, start_response)
    if start_response is not None:
        return response(origin, start_response)
    if type(response).__call__ is ORIGINAL_CALL:
        return response.answer(origin)
    return _call(response, origin)


def _send_async(response: Any, origin: Any, start_response: StartResponse | None) -> Any:
    """Send a Response whose body is an async iterable: without a thread if the server can."""
    body = response.response = body_of(response.response)
    body.keep_contexts()
    try:
        stock = not response._hooked and type(response).__call__ is ORIGINAL_CALL
        if start_response is None:
            answer: Any = response.answer(origin) if stock else _call(response, origin)
            # The body of a response to HEAD is b"".
            if stock and answer[2].__class__ is not bytes and may_answer_later(origin):
                return body.later(origin, answer)
            return answer
        iterable = response(origin, start_response)
        if (
            stock
            and origin["REQUEST_METHOD"] != "HEAD"
            and not has_no_content(response._status_code)
        ):
            return Kept(body, iterable)
        return iterable
    except BaseException:
        body.close()
        raise


def _call(response: Any, exchange: Exchange) -> Answer:
    """The answer of a response with its own `__call__`, or of any WSGI application."""
    started: list[Any] = []

    def start_response(status: str, headers: Any, exc_info: Any = None) -> Any:
        started[:] = [status, headers]
        return write

    def write(chunk: bytes) -> object:
        if len(started) == 2:  # the first chunk sends the head
            started.append(exchange.start(*started))
        return started[2](chunk)

    body = response(exchange.environ(), start_response)
    status, headers = started[:2]
    return status, headers, body, getattr(body, "close", None)
