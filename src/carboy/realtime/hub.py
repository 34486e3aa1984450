"""The hub of a process: it gives the messages of an engine to the connections that hold channels.

    engine ──message──▶ Hub ──Encoded──▶ Hold ──▶ Outlet (a stream, a WebSocket or a queue)
                        Housekeeper: what is not to delay messages (housekeeping.py)

Which thread touches what:

    thread                 with the hub's lock                       without it
    the engine's           a hold that attaches: what it gets        `send` to holds that are live
                           before it is live
    any that opens holds   topics; the engine's attach and join      the outlet, before `open`
    the housekeeper        topics, what a slow hold keeps            hooks
    a server's             nothing: it may hold a channel's lock     `Housekeeper.note`

Why it is safe:

    order        A hold becomes live under the lock, after everything that came before it has been
                 sent. Until then, the engine's thread adds messages to `pending` under the lock.
    slow holds   What a full outlet does not take is kept, under the lock, and later messages are
                 added behind it until the housekeeper has sent all of it.
    locks        A thread that has the hub's lock may take a channel's lock, never the reverse: the
                 server calls outlets with the channel's lock, and they only note the hold.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Sequence
from functools import partial

from carboy.realtime.encoded import Encoded, reset
from carboy.realtime.engine import Engine, Message, Replay
from carboy.realtime.held import Hold, State
from carboy.realtime.housekeeping import Housekeeper
from carboy.realtime.options import Options

log = logging.getLogger("carboy.error")

DISCONNECT, SKIP = SLOW = ("disconnect", "skip")  # the choices for clients that do not read
LOG_INTERVAL = 10.0  # seconds between two warnings of slow readers


class Hub:
    """The holds of this process by their channels: a Deliver of engine.py."""

    def __init__(self, engine: Engine, options: Options) -> None:
        self.engine = engine
        self.options = options
        self.lock = threading.RLock()
        self.slow = 0  # connections ended because they were slow
        self.skipped = 0  # messages that slow connections have not got
        self._topics: dict[str, dict[Hold, None]] = {}
        self._holds: dict[Hold, None] = {}
        self._logged = float("-inf")
        self._logged_counts = (0, 0)
        self.housekeeper = Housekeeper(self)

    @property
    def count(self) -> int:
        """Number of open holds."""
        return len(self._holds)

    def note(self, hold: Hold) -> None:
        """The connection of a hold has changed; from any thread, with any lock."""
        self.housekeeper.note(hold)

    # --- the life of a hold

    def open(self, hold: Hold) -> None:
        """The hold's connection is ready: attach its channels."""
        with self.lock:
            hold.state = State.ATTACHING
            self._holds[hold] = None
            for channel in hold.channels:
                self._topics.setdefault(channel, {})[hold] = None
            for channel in hold.channels:
                self.engine.attach(channel, hold.after, partial(self._replayed, hold, channel))
                self.engine.join(channel, hold.name)

    def _replayed(self, hold: Hold, channel: str, replay: Replay) -> None:
        with self.lock:
            if hold.state is not State.ATTACHING:
                return
            hold.replays[channel] = replay
            if len(hold.replays) == len(hold.channels):
                self._go_live(hold)

    def _go_live(self, hold: Hold) -> None:
        replays = hold.replays
        hold.outlet.start()
        lost = [channel for channel, replay in replays.items() if not replay.complete]
        if lost:
            hold.put(reset(lost, "history"))
        complete = [replay for replay in replays.values() if replay.complete]
        found = {m.order: m for replay in complete for m in replay.messages}
        late = [m for m in hold.pending if m.order > replays[m.channel].order]
        for message in (*sorted(found.values(), key=_order), *late):
            hold.put(Encoded(message))
        hold.go_live()
        self.housekeeper.live(hold)

    def remove(self, hold: Hold) -> bool:
        """The hold has ended; returns False if it was removed before."""
        with self.lock:
            if hold not in self._holds:
                return False
            del self._holds[hold]
            hold.end()
            for channel in hold.channels:
                topic = self._topics[channel]
                del topic[hold]
                if not topic:
                    del self._topics[channel]
                self.engine.leave(channel, hold.name)
                self.engine.detach(channel)
            return True

    # --- what the engine calls

    def message(self, message: Message) -> None:
        """Give a message to all holds of its channel."""
        topic = self._topics.get(message.channel)
        if topic is None:
            return
        encoded = Encoded(message)
        with self.lock:
            holds = list(topic)
        for hold in holds:
            if hold.is_live and hold.kept is None and hold.outlet.send(encoded):
                continue
            if hold.is_live:
                hold.put(encoded)
            else:
                self._put_early(hold, message, encoded)

    def _put_early(self, hold: Hold, message: Message, encoded: Encoded) -> None:
        """A message for a hold that is not live yet, or was not a moment ago."""
        with self.lock:
            if hold.state is State.ATTACHING:
                hold.pending.append(message)  # type: ignore[union-attr]
            elif hold.is_live:
                hold.put(encoded)

    def lost(self, channels: Sequence[str] | None) -> None:
        """Tell all holds of these channels that messages may be missing."""
        with self.lock:
            for channel in list(self._topics) if channels is None else channels:
                notice = reset([channel], "engine")
                for hold in list(self._topics.get(channel, ())):
                    hold.put(notice)

    # --- slow readers

    def keep(self, hold: Hold, encoded: Encoded) -> None:
        """Keep a message until the client has read some of those before it."""
        with self.lock:
            if hold.state is State.ENDED:
                return
            if hold.kept is None:
                if hold.outlet.send(encoded):
                    return
                hold.kept = deque()
                hold.kept_size = 0
            hold.kept.append(encoded)
            hold.kept_size += encoded.size
            if hold.kept_size > self.options.hold_buffer:
                self._too_slow(hold, hold.kept)

    def _too_slow(self, hold: Hold, kept: deque[Encoded]) -> None:
        if self.options.slow == DISCONNECT:
            self.slow += 1
            kept.clear()
            hold.end()
            hold.outlet.cut()
            self.housekeeper.note(hold)
        else:
            while hold.kept_size > self.options.hold_buffer and len(kept) > 1:
                hold.kept_size -= kept.popleft().size
                hold.skipped += 1
                self.skipped += 1

    def flush(self, hold: Hold) -> None:
        """Send what was kept for a slow client, as far as its connection takes it."""
        with self.lock:
            kept = hold.kept
            if kept is None:
                return
            if hold.skipped and not hold.outlet.full:
                hold.skipped = 0
                hold.outlet.send(reset(hold.channels, "slow"))
            while kept and not hold.outlet.full:
                encoded = kept.popleft()
                hold.kept_size -= encoded.size
                hold.outlet.send(encoded)
            if not kept:
                hold.kept = None

    def log_slow(self, now: float) -> None:
        """Log how many connections were too slow, at most once an interval."""
        counts = (self.slow, self.skipped)
        if counts == self._logged_counts or now - self._logged < LOG_INTERVAL:
            return
        slow, skipped = counts[0] - self._logged_counts[0], counts[1] - self._logged_counts[1]
        self._logged, self._logged_counts = now, counts
        if slow:
            log.warning(
                "%d connections that hold channels were closed because their clients do not read"
                " (--hold-buffer, --hold-slow).",
                slow,
            )
        if skipped:
            log.warning(
                "%d messages were skipped for clients that hold channels and do not read"
                " (--hold-buffer, --hold-slow).",
                skipped,
            )

    # --- the end

    def stop(self, timeout: float) -> None:
        """End all holds, the engine and the housekeeper."""
        for hold in list(self._holds):
            hold.outlet.finish()
            self.remove(hold)
        self.housekeeper.stop(timeout)
        self.engine.stop(timeout)


def _order(message: Message) -> int:
    return message.order
