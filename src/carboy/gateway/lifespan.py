"""The lifespan of an ASGI application: what it does before its first and after its last request.

The application runs as one task on the loop for as long as the worker serves. `start` and `stop`
are called by the thread that runs the worker and wait for the task; everything else belongs to the
thread of the loop.

An application that fails before it has asked for the first message does not know the protocol, and
is served without it. One that fails after that has failed to start.
"""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from typing import Any

from carboy.gateway.interface import StartFailed
from carboy.net.loop import Loop

LOOK = 1.0  # seconds between two looks whether the loop runs
log = logging.getLogger("carboy.error")

STARTUP, SHUTDOWN = "lifespan.startup", "lifespan.shutdown"


class Lifespan:
    """Runs the lifespan of `app` on `loop`. `name` is its name in errors."""

    def __init__(
        self, app: Callable[..., Awaitable[None]], loop: Loop, name: str = "The application"
    ) -> None:
        self._app = app
        self._loop = loop
        self._name = name
        self.state: dict[str, Any] = {}
        self._asked = False  # the application knows the protocol
        self._started: Future[str] = Future()  # "", or why the application cannot start
        self._stopped: Future[str] = Future()
        self._stopping: asyncio.Event  # made on the loop
        self._task: asyncio.Task[None] | None = None  # kept, because the loop keeps no reference

    def start(self) -> None:
        """Run the lifespan up to the end of its start. Raises StartFailed.

        The application may take as long as it needs: a supervisor has --start-timeout, and signals
        end a server without one. Only a loop that has ended would never tell.
        """
        self._loop.call(self._begin)
        problem = None
        while problem is None:
            try:
                problem = self._started.result(LOOK)
            except TimeoutError:
                if not self._loop.running:
                    problem = "It has stopped the event loop. Leave the loop to the server."
        if problem:
            raise StartFailed(f"{self._name} failed to start: {problem.strip()}")

    def stop(self, seconds: float) -> None:
        """Run the rest, for at most `seconds`."""
        if not self._stopped.done():
            self._loop.call(self._stop)
        try:
            problem = self._stopped.result(seconds)
        except TimeoutError:
            log.warning("%s: the shutdown did not end within %.1f s.", self._name, seconds)
            return
        if problem:
            log.error("%s: the shutdown failed: %s", self._name, problem.strip())

    # --- on the loop

    def _begin(self) -> None:
        self._stopping = asyncio.Event()
        self._task = asyncio.get_running_loop().create_task(self._run())

    def _stop(self) -> None:
        self._stopping.set()

    async def _run(self) -> None:
        scope = {
            "type": "lifespan",
            "asgi": {"version": "3.0", "spec_version": "2.0"},
            "state": self.state,
        }
        problem = ""
        try:
            await self._app(scope, self._receive, self._send)
        except BaseException as error:
            if self._asked and not isinstance(error, asyncio.CancelledError):
                problem = "".join(traceback.format_exception(error))
        if self._asked and not problem and not self._started.done():
            problem = f"It ended without sending {STARTUP}.complete."
        _settle(self._started, problem)
        _settle(self._stopped, problem)

    async def _receive(self) -> dict[str, Any]:
        if not self._asked:
            self._asked = True
            return {"type": STARTUP}
        await self._stopping.wait()
        return {"type": SHUTDOWN}

    async def _send(self, message: dict[str, Any]) -> None:
        kind = message["type"]
        future = self._started if kind.startswith(STARTUP) else self._stopped
        if kind.endswith(".complete"):
            _settle(future, "")
        elif kind.endswith(".failed"):
            _settle(future, message.get("message") or "It sent no message that says why.")
        else:
            raise RuntimeError(f"There is no message {kind!r} for a lifespan.")


def _settle(future: Future[str], problem: str) -> None:
    if not future.done():
        future.set_result(problem)
