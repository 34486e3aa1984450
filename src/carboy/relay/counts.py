"""Counts of channels in a worker, for the metrics of its server.

Each number only grows. It is given by a function, which another thread calls once a second. The
names are those of the metrics without `_total`.
"""

from __future__ import annotations

from collections.abc import Callable

CLIENTS_SLOW = "carboy_channel_clients_slow"
MESSAGES_SKIPPED = "carboy_channel_messages_skipped"


def nothing() -> int:
    """The count of a worker without channels."""
    return 0


counts: dict[str, Callable[[], int]] = dict.fromkeys((CLIENTS_SLOW, MESSAGES_SKIPPED), nothing)
