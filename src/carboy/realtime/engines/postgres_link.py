"""Connections to PostgreSQL: one that listens, and a pool for the rest.

    receiving thread   the connection that listens; it also fetches large messages with it
    any thread         `wake`, which writes to a socket pair, and the pool

A process listens to one name for each of its channels. A notification has the message, or only its
id if the message is larger than a notification (8,000 bytes).
"""

from __future__ import annotations

import base64
import hashlib
import secrets
import select
import socket
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from carboy.engine_url import Address
from carboy.realtime.engine import ChannelRule, EngineError, Message, Replay, Subscribers
from carboy.realtime.engines import postgres_tables as sql
from carboy.realtime.engines.link import Mark, Presence
from carboy.realtime.engines.payload import decode, encode
from carboy.shared import errors
from carboy.shared.pool import Pool
from carboy.shared.postgres_store import close, connect, usable

try:
    import psycopg
except ImportError:  # the extra [postgres] is not installed; `connect` says so
    psycopg = None  # type: ignore[assignment]

__all__ = ["PostgresLink"]

T = TypeVar("T")

CONNECTIONS = 4  # of one process, besides the one that listens
PATIENCE = 5.0  # seconds to wait while all of them are in use
INLINE = 7_900  # bytes of base64 in a notification, which has less than 8,000 in all
FETCHED = 60.0  # seconds that a message is there at least, because it may have to be fetched
NOTE = 30.0  # seconds that the note of a connection lives
SWEEP = 30.0  # seconds between two deletions of old messages


