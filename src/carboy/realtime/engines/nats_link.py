"""Connections to NATS. With JetStream, channels have a history; without it, messages pass by only.

    JetStream    one stream for all channels. Its sequence numbers are the order. Each process reads
                 all of it, from one consumer, and leaves out the channels that it does not hold.
    without      each process subscribes to its channels. What is published while a connection is
                 interrupted is lost, and connections are counted in each process only.

Callbacks of nats-py run on the loop's thread. They put what has come into a queue, from which the
receiving thread takes it.
"""

from __future__ import annotations

import json
import queue
import re
import secrets
import time
from collections.abc import Sequence
from typing import Any

from carboy.engine_url import Address
from carboy.realtime.engine import ChannelRule, EngineError, Message, Replay, Subscribers
from carboy.realtime.engines.link import Mark, Presence
from carboy.realtime.engines.nats_client import NatsClient
from carboy.realtime.engines.payload import decode, encode

try:
    from nats.js import api
    from nats.js.errors import BadRequestError, NotFoundError
except ImportError:  # the extra [nats] is not installed; NatsClient says so
    pass

__all__ = ["NatsLink"]

MOST = 1000  # messages kept of each channel, whatever the rule
LONGEST = 24 * 3600.0  # seconds that they are kept
NOTE = 30.0  # seconds that the note of a process lives
POSITION = re.compile(r"([0-9a-f]{1,16})-(\d{1,18})")
ENDED = object()  # in the queue: the connection has ended


