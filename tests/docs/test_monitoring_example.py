"""examples/monitoring: a real Prometheus scrapes a server, and knows all that the files ask for."""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from carboy.server.metrics.families import METRICS
from certificates import Authority
from running import PATIENCE, Running, die_with_parent

FOLDER = Path(__file__).parents[2] / "examples" / "monitoring"
DASHBOARD = json.loads((FOLDER / "dashboard.json").read_text())
QUERIES = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]
ALERTS = (FOLDER / "alerts.yml").read_text()
NAMES = sorted(set(re.findall(r"\bcarboy_\w+", " ".join(QUERIES) + ALERTS)))
APP = """
import time
from carboy import Carboy

app = Carboy(__name__)

@app.get("/slow")
def slow():
    time.sleep(0.02)
    return "slow"

@app.get("/awaited")
async def awaited():
    return "awaited"
"""

pytestmark = pytest.mark.skipif(not shutil.which("promtool"), reason="prometheus is not installed")


def checked(*command: str) -> None:
    done = subprocess.run(
        ["promtool", *command], cwd=FOLDER, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_promtool_accepts_the_rules_and_the_configuration() -> None:
    checked("check", "rules", "alerts.yml")
    checked("check", "config", "prometheus.yml")


def test_every_query_names_metrics_of_the_table() -> None:
    known = {each.shown for each in METRICS.values()}
    base = {re.sub(r"_(bucket|count|sum)$", "", name) for name in NAMES}
    assert base <= known


def test_the_dashboard_has_one_place_for_each_panel() -> None:
    places = {(each["gridPos"]["x"], each["gridPos"]["y"]) for each in DASHBOARD["panels"]}
    assert len(places) == len(DASHBOARD["panels"])
    assert len({each["id"] for each in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])


class Prometheus:
    """A Prometheus that scrapes one address each second, with the alert rules."""

    def __init__(self, folder: Path, target: str) -> None:
        text = (FOLDER / "prometheus.yml").read_text()
        text = text.replace("127.0.0.1:9000", target).replace("15s", "1s")
        (folder / "prometheus.yml").write_text(text)
        shutil.copy(FOLDER / "alerts.yml", folder)
        self.process = subprocess.Popen(
            ["prometheus", "--config.file=prometheus.yml", "--storage.tsdb.path=data",
             "--web.listen-address=127.0.0.1:0"],
            cwd=folder, stderr=subprocess.PIPE, text=True,
            preexec_fn=die_with_parent,  # noqa: PLW1509 - only a system call
        )  # fmt: skip
        assert self.process.stderr is not None
        self.url, ready = "", False
        for line in self.process.stderr:  # the two lines come from two threads, in either order
            if found := re.search(r'"Listening on" address=(\S+)', line):
                self.url = f"http://{found[1]}/api/v1/"
            ready = ready or "ready to receive" in line
            if self.url and ready:
                break
        assert self.url and ready
        self.reader = threading.Thread(target=self.process.stderr.read)
        self.reader.start()

    def ask(self, path: str, **query: str) -> Any:
        url = f"{self.url}{path}?{urllib.parse.urlencode(query)}"
        with urllib.request.urlopen(url, timeout=PATIENCE) as response:
            return json.load(response)["data"]

    def query(self, text: str) -> list[Any]:
        found: list[Any] = self.ask("query", query=text)["result"]
        return found

    def until(self, text: str) -> list[Any]:
        """The result of a query, once there is one: after the next scrape."""
        end = time.monotonic() + PATIENCE
        while not (found := self.query(text)):
            assert time.monotonic() < end, text
            time.sleep(0.05)  # each question costs both processes processor time
        return found

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(PATIENCE)
        self.reader.join(PATIENCE)
        assert self.process.stderr is not None
        self.process.stderr.close()


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    folder = tmp_path_factory.mktemp("shop")
    (folder / "shop.py").write_text(APP)
    authority = Authority()
    certificate, key = authority.sign("localhost").write(folder)
    server = Running(
        "run", "shop:app", "-p", "0", "--cert", certificate, "--key", key, "--cache", "1m",
        "--admin", "127.0.0.1:0", cwd=folder, env={"XDG_RUNTIME_DIR": str(folder)},
    )  # fmt: skip
    with server:
        admin = re.search(r"Admin server at (?:http://)?(\S+?);", server.line("Admin server at"))
        assert admin is not None
        context = authority.client(folder=folder)
        for path in ("/awaited", *["/slow"] * 4):
            with socket.create_connection(server.address(), PATIENCE) as plain:
                with context.wrap_socket(plain, server_hostname="localhost") as client:
                    request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
                    client.sendall(request.encode())
                    assert client.recv(100).startswith(b"HTTP/1.1 200")
        with socket.create_connection(server.address(), PATIENCE) as plain:
            plain.sendall(b"GET / HTTP/1.1\r\n\r\n")
            assert plain.recv(100).startswith(b"HTTP/1.1 400")
        prometheus = Prometheus(folder, admin[1])
        try:
            prometheus.until("carboy_requests_total")
            yield prometheus
        finally:
            prometheus.stop()


@pytest.mark.parametrize("name", NAMES)
def test_prometheus_has_each_metric_that_a_file_names(prometheus: Prometheus, name: str) -> None:
    found = prometheus.until(name)
    assert {each["metric"]["job"] for each in found} == {"carboy"}


def test_prometheus_understands_every_query_of_the_dashboard(prometheus: Prometheus) -> None:
    for each in QUERIES:
        text = each.replace("$__rate_interval", "1m").replace("$job", ".*")
        prometheus.query(text)


def test_prometheus_evaluates_the_alerts(prometheus: Prometheus) -> None:
    (group,) = prometheus.ask("rules")["groups"]
    assert len(group["rules"]) == ALERTS.count("- alert:")
    assert all(rule["health"] in ("ok", "unknown") for rule in group["rules"])


def test_prometheus_reads_each_type(prometheus: Prometheus) -> None:
    found = prometheus.ask("metadata")
    assert found["carboy_requests"][0]["type"] == "counter"
    assert found["carboy_request_duration_seconds"][0]["type"] == "histogram"
