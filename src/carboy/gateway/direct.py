"""A Carboy app served as it is: it gets the exchange, and no environ is built."""

from __future__ import annotations

from collections.abc import Callable, Hashable

from carboy.gateway.interface import Answer, DirectApplication, Exchange
from carboy.gateway.wsgi import WsgiGateway


class DirectGateway:
    """The calls of DirectApplication under the Gateway's names.

    Whether the app may be called directly is asked once a turn of the leader, because its
    classes can be patched, and a wrapper put around its WSGI entry point, at any time. `handle`
    is an attribute, which spares each request a call.
    """

    def __init__(self, app: DirectApplication) -> None:
        self.app = app
        self._wsgi = WsgiGateway(app)  # type: ignore[arg-type]  # a Carboy app is callable too
        self._prepare = app.direct_prepare
        self.body_limit = app.direct_body_limit
        self.wants_stream = app.direct_wants_stream
        self.turn()

    def turn(self) -> None:
        """Look at the app before the requests of a turn: `handle` is the lane that is open."""
        self._direct = self.app.direct_ready()
        self.handle: Callable[[Exchange], Answer]
        self.handle = self.app.direct_handle if self._direct else self._wsgi.handle

    def prepare(self, exchange: Exchange) -> Hashable:
        """What the app says: the rule that matched, or that none does."""
        key = self._prepare(exchange)
        if self._direct and key is not None:
            return key
        # The wrapper may send the request elsewhere: only the key is of use, and only if it is
        # a rule's.
        match, exchange.match = exchange.match, None
        if match.__class__ is tuple or getattr(match, "rule", None) is not None:
            return key
        return self._wsgi.prepare(exchange)
