"""The interface of an engine: the system that carries messages between processes and machines.

    application ──publish──▶ Engine ──▶ the engines of all processes, of all machines
                             Engine ──Deliver.message──▶ the hub of this process ──▶ its holds

An engine belongs to one process and is made after the fork. `LocalEngine` uses the supervisor of
the workers; others use Redis, NATS or PostgreSQL.

Order. An engine puts all messages of all channels into one order, by `Message.order`, an integer
that increases, also over restarts where the engine keeps its history. `Deliver.message` is called
in this order, by one thread at a time. So one id says how far a client has read, in all of its
channels.

Loss. From `Replay.order` of an `attach` to its `detach`, each message of the channel is delivered
exactly once. An engine that loses its connection connects again by itself, with growing and
random pauses (up to a few seconds), and delivers what was published meanwhile, from its history.
Where it cannot know that nothing is missing, it calls `Deliver.lost`, and the hub sends its clients
a notice.

Threads. Any thread may call an engine. `attach`, `detach`, `join` and `leave` return at once, and
the engine does the work on a thread of its own, in the order of the calls. `publish`, `history`
and `subscribers` wait for the engine, at most `timeout` seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a channel.

    `data` is text, or bytes for WebSocket clients. `id` is what a client gives back as
    Last-Event-ID. It is the publisher's, or else made by the engine: the text of `order`, or
    "EPOCH-ORDER" if the engine may lose its history and count from the start again. EPOCH is
    then chosen at random when counting starts.
    """

    channel: str
    data: str | bytes
    event: str | None = None
    id: str = ""
    order: int = 0


@dataclass(frozen=True, slots=True)
class Replay:
    """The messages after a position, oldest first.

    `order` is the position up to which `messages` is complete: messages that are delivered later
    have a higher order, or are ignored. `complete` is False if some messages after the position
    have been discarded, or the position is not known.
    """

    messages: Sequence[Message] = ()
    order: int = 0
    complete: bool = True


@dataclass(frozen=True, slots=True)
class Subscribers:
    """The connections that hold a channel, in all processes.

    `count` is the number of connections. `names` has each name with its number of connections; a
    connection without a name is only counted. `len()` is the count, iteration gives the names.
    """

    count: int = 0
    names: Mapping[str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __contains__(self, name: object) -> bool:
        return name in self.names


@dataclass(frozen=True, slots=True)
class ChannelRule:
    """The history of the channels whose names match a pattern (`fnmatchcase`).

    A message is kept while it is one of the last `history` of its channel and younger than
    `seconds` (0: no limit of age). `history=0` keeps nothing. With `presence`, the engine
    publishes a message with the event "join" when the first connection with a name joins, and
    "leave" when its last one has left, with `{"name": …}` as data.
    """

    pattern: str = "*"
    history: int = 0
    seconds: float = 0.0
    presence: bool = False


class Rules(Protocol):
    """The rules of the application. May change while the engine runs."""

    def rule(self, channel: str) -> ChannelRule:
        """The rule of a channel: the first one that matches."""
        ...

    def all_rules(self) -> Sequence[ChannelRule]:
        """All rules, in the order in which they are tried, for an engine that applies them."""
        ...


class Deliver(Protocol):
    """The hub, as an engine sees it. Called from threads of the engine; never raises."""

    def message(self, message: Message) -> None:
        """A message of a channel that is attached. The next one is given after this returns."""
        ...

    def lost(self, channels: Sequence[str] | None) -> None:
        """Messages of these channels (None: of all) may be missing before the next one."""
        ...


class EngineError(ConnectionError):
    """The engine cannot be reached, or refuses. The text says what to do."""


class Engine(Protocol):
    """Carries messages between processes. The module's docstring says what it guarantees.

    An engine is made from the URL of the setting `--channels`; options are in the URL's query.
    `?when_down=raise` (the default) has `publish` raise EngineError while the engine is down.
    `?when_down=buffer` has it keep up to `buffer` messages (10,000), which are published in order
    when the engine is back, and raise EngineError when the buffer is full. A message in the
    buffer has no id and no order yet.
    """

    def start(self, deliver: Deliver, rules: Rules) -> None:
        """Begin to connect; returns at once. An engine that only publishes is not started.

        An engine that cannot be reached is not an error here: it is logged once, and the engine
        tries again. Called once for each process.
        """
        ...

    def stop(self, timeout: float) -> None:
        """End: leave all channels, close the connections. No call of Deliver after this."""
        ...

    def publish(self, message: Message, timeout: float = 5.0) -> Message:
        """Publish, keep in the history by the rule, and return the message with id and order.

        Works without `start`, for scripts, and connects when first called. The publisher's own
        process gets the message by `Deliver.message` like all others. Raises EngineError.
        """
        ...

    def attach(self, channel: str, after: str | None, done: Callable[[Replay], None]) -> None:
        """Deliver a channel's messages from now on; then call `done` with those before that.

        `after` is the id of the last message that the client has, None for a new client: then the
        replay is empty, and only its `order` counts. The engine subscribes first and reads the
        history after that, so nothing is between. Messages that are delivered before `done` is
        called may be part of the replay as well. Several attachments of one channel are counted.
        `done` is called once, when the engine can be reached.
        """
        ...

    def detach(self, channel: str) -> None:
        """End one attachment. The channel is delivered until as many have ended as begun."""
        ...

    def history(self, channel: str, after: str | None = None, timeout: float = 5.0) -> Replay:
        """The messages that are kept, from the first one or after an id. Raises EngineError."""
        ...

    def join(self, channel: str, name: str | None) -> None:
        """One more connection of this process holds the channel, under a name or without."""
        ...

    def leave(self, channel: str, name: str | None) -> None:
        """One connection fewer. Those of a process that has died end by themselves in time."""
        ...

    def subscribers(self, channel: str, timeout: float = 5.0) -> Subscribers:
        """The connections that hold the channel, in all processes. Raises EngineError."""
        ...
