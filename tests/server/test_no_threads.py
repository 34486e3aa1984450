"""The system refuses threads: requests are answered by the threads that exist."""

from __future__ import annotations

import resource
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from carboy.gateway import for_application
from carboy.net import listen_tcp
from carboy.server import crew
from carboy.server.engine import Engine
from carboy.server.settings import Settings
from live_engine import eventually, hello, served
from running import Running

SLOW = 0.005  # seconds, above the budget


class Quota:
    """Threads that the crew may still start."""

    def __init__(self) -> None:
        self.left = 1_000_000

    def thread(self, *args: Any, **kwargs: Any) -> threading.Thread:
        quota = self

        class Thread(threading.Thread):
            def start(self) -> None:
                if not quota.left:
                    raise RuntimeError("can't start new thread")
                quota.left -= 1
                super().start()

        return Thread(*args, **kwargs)


@pytest.fixture
def quota(monkeypatch: pytest.MonkeyPatch) -> Iterator[Quota]:
    quota = Quota()
    substitute = SimpleNamespace(**{**vars(threading), "Thread": quota.thread})
    monkeypatch.setattr(crew, "threading", substitute)
    monkeypatch.setattr(crew, "RETRY_AFTER", 0.0)
    return quota


def waits(go: threading.Event) -> Callable[..., list[bytes]]:
    """An application that waits for `go`, at /slow for a moment, and elsewhere not at all."""

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        path = environ["PATH_INFO"]
        if path.startswith("/wait"):
            assert go.wait(30)
        elif path == "/slow":
            threading.Event().wait(SLOW)
        return hello(environ, start_response)

    return app


@pytest.mark.parametrize("left", [1, 2], ids=["only the leader", "and the watcher"])
def test_the_leader_alone_answers_quick_and_slow_requests(quota: Quota, left: int) -> None:
    quota.left = left
    go = threading.Event()
    go.set()
    with served(waits(go)) as live, ExitStack() as stack:
        clients = [stack.enter_context(live.client()) for _ in range(6)]
        for _ in range(3):
            for number, client in enumerate(clients):
                client.request("GET", ("/slow", "/quick")[number % 2])
            for client in clients:
                assert client.reply().body == b"hello"
        eventually(lambda: not live.engine.in_flight())


def test_a_leader_that_cannot_be_replaced_leads_again_after_its_handler(quota: Quota) -> None:
    go = threading.Event()
    with served(waits(go)) as live, live.client() as stuck:
        live.get("/quick")
        quota.left = 0
        stuck.request("GET", "/wait")
        eventually(live.engine.in_flight)
        with live.client() as behind:
            behind.request("GET", "/quick")
            go.set()
            assert stuck.reply().body == b"hello"
            assert behind.reply().body == b"hello"
        assert live.get("/slow").body == b"hello"


def test_a_leader_is_replaced_as_soon_as_a_thread_can_be_started_again(quota: Quota) -> None:
    go = threading.Event()
    with served(waits(go)) as live, live.client() as stuck, live.client() as behind:
        live.get("/quick")
        quota.left = 0
        stuck.request("GET", "/wait")
        eventually(live.engine.in_flight)
        behind.request("GET", "/quick")
        quota.left = 1
        assert behind.reply().body == b"hello"
        assert not go.is_set()
        go.set()
        assert stuck.reply().body == b"hello"


def test_a_thread_that_gets_free_replaces_a_stuck_leader(quota: Quota) -> None:
    first, second = threading.Event(), threading.Event()

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        path = environ["PATH_INFO"]
        if path != "/quick":
            assert {"/first": first, "/second": second}[path].wait(30)
        return hello(environ, start_response)

    with served(app) as live, ExitStack() as stack:
        one, two, three = (stack.enter_context(live.client()) for _ in range(3))
        one.request("GET", "/first")  # deposes the first leader
        eventually(lambda: live.engine.crew.away == 1)
        quota.left = 0
        two.request("GET", "/second")  # and no thread can replace the second leader
        eventually(lambda: len(live.engine.in_flight()) == 2)
        three.request("GET", "/quick")
        first.set()  # now a thread is free
        assert one.reply().body == b"hello"
        assert three.reply().body == b"hello"
        second.set()
        assert two.reply().body == b"hello"


