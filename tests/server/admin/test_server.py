"""The admin server, in this process: requests over real sockets, workers that the tests play."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from carboy import user_sockets
from carboy.cli.admin.client import AdminError, Client
from carboy.net.listener import listen_tcp
from carboy.server.admin.call import Ask, Call, Refused, Reply, Steps
from carboy.server.admin.listening import AdminSocket
from carboy.server.admin.operations import About, Operations, Served, WorkerFacts
from carboy.server.admin.paths import Access, Paths
from carboy.server.admin.peer import LIMITS
from carboy.server.admin.place import Place
from carboy.server.admin.server import PEERS, AdminServer
from carboy.server.admin.token import Token
from running import PATIENCE

TOKEN = "0123456789abcdef"
OTHER_TOKEN = "f" * 64


class Workers:
    """Operations whose two workers answer when a test has them answer."""

    def __init__(self) -> None:
        self.told: list[tuple[int, dict[str, Any]]] = []
        self.changed = threading.Condition()

    def about(self) -> About:
        return Served("shop", ("http://127.0.0.1:8000/",)).about(started=0.0, supervised=True)

    def workers(self) -> list[WorkerFacts]:
        return [
            WorkerFacts(each, "serving", 1.0, 0, 0, 0, 0.0, 1 << 20, asked=each != 3)
            for each in (1, 2, 3)
        ]

    def tell(self, worker: int, message: dict[str, Any]) -> None:
        with self.changed:
            self.told.append((worker, message))
            self.changed.notify_all()

    def until_told(self, question: str, count: int) -> list[tuple[int, dict[str, Any]]]:
        def found() -> list[tuple[int, dict[str, Any]]]:
            return [each for each in self.told if each[1]["ask"] == question]

        with self.changed:
            assert self.changed.wait_for(lambda: len(found()) >= count, PATIENCE)
            return found()


def hello(call: Call, server: Operations) -> Reply:
    return Reply({"query": dict(call.query), "values": call.values})


def names(call: Call, server: Operations) -> Steps:
    answers = yield Ask("name", seconds=call.number("seconds", PATIENCE, PATIENCE))
    return Reply({str(each.worker): each.value or each.failure for each in answers.values()})


def broken(call: Call, server: Operations) -> Reply:
    raise RuntimeError("broken")


def refusing(call: Call, server: Operations) -> Reply:
    raise Refused(409, "Not now.")


def large(call: Call, server: Operations) -> Reply:
    return Reply("x" * 4_000_000)


class Site:
    """A server on a unix socket and a port, with a thread for its loop."""

    def __init__(self, folder: Path) -> None:
        paths = Paths()
        for method, path, handler, access in (
            ("GET", "/hello", hello, Access.TOKEN),
            ("POST", "/hello", hello, Access.TOKEN),
            ("GET", "/names", names, Access.TOKEN),
            ("GET", "/broken", broken, Access.OPEN),
            ("GET", "/refusing", refusing, Access.OPEN),
            ("GET", "/large", large, Access.OPEN),
            ("GET", "/figures", hello, Access.LOOPBACK),
        ):
            paths.add(method, path, handler, access)
        self.workers = Workers()
        self.path = str(folder / "admin")
        local = AdminSocket(user_sockets.listen(self.path))
        public = AdminSocket(listen_tcp("127.0.0.1", 0), Token(TOKEN))
        other = AdminSocket(listen_tcp("127.0.0.1", 0), Token(OTHER_TOKEN))
        self.port = public.place.port
        self.server = AdminServer([local, public, other], paths, self.workers)
        self.client = Client(local.place)
        self.by_port = Client(public.place)
        self.by_other_port = Client(other.place)
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self) -> None:
        while not self.over.is_set():
            now = time.monotonic()
            self.server.turn(max(0.0, min(1.0, self.server.look(now) - now)))

    def connect(self) -> socket.socket:
        return user_sockets.connect(self.path, PATIENCE)

    def close(self) -> None:
        self.over.set()
        self.server.wake()
        self.thread.join(PATIENCE)
        assert not self.thread.is_alive()
        self.server.close()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    found = Site(tmp_path)
    yield found
    found.close()


def exchange(sock: socket.socket, data: bytes) -> bytes:
    """Send, and read to the end of the connection."""
    if data:
        sock.sendall(data)
    found = b""
    while piece := sock.recv(65536):
        found += piece
    return found


def test_a_handler_gets_the_query_and_the_content(site: Site) -> None:
    assert site.client.get("/hello", PATIENCE, name="a b")["query"] == {"name": "a b"}
    assert site.client.post("/hello", {"count": 2}, PATIENCE)["values"] == {"count": 2}


def test_a_handler_gets_the_answers_of_all_workers(site: Site) -> None:
    found: list[Any] = []
    asking = threading.Thread(target=lambda: found.append(site.client.get("/names", PATIENCE)))
    asking.start()
    for worker, message in site.workers.until_told("name", 2):
        site.server.post(worker, {"answer": message["id"], "value": f"worker {worker}"})
    asking.join(PATIENCE)
    assert found == [{"1": "worker 1", "2": "worker 2", "3": "It loads the application."}]


def test_a_worker_that_does_not_answer_is_not_waited_for(site: Site) -> None:
    found = site.client.get("/names", PATIENCE, seconds=0.01)
    assert found["1"] == found["2"] == "It has not answered within 0.01 s."


def test_a_question_is_cancelled_when_the_client_has_gone(site: Site) -> None:
    with site.connect() as sock:
        sock.sendall(b"GET /names HTTP/1.1\r\nHost: admin\r\n\r\n")
        asked = site.workers.until_told("name", 2)
    cancelled = site.workers.until_told("cancel", 2)
    assert {each["cancel"] for _, each in cancelled} == {asked[0][1]["id"]}


def test_a_client_that_has_ended_its_side_gets_its_answer(site: Site) -> None:
    with site.connect() as sock:
        sock.sendall(b"GET /names?seconds=0.01 HTTP/1.1\r\nHost: admin\r\n\r\n")
        sock.shutdown(socket.SHUT_WR)
        assert b"has not answered" in exchange(sock, b"")


def test_requests_of_one_connection_are_answered_in_order(site: Site) -> None:
    with site.connect() as sock:
        one = b"GET /hello?number=%d HTTP/1.1\r\nHost: admin\r\n%s\r\n"
        slow = b"GET /names?seconds=0.01 HTTP/1.1\r\nHost: admin\r\n\r\n"
        found = exchange(sock, one % (1, b"") + slow + one % (2, b"Connection: close\r\n"))
    assert found.count(b"HTTP/1.1 200 OK") == 3
    assert found.index(b'"1"') < found.index(b"has not answered") < found.index(b'"2"')


def test_a_client_that_does_not_read_its_response_does_not_delay_others(site: Site) -> None:
    with site.connect() as slow:
        slow.sendall(b"GET /large HTTP/1.1\r\nHost: admin\r\nConnection: close\r\n\r\n")
        assert site.client.get("/hello", PATIENCE)
        assert len(exchange(slow, b"")) > 4_000_000


def test_the_connection_that_has_waited_for_longest_is_closed_above_the_limit(site: Site) -> None:
    first = site.connect()
    others = [site.connect() for _ in range(PEERS)]
    assert first.recv(1) == b""
    assert site.client.get("/hello", PATIENCE)
    for each in (first, *others):
        each.close()


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"\x00\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\n\r\n", b"400"),
        (b"POST /hello HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n[1]", b"400"),
        (b"POST /hello HTTP/1.1\r\nHost: a\r\nContent-Length: 9999999\r\n\r\n", b"413"),
        (b"GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n", b"404"),
        (b"PUT /hello HTTP/1.1\r\nHost: a\r\n\r\n", b"405"),
        (b"GET /names?seconds=-1 HTTP/1.1\r\nHost: a\r\n\r\n", b"400"),
        (b"GET /names?seconds=nan HTTP/1.1\r\nHost: a\r\n\r\n", b"400"),
        (b"GET /refusing HTTP/1.1\r\nHost: a\r\n\r\n", b"409"),
        (b"GET /broken HTTP/1.1\r\nHost: a\r\n\r\n", b"500"),
        (b"X" * (LIMITS.request_line + 10), b"414"),
        (b"POST /hello HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n{", b"400"),
    ],
)
def test_a_request_that_cannot_be_answered_gets_its_status(
    site: Site, data: bytes, status: bytes
) -> None:
    with site.connect() as sock:
        sock.sendall(data)
        sock.shutdown(socket.SHUT_WR)
        assert exchange(sock, b"").startswith(b"HTTP/1.1 " + status)
    assert site.client.get("/hello", PATIENCE)


def test_a_head_request_has_no_content(site: Site) -> None:
    with site.connect() as sock:
        found = exchange(sock, b"HEAD /hello HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    assert found.startswith(b"HTTP/1.1 200") and found.endswith(b"\r\n\r\n")


def test_a_command_at_a_port_requires_the_token(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CARBOY_ADMIN_TOKEN", TOKEN)
    assert site.by_port.get("/hello", PATIENCE)
    monkeypatch.setenv("CARBOY_ADMIN_TOKEN", TOKEN[:-1] + "x")
    with pytest.raises(AdminError, match="requires its token"):
        site.by_port.get("/hello", PATIENCE)


def test_each_address_has_a_token_of_its_own(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CARBOY_ADMIN_TOKEN", OTHER_TOKEN)
    assert site.by_other_port.get("/hello", PATIENCE)


def test_processes_of_this_machine_read_figures_without_the_token(site: Site) -> None:
    status, content = site.by_port.request("GET", "/figures", None, PATIENCE)
    assert status == 200 and json.loads(content)["query"] == {}


def test_a_page_in_the_browser_cannot_read_figures_by_a_name_of_its_own(site: Site) -> None:
    with socket.create_connection(("127.0.0.1", site.port), PATIENCE) as sock:
        head = b"GET /figures HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n"
        assert exchange(sock, head).startswith(b"HTTP/1.1 421")


def test_a_socket_that_something_has_removed_is_made_again(site: Site) -> None:
    Path(site.path).unlink()
    deadline = time.monotonic() + PATIENCE
    while not Path(site.path).exists() and time.monotonic() < deadline:
        site.thread.join(0.05)
    assert Client(Place(path=site.path)).get("/hello", PATIENCE)
