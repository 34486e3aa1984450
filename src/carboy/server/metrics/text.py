"""The two text formats of Prometheus: version 0.0.4, and OpenMetrics 1.0.

https://prometheus.io/docs/instrumenting/exposition_formats/
https://github.com/prometheus/OpenMetrics/blob/v1.0.0/specification/OpenMetrics.md
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from carboy.server.metrics.samples import Exemplar, Family, Kind, Labels, Sample, number

PLAIN = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
# Types that 0.0.4 does not have.
OLDER = {
    Kind.INFO: "gauge",
    Kind.STATESET: "gauge",
    Kind.GAUGEHISTOGRAM: "histogram",
    Kind.UNKNOWN: "untyped",
}
# Suffixes that are a part of the family's name in 0.0.4.
NAMED = {Kind.COUNTER: "_total", Kind.INFO: "_info"}
LONGEST_EXEMPLAR = 128  # characters of its labels (OpenMetrics, Exemplars)
_in_label = str.maketrans({"\\": "\\\\", "\n": "\\n", '"': '\\"'})
_in_help = str.maketrans({"\\": "\\\\", "\n": "\\n"})


def wants_openmetrics(accept: str) -> bool:
    """Whether a field Accept prefers OpenMetrics; a client without the field does not."""
    best = {"application/openmetrics-text": 0.0, "text/plain": 0.0}
    for part in accept.split(","):
        kind, *parameters = (each.strip().lower() for each in part.split(";"))
        given = dict(each.partition("=")[::2] for each in parameters)
        if kind == "application/openmetrics-text" and given.get("version", "1.0.0") not in (
            "1.0.0",
            "0.0.1",
        ):
            continue
        if kind in ("*/*", "text/*"):
            kind = "text/plain"
        if kind in best:
            best[kind] = max(best[kind], _weight(given.get("q", "1")))
    wanted = best["application/openmetrics-text"]
    return wanted > 0.0 and wanted >= best["text/plain"]


def _weight(text: str) -> float:
    try:
        return min(1.0, max(0.0, float(text)))
    except ValueError:
        return 0.0


def content(families: Iterable[Family], openmetrics: bool) -> bytes:
    """The families in one of the formats."""
    lines = _openmetrics(families) if openmetrics else _plain(families)
    return "".join(lines).encode("utf-8", "backslashreplace")


def _plain(families: Iterable[Family]) -> Iterator[str]:
    for family in families:
        name = family.name + NAMED.get(family.kind, "")
        kind = OLDER.get(family.kind, family.kind.value)
        yield f"# HELP {name} {family.help.translate(_in_help)}\n"
        yield f"# TYPE {name} {kind}\n"
        for sample in family.samples:
            yield f"{_series(family, sample)} {number(sample.value)}\n"


def _openmetrics(families: Iterable[Family]) -> Iterator[str]:
    for family in families:
        name = family.name
        yield f"# TYPE {name} {family.kind.value}\n"
        if family.unit:
            yield f"# UNIT {name} {family.unit}\n"
        yield f"# HELP {name} {family.help.translate(_in_label)}\n"
        for sample in family.samples:
            example = _exemplar(sample.exemplar)
            yield f"{_series(family, sample)} {number(sample.value)}{example}\n"
    yield "# EOF\n"


def _series(family: Family, sample: Sample) -> str:
    return f"{family.name}{sample.suffix}{_braces(sample.labels)}"


def _braces(labels: Labels) -> str:
    if not labels:
        return ""
    inner = ",".join(f'{name}="{value.translate(_in_label)}"' for name, value in labels)
    return f"{{{inner}}}"


def _exemplar(exemplar: Exemplar | None) -> str:
    if exemplar is None or sum(len(n) + len(v) for n, v in exemplar.labels) > LONGEST_EXEMPLAR:
        return ""
    braces = _braces(exemplar.labels) or "{}"
    return f" # {braces} {number(exemplar.value)} {exemplar.time:.3f}"
