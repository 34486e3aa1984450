"""The trace of a request, and its fields `traceparent` and `tracestate` (W3C Trace Context).

https://www.w3.org/TR/trace-context/, sections 3.2 to 3.4. A value that breaks a rule is ignored,
and a new trace begins.
"""

from __future__ import annotations

from collections.abc import Sequence

from carboy.late import compiled_later, random

SAMPLED = 1  # bit of the flags
LARGEST_STATE = 512  # characters that are passed on at most; longer lists are dropped
MOST_MEMBERS = 32

# Section 3.2.2. A later version may have more after another dash (section 3.2.4).
_parent = compiled_later(
    r"(?P<version>[0-9a-f]{2})-(?P<trace>[0-9a-f]{32})-(?P<span>[0-9a-f]{16})-(?P<flags>[0-9a-f]{2})"
    r"(?P<more>-.*)?"
)
# Section 3.3.1.3
_member = compiled_later(
    r"(?:[a-z][a-z0-9_\-*/]{0,255}|[a-z0-9][a-z0-9_\-*/]{0,240}@[a-z][a-z0-9_\-*/]{0,13})"
    r"=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]"
)
NO_TRACE, NO_SPAN = "0" * 32, "0" * 16


class TraceContext:
    """A span of a trace: that of one request in this server.

    `trace_id` has 32 hexadecimal digits, `span_id` 16. `parent_id` is the span of the caller, ""
    if the trace begins here. `state` is the value of tracestate.
    """

    __slots__ = ("flags", "parent_id", "span_id", "state", "trace_id")

    def __init__(
        self, trace_id: str, span_id: str, parent_id: str = "", flags: int = 0, state: str = ""
    ) -> None:
        self.trace_id = trace_id
        self.span_id = span_id
        self.parent_id = parent_id
        self.flags = flags
        self.state = state

    def headers(self) -> dict[str, str]:
        """The fields of a request to another service, which becomes a child of this span."""
        fields = {"traceparent": f"00-{self.trace_id}-{self.span_id}-{self.flags:02x}"}
        if self.state:
            fields["tracestate"] = self.state
        return fields


def trace_of(parents: Sequence[str], states: Sequence[str]) -> TraceContext:
    """The trace of a request, from the values of its traceparent and tracestate fields."""
    found = _parent.fullmatch(parents[0]) if len(parents) == 1 else None
    if (
        found is None
        or found["version"] == "ff"
        or (found["version"] == "00" and found["more"])
        or found["trace"] == NO_TRACE
        or found["span"] == NO_SPAN
    ):
        return TraceContext(_random(32), _random(16))
    # Of the flags of later versions, only this one is known (section 3.2.4).
    flags = int(found["flags"], 16) & SAMPLED
    return TraceContext(found["trace"], _random(16), found["span"], flags, state_of(states))


def state_of(values: Sequence[str]) -> str:
    """The members of tracestate, "" if one of them is malformed, or twice in it, or too many."""
    members = [part.strip(" \t") for value in values for part in value.split(",")]
    members = [member for member in members if member]
    keys = {member.partition("=")[0] for member in members}
    state = ",".join(members)
    if (
        len(members) > MOST_MEMBERS
        or len(keys) < len(members)
        or len(state) > LARGEST_STATE
        or not all(map(_member.fullmatch, members))
    ):
        return ""
    return state


def _random(digits: int) -> str:
    """Random hexadecimal digits, not all of them 0."""
    return f"{random.getrandbits(4 * digits) or 1:0{digits}x}"
