"""The engine of one machine: the relay in the supervisor, or in this process if it serves alone.

    publish, history, subscribers   a request to the relay that waits for the answer
    attach, detach, join, leave     noted here, and sent on the connection of `_Receiving`

Which thread touches what: everything of `_Receiving` is changed with its lock, except for `_last`
and the replay that is being received, which only the thread of the Subscription uses. The lock is
held while a frame is sent, so that the relay gets frames in the order of the notes. `Deliver` and
`done` are called without the lock.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from carboy.realtime.engine import (
    Deliver,
    EngineError,
    Message,
    Replay,
    Rules,
    Subscribers,
)
from carboy.relay.client import RelayRefusal, Requests, Subscription
from carboy.relay.frames import Fields, Frame, frame
from carboy.relay.place import RelayError

Done = Callable[[Replay], None]

RESUMED = 0  # the key of the replay that a new connection begins with


class LocalEngine:
    """An Engine over the relay at the path that `path` returns."""

    def __init__(self, path: Callable[[], str]) -> None:
        self._path = path
        self._requests = Requests(path)
        self._receiving: _Receiving | None = None

    def start(self, deliver: Deliver, rules: Rules) -> None:
        """Begin to connect."""
        self._receiving = _Receiving(self._path, deliver, rules)
        self._receiving.subscription.start()

    def stop(self, timeout: float) -> None:
        """Close the connections."""
        if self._receiving is not None:
            self._receiving.subscription.stop(timeout)
        self._requests.close()

    def publish(self, message: Message, timeout: float = 5.0) -> Message:
        """Publish, and return the message with id and order."""
        binary = isinstance(message.data, bytes)
        data = message.data if isinstance(message.data, bytes) else message.data.encode()
        fields: Fields = {"do": "publish", "channel": message.channel}
        if message.event is not None:
            fields["event"] = message.event
        if message.id:
            fields["id"] = message.id
        if binary:
            fields["binary"] = True
        ((answer, _),) = self._ask(fields, data, timeout)
        return Message(message.channel, message.data, message.event, answer["id"], answer["order"])

    def history(self, channel: str, after: str | None = None, timeout: float = 5.0) -> Replay:
        """The messages that are kept, from the first one or after an id."""
        fields = {"do": "history", "channel": channel, "after": after}
        (answer, _), *frames = self._ask(fields, b"", timeout)
        return replay_of(answer, [message_of(*each) for each in frames])

    def subscribers(self, channel: str, timeout: float = 5.0) -> Subscribers:
        """The connections that hold the channel, in all processes."""
        ((answer, _),) = self._ask({"do": "subscribers", "channel": channel}, b"", timeout)
        return Subscribers(answer["count"], answer["names"])

    def _ask(self, fields: Fields, data: bytes, timeout: float) -> list[Frame]:
        try:
            return self._requests.ask(fields, data, timeout)
        except RelayError as problem:
            raise EngineError(str(problem)) from None
        except RelayRefusal as problem:
            raise ValueError(str(problem)) from None

    def attach(self, channel: str, after: str | None, done: Done) -> None:
        """Deliver a channel's messages from now on; then call `done` with those before that."""
        self._started().attach(channel, after, done)

    def detach(self, channel: str) -> None:
        """End one attachment."""
        self._started().detach(channel)

    def join(self, channel: str, name: str | None) -> None:
        """One more connection of this process holds the channel."""
        self._started().join(channel, name)

    def leave(self, channel: str, name: str | None) -> None:
        """One connection fewer."""
        self._started().leave(channel, name)

    def rules_changed(self) -> None:
        """Tell the relay that the rules have changed."""
        if self._receiving is not None:
            self._receiving.send_rules()

    def _started(self) -> _Receiving:
        if self._receiving is None:
            raise RuntimeError("The engine has not been started.")
        return self._receiving


