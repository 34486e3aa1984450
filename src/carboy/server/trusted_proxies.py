"""The setting --trusted-proxies: the peers whose Forwarded and X-Forwarded-* fields are taken.

10.0.0.7, 10.0.0.0/8, 2001:db8::/32   addresses and networks
unix          every connection over a unix socket
private       networks that are not routed on the internet, and this machine (PRIVATE)
*             every peer. The addresses that it names are not trusted by this.
none          no peer
application   the server takes nothing and removes nothing: the application decides
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

UNIX, PRIVATE_WORD, ANY, NONE, APPLICATION = "unix", "private", "*", "none", "application"
WORDS = (UNIX, PRIVATE_WORD, ANY, NONE, APPLICATION)
# RFC 1918, 1122 (loopback), 3927 and 4291 (link-local), 4193 (unique local)
PRIVATE = (
    *("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.0/8", "169.254.0.0/16"),
    *("::1/128", "fc00::/7", "fe80::/10"),
)
MOST_KNOWN = 1024  # addresses whose answer is remembered

Network = IPv4Network | IPv6Network
_private = tuple(map(ip_network, PRIVATE))


def split_words(given: str | Iterable[str]) -> tuple[str, ...]:
    """The words of a setting that may be repeated, and may have several, separated by commas."""
    texts = [given] if isinstance(given, str) else list(given)
    words = (word.strip() for text in texts for word in text.replace(",", " ").split())
    return tuple(dict.fromkeys(filter(None, words)))


class TrustedProxies:
    """The peers that are trusted.

    Raises ValueError for a word that is neither a network nor one of WORDS.
    """

    def __init__(self, words: Iterable[str]) -> None:
        self.words = tuple(words)
        given = {word.lower() for word in self.words}
        alone = given & {NONE, APPLICATION}
        if alone and len(given) > 1:
            raise ValueError(f"{alone.pop()!r} excludes other values. Use it alone.")
        self.untouched = APPLICATION in given
        self._unix = UNIX in given
        self._any = ANY in given
        networks = [read_network(word) for word in self.words if word.lower() not in WORDS]
        self._networks = (*networks, *(_private if PRIVATE_WORD in given else ()))
        self._known: dict[str, bool] = {}

    def takes_nothing(self) -> bool:
        """Whether no peer is trusted."""
        return not (self._unix or self._any or self._networks)

    def peer(self, peer: tuple[str, int] | None) -> bool:
        """Whether the other end of a connection is trusted; None: of a unix socket."""
        if peer is None:
            return self._unix or self._any
        return self._any or self.hop(peer[0])

    def hop(self, address: str) -> bool:
        """Whether an address that a trusted proxy names is that of another trusted proxy."""
        known = self._known.get(address)
        if known is None:
            known = _is_in(address, self._networks)
            if len(self._known) >= MOST_KNOWN:
                self._known.clear()
            self._known[address] = known
        return known

    def shown(self) -> str:
        """For people: "unix sockets, 10.0.0.0/8"."""
        if self.untouched:
            return "left to the application"
        named = {UNIX: "unix sockets", PRIVATE_WORD: "private addresses", ANY: "all peers"}
        if self.takes_nothing():
            return "none"
        return ", ".join(named.get(word.lower(), word) for word in self.words)


def _is_in(address: str, networks: Iterable[Network]) -> bool:
    try:
        found = ip_address(address)
    except ValueError:
        return False
    return any(found in network for network in networks if network.version == found.version)


def is_private(address: str) -> bool:
    """Whether an address is one of PRIVATE."""
    return _is_in(address, _private)


def read_network(word: str) -> Network:
    """The network that a word names. Raises ValueError with the accepted forms."""
    try:
        return ip_network(word)
    except ValueError:
        pass
    try:
        wider = ip_network(word, strict=False)
    except ValueError:
        raise ValueError(
            f"{word!r} is not an address. Use addresses (10.0.0.7), networks (10.0.0.0/8), unix,"
            " private or *."
        ) from None
    raise ValueError(
        f"{word!r} is an address within a network. Use {wider} for the network, or"
        f" {word.partition('/')[0]} for the address."
    )
