"""Redis is stopped and started again, or hangs, while sessions, limits and channels use it."""

from __future__ import annotations

import http.client
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator

from bench.chaos.client import PATIENCE, Client
from bench.chaos.fault import Fault, Scene
from bench.chaos.ledger import Ledger, Outcome, ways
from bench.chaos.load import Load
from bench.chaos.proxy import listens
from bench.chaos.questions import Question, get, mixed
from bench.chaos.servers import Served, Setup
from bench.chaos.waits import until
from bench.commands import HOST

GONE = 4.0  # seconds
HANGS = 14.0
BACK = 5.0  # seconds within which everything works again
USERS = 8
NAME = "Ada"


class RedisServer:
    """A redis-server that writes its data, so that nothing is missing after a restart."""

    def __init__(self, served: Served) -> None:
        with socket.create_server((HOST, 0)) as free:
            self.port: int = free.getsockname()[1]
        self.folder = served.folder / "redis"
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir()
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        options = ("--bind", HOST, "--port", str(self.port), "--appendonly", "yes", "--save", "")
        self.process = subprocess.Popen(
            ["redis-server", *options, "--dir", self.folder],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        until(lambda: listens((HOST, self.port)), PATIENCE)

    def signal(self, number: int) -> None:
        if self.process is not None:
            self.process.send_signal(number)

    def stop(self) -> None:
        self.signal(signal.SIGCONT)
        self.signal(signal.SIGTERM)
        if self.process is not None:
            self.process.wait()


RUNNING: dict[int, RedisServer] = {}  # by the port of the server that uses it


def with_redis(served: Served) -> None:
    redis = RUNNING[served.port] = RedisServer(served)
    redis.start()
    served.at_end(redis.stop)
    served.variables["SHARED_URL"] = f"redis://{HOST}:{redis.port}"
    served.variables["CARBOY_CHANNELS"] = f"redis://{HOST}:{redis.port}"


def absent() -> str | None:
    found = shutil.which("redis-server")
    return None if found else "redis-server is not installed (Debian: apt-get install redis-server)"


def stop_redis(scene: Scene) -> None:
    redis = RUNNING[scene.served.port]

    def away() -> None:
        redis.stop()
        time.sleep(GONE)
        redis.start()

    for _ in scene.every(1.0):
        take_away(scene, away)


def hang_redis(scene: Scene) -> None:
    redis = RUNNING[scene.served.port]

    def away() -> None:
        redis.signal(signal.SIGSTOP)
        time.sleep(HANGS)
        redis.signal(signal.SIGCONT)

    for _ in scene.every(1.0):
        take_away(scene, away)


def take_away(scene: Scene, away: object) -> None:
    """Use sessions and a channel before, during and after `away`."""
    assert callable(away)
    users, cookie = Ledger(), log_in(scene)
    reader = Reader(scene)
    with reader, Publisher(scene) as publisher:
        with Load(scene.address, users, clients=USERS, source=lambda number: visits(cookie)):
            time.sleep(1.0)
            away()
            back = time.monotonic()
            works(scene, cookie, back)
        scene.until(lambda: publisher.works_since(back), BACK, "nothing can be published")
        publisher.finish()
        wanted = publisher.published
        scene.until(lambda: set(wanted) <= set(reader.seen), BACK, "messages are missing")
    order = [each for each in reader.seen if each in set(wanted)]
    if order != sorted(set(order)):
        scene.miss("messages came twice or in another order")
    if users.lost:
        scene.miss(f"lost requests with sessions: {ways(users.losses)}")
    scene.note(
        f"with sessions: {users.right} right, {users.refused} refused (503),"
        f" the slowest right one {users.slowest:.1f} s;"
        f" {len(wanted)} messages published, {publisher.refused} refused, all read"
    )


def works(scene: Scene, cookie: str, back: float) -> None:
    """Wait until requests with sessions are answered again, and note how long it took."""
    client = Client(scene.address, Ledger(), keep=False)
    (question,) = [next(visits(cookie))]
    if scene.until(lambda: client.ask(question) is Outcome.RIGHT, BACK, "sessions do not work"):
        scene.recoveries.append(time.monotonic() - back)


def log_in(scene: Scene) -> str:
    connection = http.client.HTTPConnection(*scene.address, timeout=PATIENCE)
    connection.request("GET", f"/log-in/{NAME}")
    response = connection.getresponse()
    response.read()
    connection.close()
    return (response.getheader("Set-Cookie") or "").partition(";")[0]


def visits(cookie: str) -> Iterator[Question]:
    """Requests of a user whose name is in the session."""
    plain = get("/name", NAME.encode())
    request = plain.request.replace(b"\r\n\r\n", f"\r\nCookie: {cookie}\r\n\r\n".encode())
    while True:
        yield Question(request, plain.body)


def pages(number: int) -> Iterator[Question]:
    """Requests that have to work without Redis: ordinary ones, and a view with a limit."""
    for one, question in enumerate(mixed(number)):
        yield get(f"/limited/{one}", b"limited %d" % one)
        yield question


class Publisher:
    """A client that publishes numbers, and knows which were accepted; a context manager."""

    def __init__(self, scene: Scene) -> None:
        self.published: list[int] = []
        self.refused = 0
        self._last = 0.0
        self._client = Client(scene.address, Ledger())
        self._enough = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        number = 0
        while not self._enough.wait(0.02):
            number += 1
            question = get(f"/publish/{number}", b"published %d" % number)
            if self._client.ask(question) is Outcome.RIGHT:
                self.published.append(number)
                self._last = time.monotonic()
            else:
                self.refused += 1
        self._client.close()

    def works_since(self, moment: float) -> bool:
        return self._last > moment

    def finish(self) -> None:
        self._enough.set()
        self._thread.join()

    def __enter__(self) -> Publisher:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.finish()


class Reader:
    """A client that holds the channel; a context manager. `seen` are the numbers that came."""

    def __init__(self, scene: Scene) -> None:
        self.seen: list[int] = []
        self._connection = http.client.HTTPConnection(*scene.address, timeout=60)
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        try:
            for line in self._response:
                if line.startswith(b"data:"):
                    self.seen.append(int(line[5:]))
        except (OSError, ValueError, AttributeError):
            pass  # closed

    def __enter__(self) -> Reader:
        self._connection.connect()
        self._socket = self._connection.sock
        self._connection.request("GET", "/news")
        self._response = self._connection.getresponse()
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join(PATIENCE)
        self._connection.close()


SETUP = Setup(target="bench.chaos.on_redis:app")
FAULTS = [
    Fault(
        "redis",
        f"Redis, with sessions, limits and channels, is stopped for {GONE:g} s",
        stop_redis,
        prepare=with_redis,
        setup=SETUP,
        servers=("carboy",),
        source=pages,
        seconds=10,
        missing=absent,
    ),
    Fault(
        "redis-hangs",
        f"the same Redis does not answer (SIGSTOP) for {HANGS:g} s",
        hang_redis,
        prepare=with_redis,
        setup=SETUP,
        servers=("carboy",),
        source=pages,
        seconds=10,
        missing=absent,
    ),
]
