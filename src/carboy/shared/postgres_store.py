"""A store on PostgreSQL, in two tables that it makes itself:

    carboy_values   sessions and cached values
    carboy_counts   hits of limits; UNLOGGED, because a crash of the server may forget them

Rows whose time is over are deleted from time to time by the processes that use the store. All times
are the server's, so the clocks of the machines do not matter.
"""

from __future__ import annotations

import os
import select
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

from carboy.engine_url import Address
from carboy.shared.breaker import Breaker
from carboy.shared.errors import EngineError, EngineUnavailable, missing_package
from carboy.shared.lookup import look_up
from carboy.shared.pool import Pool
from carboy.shared.store import Count, Window

try:
    import psycopg
except ImportError:  # the extra [postgres] is not installed
    psycopg = None  # type: ignore[assignment]

__all__ = ["PostgresStore", "close", "connect", "usable"]

T = TypeVar("T")

CONNECT_TIMEOUT = 3  # seconds; libpq's shortest is 2
MAX_CONNECTIONS = 8  # of one process; PostgreSQL allows 100 in all unless configured
POOL_TIMEOUT = 5.0  # seconds to wait while all of them are in use
STATEMENT_TIMEOUT = 5  # seconds
SWEEP = 60.0  # seconds between two deletions of old rows
SWEPT = 1000  # rows at most

TABLES = """
CREATE TABLE IF NOT EXISTS carboy_values (
    key text PRIMARY KEY, value bytea NOT NULL, ends timestamptz);
CREATE INDEX IF NOT EXISTS carboy_values_ends ON carboy_values (ends);
CREATE UNLOGGED TABLE IF NOT EXISTS carboy_counts (
    key text PRIMARY KEY, hits bigint NOT NULL, ends timestamptz NOT NULL);
CREATE INDEX IF NOT EXISTS carboy_counts_ends ON carboy_counts (ends);
"""
# Sessions of several processes that start at the same time must not create the tables together.
TABLES_LOCK = "SELECT pg_advisory_xact_lock(7306089)"
TABLES_THERE = "SELECT to_regclass('carboy_counts'), to_regclass('carboy_values')"

LIVE = "(ends IS NULL OR ends > clock_timestamp())"
GET = f"SELECT key, value FROM carboy_values WHERE key = ANY(%s) AND {LIVE}"
ENDS = "clock_timestamp() + make_interval(secs => %(seconds)s)"
SET = f"""
INSERT INTO carboy_values AS old VALUES (%(key)s, %(value)s, {ENDS})
ON CONFLICT (key) DO UPDATE SET value = excluded.value, ends = excluded.ends
"""
ADD = f"{SET} WHERE NOT (old.ends IS NULL OR old.ends > clock_timestamp())"
REPLACE = (
    f"UPDATE carboy_values SET value = %(value)s, ends = {ENDS} WHERE key = %(key)s AND {LIVE}"
)
TOUCH = f"UPDATE carboy_values SET ends = {ENDS} WHERE key = %(key)s AND {LIVE}"
DELETE = f"DELETE FROM carboy_values WHERE key = ANY(%s) RETURNING {LIVE}"
CLEAR = "DELETE FROM carboy_values WHERE starts_with(key, %s)"
# Counts unless this would exceed the limit. Locks the row until the transaction ends.
HIT = f"""
INSERT INTO carboy_counts AS old VALUES (%(key)s, %(cost)s, {ENDS})
ON CONFLICT (key) DO UPDATE SET
    hits = CASE WHEN old.ends > clock_timestamp() THEN old.hits ELSE 0 END + %(cost)s,
    ends = CASE WHEN old.ends > clock_timestamp() THEN old.ends ELSE excluded.ends END
WHERE old.ends <= clock_timestamp() OR old.hits + %(cost)s <= %(limit)s
RETURNING hits, extract(epoch FROM ends - clock_timestamp())
"""
COUNTS = """
SELECT key, hits, extract(epoch FROM ends - clock_timestamp()) FROM carboy_counts
WHERE key = ANY(%s) AND ends > clock_timestamp()
"""
FORGET = """
DELETE FROM {table} WHERE key IN (
    SELECT key FROM {table} WHERE ends < clock_timestamp() LIMIT %s FOR UPDATE SKIP LOCKED)
"""


def connect(address: Address) -> Any:
    """A connection in autocommit mode. Raises EngineError."""
    if psycopg is None:
        raise missing_package("psycopg", "postgres", address.shown)
    try:
        for host in hosts(address.url):
            try:
                look_up(host, CONNECT_TIMEOUT)
            except TimeoutError:
                raise
            except OSError:
                pass  # libpq says so, or uses the next host
        connection = psycopg.connect(address.url, autocommit=True, connect_timeout=CONNECT_TIMEOUT)
    except (psycopg.Error, TimeoutError) as error:
        raise EngineUnavailable(
            f"PostgreSQL at {address.shown} cannot be reached: {error}"
        ) from error
    # A pooler in front of the server gives the statements of one connection to several servers.
    connection.prepare_threshold = None
    return connection


def hosts(url: str) -> list[str]:
    """The hosts that libpq looks up for a connection. Raises psycopg.ProgrammingError."""
    options = psycopg.conninfo.conninfo_to_dict(url)
    if options.get("hostaddr"):
        return []
    return str(options.get("host") or os.environ.get("PGHOST", "")).split(",")