class NatsLink:
    """A Link to NATS."""

    def __init__(self, address: Address, prefix: str = "carboy") -> None:
        self._shown = address.shown
        self._prefix = prefix
        self._stream = f"CARBOY_{prefix}"
        self._queue: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._client = NatsClient(address, lambda: self._queue.put(ENDED))
        self._channels: dict[str, Any] = {}  # those that are listened to, by subject
        self._epoch = ""
        self._received = 0  # the order of the last message that came
        self._marks: list[tuple[int, int]] = []  # order that has to come, and token
        self._seen: dict[str, set[str]] = {}  # names by channel, at the last note

    def _subject(self, channel: str) -> str:
        """A subject has no spaces, dots and wildcards in a part."""
        name = re.sub(r"[^A-Za-z0-9_-]", lambda m: f"={ord(m[0]):x}=", channel)
        return f"{self._prefix}.m.{name}"

    # --- receiving

    def open(self) -> None:
        while True:
            try:
                self._queue.get_nowait()
            except queue.Empty:
                break
        self._marks.clear()
        self._channels.clear()
        self._client.disconnect()
        self._client.do(self._consume)

    async def _consume(self, connection: Any) -> None:
        if not self._client.has_jetstream:
            return
        js = connection.jetstream()
        self._received = (await self._state(js)).last_seq
        await js.subscribe(
            f"{self._prefix}.m.>",
            stream=self._stream,
            cb=self._came,
            ordered_consumer=True,
            config=api.ConsumerConfig(
                deliver_policy=api.DeliverPolicy.BY_START_SEQUENCE,
                opt_start_seq=self._received + 1,
            ),
        )

    async def _state(self, js: Any) -> Any:
        """The state of the stream, which is made if it is not there."""
        try:
            info = await js.stream_info(self._stream)
        except NotFoundError:
            config = api.StreamConfig(
                name=self._stream, subjects=[f"{self._prefix}.m.>"], max_age=LONGEST,
                max_msgs_per_subject=MOST,
            )  # fmt: skip
            try:
                info = await js.add_stream(config)
            except BadRequestError:  # another process has made it
                info = await js.stream_info(self._stream)
        self._epoch = f"{int(info.created.timestamp() * 1e6):x}"
        return info.state

    async def _came(self, message: Any) -> None:
        order = message.metadata.sequence.stream if self._client.has_jetstream else 0
        self._queue.put((order, message.subject, message.data))

    def close(self) -> None:
        self._client.disconnect()

    def listen(self, channels: Sequence[str]) -> None:
        for channel in channels:
            subject = self._subject(channel)
            self._channels[subject] = (channel, None)
            if not self._client.has_jetstream:
                self._channels[subject] = (channel, self._client.do(self._subscribe(subject)))

    def _subscribe(self, subject: str) -> Any:
        return lambda connection: connection.subscribe(subject, cb=self._came)

    def unlisten(self, channel: str) -> None:
        _, subscription = self._channels.pop(self._subject(channel), (None, None))
        if subscription is not None:
            self._client.do(lambda connection: subscription.unsubscribe())

    def mark(self, token: int) -> None:
        if self._client.has_jetstream:
            order = self._client.do(lambda connection: self._state(connection.jetstream())).last_seq
        else:
            self._client.do(lambda connection: connection.flush())
            order = 0
        self._queue.put(Mark(token) if order <= self._received else (order, token))

    def wake(self) -> None:
        self._queue.put(None)

    def receive(self, seconds: float) -> Sequence[Message | Mark]:
        found: list[Message | Mark] = []
        try:
            item = self._queue.get(timeout=max(0.0, seconds))
            while True:
                self._take(item, found)
                item = self._queue.get_nowait()
        except queue.Empty:
            return found

    def _take(self, item: Any, found: list[Message | Mark]) -> None:
        if item is ENDED:
            raise EngineError(f"NATS at {self._shown} has ended the connection.")
        if item is None:
            return
        if isinstance(item, Mark):
            found.append(item)
        elif len(item) == 2:
            self._marks.append(item)
        else:
            order, subject, payload = item
            self._received = order or max(self._received + 1, time.time_ns() // 1000)
            if subject in self._channels:
                channel, _ = self._channels[subject]
                position = self.position_of(self._received)
                found.append(decode(channel, self._received, position, payload))
        for mark in [mark for mark in self._marks if mark[0] <= self._received]:
            self._marks.remove(mark)
            found.append(Mark(mark[1]))

    # --- any thread

    def position(self) -> tuple[int, str]:
        order = self._client.do(self._position)
        return order, self.position_of(order)

    async def _position(self, connection: Any) -> int:
        if not self._client.has_jetstream:
            return self._received
        return int((await self._state(connection.jetstream())).last_seq)

    def position_of(self, order: int) -> str:
        return f"{self._epoch}-{order}"

    def publish(self, message: Message, rule: ChannelRule) -> Message:
        return self._client.do(lambda connection: self._publish(connection, message))

    async def _publish(self, connection: Any, message: Message) -> Message:
        subject = self._subject(message.channel)
        if self._client.has_jetstream:
            js = connection.jetstream()
            if not self._epoch:
                await self._state(js)
            payload = encode(message)
            order = (await js.publish(subject, payload, stream=self._stream)).seq
            return decode(message.channel, order, self.position_of(order), payload)
        # Without a stream, nothing else gives the message an id that all processes know.
        order = time.time_ns() // 1000
        name = message.id or f"{order:x}-{secrets.token_hex(4)}"
        message = Message(message.channel, message.data, message.event, name, order)
        await connection.publish(subject, encode(message))
        await connection.flush()
        return message

    def replay(self, channel: str, after: str | None, rule: ChannelRule) -> Replay:
        return self._client.do(lambda connection: self._replay(connection, channel, after, rule))

    async def _replay(
        self, connection: Any, channel: str, after: str | None, rule: ChannelRule
    ) -> Replay:
        if not self._client.has_jetstream:
            return Replay((), self._received, after is None)
        js = connection.jetstream()
        state = await self._state(js)
        match = None if after is None else POSITION.fullmatch(after)
        found = await self._kept(js, channel, state.last_seq)
        total = len(found)
        since = -1
        if match and match[1] == self._epoch:
            since = int(match[2])
        elif after is not None:
            since = next((each.order for each, _ in reversed(found) if each.id == after), -1)
        if after is not None:
            found = [pair for pair in found if pair[0].order > since]
        oldest = time.time() - rule.seconds if rule.seconds else 0.0
        kept = [each for each, made in found if made >= oldest]
        kept = kept[-rule.history :] if rule.history else []
        # With MOST messages, older ones may have been discarded.
        gap = total >= MOST and len(found) == total and since >= 0
        complete = 0 <= since <= state.last_seq and len(kept) == len(found) and not gap
        return Replay(kept, state.last_seq, complete or after is None)

    async def _kept(self, js: Any, channel: str, last: int) -> list[tuple[Message, float]]:
        """The messages of a channel with the times at which they were published."""
        subscription = await js.subscribe(
            self._subject(channel), stream=self._stream, ordered_consumer=True
        )
        found: list[tuple[Message, float]] = []
        try:
            info = await subscription.consumer_info()
            left = info.num_pending + (info.delivered.consumer_seq if info.delivered else 0)
            while len(found) < left:
                message = await subscription.next_msg()
                data = message.metadata
                order = data.sequence.stream
                position = self.position_of(order)
                made = data.timestamp.timestamp()
                found.append((decode(channel, order, position, message.data), made))
        finally:
            await subscription.unsubscribe()
        return [pair for pair in found if pair[0].order <= last]

    # --- presence

    def present(self, process: str, connections: Presence) -> Sequence[tuple[str, str, str]]:
        if not self._client.has_jetstream:
            return ()
        return self._client.do(lambda connection: self._present(connection, process, connections))

    async def _present(
        self, connection: Any, process: str, connections: Presence
    ) -> list[tuple[str, str, str]]:
        bucket = await self._bucket(connection)
        by_channel: dict[str, dict[str, int]] = {}
        for (channel, name), count in connections.items():
            by_channel.setdefault(channel, {})["-" if name is None else f"={name}"] = count
        changes = []
        for channel, counts in by_channel.items():
            notes = await self._notes(bucket, channel)
            before = _names(notes) | self._seen.get(channel, set())
            own = {**notes.get(process, {}), **counts}
            notes[process] = {name: count for name, count in own.items() if count}
            key = f"{self._subject(channel)}.{process}"
            if notes[process]:
                await bucket.put(key, json.dumps(notes[process]).encode())
            else:
                await bucket.delete(key)
            after = self._seen[channel] = _names(notes)
            mine = set(counts)
            # Of a process that has died, the one whose text comes first publishes the end.
            first = process == min(notes)
            changes += [(channel, "join", name[1:]) for name in sorted((after - before) & mine)]
            changes += [
                (channel, "leave", name[1:])
                for name in sorted(before - after)
                if first or name in mine
            ]
        return changes

    async def _bucket(self, connection: Any) -> Any:
        js = connection.jetstream()
        name = f"carboy_{self._prefix}_presence"
        try:
            return await js.key_value(name)
        except NotFoundError:
            return await js.create_key_value(
                bucket=name, ttl=NOTE, storage=api.StorageType.MEMORY, history=1
            )

    async def _notes(self, bucket: Any, channel: str) -> dict[str, dict[str, int]]:
        """The notes of all processes about a channel."""
        watcher = await bucket.watch(f"{self._subject(channel)}.*", ignore_deletes=True)
        found = {}
        try:
            async for entry in watcher:
                if entry is None:
                    break
                found[entry.key.rpartition(".")[2]] = json.loads(entry.value)
        finally:
            await watcher.stop()
        return found

    def subscribers(self, channel: str) -> Subscribers:
        return self._client.do(lambda connection: self._subscribers(connection, channel))

    async def _subscribers(self, connection: Any, channel: str) -> Subscribers:
        if not self._client.has_jetstream:
            return Subscribers()
        notes = await self._notes(await self._bucket(connection), channel)
        names: dict[str, int] = {}
        for counts in notes.values():
            for name, count in counts.items():
                names[name] = names.get(name, 0) + count
        total = sum(names.values())
        return Subscribers(total, {key[1:]: n for key, n in names.items() if key[0] == "="})

    def end(self) -> None:
        self._client.end()


def _names(notes: dict[str, dict[str, int]]) -> set[str]:
    return {name for counts in notes.values() for name in counts if name.startswith("=")}
