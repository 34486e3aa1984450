"""The state of a relay: the order of messages, what is kept of them, and who holds a channel.

No sockets, clock or logging. One thread uses it.

Each message gets the next number, over all channels, and the id "EPOCH-NUMBER"; the epoch is chosen
when the board is made, so that an id of an earlier relay is recognised. What is kept is bounded for
each channel by its rule, and for all channels together by `memory`: the oldest message goes first.
A channel of which nothing is left is forgotten, and only the highest number of such messages is
remembered, for channels with and without a history. So a client whose id is too old always learns
that something may be missing, at worst when only another channel has lost messages.
"""

from __future__ import annotations

import os
from collections import Counter, deque
from collections.abc import Hashable, Iterable, Iterator
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

from carboy.relay.frames import frame

RULES_KEPT = 4096  # channels whose rule is remembered; clients may choose names
OVERHEAD = 400  # bytes of memory that a kept message needs besides its frame
SWEEP = 1024  # messages between two searches for messages that are too old


class Rule(NamedTuple):
    """The rule of the channels that match a pattern; the fields of ChannelRule."""

    pattern: str = "*"
    history: int = 0
    seconds: float = 0.0
    presence: bool = False


class Kept(NamedTuple):
    """A message as it is sent to all subscribers, and kept."""

    channel: str
    order: int
    id: str
    at: float  # seconds of the caller's clock
    frame: bytes


class Replayed(NamedTuple):
    """The messages after a position, and whether they are all."""

    messages: list[Kept]
    complete: bool


class _Channel:
    """The messages kept of one channel."""

    __slots__ = ("gone", "kept")

    def __init__(self, gone: int) -> None:
        self.kept: deque[Kept] = deque()
        self.gone = gone  # the number of the last message that was discarded


