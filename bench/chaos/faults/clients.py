"""Clients that read slowly or not at all, send slowly, or send requests that are slow to parse."""

from __future__ import annotations

import time

from bench.chaos.crowd import Crowd, drip, sip
from bench.chaos.fault import Fault, Scene
from bench.chaos.questions import Question, get
from bench.chaos.servers import Setup

READERS = 40  # more than the server has threads
FEW = 3  # more than one thread
PIECES = 400  # of 64 KiB each, more than all buffers hold
UPLOADS = 100
SILENCE = 3
MERCY = 2.0
SLOWLORIS = 400
STREAM = get(f"/stream/{PIECES}").request
UPLOAD = b"POST /reverse HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n" + bytes(10_000)
CHUNKED = b"POST /reverse HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
ONE_BYTE_CHUNKS = Question(CHUNKED + b"1\r\nx\r\n" * 100_000 + b"0\r\n\r\n", b"x" * 100_000)
HOSTILE = get("/files/" + "a/in/" * 1_500 + "x")


def do_not_read(scene: Scene) -> None:
    for _ in scene.every(1.0):
        readers = READERS if scene.fault.setup.threads > 1 else FEW
        with Crowd(scene.address, readers, STREAM):
            time.sleep(2.0)
        scene.until(
            lambda: scene.fetch("/streams") == "0", 5, "the generators have not been closed"
        )


def read_slowly(scene: Scene) -> None:
    with Crowd(scene.address, READERS, STREAM, sip(1_000), pause=0.5):
        for _ in scene.every(1.0):
            pass
    scene.until(lambda: scene.fetch("/streams") == "0", 5, "the generators have not been closed")


def send_heads_slowly(scene: Scene) -> None:
    head = b"GET / HTTP/1.1\r\nX: "
    with Crowd(scene.address, SLOWLORIS, head, drip(b"x"), pause=0.3, again=True):
        for _ in scene.every(1.0):
            pass


def stall_uploads(scene: Scene) -> None:
    for _ in scene.every(1.0):
        with Crowd(scene.address, UPLOADS, UPLOAD) as crowd:
            scene.until(
                lambda: crowd.held() == 0, SILENCE + MERCY, "silent uploads have not been ended"
            )


def send_single_bytes(scene: Scene) -> None:
    with scene.nuisance(ONE_BYTE_CHUNKS, clients=2):
        for _ in scene.every(1.0):
            pass


def ask_hostile_urls(scene: Scene) -> None:
    with scene.nuisance(HOSTILE, clients=4):
        for _ in scene.every(1.0):
            pass


ONE = Setup(workers=1)
FAULTS = [
    Fault(
        "do-not-read",
        f"{READERS} clients do not read the response of a generator; one process, 32 threads",
        do_not_read,
        setup=ONE,
    ),
    Fault(
        "do-not-read-1",
        "3 clients do not read the response of a generator; one process, one thread",
        do_not_read,
        setup=Setup(workers=1, threads=1),
    ),
    Fault(
        "read-slowly",
        f"{READERS} clients read the response of a generator at 2 kB/s; one process, 32 threads",
        read_slowly,
        setup=ONE,
        seconds=3,
    ),
    Fault(
        "slowloris",
        f"{SLOWLORIS} clients send one byte of a request head every 0.3 s",
        send_heads_slowly,
        seconds=3,
    ),
    Fault(
        "stalled",
        f"{UPLOADS} uploads stop in the middle; silence timeout {SILENCE} s",
        stall_uploads,
        setup=Setup(options={"carboy": ("--silence-timeout", str(SILENCE))}),
        seconds=3,
    ),
    Fault(
        "chunks",
        "two clients send bodies of 100,000 chunks with one byte each",
        send_single_bytes,
        seconds=3,
    ),
    Fault(
        "urls",
        "four clients request a URL of 7 KB that almost matches a rule with two path converters",
        ask_hostile_urls,
        seconds=3,
    ),
]
