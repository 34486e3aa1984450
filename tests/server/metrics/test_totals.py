"""The sums of all workers."""

from __future__ import annotations

import json
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Enum, Gauge, Histogram, Info, Summary
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from carboy.server.metrics import text
from carboy.server.metrics.client_registry import ClientRegistry
from carboy.server.metrics.totals import Totals

BOUNDS = [0.1, 1.0]
CELL = [0.5, 20, 3, 1, 2, 0]  # seconds, sent, received, by bucket


def report(**values: Any) -> dict[str, Any]:
    return json.loads(json.dumps({"buckets": BOUNDS, **values}))  # type: ignore[no-any-return]


def read(totals: Totals, **more: Any) -> dict[str, float]:
    """The samples by name and labels, as a scraper sees them."""
    page = text.content(totals.families(more.pop("gauges", {}), **more), True).decode()
    found = {}
    for family in text_string_to_metric_families(page):
        for sample in family.samples:
            labels = ",".join(f"{k}={v}" for k, v in sample.labels.items())
            assert f"{sample.name}{{{labels}}}" not in found
            found[f"{sample.name}{{{labels}}}"] = sample.value
    return found


def test_reports_of_workers_are_added_up() -> None:
    totals = Totals()
    totals.add(1, report(requests=[["/a", "GET", 200, CELL]], refused={"bad_request": 1}))
    totals.add(2, report(requests=[["/a", "GET", 200, CELL], ["/a", "GET", 500, CELL]]))
    totals.ended(1)
    found = read(totals)
    assert found["carboy_requests_total{route=/a,method=GET,status=200}"] == 6
    assert found["carboy_requests_total{route=/a,method=GET,status=500}"] == 3
    assert found["carboy_request_duration_seconds_count{route=/a,method=GET}"] == 9
    assert found["carboy_request_duration_seconds_bucket{route=/a,method=GET,le=0.1}"] == 3
    assert found["carboy_request_duration_seconds_sum{route=/a,method=GET}"] == 1.5
    assert found["carboy_response_content_bytes_total{route=/a,method=GET}"] == 60
    assert found["carboy_request_content_bytes_total{route=/a,method=GET}"] == 9
    assert found["carboy_requests_refused_total{reason=bad_request}"] == 1


def test_a_bucket_has_the_trace_of_a_request_as_its_exemplar() -> None:
    totals = Totals()
    example = ["/a", "GET", 1, "abc", 0.4, 1700000000.0]
    totals.add(1, report(requests=[["/a", "GET", 200, CELL]], examples=[example]))
    page = text.content(totals.families({}), True).decode()
    (line,) = [line for line in page.splitlines() if " # {" in line]
    assert 'le="1.0"' in line
    assert line.endswith(' 3 # {trace_id="abc"} 0.4 1700000000.000')


def test_requests_without_a_rule_have_a_name() -> None:
    totals = Totals()
    totals.add(1, report(requests=[["", "GET", 404, CELL]]))
    assert read(totals)["carboy_requests_total{route=(no rule),method=GET,status=404}"] == 3


def test_a_websocket_is_counted_without_its_duration() -> None:
    totals = Totals()
    totals.add(1, report(requests=[["/ws", "GET", 101, CELL]]))
    found = read(totals)
    assert found["carboy_requests_total{route=/ws,method=GET,status=101}"] == 3
    assert not any("duration" in name for name in found)


def test_routes_of_replaced_workers_are_bounded_as_well() -> None:
    totals = Totals(most_routes=3)
    for number in range(20):
        totals.add(number, report(requests=[[f"/{number}", "GET", 200, CELL]]))
    routes = [name for name in read(totals) if name.startswith("carboy_requests_total")]
    assert len(routes) <= 5
    assert read(totals)["carboy_requests_total{route=(other),method=GET,status=200}"] > 0


def test_gauges_have_the_pid_of_their_worker_and_counters_do_not() -> None:
    totals = Totals()
    totals.add(1, report(counters=[["carboy_connections_accepted", [], 3]]))
    totals.add(2, report(counters=[["carboy_connections_accepted", [], 4]]))
    found = read(
        totals,
        gauges={1: [["carboy_connections", [], 2]], 2: [["carboy_connections", [], 5]]},
        own=[("carboy_workers", (("state", "serving"),), 2)],
    )
    assert found["carboy_connections_accepted_total{}"] == 7
    assert found["carboy_connections{pid=1}"] == 2
    assert found["carboy_connections{pid=2}"] == 5
    assert found["carboy_workers{state=serving}"] == 2


# --- prometheus_client


class Application:
    """The registry of an application, as one worker reports it."""

    def __init__(self, monkeypatch: Any) -> None:
        self.registry = CollectorRegistry()
        self._patch = monkeypatch
        self._reported = ClientRegistry()

    def take(self, asked: bool = True) -> dict[str, Any]:
        self._patch.setattr("prometheus_client.REGISTRY", self.registry)
        self._reported._due = 0.0
        return report(application=self._reported.take(asked), whole=asked)


