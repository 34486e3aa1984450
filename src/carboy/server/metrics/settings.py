"""The settings of metrics."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from itertools import pairwise

from carboy.server.dataclass import dataclass
from carboy.server.setting import METRICS, check_values, setting

# Seconds. The first ones are for handlers that only compute, the last one is that of the queue
# timeout.
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
MOST_BUCKETS = 64  # each is a series for each route and method
_prefix = re.compile(r"[A-Za-z0-9_.-]*").fullmatch


@dataclass(frozen=True, slots=True)
class MetricsSettings:
    """How requests are counted."""

    metrics: bool = setting(
        True, "yes or no", "Counts of requests by route, for /metrics of the admin server.", METRICS
    )
    metrics_routes: int = setting(
        500,
        "routes",
        "Maximum number of routes that are counted apart; requests of further routes are counted"
        " together as (other).",
        METRICS,
        least=1,
    )
    metrics_buckets: str = setting(
        "",
        "seconds",
        "Bounds of the histograms of durations, in increasing order, separated by commas.",
        METRICS,
        shown="14 from 0.001 to 30",
    )

    statsd: str = setting(
        "", "HOST:PORT", "Server to which counts and durations are sent in the format of statsd, by"
        " UDP.", METRICS, shown="none",
    )  # fmt: skip
    statsd_prefix: str = setting(
        "carboy.", "text", "Beginning of the names that are sent to --statsd.", METRICS
    )
    statsd_tags: bool = setting(
        False, "yes or no", "Labels sent as tags of DogStatsD; otherwise they are in the names.",
        METRICS,
    )  # fmt: skip

    def __post_init__(self) -> None:
        check_values(self)
        read_buckets(self.metrics_buckets)
        read_statsd(self.statsd)
        if not _prefix(self.statsd_prefix):
            raise ValueError(
                f"--statsd-prefix {self.statsd_prefix!r} has characters that names cannot have."
                " Use letters, digits, dots, underscores and hyphens."
            )

    @property
    def statsd_place(self) -> tuple[str, int] | None:
        """Host and port of `statsd`; None if nothing is sent."""
        return read_statsd(self.statsd)

    @property
    def buckets(self) -> tuple[float, ...]:
        """The bounds of the buckets."""
        return read_buckets(self.metrics_buckets)


def read_buckets(text: str) -> tuple[float, ...]:
    """The bounds in a value of `--metrics-buckets`; raises ValueError if it has no such bounds."""
    if not text.strip():
        return BUCKETS
    try:
        bounds = tuple(float(each) for each in text.split(","))
    except ValueError:
        bounds = ()
    usable = all(math.isfinite(each) and each > 0.0 for each in bounds)
    if not (bounds and usable and increases(bounds)):
        raise ValueError(
            f"--metrics-buckets {text!r} is not a list of increasing numbers of seconds. Write it"
            " like 0.01,0.1,1."
        )
    if len(bounds) > MOST_BUCKETS:
        raise ValueError(f"--metrics-buckets has {len(bounds)} bounds. Use at most {MOST_BUCKETS}.")
    return bounds


def read_statsd(text: str) -> tuple[str, int] | None:
    """Host and port; None for "". Raises ValueError if the text is not HOST:PORT."""
    if not text:
        return None
    host, _, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise ValueError(f"--statsd {text!r} is not HOST:PORT. Write it like 127.0.0.1:8125.")
    return host, int(port)


def increases(numbers: Iterable[float]) -> bool:
    """Whether each number is larger than the one before."""
    return all(before < after for before, after in pairwise(numbers))
