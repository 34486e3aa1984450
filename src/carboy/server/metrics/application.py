"""The sums of the metrics that the application has made with prometheus_client.

counters, histograms, summaries   the sum over all workers, with those that have ended
gauges                            by their multiprocess_mode: one for each worker, with the
                                  label pid, or the sum, the least, the largest or the newest
                                  of the workers that exist
info                              once for each set of labels
any other                         one for each worker, with the label pid
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from carboy.server.metrics.samples import Family, Kind, Labels

MOST_SERIES = 50_000  # of all workers; further ones are left out
PID = "pid"
KINDS = {each.value: each for each in Kind}
CUMULATIVE = (Kind.COUNTER, Kind.HISTOGRAM, Kind.SUMMARY)
ENDS = {
    Kind.COUNTER: ("_total",),
    Kind.HISTOGRAM: ("_bucket", "_count", "_sum"),
    Kind.SUMMARY: ("_count", "_sum"),
}

Series = tuple[str, Labels]  # suffix, labels
Reading = tuple[float, float]  # value, seconds since the epoch of its last change


class OneFamily:
    """One metric of the application."""

    def __init__(self, name: str, kind: Kind, help: str, unit: str, mode: str) -> None:
        self.name = name
        self.kind = kind
        self.help = help
        self.unit = unit
        self.mode = mode
        self.sums: dict[Series, float] = {}
        self.now: dict[int, dict[Series, Reading]] = {}  # by worker


class ApplicationTotals:
    """The reports of all workers about the application."""

    def __init__(self) -> None:
        self._families: dict[str, OneFamily] = {}
        self._series = 0

    def add(self, worker: int, family: list[Any], whole: bool) -> None:
        """Add one family of a report; `whole`: it has all gauges of the worker."""
        name, kind_name, text, unit, mode, lines = family
        kind = KINDS.get(kind_name, Kind.UNKNOWN)
        found = self._families.get(name)
        if found is None:
            found = self._families[name] = OneFamily(name, kind, text, unit, mode)
        if found.kind is not kind:  # new code has made another metric of this name
            return
        summed = ENDS.get(kind, ())
        before = found.now.get(worker, {})
        current: dict[Series, Reading] = {} if whole else before
        for suffix, labels, value, *changed in lines:
            series = suffix, tuple((key, text) for key, text in labels)
            if suffix in summed:
                if series in found.sums or self._room():
                    found.sums[series] = found.sums.get(series, 0.0) + value
            elif series in before or self._room():
                current[series] = value, changed[0] if changed else 0.0
        if current or before:
            self._series -= len(before.keys() - current.keys())
            found.now[worker] = current

    def _room(self) -> bool:
        if self._series >= MOST_SERIES:
            return False
        self._series += 1
        return True

    def ended(self, worker: int) -> None:
        """Forget the gauges of a worker."""
        for family in self._families.values():
            self._series -= len(family.now.pop(worker, ()))

    def families(self) -> Iterator[Family]:
        """The families that have samples."""
        for one in self._families.values():
            family = Family(one.name, one.kind, one.help, _usable_unit(one))
            for (suffix, labels), value in one.sums.items():
                family.add(value, labels, suffix)
            for suffix, labels, value in _of_workers(one):
                family.add(value, labels, suffix)
            if family.samples:
                yield family


def _usable_unit(one: OneFamily) -> str:
    """The unit, if the name ends with it, as OpenMetrics demands."""
    return one.unit if one.unit and one.name.endswith(f"_{one.unit}") else ""


def _of_workers(one: OneFamily) -> Iterator[tuple[str, Labels, float]]:
    if one.kind is Kind.INFO:
        seen = {series: value for each in one.now.values() for series, (value, _) in each.items()}
        for (suffix, labels), value in seen.items():
            yield suffix, labels, value
    elif one.kind is Kind.GAUGE and one.mode in JOINED:
        together: dict[Series, list[Reading]] = {}
        for each in one.now.values():
            for series, reading in each.items():
                together.setdefault(series, []).append(reading)
        for (suffix, labels), readings in together.items():
            yield suffix, labels, JOINED[one.mode](readings)
    else:
        for worker, each in sorted(one.now.items()):
            for (suffix, labels), (value, _) in each.items():
                yield suffix, _with_pid(labels, worker), value


def _with_pid(labels: Labels, worker: int) -> Labels:
    name = PID if all(key != PID for key, _ in labels) else "worker_pid"
    return (*labels, (name, str(worker)))


JOINED: dict[str, Any] = {
    "sum": lambda readings: sum(value for value, _ in readings),
    "min": lambda readings: min(value for value, _ in readings),
    "max": lambda readings: max(value for value, _ in readings),
    "mostrecent": lambda readings: max(readings, key=lambda reading: reading[1])[0],
}
