"""What Carboy promises, as ratios within one run, and whether it is kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bench.measure import Figures

Results = dict[str, dict[str, Figures]]
"""Figures by work and server; a server that was missing or failed is not in it."""


@dataclass(frozen=True)
class Promise:
    """One ratio and its bound: at least `bound`, or at most where `at_most` is set."""

    work: str
    text: str
    ratio: Callable[[Results], float]
    bound: float
    at_most: bool = False
    unit: str = "×"


@dataclass(frozen=True)
class Verdict:
    """A promise held against one run; `value` is None where a figure is missing."""

    promise: Promise
    value: float | None

    @property
    def met(self) -> bool | None:
        if self.value is None:
            return None
        if self.promise.at_most:
            return self.value <= self.promise.bound
        return self.value >= self.promise.bound

    @property
    def word(self) -> str:
        return {None: "not measured", True: "met", False: "not met"}[self.met]


def _faster(work: str, than: str, bound: float, text: str, ours: str = "carboy") -> Promise:
    def ratio(results: Results) -> float:
        figures = results[work]
        return figures[ours]["requests_per_second"] / figures[than]["requests_per_second"]

    return Promise(work, f"requests per second, {text}", ratio, bound)


def _fraction(work: str, figure: str, of: str, bound: float, text: str) -> Promise:
    def ratio(results: Results) -> float:
        return results[work]["carboy"][figure] / results[work][of][figure]

    return Promise(work, text, ratio, bound, at_most=True)


PROMISES = (
    _faster("a", "granian", 1.1, "to granian", "carboy-wsgi"),
    _faster("a", "bjoern", 0.65, "to bjoern", "carboy-wsgi"),
    _faster("b", "falcon-bjoern", 1.1, "to Falcon on bjoern"),
    _faster("b", "flask-gunicorn", 20, "to Flask on gunicorn, 4 threads"),
    _faster("c", "falcon-bjoern", 1.0, "to Falcon on bjoern"),
    _faster("c", "flask-gunicorn", 15, "to Flask on gunicorn, 4 threads"),
    _faster("d", "falcon-bjoern", 1.0, "to Falcon on bjoern"),
    _faster("e", "falcon-bjoern", 1.0, "to Falcon on bjoern"),
    _faster("f", "falcon-bjoern", 1.0, "to Falcon on bjoern"),
    _faster("i", "gunicorn", 1.1, "to gunicorn, 64 threads"),
    _faster("j", "granian", 1.0, "to granian, 64 threads"),
    Promise(
        "j",
        "p50 to that of (b)",
        lambda results: results["j"]["carboy"]["p50_ms"] / results["b"]["carboy"]["p50_ms"],
        1.5,
        at_most=True,
    ),
    _fraction("k", "p99_ms", "gunicorn", 0.5, "p99 of hello to gunicorn gthread's"),
    Promise(
        "l",
        "throughput to that without idle connections",
        lambda results: (
            results["l"]["carboy"]["requests_per_second"]
            / results["l"]["carboy"]["alone_per_second"]
        ),
        0.9,
    ),
    Promise(
        "l",
        "resident memory of an idle connection",
        lambda results: results["l"]["carboy"]["connection_kib"],
        8,
        at_most=True,
        unit=" KiB",
    ),
    _fraction("m", "import_ms", "flask-run", 0.5, "import time to Flask's"),
    _fraction("m", "rss_mib", "flask-run", 0.7, "memory of a hello application to Flask's"),
    _faster("q", "carboy-flask", 3.0, "WSGI lane, to Flask on Carboy", "carboy-lane"),
)


def judge(results: Results) -> list[Verdict]:
    """Every promise, held against `results`."""
    verdicts = []
    for promise in PROMISES:
        try:
            value = promise.ratio(results)
        except (KeyError, ZeroDivisionError):
            value = None
        verdicts.append(Verdict(promise, value))
    return verdicts
