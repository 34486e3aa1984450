"""The application that is served: ordinary routes, and a route for each kind of misbehaviour.

The same code for Flask and for Carboy. Files in CHAOS_FOLDER say what to do when it is imported.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import re
import resource
import signal
import threading
import time
from collections.abc import Iterator
from types import ModuleType
from typing import Any

HELLO = "Hello, World!"
WAIT_SECONDS = 0.02
FOLDER = os.environ.get("CHAOS_FOLDER", "/nonexistent")
HANG = "hang"  # if a file of this name exists, the import does not end
SUICIDE = "suicide"  # likewise, the process kills itself
BROKEN = "broken"  # the version that is imported has a view that raises
CRASHING = "crashing"  # likewise, the view kills the process
PIECE = bytes(65536)  # of a streamed response


def page(number: int) -> bytes:
    """64 KiB that depend on `number`."""
    return (b"%09d\n" % number) * 6554


def obey() -> None:
    """Do what the files in the folder say."""
    if _there(SUICIDE):
        os.kill(os.getpid(), signal.SIGKILL)
    while _there(HANG):
        time.sleep(0.05)


def _there(name: str) -> bool:
    return os.path.exists(os.path.join(FOLDER, name))


def build(framework: ModuleType) -> Any:
    """The application, made with `framework` (flask or carboy)."""
    obey()
    app = framework.Flask("bench.chaos")
    ordinary(app, framework.request)
    dying(app)
    waiting(app)
    streaming(app)
    changing(app)
    return app


def ordinary(app: Any, request: Any) -> None:
    @app.get("/")
    def hello() -> str:
        return HELLO

    @app.get("/double/<int:number>")
    def double(number: int) -> str:
        return str(2 * number)

    @app.post("/reverse")
    def reverse() -> bytes:
        content: bytes = request.get_data()
        return content[::-1]

    @app.get("/wait/<int:number>")
    def wait(number: int) -> str:
        time.sleep(WAIT_SECONDS)
        return f"waited {number}"

    @app.get("/page/<int:number>")
    def large(number: int) -> bytes:
        return page(number)

    @app.get("/pid")
    def pid() -> str:
        return str(os.getpid())


def dying(app: Any) -> None:
    @app.get("/die")
    def die() -> str:
        os.kill(os.getpid(), signal.SIGKILL)
        return "still alive"

    @app.get("/stick")
    def stick() -> str:
        """Hold the interpreter lock in C, for longer than any timeout."""
        return str(re.match(r"(a+)+$", "a" * 60 + "b"))

    @app.get("/hold")
    def hold() -> str:
        """Hold the interpreter lock in C, as /stick does, but without using the processor."""
        library = ctypes.PyDLL(None)  # unlike CDLL, it does not release the lock
        mutex = ctypes.create_string_buffer(64)  # zeros, which is an unlocked mutex
        library.pthread_mutex_lock(mutex)
        library.pthread_mutex_lock(mutex)
        return "never"

    @app.get("/fail")
    def fail() -> str:
        raise RuntimeError("This view fails.")

    @app.get("/files/<path:one>/in/<path:two>/end")
    def paths(one: str, two: str) -> str:
        return f"{one} {two}"


def changing(app: Any) -> None:
    """Views that differ between versions, and one that leaks."""
    broken, crashing = _there(BROKEN), _there(CRASHING)
    kept: list[bytes] = []

    @app.get("/price/<int:number>")
    def price(number: int) -> str:
        if broken:
            raise RuntimeError("This version is broken.")
        if crashing:
            os.kill(os.getpid(), signal.SIGKILL)
        return f"price {number}"

    @app.get("/leak/<int:mib>")
    def leak(mib: int) -> str:
        kept.append(b"x" * (mib * 1024 * 1024))
        return f"leaked {mib}"


def waiting(app: Any) -> None:
    counted: list[int] = []

    @app.get("/sleep/<float:seconds>")
    def sleep(seconds: float) -> str:
        time.sleep(seconds)
        return f"slept {seconds}"

    @app.get("/forever")
    def forever() -> str:
        threading.Event().wait()
        return "never"

    @app.get("/threads/<int:most>")
    def threads(most: int) -> str:
        """Set the limit of the user's threads, for this process."""
        _, hard = resource.getrlimit(resource.RLIMIT_NPROC)
        resource.setrlimit(resource.RLIMIT_NPROC, (most, hard))
        return str(most)

    @app.get("/counted")
    def count() -> str:
        counted.append(1)
        time.sleep(0.05)
        return "counted"

    @app.get("/counts")
    def counts() -> str:
        return str(len(counted))

    @app.get("/coroutine/block")
    async def block() -> str:
        time.sleep(0.2)  # a coroutine should never do this
        return "blocked"

    @app.get("/coroutine/<int:number>")
    async def coroutine(number: int) -> str:
        await asyncio.sleep(WAIT_SECONDS)
        return f"awaited {number}"


def streaming(app: Any) -> None:
    open_ones: list[int] = []

    @app.get("/stream/<int:pieces>")
    def stream(pieces: int) -> Any:
        def generate() -> Iterator[bytes]:
            open_ones.append(1)
            try:
                for _ in range(pieces):
                    yield PIECE
            finally:
                open_ones.pop()

        return generate()

    @app.get("/streams")
    def streams() -> str:
        return str(len(open_ones))