class _Receiving:
    """The attachments of this process, and the messages that come for them."""

    def __init__(self, path: Callable[[], str], deliver: Deliver, rules: Rules) -> None:
        self.subscription = Subscription(path, self)
        self._deliver = deliver
        self._rules = rules
        self._lock = threading.Lock()
        self._attached: Counter[str] = Counter()
        self._present: Counter[tuple[str, str | None]] = Counter()
        self._waiting: dict[int, tuple[str, str | None, Done]] = {}  # attachments without a replay
        self._key = RESUMED
        # for the thread of the subscription
        self._epoch = ""
        self._order = 0  # all messages up to this one have been delivered
        self._answer: Fields = {}  # of the replay that is being received
        self._messages: list[Message] = []

    # --- from any thread

    def attach(self, channel: str, after: str | None, done: Done) -> None:
        with self._lock:
            self._attached[channel] += 1
            self._key += 1
            self._waiting[self._key] = (channel, after, done)
            self._send(do="attach", channel=channel, after=after, key=self._key)

    def detach(self, channel: str) -> None:
        with self._lock:
            self._attached[channel] -= 1
            if not self._attached[channel]:
                del self._attached[channel]
                self._send(do="detach", channel=channel)

    def join(self, channel: str, name: str | None) -> None:
        with self._lock:
            self._present[channel, name] += 1
            self._send(do="join", channel=channel, name=name, count=1)

    def leave(self, channel: str, name: str | None) -> None:
        with self._lock:
            self._present[channel, name] -= 1
            if not self._present[channel, name]:
                del self._present[channel, name]
            self._send(do="leave", channel=channel, name=name)

    def send_rules(self) -> None:
        with self._lock:
            self._send(do="rules", rules=self._rules_as_lists())

    def _send(self, **fields: Any) -> None:
        self.subscription.send(frame(fields))

    def _rules_as_lists(self) -> list[list[Any]]:
        return [
            [rule.pattern, rule.history, rule.seconds, rule.presence]
            for rule in self._rules.all_rules()
        ]

    # --- the Handler of the subscription

    def connected(self, send: Callable[[bytes], None]) -> None:
        """Tell a new connection what there is, and ask for the messages since the last one."""
        after = f"{self._epoch}-{self._order}" if self._epoch else None
        with self._lock:
            channels = list(self._attached)
            wanted: list[Fields] = [
                {"do": "rules", "rules": self._rules_as_lists()},
                {"do": "resume", "channels": channels, "after": after, "key": RESUMED},
            ]
            for key, (channel, since, _) in self._waiting.items():
                wanted.append({"do": "attach", "channel": channel, "after": since, "key": key})
            for (channel, name), count in self._present.items():
                wanted.append({"do": "join", "channel": channel, "name": name, "count": count})
            send(b"".join(map(frame, wanted)))

    def frame(self, fields: Fields, data: bytes) -> None:
        """Deliver a message, or collect those of a replay."""
        if "replay" in fields:
            self._answer = fields
        elif self._left():
            self._messages.append(message_of(fields, data))
        else:
            message = message_of(fields, data)
            self._order = message.order
            self._deliver.message(message)
            return
        if not self._left():
            answer, messages = self._answer, self._messages
            self._answer, self._messages = {}, []
            self._replayed(answer, messages)

    def _left(self) -> int:
        return self._answer.get("count", 0) - len(self._messages) if self._answer else 0

    def _replayed(self, answer: Fields, messages: list[Message]) -> None:
        self._order = max(self._order, answer["order"])
        if answer["replay"] == RESUMED:
            before, self._epoch = self._epoch, answer["epoch"]
            if before != self._epoch:
                self._order = answer["order"]
            for message in messages:
                self._deliver.message(message)
            if answer["incomplete"]:
                self._deliver.lost(answer["incomplete"])
            return
        with self._lock:
            _, _, done = self._waiting.pop(answer["replay"])
        done(replay_of(answer, messages))

    def disconnected(self) -> None:
        """Forget a replay that has not come whole."""
        self._answer, self._messages = {}, []


def message_of(fields: Fields, data: bytes) -> Message:
    """The message of a frame."""
    return Message(
        fields["m"],
        data if fields.get("b") else data.decode(),
        fields.get("e"),
        fields["i"],
        fields["o"],
    )


def replay_of(answer: Fields, messages: Sequence[Message]) -> Replay:
    """The replay of an answer and the messages that follow it."""
    return Replay(messages, answer["order"], not answer["incomplete"])
