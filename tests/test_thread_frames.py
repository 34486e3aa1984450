"""The frames of threads, looked at while garbage is collected."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
from pathlib import Path
from traceback import walk_stack

import pytest

import carboy
from carboy.thread_frames import thread_frames
from running import PATIENCE

# Each collection finds one object with a finalizer, which makes the object for the next one.
# A thread has no frame objects before the first look at it, which makes them.
COLLECTING = """
import gc, threading
from carboy.thread_frames import thread_frames

class Renewed:
    def __init__(self):
        self.me = self
        self.local = threading.local()

    def __del__(self):
        Renewed()

def waiting(depth, begun, end):
    if depth:
        return waiting(depth - 1, begun, end)
    begun.release()
    end.wait()

for _ in range(20):
    begun, end = threading.Semaphore(0), threading.Event()
    threads = [threading.Thread(target=waiting, args=(3, begun, end)) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        begun.acquire()
    Renewed()
    gc.set_threshold(1)
    found = thread_frames()
    gc.set_threshold(700)
    assert all(thread.ident in found for thread in threads)
    end.set()
    for thread in threads:
        thread.join()
assert gc.isenabled()
print("looked")
"""


def test_a_process_goes_on_when_garbage_is_collected_meanwhile() -> None:
    done = subprocess.run(
        [sys.executable, "-c", COLLECTING],
        capture_output=True, text=True, timeout=PATIENCE, check=False,
    )  # fmt: skip
    assert done.stdout == "looked\n", done.stderr


def test_the_frames_are_those_of_all_threads() -> None:
    begun, end = threading.Event(), threading.Event()

    def waits_here() -> None:
        begun.set()
        end.wait(PATIENCE)

    thread = threading.Thread(target=waits_here)
    thread.start()
    try:
        assert begun.wait(PATIENCE)
        found = thread_frames()
        assert threading.get_ident() in found
        stack = walk_stack(found[thread.ident or 0])
        assert waits_here.__code__ in [frame.f_code for frame, _ in stack]
    finally:
        end.set()
        thread.join(PATIENCE)


@pytest.mark.parametrize("enabled", [True, False])
def test_collections_are_on_or_off_as_before(enabled: bool) -> None:
    before = gc.isenabled()
    switch = {True: gc.enable, False: gc.disable}
    try:
        switch[enabled]()
        thread_frames()
        assert gc.isenabled() is enabled
    finally:
        switch[before]()


def test_all_code_looks_at_frames_in_this_way() -> None:
    """A call of sys._current_frames anywhere else could stop the process."""
    package = Path(carboy.__file__).parent
    callers = [
        str(path.relative_to(package))
        for path in package.rglob("*.py")
        if "sys._current_frames(" in path.read_text()
    ]
    assert callers == ["thread_frames.py"]
