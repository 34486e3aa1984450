"""The clients: wrk for the load, and two small clients for what wrk cannot do."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import resource
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from bench import certificate, rivals
from bench.apps import payload
from bench.commands import HOST
from bench.servers import ServerFailed, pinned
from bench.work import Exchange

CONNECTIONS = 64
PROBE_SECONDS = 15
SCRIPT = Path(__file__).parent / "request.lua"


@dataclass(frozen=True)
class Load:
    """The result of a run of wrk."""

    requests: int
    seconds: float
    p50_ms: float
    p99_ms: float
    refused: int  # responses with a status of 400 or more
    broken: int  # connections with errors or timeouts
    busy: float  # the share of its core that the load generator used

    @property
    def per_second(self) -> float:
        return self.requests / self.seconds


def _connect(port: int, scheme: str) -> http.client.HTTPConnection:
    if scheme == "http":
        return http.client.HTTPConnection(HOST, port, timeout=PROBE_SECONDS)
    context = ssl.create_default_context(cafile=certificate.files()[0])
    return http.client.HTTPSConnection(HOST, port, timeout=PROBE_SECONDS, context=context)


def probe(port: int, exchange: Exchange, scheme: str = "http") -> None:
    """Send one request. Raises ServerFailed unless status and body are right."""
    connection = _connect(port, scheme)
    try:
        connection.request(exchange.method, exchange.path, exchange.body, exchange.headers)
        response = connection.getresponse()
        body = response.read()
    except (OSError, http.client.HTTPException) as error:
        raise ServerFailed(
            f"There was no response to {exchange.method} {exchange.path}: {error!r}"
        ) from error
    finally:
        connection.close()
    if response.status != exchange.status or not exchange.accepts(body):
        raise ServerFailed(
            f"Wrong response to {exchange.method} {exchange.path}: {response.status} {body[:200]!r}"
        )


def until_subscribed(port: int, many: int) -> None:
    """Wait until GET /subscribers says `many`. Raises ServerFailed."""
    end = time.monotonic() + PROBE_SECONDS
    said = b""
    while time.monotonic() < end:
        connection = http.client.HTTPConnection(HOST, port, timeout=PROBE_SECONDS)
        try:
            connection.request("GET", "/subscribers")
            said = connection.getresponse().read()
        except (OSError, http.client.HTTPException) as error:
            raise ServerFailed(f"There was no response to /subscribers: {error!r}") from error
        finally:
            connection.close()
        if said == str(many).encode():
            return
        time.sleep(0.05)
    raise ServerFailed(f"{said.decode(errors='replace')} of {many} clients are subscribed.")


def write_request(exchange: Exchange, file: Path) -> None:
    """Write the request in the format of request.lua."""
    rarely = f" {payload.ONE_IN} {exchange.rarely}" if exchange.rarely else ""
    pipelined = f" x{exchange.pipelined}" if exchange.pipelined > 1 else ""
    lines = [f"{exchange.method} {exchange.path}{rarely}{pipelined}"]
    lines += [f"{name}: {value}" for name, value in exchange.headers.items()]
    file.write_bytes("\n".join(lines).encode() + b"\n\n" + exchange.body)


def busy_share(before: resource.struct_rusage, seconds: float) -> float:
    """The share of a core that the child processes that have ended since `before` used."""
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return used / seconds


def wrk(
    port: int,
    request: Path,
    core: int,
    seconds: float,
    scheme: str = "http",
    connections: int = CONNECTIONS,
) -> Load:
    """Run wrk on `core` for `seconds` (rounded, as wrk takes whole seconds)."""
    whole = max(1, round(seconds))
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = ["wrk", "-t1", f"-c{connections}", f"-d{whole}s", "-s", str(SCRIPT)]
    done = subprocess.run(
        pinned(core, [*command, f"{scheme}://{HOST}:{port}/"]),
        env={**os.environ, "BENCH_REQUEST": str(request)},
        cwd=rivals.ROOT,
        capture_output=True,
        text=True,
        timeout=whole + 30,
        check=False,
    )
    if done.returncode:
        raise ServerFailed(f"wrk failed: {done.stderr.strip() or done.stdout.strip()}")
    said = json.loads(done.stdout.splitlines()[-1])
    return Load(
        requests=said["requests"],
        seconds=said["microseconds"] / 1e6,
        p50_ms=said["p50"] / 1000,
        p99_ms=said["p99"] / 1000,
        refused=said["status"],
        broken=said["connect"] + said["read"] + said["write"] + said["timeout"],
        busy=busy_share(before, said["microseconds"] / 1e6),
    )


@dataclass
class Beside:
    """The durations of the CPU-bound requests, in milliseconds."""

    milliseconds: list[float] = field(default_factory=list)


@contextlib.contextmanager
def one_a_second(port: int, path: str) -> Iterator[Beside]:
    """Request `path` once a second, on separate connections, during this context."""
    enough = threading.Event()
    beside = Beside()

    def ask() -> None:
        while not enough.wait(0.5 if not beside.milliseconds else 1.0):
            start = time.perf_counter()
            with contextlib.suppress(ServerFailed):
                probe(port, Exchange(path=path))
                beside.milliseconds.append((time.perf_counter() - start) * 1000)

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield beside
    finally:
        enough.set()
        thread.join()


def allow_files(many: int) -> None:
    """Raise the soft limit of open files for this process and the servers it starts."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = many if hard == resource.RLIM_INFINITY else min(many, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


@contextlib.contextmanager
def idle_connections(port: int, many: int) -> Iterator[list[socket.socket]]:
    """Open `many` connections, get a response on each, and keep them open."""
    open_ones: list[socket.socket] = []
    try:
        for _ in range(many):
            one = socket.create_connection((HOST, port), PROBE_SECONDS)
            open_ones.append(one)
            one.sendall(f"GET / HTTP/1.1\r\nHost: {HOST}:{port}\r\n\r\n".encode())
            if not one.recv(65536).startswith(b"HTTP/1.1 200"):
                raise ServerFailed(f"Connection {len(open_ones)} got no response.")
            one.setblocking(False)
        yield open_ones
    except OSError as error:
        raise ServerFailed(f"Connection {len(open_ones)} of {many} failed: {error!r}") from error
    finally:
        for one in open_ones:
            one.close()


def still_open(connections: list[socket.socket]) -> int:
    """The number of connections that the server has not closed."""
    return sum(map(_is_open, connections))


def _is_open(connection: socket.socket) -> bool:
    try:
        while received := connection.recv(65536):  # a body that was sent after its head
            del received
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False
