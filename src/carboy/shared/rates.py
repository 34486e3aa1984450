"""Rates as text: `10/minute`, `10 per minute`, `100/5 minutes`, several separated by `;`.

The text is that of Flask-Limiter.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

__all__ = ["Rate", "parse_rates"]

UNITS = {
    "second": 1, "sec": 1,
    "minute": 60, "min": 60,
    "hour": 3600,
    "day": 86400,
    "month": 30 * 86400,
    "year": 365 * 86400,
}  # fmt: skip
RATE = re.compile(r"\s*(\d+)\s*(?:/|per\b)\s*(\d*)\s*([a-z]+?)s?\s*", re.IGNORECASE | re.ASCII)
SEPARATOR = re.compile(r"[;,|]")


@dataclass(frozen=True, slots=True)
class Rate:
    """At most `requests` in `seconds`."""

    requests: int
    seconds: int


@lru_cache(maxsize=256)
def parse_rates(text: str) -> tuple[Rate, ...]:
    """The rates of a text, the shortest first. Raises ValueError."""
    found: dict[int, Rate] = {}
    for part in SEPARATOR.split(text):
        match = RATE.fullmatch(part)
        unit = match and UNITS.get(match[3].lower())
        if not match or unit is None:
            raise ValueError(
                f'{part.strip()!r} is not a rate. Use for example "10/minute" or'
                ' "10/minute; 100/hour".'
            )
        seconds = int(match[2] or 1) * unit
        if seconds == 0:
            raise ValueError(f"{part.strip()!r} is a rate for no time. Use at least one second.")
        rate = Rate(int(match[1]), seconds)
        # Of two rates for the same time, the lower one includes the other one.
        if seconds not in found or rate.requests < found[seconds].requests:
            found[seconds] = rate
    return tuple(found[seconds] for seconds in sorted(found))
