"""The stores of this process: one for each URL, so that sessions and limits share connections."""

from __future__ import annotations

import threading

from carboy.engine_url import Kind, parse
from carboy.shared.memory_store import MemoryStore
from carboy.shared.store import Store

__all__ = ["store_at"]

_lock = threading.Lock()
_stores: dict[str, Store] = {}


def store_at(url: str) -> Store:
    """The store at a URL; `memory:` is the memory of this process.

    Raises ValueError for another URL, and EngineError if the client library is not installed.
    """
    with _lock:
        found = _stores.get(url)
        if found is None:
            found = _stores[url] = _open(url)
        return found


def _open(url: str) -> Store:
    address = parse(url)
    if address.kind is Kind.REDIS:
        from carboy.shared.redis_store import RedisStore

        return RedisStore.from_address(address)
    if address.kind is Kind.POSTGRESQL:
        from carboy.shared.postgres_store import PostgresStore

        return PostgresStore(address)
    if address.kind is Kind.NATS:
        raise ValueError(
            f"{address.shown} is a NATS server, which keeps channels only. Use Redis or PostgreSQL."
        )
    return MemoryStore()
