"""An Engine on another system: one thread that receives, whatever the number of channels.

    attach, detach, join, leave   noted in `_commands`; the thread carries them out
    publish, history, subscribers run on the thread that calls them, on connections of their own
    the thread                    the connection that receives, `_attached`, `_present`, and all
                                  calls of Deliver and `done`

An attachment has three steps, so that each message is either in its replay or delivered after it:

    LISTEN   the engine sends the messages of the channel from the first mark on
    READ     the first mark is back: the history is read, up to an order
    DONE     the second mark is back: the messages up to that order have been delivered

After an interruption, the thread listens to all channels again and, at the first mark, reads what
was published since the last message that it has delivered. Messages up to the position that the
engine had then come from the history, in order, and later ones from the connection.
"""

from __future__ import annotations

import json
import logging
import secrets
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto

from carboy.realtime.engine import Deliver, EngineError, Message, Replay, Rules, Subscribers
from carboy.realtime.engines.buffer import Buffer
from carboy.realtime.engines.link import Link, Mark
from carboy.realtime.engines.pauses import Pauses
from carboy.realtime.engines.timed import within
from carboy.relay.frames import LARGEST_DATA, size_of, too_long

__all__ = ["HEARTBEAT", "PRESENCE", "RemoteEngine"]

log = logging.getLogger("carboy.error")

Done = Callable[[Replay], None]

HEARTBEAT = 10.0  # seconds between two notes of the connections of this process
PRESENCE = 30.0  # seconds that a note lives: two may be late


class Step(Enum):
    """The work to do when the mark of an attachment comes back."""

    READ = auto()
    DONE = auto()


@dataclass(slots=True)
class Attachment:
    """An attachment whose `done` has not been called."""

    channel: str
    after: str | None
    done: Done
    step: Step = Step.READ
    replay: Replay | None = None


