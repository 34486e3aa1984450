"""Sizes as users write them: 4096, 512k, 10MiB."""

from __future__ import annotations

import re

__all__ = ["size_of_text"]

UNITS = {"": 1, "k": 1024, "m": 1024**2, "g": 1024**3}
SIZE = re.compile(r"([0-9]+)\s*([kmg]?)(?:i?b)?", re.IGNORECASE)


def size_of_text(text: str) -> int:
    """The number of bytes. Raises ValueError, which says how sizes are written."""
    found = SIZE.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"{text!r} is not a size. Write it like 4096, 512k or 10MiB.")
    return int(found[1]) * UNITS[found[2].lower()]
