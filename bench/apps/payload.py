"""The responses of all applications, so that all do the same work."""

import itertools
import os
import time
from collections.abc import Iterator
from typing import Any

HELLO = "Hello, World!"
DOCUMENT = {
    "id": 4711,
    "name": "Carboy",
    "description": "A large glass bottle with a narrow neck",
    "price": 24.5,
    "in_stock": True,
    "tags": ["glass", "large", "clear"],
    "size": {"height": 48, "width": 31, "unit": "cm"},
    "successor": None,
}
TOKEN = "b7e23ec29af22b0b4e41da31e868d57226121c84"
ORDER = {
    "customer": {"id": 4711, "name": "Ada Lovelace", "email": "ada@example.org"},
    "lines": [
        {"article": f"C-{n:04}", "name": "Glass bottle, 5 l", "quantity": n + 1, "price": 24.5}
        for n in range(11)
    ],
}
"""A body of a request, of about 1 KiB as JSON."""
PIECE = bytes(range(256)) * 256
PIECES = 1600
"""The pieces of a streamed response: 100 MiB, 64 KiB at a time."""
SLEEP_SECONDS = 0.010
CPU_SECONDS = 0.050
ONE_IN = 100

STATIC_FOLDER = os.environ.get("BENCH_STATIC", "/nonexistent")
"""The folder with the static file, which the benchmark creates."""

ROUTES = int(os.environ.get("BENCH_ROUTES", "0"))
"""Number of additional routes with an integer."""

_count = itertools.count(1)


def confirmed(order: dict[str, Any]) -> dict[str, Any]:
    """The response to an order, of about 2 KiB as JSON."""
    lines = [
        {**line, "sum": line["quantity"] * line["price"], "currency": "EUR", "shipped": None,
         "warehouse": "Rotterdam", "id": place}
        for place, line in enumerate(order["lines"])
    ]  # fmt: skip
    total = sum(line["sum"] for line in lines)
    return {"customer": order["customer"], "lines": lines, "total": total, "status": "accepted"}


def pieces() -> Iterator[bytes]:
    """The pieces of a streamed response."""
    return itertools.repeat(PIECE, PIECES)


def sleep_always() -> str:
    """Wait, as for a database."""
    time.sleep(SLEEP_SECONDS)
    return HELLO


def sleep_sometimes() -> str:
    """Wait in one request in a hundred, which cannot be told from the others."""
    if next(_count) % ONE_IN == 0:
        time.sleep(SLEEP_SECONDS)
    return HELLO


def compute() -> str:
    """Use 50 ms of processor time in this thread."""
    end = time.thread_time() + CPU_SECONDS
    while time.thread_time() < end:
        sum(range(200))
    return HELLO
