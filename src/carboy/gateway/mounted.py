"""The gateway of mounted applications: finds the application of each request, and its gateway.

Each application has a gateway of its own, so a Carboy application stays on the direct lane, and
limits of the content and handler times are learned for each of them. An application that is mounted
at several prefixes has one gateway, and an ASGI application one lifespan.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from typing import Any

from carboy.gateway.interface import Answer, Gateway, StartFailed
from carboy.gateway.mounts import Mount, Mounts, not_found
from carboy.gateway.websocket_support import Support, combined, support_of
from carboy.protocol.events import RequestHead


class MountsGateway:
    """Passes each request to the gateway of its application; `make` makes these gateways."""

    def __init__(self, mounts: Mounts, make: Callable[[Mount], Gateway]) -> None:
        made: dict[tuple[int, str], Gateway] = {}
        self._of_mount: dict[Mount, Gateway] = {}
        for mount in mounts.all():
            key = id(mount.app), mount.interface
            if key not in made:
                made[key] = make(mount)
            self._of_mount[mount] = made[key]
        self._gateways = list(made.values())
        # of the applications of the user
        self._own = [made[id(m.app), m.interface] for m in mounts.all() if m.app is not not_found]
        self._turns = [each.turn for each in self._gateways if hasattr(each, "turn")]
        self._find = mounts.find

    # --- what the engine calls

    def turn(self) -> None:
        """Each gateway looks for changes in its application."""
        for turn in self._turns:
            turn()

    def websocket_support(self) -> Support:
        """That of all applications together."""
        return combined([support_of(each) for each in self._own])

    def prepare(self, exchange: Any) -> Hashable:
        """The dispatch key of the application, apart from those of others."""
        head = exchange.head
        mount, size = self._find(head.path)
        exchange.served_by = gateway = self._of_mount[mount]
        if size:
            exchange.root_path += mount.prefix
            exchange.mounted_at = mount.prefix
            exchange.prefix_size = size
            if not getattr(gateway, "path_has_prefix", False):
                exchange.head = below(head, size)
        return mount.prefix, gateway.prepare(exchange)

    def body_limit(self, exchange: Any) -> int | None:
        """As the application's gateway."""
        limit: int | None = exchange.served_by.body_limit(exchange)
        return limit

    def wants_stream(self, exchange: Any) -> bool:
        """As the application's gateway."""
        return bool(exchange.served_by.wants_stream(exchange))

    def answers_later(self, exchange: Any) -> bool:
        """As the application's gateway."""
        later = getattr(exchange.served_by, "answers_later", None)
        return later is not None and bool(later(exchange))

    def handle(self, exchange: Any) -> Answer:
        """Run the application."""
        answer: Answer = exchange.served_by.handle(exchange)
        return answer

    # --- what the worker calls

    def start(self) -> None:
        """Start all applications, or none: raises StartFailed with the name of the one that fails.

        Those that have started by then are stopped.
        """
        started: list[Gateway] = []
        for gateway in self._gateways:
            try:
                if hasattr(gateway, "start"):
                    gateway.start()
            except StartFailed:
                self._stop(started, 0.0)
                raise
            started.append(gateway)

    def stop(self, seconds: float) -> None:
        """Stop all applications, the last that was started first, within `seconds` in all."""
        self._stop(self._gateways, seconds)

    def _stop(self, gateways: list[Gateway], seconds: float) -> None:
        until = time.monotonic() + seconds
        for gateway in reversed(gateways):
            if hasattr(gateway, "stop"):
                gateway.stop(max(0.0, until - time.monotonic()))


def below(head: RequestHead, size: int) -> RequestHead:
    """The head for an application that is mounted at the first `size` characters of the path."""
    copied = RequestHead.__new__(RequestHead)
    copied.take(head)
    copied.path = head.path[size:]
    return copied
