"""Pauses between attempts to connect: they grow, and are random.

The first attempt of many workers after an outage would otherwise reach the engine in one moment.
"""

from __future__ import annotations

import random

__all__ = ["Pauses"]

FIRST = 0.1  # seconds
LONGEST = 5.0


class Pauses:
    """Seconds to wait before each attempt."""

    def __init__(self) -> None:
        self._longest = FIRST

    def next(self) -> float:
        """Between half of a time that doubles and the whole of it."""
        longest = self._longest
        self._longest = min(LONGEST, longest * 2)
        return random.uniform(longest / 2, longest)
