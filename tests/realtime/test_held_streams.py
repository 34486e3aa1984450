"""hold() and publish() over two worker processes, with real clients."""

from __future__ import annotations

import http.client
import io
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from carboy import Carboy, hold
from event_client import EventClient
from event_stream import Reader
from realtime_server import clean_environ, runtime_folder, start, until
from running import PATIENCE, Running


class Server:
    """Two workers, and what tests ask them for."""

    def __init__(self, running: Running, folder: Path, environ: dict[str, str]) -> None:
        self.running = running
        self.folder = folder
        self.environ = environ
        self.address = running.address()

    def hold(self, *channels: str, after: str | None = None, **arguments: str) -> EventClient:
        pairs = [("channel", name) for name in channels] + list(arguments.items())
        query = "&".join(f"{name}={quote(value)}" for name, value in pairs)
        headers = {} if after is None else {"Last-Event-ID": after}
        return EventClient(self.address, f"/events?{query}", headers)

    def ask(self, method: str, path: str, body: str = "") -> Any:
        connection = http.client.HTTPConnection(*self.address, timeout=PATIENCE)
        try:
            connection.request(method, path, body.encode())
            response = connection.getresponse()
            assert response.status == 200, response.read()
            text = response.read().decode()
            return json.loads(text) if text else None
        finally:
            connection.close()

    def publish(self, channel: str, data: str = "x", query: str = "") -> str:
        return str(self.ask("POST", f"/publish/{channel}{query}", data)["id"])

    def subscribers(self, channel: str) -> Any:
        return self.ask("GET", f"/subscribers/{channel}")

    def on_both_workers(self, stack: ExitStack, channel: str) -> tuple[EventClient, EventClient]:
        """A client of each worker."""
        found: dict[str, EventClient] = {}
        while len(found) < 2:
            client = stack.enter_context(self.hold(channel))
            found.setdefault(str(client.response.headers["X-Worker"]), client)
        first, second = found.values()
        return first, second

    def script(self, code: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", code], cwd=self.folder, env=self.environ,
            capture_output=True, text=True, timeout=PATIENCE, check=False,
        )  # fmt: skip


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("project")
    with start(folder) as running:
        yield Server(running, folder, clean_environ(folder))
        assert running.stop() == 0, running.text()


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[Server]:
    """A server for a test that changes its workers."""
    with start(tmp_path) as running:
        yield Server(running, tmp_path, clean_environ(tmp_path))


def test_a_message_reaches_the_clients_of_all_workers(server: Server) -> None:
    with ExitStack() as stack:
        clients = server.on_both_workers(stack, "room:1")
        sent = server.publish("room:1", "Hello", "?event=note")
        for client in clients:
            (event,) = client.events(1)
            assert (event.type, event.data, event.last_event_id) == ("note", "Hello", sent)


def test_all_clients_get_messages_in_one_order(server: Server) -> None:
    with ExitStack() as stack:
        clients = server.on_both_workers(stack, "room:2")
        code = "import carboy\nfor n in range(50): carboy.publish('room:2', '%s ' + str(n))"
        scripts = [
            subprocess.Popen(
                [sys.executable, "-c", code % name], cwd=server.folder, env=server.environ
            )
            for name in "ab"
        ]
        orders = [client.data(100) for client in clients]
        assert orders[0] == orders[1]
        assert [each for each in orders[0] if each[0] == "a"] == [f"a {n}" for n in range(50)]
        assert [each.wait(PATIENCE) for each in scripts] == [0, 0]


def test_a_script_publishes(server: Server) -> None:
    with server.hold("room:3") as client:
        done = server.script("import carboy; print(carboy.publish('room:3', {'x': [1]}).id)")
        assert done.returncode == 0, done.stderr
        (event,) = client.events(1)
        assert json.loads(event.data) == {"x": [1]}
        assert event.last_event_id == done.stdout.strip()


@pytest.mark.parametrize("way", ["publish-thread", "publish-async"])
def test_threads_and_coroutines_publish(server: Server, way: str) -> None:
    with server.hold(way) as client:
        server.ask("POST", f"/{way}/{way}")
        assert client.data(1)[0].startswith("from a")


