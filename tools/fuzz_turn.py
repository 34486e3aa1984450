"""Feeds two servers the same random requests over sockets, and compares their responses.

    python tools/fuzz_turn.py 900          for 900 seconds
    python tools/fuzz_turn.py 900 --leaks  one server, valid and refused requests, and its memory

One server runs the compiled functions and the other one their Python twins, with the application as
a framework's, the same over TLS, as WSGI and as ASGI. `make fuzz` runs it with a build under
AddressSanitizer.
The seed is printed, and `--seed N` repeats a run.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TypeVar

from carboy.net.certificates import make_ssl_devcert
from fuzz_speedups import changed

KINDS = ("direct", "wsgi", "asgi")
TLS = "direct over TLS"
HOST = "127.0.0.1"
PATIENCE = 60.0  # seconds, more than a request takes under the sanitizer on a busy machine
T = TypeVar("T")
DATE = re.compile(rb"\r\nDate: [^\r]*")
CLOSES = re.compile(rb"Connection: close|HTTP/1\.0")
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"  # sent unless the body has come already
DEPTH = 16  # pipelined requests of the watch on memory
WARM = 0.2  # of the time, in which caches and pools fill
GROWN = 2_000  # KiB
LEAST = 100  # bytes of responses on a connection, on average

APPLICATIONS = """
import sys

import carboy
from carboy.speedups import speedups

print("Speedups:", speedups.state(), file=sys.stderr, flush=True)
direct = carboy.Flask("fuzzed")


@direct.route("/", methods=["GET", "POST", "OPTIONS"])
@direct.get("/path/<name>")
def hello(name="hello"):
    return name


@direct.post("/echo")
def echo():
    return carboy.request.get_data(), {"X-Length": str(carboy.request.content_length)}


@direct.post("/form")
def form():
    return carboy.jsonify(carboy.request.form.to_dict(flat=False))


@direct.post("/json")
def json():
    token = carboy.request.authorization
    return {"sent": carboy.request.get_json(), "token": token and token.token}


@direct.get("/pieces")
def pieces():
    return carboy.Response(iter([b"a" * 5, b"", b"b" * 5000]))


@direct.get("/nothing")
def nothing():
    return "", 204


def wsgi(environ, start_response):
    body = environ["wsgi.input"].read()
    start_response("200 OK", [("Content-Type", "text/plain"), ("X-Query", environ["QUERY_STRING"])])
    return [environ["REQUEST_METHOD"].encode(), body] if body else [environ["PATH_INFO"].encode("latin-1")]


async def asgi(scope, receive, send):
    if scope["type"] != "http":
        return
    body, more = b"", True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        body += message.get("body", b"")
        more = message.get("more_body", False)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"x-path", scope["raw_path"])]})
    await send({"type": "http.response.body", "body": scope["method"].encode() + body})
"""  # noqa: E501 - the lines of another file

TARGETS = (
    b"/",
    b"/",
    b"/path/a",
    b"/path/%C3%A4",
    b"/?x=1&y=%20",
    b"/missing",
    b"/nothing",
    b"/pieces",
)
BODIES = (
    (b"/echo", b"text/plain", b"sent"), (b"/echo", b"a/b", b"x" * 70_000), (b"/echo", b"a/b", b""),
    (b"/form", b"application/x-www-form-urlencoded", b"a=1&b=%41+c&a=2"),
    (b"/json", b"application/json", b'{"a": [1, 2.5, null, "\xc3\xa4"]}'),
    (b"/json", b"application/json", b'{"a": '), (b"/", b"text/plain", b"a" * 200),
)  # fmt: skip
FIELDS = (
    b"Connection: keep-alive\r\n", b"Connection: close\r\n", b"User-Agent: fuzz/1\r\n",
    b"A: \xff\r\n",
    b"Authorization: Bearer abc.def\r\n", b"Cookie: a=b; c=d\r\n", b"Accept: */*\r\n",
    b"X_Y: z\r\n",
    b"Expect: 100-continue\r\n", b"Accept-Encoding: gzip, br\r\n", b"Referer: http://a/b\r\n",
)  # fmt: skip


def request(choose: random.Random) -> bytes:
    """One request, which is nearly always valid."""
    fields = b"Host: x\r\n" + b"".join(choose.choices(FIELDS, k=choose.choice((0, 0, 1, 3))))
    version = b"1.0" if choose.random() < 0.05 else b"1.1"
    if choose.random() < 0.5:
        method = choose.choice((b"GET", b"GET", b"GET", b"HEAD", b"OPTIONS", b"DELETE"))
        return b"%b %b HTTP/%b\r\n%b\r\n" % (method, choose.choice(TARGETS), version, fields)
    target, kind, body = choose.choice(BODIES)
    start = b"POST %b HTTP/1.1\r\n%bContent-Type: %b\r\n" % (target, fields, kind)
    if choose.random() < 0.8:
        return start + b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
    middle = choose.randrange(len(body) + 1)
    chunks = (body[:middle], body[middle:], b"")
    framed = b"".join(b"%x\r\n%b\r\n" % (len(each), each) for each in chunks if each)
    return start + b"Transfer-Encoding: chunked\r\n\r\n" + framed + b"0\r\n\r\n"


def conversation(choose: random.Random) -> list[bytes]:
    """The bytes that a client sends on a connection, in pieces."""
    requests = [request(choose) for _ in range(choose.choice((1, 1, 2, 3, 8)))]
    if choose.random() < 0.3:
        requests.insert(choose.randrange(len(requests) + 1), changed(choose))
    if choose.random() < 0.3:
        return requests
    data = b"".join(requests)
    if choose.random() < 0.1:
        data = data[: choose.randrange(len(data))]
    places = sorted(choose.randrange(len(data) + 1) for _ in range(choose.choice((0, 1, 1, 4))))
    ends = zip([0, *places], [*places, len(data)], strict=True)
    return [data[start:end] for start, end in ends if start < end]


class TlsSocket:
    """TLS over a connected socket, with a `shutdown` that ends only this side."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        self._tls = context.wrap_bio(self._incoming, self._outgoing)
        self._finish(self._tls.do_handshake)
        self._flush()

    def sendall(self, data: bytes) -> None:
        self._tls.write(data)
        self._flush()

    def shutdown(self, how: int) -> None:
        try:
            self._tls.unwrap()
        except ssl.SSLWantReadError:
            pass  # the alert of the server comes after its responses
        self._flush()
        self._sock.shutdown(how)

    def recv(self, size: int) -> bytes:
        try:
            return self._finish(lambda: self._tls.read(size)) or b""
        except ssl.SSLZeroReturnError:
            return b""

    def _finish(self, step: Callable[[], T]) -> T:
        """The result of `step`, which is repeated until it needs no more from the server."""
        while True:
            try:
                return step()
            except ssl.SSLWantReadError:
                self._flush()
                data = self._sock.recv(1 << 18)
                if not data:
                    raise ConnectionError("The server has closed the connection.") from None
                self._incoming.write(data)

    def _flush(self) -> None:
        if self._outgoing.pending:
            self._sock.sendall(self._outgoing.read())


