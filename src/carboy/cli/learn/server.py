"""An engine on a thread of its own, for an application of the course."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from typing import Any

from carboy.gateway import for_application
from carboy.server.engine import Engine
from carboy.server.settings import Settings
from carboy.speedups import RECORDED, speedups

# Heads are typed by hand, and bodies too, so their limits are longer than by default.
SETTINGS = Settings(headers_timeout=600.0, keepalive_timeout=600.0, body_grace=20.0, threads=16)
GRACE = 2.0  # seconds for the engine to end


class Server:
    """Serves until it is stopped."""

    def __init__(
        self,
        app: Any,
        sockets: list[socket.socket],
        trace: Callable[[], object] | None = None,
        settings: Settings = SETTINGS,
    ) -> None:
        self._sockets = sockets
        self._is_traced = trace is not None
        if self._is_traced:
            speedups.hold(RECORDED)
        self._engine = Engine(for_application(app), sockets, settings, trace=trace)
        self._thread = threading.Thread(target=self._engine.run, name="engine", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End at once."""
        self._engine.stop(graceful=False)
        self._thread.join(GRACE)
        for sock in self._sockets:
            sock.close()
        if self._is_traced:
            speedups.release(RECORDED)
