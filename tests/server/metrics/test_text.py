"""The two text formats, read by the parsers of prometheus_client and by promtool."""

from __future__ import annotations

import math
import shutil
import subprocess
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_open
from prometheus_client.parser import text_string_to_metric_families as read_plain

from carboy.server.metrics import text
from carboy.server.metrics.samples import Exemplar, Family, Kind, histogram_samples, number

TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=20)
VALUES = st.floats(allow_nan=False) | st.integers(-(2**53), 2**53)


def read(families: list[Family], openmetrics: bool) -> list[Any]:
    data = text.content(families, openmetrics).decode()
    return list((read_open if openmetrics else read_plain)(data))


@pytest.mark.parametrize("openmetrics", [False, True])
@given(label=TEXT, help=TEXT, value=VALUES)
def test_labels_help_and_values_are_read_as_they_were(
    openmetrics: bool, label: str, help: str, value: float
) -> None:
    family = Family("a_b", Kind.GAUGE, help)
    family.add(value, (("route", label),))
    (found,) = read([family], openmetrics)
    (sample,) = found.samples
    assert sample.labels == {"route": label}
    assert sample.value == float(value)
    if openmetrics or '"' not in help:
        assert found.documentation.strip() == help.strip()


def test_a_lone_surrogate_does_not_stop_the_page() -> None:
    family = Family("a", Kind.GAUGE, "x")
    family.add(1, (("route", "\udc80"),))
    assert b"udc80" in text.content([family], False)


@pytest.mark.parametrize(
    ("value", "written"),
    [(1, "1"), (1.0, "1.0"), (math.inf, "+Inf"), (-math.inf, "-Inf"), (math.nan, "NaN"),
     (0.0025, "0.0025"), (1e22, "1e+22")],
)  # fmt: skip
def test_numbers_are_written_as_go_reads_them(value: float, written: str) -> None:
    assert number(value) == written


def histogram() -> Family:
    family = Family("a_seconds", Kind.HISTOGRAM, "x", "seconds")
    example = {1: Exemplar((("trace_id", "abc"),), 0.5, 1700000000.25)}
    family.samples += histogram_samples((("r", "x"),), (0.1, 1.0), [2, 3, 4], 9.5, example)
    return family


def test_a_bucket_has_all_values_up_to_its_bound() -> None:
    (found,) = read([histogram()], True)
    buckets = {s.labels["le"]: s.value for s in found.samples if s.name == "a_seconds_bucket"}
    assert buckets == {"0.1": 2, "1.0": 5, "+Inf": 9}
    others = {s.name: s.value for s in found.samples if "le" not in s.labels}
    assert others == {"a_seconds_count": 9, "a_seconds_sum": 9.5}
    assert (found.type, found.unit) == ("histogram", "seconds")


def test_an_exemplar_is_in_openmetrics_only() -> None:
    (found,) = read([histogram()], True)
    (example,) = [s.exemplar for s in found.samples if s.exemplar]
    assert (example.labels, example.value) == ({"trace_id": "abc"}, 0.5)
    assert float(example.timestamp) == pytest.approx(1700000000.25)
    assert b"trace_id" not in text.content([histogram()], False)


def test_an_exemplar_with_long_labels_is_left_out() -> None:
    family = Family("a", Kind.COUNTER, "x")
    family.add(1, (), "_total", Exemplar((("trace_id", "x" * 121),), 1.0, 1.0))
    assert b" # {" not in text.content([family], True)


@pytest.mark.parametrize(
    ("kind", "suffix", "older", "name"),
    [(Kind.COUNTER, "_total", "counter", "a_total"), (Kind.INFO, "_info", "gauge", "a_info"),
     (Kind.GAUGE, "", "gauge", "a"), (Kind.UNKNOWN, "", "untyped", "a")],
)  # fmt: skip
def test_each_type_has_its_name_in_each_format(
    kind: Kind, suffix: str, older: str, name: str
) -> None:
    family = Family("a", kind, "x")
    family.add(1, (), suffix)
    plain = text.content([family], False).decode()
    assert f"# TYPE {name} {older}\n" in plain
    assert f"\n{name} 1\n" in plain
    whole = text.content([family], True).decode()
    assert whole.startswith(f"# TYPE a {kind.value}\n")
    assert whole.endswith("# EOF\n")
    assert read([family], True)[0].type == kind.value


@pytest.mark.skipif(not shutil.which("promtool"), reason="promtool is not installed")
def test_promtool_accepts_the_plain_format() -> None:
    counter = Family("a_bytes", Kind.COUNTER, "Bytes.", "bytes")
    counter.add(3, (("route", '/a"\\\n'),), "_total")
    done = subprocess.run(
        ["promtool", "check", "metrics"],
        input=text.content([counter, histogram()], False),
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")


PROMETHEUS = (
    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
    "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)


@pytest.mark.parametrize(
    ("accept", "openmetrics"),
    [
        ("", False), ("*/*", False), ("text/plain", False), (PROMETHEUS, True),
        ("application/openmetrics-text", True),
        ("Application/OpenMetrics-Text; version=1.0.0", True),
        ("application/openmetrics-text;q=0", False),
        ("application/openmetrics-text;q=0.4,text/plain;q=0.5", False),
        ("application/openmetrics-text;version=2.0.0", False),
        ("application/openmetrics-text;q=many", False),
        (";;,,=", False),
    ],
)  # fmt: skip
def test_the_client_chooses_the_format(accept: str, openmetrics: bool) -> None:
    assert text.wants_openmetrics(accept) is openmetrics