class Server:
    """`carboy run` of one of the applications."""

    def __init__(self, kind: str, folder: str, compiled: bool) -> None:
        off = "" if compiled else "1"
        self.name = f"{kind}, {'compiled' if compiled else 'Python'}"
        self.tls = kind == TLS
        files = make_ssl_devcert(f"{folder}/server", host=HOST) if self.tls else ()
        certificate = ["--cert", files[0], "--key", files[1]] if files else []
        kind = kind.partition(" ")[0]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "carboy", "run", f"applications:{kind}", "--port", "0",
             "--no-supervisor", "--no-access-log", "--threads", "2", "--interface",
             "asgi" if kind == "asgi" else "wsgi", *certificate],
            cwd=folder, stderr=subprocess.PIPE, text=True,
            env={**os.environ, "CARBOY_NO_SPEEDUPS": off, "PYTHONUNBUFFERED": "1",
                 "PYTHONHASHSEED": "0"},  # a set of methods has an order
        )  # fmt: skip
        assert self.process.stderr is not None
        self.said: list[str] = []
        self.port = 0
        for line in self.process.stderr:
            self.said.append(line)
            found = re.search(rf"https?://{HOST}:(\d+)", line)
            if found is not None:
                self.port = int(found[1])
            if self.port and any(each.startswith("Speedups: ") for each in self.said):
                break
        if not self.port or ("Speedups: compiled\n" in self.said) is not compiled:
            self.process.kill()
            raise SystemExit(f"The server ({self.name}) does not start:\n{''.join(self.said)}")
        self.reader = threading.Thread(target=self._read, args=(self.process.stderr,), daemon=True)
        self.reader.start()

    def _read(self, stream: Iterator[str]) -> None:
        for line in stream:
            self.said = [*self.said[-200:], line]

    def ask(self, pieces: list[bytes]) -> bytes:
        """All that the server sends until it closes the connection."""
        received: list[bytes] = []
        with socket.create_connection((HOST, self.port), PATIENCE) as plain:
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock = TlsSocket(plain) if self.tls else plain
            try:
                for piece in pieces:
                    sock.sendall(piece)
                sock.shutdown(socket.SHUT_WR)
            except OSError:
                pass  # it has refused a request
            try:
                while data := sock.recv(1 << 18):
                    received.append(data)
            except (ConnectionError, ssl.SSLError):
                pass
        return DATE.sub(b"\r\nDate: now", b"".join(received).replace(CONTINUE, b""))

    def check(self) -> None:
        """End the run if the server has ended."""
        if self.process.poll() is not None:
            self.reader.join(PATIENCE)
            sys.exit(f"The server ({self.name}) has ended:\n{''.join(self.said)}")

    def resident(self) -> int:
        """KiB of memory in use."""
        pages = Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]
        return int(pages) * (os.sysconf("SC_PAGE_SIZE") // 1024)

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(PATIENCE)


@contextmanager
def server(kind: str, folder: str, compiled: bool) -> Iterator[Server]:
    """A server that runs until the block ends."""
    running = Server(kind, folder, compiled)
    try:
        yield running
    finally:
        running.stop()


def difference(name: str, pieces: list[bytes], mine: bytes, other: bytes) -> str:
    """A message: the bytes that were sent, and where the responses begin to differ."""
    sent = b"|".join(pieces)
    differ = (at for at, (one, two) in enumerate(zip(mine, other, strict=False)) if one != two)
    at = next(differ, min(len(mine), len(other)))
    shown = slice(max(at - 200, 0), at + 200)
    return (
        f"{name}, after {len(sent)} bytes in {len(pieces)} pieces: {sent[:3000]!r}\n"
        f"{len(mine)} bytes: {mine[shown]!r}\nand not {len(other)} bytes: {other[shown]!r}"
    )


def may_be_cut(pieces: list[bytes], mine: bytes, other: bytes) -> bool:
    """Whether a client may have lost the end, because it sent more after its last request.

    What comes after the server has closed the connection is answered with a reset, and that takes
    what the client has not read yet (RFC 9112, section 9.6).
    """
    short, long = sorted((mine, other), key=len)
    sent = b"".join(pieces)
    ends = [found.end() for found in CLOSES.finditer(sent)]
    return bool(ends) and ends[0] < sent.rfind(b" HTTP/1.") and long.startswith(short)


def compare(choose: random.Random, end: float, folder: str) -> None:
    """Compare until `end`."""
    count = cut = 0
    received: Counter[str] = Counter()
    with ExitStack() as stack:
        pairs = [
            [stack.enter_context(server(kind, folder, compiled)) for compiled in (True, False)]
            for kind in (*KINDS, TLS)
        ]
        while time.monotonic() < end:
            pieces = conversation(choose)
            for pair in pairs:
                try:
                    mine, other = (each.ask(pieces) for each in pair)
                except (ConnectionError, TimeoutError) as error:
                    for each in pair:
                        each.check()
                    sys.exit(f"{pair[0].name} or its twin: {error} after {pieces!r}")
                received[pair[0].name] += len(mine)
                if mine != other:
                    for each in pair:
                        each.check()
                    if may_be_cut(pieces, mine, other):
                        cut += 1
                        continue
                    sys.exit(difference(pair[0].name, pieces, mine, other))
            count += 1
        for pair in pairs:
            for each in pair:
                each.check()
            if received[pair[0].name] < count * LEAST:
                sys.exit(f"The server ({pair[0].name}) has answered almost nothing.")
    print(
        f"{count:,} connections to each of {2 * len(pairs)} servers: no difference"
        f" ({cut} cut, where the client sent more after the last request)"
    )


def refused(choose: random.Random) -> bytes:
    """Requests of which the last one is refused, so that the server closes the connection."""
    return b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" + choose.choice(
        (b"GET / HTTP/1.1\r\n\r\n", b"GET / HTTP/1.1\r\nHost: x\r\nA : b\r\n\r\n", b"\x00\r\n\r\n")
    )


