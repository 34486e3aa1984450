"""The figures of `carboy top`: what happened between two responses of GET /top.

A percentile comes from the buckets of a histogram. Its place in a bucket is estimated as if the
durations in the bucket were spread evenly, as histogram_quantile of Prometheus does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

Sample = dict[str, Any]  # a response of GET /top


@dataclass(frozen=True, slots=True)
class RouteFigures:
    """One route and method within an interval. Percentiles are in seconds, None without requests.

    `total` is the number of requests since the start of the server.
    """

    route: str
    method: str
    requests: int
    rate: float  # requests a second
    errors: int  # responses with a status from 500 on
    error_rate: float  # of these, a second
    p50: float | None
    p99: float | None
    total: int


@dataclass(frozen=True, slots=True)
class Figures:
    """An interval of `seconds`, or the time since the start of the server (`since_start`)."""

    seconds: float
    since_start: bool
    routes: list[RouteFigures]
    sample: Sample

    def document(self) -> dict[str, Any]:
        """The interval, for --json."""
        sample = self.sample
        return {
            "time": sample["time"],
            "seconds": round(self.seconds, 3),
            "server": sample["server"],
            "counted": sample["counted"],
            "routes": [asdict(each) for each in self.routes],
            "workers": sample["workers"],
        }


ORDERS: dict[str, Callable[[RouteFigures], Any]] = {
    "rate": lambda each: (-each.rate, each.route, each.method),
    "latency": lambda each: (-(each.p99 or 0.0), -(each.p50 or 0.0), each.route, each.method),
    "errors": lambda each: (-each.error_rate, -each.rate, each.route, each.method),
}


def figures(before: Sample | None, now: Sample, order: str = "rate") -> Figures:
    """The figures between two samples; since the start of the server without a first one.

    A first sample of another server, such as one that was started again, does not count.
    """
    started = now["server"]["started"]
    if before is not None and before["server"]["started"] != started:
        before = None
    seconds = now["time"] - started if before is None else now["clock"] - before["clock"]
    seconds = max(seconds, 0.001)
    earlier = {} if before is None else {_key(each): each for each in before["routes"]}
    routes = [
        _of_route(earlier.get(_key(each)), each, seconds, now["bounds"]) for each in now["routes"]
    ]
    return Figures(seconds, before is None, sorted(routes, key=ORDERS[order]), now)


def _key(route: dict[str, Any]) -> tuple[str, str]:
    return route["route"], route["method"]


def _of_route(
    before: dict[str, Any] | None, now: dict[str, Any], seconds: float, bounds: Sequence[float]
) -> RouteFigures:
    buckets = now["buckets"]
    requests, errors = now["requests"], now["errors"]
    if before is not None:
        buckets = [new - old for new, old in zip(buckets, before["buckets"], strict=True)]
        requests -= before["requests"]
        errors -= before["errors"]
    return RouteFigures(
        route=now["route"],
        method=now["method"],
        requests=requests,
        rate=round(requests / seconds, 3),
        errors=errors,
        error_rate=round(errors / seconds, 3),
        p50=percentile(0.5, bounds, buckets),
        p99=percentile(0.99, bounds, buckets),
        total=now["requests"],
    )


def percentile(share: float, bounds: Sequence[float], counts: Sequence[int]) -> float | None:
    """The duration that `share` of the requests did not exceed; None without requests.

    For durations above the largest bound, the largest bound.
    """
    rank = share * sum(counts)
    if not rank:
        return None
    below, lower = 0, 0.0
    for bound, count in zip(bounds, counts, strict=False):
        if count and below + count >= rank:
            return lower + (bound - lower) * (rank - below) / count
        below += count
        lower = bound
    return lower