def test_a_coroutine_holds(server: Server) -> None:
    with EventClient(server.address, "/events-async?channel=room:4") as client:
        server.publish("room:4", "Hello")
        assert client.data(1) == ["Hello"]


def test_a_view_decides_who_may_hold(server: Server) -> None:
    client = server.hold("room:5", token="wrong")
    assert (client.response.status, client.response.read()) == (403, b"You may not read this.")
    client.close()


def test_a_client_gets_what_it_has_missed(server: Server) -> None:
    with server.hold("room:6") as client:
        server.publish("room:6", "1")
        last = client.events(1)[0].last_event_id
    server.publish("room:6", "2")
    server.publish("room:6", "3")
    with server.hold("room:6", after=last) as client:
        server.publish("room:6", "4")
        assert client.data(3) == ["2", "3", "4"]


def test_the_id_may_be_a_parameter_of_the_url(server: Server) -> None:
    first = server.publish("room:7", "1")
    server.publish("room:7", "2")
    with server.hold("room:7", last_event_id=first) as client:
        assert client.data(1) == ["2"]


def test_the_view_may_say_what_a_client_has(server: Server) -> None:
    sent = [server.publish("room:8", str(number)) for number in range(3)]
    path = f"/events-of-the-view?channel=room:8&after={sent[1]}"
    with EventClient(server.address, path, {"Last-Event-ID": sent[0]}) as client:
        assert client.data(1) == ["2"]


def test_a_function_of_the_view_ends_the_connection(server: Server) -> None:
    with EventClient(server.address, "/events-that-end") as client:
        assert client.to_end() == []


def test_one_id_counts_for_several_channels(server: Server) -> None:
    names = ("several:a", "several:b")
    with server.hold(*names) as client:
        server.publish("several:a", "a1")
        server.publish("several:b", "b1")
        assert client.data(2) == ["a1", "b1"]
        last = client.events(2)[-1].last_event_id
    for data in ("b2", "a2", "b3"):
        server.publish(f"several:{data[0]}", data)
    with server.hold(*names, after=last) as client:
        assert client.data(3) == ["b2", "a2", "b3"]


def test_a_publisher_chooses_the_id(server: Server) -> None:
    server.publish("chosen", "1", "?id=first")
    server.publish("chosen", "2", "?id=second")
    with server.hold("chosen", after="first") as client:
        (event,) = client.events(1)
        assert (event.data, event.last_event_id) == ("2", "second")


@pytest.mark.parametrize("after", ["old", "nonsense"])
def test_a_client_learns_that_messages_are_missing(server: Server, after: str) -> None:
    sent = [server.publish("short:1", str(number)) for number in range(4)]
    with server.hold("short:1", after=sent[0] if after == "old" else after) as client:
        (event,) = client.events(1)
        assert event.type == "reset"
        assert json.loads(event.data) == {"channels": ["short:1"], "reason": "history"}
        server.publish("short:1", "next")
        assert client.data(2)[1] == "next"


def test_the_other_channels_of_a_client_miss_nothing(server: Server) -> None:
    after = server.publish("short:2", "0")
    for number in range(3):
        server.publish("short:2", f"short {number}")
        server.publish("long", f"long {number}")
    with server.hold("short:2", "long", after=after) as client:
        reset, *others = client.events(4)
        assert json.loads(reset.data) == {"channels": ["short:2"], "reason": "history"}
        assert [each.data for each in others] == ["long 0", "long 1", "long 2"]


@pytest.mark.parametrize("argument", ["keep_alive", "retry"])
@pytest.mark.parametrize("value", [-1, float("inf"), float("nan")])
def test_a_time_of_hold_is_a_number_of_seconds(argument: str, value: float) -> None:
    times: Any = {argument: value}
    with Carboy("held").test_request_context(), pytest.raises(ValueError, match=argument):
        hold("room", **times)


def test_a_connection_holds_from_1_to_100_channels() -> None:
    with Carboy("held").test_request_context():
        with pytest.raises(TypeError, match="requires a channel"):
            hold()
        with pytest.raises(ValueError, match="up to 100 channels"):
            hold(*(f"room:{number}" for number in range(101)))


