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


def loaded(bench: Bench, started: Running, request: Path, *, warm: bool = True) -> Figures:
    """The figures of a run of wrk. Raises ServerFailed."""
    if warm:
        load.wrk(started.port, request, bench.load_core, bench.warm_up, started.scheme)
    before = process.cost(started.pid)
    seen = load.wrk(started.port, request, bench.load_core, bench.seconds, started.scheme)
    return figures_of(seen, before, process.cost(started.pid))


def figures_of(seen: load.Load, before: process.Cost, after: process.Cost) -> Figures:
    """The figures of a load. Raises ServerFailed if it was not answered."""
    if seen.requests == 0:
        raise ServerFailed("No request was answered.")
    if seen.refused > seen.requests * MOST_REFUSED:
        raise ServerFailed(f"{seen.refused} of {seen.requests} responses were errors.")
    return {
        "requests_per_second": seen.per_second,
        "p50_ms": seen.p50_ms,
        "p99_ms": seen.p99_ms,
        "cpu_us": (after.cpu_seconds - before.cpu_seconds) / seen.requests * 1e6,
        "rss_mib": after.rss_mib,
        "refused": seen.refused,
        "broken": seen.broken,
    }
