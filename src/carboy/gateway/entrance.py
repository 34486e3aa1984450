"""A gateway before all others: the prefix of the server, and the names that it answers to.

    --root-path    the prefix is the first part of SCRIPT_NAME or root_path. It is taken from the
                   path if the proxy has left it there.
    --host-allow   a request for another host gets 421 (RFC 9110, section 15.5.20)

Not used without these options. The host is that of a trusted proxy, if there is one: the forwarded
fields are taken before (server/forwarding.py).
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Hashable, Iterable
from typing import Any

from carboy.gateway.interface import Answer, Gateway
from carboy.gateway.mounted import below
from carboy.gateway.mounts import script_name
from carboy.gateway.wsgi import decode_path

ADDRESS = "address"
REFUSED = "misdirected"  # the dispatch key
_pattern = re.compile(r"(?:\*\.)?[A-Za-z0-9_](?:[A-Za-z0-9_.\-]{0,252}[A-Za-z0-9_])?").fullmatch
_host = re.compile(r"(?:\[([^\]]*)\]|([^:]*))(?::[0-9]*)?").fullmatch
MOST_KNOWN = 1024  # hosts whose answer is remembered
LONGEST_KNOWN = 255  # characters of such a host, because clients choose them
ANSWER: Answer = (
    "421 Misdirected Request",
    [("Content-Type", "text/plain; charset=utf-8"), ("Cache-Control", "no-store")],
    b"421 Misdirected Request: this server does not answer for this host.\n",
    None,
)


class AllowedHosts:
    """Names of hosts, without ports: exact, `*.example` for all subdomains, or addresses.

    The word `address` allows every IP address, and requests without a Host. Raises ValueError for
    something that cannot be a name.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._addresses = False
        self._exact: set[str] = set()
        self._endings: list[str] = []
        for text in names:
            name = _encoded(text)
            if name == ADDRESS:
                self._addresses = True
            elif name.startswith("*.") and _pattern(name):
                self._endings.append(_plain(name)[1:])
            elif _pattern(name) or _address(name.removeprefix("[").removesuffix("]")):
                self._exact.add(_plain(name.removeprefix("[").removesuffix("]")))
            else:
                raise ValueError(
                    f"{text!r} is not a host. Use a name without a port (shop.example),"
                    " *.example for its subdomains, an address, or the word address."
                )
        self._known: dict[str, bool] = {}

    def allows(self, host: str) -> bool:
        """Whether a Host field names one of them; "": there is no such field."""
        known = self._known.get(host)
        if known is None:
            known = self._decide(host)
            if len(self._known) >= MOST_KNOWN:
                self._known.clear()
            if len(host) <= LONGEST_KNOWN:
                self._known[host] = known
        return known

    def _decide(self, host: str) -> bool:
        found = _host(host)
        name = _plain((found[1] or found[2] or "") if found else "")
        if name in self._exact or any(
            name.endswith(ending) and name != ending for ending in self._endings
        ):
            return True
        return self._addresses and (not host or _address(name) is not None)


def _encoded(name: str) -> str:
    """A name as clients send it: an international name in IDNA."""
    try:
        return name if name.isascii() else name.encode("idna").decode("ascii")
    except UnicodeError:
        return name


def _plain(name: str) -> str:
    """A name in lower case without the dot at its end, or an address in its usual form."""
    name = name.lower().removesuffix(".")
    return _address(name) or name


def _address(name: str) -> str | None:
    try:
        return str(ipaddress.ip_address(name))
    except ValueError:
        return None


class EntranceGateway:
    """Passes a request to the gateway `inner`, or refuses it."""

    def __init__(self, inner: Gateway, root_path: str = "", hosts: AllowedHosts | None = None):
        self._inner = inner
        self._prepare = inner.prepare
        self._root_path = root_path
        self._parts = script_name(root_path).split("/")
        self._hosts = hosts

    def __getattr__(self, name: str) -> Any:
        """The optional attributes of a gateway, such as `turn` and `start`: those of `inner`."""
        return getattr(self._inner, name)

    def prepare(self, exchange: Any) -> Hashable:
        """The dispatch key of the application."""
        if self._hosts is not None and not self._hosts.allows(exchange.head.host):
            exchange.refused = True
            exchange.rule = "(refused host)"
            return REFUSED
        if self._root_path:
            self._enter(exchange)
        return self._prepare(exchange)

    def _enter(self, exchange: Any) -> None:
        """Set the prefix, and take it from the path if it is there.

        A trusted proxy that names another prefix in X-Forwarded-Prefix has removed that one.
        """
        if exchange.root_path and exchange.root_path != self._root_path:
            return
        exchange.root_path = exchange.outer_path = self._root_path
        size = self._size_in(exchange.head.path)
        if size:
            exchange.head = below(exchange.head, size)

    def _size_in(self, path: str) -> int:
        """The length of the prefix at the start of a path as it is in a request; 0: it has none."""
        count = len(self._parts)
        found = path.split("/", count)[:count]
        if "%" in path:
            decoded = [decode_path(part) for part in found]
        else:
            decoded = found
        return len("/".join(found)) if decoded == self._parts else 0

    def body_limit(self, exchange: Any) -> int | None:
        """As the application's gateway."""
        return None if exchange.refused else self._inner.body_limit(exchange)

    def wants_stream(self, exchange: Any) -> bool:
        """As the application's gateway; a refused request is answered before its body has come."""
        return True if exchange.refused else self._inner.wants_stream(exchange)

    def answers_later(self, exchange: Any) -> bool:
        """As the application's gateway."""
        later = getattr(self._inner, "answers_later", None)
        return later is not None and not exchange.refused and bool(later(exchange))

    def handle(self, exchange: Any) -> Answer:
        """The answer of the application, or 421."""
        if exchange.refused:
            status, headers, body, close = ANSWER
            return status, headers.copy(), body, close
        return self._inner.handle(exchange)


def entered(gateway: Gateway, root_path: str, host_allow: Iterable[str]) -> Gateway:
    """`gateway`, behind an entrance if one of the options is given."""
    names = tuple(host_allow)
    if not (root_path or names):
        return gateway
    return EntranceGateway(gateway, root_path, AllowedHosts(names) if names else None)
