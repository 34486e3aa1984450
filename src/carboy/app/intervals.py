"""Intervals as users write them: 30, "5m", "1h30m", timedelta(minutes=5)."""

from __future__ import annotations

import math
from datetime import timedelta

from carboy.late import compiled_later

UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
PARTS = compiled_later(r"(?:([0-9]+(?:\.[0-9]+)?)\s*([smhd])\s*)+")
PART = compiled_later(r"([0-9]+(?:\.[0-9]+)?)\s*([smhd])")


def seconds_of(interval: float | str | timedelta) -> float:
    """The seconds of an interval. Raises ValueError, which says how intervals are written."""
    if isinstance(interval, timedelta):
        seconds = interval.total_seconds()
    elif isinstance(interval, str):
        if not PARTS.fullmatch(interval.strip()):
            raise ValueError(
                f"{interval!r} is not an interval. Write it like 30s, 5m, 1h30m or 1d."
            )
        seconds = sum(float(number) * UNITS[unit] for number, unit in PART.findall(interval))
    else:
        seconds = float(interval)
    if not 0 < seconds < math.inf:
        raise ValueError(f"The interval {interval!r} is not longer than 0 s. Use for example 30s.")
    return seconds
