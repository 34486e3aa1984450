"""Metric families as values: what is added up, and what the formats write.

A family has a name without the suffix of its samples, as in OpenMetrics: the family of
`carboy_requests_total` is `carboy_requests`.
"""

from __future__ import annotations

from dataclasses import field
from enum import Enum

from carboy.server.dataclass import dataclass

Labels = tuple[tuple[str, str], ...]


class Kind(Enum):
    """The types of OpenMetrics 1.0; the value is the name there."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"
    SUMMARY = "summary"
    INFO = "info"
    STATESET = "stateset"
    GAUGEHISTOGRAM = "gaugehistogram"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Exemplar:
    """An example of what was counted, with its time in seconds since the epoch."""

    labels: Labels
    value: float
    time: float


@dataclass(frozen=True, slots=True)
class Sample:
    """One line: the suffix after the name of the family, such as `_total`, labels and value."""

    suffix: str
    labels: Labels
    value: float
    exemplar: Exemplar | None = None


@dataclass(slots=True)
class Family:
    """A metric with its samples. `unit` is the end of the name, or "" without one."""

    name: str
    kind: Kind
    help: str
    unit: str = ""
    samples: list[Sample] = field(default_factory=list)

    def add(
        self, value: float, labels: Labels = (), suffix: str = "", exemplar: Exemplar | None = None
    ) -> None:
        """Add a sample."""
        self.samples.append(Sample(suffix, labels, value, exemplar))


def histogram_samples(
    labels: Labels,
    bounds: tuple[float, ...],
    counts: list[int] | tuple[int, ...],
    total: float,
    exemplars: dict[int, Exemplar] | None = None,
) -> list[Sample]:
    """The samples of a histogram.

    `counts` has the number of each bucket alone, and at its end that of larger values. The bucket
    of a format has all values up to its bound. The count is the sum of the same numbers, so it
    always agrees with the last bucket.
    """
    found = exemplars or {}
    samples = []
    so_far = 0
    for place, bound in enumerate((*bounds, float("inf"))):
        so_far += counts[place]
        with_bound = (*labels, ("le", number(bound)))
        samples.append(Sample("_bucket", with_bound, so_far, found.get(place)))
    samples.append(Sample("_count", labels, so_far))
    samples.append(Sample("_sum", labels, total))
    return samples


def number(value: float) -> str:
    """A number in both formats: `1.0`, `+Inf`, `NaN`."""
    if isinstance(value, int):
        return str(value)
    if value != value:  # noqa: PLR0124  # only NaN is different from itself
        return "NaN"
    if value in (float("inf"), float("-inf")):
        return "+Inf" if value > 0 else "-Inf"
    return repr(float(value))