class Board:
    """History and presence of all channels."""

    def __init__(self, default: Rule, memory: int) -> None:
        self.epoch = os.urandom(4).hex()
        self.order = 0
        self.size = 0  # bytes of memory that kept messages need, estimated
        self.discarded = 0  # messages that were discarded because of `memory`
        self._default = default
        self._memory = memory
        self._rules: list[Rule] = []
        self._known: dict[str, Rule] = {}
        self._channels: dict[str, _Channel] = {}
        self._forgotten = 0  # the number of the last message of a channel that is forgotten
        self._unkept = 0  # the same, of channels without a history
        self._ages: deque[Kept] = deque()  # all kept messages, and some that were discarded
        # channel: connections by name; and the same for each peer
        self._present: dict[str, Counter[str | None]] = {}
        self._of_peer: dict[Hashable, Counter[tuple[str, str | None]]] = {}

    # --- rules

    def set_rules(self, rules: Iterable[Rule]) -> None:
        """Use these rules from now on; the first that matches a channel counts."""
        self._rules = list(rules)
        self._known.clear()
        self._forgotten = max(self._forgotten, self._unkept)

    def rule(self, channel: str) -> Rule:
        """The rule of a channel."""
        found = self._known.get(channel)
        if found is None:
            for found in (*self._rules, self._default):
                if fnmatchcase(channel, found.pattern):
                    break
            else:
                found = Rule()
            if len(self._known) >= RULES_KEPT:
                self._known.clear()
            self._known[channel] = found
        return found

    # --- messages

    def publish(
        self, channel: str, data: bytes, event: str | None, id: str, binary: bool, now: float
    ) -> Kept:
        """Give a message its order and id, and keep it if its channel has a history."""
        self.order += 1
        known_as = id or f"{self.epoch}-{self.order}"
        fields: dict[str, Any] = {"m": channel, "o": self.order, "i": known_as}
        if event is not None:
            fields["e"] = event
        if binary:
            fields["b"] = 1
        message = Kept(channel, self.order, known_as, now, frame(fields, data))
        rule = self.rule(channel)
        if rule.history:
            self._keep(message, rule, now)
        elif (known := self._channels.get(channel)) is not None:
            known.gone = self.order
        else:
            self._unkept = self.order
        if not self.order % SWEEP:
            self._sweep(now)
        return message

    def _keep(self, message: Kept, rule: Rule, now: float) -> None:
        known = self._channels.get(message.channel)
        if known is None:
            known = self._channels[message.channel] = _Channel(self._forgotten)
        known.kept.append(message)
        self._ages.append(message)
        self.size += len(message.frame) + OVERHEAD
        self._expire(message.channel, known, rule, now)
        while self.size > self._memory and self._ages:
            oldest = self._ages.popleft()
            owner = self._channels.get(oldest.channel)
            if owner is not None and owner.gone < oldest.order:
                self.discarded += 1
                while owner.kept and owner.kept[0].order <= oldest.order:
                    self._discard(owner)
                self._forget_if_empty(oldest.channel, owner)

    def _discard(self, known: _Channel) -> None:
        first = known.kept.popleft()
        known.gone = first.order
        self.size -= len(first.frame) + OVERHEAD

    def _expire(self, channel: str, known: _Channel, rule: Rule, now: float) -> None:
        kept = known.kept
        while len(kept) > rule.history or (
            rule.seconds and kept and now - kept[0].at > rule.seconds
        ):
            self._discard(known)

    def _forget_if_empty(self, channel: str, known: _Channel) -> None:
        if not known.kept:
            self._forgotten = max(self._forgotten, known.gone)
            del self._channels[channel]

    def _sweep(self, now: float) -> None:
        for channel, known in list(self._channels.items()):
            self._expire(channel, known, self.rule(channel), now)
            self._forget_if_empty(channel, known)
        self._ages = deque(
            each
            for each in self._ages
            if (owner := self._channels.get(each.channel)) is not None and owner.gone < each.order
        )

    def replay(self, channel: str, after: str | None, now: float, whole: bool = False) -> Replayed:
        """The messages after the id `after`; with None, none of them, or all if `whole`."""
        known = self._channels.get(channel)
        if known is not None:
            self._expire(channel, known, self.rule(channel), now)
        kept: Iterable[Kept] = () if known is None else known.kept
        if after is None:
            return Replayed(list(kept) if whole else [], True)
        position = self._position(kept, after)
        if position is None:
            return Replayed([], False)
        if known is not None:
            gone = known.gone
        else:
            gone = self._forgotten if self.rule(channel).history else self._unkept
        if position < gone:
            return Replayed([], False)
        return Replayed([each for each in kept if each.order > position], True)

    def _position(self, kept: Iterable[Kept], id: str) -> int | None:
        """The number that an id stands for; None if it is not known."""
        epoch, _, number = id.rpartition("-")
        if epoch == self.epoch and number.isdecimal() and number.isascii():
            return int(number) if int(number) <= self.order else None
        found = [each.order for each in kept if each.id == id]
        return found[-1] if found else None

    # --- presence

    def join(self, peer: Hashable, channel: str, name: str | None, count: int = 1) -> bool:
        """Count connections; returns whether their name is new in the channel."""
        present = self._present.setdefault(channel, Counter())
        present[name] += count
        self._of_peer.setdefault(peer, Counter())[channel, name] += count
        return name is not None and present[name] == count

    def leave(self, peer: Hashable, channel: str, name: str | None) -> bool:
        """Count a connection fewer; returns whether it was the last one of its name."""
        own = self._of_peer.get(peer)
        if own is None or not own[channel, name]:
            return False
        own[channel, name] -= 1
        if not own[channel, name]:
            del own[channel, name]
        return self._leave(channel, name, 1)

    def _leave(self, channel: str, name: str | None, count: int) -> bool:
        present = self._present[channel]
        present[name] -= count
        if present[name] > 0:
            return False
        del present[name]
        if not present:
            del self._present[channel]
        return name is not None

    def drop(self, peer: Hashable) -> Iterator[tuple[str, str]]:
        """The peer has gone: the (channel, name) pairs of which it had the last connection."""
        for (channel, name), count in self._of_peer.pop(peer, Counter()).items():
            if self._leave(channel, name, count) and name is not None:
                yield channel, name

    def subscribers(self, channel: str) -> tuple[int, dict[str, int]]:
        """Number of connections, and the connections of each name."""
        present = self._present.get(channel, Counter())
        names = {name: count for name, count in present.items() if name is not None}
        return sum(present.values()), names