class PostgresStore:
    """A Store that uses psycopg 3."""

    def __init__(self, address: Address) -> None:
        if psycopg is None:
            raise missing_package("psycopg", "postgres", address.shown)
        self._address = address
        self._breaker = Breaker(f"PostgreSQL at {address.shown}")
        self._pool: Pool[Any] = Pool(self._connect, close, usable, MAX_CONNECTIONS, POOL_TIMEOUT)
        self._swept = time.monotonic()

    def _connect(self) -> Any:
        connection = connect(self._address)
        try:
            connection.execute(f"SET statement_timeout = '{STATEMENT_TIMEOUT}s'")
            if None in connection.execute(TABLES_THERE).fetchone():
                with connection.transaction():
                    connection.execute(TABLES_LOCK)
                    connection.execute(TABLES)
        except psycopg.Error as error:
            connection.close()
            if isinstance(error, psycopg.OperationalError):
                raise EngineUnavailable(
                    f"PostgreSQL at {self._address.shown} cannot be used now: {error}"
                ) from error
            raise EngineError(
                f"The tables cannot be made in PostgreSQL at {self._address.shown}: {error}. Give"
                f" the user the right, or run this as another user: {TABLES}"
            ) from error
        return connection

    def get(self, key: str) -> bytes | None:
        return self.get_many([key]).get(key)

    def get_many(self, keys: Sequence[str]) -> Mapping[str, bytes]:
        rows = self._do(lambda connection: connection.execute(GET, (list(keys),)).fetchall())
        return {key: bytes(value) for key, value in rows}

    def set(self, key: str, value: bytes, seconds: float | None) -> None:
        self._change(SET, key, value, seconds)

    def add(self, key: str, value: bytes, seconds: float | None) -> bool:
        return self._change(ADD, key, value, seconds)

    def replace(self, key: str, value: bytes, seconds: float | None) -> bool:
        return self._change(REPLACE, key, value, seconds)

    def touch(self, key: str, seconds: float) -> bool:
        return self._change(TOUCH, key, b"", seconds)

    def delete(self, keys: Sequence[str]) -> int:
        rows = self._do(lambda connection: connection.execute(DELETE, (list(keys),)).fetchall())
        return sum(live for (live,) in rows)

    def clear(self, prefix: str) -> None:
        self._do(lambda connection: connection.execute(CLEAR, (prefix,)))

    def hit(self, windows: Sequence[Window], cost: int) -> tuple[bool, list[Count]]:
        self._sweep()
        return self._do(lambda connection: _hit(connection, windows, cost))

    def close(self) -> None:
        self._pool.close()

    def _change(self, statement: str, key: str, value: bytes, seconds: float | None) -> bool:
        self._sweep()
        values = {"key": key, "value": value, "seconds": seconds}
        return bool(self._do(lambda connection: connection.execute(statement, values).rowcount))

    def _sweep(self) -> None:
        """Delete some rows whose time is over, once in a while."""
        now = time.monotonic()
        if now - self._swept < SWEEP:
            return
        self._swept = now
        for table in ("carboy_values", "carboy_counts"):
            statement = FORGET.format(table=table)
            self._do(partial(_execute, statement))

    def _do(self, work: Callable[[Any], T]) -> T:
        with self._breaker.attempt():
            return self._attempt(work)

    def _attempt(self, work: Callable[[Any], T]) -> T:
        """Work with a connection; once more on a new one if the server was restarted meanwhile."""
        reason: Exception | None = None
        for _ in range(2):
            try:
                with self._pool.connection() as connection:
                    return work(connection)
            except psycopg.OperationalError as error:
                reason = error
                if isinstance(error, psycopg.errors.QueryCanceled):
                    break  # after STATEMENT_TIMEOUT
                self._pool.close()
            except psycopg.Error as error:
                raise EngineError(
                    f"PostgreSQL at {self._address.shown} refused a statement: {error}"
                ) from error
        raise EngineUnavailable(
            f"PostgreSQL at {self._address.shown} cannot be reached: {reason}"
        ) from reason


def _execute(statement: str, connection: Any) -> None:
    connection.execute(statement, (SWEPT,))


def _hit(connection: Any, windows: Sequence[Window], cost: int) -> tuple[bool, list[Count]]:
    counts: dict[str, Count] = {}
    with connection.transaction():
        # In one order, so that two requests do not wait for each other's rows.
        for each in sorted(windows, key=lambda window: window.key):
            row = None
            if cost <= each.limit:
                values = (each.key, cost, each.seconds, each.limit)
                names = ("key", "cost", "seconds", "limit")
                row = connection.execute(HIT, dict(zip(names, values, strict=True))).fetchone()
            if row is None:
                raise psycopg.Rollback
            counts[each.key] = Count(int(row[0]), float(row[1]))
    counted = len(counts) == len(windows)
    if not counted:
        rows = connection.execute(COUNTS, ([each.key for each in windows],)).fetchall()
        counts = {key: Count(int(hits), float(left)) for key, hits, left in rows}
    return counted, [counts.get(each.key, Count(0, each.seconds)) for each in windows]


def close(connection: Any) -> None:
    """Close a connection."""
    connection.close()


def usable(connection: Any) -> bool:
    """Whether a connection is open and idle: a server that has ended it makes it readable."""
    idle = psycopg.pq.TransactionStatus.IDLE
    if connection.closed or connection.info.transaction_status != idle:
        return False
    return not select.select([connection.fileno()], [], [], 0)[0]
