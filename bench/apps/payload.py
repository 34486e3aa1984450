"""What every application answers, so that all do the same work."""

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
"""The folder of the file for the static work, made by the benchmark."""

ROUTES = int(os.environ.get("BENCH_ROUTES", "0"))
"""How many routes with one integer are registered beside the others."""

_count = itertools.count(1)


def sleep_always() -> str:
    """Wait as a database would be waited for."""
    time.sleep(SLEEP_SECONDS)
    return HELLO


def sleep_sometimes() -> str:
    """Wait in one request of a hundred; nothing in the request tells which."""
    if next(_count) % ONE_IN == 0:
        time.sleep(SLEEP_SECONDS)
    return HELLO


def compute() -> str:
    """Burn 50 ms of this thread's processor time, however long that takes."""
    end = time.thread_time() + CPU_SECONDS
    while time.thread_time() < end:
        sum(range(200))
    return HELLO
