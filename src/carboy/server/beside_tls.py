"""The work of a process beside its engine when it serves HTTPS.

the certificates   watched in a thread, and loaded again when their files change
the plain port     an engine of its own (--redirect-http), which sends clients to HTTPS
the authority      from which --domain orders certificates, in a thread (carboy.acme.keeper)
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from carboy.acme.settings import AcmeSettings
from carboy.gateway.https_redirect import HttpsRedirect
from carboy.net.listener import Listener
from carboy.server.engine import Engine
from carboy.server.listening import ListenerPolicy
from carboy.server.responder import Access
from carboy.server.settings import Settings

if TYPE_CHECKING:
    from carboy.acme.keeper import Keeper
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
        acme: AcmeSettings | None = None,
    ) -> None:
        self._tls = tls
        self._keeper = None if acme is None else self._keeper_of(acme, sockets)
        self._engine: Engine | None = None
        self._thread: threading.Thread | None = None
        plain = [each for each in sockets if redirects(each)]
        if plain:
            # One thread answers everything: nothing waits. No HSTS, which is for HTTPS only.
            own = replace(settings, threads=1, hsts=0, idle_grace=0.0)
            gateway = HttpsRedirect(tls.covers, https_port(sockets), *self._of_keeper())
            self._engine = Engine(gateway, plain, own, access)

    def start(self) -> None:
        """Watch the files, serve the plain port in a thread, and order certificates."""
        self._tls.watch()
        if self._engine is not None:
            self._thread = threading.Thread(
                target=self._engine.run, name="carboy-redirect", daemon=True
            )
            self._thread.start()
        if self._keeper is not None:
            self._keeper.start()

    def _keeper_of(self, acme: AcmeSettings, sockets: Sequence[socket.socket]) -> Keeper:
        from carboy.acme.keeper import Keeper

        return Keeper(acme, challenges(sockets), self._changed)

    def _changed(self) -> None:
        """A new certificate has been saved: use it at once."""
        self._tls.look(settled=True)

    def _of_keeper(self) -> tuple[Callable[..., Any], ...]:
        """The answers of the plain port besides redirects."""
        if self._keeper is None:
            return ()
        names = self._keeper.settings.names
        return self._keeper.store.response, lambda host: host in names and self._is_temporary()

    def _is_temporary(self) -> bool:
        from carboy.acme.temporary import is_temporary

        kept, found = self._tls.options.kept, self._tls.contexts.identities
        return any(e.pair.certificate == kept and is_temporary(e.certificate) for e in found)

    def stop(self, policy: ListenerPolicy | None) -> None:
        """End all; `policy` is that of the engine that has ended."""
        self._tls.stop()
        if self._keeper is not None:
            self._keeper.stop()
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


def challenges(sockets: Sequence[socket.socket]) -> tuple[str, ...]:
    """The challenges of certificate authorities that these listeners can answer."""
    from carboy.acme.problems import HTTP_01, TLS_ALPN_01

    with_port = [sock for sock in sockets if isinstance(sock.getsockname(), tuple)]
    plain = [HTTP_01] if any(map(redirects, with_port)) else []
    return (*plain, *([TLS_ALPN_01] if not all(map(redirects, with_port)) else []))
