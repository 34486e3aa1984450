"""The values of Forwarded (RFC 7239) and X-Forwarded-For: for whom proxies forward a request.

Reads values and writes them. server/forwarding.py decides which of them are taken.
"""

from __future__ import annotations

import re
from ipaddress import IPv6Address, ip_address
from typing import NamedTuple

from carboy.grammar import HOST, QUOTED_STRING, TCHAR
from carboy.late import compiled_later

# RFC 7239, section 4: forwarded-pair = token "=" value
_pair = re.compile(rf"([{TCHAR}]++)=(?:([{TCHAR}]++)|({QUOTED_STRING}))").match
_escape = compiled_later(r"\\(.)", re.DOTALL)
# Section 6: node = nodename [ ":" node-port ]. X-Forwarded-For has IPv6 addresses without brackets.
_PORT = r"(?::([0-9]{1,5}|_[A-Za-z0-9._\-]{1,64}))?"
_node = compiled_later(
    rf"(?:\[([0-9A-Fa-f:.]{{2,45}})\]|([0-9.]{{7,15}})){_PORT}|([0-9A-Fa-f:.]{{2,45}})"
)
_hidden = compiled_later(rf"(?:[Uu][Nn][Kk][Nn][Oo][Ww][Nn]|_[A-Za-z0-9._\-]{{1,255}}){_PORT}")


# By short names, in which the server and its settings speak of them
FIELDS = {
    "for": "X-Forwarded-For",
    "proto": "X-Forwarded-Proto",
    "host": "X-Forwarded-Host",
    "port": "X-Forwarded-Port",
    "prefix": "X-Forwarded-Prefix",
    "forwarded": "Forwarded",
}


class Node(NamedTuple):
    """One end of a connection; `address` is None if the proxy does not tell it."""

    address: str | None
    port: int  # 0: not known


HIDDEN = Node(None, 0)

LONGEST_HOST = 255
# Limits of the work that a client can cause behind a proxy that adds to its values
MOST_HOPS = 32
LONGEST_FORWARDED = 4096
_host = compiled_later(HOST)


def is_host(text: str) -> bool:
    """Whether a text is a valid Host field (RFC 9110, section 7.2) of a usual length."""
    return len(text) <= LONGEST_HOST and _host.fullmatch(text) is not None


def read_node(text: str) -> Node | None:
    """The node that a text names (RFC 7239, section 6); None if the text is malformed.

    HIDDEN stands for `unknown` and for identifiers such as `_gazonk`. An IPv4 address inside an
    IPv6 one becomes that IPv4 address (RFC 4291, section 2.5.5.2).
    """
    found = _node.fullmatch(text)
    if found is None:
        return HIDDEN if _hidden.fullmatch(text) else None
    six, four, port, bare = found.groups()
    number = int(port) if port and port[0] != "_" else 0
    if number > 65535:
        return None
    address = plain_address(six or four or bare)
    if address is None or (six is not None and ":" not in six):
        return None
    return Node(address, number)


def plain_address(text: str) -> str | None:
    """An IP address in its usual form; None if the text is not one."""
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(address)


def parse_forwarded(value: str) -> list[dict[str, str]] | None:
    """The elements of Forwarded from left to right, by lower-case parameter; None: malformed.

    A parameter that comes twice in one element makes the value malformed (section 4), and so does
    a length of more than LONGEST_FORWARDED.
    """
    if len(value) > LONGEST_FORWARDED:
        return None
    elements: list[dict[str, str]] = [{}]
    at = 0
    while True:
        at = _after_space(value, at)
        found = _pair(value, at)
        if found is not None:
            name = found[1].lower()
            if name in elements[-1]:
                return None
            quoted = found[3]
            text = found[2] if quoted is None else _escape.sub(r"\1", quoted[1:-1])
            elements[-1][name] = text
            at = _after_space(value, found.end())
        if at == len(value):
            return [each for each in elements if each]
        if value[at] == ",":
            elements.append({})
        elif value[at] != ";":
            return None
        at += 1


def _after_space(value: str, at: int) -> int:
    while at < len(value) and value[at] in " \t":
        at += 1
    return at


def parse_list(value: str) -> list[str]:
    """The last members of a list such as X-Forwarded-For, from left to right, without empty ones.

    At most MOST_HOPS: values further left were written by the client.
    """
    parts = value.rsplit(",", MOST_HOPS)[-MOST_HOPS:]
    return [each for each in (part.strip(" \t") for part in parts) if each]


def format_node(address: str) -> str:
    """An address as the value of `for` (RFC 7239, section 6)."""
    return f'"[{address}]"' if ":" in address else address


def format_forwarded(client: str | None, scheme: str | None, host: str | None) -> str:
    """A value of Forwarded with one element, for the facts that are known."""
    pairs = []
    if client is not None:
        pairs.append(f"for={format_node(client)}")
    if scheme is not None:
        pairs.append(f"proto={scheme}")
    if host is not None:
        pairs.append(f'host="{host}"' if any(c in host for c in ":[]") else f"host={host}")
    return ";".join(pairs)
