"""Hooks of the standard library's servers, which Werkzeug's are: `server_bind`, `server_activate`.

Test tools replace `socketserver.TCPServer.server_bind` to learn which port a server has, for
example Flask-Testing's live server. Here the socket is bound and listens before these hooks run.
"""

from __future__ import annotations

import sys
from socket import socket
from typing import Any, cast


class BoundSocket:
    """A listening socket for these hooks: it is not bound, configured or opened a second time."""

    def __init__(self, listener: socket) -> None:
        self._listener = listener

    def __getattr__(self, name: str) -> Any:
        return getattr(self._listener, name)

    def bind(self, address: object) -> None:
        """Nothing: the socket has its address."""

    def listen(self, backlog: int = 0) -> None:
        """Nothing: the socket listens."""


class StandardHooks:
    """`server_bind` and `server_activate` as methods that a subclass can extend."""

    socket: socket
    allow_reuse_address = True
    allow_reuse_port = False

    def server_bind(self) -> None:
        """Run the function that a program has put in place of the standard library's."""
        _standard("server_bind", self)

    def server_activate(self) -> None:
        """Run the function that a program has put in place of the standard library's."""
        _standard("server_activate", self)

    def _run_hooks(self) -> None:
        listener = self.socket
        self.socket = cast(socket, BoundSocket(listener))
        try:
            self.server_bind()
            self.server_activate()
        except BaseException:
            listener.close()
            raise
        finally:
            self.socket = listener


def _standard(name: str, server: Any) -> None:
    module = sys.modules.get("socketserver")
    if module is not None:  # otherwise nothing can have been replaced
        getattr(module.TCPServer, name)(server)
