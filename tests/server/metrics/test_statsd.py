"""Counts sent to a statsd server, over real UDP."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carboy.server.metrics.settings import MetricsSettings
from carboy.server.metrics.statsd import DATAGRAM, Statsd, datagrams, look_up, statsd_of
from carboy.server.metrics.totals import Totals
from running import PATIENCE, Running

REPORT = {
    "buckets": [0.1, 1.0],
    "requests": [["/a/<int:id>", "GET", 200, [0.5, 20, 3, 1, 2, 1]]],
    "refused": {"bad_request": 2},
    "counters": [["carboy_connections_accepted", [], 4]],
}


@pytest.fixture
def receiver() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.settimeout(PATIENCE)
        yield sock


def lines(receiver: socket.socket, *wanted: str) -> list[str]:
    """The lines of datagrams, up to one that begins with each of `wanted`."""
    found: list[str] = []
    while not all(any(line.startswith(each) for line in found) for each in wanted):
        found += receiver.recv(65536).decode().split("\n")
    return found


def sender(port: int, totals: Totals, host: str = "127.0.0.1", **more: Any) -> Statsd:
    made = statsd_of(MetricsSettings(statsd=f"{host}:{port}", **more), totals)
    assert made is not None
    return made


def test_counters_and_durations_are_sent_once(receiver: socket.socket) -> None:
    totals = Totals()
    totals.add(1, REPORT)
    statsd = sender(receiver.getsockname()[1], totals)
    statsd.look()
    assert sorted(receiver.recv(65536).decode().split("\n")) == [
        "carboy.connections.accepted:4|c",
        "carboy.request.duration.a_int_id.GET:1000|ms",
        "carboy.request.duration.a_int_id.GET:50|ms",
        "carboy.request.duration.a_int_id.GET:550|ms|@0.5",
        "carboy.requests.a_int_id.GET.200:4|c",
        "carboy.requests.refused.bad_request:2|c",
    ]
    totals.add(1, {"refused": {"bad_request": 1}})
    statsd.close()
    assert receiver.recv(65536) == b"carboy.requests.refused.bad_request:1|c"


def test_tags_are_those_of_dogstatsd(receiver: socket.socket) -> None:
    totals = Totals()
    totals.add(1, {**REPORT, "requests": [["/a|b,c #", "GET", 200, [0, 0, 0, 3, 0, 0]]]})
    statsd = sender(receiver.getsockname()[1], totals, statsd_prefix="shop.", statsd_tags=True)
    statsd.look()
    statsd.close()
    found = receiver.recv(65536).decode().split("\n")
    assert "shop.requests:3|c|#route:/a_b_c_,method:GET,status:200" in found
    assert "shop.request.duration:50|ms|@0.333333|#route:/a_b_c_,method:GET" in found


def test_nothing_is_lost_until_the_name_is_found(receiver: socket.socket) -> None:
    totals = Totals()
    totals.add(1, REPORT)
    statsd = sender(receiver.getsockname()[1], totals, host="statsd.example")
    statsd.look()
    totals.add(1, {"statsd": "127.0.0.1"})
    statsd.close()
    assert "carboy.requests.refused.bad_request:2|c" in receiver.recv(65536).decode()


def test_an_address_that_cannot_be_reached_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    totals = Totals()
    for _ in range(3):
        totals.add(1, REPORT)
        statsd = sender(1, totals, host="255.255.255.255")
        statsd.look()
        totals.add(1, REPORT)
        statsd.close()
    assert caplog.text.count("cannot be sent to statsd") == 3  # each sender says it once


def test_a_name_that_does_not_exist_has_no_address() -> None:
    assert look_up("name.invalid") is None
    assert look_up("127.0.0.1") == "127.0.0.1"


@given(st.lists(st.text(st.characters(max_codepoint=0x7E, min_codepoint=0x21), max_size=1500)))
def test_a_datagram_is_bounded_and_keeps_lines_whole(written: list[str]) -> None:
    found = list(datagrams(each for each in written if each))
    assert all(0 < len(each) <= DATAGRAM for each in found)
    kept = [each for each in written if each and len(each) <= DATAGRAM]
    assert [line for each in found for line in each.decode().split("\n")] == kept


@pytest.mark.parametrize("text", ["127.0.0.1", ":8125", "host:port", "host:0", "host:99999"])
def test_a_place_that_cannot_be_one_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not HOST:PORT"):
        MetricsSettings(statsd=text)


def test_a_prefix_that_names_cannot_have_is_refused() -> None:
    with pytest.raises(ValueError, match="--statsd-prefix"):
        MetricsSettings(statsd_prefix="a b:")


@pytest.mark.parametrize("how", [("-w", "2"), ("--no-supervisor",)])
def test_a_server_sends_the_rest_at_its_end(
    receiver: socket.socket, how: tuple[str, ...], tmp_path: Path
) -> None:
    app = "def app(environ, start):\n    start('200 OK', [])\n    return [b'x']\n"
    (tmp_path / "shop.py").write_text(app)
    place = f"127.0.0.1:{receiver.getsockname()[1]}"
    command = ("run", "shop:app", "-p", "0", "--admin", "none", "--statsd", place, *how)
    with Running(*command, cwd=tmp_path) as server:
        server.address()
        assert server.get()[0] == 200
        assert server.stop() == 0
    found = lines(receiver, "carboy.requests.no_rule.GET.200:1|c")
    assert any(
        re.match(r"carboy\.request\.duration\.no_rule\.GET:[\d.]+\|ms", each) for each in found
    )


def test_a_name_that_is_not_found_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(
        "def app(e, start):\n    start('200 OK', [])\n    return []\n"
    )
    command = ("run", "shop:app", "-p", "0", "--statsd", "name.invalid:8125")
    with Running(*command, cwd=tmp_path, env={"XDG_RUNTIME_DIR": str(tmp_path)}) as server:
        server.address()
        assert server.get()[0] == 200
        assert server.stop() == 0
