"""How urgent a response is, and whether a part of it is of use (RFC 9218, section 4).

The client says it with the request or later, and the response may say it better (section 8).
"""

from __future__ import annotations

import re
from typing import NamedTuple

_urgency = re.compile(rb"u[ \t]*=[ \t]*([0-7])").fullmatch
_incremental = re.compile(rb"i(?:[ \t]*=[ \t]*\?([01]))?").fullmatch


class Priority(NamedTuple):
    """The urgency, 0 being the most urgent of 8, and whether parts of the response are of use."""

    urgency: int = 3
    incremental: bool = False


# Of a client that says nothing. Responses share the connection then, as before RFC 9218: one that
# is endless would never let the others be sent.
UNKNOWN = Priority(incremental=True)


def read_priority(value: bytes, before: Priority = Priority()) -> Priority:  # noqa: B008
    """The priority that a Priority field gives; `before` is for what it does not say."""
    urgency, incremental = before
    for member in value.split(b","):
        text = member.partition(b";")[0].strip(b" \t")
        if found := _urgency(text):
            urgency = int(found[1])
        elif found := _incremental(text):
            incremental = found[1] != b"0"
    return Priority(urgency, incremental)