class PostgresLink:
    """A Link to PostgreSQL."""

    def __init__(self, address: Address, prefix: str = "carboy") -> None:
        self._address = address
        self._prefix = f"{prefix}/"
        self._pool: Pool[Any] = Pool(self._connect, close, usable, CONNECTIONS, PATIENCE)
        self._connection: Any = None
        self._notified: deque[Any] = deque()
        self._marks = f"carboy_{secrets.token_hex(8)}"
        self._ours, self._theirs = socket.socketpair()
        self._ours.setblocking(False)
        self._theirs.setblocking(False)
        self._swept = time.monotonic()

    def _connect(self) -> Any:
        connection = connect(self._address)
        try:
            if None in connection.execute(sql.TABLES_THERE).fetchone():
                with connection.transaction():
                    connection.execute(sql.TABLES_LOCK)
                    connection.execute(sql.TABLES)
        except BaseException:
            connection.close()
            raise
        return connection

    # --- the connection that listens

    def open(self) -> None:
        with self._translated():
            self._notified.clear()
            self._connection = self._connect()
            self._connection.add_notify_handler(self._notified.append)
            self._connection.execute(f'LISTEN "{self._marks}"')

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def listen(self, channels: Sequence[str]) -> None:
        with self._translated():
            for channel in channels:
                self._connection.execute(f'LISTEN "{self._listened(channel)}"')

    def unlisten(self, channel: str) -> None:
        with self._translated():
            self._connection.execute(f'UNLISTEN "{self._listened(channel)}"')

    def mark(self, token: int) -> None:
        with self._translated():
            self._connection.execute("SELECT pg_notify(%s, %s)", (self._marks, str(token)))

    def wake(self) -> None:
        try:
            self._ours.send(b"w")
        except OSError:
            pass  # full, so the thread will wake; or closed

    def receive(self, seconds: float) -> Sequence[Message | Mark]:
        with self._translated():
            wire = self._connection.pgconn
            if not self._notified:
                select.select([wire.socket, self._theirs], [], [], max(0.0, seconds))
            try:
                self._theirs.recv(4096)
            except BlockingIOError:
                pass
            wire.consume_input()
            while (found := wire.notifies()) is not None:
                self._notified.append(found)
            items = []
            while self._notified:
                items.append(self._item(self._notified.popleft()))
            return items

    def _item(self, notification: Any) -> Message | Mark:
        """A Notify of psycopg, or a PGnotify of libpq."""
        if hasattr(notification, "relname"):
            name, text = notification.relname.decode(), notification.extra.decode()
        else:
            name, text = notification.channel, notification.payload
        if name == self._marks:
            return Mark(int(text))
        order, channel, inline = text.split(" ", 2) if text.count(" ") > 1 else (text, "", "")
        if inline:
            payload = base64.b64decode(inline)
        else:
            row = self._connection.execute(sql.FETCH, (int(order),)).fetchone()
            if row is None:
                raise EngineError("A large message was discarded before it could be fetched.")
            channel, payload = row[0], bytes(row[1])
        return decode(channel.removeprefix(self._prefix), int(order), order, payload)

    # --- any thread

    def position(self) -> tuple[int, str]:
        (order,) = self._do(lambda connection: connection.execute(sql.POSITION).fetchone())
        return order, str(order)

    def position_of(self, order: int) -> str:
        return str(order)

    def publish(self, message: Message, rule: ChannelRule) -> Message:
        payload = encode(message)
        channel = self._prefix + message.channel
        inline = f"{channel} {base64.b64encode(payload).decode()}"
        seconds = rule.seconds or None if rule.history else FETCHED
        values = {
            "channel": channel,
            "payload": payload,
            "keep": rule.history,
            "seconds": None if seconds is None else max(seconds, FETCHED),
            "listened": self._listened(message.channel),
            "inline": inline if len(inline) <= INLINE else "",
        }

        def work(connection: Any) -> int:
            with connection.transaction():
                connection.execute(sql.LOCK)
                return int(connection.execute(sql.PUBLISH, values).fetchone()[0])

        order = self._do(work)
        self._sweep()
        return decode(message.channel, order, str(order), payload)

    def replay(self, channel: str, after: str | None, rule: ChannelRule) -> Replay:
        known = after is not None and after.isascii() and after.isdecimal() and len(after) < 19
        since = int(after) if after is not None and known else 0
        values = {"channel": self._prefix + channel, "since": since}
        rows = self._do(lambda connection: connection.execute(sql.READ, values).fetchall())
        order, last, discarded = rows[0][:3]
        found = [
            (decode(channel, number, str(number), bytes(payload)), float(age))
            for _, _, _, number, payload, age in rows
            if number is not None
        ]
        if after is not None and not known:  # the publisher's own id
            since = next((each.order for each, _ in reversed(found) if each.id == after), -1)
            found = [pair for pair in found if pair[0].order > since]
        young = [each for each, age in found if not rule.seconds or age < rule.seconds]
        kept = young[-rule.history :] if rule.history else []
        newest = kept[-1].order if kept else 0
        complete = (
            discarded <= since <= order and len(kept) == len(found) and last <= max(since, newest)
        )
        return Replay(kept, order, complete or after is None)

    def present(self, process: str, connections: Presence) -> Sequence[tuple[str, str, str]]:
        if not connections:
            return ()
        channels = [self._prefix + channel for channel, _ in connections]
        names = ["-" if name is None else f"={name}" for _, name in connections]
        values = {
            "process": process, "channels": channels, "names": names,
            "counts": list(connections.values()), "seconds": NOTE,
        }  # fmt: skip

        def work(connection: Any) -> tuple[Any, Any]:
            with connection.transaction():
                connection.execute(sql.PRESENCE_LOCK)
                before = connection.execute(sql.COUNTS, (channels,)).fetchall()
                connection.execute(sql.END, (channels,))
                connection.execute(sql.PRESENT, values)
                connection.execute(sql.ABSENT, (process,))
                return before, connection.execute(sql.COUNTS, (channels,)).fetchall()

        before, after = ({row[:2] for row in rows} for rows in self._do(work))
        return [
            (channel.removeprefix(self._prefix), event, name[1:])
            for event, keys in (("join", after - before), ("leave", before - after))
            for channel, name in sorted(keys)
            if name.startswith("=")
        ]

    def subscribers(self, channel: str) -> Subscribers:
        values = (self._prefix + channel,)
        rows = self._do(lambda connection: connection.execute(sql.COUNT, values).fetchall())
        names = {name[1:]: int(count) for name, count in rows if name.startswith("=")}
        return Subscribers(sum(int(count) for _, count in rows), names)

    def end(self) -> None:
        self.close()
        self._pool.close()
        self._ours.close()
        self._theirs.close()

    # --- statements

    def _listened(self, channel: str) -> str:
        """The name of a channel's notifications; identifiers have up to 63 bytes."""
        text = self._prefix + channel
        return f"carboy_{hashlib.sha256(text.encode()).hexdigest()[:40]}"

    def _sweep(self) -> None:
        now = time.monotonic()
        if now - self._swept >= SWEEP:
            self._swept = now
            self._do(lambda connection: connection.execute(sql.SWEEP))

    def _do(self, work: Callable[[Any], T]) -> T:
        with self._translated(), self._pool.connection() as connection:
            return work(connection)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except psycopg.Error as error:
            raise EngineError(
                f"PostgreSQL at {self._address.shown} cannot be used: {error}"
            ) from error
        except errors.EngineError as error:
            raise EngineError(str(error)) from error
