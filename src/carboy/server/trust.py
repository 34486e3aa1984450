"""The settings that say which proxies the server trusts, and under which names it answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from carboy.gateway.entrance import AllowedHosts
from carboy.gateway.mounts import read_prefix
from carboy.protocol.forwarded import FIELDS
from carboy.server.dataclass import dataclass
from carboy.server.setting import PROXIES, check_values, setting
from carboy.server.trusted_proxies import APPLICATION, UNIX, TrustedProxies, split_words


@dataclass(frozen=True, slots=True)
class Trust:
    """Rules for proxies (docs/behind-a-proxy.md). Raises ValueError, naming the option."""

    trusted_proxies: tuple[str, ...] = setting(
        (UNIX,),
        "ADDRESS",
        "Proxies whose X-Forwarded-* headers are taken: addresses, networks, unix, private, *, none"
        " or application. The headers of other peers are removed. May be given more than once.",
        PROXIES,
        shown=UNIX,
    )
    forwarded_fields: tuple[str, ...] = setting(
        tuple(FIELDS),
        "NAME",
        "Headers that are taken from trusted proxies: for, proto, host, port, prefix, forwarded."
        " May be given more than once.",
        PROXIES,
        shown="all",
    )
    forwarded_log: bool = setting(
        False,
        "yes or no",
        "Log line, once for each proxy, that says what was taken from its headers and why.",
        PROXIES,
    )

    proxy_protocol: bool = setting(
        False,
        "yes or no",
        "PROXY protocol (versions 1 and 2) on the connections of trusted proxies. Other connections"
        " are served without it.",
        PROXIES,
    )
    root_path: str = setting(
        "",
        "path",
        "Prefix at which a proxy publishes this server, such as /shop. It is removed from the path"
        " of a request that begins with it.",
        PROXIES,
        shown="none",
    )
    host_allow: tuple[str, ...] = setting(
        (),
        "NAME",
        "Host that this server answers to, without a port; *.example allows all subdomains, and"
        " address every IP address. Requests for other hosts get 421. May be given more than once.",
        PROXIES,
        shown="all",
    )

    def __post_init__(self) -> None:
        check_values(self)
        object.__setattr__(self, "root_path", _read_root_path(self.root_path))
        for name, check in CHECKS.items():
            words = split_words(getattr(self, name))
            object.__setattr__(self, name, words)
            try:
                check(words)
            except ValueError as problem:
                raise ValueError(f"--{name.replace('_', '-')}: {problem}") from None
        if self.proxy_protocol and TrustedProxies(self.trusted_proxies).takes_nothing():
            raise ValueError("--proxy-protocol requires --trusted-proxies with the proxy.")


def _check_fields(names: tuple[str, ...]) -> None:
    for name in names:
        if name not in FIELDS:
            raise ValueError(f"{name!r} does not name a header. Use {', '.join(FIELDS)}.")


def _read_root_path(text: str) -> str:
    if not text.strip("/"):
        return ""
    try:
        return read_prefix(text)
    except ValueError as problem:
        raise ValueError(f"--root-path: {problem}") from None


CHECKS: dict[str, Callable[[Any], object]] = {
    "trusted_proxies": TrustedProxies,
    "forwarded_fields": _check_fields,
    "host_allow": AllowedHosts,
}

# For servers under Werkzeug's names and for development
UNTOUCHED = Trust(trusted_proxies=(APPLICATION,))
