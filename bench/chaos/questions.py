"""Requests with the expected response of each. All responses to a client are different."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from bench.chaos import views

HOST = "chaos.example"
HALF = 0.2  # seconds between the halves of a slow request


@dataclass(frozen=True)
class Question:
    """The bytes of a request, and its expected response; None accepts any body."""

    request: bytes
    body: bytes | None
    status: int = 200
    pause: float = 0.0  # seconds between the two halves of the request


Source = Callable[[int], Iterator[Question]]
"""The endless requests of a client with this number."""


def get(path: str, body: bytes | None = None, status: int = 200) -> Question:
    return Question(_head("GET", path), body, status)


def post(path: str, content: bytes, body: bytes, pause: float = 0.0) -> Question:
    head = _head("POST", path, f"Content-Length: {len(content)}", "Content-Type: text/plain")
    return Question(head + content, body, pause=pause)


def _head(method: str, path: str, *fields: str) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", f"Host: {HOST}", *fields, "", ""]
    return "\r\n".join(lines).encode()


HELLO_BODY = views.HELLO.encode()
HELLO = get("/", HELLO_BODY)


def mixed(number: int) -> Iterator[Question]:
    """The requests of an ordinary application: small and large, quick and waiting, with bodies."""
    chance = random.Random(number)
    while True:
        one = chance.randrange(10**9)
        yield get(f"/double/{one}", b"%d" % (2 * one))
        content = chance.randbytes(chance.choice((1, 100, 5_000, 20_000))).hex().encode()
        yield post("/reverse", content, content[::-1])
        yield get(f"/wait/{one}", b"waited %d" % one)
        yield get(f"/page/{one}", views.page(one))
        yield HELLO


def quick(number: int) -> Iterator[Question]:
    """Requests with quick responses."""
    chance = random.Random(number)
    while True:
        one = chance.randrange(10**9)
        yield get(f"/double/{one}", b"%d" % (2 * one))


def posts(number: int) -> Iterator[Question]:
    """Mostly POSTs, which clients and proxies may not repeat by themselves.

    One in ten is sent in two halves, so that a stop or a reload may happen between them.
    """
    chance = random.Random(number)
    while True:
        content = chance.randbytes(chance.choice((10, 1_000, 20_000))).hex().encode()
        pause = HALF if chance.random() < 0.1 else 0.0
        yield post("/reverse", content, content[::-1], pause)
        one = chance.randrange(10**9)
        yield get(f"/double/{one}", b"%d" % (2 * one))