def test_the_response_is_like_any_other(server: Server) -> None:
    with server.hold("log") as log:
        with EventClient(server.address, "/events-with-more") as client:
            headers = client.response.headers
            assert headers["Content-Type"] == "text/event-stream; charset=utf-8"
            assert headers["X-Accel-Buffering"] == "no"
            assert {each.partition("=")[0] for each in headers.get_all("Set-Cookie", [])} == {
                "session", "colour",
            }  # fmt: skip
            assert client.reader.retry == 1500
            assert client.events(2)[0].data == "state"
            assert client.reader.events[1].type == "opened"
            assert json.loads(client.reader.events[1].data) == {
                "welcome": "ann", "app": "channel_app",
            }  # fmt: skip
            client.until(lambda reader: reader.comments)
        assert log.data(2) == ["ann closed", "response closed"]


def test_subscribers_are_counted_in_all_workers(server: Server) -> None:
    with ExitStack() as stack:
        server.on_both_workers(stack, "who")
        stack.enter_context(server.hold("who", name="ann"))
        found = server.subscribers("who")
        assert found["count"] >= 3
        assert found["names"] == {"ann": 1}
    until(lambda: server.subscribers("who") == {"count": 0, "names": {}}, "the clients have left")


def test_names_that_join_and_leave_are_published(server: Server) -> None:
    with server.hold("seen:1") as client:
        with server.hold("seen:1", name="ann"), server.hold("seen:1", name="ann"):
            pass
        events = client.events(2)
        assert [(each.type, json.loads(each.data)) for each in events] == [
            ("join", {"name": "ann"}), ("leave", {"name": "ann"}),
        ]  # fmt: skip


def test_a_script_sees_subscribers_and_history(server: Server) -> None:
    server.publish("seen:2", "1")
    with server.hold("seen:2", name="ann"):
        code = (
            "from carboy import subscribers, channel_history\n"
            "kept = channel_history('seen:2').messages\n"
            "print(subscribers('seen:2').names, [each.data for each in kept])"
        )
        done = server.script(code)
        assert done.stdout == "{'ann': 1} ['1', '{\"name\": \"ann\"}']\n", done.stderr


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("publish('a b', 1)", "ValueError: 'a b' cannot be the name of a channel."),
        ("publish('', 1)", "ValueError: '' cannot be the name of a channel."),
        ("publish(7, 1)", "TypeError: The name of a channel is text"),
        ("publish('a' * 201, 1)", "ValueError: The name of a channel has up to 200 bytes"),
        ("publish('a', object())", "TypeError: The data of a message is text, bytes or a value"),
        ("publish('a', 1, event='x\\ny')", "ValueError: The event of a message has neither line"),
        ("publish('a', 1, id='x\\ry')", "ValueError: The id of a message has neither line ends"),
        ("publish('a', 1, event=7)", "TypeError: The event of a message is text, not 7."),
        ("publish('a', 'x' * 2000000)", "ValueError: The message of 2000000 bytes for the channel"),
        ("channel('a:*', history=-1)", "ValueError: The history is a number of messages"),
    ],
)
def test_an_error_says_what_is_wrong(server: Server, code: str, error: str) -> None:
    done = server.script(f"from carboy import *\n{code}")
    assert done.returncode == 1
    assert error in done.stderr.splitlines()[-1]


def test_a_script_without_a_server_says_so(server: Server, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import carboy; carboy.publish('a', 1)"],
        cwd=tmp_path, env=server.environ, capture_output=True, text=True, timeout=PATIENCE,
        check=False,
    )  # fmt: skip
    assert "EngineError: " in done.stderr
    assert f"No Carboy server runs for {tmp_path}. Start it" in done.stderr


def test_a_script_does_not_choose_between_two_servers(server: Server) -> None:
    with start(server.folder) as second:
        second.address()
        done = server.script("import carboy; carboy.publish('a', 1)")
        assert "2 Carboy servers run for" in done.stderr


def test_new_workers_continue_where_the_old_ones_were(own_server: Server) -> None:
    with own_server.hold("room", name="ann") as client:
        first = own_server.publish("room", "before")
        own_server.running.send(signal.SIGHUP)
        own_server.running.line("All workers have been replaced")
        own_server.publish("room", "meanwhile")
        events = client.to_end()
        got = [each.data for each in events]
        assert got[0] == "before"
        last = events[-1].last_event_id or first
    with own_server.hold("room", after=last) as again:
        own_server.publish("room", "after")
        rest = again.data(3 - len(got))
    assert got + rest == ["before", "meanwhile", "after"]


