"""A Carboy app served as it is: it gets the exchange, and no environ is built."""

from __future__ import annotations

from collections.abc import Hashable

from carboy.gateway.interface import Answer, DirectApplication, Exchange
from carboy.gateway.wsgi import WsgiGateway


class DirectGateway:
    """The calls of DirectApplication under the Gateway's names.

    Whether the app may be called directly is asked once a turn of the leader, because its
    classes can be patched, and a wrapper put around its WSGI entry point, at any time. A request
    takes the lane that was open when it was read.
    """

    def __init__(self, app: DirectApplication) -> None:
        self.app = app
        self._wsgi = WsgiGateway(app)  # type: ignore[arg-type]  # a Carboy app is callable too
        self._prepare = app.direct_prepare
        self._handle = app.direct_handle
        self.turn()

    def turn(self) -> None:
        """Look at the app before the requests of a turn."""
        self._direct = self.app.direct_ready()

    def prepare(self, exchange: Exchange) -> Hashable:
        """What the app says: the rule that matched, or that none does."""
        key = self._prepare(exchange)
        if self._direct and key is not None:
            return key
        # What stands before the app may send the request elsewhere: only the key is of use,
        # and only if it is a rule's.
        match, exchange.match = exchange.match, None
        if match.__class__ is tuple or getattr(match, "rule", None) is not None:
            return key
        return self._wsgi.prepare(exchange)

    def body_limit(self, exchange: Exchange) -> int | None:
        """The app's own limit for this route."""
        return self.app.direct_body_limit(exchange)

    def wants_stream(self, exchange: Exchange) -> bool:
        """Whether the route asked for the unread stream."""
        return self.app.direct_wants_stream(exchange)

    def handle(self, exchange: Exchange) -> Answer:
        """Run the app; through its WSGI entry point while something wraps that."""
        # A match is kept for the direct lane only, which was open when the request was read.
        if exchange.match is not None or self._direct:
            return self._handle(exchange)
        return self._wsgi.handle(exchange)