def test_counters_and_histograms_of_the_application_are_added_up(monkeypatch: Any) -> None:
    totals = Totals()
    for worker in (1, 2):
        app = Application(monkeypatch)
        counter = Counter("jobs", "Jobs.", ["kind"], registry=app.registry)
        timer = Histogram("took_seconds", "x", registry=app.registry, buckets=(1, 2))
        summary = Summary("size", "x", registry=app.registry)
        Counter("never", "x", registry=app.registry)
        counter.labels("a").inc(3)
        totals.add(worker, app.take())
        counter.labels("a").inc()
        timer.observe(1.5)
        summary.observe(7)
        totals.add(worker, app.take(asked=False))
        totals.ended(worker)
    found = read(totals)
    assert found["jobs_total{kind=a}"] == 8
    assert found["never_total{}"] == 0
    assert found["took_seconds_bucket{le=1.0}"] == 0
    assert found["took_seconds_bucket{le=2.0}"] == 2
    assert (found["took_seconds_count{}"], found["took_seconds_sum{}"]) == (2, 3.0)
    assert (found["size_count{}"], found["size_sum{}"]) == (2, 14)


def test_gauges_of_the_application_follow_their_mode(monkeypatch: Any) -> None:
    totals = Totals()
    modes = ("all", "liveall", "sum", "livemax", "min", "mostrecent")
    apps = []
    for worker, value in ((1, 5.0), (2, 3.0)):
        app = Application(monkeypatch)
        apps.append(app)
        for mode in modes:
            gauge = Gauge(f"g_{mode}", "x", registry=app.registry, multiprocess_mode=mode)
            gauge.set(value)
        totals.add(worker, app.take())
    found = read(totals)
    assert (found["g_all{pid=1}"], found["g_all{pid=2}"]) == (5, 3)
    assert (found["g_liveall{pid=1}"], found["g_liveall{pid=2}"]) == (5, 3)
    assert (found["g_sum{}"], found["g_livemax{}"], found["g_min{}"]) == (8, 5, 3)
    assert found["g_mostrecent{}"] == 3
    totals.ended(2)
    found = read(totals)
    assert found["g_sum{}"] == 5
    assert "g_all{pid=2}" not in found


def test_a_gauge_that_was_removed_is_gone(monkeypatch: Any) -> None:
    totals, app = Totals(), Application(monkeypatch)
    gauge = Gauge("g", "x", ["of"], registry=app.registry)
    gauge.labels("a").set(1)
    gauge.labels("b").set(1)
    totals.add(1, app.take())
    gauge.remove("a")
    totals.add(1, app.take())
    assert "g{of=a,pid=1}" not in read(totals)
    assert read(totals)["g{of=b,pid=1}"] == 1
    gauge.clear()
    totals.add(1, app.take())
    assert "g{of=b,pid=1}" not in read(totals)


def test_a_label_pid_of_the_application_stays(monkeypatch: Any) -> None:
    totals, app = Totals(), Application(monkeypatch)
    Gauge("g", "x", ["pid"], registry=app.registry).labels("child").set(1)
    totals.add(1, app.take())
    assert read(totals)["g{pid=child,worker_pid=1}"] == 1


def test_info_is_shown_once_and_a_state_for_each_worker(monkeypatch: Any) -> None:
    totals = Totals()
    for worker in (1, 2):
        app = Application(monkeypatch)
        Info("version", "x", registry=app.registry).info({"git": "abc"})
        Enum("state", "x", states=["up", "down"], registry=app.registry).state("up")
        totals.add(worker, app.take())
    found = read(totals)
    assert found["version_info{git=abc}"] == 1
    assert found["state{state=up,pid=1}"] == 1


def test_a_counter_that_begins_again_does_not_go_down(monkeypatch: Any) -> None:
    totals, app = Totals(), Application(monkeypatch)
    counter = Counter("jobs", "x", registry=app.registry)
    counter.inc(5)
    totals.add(1, app.take())
    counter.reset()
    counter.inc(2)
    totals.add(1, app.take())
    assert read(totals)["jobs_total{}"] == 7


def test_names_of_the_server_are_left_out(monkeypatch: Any) -> None:
    app = Application(monkeypatch)
    Counter("carboy_requests", "x", registry=app.registry).inc()
    assert app.take()["application"] == []


def test_a_collector_that_fails_is_logged_once(monkeypatch: Any, caplog: Any) -> None:
    class Broken(Collector):
        def collect(self) -> Any:
            raise RuntimeError("no database")

    app = Application(monkeypatch)
    app.registry._collector_to_names[Broken()] = []  # without the call that registering makes
    assert app.take()["application"] == []
    assert app.take()["application"] == []
    assert caplog.text.count("The metrics of prometheus_client could not be collected.") == 1
