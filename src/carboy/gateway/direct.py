"""A Carboy app served directly: it gets the exchange, and no environ is built."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

from carboy.gateway.interface import Answer, DirectApplication, Exchange
from carboy.gateway.worker_hooks import WorkerHooks
from carboy.gateway.wsgi import WsgiGateway


class DirectGateway:
    """The methods of DirectApplication under the Gateway's names.

    The app is asked once a turn of the leader whether it may be called directly, because its
    classes may be patched and its WSGI entry point wrapped at any time. `handle` is an attribute,
    which saves each request a call. `lane` is the app's compiled lane, if that runs: its methods
    `prepare` and `handle` do the same. The coroutines of the app run on a loop of the kind `loop`.
    """

    def __init__(
        self, app: DirectApplication, loop: str = "auto", name: str = "The application"
    ) -> None:
        self.app = app
        hooks = WorkerHooks(app, loop, name)
        self.start = hooks.start
        self.stop = hooks.stop
        self._wsgi = WsgiGateway(app)  # type: ignore[arg-type]  # a Carboy app is callable too
        self.websocket_support = self._wsgi.websocket_support
        self.lane: Any = None
        self._find_lane: Any = getattr(app, "direct_lane", lambda: None)()
        self.body_limit = app.direct_body_limit
        self.wants_stream = app.direct_wants_stream
        self.turn()

    def turn(self) -> None:
        """Choose `handle` for the requests of a turn: the direct lane, or WSGI."""
        app = self.app
        self._direct = app.direct_ready()
        lane = self._find_lane(self.lane) if self._direct and self._find_lane else None
        if lane is not None and lane is self.lane:
            return
        self.lane = lane
        self._prepare: Callable[[Any], Hashable]
        self.handle: Callable[[Exchange], Answer]
        if lane is not None:
            self._prepare, self.handle = lane.prepare, lane.handle
        else:
            self._prepare = app.direct_prepare
            self.handle = app.direct_handle if self._direct else self._wsgi.handle

    def prepare(self, exchange: Any) -> Hashable:
        """The dispatch key: the rule that matched, or the key of requests without one."""
        key = self._prepare(exchange)
        if self._direct and key is not None:
            return key
        # A wrapper may change the request, so only the key is used, and only if it is that of a
        # rule.
        match, exchange.match = exchange.match, None
        rule = match[0] if match.__class__ is tuple else getattr(match, "rule", None)
        if rule is not None:
            exchange.rule = rule
            return key
        return self._wsgi.prepare(exchange)
