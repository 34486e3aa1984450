"""The work of a process beside its engine when it serves HTTPS.

the certificates   watched in a thread, and loaded again when their files change
the plain port     an engine of its own (--redirect-http), which sends clients to HTTPS
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from carboy.gateway.https_redirect import HttpsRedirect
from carboy.net.listener import Listener
from carboy.server.engine import Engine
from carboy.server.listening import ListenerPolicy
from carboy.server.responder import Access
from carboy.server.settings import Settings

if TYPE_CHECKING:
    from carboy.net.tls_server import TlsServer

HTTPS = 443


class BesideTls:
    """Begins with the engine of a process, and ends after it."""

    def __init__(
        self,
        tls: TlsServer,
        sockets: Sequence[socket.socket],
        settings: Settings,
        access: Access | None,
    ) -> None:
        self._tls = tls
        self._engine: Engine | None = None
        self._thread: threading.Thread | None = None
        plain = [each for each in sockets if redirects(each)]
        if plain:
            # One thread answers everything: nothing waits. No HSTS, which is for HTTPS only.
            own = replace(settings, threads=1, hsts=0, idle_grace=0.0)
            gateway = HttpsRedirect(tls.covers, https_port(sockets))
            self._engine = Engine(gateway, plain, own, access)

    def start(self) -> None:
        """Watch the files, and serve the plain port in a thread."""
        self._tls.watch()
        if self._engine is not None:
            self._thread = threading.Thread(
                target=self._engine.run, name="carboy-redirect", daemon=True
            )
            self._thread.start()

    def stop(self, policy: ListenerPolicy | None) -> None:
        """End both; `policy` is that of the engine that has ended."""
        self._tls.stop()
        if self._engine is not None and self._thread is not None:
            self._engine.stop(listeners=ListenerPolicy.KEEP if policy is None else policy)
            self._thread.join()


def redirects(sock: socket.socket) -> bool:
    """Whether a listener is for --redirect-http."""
    return isinstance(sock, Listener) and sock.redirects


def https_port(sockets: Sequence[socket.socket]) -> int:
    """The port to which clients are sent: 443 if it is there, else the first one."""
    names = [each.getsockname() for each in sockets if not redirects(each)]
    ports = [name[1] for name in names if isinstance(name, tuple)]
    return HTTPS if HTTPS in ports or not ports else int(ports[0])
