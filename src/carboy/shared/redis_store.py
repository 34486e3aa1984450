"""A store on Redis, or on a server that speaks its protocol (Valkey, KeyDB).

redis-py keeps the pool of connections. It notices a fork and connects again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, TypeVar

from carboy.engine_url import Address
from carboy.shared.breaker import Breaker
from carboy.shared.errors import EngineError, EngineUnavailable, missing_package
from carboy.shared.lookup import look_up
from carboy.shared.store import Count, Window

try:
    import redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry
except ImportError:  # the extra [redis] is not installed
    redis = None  # type: ignore[assignment]

__all__ = ["RedisStore", "client_of"]

T = TypeVar("T")

CONNECT_TIMEOUT = 2.0  # seconds; on the network of a server, a connection takes milliseconds
ANSWER_TIMEOUT = 5.0  # seconds; the default of redis-py
MAX_CONNECTIONS = 64  # of one process
POOL_TIMEOUT = 5.0  # seconds to wait while all of them are in use
SCAN = 500  # keys a step

# All windows are counted or none. ARGV: the cost, then limit and milliseconds of each key.
# Returns 1 or 0 (counted or not), then hits and milliseconds until the end of each window.
HIT = """
local cost = tonumber(ARGV[1])
local counted = 1
local result = {}
for i, key in ipairs(KEYS) do
  local hits = tonumber(redis.call('GET', key) or '0')
  local left = redis.call('PTTL', key)
  if left < 0 then
    hits = 0
    left = tonumber(ARGV[2 * i + 1])
  end
  if hits + cost > tonumber(ARGV[2 * i]) then counted = 0 end
  result[2 * i] = hits
  result[2 * i + 1] = left
end
if counted == 1 then
  for i, key in ipairs(KEYS) do
    result[2 * i] = result[2 * i] + cost
    redis.call('SET', key, result[2 * i], 'PX', result[2 * i + 1])
  end
end
result[1] = counted
return result
"""


def client_of(address: Address, again: int = 1) -> Any:
    """A client with a pool of its own. Raises EngineError without redis-py.

    `again`: how often a command is repeated on a new connection after its connection has ended.
    """
    if redis is None:
        raise missing_package("redis", "redis", address.shown)
    try:
        pool = redis.BlockingConnectionPool.from_url(
            address.url,
            max_connections=MAX_CONNECTIONS,
            timeout=POOL_TIMEOUT,
            socket_connect_timeout=CONNECT_TIMEOUT,
            socket_timeout=ANSWER_TIMEOUT,
            # With RESP3, messages of channels are not answers that a connection returns.
            protocol=2,
            # Not after a timeout: a request would wait twice for a server that hangs.
            retry=Retry(NoBackoff(), again, supported_errors=(redis.ConnectionError,)),
            retry_on_error=[redis.ConnectionError],
        )
        pool.connection_class = with_limited_lookup(pool.connection_class)
        # Made once now, without connecting, because a wrong option is noticed here only.
        pool.connection_class(**pool.connection_kwargs)
    except (ValueError, TypeError) as error:
        reason = str(error).rpartition("__init__() ")[2].rstrip(".")
        raise EngineError(
            f"{address.shown} is not the URL of a Redis server: {reason}. Correct the options."
        ) from error
    return redis.Redis(connection_pool=pool)


@cache
def with_limited_lookup(kind: Any) -> Any:
    """A class of connections of redis-py that waits for the resolver for CONNECT_TIMEOUT."""

    class Limited(kind):  # type: ignore[misc]
        def _connect(self) -> Any:
            try:
                look_up(getattr(self, "host", ""), CONNECT_TIMEOUT)
            except TimeoutError as error:
                raise redis.TimeoutError(str(error)) from None
            return super()._connect()

    return Limited


class RedisStore:
    """A Store that uses a client of redis-py."""

    def __init__(self, client: Any, shown: str) -> None:
        self._client = client
        self._shown = shown
        self._breaker = Breaker(f"Redis at {shown}")
        self._hit = client.register_script(HIT)

    @classmethod
    def from_address(cls, address: Address) -> RedisStore:
        return cls(client_of(address), address.shown)

    @classmethod
    def from_client(cls, client: Any, name: str) -> RedisStore:
        """A store of a client that the application has made. `name` is its name in errors."""
        options = getattr(getattr(client, "connection_pool", None), "connection_kwargs", {})
        if options.get("decode_responses"):
            raise ValueError(
                f"{name} is a client with decode_responses=True, which cannot read bytes. Make a"
                " client without it."
            )
        return cls(client, name)

    def get(self, key: str) -> bytes | None:
        found: bytes | None = self._do(self._client.get, key)
        return found

    def get_many(self, keys: Sequence[str]) -> Mapping[str, bytes]:
        if not keys:
            return {}
        values = self._do(self._client.mget, list(keys))
        return {key: value for key, value in zip(keys, values, strict=True) if value is not None}

    def set(self, key: str, value: bytes, seconds: float | None) -> None:
        self._do(self._client.set, key, value, px=_milliseconds(seconds))

    def add(self, key: str, value: bytes, seconds: float | None) -> bool:
        return bool(self._do(self._client.set, key, value, px=_milliseconds(seconds), nx=True))

    def replace(self, key: str, value: bytes, seconds: float | None) -> bool:
        return bool(self._do(self._client.set, key, value, px=_milliseconds(seconds), xx=True))

    def touch(self, key: str, seconds: float) -> bool:
        return bool(self._do(self._client.pexpire, key, _milliseconds(seconds)))

    def delete(self, keys: Sequence[str]) -> int:
        return int(self._do(self._client.delete, *keys)) if keys else 0

    def clear(self, prefix: str) -> None:
        pattern = "".join(f"\\{each}" if each in "\\*?[]" else each for each in prefix) + "*"
        self._do(self._clear, pattern)

    def _clear(self, pattern: str) -> None:
        found: list[bytes] = []
        for key in self._client.scan_iter(pattern, count=SCAN):
            found.append(key)
            if len(found) == SCAN:
                self._client.unlink(*found)
                found.clear()
        if found:
            self._client.unlink(*found)

    def hit(self, windows: Sequence[Window], cost: int) -> tuple[bool, list[Count]]:
        args: list[int] = [cost]
        for each in windows:
            args += [each.limit, _milliseconds(each.seconds) or 1]
        counted, *states = self._do(self._hit, [each.key for each in windows], args)
        pairs = zip(states[::2], states[1::2], strict=True)
        return bool(counted), [Count(int(hits), int(left) / 1000) for hits, left in pairs]

    def close(self) -> None:
        self._client.connection_pool.disconnect()

    def _do(self, command: Callable[..., T], *args: Any, **options: Any) -> T:
        with self._breaker.attempt():
            return self._attempt(command, *args, **options)

    def _attempt(self, command: Callable[..., T], *args: Any, **options: Any) -> T:
        try:
            return command(*args, **options)
        except (redis.ConnectionError, redis.TimeoutError) as error:
            raise EngineUnavailable(f"Redis at {self._shown} cannot be reached: {error}") from error
        except redis.RedisError as error:
            if str(error).startswith("LOADING"):  # it reads its file after a start
                raise EngineUnavailable(f"Redis at {self._shown} is starting.") from error
            raise EngineError(f"Redis at {self._shown} refused a command: {error}") from error


def _milliseconds(seconds: float | None) -> int | None:
    return None if seconds is None else max(1, round(seconds * 1000))
