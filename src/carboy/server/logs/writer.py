"""The writer of a server process: a channel for each output, and a thread for log handlers.

Make it after a fork, not before: a forked process has none of the threads.
"""

from __future__ import annotations

import os
import sys
import time

from carboy.server.logs.channel import WAITING, Channel
from carboy.server.logs.handler_queue import HandlerQueue
from carboy.server.logs.output import STANDARD, LogFile, Output, standard

NOTE_DELAY = 0.2  # seconds from the first lost line to its note, which counts those that follow
NOTE_INTERVAL = 60.0  # seconds between two notes
CLOSING = 2.0  # seconds that a process waits for its last lines before it ends


class Writer:
    """The channels of a process. Outputs that lead to the same place share a channel, which keeps
    their lines in order.

    A process that forks is not `threaded`: what an output does not take at once then waits for
    the next line, up to `limit` bytes.
    """

    def __init__(
        self, errors: Output | None = None, limit: int = WAITING, threaded: bool = True
    ) -> None:
        self.limit = limit
        self.threaded = threaded
        self.errors = self._channel(errors or standard(sys.stderr, 2), STANDARD["stderr"])
        self.lost_lines = LostLines(self.errors)
        self.handlers = HandlerQueue(self.errors)
        self.errors.start()

    def channel(self, output: Output, name: str) -> Channel:
        """The channel of an output."""
        for channel in self.lost_lines.channels:
            if _same(channel.output, output):
                return channel
        channel = self._channel(output, name)
        self.lost_lines.add(channel)
        return channel

    def _channel(self, output: Output, name: str) -> Channel:
        return Channel(output, name, self.limit, self.threaded)

    @property
    def lost(self) -> int:
        """The number of lines that this process has lost since it started."""
        return sum(channel.lost_in_total for channel in self.lost_lines.channels)

    def reopen(self) -> None:
        """Open log files again that were moved away. Returns at once."""
        for channel in self.lost_lines.channels:
            channel.reopen()

    def close(self, timeout: float = CLOSING) -> None:
        """Write what was handed over so far, for about `timeout` seconds.

        An output that takes nothing does not delay the others.
        """
        began = time.monotonic()
        self.handlers.close(began + timeout * 0.5)
        others = self.lost_lines.channels[1:]
        for channel in others:
            channel.begin_to_close()
        for channel in others:
            channel.close(began + timeout * 0.8)
        self.lost_lines.end()
        # On a busy machine, the others may have taken all of the time. The note about the lines
        # that they lost gets its share nevertheless.
        self.errors.close(max(began + timeout, time.monotonic() + timeout * 0.2))


class LostLines:
    """Counts the lines that the channels of a process lose, and writes notes about them.

    A note says how many lines were lost, in which output and why. The writer thread of the channel
    for errors writes it: the thread of a channel that loses lines may be waiting for its reader.
    """

    def __init__(self, errors: Channel) -> None:
        self.errors = errors
        self.channels: list[Channel] = []
        self._first: float | None = None
        self._not_before = 0.0
        self._ending = False
        errors.notes = self.tell
        self.add(errors)

    def add(self, channel: Channel) -> None:
        """Report the lost lines of this channel."""
        self.channels.append(channel)
        channel.lost_first = self.errors.wake

    def end(self) -> None:
        """Write notes without delay from now on: the process ends."""
        self._ending = True

    def tell(self) -> float | None:
        """Write the notes that are due; returns the seconds until the next one, or None."""
        losing = [channel for channel in self.channels if channel.lost]
        if not losing:
            self._first = None
            return None
        now = time.monotonic()
        if self._first is None:
            self._first = now
        due = max(self._first + NOTE_DELAY, self._not_before)
        if now < due and not self._ending:
            return due - now
        for channel in losing:
            self._tell_of(channel)
        self._first, self._not_before = None, now + NOTE_INTERVAL
        return NOTE_INTERVAL

    def _tell_of(self, channel: Channel) -> None:
        lost = channel.lost
        lines = "log line was" if lost == 1 else "log lines were"
        note = f"carboy: {lost} {lines} lost ({channel.name}): {channel.lost_because}.\n"
        if self.errors.note(note.encode("utf-8", "backslashreplace")):
            channel.forget(lost)


def _same(one: Output, other: Output) -> bool:
    if isinstance(one, LogFile) or isinstance(other, LogFile):
        return one is other  # the file may be moved away, and then they differ
    try:
        return os.path.samestat(os.fstat(one.fd), os.fstat(other.fd))
    except OSError:
        return False
