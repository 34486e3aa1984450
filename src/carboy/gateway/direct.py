"""A Carboy app served as it is: it gets the exchange, and no environ is built."""

from __future__ import annotations

from collections.abc import Hashable

from carboy.gateway.interface import Answer, DirectApplication, Exchange
from carboy.gateway.wsgi import WsgiGateway


class DirectGateway:
    """The five calls of DirectApplication under the Gateway's names.

    Whether the app may be called directly is asked for each request, because a wrapper can be
    put around its WSGI entry point at any time; once, as nobody puts it there in between.
    """

    def __init__(self, app: DirectApplication) -> None:
        self.app = app
        self.ready = app.direct_ready
        self._wsgi = WsgiGateway(app)  # type: ignore[arg-type]  # a Carboy app is callable too
        self._prepare = app.direct_prepare
        self._handle = app.direct_handle

    def prepare(self, exchange: Exchange) -> Hashable:
        """What the app says: the rule that matched."""
        if self.ready():
            return self._prepare(exchange)
        return self._wsgi.prepare(exchange)

    def body_limit(self, exchange: Exchange) -> int | None:
        """The app's own limit for this route."""
        return self.app.direct_body_limit(exchange)

    def wants_stream(self, exchange: Exchange) -> bool:
        """Whether the route asked for the unread stream."""
        return self.app.direct_wants_stream(exchange)

    def handle(self, exchange: Exchange) -> Answer:
        """Run the app; through its WSGI entry point while something wraps that."""
        # A match was found by the app itself, so it was ready.
        if exchange.match is not None or self.ready():
            return self._handle(exchange)
        return self._wsgi.handle(exchange)
