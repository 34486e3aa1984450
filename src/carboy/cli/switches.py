"""Values of switches as users and other programs write them."""

from __future__ import annotations

OFF = frozenset({"", "0", "f", "false", "n", "no", "none", "off"})


def is_on(text: str) -> bool:
    """Whether a text means yes: anything but "0", "false", "no", "off" and the like."""
    return text.strip().lower() not in OFF
