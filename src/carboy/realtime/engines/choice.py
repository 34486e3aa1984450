"""The engine of a URL: `--channels redis://…`, `nats://…` or `postgresql://…`.

Carboy's own options are in the query of the URL:

    when_down=raise|buffer   what publish() does while the engine is down
    buffer=N                 messages that are kept (10,000)
    prefix=NAME              distinguishes several sites on one engine ("carboy")
"""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, urlencode

from carboy.realtime.channel_rules import ChannelRules
from carboy.realtime.engine import Rules
from carboy.realtime.engines.link import Link
from carboy.realtime.engines.remote import RemoteEngine
from carboy.shared.address import Address, Kind, parse
from carboy.shared.errors import EngineError

__all__ = ["check_url", "engine_at"]

BUFFER = 10_000  # messages
LOCAL = "local"  # instead of a URL: the relay of the server
PREFIX = re.compile(r"[A-Za-z0-9_-]{1,30}")


def engine_at(url: str, rules: Rules) -> RemoteEngine:
    """The engine of a URL. `rules` apply until the engine is started with others.

    Raises ValueError for a URL or an option that is wrong, and shared.EngineError if the package
    of the engine is not installed. Does not connect.
    """
    plain, options = _split(url)
    address = parse(plain)
    prefix = options.get("prefix", "carboy")
    if not PREFIX.fullmatch(prefix):
        raise ValueError(f"prefix={prefix} is not a prefix of channels. Use letters and digits.")
    return RemoteEngine(_link(address, prefix), rules, address.shown, _buffer(options))


def check_url(url: str) -> None:
    """Raise ValueError if no engine can be made of the value of `--channels`. Does not connect."""
    if url == LOCAL:
        return
    try:
        engine_at(url, ChannelRules())
    except EngineError as problem:
        raise ValueError(str(problem)) from None


def _buffer(options: dict[str, str]) -> int:
    when_down = options.get("when_down", "raise")
    if when_down not in ("raise", "buffer"):
        raise ValueError(
            f"when_down={when_down} is not an option of channels. Use raise or buffer."
        )
    size = options.get("buffer", str(BUFFER))
    if not size.isdecimal() or int(size) == 0:
        raise ValueError(f"buffer={size} is not a number of messages. Use for example 10000.")
    return int(size) if when_down == "buffer" else 0


def _split(url: str) -> tuple[str, dict[str, str]]:
    """The URL without Carboy's options, and these."""
    plain, mark, query = url.partition("?")
    pairs = parse_qsl(query, keep_blank_values=True)
    own = {key: value for key, value in pairs if key in ("when_down", "buffer", "prefix")}
    others = [(key, value) for key, value in pairs if key not in own]
    return plain + (mark + urlencode(others) if others else ""), own


def _link(address: Address, prefix: str) -> Link:
    if address.kind is Kind.REDIS:
        from carboy.realtime.engines.redis_link import RedisLink

        return RedisLink(address, prefix)
    if address.kind is Kind.POSTGRESQL:
        from carboy.realtime.engines.postgres_link import PostgresLink

        return PostgresLink(address, prefix)
    if address.kind is Kind.NATS:
        from carboy.realtime.engines.nats_link import NatsLink

        return NatsLink(address, prefix)
    raise ValueError(
        f"{address.shown} cannot carry channels. Use a URL of Redis, NATS or PostgreSQL."
    )
