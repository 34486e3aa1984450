"""Takes the client from Forwarded and X-Forwarded-*, once, before the application is called.

From a peer that is not trusted, all these fields are removed. From a trusted one, the client is
found by counting from the right: each proxy adds the address of its peer at the right end, so the
search goes on while the address is that of another trusted proxy, and stops at the first other one.
Values on its left were not written by a trusted proxy.

    client             the value at which the search stops; an unknown or malformed one leaves the
                       address of the proxy that has sent it
    scheme, host,      the value of the outermost trusted proxy: as many values from the right as
    port, prefix       proxies were found, or the first one if there are fewer
    both               X-Forwarded-* is taken, and Forwarded is removed

The fields that were taken are replaced by the facts, so that a middleware which counts one proxy or
more finds the same. Used by the leader; nothing here raises for what a client sends.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from carboy.gateway.mounts import read_prefix, script_name
from carboy.protocol.events import RequestHead
from carboy.protocol.forwarded import (
    FIELDS,
    Node,
    format_forwarded,
    is_host,
    parse_forwarded,
    parse_list,
    read_node,
)
from carboy.server.dataclass import dataclass
from carboy.server.forwarding_log import ForwardingLog
from carboy.server.identity import values_of
from carboy.server.trust import Trust
from carboy.server.trusted_proxies import TrustedProxies

if TYPE_CHECKING:
    from carboy.server.exchange import ServerExchange

FORWARDED = b"forwarded"
TAKEN = {name.lower().encode(): short for short, name in FIELDS.items()}
SCHEMES = {"http": "http", "https": "https", "ws": "http", "wss": "https"}
PORTS = {"http": 80, "https": 443}
# Decisions that are remembered, of fields that are not long. Bounded: a full table is emptied.
MOST_KNOWN = 1024
LONGEST_KNOWN = 512
_host_line = re.compile(rb"^host:[^\r]*+\r\n", re.IGNORECASE | re.MULTILINE).sub
_prefix = re.compile(r"(?:/[A-Za-z0-9\-._~!$&'()*+;=:@%]++)*+/?").fullmatch
_port = re.compile("[0-9]{1,5}").fullmatch
# Ids go to logs, header fields and pages, so they have no characters with a meaning there.
_request_id = re.compile(r"[A-Za-z0-9._~:/+=@\-]{1,128}").fullmatch


@dataclass(slots=True)
class Taken:
    """The facts about one request; None: as on the connection."""

    client: Node | None = None
    scheme: str | None = None
    host: str | None = None
    port: int | None = None
    prefix: str | None = None
    hops: int = 1  # trusted proxies on the way, the peer included


@dataclass(frozen=True, slots=True)
class Decision:
    """Everything that follows from the fields of one request; clients send the same ones often."""

    taken: Taken
    host: str
    lines: bytes  # that replace the fields
    ignored: list[tuple[str, str]]  # names and values that are not valid


class Forwarding:
    """Applies the setting to requests that have such fields."""

    def __init__(self, trust: Trust, request_id_header: str = "") -> None:
        self.proxies = TrustedProxies(trust.trusted_proxies)
        self._wanted = frozenset(trust.forwarded_fields)
        self._known: dict[tuple[Any, ...], Decision] = {}
        self.log = ForwardingLog(trust.forwarded_log)
        self._id_field = request_id_header.lower().encode()

    def request_id(self, exchange: ServerExchange) -> str:
        """The id that a trusted proxy has given the request; "" if there is none that is valid."""
        name = self._id_field
        if not name or not self.proxies.peer(exchange.connection.peer):
            return ""
        values = values_of(exchange.head, name)
        return values[0] if len(values) == 1 and _request_id(values[0]) else ""

    def apply(self, exchange: ServerExchange, head: RequestHead) -> None:
        """Give `exchange` the facts and a head without, or with other, fields of proxies."""
        if self.proxies.untouched:
            return
        peer = exchange.connection.peer
        if not self.proxies.peer(peer):
            removed, rest = taken_apart(head, keep_others=False)
            exchange.head = with_fields(head, rest)
            self.log.removed(peer, removed)
            return
        fields, rest = taken_apart(head)
        found = {name: value for name, value in fields.items() if name in self._wanted}
        if len(found) > 1:
            found.pop("forwarded", None)  # the client may have sent it through a proxy of the other
        key = (head.host, exchange.scheme, *found.items())
        decision = self._known.get(key) or self._decide(key, found)
        taken, host = decision.taken, decision.host
        if host != head.host:
            rest = b"Host: %b\r\n" % host.encode("latin-1") + _host_line(b"", rest)
        exchange.head = rewritten = with_fields(head, rest + decision.lines)
        rewritten.host = host
        exchange.forwarded_scheme = taken.scheme
        if taken.client is not None and taken.client.address is not None:
            exchange.forwarded_client = taken.client.address, taken.client.port
        if taken.prefix:
            exchange.root_path = exchange.outer_path = taken.prefix
        if decision.ignored:
            self.log.ignored(peer, decision.ignored)
        if self.log.explains:
            client = taken.client and taken.client.address
            stopped = client is not None and not self.proxies.hop(client)
            self.log.explain(peer, found, taken, host, stopped)

    def _decide(self, key: tuple[Any, ...], found: dict[str, str]) -> Decision:
        host, scheme = key[:2]
        ignored: list[tuple[str, str]] = []
        taken = self._read(found, ignored)
        host = effective_host(taken, host, taken.scheme or scheme)
        decision = Decision(taken, host, lines(taken, found), ignored)
        if len(self._known) >= MOST_KNOWN:
            self._known.clear()
        if len(key[0]) + sum(map(len, found.values())) <= LONGEST_KNOWN:
            self._known[key] = decision
        return decision

    def _read(self, fields: dict[str, str], ignored: list[tuple[str, str]]) -> Taken:
        taken = Taken()
        if "forwarded" in fields:
            elements = parse_forwarded(fields["forwarded"])
            if elements is None:
                ignored.append((FIELDS["forwarded"], fields["forwarded"]))
                return taken
            # An element without `for` is that of a client that is not told.
            clients = [each.get("for", "unknown") for each in elements]
            self._search(taken, clients, fields, ignored)
            trusted = elements[-taken.hops :]
            for name in ("proto", "host"):
                found = [each[name] for each in trusted if name in each]
                _note(taken, name, found[:1], fields, ignored)
            return taken
        lists = {name: parse_list(value) for name, value in fields.items()}
        self._search(taken, lists.get("for", []), fields, ignored)
        for name in READERS:
            _note(taken, name, lists.get(name, [])[-taken.hops :], fields, ignored)
        return taken

    def _search(
        self,
        taken: Taken,
        values: list[str],
        fields: dict[str, str],
        ignored: list[tuple[str, str]],
    ) -> None:
        """Find the client in `values`, and count the trusted proxies."""
        for count, text in enumerate(reversed(values), 1):
            taken.hops = count
            node = read_node(text)
            if node is None:
                ignored.append((field_name("for", fields), text))
                return
            if node.address is None:
                return
            taken.client = node
            if not self.proxies.hop(node.address):
                return


def field_name(name: str, fields: dict[str, str]) -> str:
    """The header field from which a value comes."""
    return FIELDS["forwarded" if "forwarded" in fields else name]


# --- values


def _note(
    taken: Taken,
    name: str,
    values: list[str],
    fields: dict[str, str],
    ignored: list[tuple[str, str]],
) -> None:
    """Note the first of `values`, if there is one and it is valid."""
    for text in values[:1]:
        try:
            READERS[name](taken, text)
        except ValueError:
            ignored.append((field_name(name, fields), text))


# Each raises ValueError for a value that is not valid.


def _read_scheme(taken: Taken, text: str) -> None:
    scheme = SCHEMES.get(text.lower())
    if scheme is None:
        raise ValueError(text)
    taken.scheme = scheme


def _read_host(taken: Taken, text: str) -> None:
    if not is_host(text):
        raise ValueError(text)
    taken.host = text


def _read_port(taken: Taken, text: str) -> None:
    port = int(text) if _port(text) else 0
    if not 0 < port < 65536:
        raise ValueError(text)
    taken.port = port


def _read_prefix(taken: Taken, text: str) -> None:
    if not _prefix(text):
        raise ValueError(text)
    taken.prefix = read_prefix(text) if text.strip("/") else ""


READERS: dict[str, Callable[[Taken, str], None]] = {
    "proto": _read_scheme,
    "host": _read_host,
    "port": _read_port,
    "prefix": _read_prefix,
}


def effective_host(taken: Taken, host: str, scheme: str) -> str:
    """The host of the request. X-Forwarded-Port is used for a host that has no port.

    The usual port of the other scheme is that of a proxy in between. A port that is not used is
    taken out of `taken`.
    """
    host = host if taken.host is None else taken.host
    port = taken.port
    if port is None or not host:
        return host
    _, colon, own = host.rpartition(":")
    if colon and not own.endswith("]"):
        if own != str(port):
            taken.port = None
        return host
    if port in PORTS.values():
        if port != PORTS[scheme]:
            taken.port = None
        return host
    return f"{host}:{port}"


# --- the head of the request


def taken_apart(head: RequestHead, keep_others: bool = True) -> tuple[dict[str, str], bytes]:
    """The fields of TAKEN by their short names, and the lines of all other fields.

    Names with "_" for "-" are among neither. Nor are other X-Forwarded-… without `keep_others`.
    """
    block = head.block
    lowered = block.lower()
    fields: dict[str, str] = {}
    rest = []
    done = 0  # the beginning of a line; what is before it is in `rest`, or removed
    at = lowered.find(FORWARDED)
    while at >= 0:
        start = lowered.rfind(b"\n", done, at) + 1 or done
        end = lowered.index(b"\n", at) + 1
        colon = lowered.index(b":", start)
        name = lowered[start:colon]
        short = TAKEN.get(name)
        if short is not None:
            text = block[colon + 1 : end].strip(b" \t\r\n").decode("latin-1")
            fields[short] = f"{fields[short]},{text}" if short in fields else text
        kept = keep_others and b"_" not in name
        if short is not None or (is_of_proxies(name) and not kept):
            rest.append(block[done:start])
            done = end
        at = lowered.find(FORWARDED, end)
    rest.append(block[done:])
    return fields, b"".join(rest)


def is_of_proxies(name: bytes) -> bool:
    """Whether a lower-case name is Forwarded or X-Forwarded-…, even with underscores."""
    plain = name.replace(b"_", b"-")
    return plain == FORWARDED or plain.startswith(b"x-forwarded")


def with_fields(head: RequestHead, block: bytes) -> RequestHead:
    """A copy of a head with other field lines."""
    copied = RequestHead.__new__(RequestHead)
    copied.take(head)
    copied._block = block
    copied._fields = copied.found = None
    copied.tail = b""  # nothing is shared with other heads
    return copied


def lines(taken: Taken, fields: dict[str, str]) -> bytes:
    """The lines that replace the fields that were taken."""
    client = None if taken.client is None else taken.client.address
    values = {
        "for": client,
        "proto": taken.scheme,
        "host": taken.host,
        "port": None if taken.port is None else str(taken.port),
        "prefix": script_name(taken.prefix) if taken.prefix else None,
        "forwarded": format_forwarded(client, taken.scheme, taken.host) or None,
    }
    return b"".join(
        f"{FIELDS[name]}: {values[name]}\r\n".encode("latin-1")
        for name in fields
        if values[name] is not None
    )
