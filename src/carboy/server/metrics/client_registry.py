"""The metrics that the application has made with prometheus_client, in one worker.

Only a module that the application has loaded is used: this file does not import it. What the
registry has is sent to where all workers are added up (totals.py), as differences: so counters of
workers that have ended are kept, without PROMETHEUS_MULTIPROC_DIR and its files.

Names that begin with `carboy_` are left out, because they could be those of the server.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Iterator
from typing import Any

log = logging.getLogger("carboy.error")

OWN = "carboy_"
MOST_SAMPLES = 10_000  # of one worker; further ones are left out
# Kinds whose samples are added up over all workers, by the ends of their names.
ADDED = {
    "counter": ("_total",),
    "histogram": ("_bucket", "_count", "_sum"),
    "summary": ("_count", "_sum"),
}
CREATED = "_created"  # times, which cannot be added up
ALL = "all"  # the mode of a gauge that is shown for each worker

# Suffix, labels, value.
Line = tuple[str, tuple[tuple[str, str], ...], float]


class ClientRegistry:
    """The default registry of prometheus_client, as far as it has changed since the last call."""

    def __init__(self) -> None:
        self._sent: dict[tuple[Any, ...], float] = {}
        self._changed: dict[tuple[Any, ...], float] = {}  # seconds since the epoch, of gauges
        self._failed = False
        self._due = 0.0

    def take(self, asked: bool) -> list[list[Any]]:
        """One list for each family: name, kind, help, unit, mode, lines.

        The values of counters are differences. Gauges are as they are: all of them if `asked`,
        otherwise those that have changed. Calls code of the
        application, so without `asked` only if that is not too often for the time it takes.
        """
        module = sys.modules.get("prometheus_client")
        registry = getattr(module, "REGISTRY", None)
        now = time.monotonic()
        if registry is None or (not asked and now < self._due):
            return []
        try:
            found = [family for family in self._families(registry, asked) if asked or family[-1]]
            self._failed = False
        except Exception:
            if not self._failed:
                log.exception("The metrics of prometheus_client could not be collected.")
            self._failed, found = True, []
        self._due = time.monotonic() + max(0.5, 100 * (time.monotonic() - now))
        return found

    def _families(self, registry: Any, whole: bool) -> Iterator[list[Any]]:
        modes = _modes(registry)
        left = MOST_SAMPLES
        for metric in registry.collect():
            if metric.name.startswith(OWN):
                continue
            lines = []
            for sample in metric.samples:
                left -= 1
                if left < 0:
                    return
                line = self._line(metric, sample, whole)
                if line is not None:
                    lines.append(line)
            mode = modes.get(metric.name, ALL)
            yield [metric.name, metric.type, metric.documentation, metric.unit, mode, lines]

    def _line(self, metric: Any, sample: Any, whole: bool) -> list[Any] | None:
        suffix = sample.name.removeprefix(metric.name)
        if suffix == CREATED:
            return None
        labels = sorted(sample.labels.items(), key=lambda pair: pair[0] == "le")
        value = float(sample.value)
        key = (sample.name, *labels)
        before = self._sent.get(key)
        self._sent[key] = value
        if suffix in ADDED.get(metric.type, ()):
            if before is None:
                return [suffix, labels, value]  # also 0: the series exists
            change = value - before
            if change < 0:  # the application has begun it again
                change = value
            return [suffix, labels, change] if change else None
        if value == before and not whole:
            return None
        if value != before:
            self._changed[key] = time.time()
        return [suffix, labels, value, self._changed.get(key, 0.0)]


def _modes(registry: Any) -> dict[str, str]:
    """How the application wants gauges of several processes to be shown, by their names.

    prometheus_client keeps `multiprocess_mode` with the metric, and uses it only with files.
    """
    collectors = getattr(registry, "_collector_to_names", {})
    modes = {}
    for collector in list(collectors):
        mode = getattr(collector, "_multiprocess_mode", None)
        name = getattr(collector, "_name", None)
        if isinstance(mode, str) and isinstance(name, str):
            modes[name] = mode.removeprefix("live")
    return modes
