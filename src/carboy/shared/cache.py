"""A backend of Flask-Caching on the engine of the other settings:

    CACHE_TYPE = "carboy.shared.cache.shared_cache"
    CACHE_URL = "postgresql://user@localhost/database"    # or SHARED_URL

Flask-Caching itself has backends for Redis (CACHE_TYPE = "RedisCache"), Memcached and files. This
one adds PostgreSQL, and on Redis it shares the connections of sessions and limits.

Flask-Caching caches any object, so values are pickles, as in its own backends. Reading a pickle can
run code. So the pickles are signed with SECRET_KEY if the application has one, and a value with a
wrong signature is not read.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import pickle
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from carboy.shared.errors import EngineUnavailable
from carboy.shared.store import Store
from carboy.shared.stores import store_at

__all__ = ["SharedCache", "shared_cache"]

log = logging.getLogger("carboy.shared")

DIGEST = 32  # bytes of a signature
SALT = b"carboy.shared.cache:"
Timeout = int | float | timedelta | None


def shared_cache(
    app: Any, config: Mapping[str, Any], args: list[Any], kwargs: dict[str, Any]
) -> SharedCache:
    """Called by Flask-Caching. Raises ValueError if there is no URL."""
    url = config.get("CACHE_URL") or app.config.get("SHARED_URL")
    if not url:
        raise ValueError(
            "There is no engine for the cache. Set CACHE_URL, for example to"
            " postgresql://user@localhost/database."
        )
    prefix = config.get("CACHE_KEY_PREFIX") or "cache:"
    return SharedCache(store_at(url), prefix, config["CACHE_DEFAULT_TIMEOUT"], app.secret_key)


class SharedCache:
    """The methods that Flask-Caching expects of a backend.

    While the engine is down, nothing is found and nothing is kept, and the log says so.
    """

    def __init__(
        self, store: Store, prefix: str = "cache:", default_timeout: int = 300,
        secret_key: str | bytes | None = None,
    ) -> None:  # fmt: skip
        self._store = store
        self._prefix = prefix
        self.default_timeout = default_timeout
        key = secret_key.encode() if isinstance(secret_key, str) else secret_key
        self._key = None if not key else SALT + key
        self._down = False

    # --- reading

    def get(self, key: str) -> Any:
        """The value of a key; None if there is none."""
        return self.get_dict(key)[key]

    def get_many(self, *keys: str) -> list[Any]:
        """The values of keys, in their order."""
        found = self.get_dict(*keys)
        return [found[key] for key in keys]

    def get_dict(self, *keys: str) -> dict[str, Any]:
        """The values of keys, None for those without one."""
        try:
            found = self._store.get_many([self._prefix + key for key in keys])
        except EngineUnavailable as error:
            self._failed(error)
            found = {}
        else:
            self._down = False
        return {key: self._value(key, found.get(self._prefix + key)) for key in keys}

    def has(self, key: str) -> bool:
        """Whether a key has a value."""
        try:
            return self._prefix + key in self._store.get_many([self._prefix + key])
        except EngineUnavailable as error:
            return self._failed(error)

    # --- writing

    def set(self, key: str, value: Any, timeout: Timeout = None) -> bool:
        """Set a value. The timeout is in seconds: None is the default one, 0 is without an end."""
        try:
            self._store.set(self._prefix + key, self._bytes(key, value), self._seconds(timeout))
        except EngineUnavailable as error:
            return self._failed(error)
        return True

    def set_many(self, mapping: dict[str, Any], timeout: Timeout = None) -> list[str]:
        """Set several values. Returns the keys that were set."""
        return [key for key, value in mapping.items() if self.set(key, value, timeout)]

    def add(self, key: str, value: Any, timeout: Timeout = None) -> bool:
        """Set a value unless the key has one. Returns whether it was set."""
        try:
            data, seconds = self._bytes(key, value), self._seconds(timeout)
            return self._store.add(self._prefix + key, data, seconds)
        except EngineUnavailable as error:
            return self._failed(error)

    def delete(self, key: str) -> bool:
        """Delete a value. Returns whether there was one."""
        return bool(self.delete_many(key))

    def delete_many(self, *keys: str) -> list[str]:
        """Delete several values. Returns the keys that had one."""
        deleted = []
        for key in keys:
            try:
                if self._store.delete([self._prefix + key]):
                    deleted.append(key)
            except EngineUnavailable as error:
                self._failed(error)
        return deleted

    def clear(self) -> bool:
        """Delete all values of this cache."""
        try:
            self._store.clear(self._prefix)
        except EngineUnavailable as error:
            return self._failed(error)
        return True

    def inc(self, key: str, delta: int = 1) -> int | None:
        """Add to a number. Returns the sum. Not one operation: use a database to count."""
        value = (self.get(key) or 0) + delta
        return value if self.set(key, value) else None

    def dec(self, key: str, delta: int = 1) -> int | None:
        """Subtract from a number. Returns the difference."""
        return self.inc(key, -delta)

    # --- values

    def _bytes(self, key: str, value: Any) -> bytes:
        data = pickle.dumps(value, pickle.HIGHEST_PROTOCOL)
        return self._signature(key, data) + data

    def _value(self, key: str, data: bytes | None) -> Any:
        if data is None:
            return None
        if self._key is not None:
            signature, data = data[:DIGEST], data[DIGEST:]
            if not hmac.compare_digest(signature, self._signature(key, data)):
                log.warning("A cached value is not read, because its signature is wrong.")
                return None
        try:
            return pickle.loads(data)
        except Exception as error:  # for example of a class that has been renamed
            log.warning("A cached value cannot be read: %s", error)
            return None

    def _signature(self, key: str, data: bytes) -> bytes:
        """Of the key as well, so that a value cannot be moved to another key."""
        if self._key is None:
            return b""
        return hmac.digest(self._key, f"{len(key)}:{key}".encode() + data, hashlib.sha256)

    def _seconds(self, timeout: Timeout) -> float | None:
        if timeout is None:
            timeout = self.default_timeout
        seconds = timeout.total_seconds() if isinstance(timeout, timedelta) else float(timeout)
        return seconds or None

    def _failed(self, error: EngineUnavailable) -> bool:
        if not self._down:
            self._down = True
            log.error("Nothing is cached: %s", error)
        return False
