"""Lines of the error log about proxies: few, and with values escaped."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from carboy.protocol.forwarded import FIELDS
from carboy.server.trusted_proxies import is_private

if TYPE_CHECKING:
    from carboy.server.forwarding import Taken

log = logging.getLogger("carboy.error")

MOST_PEERS = 64  # that are named, each once
SHOWN = 100  # characters of a value

Peer = tuple[str, int] | None


def shown(text: str) -> str:
    """A value that came over the network, in quotes, escaped and shortened."""
    return ascii(text if len(text) <= SHOWN else text[:SHOWN] + "…")


def named(peer: Peer) -> str:
    """The other end of a connection, for people."""
    return "at a unix socket" if peer is None else peer[0]


def is_logged(count: int) -> bool:
    """Whether the problem with this number is logged: the 1st, the 10th, the 100th, …"""
    return str(count).strip("0") == "1"


class ForwardingLog:
    """Remembers what was said about Forwarded and X-Forwarded-*. Used by the leader only.

    explains   say once for each proxy what was taken (--forwarded-log)
    count      values that were not valid and ignored
    """

    def __init__(self, explains: bool) -> None:
        self.explains = explains
        self.count = 0
        self._removed: set[str] = set()
        self._explained: set[str] = set()

    def removed(self, peer: Peer, fields: dict[str, str]) -> None:
        """The fields of a peer were removed, because it is not trusted.

        Said once for a peer that may be a proxy of this site: one with a private address.
        """
        where = named(peer)
        if not fields or where in self._removed or len(self._removed) >= MOST_PEERS:
            return
        if peer is not None and not is_private(peer[0]):
            return
        self._removed.add(where)
        word = "unix" if peer is None else where
        log.warning(
            "Headers of %s that name the client (%s) were removed, because it is not a trusted"
            " proxy. If it is your proxy, use --trusted-proxies %s.",
            "a client at a unix socket" if peer is None else where,
            ", ".join(FIELDS[name] for name in fields),
            word,
        )

    def ignored(self, peer: Peer, values: list[tuple[str, str]]) -> None:
        """Values of a trusted proxy were not valid. Some are logged (`is_logged`)."""
        for name, value in values:
            self.count += 1
            if is_logged(self.count):
                log.warning(
                    "%s of the proxy %s has the value %s, which is not valid and was ignored"
                    " (%d so far).",
                    name,
                    named(peer),
                    shown(value),
                    self.count,
                )

    def explain(
        self, peer: Peer, fields: dict[str, str], taken: Taken, host: str, stopped: bool
    ) -> None:
        """Say what was taken from a proxy, at its first request that has such fields.

        `stopped`: the client is an address that is not trusted.
        """
        where = named(peer)
        if where in self._explained or len(self._explained) >= MOST_PEERS:
            return
        self._explained.add(where)
        log.info(
            "From the proxy %s (trusted): %s. Headers: %s.",
            where,
            "; ".join(_facts(taken, host, stopped)),
            ", ".join(f"{FIELDS[name]} {shown(value)}" for name, value in fields.items()) or "none",
        )


def _facts(taken: Taken, host: str, stopped: bool) -> list[str]:
    found = []
    client = taken.client
    if client is None:
        found.append("the client is not known, so the address of the proxy is used")
    else:
        why = (
            "the first address from the right that is not a trusted proxy"
            if stopped
            else "the last known address, as those on its right are trusted proxies"
        )
        found.append(f"client {client.address}, {why}")
    found.append(f"scheme {taken.scheme}" if taken.scheme else "scheme of the connection")
    found.append(f"host {shown(host)}")
    if taken.prefix:
        found.append(f"prefix {shown(taken.prefix)}")
    return found
