"""What a serving process writes with: a channel for each output, and a thread for log handlers.

Start it after a fork, not before: a copy of the process has none of its threads.
"""

from __future__ import annotations

import os
import sys
import time

from carboy.server.channel import WAITING, Channel
from carboy.server.log_handlers import LogHandlers
from carboy.server.losses import Losses
from carboy.server.output import LogFile, Output, standard

CLOSING = 2.0  # seconds that a process about to end waits for its last lines


class Writer:
    """The channels of a process. Outputs that lead to one place share a channel, so that what is
    written there stays in order.

    Not `threaded`: for a process that forks. What an output does not take at once waits for the
    next line, at most `limit` bytes of it.
    """

    def __init__(
        self, errors: Output | None = None, limit: int = WAITING, threaded: bool = True
    ) -> None:
        self.limit = limit
        self.threaded = threaded
        self.errors = self._channel(errors or standard(sys.stderr, 2), "standard error")
        self.losses = Losses(self.errors)
        self.handlers = LogHandlers(self.errors)
        self.errors.start()

    def channel(self, output: Output, name: str) -> Channel:
        """The channel to an output."""
        for channel in self.losses.channels:
            if _same(channel.output, output):
                return channel
        channel = self._channel(output, name)
        self.losses.add(channel)
        return channel

    def _channel(self, output: Output, name: str) -> Channel:
        return Channel(output, name, self.limit, self.threaded)

    def reopen(self) -> None:
        """Open log files again that were moved away; returns at once."""
        for channel in self.losses.channels:
            channel.reopen()

    def close(self, timeout: float = CLOSING) -> None:
        """Write what was handed over so far, unless that takes longer than `timeout` seconds.

        An output that takes nothing does not keep the others from being written.
        """
        began = time.monotonic()
        self.handlers.close(began + timeout * 0.5)
        others = self.losses.channels[1:]
        for channel in others:
            channel.begin_to_close()
        for channel in others:
            channel.close(began + timeout * 0.8)
        self.losses.end()
        self.errors.close(began + timeout)


def _same(one: Output, other: Output) -> bool:
    if isinstance(one, LogFile) or isinstance(other, LogFile):
        return one is other  # it may be moved away, and then they part
    try:
        return os.path.samestat(os.fstat(one.fd), os.fstat(other.fd))
    except OSError:
        return False
