"""The URL of an engine: which kind it is, and how it is shown in errors and logs."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

__all__ = ["Address", "Kind", "parse"]


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
