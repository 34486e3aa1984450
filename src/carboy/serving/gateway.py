"""Makes the server treat an application as Werkzeug's server does.

An exception of the application is logged and answered with a page, or raised from `serve_forever`
for debuggers that wait for it.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Hashable
from copy import copy
from functools import partial

from carboy.gateway.interface import LATER, Answer, Exchange, Gateway
from carboy.gateway.websocket_support import support_of
from carboy.protocol.events import RequestHead
from carboy.server.first_piece import with_first_piece
from carboy.server.raw_socket import has_switched_protocol
from carboy.serving.chunked import unframed
from carboy.werkzeug_log import _log

STATUS = "500 INTERNAL SERVER ERROR"
PAGE = b"""<!doctype html>
<html lang=en>
<title>500 Internal Server Error</title>
<h1>Internal Server Error</h1>
<p>The application failed while it answered this request. The server's log has the reason.</p>
"""


class WerkzeugGateway:
    """Wraps a gateway: its exceptions become a page and a record on the logger `werkzeug`.

    With `escape`, exceptions are passed to that function instead, and the engine answers 500.
    """

    like_werkzeug = True  # server/exchange.py makes environs like Werkzeug's

    def __init__(
        self, inner: Gateway, escape: Callable[[BaseException], object] | None = None
    ) -> None:
        self.inner = inner
        self.escape = escape
        self.body_limit = inner.body_limit
        self.wants_stream = inner.wants_stream
        self.turn = getattr(inner, "turn", None)
        self.websocket_support = partial(support_of, inner)
        # of an ASGI application
        self.start: Callable[[], None] = getattr(inner, "start", lambda: None)
        self.stop: Callable[[float], None] = getattr(inner, "stop", lambda seconds: None)

    def prepare(self, exchange: Exchange) -> Hashable:
        """As the inner gateway. Several slashes at the start of a target become one."""
        if exchange.head.target.startswith("//"):
            exchange.head = one_slash(exchange.head)
        return self.inner.prepare(exchange)

    def handle(self, exchange: Exchange) -> Answer:
        """The inner gateway's answer, or the page for an exception."""
        exchange.may_answer_later = False  # the answer is changed here
        try:
            answer = self.inner.handle(exchange)
            if answer is LATER:  # a WebSocket
                return answer
            exchange.in_pieces = True
            return begun_or_closed(unframed(answer))
        except Exception as error:
            if has_switched_protocol(exchange):
                raise  # the application has the socket, so a page cannot be sent
            if self.escape is not None:
                self.escape(error)
                raise
            _log("error", "Error on request:\n%s", "".join(traceback.format_exception(error)))
            headers = [("Content-Type", "text/html; charset=utf-8")]
            return STATUS, headers, PAGE, None


def begun_or_closed(answer: Answer) -> Answer:
    """The answer with the first piece of its body; it is closed when that fails."""
    try:
        return with_first_piece(answer)
    except BaseException:
        close = answer[3]
        if close is not None:
            close()
        raise


def one_slash(head: RequestHead) -> RequestHead:
    """The head with one slash at the start, so that `//host/path` is not taken for a host."""
    head = copy(head)
    head.target = "/" + head.target.lstrip("/")
    head.path = "/" + head.path.lstrip("/")
    return head