def watch(choose: random.Random, end: float, folder: str) -> None:
    """Send valid and refused requests, and watch the memory of the server."""
    began = time.monotonic()
    valid = bad = first = 0  # `first`: memory after the warm-up
    bursts = [b"".join(request_without_end(choose) for _ in range(DEPTH)) for _ in range(200)]
    with server("direct", folder, True) as running:
        while time.monotonic() < end:
            with socket.create_connection((HOST, running.port), PATIENCE) as sock:
                for burst in choose.choices(bursts, k=200):
                    sock.sendall(burst)
                    missing = DEPTH
                    while missing:
                        data = sock.recv(1 << 18)
                        if not data:
                            running.check()
                            sys.exit("The server has closed a connection.")
                        missing -= data.count(b"hello\n")
                    valid += DEPTH
            for _ in range(100):
                running.ask([refused(choose)])
                bad += 1
            if not first and time.monotonic() - began > (end - began) * WARM:
                first = running.resident()
        grown = running.resident() - first
    print(f"{valid:,} requests and {bad:,} refused ones: {grown:,} KiB more resident memory")
    if grown > GROWN:
        sys.exit("Memory has grown.")


def request_without_end(choose: random.Random) -> bytes:
    """A request that is answered with `hello` and a line feed, with headers that change."""
    body = b"hello\n"
    fields = b"".join(choose.choices(FIELDS[2:8], k=choose.choice((0, 1, 3))))
    start = b"POST /echo HTTP/1.1\r\nHost: x\r\n" + fields
    return start + b"Content-Length: %d\r\n\r\n%b" % (len(body), body)


def main() -> None:
    """Run until the time is over, or until there is a difference."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("seconds", type=float)
    parser.add_argument("--leaks", action="store_true")
    parser.add_argument("--seed", type=int, default=None)
    given = parser.parse_args()
    seed = random.randrange(2**32) if given.seed is None else given.seed
    print(f"seed {seed}, Python {sys.version.split()[0]}", flush=True)
    end = time.monotonic() + given.seconds
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "applications.py").write_text(APPLICATIONS)
        (watch if given.leaks else compare)(random.Random(seed), end, folder)


if __name__ == "__main__":
    main()
