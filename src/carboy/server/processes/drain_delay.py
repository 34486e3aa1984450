"""The time between the signal to stop and the stop, in which the server is not ready but serves.

A load balancer learns from the readiness that the server stops, and sends no new requests before
the server refuses them.
"""

from __future__ import annotations

import logging

from carboy.server import systemd
from carboy.server.dataclass import dataclass

log = logging.getLogger("carboy.error")

NEVER = float("inf")
DRAINS = (
    "The server says that it is not ready, serves for another %g s (--drain-delay), and then stops."
)


@dataclass(slots=True)
class DrainDelay:
    """`seconds` from the first `begin` to the stop. Times are monotonic seconds."""

    seconds: float = 0.0
    ends: float = NEVER

    @property
    def active(self) -> bool:
        """Whether the stop is near."""
        return self.ends < NEVER

    def begin(self, now: float, announce: bool = False) -> bool:
        """Begin the time; False if there is none, or it has begun before.

        A signal handler may call it, without `announce`.
        """
        if not self.seconds or self.active:
            return False
        self.ends = now + self.seconds
        systemd.notify("STOPPING=1")
        if announce:
            self.announce()
        return True

    def announce(self) -> None:
        """Log what happens."""
        log.info(DRAINS, self.seconds)

    def is_over(self, now: float) -> bool:
        """Whether the server has to stop now. Returns True once."""
        if now < self.ends:
            return False
        self.ends, self.seconds = NEVER, 0.0
        return True
