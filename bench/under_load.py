"""A measurement with wrk, and what all measurements have in common."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bench import load, process
from bench.servers import Running, ServerFailed

IDLE_CONNECTIONS = 10_000
IMPORTS = 15
MOST_REFUSED = 0.001

Figures = dict[str, float]
"""Figures by name. The unit is at the end of the name."""


@dataclass(frozen=True)
class Bench:
    """On which cores and how long to measure."""

    server_core: int
    load_core: int
    seconds: float
    warm_up: float
    folder: Path
    idle: int = IDLE_CONNECTIONS
    imports: int = IMPORTS


def loaded(
    bench: Bench,
    started: Running,
    request: Path,
    *,
    warm: bool = True,
    status: int = 200,
    connections: int = load.CONNECTIONS,
) -> Figures:
    """The figures of a run of wrk, whose responses have `status`. Raises ServerFailed."""

    def run(seconds: float) -> load.Load:
        return load.wrk(
            started.port, request, bench.load_core, seconds, started.scheme, connections
        )

    if warm:
        run(bench.warm_up)
    before = process.cost(started.pid)
    seen = run(bench.seconds)
    return figures_of(seen, before, process.cost(started.pid), status)


def figures_of(
    seen: load.Load, before: process.Cost, after: process.Cost, status: int = 200
) -> Figures:
    """The figures of a load. Raises ServerFailed if it was not answered."""
    if seen.requests == 0:
        raise ServerFailed("No request was answered.")
    wrong = seen.requests - seen.refused if status >= 400 else seen.refused
    if wrong > seen.requests * MOST_REFUSED:
        raise ServerFailed(f"{wrong} of {seen.requests} responses do not have the status {status}.")
    return {
        "requests_per_second": seen.per_second,
        "p50_ms": seen.p50_ms,
        "p99_ms": seen.p99_ms,
        "cpu_us": (after.cpu_seconds - before.cpu_seconds) / seen.requests * 1e6,
        "rss_mib": after.rss_mib,
        "refused": seen.refused,
        "broken": seen.broken,
        "busy_percent": seen.busy * 100,
    }
