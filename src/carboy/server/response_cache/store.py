"""Kept responses in memory, up to a number of bytes; the one unused for longest goes first.

Any thread may use a Store: each method holds its lock, and runs no other code under it.
"""

from __future__ import annotations

import time
from collections import Counter, OrderedDict
from threading import Lock

from carboy.server.response_cache.rules import Headers, Lifetime, variant

Key = tuple[str, str, str]  # scheme, host, target
Variant = tuple[str | None, ...]
OVERHEAD = 600  # bytes of the objects of a kept response
VARIANTS = 64  # responses kept of one key; clients choose the fields by which they vary


class Kept:
    """A response that is kept."""

    __slots__ = (
        "body", "headers", "lifetime", "made", "refreshing", "rule", "size", "status",
    )  # fmt: skip

    def __init__(self, status: str, headers: Headers, body: bytes, lifetime: Lifetime) -> None:
        self.status = status
        self.headers = headers
        self.body = body
        self.lifetime = lifetime
        self.made = time.monotonic() - lifetime.age
        self.rule = ""  # of the request (gateway/route.py)
        self.refreshing = False
        self.size = len(body) + OVERHEAD + sum(len(n) + len(v) for n, v in headers)

    def age(self) -> int:
        """Seconds since the response was made."""
        return int(time.monotonic() - self.made)

    def left(self) -> int:
        """Seconds for which the response is fresh; negative if it is stale."""
        return self.lifetime.fresh - self.age()


class Resource:
    """The responses of one key, by the values of the fields that they vary by."""

    __slots__ = ("names", "size", "variants")

    def __init__(self, names: tuple[str, ...]) -> None:
        self.names = names
        self.size = 0
        self.variants: OrderedDict[Variant, Kept] = OrderedDict()


class Store:
    """Keeps up to `size` bytes."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.largest = size // 8  # of one response
        self.used = 0
        self.figures: Counter[str] = Counter()
        self._resources: OrderedDict[Key, Resource] = OrderedDict()
        self._lock = Lock()

    def find(self, key: Key, fields: dict[str, str]) -> Kept | None:
        """The response for a request with these fields, fresh or stale; None if none is kept."""
        with self._lock:
            resource = self._resources.get(key)
            if resource is None:
                return None
            self._resources.move_to_end(key)
            return resource.variants.get(variant(resource.names, fields))

    def names(self, key: Key) -> tuple[str, ...]:
        """The fields by which the responses of a key vary, as far as it is known."""
        resource = self._resources.get(key)
        return () if resource is None else resource.names

    def keep(self, key: Key, names: tuple[str, ...], fields: dict[str, str], kept: Kept) -> bool:
        """Keep a response, and discard others to make room; False if it is too large."""
        if kept.size > self.largest:
            return False
        with self._lock:
            resource = self._resources.get(key)
            if resource is None or resource.names != names:
                self._discard(key)
                resource = self._resources[key] = Resource(names)
            self._resources.move_to_end(key)
            which = variant(names, fields)
            self._take_out(resource, resource.variants.pop(which, None))
            while len(resource.variants) >= VARIANTS:
                self._take_out(resource, resource.variants.popitem(last=False)[1])
            resource.variants[which] = kept
            resource.size += kept.size
            self.used += kept.size
            while self.used > self.size:
                oldest = next(iter(self._resources))
                self._discard(oldest)
                self.figures["evicted"] += 1
        return True

    def forget(self, key: Key) -> None:
        """Discard all responses of a key."""
        with self._lock:
            self._discard(key)

    def _discard(self, key: Key) -> None:
        resource = self._resources.pop(key, None)
        if resource is not None:
            self.used -= resource.size

    def _take_out(self, resource: Resource, kept: Kept | None) -> None:
        if kept is not None:
            resource.size -= kept.size
            self.used -= kept.size
