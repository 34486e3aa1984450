"""Notes on standard error about log lines that were lost: how many, where and why.

The writer thread of the channel for errors writes them, since the thread of the channel that
lost lines may be waiting for its reader.
"""

from __future__ import annotations

import time

from carboy.server.channel import Channel

SETTLE = 0.2  # seconds from the first lost line to its note, which then has those that followed
COMPLAIN = 60.0  # seconds between two notes


class Losses:
    """Lost lines of all channels of a process. Lines are counted until a note has been written."""

    def __init__(self, errors: Channel) -> None:
        self.errors = errors
        self.channels: list[Channel] = []
        self._first: float | None = None
        self._not_before = 0.0
        self._ending = False
        errors.notes = self.tell
        self.add(errors)

    def add(self, channel: Channel) -> None:
        """Report what this channel loses."""
        self.channels.append(channel)
        channel.lost_first = self.errors.wake

    def end(self) -> None:
        """From now on do not wait: the process ends."""
        self._ending = True

    def tell(self) -> float | None:
        """Write the notes that are due; in how many seconds the next is, or None."""
        losing = [channel for channel in self.channels if channel.lost]
        if not losing:
            self._first = None
            return None
        now = time.monotonic()
        if self._first is None:
            self._first = now
        due = max(self._first + SETTLE, self._not_before)
        if now < due and not self._ending:
            return due - now
        for channel in losing:
            self._tell_of(channel)
        self._first, self._not_before = None, now + COMPLAIN
        return COMPLAIN

    def _tell_of(self, channel: Channel) -> None:
        lost = channel.lost
        lines = "log line was" if lost == 1 else "log lines were"
        note = f"carboy: {lost} {lines} lost ({channel.name}): {channel.lost_because}.\n"
        if self.errors.note(note.encode("utf-8", "backslashreplace")):
            channel.forget(lost)
