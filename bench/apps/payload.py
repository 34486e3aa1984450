"""The responses of all applications, so that all do the same work."""

import itertools
import os
import time

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
SLEEP_SECONDS = 0.010
CPU_SECONDS = 0.050
ONE_IN = 100

STATIC_FOLDER = os.environ.get("BENCH_STATIC", "/nonexistent")
"""The folder with the static file, which the benchmark creates."""

ROUTES = int(os.environ.get("BENCH_ROUTES", "0"))
"""Number of additional routes with an integer."""

_count = itertools.count(1)


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
