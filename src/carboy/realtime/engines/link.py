"""The connections of one process to an engine, as RemoteEngine uses them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from carboy.realtime.engine import ChannelRule, Message, Replay, Subscribers

__all__ = ["Link", "Mark", "Presence"]

Presence = Mapping[tuple[str, str | None], int]  # connections by channel and name


@dataclass(frozen=True, slots=True)
class Mark:
    """The return of a token that `mark` has sent."""

    token: int


class Link(Protocol):
    """Connections to an engine. Every method raises EngineError if the engine cannot be reached.

    A position is text, the id that the message at that place has unless its publisher gave one.
    """

    # --- the connection that receives: one thread, except for `wake`

    def open(self) -> None:
        """Connect, without channels."""

    def close(self) -> None:
        """Close the connection that receives; from any thread after that one has ended."""

    def listen(self, channels: Sequence[str]) -> None:
        """Receive the messages of these channels, from the next mark at the latest."""

    def unlisten(self, channel: str) -> None:
        """Stop receiving the messages of a channel."""

    def mark(self, token: int) -> None:
        """Have `receive` return a Mark after all messages that were published before this."""

    def receive(self, seconds: float) -> Sequence[Message | Mark]:
        """The next messages and marks, in their order; nothing after so many seconds or `wake`."""

    def wake(self) -> None:
        """Have `receive` return soon. From any thread, and without a connection."""

    # --- from any thread

    def position(self) -> tuple[int, str]:
        """The order of the last message of all channels, and its position."""

    def position_of(self, order: int) -> str:
        """The position of a message that has been received, or of a position before that."""

    def publish(self, message: Message, rule: ChannelRule) -> Message:
        """Publish a message, and keep it by the rule."""

    def replay(self, channel: str, after: str | None, rule: ChannelRule) -> Replay:
        """The kept messages of a channel after an id or a position; None: all of them."""

    def present(self, process: str, connections: Presence) -> Sequence[tuple[str, str, str]]:
        """Note the connections of a process; 0 removes them.

        The notes live for PRESENCE seconds. Returns (channel, "join" or "leave", name) for each
        name that this has made the first or the last of its channel, also by the end of a process.
        """

    def subscribers(self, channel: str) -> Subscribers:
        """The connections of all processes that hold a channel."""

    def end(self) -> None:
        """Close all connections."""
