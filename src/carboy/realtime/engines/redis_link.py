"""Connections to Redis: one that subscribes, and a pool for the rest.

    receiving thread   the connection that subscribes
    any thread         `wake`, which sends a PING on that connection, and the pool (redis-py)

`_sending` guards what is sent on the connection that subscribes, so that commands do not mix. It is
not held while reading, which only the receiving thread does.
"""

from __future__ import annotations

import re
import secrets
import threading
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from carboy.engine_url import Address
from carboy.realtime.engine import ChannelRule, EngineError, Message, Replay, Subscribers
from carboy.realtime.engines.link import Mark, Presence
from carboy.realtime.engines.payload import decode, encode
from carboy.realtime.engines.redis_scripts import PRESENT, PUBLISH, READ
from carboy.shared.redis_store import client_of

try:
    import redis
except ImportError:  # the extra [redis] is not installed; client_of says so
    redis = None  # type: ignore[assignment]

__all__ = ["RedisLink"]

T = TypeVar("T")

REMEMBERED = 7 * 86400  # seconds for which it is known that a channel had no messages
NOTE = 30_000  # milliseconds that the note of a connection lives
POSITION = re.compile(r"([0-9a-f]{8})-(\d{1,20})")
WAKE = b"wake"


class RedisLink:
    """A Link to Redis."""

    def __init__(self, address: Address, prefix: str = "carboy") -> None:
        self._shown = address.shown
        # Not again, because a message that was published must not be published twice. redis-py
        # notices idle connections that have ended before it uses them.
        self._client = client_of(address, again=0)
        self._prefix = f"{{{prefix}}}:"
        self._scripts = {
            text: self._client.register_script(text) for text in (PUBLISH, READ, PRESENT)
        }
        self._sending = threading.Lock()
        self._connection: Any = None
        self._epoch = ""

    # --- the connection that receives

    def open(self) -> None:
        connection = self._client.connection_pool.make_connection()
        self._do(connection.connect)
        self._do(lambda: connection.send_command("PING"))
        self._do(connection.read_response)  # an error while Redis loads what it has kept
        with self._sending:
            self._connection = connection

    def close(self) -> None:
        with self._sending:
            connection, self._connection = self._connection, None
        if connection is not None:
            connection.disconnect()

    def listen(self, channels: Sequence[str]) -> None:
        if channels:
            self._send("SUBSCRIBE", *(self._key("m", channel) for channel in channels))

    def unlisten(self, channel: str) -> None:
        self._send("UNSUBSCRIBE", self._key("m", channel))

    def mark(self, token: int) -> None:
        # The server runs commands and sends messages in one order, so the answer comes after all
        # messages that were published before.
        self._send("PING", str(token))

    def wake(self) -> None:
        try:
            self._send("PING", WAKE)
        except EngineError:
            pass  # the thread has noticed it, or will

    def _send(self, *command: Any) -> None:
        with self._sending:
            connection = self._connection
            if connection is not None:
                self._do(connection.send_command, *command)

    def receive(self, seconds: float) -> Sequence[Message | Mark]:
        connection = self._connection
        if not self._do(connection.can_read, max(0.0, seconds)):
            return ()
        found: list[Message | Mark] = []
        while True:
            answer = self._do(connection.read_response)
            item = self._item(answer)
            if item is not None:
                found.append(item)
            if len(found) == 100 or not self._do(connection.can_read, 0):
                return found

    def _item(self, answer: Any) -> Message | Mark | None:
        """The message or mark of an answer; None for those of SUBSCRIBE and for a wake."""
        if not isinstance(answer, list):  # of a PING without subscriptions
            return Mark(int(answer)) if answer != WAKE else None
        kind = _text(answer[0])
        if kind == "pong":
            return Mark(int(answer[1])) if answer[1] != WAKE else None
        if kind != "message":
            return None
        position, _, payload = bytes(answer[2]).partition(b" ")
        self._epoch, order = position.decode().split("-")
        channel = _text(answer[1]).removeprefix(f"{self._prefix}m:")
        return decode(channel, int(order), position.decode(), payload)

    # --- any thread

    def position(self) -> tuple[int, str]:
        epoch, order, *_ = self._read("", "")
        return order, f"{epoch}-{order}"

    def position_of(self, order: int) -> str:
        return f"{self._epoch}-{order}"

    def publish(self, message: Message, rule: ChannelRule) -> Message:
        channel, payload = message.channel, encode(message)
        epoch, order = self._script(
            PUBLISH,
            self._keys(channel),
            secrets.token_hex(4), payload, rule.history, round(rule.seconds * 1e6),
            self._key("m", channel), REMEMBERED * 1000,
        )  # fmt: skip
        return decode(channel, int(order), f"{_text(epoch)}-{_text(order)}", payload)

    def replay(self, channel: str, after: str | None, rule: ChannelRule) -> Replay:
        match = None if after is None else POSITION.fullmatch(after)
        first = str(int(match[2]) + 1) if match else "-"
        epoch, order, now, last, discarded, entries = self._read(channel, first)
        messages = [
            decode(channel, int(key[:-2]), f"{epoch}-{key[:-2]}", payload)
            for key, payload in entries
        ]
        if after is None:
            return Replay(_kept(messages, rule, now), order)
        if match:
            since = int(match[2]) if match[1] == epoch else -1
        else:  # the publisher's own id
            since = next((each.order for each in reversed(messages) if each.id == after), -1)
            messages = [each for each in messages if each.order > since]
        kept = _kept(messages, rule, now)
        newest = kept[-1].order if kept else 0
        complete = (
            max(discarded, now - REMEMBERED * 10**6) <= since
            and len(kept) == len(messages)
            # A history whose time is over is not there.
            and last <= max(since, newest)
        )
        return Replay(kept, order, complete)

    def present(self, process: str, connections: Presence) -> Sequence[tuple[str, str, str]]:
        channels: dict[str, list[str | int]] = {}
        for (channel, name), count in connections.items():
            field = "-" if name is None else f"={name}"
            channels.setdefault(channel, []).extend((field, count))
        found = []
        for channel, args in channels.items():
            keys = [self._key("p", channel)]
            for each in map(_text, self._script(PRESENT, keys, process, NOTE, *args)):
                found.append((channel, "join" if each[0] == "+" else "leave", each[1:]))
        return found

    def subscribers(self, channel: str) -> Subscribers:
        seconds, micro = self._do(self._client.time)
        now = seconds * 1000 + micro // 1000
        total = 0
        names: dict[str, int] = {}
        for field, value in self._do(self._client.hgetall, self._key("p", channel)).items():
            count, end = map(int, _text(value).split(":"))
            if end <= now:
                continue
            total += count
            name = _text(field).partition("\0")[2]
            if name.startswith("="):
                names[name[1:]] = names.get(name[1:], 0) + count
        return Subscribers(total, names)

    def end(self) -> None:
        self.close()
        self._client.connection_pool.disconnect()

    # --- commands

    def _key(self, kind: str, channel: str) -> str:
        return f"{self._prefix}{kind}:{channel}"

    def _keys(self, channel: str) -> list[str]:
        return [
            f"{self._prefix}order", f"{self._prefix}epoch",
            self._key("h", channel), self._key("d", channel),
        ]  # fmt: skip

    def _read(
        self, channel: str, first: str
    ) -> tuple[str, int, int, int, int, list[tuple[str, bytes]]]:
        epoch, order, now, last, discarded, entries = self._script(
            READ, self._keys(channel), secrets.token_hex(4), first
        )
        self._epoch = _text(epoch)
        found = [(_text(key), bytes(fields[1])) for key, fields in entries]
        return self._epoch, int(order), int(now), int(last), int(discarded), found

    def _script(self, text: str, keys: list[str], *args: Any) -> Any:
        return self._do(self._scripts[text], keys, args)

    def _do(self, command: Callable[..., T], *args: Any) -> T:
        try:
            return command(*args)
        except redis.RedisError as error:
            raise EngineError(f"Redis at {self._shown} cannot be used: {error}") from error
        except OSError as error:
            raise EngineError(f"Redis at {self._shown} cannot be reached: {error}") from error


def _kept(messages: list[Message], rule: ChannelRule, now: int) -> list[Message]:
    """Those of the messages that the rule keeps; `now` is in microseconds."""
    oldest = now - round(rule.seconds * 1e6) if rule.seconds else 0
    young = [each for each in messages if each.order >= oldest]
    return young[-rule.history :] if rule.history else []


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