def test_a_killed_worker_takes_nothing_with_it(own_server: Server) -> None:
    with ExitStack() as stack:
        one, other = own_server.on_both_workers(stack, "room")
        own_server.publish("room", "1")
        assert one.data(1) == other.data(1) == ["1"]
        os.kill(int(one.response.headers["X-Worker"]), signal.SIGKILL)
        own_server.running.line("another one takes its place")
        own_server.publish("room", "2")
        assert other.data(2) == ["1", "2"]
        lost = one.events(1)[0].last_event_id
        again = stack.enter_context(own_server.hold("room", after=lost))
        assert again.data(1) == ["2"]


def test_the_clients_of_a_killed_worker_have_left(own_server: Server) -> None:
    with ExitStack() as stack:
        client = stack.enter_context(own_server.hold("room", name="ann"))
        assert own_server.subscribers("room")["names"] == {"ann": 1}
        os.kill(int(client.response.headers["X-Worker"]), signal.SIGKILL)
        gone = {"count": 0, "names": {}}
        until(lambda: own_server.subscribers("room") == gone, "the client has left")


def test_a_killed_worker_publishes_that_its_names_have_left(own_server: Server) -> None:
    with ExitStack() as stack:
        one, other = own_server.on_both_workers(stack, "seen:room")
        mine = stack.enter_context(own_server.hold("seen:room", name="ann"))
        killed = str(mine.response.headers["X-Worker"])
        stays = other if one.response.headers["X-Worker"] == killed else one
        assert [each.type for each in stays.events(1)] == ["join"]
        os.kill(int(killed), signal.SIGKILL)
        assert [(each.type, json.loads(each.data)) for each in stays.events(2)] == [
            ("join", {"name": "ann"}), ("leave", {"name": "ann"}),
        ]  # fmt: skip


def test_a_stop_ends_streams_and_says_when_to_connect_again(own_server: Server) -> None:
    with own_server.hold("room") as client:
        before = client.reader.retry
        own_server.running.send(signal.SIGTERM)
        client.to_end()
        assert client.ended
        assert client.reader.retry != before
    assert own_server.running.wait() == 0
    assert not list(own_server.folder.rglob("*.sock"))


def test_a_client_that_does_not_read_is_disconnected(tmp_path: Path) -> None:
    options = ("--hold-buffer", "64k", "--high-water", "64k")
    with start(tmp_path, *options, workers=1) as running, Silent(running.address()):
        server = Server(running, tmp_path, clean_environ(tmp_path))
        with server.hold("room") as client:
            assert server.subscribers("room")["count"] == 2
            count = 0
            while server.subscribers("room")["count"] == 2:
                count += 1
                server.publish("room", f"{count} ".ljust(100_000, "x"))
                assert client.data(count)[-1].startswith(f"{count} ")
            running.line("connections that hold channels were closed because")


def test_a_client_that_does_not_read_may_skip_messages(tmp_path: Path) -> None:
    options = ("--hold-buffer", "64k", "--high-water", "64k", "--hold-slow", "skip")
    with start(tmp_path, *options, workers=1) as running, Silent(running.address()) as silent:
        server = Server(running, tmp_path, clean_environ(tmp_path))
        count = 0
        while not any("messages were skipped" in line for line in running.err):
            assert count < 10_000, running.text()
            count += 1
            server.publish("room", f"{count} ".ljust(100_000, "x"))
        last = server.publish("room", "last")
        reader = silent.read_until(last)
        assert [each.data for each in reader.events if each.type == "reset"] == [
            '{"channels": ["room"], "reason": "slow"}'
        ]
        numbers = [int(each.data.split()[0]) for each in reader.events if each.data[0].isdigit()]
        assert numbers == sorted(numbers)
        assert len(numbers) < count


