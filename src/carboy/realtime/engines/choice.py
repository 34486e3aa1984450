"""The engine of a URL: `--channels redis://…`, `nats://…` or `postgresql://…`."""

from __future__ import annotations

from carboy.engine_url import Address, ChannelsUrl, Kind
from carboy.realtime.engine import Rules
from carboy.realtime.engines.link import Link
from carboy.realtime.engines.remote import RemoteEngine
from carboy.relay.frames import LARGEST_DATA

__all__ = ["engine_at"]


def engine_at(url: str, rules: Rules, largest: int = LARGEST_DATA) -> RemoteEngine:
    """The engine of a URL, for messages of up to `largest` bytes.

    `rules` apply until the engine is started with others. Raises ValueError for a URL or an option
    that is wrong, and shared.EngineError if the package of the engine is not installed. Does not
    connect.
    """
    chosen = ChannelsUrl.of(url)
    link = _link(chosen.address, chosen.prefix)
    return RemoteEngine(link, rules, chosen.address.shown, chosen.buffer, largest)


def _link(address: Address, prefix: str) -> Link:
    if address.kind is Kind.REDIS:
        from carboy.realtime.engines.redis_link import RedisLink

        return RedisLink(address, prefix)
    if address.kind is Kind.POSTGRESQL:
        from carboy.realtime.engines.postgres_link import PostgresLink

        return PostgresLink(address, prefix)
    from carboy.realtime.engines.nats_link import NatsLink

    return NatsLink(address, prefix)
