"""The pools of memory that the threads of a process share."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from carboy.server.memory_pools import POOLS, VARIABLES, _has_glibc
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