class RemoteEngine:
    """An Engine over the connections of a Link."""

    def __init__(
        self, link: Link, rules: Rules, shown: str, buffer: int = 0, largest: int = LARGEST_DATA
    ) -> None:
        self._link = link
        self._largest = largest
        self._rules = rules
        self._shown = shown
        self._buffer = Buffer(self._publish, buffer, shown)
        self._process = secrets.token_hex(8)
        self._thread: threading.Thread | None = None
        self._stopping = threading.Event()
        self._commands: deque[Callable[[], None]] = deque()
        # for the thread
        self._deliver: Deliver
        self._attached: Counter[str] = Counter()
        self._present: Counter[tuple[str, str | None]] = Counter()
        self._changed: set[tuple[str, str | None]] = set()
        self._marks: dict[int, Attachment | None] = {}  # None: the one after an interruption
        self._token = 0
        self._position = ""  # of the last message that was delivered
        self._order = 0  # its order
        self._beat = 0.0

    # --- from any thread

    def start(self, deliver: Deliver, rules: Rules) -> None:
        """Begin to connect."""
        self._deliver, self._rules = deliver, rules
        self._thread = threading.Thread(target=self._run, name="carboy-channels", daemon=True)
        self._thread.start()

    def stop(self, timeout: float) -> None:
        """Leave all channels and close the connections."""
        self._stopping.set()
        self._buffer.stop()
        if self._thread is not None:
            self._link.wake()
            self._thread.join(timeout)
        self._link.end()

    def publish(self, message: Message, timeout: float = 5.0) -> Message:
        """Publish, and return the message with id and order; without them if it was buffered.

        Raises ValueError for a message that is too long, as the relay of one machine does.
        """
        size = size_of(message.data)
        if size > self._largest:
            raise ValueError(too_long(size, message.channel, self._largest))
        return within(timeout, lambda: self._buffer.publish(message), self._shown)

    def _publish(self, message: Message) -> Message:
        return self._link.publish(message, self._rules.rule(message.channel))

    def history(self, channel: str, after: str | None = None, timeout: float = 5.0) -> Replay:
        """The messages that are kept, from the first one or after an id."""
        rule = self._rules.rule(channel)
        return within(timeout, lambda: self._link.replay(channel, after, rule), self._shown)

    def subscribers(self, channel: str, timeout: float = 5.0) -> Subscribers:
        """The connections that hold the channel, in all processes."""
        return within(timeout, lambda: self._link.subscribers(channel), self._shown)

    def attach(self, channel: str, after: str | None, done: Done) -> None:
        """Deliver a channel's messages from now on; then call `done` with those before that."""
        self._do(lambda: self._attach(Attachment(channel, after, done)))

    def detach(self, channel: str) -> None:
        """End one attachment."""
        self._do(lambda: self._detach(channel))

    def join(self, channel: str, name: str | None) -> None:
        """One more connection of this process holds the channel."""
        self._do(lambda: self._count(channel, name, 1))

    def leave(self, channel: str, name: str | None) -> None:
        """One connection fewer."""
        self._do(lambda: self._count(channel, name, -1))

    def rules_changed(self) -> None:
        """The rules are read for each message, so nothing has to be told."""

    def _do(self, command: Callable[[], None]) -> None:
        if self._thread is None:
            raise RuntimeError("The engine has not been started.")
        self._commands.append(command)
        self._link.wake()

    # --- the thread

    def _run(self) -> None:
        pauses, down = Pauses(), False
        while not self._stopping.is_set():
            try:
                self._link.open()
                self._connected()
                if down:
                    log.warning("The engine of channels at %s can be reached again.", self._shown)
                pauses, down = Pauses(), False
                while not self._stopping.is_set():
                    self._turn()
            except EngineError as error:
                if not down:
                    log.error("Channels are interrupted, and will be tried again: %s", error)
                    down = True
            except Exception:
                log.exception("A bug in Carboy's engine of channels. It connects again.")
            self._link.close()
            self._wait(pauses.next())
        self._leave_all()

    def _wait(self, seconds: float) -> None:
        """Wait without a connection. Commands are noted, and carried out after connecting."""
        self._stopping.wait(seconds)

    def _connected(self) -> None:
        """Listen to all channels again, and begin the attachments that were not done again."""
        # One that was between two steps is there twice.
        waiting = {id(each): each for each in self._marks.values() if each is not None}
        self._marks.clear()
        tokens = [self._new_mark(None)] if self._position else []
        for each in waiting.values():
            each.step, each.replay = Step.READ, None
            tokens.append(self._new_mark(each))
        if not self._position:
            self._order, self._position = self._link.position()
        self._link.listen(list(self._attached))
        for token in tokens:
            self._link.mark(token)
        self._beat = 0.0

    def _turn(self) -> None:
        while self._commands:
            self._commands.popleft()()
        now = time.monotonic()
        if now >= self._beat:
            self._beat = now + HEARTBEAT
            self._note(set(self._present) | self._changed)
        elif self._changed:
            self._note(self._changed)
        for item in self._link.receive(self._beat - now):
            if isinstance(item, Mark):
                self._marked(item.token)
            else:
                self._give(item)

    def _give(self, message: Message) -> None:
        """Deliver a message, unless it came from the history, or will."""
        if message.order <= self._order or None in self._marks.values():
            return
        self._order = message.order
        self._position = self._link.position_of(message.order)
        self._deliver.message(message)

    # --- attachments

    def _attach(self, attachment: Attachment) -> None:
        channel = attachment.channel
        self._attached[channel] += 1
        # Noted before anything can fail: it is begun again with the next connection.
        token = self._new_mark(attachment)
        if self._attached[channel] == 1:
            self._link.listen([channel])
        self._link.mark(token)

    def _detach(self, channel: str) -> None:
        self._attached[channel] -= 1
        if not self._attached[channel]:
            del self._attached[channel]
            self._link.unlisten(channel)

    def _new_mark(self, attachment: Attachment | None) -> int:
        self._token += 1
        self._marks[self._token] = attachment
        return self._token

    def _marked(self, token: int) -> None:
        if token not in self._marks:
            return  # of an earlier connection
        attachment = self._marks[token]
        if attachment is None:
            self._resume()
        elif attachment.step is Step.READ:
            attachment.replay = self._read(attachment)
            attachment.step = Step.DONE
            self._link.mark(self._new_mark(attachment))
        else:
            assert attachment.replay is not None
            order = attachment.replay.order
            if order > self._order:  # all messages up to this one have been delivered
                self._order, self._position = order, self._link.position_of(order)
            attachment.done(attachment.replay)
        del self._marks[token]

    def _read(self, attachment: Attachment) -> Replay:
        if attachment.after is None:
            return Replay((), self._link.position()[0])
        rule = self._rules.rule(attachment.channel)
        return self._link.replay(attachment.channel, attachment.after, rule)

    def _resume(self) -> None:
        """Deliver what was published since the last message that was delivered."""
        order, position = self._link.position()
        found: list[Message] = []
        lost: list[str] = []
        for channel in self._attached:
            replay = self._link.replay(channel, self._position, self._rules.rule(channel))
            found += (message for message in replay.messages if message.order <= order)
            if not replay.complete:
                lost.append(channel)
        if lost:
            self._deliver.lost(lost)
        for message in sorted(found, key=lambda each: each.order):
            self._deliver.message(message)
        self._order, self._position = order, position

    # --- presence

    def _count(self, channel: str, name: str | None, number: int) -> None:
        self._present[channel, name] += number
        if not self._present[channel, name]:
            del self._present[channel, name]
        self._changed.add((channel, name))

    def _note(self, keys: set[tuple[str, str | None]]) -> None:
        counts = {key: self._present.get(key, 0) for key in keys}
        for channel, event, name in self._link.present(self._process, counts):
            self._tell(channel, event, name)
        self._changed = set()

    def _tell(self, channel: str, event: str, name: str) -> None:
        rule = self._rules.rule(channel)
        if rule.presence:
            self._link.publish(Message(channel, presence_data(name), event), rule)

    def _leave_all(self) -> None:
        counts = dict.fromkeys(self._present, 0)
        try:
            for channel, event, name in self._link.present(self._process, counts):
                self._tell(channel, event, name)
        except EngineError:
            pass  # the notes end by themselves
        self._link.close()


def presence_data(name: str) -> str:
    """The data of a message about a name."""
    return json.dumps({"name": name}, separators=(",", ":"), ensure_ascii=False)