def test_a_thread_leads_even_if_replacing_a_leader_fails() -> None:
    go = threading.Event()

    def fails(*what: object) -> None:
        raise MemoryError

    with served(waits(go)) as live, live.client() as stuck:
        live.get("/quick")
        live.engine.crew.on_deposed = fails
        stuck.request("GET", "/wait")
        eventually(lambda: live.engine.crew.away)
        assert live.get("/quick").body == b"hello"
        go.set()
        assert stuck.reply().body == b"hello"


def test_slow_requests_wait_for_the_existing_threads(quota: Quota) -> None:
    go = threading.Event()
    with served(waits(go), threads=8, inline_budget=0.05) as live, ExitStack() as stack:
        live.engine.dispatch_times.averages["GET /wait"] = 1.0
        live.engine.dispatch_times.next_trial = float("inf")
        live.get("/quick")
        quota.left = 2
        clients = [stack.enter_context(live.client()) for _ in range(6)]
        for client in clients:
            client.request("GET", "/wait")
        eventually(lambda: len(live.engine.scheduler.queue) == 4)
        assert live.get("/quick").body == b"hello"
        go.set()
        for client in clients:
            assert client.reply().body == b"hello"


def test_a_worker_without_any_thread_ends_and_says_why(quota: Quota) -> None:
    quota.left = 0
    with listen_tcp("127.0.0.1", 0) as listener:
        engine = Engine(for_application(hello), [listener], Settings())
        with pytest.raises(RuntimeError, match="No thread can be started"):
            engine.run()


APP = """
import time

def app(environ, start_response):
    if environ["PATH_INFO"] == "/slow":
        time.sleep(0.02)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello"]
"""


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="needs Linux")
@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_process_without_room_for_threads_goes_on_serving(tmp_path: Path, workers: str) -> None:
    (tmp_path / "service.py").write_text(APP)
    with Running("run", "service", "-p", "0", "-w", workers, cwd=tmp_path) as server:
        assert server.get("/")[0] == 200
        for pid in processes(server.pid):
            pages = int(Path(f"/proc/{pid}/statm").read_text().split()[0])
            room = pages * resource.getpagesize() + 4 * 1024 * 1024  # less than a stack takes
            resource.prlimit(pid, resource.RLIMIT_AS, (room, room))
        answers: list[Any] = []

        def ask(path: str) -> None:
            answers.append(server.get(path))

        for _ in range(2):
            asking = [threading.Thread(target=ask, args=(p,)) for p in ("/slow", "/") * 10]
            for thread in asking:
                thread.start()
            for thread in asking:
                thread.join(60)
        assert answers == [(200, b"hello")] * 40
        assert server.process.poll() is None


def processes(pid: int) -> list[int]:
    found = [pid]
    for thread in Path(f"/proc/{pid}/task").iterdir():
        for child in (thread / "children").read_text().split():
            found += processes(int(child))
    return found


ASGI = """
import threading

start = threading.Thread.start

def refuse(self):
    if self.name == {refused!r}:
        raise RuntimeError("can't start new thread")
    start(self)

threading.Thread.start = refuse

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        raise RuntimeError("no lifespan")
    await send({{"type": "http.response.start", "status": 200, "headers": []}})
    await send({{"type": "http.response.body", "body": b"hello"}})
"""


@pytest.mark.parametrize(
    ("refused", "options"),
    [
        ("carboy-loop", ()),
        ("carboy-stand-in", ()),
        ("carboy-stand-in", ("--no-supervisor",)),
        ("carboy-heartbeat", ()),
    ],
)
def test_a_server_whose_own_threads_are_refused_says_so_and_ends(
    tmp_path: Path, refused: str, options: tuple[str, ...]
) -> None:
    """The stand-in's thread of an ASGI server included, which a held loop needs."""
    (tmp_path / "service.py").write_text(ASGI.format(refused=refused))
    with Running("run", "service", "-p", "0", *options, cwd=tmp_path) as server:
        server.line("No thread can be started to serve requests. Raise the limit of processes")
        assert "Traceback" not in server.text()
        assert server.wait() == 1
