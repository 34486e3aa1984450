"""The promises about Carboy, as ratios within one run, and whether they are kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bench.under_load import Figures

Results = dict[str, dict[str, Figures]]
"""Figures by work and server, without servers that are missing or failed."""


@dataclass(frozen=True)
class Promise:
    """A ratio that is at least `bound`, or at most `bound` if `at_most` is set."""

    work: str
    text: str
    ratio: Callable[[Results], float]
    bound: float
    at_most: bool = False
    unit: str = "×"


@dataclass(frozen=True)
class Verdict:
    """A promise with the value of a run; None if a figure is missing."""

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

    unit = "messages" if work.startswith(("echo", "broadcast")) else "requests"
    return Promise(work, f"{unit} per second, {text}", ratio, bound)


def _compiled(work: str, than: str, bound: float, text: str, ours: str = "carboy") -> Promise:
    return _faster(work, than, bound, f"compiled, {text}", f"{ours}-compiled")


def _fraction(work: str, figure: str, of: str, bound: float, text: str) -> Promise:
    def ratio(results: Results) -> float:
        return results[work]["carboy"][figure] / results[work][of][figure]

    return Promise(work, text, ratio, bound, at_most=True)


def _memory(work: str, ours: str, bound: float, text: str) -> Promise:
    def kib(results: Results) -> float:
        return results[work][ours]["connection_kib"]

    return Promise(work, text, kib, bound, at_most=True, unit=" KiB")


PROMISES = (
    _faster("a", "granian", 1.1, "compared with granian", "carboy-wsgi"),
    _faster("a", "bjoern", 0.75, "compared with bjoern", "carboy-wsgi"),
    _compiled("a", "bjoern", 1.0, "compared with bjoern", "carboy-wsgi"),
    _compiled("a", "freastal-wsgi", 0.9, "compared with freastal", "carboy-wsgi"),
    _faster("p", "bjoern", 0.45, "compared with bjoern", "carboy-wsgi"),
    _compiled("p", "bjoern", 1.0, "compared with bjoern", "carboy-wsgi"),
    _faster("tls", "carboy-wsgi", 0.75, "compared with HTTP", "carboy-tls"),
    _compiled("tls", "granian-tls", 1.0, "compared with granian, HTTPS", "carboy-tls"),
    _faster("tls", "gunicorn-tls", 3.0, "compared with gunicorn, HTTPS", "carboy-tls"),
    _faster("http2", "hypercorn-tls", 5.0, "compared with hypercorn", "carboy-tls"),
    _faster("http2", "granian-tls", 0.5, "compared with granian", "carboy-tls"),
    _faster("static-100KiB", "nginx", 0.6, "compared with nginx", "carboy-static"),
    _faster("static-tls-100KiB", "nginx-tls", 0.6, "compared with nginx", "carboy-static-tls"),
    _compiled("b", "falcon-bjoern", 1.3, "compared with Falcon on bjoern"),
    _compiled("b", "falcon-freastal", 1.2, "compared with Falcon on freastal"),
    _faster("b", "flask-gunicorn", 20, "compared with Flask on gunicorn, 4 threads"),
    _compiled("c", "falcon-bjoern", 1.6, "compared with Falcon on bjoern"),
    _compiled("o", "falcon-bjoern", 1.3, "compared with Falcon on bjoern"),
    _faster("c", "flask-gunicorn", 15, "compared with Flask on gunicorn, 4 threads"),
    _compiled("d", "falcon-bjoern", 1.3, "compared with Falcon on bjoern"),
    _compiled("e", "falcon-bjoern", 1.3, "compared with Falcon on bjoern"),
    _compiled("s", "falcon-bjoern", 1.3, "compared with Falcon on bjoern"),
    _compiled("f", "falcon-bjoern", 1.1, "compared with Falcon on bjoern"),
    _compiled("g", "falcon-bjoern", 1.0, "compared with Falcon on bjoern"),
    _compiled("g", "flask-granian", 2.0, "compared with Flask on granian"),
    _faster("v", "falcon-bjoern", 1.0, "compared with Falcon on bjoern"),
    _faster("v", "flask-granian", 2.0, "compared with Flask on granian"),
    _compiled("n", "granian", 1.0, "compared with granian, 64 threads"),
    _compiled("q", "carboy-flask", 5.0, "WSGI lane, compared with Flask on Carboy", "carboy-lane"),
    _compiled("r", "flask-page-gunicorn", 3.0, "compared with Flask on gunicorn", "carboy-page"),
    _compiled("r", "flask-page-fastpysgi", 2.2, "compared with Flask on fastpysgi", "carboy-page"),
    Promise(
        "r",
        "compiled: p50, compared with Flask on fastpysgi",
        lambda results: (
            results["r"]["carboy-page-compiled"]["p50_ms"]
            / results["r"]["flask-page-fastpysgi"]["p50_ms"]
        ),
        1.0,
        at_most=True,
    ),
    _compiled("z", "flask-rows-gunicorn", 2.5, "compared with Flask on gunicorn", "carboy-rows"),
    _compiled("z", "flask-rows-fastpysgi", 1.4, "compared with Flask on fastpysgi", "carboy-rows"),
    Promise(
        "t-404",
        "compiled: time of a request, compared with that of (b)",
        lambda results: (
            results["b"]["carboy-compiled"]["requests_per_second"]
            / results["t-404"]["carboy-compiled"]["requests_per_second"]
        ),
        1.5,
        at_most=True,
    ),
    _faster("i", "gunicorn", 1.1, "compared with gunicorn, 64 threads"),
    _faster("j", "granian", 1.0, "compared with granian, 64 threads"),
    Promise(
        "j",
        "p50, compared with that of (b)",
        lambda results: results["j"]["carboy"]["p50_ms"] / results["b"]["carboy"]["p50_ms"],
        1.5,
        at_most=True,
    ),
    _fraction("k", "p99_ms", "gunicorn", 0.5, "p99 of hello, compared with gunicorn gthread"),
    Promise(
        "l",
        "requests per second, compared with no idle connections",
        lambda results: (
            results["l"]["carboy"]["requests_per_second"]
            / results["l"]["carboy"]["alone_per_second"]
        ),
        0.9,
    ),
    _memory("l", "carboy", 8, "memory of an idle connection"),
    _fraction("m", "import_ms", "flask-run", 0.5, "import time, compared with Flask"),
    _fraction(
        "m", "rss_mib", "flask-run", 0.7, "memory of a hello application, compared with Flask"
    ),
    _compiled("asgi", "uvicorn", 1.5, "compared with uvicorn", "carboy-asgi"),
    _compiled("asgi", "granian-asgi", 1.0, "compared with granian", "carboy-asgi"),
    _faster("fastapi", "fastapi-uvicorn", 1.1, "compared with uvicorn", "carboy-fastapi"),
    _faster("echo-64-64B", "uvicorn-websockets", 1.2, "compared with uvicorn", "carboy-asgi"),
    _faster(
        "broadcast",
        "starlette-uvicorn-websockets",
        3.0,
        "compared with Starlette on uvicorn",
        "carboy-realtime",
    ),
    _memory("sockets", "carboy-asgi", 6, "memory of an idle WebSocket"),
    _memory("held", "carboy-realtime", 6, "memory of a held stream"),
    Promise(
        "held",
        "p99, compared with no held streams",
        lambda results: (
            results["held"]["carboy-realtime"]["p99_ms"]
            / results["held"]["carboy-realtime"]["alone_p99_ms"]
        ),
        1.3,
        at_most=True,
    ),
)


def judge(results: Results) -> list[Verdict]:
    """All promises, compared with `results`."""
    verdicts = []
    for promise in PROMISES:
        try:
            value = promise.ratio(results)
        except (KeyError, ZeroDivisionError):
            value = None
        verdicts.append(Verdict(promise, value))
    return verdicts
