"""The view of a WebSocket rule: it checks the handshake, and has the handler called later.

handshake ─▶ hooks before the view ─▶ WebSocketView ─▶ Suspended ─▶ the server goes on
                                                          │
          the server opens the connection ─▶ HandlerCall: the handler, hooks after the view
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from functools import update_wrapper
from typing import Any, NoReturn

from carboy.app.active import Suspended
from carboy.app.context import RequestContext, _cv_request
from carboy.app.plan import is_coroutine_function
from carboy.http.exceptions import BadRequest, HTTPException
from carboy.http.exceptions import NotImplemented as NotImplementedHere
from carboy.http.response.response import Response
from carboy.realtime.websocket_call import HandlerCall
from carboy.realtime.websocket_link import Link
from carboy.realtime.websocket_origin import check_origin

NO_TRANSPORT = (
    "This server cannot serve WebSocket connections. Use `carboy run`, `carboy dev` or app.run(),"
    " with pip install 'carboy[websocket]'."
)


class WebSocketView:
    """The view that a WebSocket rule has for a handler.

    Two views of one handler are equal, so that one handler may have several rules.
    """

    __name__: str

    def __init__(self, handler: Callable[..., Any], subprotocols: Iterable[str] = ()) -> None:
        _refuse_unfit(handler, subprotocols)
        update_wrapper(self, handler, updated=())
        self.handler = handler
        self.subprotocols = tuple(subprotocols)
        self.is_async = is_coroutine_function(handler)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, WebSocketView)
            and self.handler == other.handler
            and self.subprotocols == other.subprotocols
        )

    def __hash__(self) -> int:
        return hash((self.handler, self.subprotocols))

    def __repr__(self) -> str:
        return f"<WebSocketView of {self.__name__}>"

    def __call__(self, **values: Any) -> NoReturn:
        """Check the handshake of the current request, and end the cycle for now."""
        ctx = _cv_request()
        check_origin(ctx.app, ctx.request)
        link = Link(self.subprotocols)
        exchange = exchange_of(ctx)
        link.transport = _transport(exchange, link)
        raise Suspended(HandlerCall(self, ctx, exchange, link, values))


def exchange_of(ctx: RequestContext) -> Any:
    """The exchange of a request; None under servers other than Carboy's."""
    if ctx.exchange is not None:
        return ctx.exchange
    environ = ctx.environ if ctx.environ is not None else ctx.request.environ
    return environ.get("carboy.exchange")


def _transport(exchange: Any, link: Link) -> Any:
    """The transport of the server, which calls `look` from time to time.

    Raises an HTTPException if there is none.
    """
    make = getattr(exchange, "websocket", None)
    if make is None:
        raise NotImplementedHere(NO_TRANSPORT)
    transport = make(link.changed)
    if transport is None:
        raise BadRequest("This URL is for WebSocket connections, and the request asks for none.")
    if isinstance(transport, tuple):  # the handshake breaks a rule of RFC 6455
        status, headers, body, _ = transport
        raise HTTPException(response=Response(body, status, headers))
    return transport


def _refuse_unfit(handler: object, subprotocols: object) -> None:
    if not callable(handler):
        raise TypeError(f"The handler of a WebSocket rule is a function, not {handler!r}.")
    if inspect.isasyncgenfunction(handler):
        raise TypeError(
            f"{getattr(handler, '__name__', handler)!r} is an asynchronous generator. Write"
            " `async for message in ws:` in a coroutine function, or leave out `async`."
        )
    if isinstance(subprotocols, str):
        raise TypeError(f"'subprotocols' should be a list of names. Write [{subprotocols!r}].")
