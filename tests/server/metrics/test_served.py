"""GET /metrics of servers in processes of their own: sums over workers, crashes and reloads."""

from __future__ import annotations

import http.client
import os
import signal
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_open
from prometheus_client.parser import text_string_to_metric_families as read_plain

from carboy.server.metrics import text
from carboy.server.metrics.families import METRICS
from running import Running, suspend

APP = """
import os
from carboy import Carboy
from prometheus_client import Counter, Gauge

app = Carboy(__name__)
jobs = Counter("shop_jobs", "Jobs that were done.")
largest = Gauge("shop_largest", "The largest job.", multiprocess_mode="max")

@app.get("/users/<int:number>")
def user(number):
    jobs.inc()
    largest.set(number)
    return str(os.getpid())

@app.post("/upload")
def upload():
    from carboy import request
    return str(len(request.data))

@app.get("/publish")
def send():
    from carboy import publish
    publish("room", "hello")
    return "sent"

@app.get("/kill")
def kill():
    os.kill(os.getpid(), 9)
"""
USERS = 'carboy_requests_total{method="GET",route="/users/<int:number>",status="200"}'


class Unix(http.client.HTTPConnection):
    """A client for a unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=60)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(60)
        self.sock.connect(str(self._path))


class Shop:
    """A server, and its metrics."""

    def __init__(self, folder: Path, *args: str) -> None:
        (folder / "shop.py").write_text(APP)
        self.admin = folder / "admin.sock"
        self.server = Running(
            "run", "shop:app", "-p", "0", "--admin", str(self.admin), *args, cwd=folder,
        )  # fmt: skip
        self.server.address()

    def __enter__(self) -> Shop:
        return self

    def __exit__(self, *error: object) -> None:
        self.server.__exit__(*error)

    def page(self, accept: str = "") -> tuple[str, str]:
        """The media type and the text."""
        connection = Unix(self.admin)
        try:
            connection.request("GET", "/metrics", headers={"Accept": accept} if accept else {})
            response = connection.getresponse()
            assert response.status == 200
            return response.headers["Content-Type"], response.read().decode()
        finally:
            connection.close()

    def samples(self) -> dict[str, float]:
        """The values by name and labels in their order."""
        found = {}
        for family in read_plain(self.page()[1]):
            for sample in family.samples:
                labels = ",".join(f'{k}="{v}"' for k, v in sorted(sample.labels.items()))
                found[sample.name + (f"{{{labels}}}" if labels else "")] = sample.value
        return found

    def until(self, condition: Callable[[dict[str, float]], Any]) -> dict[str, float]:
        """The samples, once a condition holds."""
        for _ in range(3000):
            found = self.samples()
            if condition(found):
                return found
        raise AssertionError(found)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with Shop(tmp_path_factory.mktemp("shop"), "-w", "2") as shop:
        for number in range(20):
            assert shop.server.get(f"/users/{number}")[0] == 200
        assert shop.server.get("/missing")[0] == 404
        assert shop.server.get("/publish")[0] == 200
        yield shop


def test_the_messages_of_channels_are_counted(shop: Shop) -> None:
    found = shop.samples()
    assert found["carboy_channel_messages_total"] == 1
    assert found["carboy_channel_connections"] >= 1
    assert found["carboy_channel_unsent_bytes"] == 0


def test_the_requests_of_all_workers_are_added_up_by_route(shop: Shop) -> None:
    found = shop.samples()
    assert found[USERS] == 20
    assert found['carboy_requests_total{method="GET",route="(no rule)",status="404"}'] == 1
    duration = 'carboy_request_duration_seconds_count{method="GET",route="/users/<int:number>"}'
    assert found[duration] == 20
    assert found["carboy_connections_accepted_total"] >= 21
    assert found['carboy_workers{state="serving"}'] == 2
    memory = [name for name in found if name.startswith("carboy_worker_memory_bytes{pid=")]
    assert len(memory) == 2
    assert all(found[name] > 2**20 for name in memory)


def test_the_metrics_of_the_application_are_added_up_without_files(shop: Shop) -> None:
    found = shop.samples()
    assert found["shop_jobs_total"] == 20
    assert found["shop_largest"] == 19


def test_both_formats_are_read_by_the_parsers_of_prometheus_client(shop: Shop) -> None:
    kind, page = shop.page()
    assert kind == text.PLAIN
    names = {family.name.removesuffix("_info") for family in read_plain(page)}
    kind, page = shop.page("application/openmetrics-text; version=1.0.0")
    assert kind == text.OPENMETRICS
    assert {family.name.removesuffix("_info") for family in read_open(page)} == names
    assert "carboy_request_duration_seconds" in names


def test_each_metric_of_the_server_is_in_the_table(shop: Shop) -> None:
    for family in read_open(shop.page("application/openmetrics-text")[1]):
        if family.name.startswith("carboy_"):
            metric = METRICS[family.name]
            assert (family.type, family.unit) == (metric.kind.value, metric.unit)
            labels = {*metric.labels, "le"} if family.type == "histogram" else {*metric.labels}
            for sample in family.samples:
                assert set(sample.labels) <= labels


def test_a_request_that_is_refused_is_counted_by_its_reason(shop: Shop) -> None:
    with socket.create_connection(shop.server.address()) as client:
        client.sendall(b"NONSENSE\r\n\r\n")
        client.recv(1000)
    name = 'carboy_requests_refused_total{reason="bad_request"}'
    assert shop.until(lambda found: found.get(name))[name] == 1


def test_sums_do_not_go_down_when_workers_are_killed_and_replaced(tmp_path: Path) -> None:
    with Shop(tmp_path, "-w", "2") as shop:
        for number in range(10):
            shop.server.get(f"/users/{number}")
        before = shop.samples()
        assert before[USERS] == 10
        worker = int(shop.server.get("/users/99")[1])
        assert shop.samples()[USERS] == 11
        os.kill(worker, signal.SIGKILL)
        crashed = 'carboy_worker_restarts_total{reason="crash"}'
        found = shop.until(lambda found: found.get(crashed))
        assert found[USERS] == 11
        assert f'carboy_connections{{pid="{worker}"}}' not in found
        shop.server.send(signal.SIGHUP)
        shop.server.line("All workers have been replaced.")
        found = shop.until(lambda found: found['carboy_workers{state="serving"}'] == 2)
        assert found[USERS] == 11
        assert found["shop_jobs_total"] == 11
        assert found["carboy_connections_accepted_total"] >= 11
        assert found["carboy_reloads_total"] == 1
        assert shop.server.get("/users/5")[0] == 200
        assert shop.until(lambda found: found[USERS] == 12)["shop_jobs_total"] == 12


def test_a_worker_that_does_not_answer_leaves_the_sums(tmp_path: Path) -> None:
    with Shop(tmp_path, "--worker-timeout", "0") as shop:
        worker = int(shop.server.get("/users/1")[1])
        assert shop.samples()[USERS] == 1
        suspend(worker)
        try:
            found = shop.samples()
            assert found[USERS] == 1
            assert not any(name.startswith("carboy_connections{") for name in found)
        finally:
            os.kill(worker, signal.SIGCONT)


def test_a_server_without_a_supervisor_has_metrics(tmp_path: Path) -> None:
    with Shop(tmp_path, "--no-supervisor") as shop:
        assert shop.server.get("/users/3")[0] == 200
        found = shop.until(lambda found: found.get(USERS))
        assert found[USERS] == 1
        assert found["shop_jobs_total"] == 1


def test_metrics_can_be_switched_off(tmp_path: Path) -> None:
    with Shop(tmp_path, "--no-metrics") as shop:
        assert shop.server.get("/users/3")[0] == 200
        assert USERS not in shop.samples()
