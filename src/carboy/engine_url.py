"""URLs of engines (Redis, NATS, PostgreSQL): their kind, and how they are shown in errors and logs.

The server checks `--channels` when it starts, and the framework opens what it names, so this module
is below both. The query of a URL of channels may have options of Carboy:

    when_down=raise|buffer   what publish() does while the engine is down
    buffer=N                 messages that are kept (10,000)
    prefix=NAME              distinguishes several sites on one engine ("carboy")
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from importlib.util import find_spec
from urllib.parse import parse_qsl, urlencode, urlsplit

from carboy.late import difflib

__all__ = [
    "LOCAL", "VARIABLE", "Address", "ChannelsUrl", "Kind", "check_channels", "missing", "parse",
]  # fmt: skip

LOCAL = "local"  # instead of a URL of channels: the relay of the server
VARIABLE = "CARBOY_CHANNELS"  # the value of --channels for processes without Carboy's server
BUFFER = 10_000  # messages
OPTIONS = ("when_down", "buffer", "prefix")
PREFIX = re.compile(r"[A-Za-z0-9_-]{1,30}")


class Kind(Enum):
    """The kinds of engines."""

    MEMORY = "memory"
    REDIS = "redis"
    NATS = "nats"
    POSTGRESQL = "postgresql"


SCHEMES = {
    "memory": Kind.MEMORY,
    "redis": Kind.REDIS,
    "rediss": Kind.REDIS,
    "unix": Kind.REDIS,  # redis-py's name of a Redis server on a unix socket
    "nats": Kind.NATS,
    "tls": Kind.NATS,
    "postgresql": Kind.POSTGRESQL,
    "postgres": Kind.POSTGRESQL,
}
# The module, the package and the extra that each kind needs.
PACKAGES = {
    Kind.REDIS: ("redis", "redis", "redis"),
    Kind.NATS: ("nats", "nats-py", "nats"),
    Kind.POSTGRESQL: ("psycopg", "psycopg", "postgres"),
}
# Up to the last @ before the path, because passwords may contain one.
LOGIN = re.compile(r"^([a-zA-Z][a-zA-Z0-9+.-]*)://([^/?#]*)@")
SECRET_OPTION = re.compile(r"([?&][^=&]*pass[^=&]*=)[^&]*", re.IGNORECASE)
EXAMPLES = "redis://localhost:6379, nats://localhost:4222 or postgresql://user@localhost/database"


@dataclass(frozen=True, slots=True)
class Address:
    """The URL of an engine."""

    kind: Kind
    url: str

    @property
    def shown(self) -> str:
        """The URL without its password."""
        return without_password(self.url)


def parse(url: str) -> Address:
    """The address of a URL. Raises ValueError if no kind of engine has its scheme."""
    scheme, separator, _ = url.partition(":")
    kind = SCHEMES.get(scheme.lower()) if separator else None
    if kind is None:
        raise ValueError(
            f"{without_password(url)!r} is not the URL of an engine. Use a URL such as {EXAMPLES}."
        )
    return Address(kind, url)


def without_password(url: str) -> str:
    """A URL with `***` in the place of its password, and of the token of a NATS server."""
    shown = LOGIN.sub(_hidden, url, count=1)
    return SECRET_OPTION.sub(r"\1***", shown)


def _hidden(match: re.Match[str]) -> str:
    scheme, login = match[1], match[2]
    user, colon, _ = login.partition(":")
    if colon:
        return f"{scheme}://{user}:***@"
    return f"{scheme}://***@" if SCHEMES.get(scheme.lower()) is Kind.NATS else match[0]


@dataclass(frozen=True, slots=True)
class ChannelsUrl:
    """The value of `--channels`: an engine, and Carboy's own options of its query."""

    address: Address
    prefix: str = "carboy"
    buffer: int = 0  # messages that are kept while the engine is down

    @classmethod
    def of(cls, url: str) -> ChannelsUrl:
        """Read a URL. Raises ValueError if it or an option is wrong."""
        plain, options = _split(url)
        address = parse(plain)
        if address.kind is Kind.MEMORY:
            raise ValueError(
                f"{address.shown} cannot carry channels. Use a URL of Redis, NATS or PostgreSQL."
            )
        _check_place(address)
        prefix = options.get("prefix", "carboy")
        if not PREFIX.fullmatch(prefix):
            raise ValueError(
                f"prefix={prefix} is not a prefix of channels. Use letters and digits."
            )
        return cls(address, prefix, _buffer(options))


def check_channels(url: str) -> None:
    """Raise ValueError if `--channels` cannot have this value. Does not connect.

    The client library of the engine has to be installed.
    """
    if url == LOCAL:
        return
    address = ChannelsUrl.of(url).address
    module, package, extra = PACKAGES[address.kind]
    if find_spec(module) is None:
        raise ValueError(missing(package, extra, address.shown))


def missing(package: str, extra: str, shown: str) -> str:
    """The error of a URL whose client library is not installed."""
    return (
        f"{shown} needs the package {package}, which is not installed. Use: pip install"
        f" 'carboy[{extra}]'."
    )


def _split(url: str) -> tuple[str, dict[str, str]]:
    """The URL without Carboy's options, and these."""
    plain, mark, query = url.partition("?")
    pairs = parse_qsl(query, keep_blank_values=True)
    for key, _ in pairs:
        near = difflib.get_close_matches(key, OPTIONS, n=1, cutoff=0.8)
        if near and key not in OPTIONS:
            raise ValueError(f"There is no option {key!r} of channels. Did you mean {near[0]!r}?")
    own = {key: value for key, value in pairs if key in OPTIONS}
    others = [(key, value) for key, value in pairs if key not in own]
    return plain + (mark + urlencode(others) if others else ""), own


def _buffer(options: dict[str, str]) -> int:
    when_down = options.get("when_down", "raise")
    if when_down not in ("raise", "buffer"):
        raise ValueError(
            f"when_down={when_down} is not an option of channels. Use raise or buffer."
        )
    size = options.get("buffer", str(BUFFER))
    if not (size.isascii() and size.isdecimal()) or int(size) == 0:
        raise ValueError(f"buffer={size} is not a number of messages. Use for example 10000.")
    return int(size) if when_down == "buffer" else 0


def _check_place(address: Address) -> None:
    """Raise ValueError if the URL has a port or a database that cannot be.

    libpq checks URLs of PostgreSQL itself, and allows several hosts in one.
    """
    if address.kind is Kind.POSTGRESQL or address.url.lower().startswith("unix:"):
        return
    try:
        parts = urlsplit(address.url)
        port = parts.port
    except ValueError as problem:
        raise ValueError(
            f"{address.shown} has no port that can be used: {problem}. Use a number from 1 to"
            " 65535."
        ) from None
    if port == 0:
        raise ValueError(f"{address.shown} has the port 0. Use a number from 1 to 65535.")
    database = parts.path.strip("/")
    if address.kind is Kind.REDIS and database and not database.isdecimal():
        raise ValueError(
            f"{address.shown} has the database {database!r}. Redis has numbers, such as 0."
        )
