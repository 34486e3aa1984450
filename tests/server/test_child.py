"""The end of a process that was forked to do one piece of work."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest

from carboy.server.processes import child
from running import alive, await_gone, in_a_fresh_process

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="forks")


def said_by_child(work: Callable[[], str]) -> str:
    """The result of `work` in a process that has ended since."""
    reader, writer = os.pipe()
    if (pid := os.fork()) == 0:
        os.close(reader)
        child.live(lambda: 0 * os.write(writer, work().encode()))
    os.close(writer)
    said = os.read(reader, 1000).decode()
    os.close(reader)
    assert os.waitpid(pid, 0)[1] == 0
    return said


@in_a_fresh_process
def test_process_pools_end_with_the_child() -> None:
    """Even if the parent has imported multiprocessing."""
    pools = []

    def work() -> str:
        pools.append(get_context("fork").Pool(1))
        executor = ProcessPoolExecutor(1, get_context("fork"))
        pools.append(executor)
        found = [pools[0].apply(os.getpid), executor.submit(os.getpid).result()]
        assert all(map(alive, found))
        return " ".join(map(str, found))

    for pid in said_by_child(work).split():
        await_gone(int(pid))


@in_a_fresh_process
def test_a_child_runs_its_own_exit_functions_and_not_its_parents(tmp_path: Path) -> None:
    kept = []

    def work() -> str:
        kept.append(tempfile.TemporaryDirectory(dir=tmp_path))
        return kept[-1].name

    mine = work()
    its = said_by_child(work)
    assert Path(mine).exists()
    assert not Path(its).exists()
