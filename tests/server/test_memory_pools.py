"""The pools of memory that the threads of a process share."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from carboy.server.memory_pools import (
    GROWN,
    PAUSE,
    POOLS,
    VARIABLES,
    PoolTrimmer,
    _has_glibc,
)
from carboy.server.processes.heartbeat import Heartbeat
from carboy.server.scoreboard import Figure
from running import Running

needs_glibc = pytest.mark.skipif(not _has_glibc(), reason="another C library")

# malloc_info(3) writes an element for each pool.
COUNT = """
import ctypes, os, tempfile, threading

def pools():
    libc = ctypes.CDLL(None)
    libc.fdopen.restype = ctypes.c_void_p
    with tempfile.TemporaryFile() as file:
        stream = ctypes.c_void_p(libc.fdopen(os.dup(file.fileno()), b"w"))
        libc.malloc_info(0, stream)
        libc.fclose(stream)
        file.seek(0)
        return file.read().count(b"<heap nr=")

def pools_of_threads(count):
    together = threading.Barrier(count)
    def allocate():
        kept = bytes(100_000)
        together.wait(30)
    threads = [threading.Thread(target=allocate) for _ in range(count)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    return pools()
"""


def pools(code: str, **variables: str) -> str:
    env = {name: value for name, value in os.environ.items() if name not in VARIABLES} | variables
    found = subprocess.run(
        [sys.executable, "-c", COUNT + code], env=env, capture_output=True, text=True, check=True
    )
    return found.stdout.strip()


@needs_glibc
def test_threads_share_two_pools() -> None:
    code = "from carboy.server.memory_pools import limit_pools\nassert limit_pools()\n"
    assert int(pools("print(pools_of_threads(8))")) > POOLS
    assert int(pools(code + "print(pools_of_threads(8))")) <= POOLS


@needs_glibc
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MALLOC_ARENA_MAX", "4"),
        ("MALLOC_TRIM_THRESHOLD_", "1000000"),
        ("GLIBC_TUNABLES", "glibc.malloc.arena_max=4"),
    ],
)
def test_a_limit_of_the_environment_stays(name: str, value: str) -> None:
    code = "from carboy.server.memory_pools import limit_pools\nprint(limit_pools())"
    assert pools(code, **{name: value}) == "False"


@needs_glibc
@pytest.mark.parametrize("workers", ["1", "2"])
def test_the_threads_of_a_worker_share_two_pools(tmp_path: Path, workers: str) -> None:
    (tmp_path / "counted.py").write_text(
        COUNT
        + """
import carboy
app = carboy.Flask("counted")

@app.get("/")
def index():
    return str(pools_of_threads(8))
"""
    )
    with Running(
        "run", "counted:app", "--workers", workers, "--port", "0", cwd=tmp_path, fresh=True
    ) as server:
        assert int(server.get("/")[1]) <= POOLS


def trimmer() -> tuple[PoolTrimmer, list[str]]:
    trims: list[str] = []
    return PoolTrimmer(lambda: trims.append("trim")), trims


def test_pools_are_trimmed_when_the_process_has_grown() -> None:
    looks, trims = trimmer()
    looks.look(100.0, 50e6)
    looks.look(101.0, 50e6 + GROWN - 1)
    assert trims == []
    looks.look(102.0, 50e6 + GROWN)
    assert trims == ["trim"]


def test_pools_are_not_trimmed_again_for_a_while_and_only_after_more_growth() -> None:
    looks, trims = trimmer()
    looks.look(100.0, 50e6)
    looks.look(101.0, 60e6)
    looks.look(102.0, 52e6)  # what is left afterwards
    looks.look(103.0, 60e6)
    looks.look(100.0 + PAUSE, 60e6)
    assert trims == ["trim"]
    looks.look(101.0 + PAUSE, 52e6 + GROWN - 1)
    assert trims == ["trim"]
    looks.look(102.0 + PAUSE, 52e6 + GROWN)
    assert trims == ["trim", "trim"]


@needs_glibc
def test_memory_between_blocks_in_use_is_given_back() -> None:
    code = """
from carboy.server.machine import resident
from carboy.server.memory_pools import PoolTrimmer, limit_pools
limit_pools()
blocks = [bytes(range(250)) * 400 for _ in range(400)]  # 100,000 bytes each
del blocks[::2]
before = resident(os.getpid())
looks = PoolTrimmer()
looks.look(1.0, 0)
looks.look(2.0, before)
print(before - resident(os.getpid()))
"""
    assert int(pools(code)) > 10_000_000


def test_each_beat_of_a_worker_looks_at_its_memory() -> None:
    row = SimpleNamespace(cells=dict.fromkeys(Figure, 0.0))
    crew = SimpleNamespace(current=SimpleNamespace(slot=[]), running={}, threads=1)
    engine: Any = SimpleNamespace(row=row, crew=crew, nudge=lambda: None)
    looks: list[tuple[float, float]] = []
    heartbeat = Heartbeat(engine, 1.0)
    heartbeat.trimmer.look = lambda now, memory: looks.append((now, memory))  # type: ignore[method-assign]
    heartbeat.beat(5.0)
    assert looks == [(5.0, row.cells[Figure.MEMORY])]
    assert looks[0][1] > 1_000_000
