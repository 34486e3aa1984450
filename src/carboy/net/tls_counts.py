"""The TLS handshakes of this process. The thread that receives changes the numbers, the leader."""

from __future__ import annotations

_results = {"full": 0, "resumed": 0, "failed": 0}


def succeeded(resumed: bool | None) -> None:
    """A handshake is complete."""
    _results["resumed" if resumed else "full"] += 1


def failed() -> None:
    """A handshake has failed, or the client has gone within it."""
    _results["failed"] += 1


def results() -> dict[str, int]:
    """The numbers by result: full, resumed, failed."""
    return _results.copy()