class Silent:
    """A client that holds the channel "room" and does not read."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.sock = socket.create_connection(address, PATIENCE)
        self.sock.sendall(b"GET /events?channel=room HTTP/1.1\r\nHost: a\r\n\r\n")
        self.sock.recv(1)  # the channels are attached

    def read_until(self, wanted: str) -> Reader:
        """The events up to an id. The chunks of the body are recognised by their sizes alone."""
        response = http.client.HTTPResponse(self.sock)
        response.fp = _AfterFirstByte(self.sock)  # type: ignore[assignment]
        response.begin()
        reader = Reader()
        while reader.last_event_id != wanted:
            reader.feed(response.read1(65536))
        return reader

    def __enter__(self) -> Silent:
        return self

    def __exit__(self, *exc: object) -> None:
        self.sock.close()


class _AfterFirstByte(io.BufferedReader):
    """The bytes of a socket of which "H" has been read."""

    def __init__(self, sock: socket.socket) -> None:
        super().__init__(sock.makefile("rb", buffering=0), 65536)  # type: ignore[arg-type]
        self._first = b"H"

    def readline(self, size: int | None = -1) -> bytes:
        first, self._first = self._first, b""
        return first + super().readline(size)


def test_other_servers_keep_a_thread(tmp_path: Path) -> None:
    code = """
import carboy
from channel_app import app

with app.test_client() as client:
    response = client.get("/events?channel=room", buffered=False)
    pieces = response.iter_encoded()
    print(next(pieces))
    carboy.publish("room", "Hello")
    print(next(pieces).decode().split("data: ")[1].strip())
    response.close()
"""
    (tmp_path / "pyproject.toml").touch()
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=clean_environ(tmp_path),
        capture_output=True, text=True, timeout=PATIENCE, check=False,
    )  # fmt: skip
    assert done.stdout == "b'retry: 3000\\n\\n'\nHello\n", done.stderr
    assert not list(tmp_path.rglob("*.sock"))


def test_a_server_without_a_supervisor_has_channels(tmp_path: Path) -> None:
    with start(tmp_path, "--no-supervisor", workers=1) as running:
        server = Server(running, tmp_path, clean_environ(tmp_path))
        for name, kept in (("short:1", 2), ("room", 10)):  # before the first connection
            for number in range(12):
                server.publish(name, str(number))
            assert server.ask("GET", f"/history/{name}") == list(map(str, range(12)))[-kept:]
        with server.hold("room") as client:
            assert server.script("import carboy; carboy.publish('room', 'Hello')").returncode == 0
            assert client.data(1) == ["Hello"]
        assert running.stop() == 0


def test_a_wrapped_application_holds_without_a_thread(tmp_path: Path) -> None:
    with start(tmp_path, "--threads", "1", workers=1, app="channel_app:wrapped") as running:
        server = Server(running, tmp_path, clean_environ(tmp_path))
        path = "/events?channel=room"
        with EventClient(server.address, path) as one, EventClient(server.address, path) as other:
            assert server.script("import carboy; carboy.publish('room', 'Hello')").returncode == 0
            assert one.data(1) == other.data(1) == ["Hello"]


@pytest.mark.parametrize("kind", ["symlink", "open"])
def test_a_folder_of_sockets_that_others_could_change_is_refused(tmp_path: Path, kind: str) -> None:
    folder = Path(runtime_folder(tmp_path), "carboy")
    if kind == "symlink":
        folder.symlink_to(tmp_path)
    else:
        folder.mkdir()
        folder.chmod(0o777)
    with start(tmp_path, workers=1) as running:
        running.line("There are no channels")
        assert running.get("/quick")[0] == 200


def test_the_socket_can_be_chosen(tmp_path: Path) -> None:
    path = tmp_path / "own.sock"
    with start(tmp_path, "--channels-socket", str(path), workers=1) as running:
        server = Server(running, tmp_path, clean_environ(tmp_path))
        assert path.stat().st_mode & 0o777 == 0o600
        with server.hold("room") as client:
            done = subprocess.run(
                [sys.executable, "-m", "carboy", "publish", "room", "--channels-socket", str(path)],
                cwd="/", env=server.environ, input=b"Hello", timeout=PATIENCE, check=False,
            )  # fmt: skip
            assert done.returncode == 0
            assert client.data(1) == ["Hello"]
