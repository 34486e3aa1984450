"""The sums over all workers, with those that have ended.

Reports are differences, so a sum never goes down: not when a worker ends, and not when all are
replaced. Nothing is kept in files. Each method holds a lock, because several threads call them in a
process without a supervisor.

The numbers of routes and of series of the application are bounded here as well, because workers
that were replaced may have had others.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import field
from itertools import pairwise
from threading import Lock
from typing import Any

from carboy.server.dataclass import dataclass
from carboy.server.metrics.application import ApplicationTotals
from carboy.server.metrics.families import METRICS
from carboy.server.metrics.requests import FIRST, NO_RULE, OTHER_ROUTE, RECEIVED, SECONDS, SENT
from carboy.server.metrics.samples import Exemplar, Family, Labels, Sample, histogram_samples

SWITCHED = 101  # the status of a WebSocket, whose duration is that of its connection
ERROR = 500  # statuses from here on are errors of the server
Message = dict[str, Any]


@dataclass(slots=True)
class RouteTotals:
    """The counts of one route and method since the server was started.

    `buckets` are the numbers of requests by duration: one for each bound, and one for longer
    requests. WebSockets are in `requests`, not in `seconds` and `buckets`.
    """

    route: str
    method: str
    requests: int = 0
    errors: int = 0  # statuses from 500 on
    seconds: float = 0.0
    buckets: list[int] = field(default_factory=list)


class Totals:
    """The reports of all workers, added up. Any thread may call `add`, `ended` and `families`."""

    def __init__(self, most_routes: int = 500) -> None:
        self._lock = Lock()
        self.statsd_host = ""  # the address that a worker has found for the name in --statsd
        self._most_routes = most_routes
        self._bounds: tuple[float, ...] = ()
        self._routes: set[str] = set()
        self._requests: dict[tuple[str, str, int], list[float]] = {}
        self._queue: list[float] = []
        self._refused: dict[str, int] = {}
        self._examples: dict[tuple[str, str], dict[int, Exemplar]] = {}
        self._counters: dict[str, dict[Labels, float]] = {}
        self.application = ApplicationTotals()

    # --- in

    def add(self, worker: int, report: Message) -> None:
        """Add the report of a worker."""
        with self._lock:
            self._take(worker, report)

    def _take(self, worker: int, report: Message) -> None:
        # All workers have the bounds of the server's settings.
        self._bounds = tuple(report.get("buckets", self._bounds))
        self.statsd_host = report.get("statsd", self.statsd_host)
        for route, method, status, change in report.get("requests", ()):
            self._add(self._requests, (self._known(route), method, status), change)
        if change := report.get("queue"):
            self._queue = _sum(self._queue, change)
        for reason, count in report.get("refused", {}).items():
            self._refused[reason] = self._refused.get(reason, 0) + count
        for name, labels, change in report.get("counters", ()):
            self._count(name, change, labels)
        for route, method, bucket, trace, seconds, when in report.get("examples", ()):
            key = self._known(route), method
            example = Exemplar((("trace_id", trace),), seconds, when)
            self._examples.setdefault(key, {})[bucket] = example
        for family in report.get("application", ()):
            self.application.add(worker, family, report["whole"])

    def _count(self, name: str, change: float, labels: Iterable[Iterable[str]]) -> None:
        of_name = self._counters.setdefault(name, {})
        key = tuple((name, value) for name, value in labels)
        of_name[key] = of_name.get(key, 0) + change

    def ended(self, worker: int) -> None:
        """A worker has ended, so its gauges are no longer true."""
        with self._lock:
            self.application.ended(worker)

    def _known(self, route: str) -> str:
        if route not in self._routes:
            if len(self._routes) > self._most_routes:
                return OTHER_ROUTE
            self._routes.add(route)
        return route or NO_RULE

    @staticmethod
    def _add(totals: dict[Any, list[float]], key: Any, change: list[float]) -> None:
        totals[key] = _sum(totals.get(key, []), change)

    # --- out

    def routes(self) -> tuple[tuple[float, ...], list[RouteTotals]]:
        """The bounds of the histograms in seconds, and the counts of each route and method."""
        found: dict[tuple[str, str], RouteTotals] = {}
        with self._lock:
            for (route, method, status), cell in self._requests.items():
                each = found.get((route, method))
                if each is None:
                    each = found[route, method] = RouteTotals(route, method)
                    each.buckets = [0] * (len(self._bounds) + 1)
                counts = [int(number) for number in cell[FIRST:]]
                each.requests += sum(counts)
                each.errors += sum(counts) if status >= ERROR else 0
                if status != SWITCHED:
                    each.seconds += cell[SECONDS]
                    each.buckets = [a + b for a, b in zip(each.buckets, counts, strict=True)]
            return self._bounds, list(found.values())

    def families(self, gauges: dict[int, list[Any]], own: Iterable[Any] = ()) -> list[Family]:
        """All families that have samples, in the order of the table, then the application's.

        `gauges`: those of the workers that have answered; `own`: name, labels and value of figures
        of the supervisor.
        """
        with self._lock:
            return list(self._families(gauges, own))

    def _families(self, gauges: dict[int, list[Any]], own: Iterable[Any]) -> Iterator[Family]:
        found = {name: metric.family() for name, metric in METRICS.items()}
        self._request_samples(found)
        for name, of_name in self._counters.items():
            for labels, value in sorted(of_name.items()):
                found[name].add(value, labels, "_total")
        for worker, of_worker in gauges.items():
            for name, labels, value in of_worker:
                pairs = tuple((key, text) for key, text in labels)
                found[name].add(value, (*pairs, ("pid", str(worker))))
        for name, labels, value in own:
            suffix = {"counter": "_total", "info": "_info"}.get(METRICS[name].kind.value, "")
            found[name].add(value, tuple(labels), suffix)
        for family in found.values():
            if family.samples:
                yield family
        yield from self.application.families()

    def for_statsd(self) -> list[tuple[str, Labels, float]]:
        """Name, labels and sum of all counters, and of each bucket of the durations.

        The last label of a bucket is its middle in seconds.
        """
        with self._lock:
            return list(self._for_statsd())

    def _for_statsd(self) -> Iterator[tuple[str, Labels, float]]:
        bounds = (0.0, *self._bounds)
        middles = [(a + b) / 2 for a, b in pairwise(bounds)] + [bounds[-1]]
        durations: dict[tuple[str, str], list[float]] = {}
        for (route, method, status), cell in self._requests.items():
            labels = (("route", route), ("method", method))
            yield "carboy_requests", (*labels, ("status", str(status))), sum(cell[FIRST:])
            if status != SWITCHED:
                self._add(durations, (route, method), cell[FIRST:])
        for (route, method), counts in durations.items():
            for middle, count in zip(middles, counts, strict=True):
                labels = (("route", route), ("method", method))
                yield "carboy_request_duration", (*labels, ("middle", repr(middle))), count
        for reason, count in self._refused.items():
            yield "carboy_requests_refused", (("reason", reason),), count
        for name, of_name in self._counters.items():
            for pairs, value in of_name.items():
                yield name, pairs, value

    def _request_samples(self, found: dict[str, Family]) -> None:
        by_route: dict[tuple[str, str], list[float]] = {}
        durations: dict[tuple[str, str], list[float]] = {}
        for (route, method, status), cell in sorted(self._requests.items()):
            labels = (("route", route), ("method", method), ("status", str(status)))
            count = int(sum(cell[FIRST:]))
            found["carboy_requests"].add(count, labels, "_total")
            self._add(by_route, (route, method), cell[:FIRST])
            if status != SWITCHED:
                self._add(durations, (route, method), [cell[SECONDS], *cell[FIRST:]])
        for (route, method), sums in by_route.items():
            pair = (("route", route), ("method", method))
            found["carboy_request_content_bytes"].add(int(sums[RECEIVED]), pair, "_total")
            found["carboy_response_content_bytes"].add(int(sums[SENT]), pair, "_total")
        for (route, method), sums in durations.items():
            pair = (("route", route), ("method", method))
            found["carboy_request_duration_seconds"].samples += self._histogram(
                pair, sums, self._examples.get((route, method))
            )
        if self._queue:
            found["carboy_request_queue_seconds"].samples += self._histogram((), self._queue)
        for reason, count in sorted(self._refused.items()):
            found["carboy_requests_refused"].add(count, (("reason", reason),), "_total")

    def _histogram(
        self, labels: Labels, sums: list[float], examples: dict[int, Exemplar] | None = None
    ) -> list[Sample]:
        counts = [int(each) for each in sums[1:]]
        return histogram_samples(labels, self._bounds, counts, float(sums[0]), examples)


def _sum(total: list[float], change: list[float]) -> list[float]:
    if len(total) != len(change):
        return list(change)
    return [old + new for old, new in zip(total, change, strict=True)]
