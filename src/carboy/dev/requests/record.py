"""One request: what came, what was answered, and what happened in between. Plain values only."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field
from typing import Any

TEXT = 8 * 1024  # characters kept of a body, a log line, a traceback
EVENTS = 500  # kept of one request; a loop that logs must not fill the memory

Pairs = list[tuple[str, str]]


@dataclass(slots=True)
class Record:
    """`events` are (milliseconds since it came, kind, title, detail)."""

    number: int
    began: float  # seconds since the epoch
    method: str
    target: str
    request: Pairs
    protocol: str = ""
    client: str = ""
    rule: str = ""
    endpoint: str = ""
    form: Pairs = field(default_factory=list)
    files: Pairs = field(default_factory=list)
    json: str = ""
    status: str = ""
    response: Pairs = field(default_factory=list)
    octets: int = 0
    body: str = ""
    session: Pairs = field(default_factory=list)
    seconds: float = 0.0
    recording: float = 0.0  # of these seconds, spent on recording the calls
    events: list[tuple[float, str, str, str]] = field(default_factory=list)

    @property
    def took(self) -> float:
        """Seconds, without those that went into recording."""
        return self.seconds - self.recording

    @property
    def ended(self) -> float:
        """Seconds since the epoch."""
        return self.began + self.seconds

    def note(self, kind: str, title: str, detail: str = "", recording: float = 0.0) -> None:
        """Something happens now; recording has taken so many seconds up to it."""
        if len(self.events) < EVENTS:
            since = max(0.0, time.time() - self.began - recording) * 1000
            self.events.append((round(since, 3), kind, title[:TEXT], detail[:TEXT]))

    def as_json(self) -> dict[str, Any]:
        """What is stored; `Record(**found)` makes it again."""
        return asdict(self)

    def summary(self) -> dict[str, Any]:
        """What the list shows."""
        keys = ("number", "began", "method", "target", "status", "octets", "seconds", "endpoint")
        return {key: getattr(self, key) for key in keys} | {
            "error": any(kind == "error" for _, kind, _, _ in self.events)
        }
