"""A NATS connection that threads can use. nats-py needs an event loop, which runs in a thread here.

The connection does not repair itself. RemoteEngine connects again and looks for what it has missed.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from carboy.engine_url import Address
from carboy.realtime.engine import EngineError
from carboy.shared.errors import missing_package

try:
    import nats
except ImportError:  # the extra [nats] is not installed
    nats = None  # type: ignore[assignment]

__all__ = ["NatsClient"]

T = TypeVar("T")

CONNECT_TIMEOUT = 3.0  # seconds
ANSWER_TIMEOUT = 5.0
# Seconds that a thread waits for the loop: longer than anything on it takes, so it only ends the
# wait for a loop that another thread has stopped, or for a connection that does not close.
LIMIT = 2 * (CONNECT_TIMEOUT + ANSWER_TIMEOUT) + 2.0


# JetStream's number for a server that is about to have it
TEMPORARILY_UNAVAILABLE = 10008


class NatsClient:
    """One connection, and the loop that it needs. Both start when they are first used."""

    def __init__(self, address: Address, ended: Callable[[], None]) -> None:
        if nats is None:
            raise missing_package("nats-py", "nats", address.shown)
        self._address = address
        self._ended = ended
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._connection: Any = None
        self._connecting = asyncio.Lock()  # two connections are not made at once
        self.has_jetstream = False

    def do(self, work: Callable[[Any], Coroutine[Any, Any, T]]) -> T:
        """Run `work(connection)` on the loop. Raises EngineError."""
        return self._run(self._work(work))

    async def _work(self, work: Callable[[Any], Coroutine[Any, Any, T]]) -> T:
        connection = await asyncio.wait_for(self._connected(), 2 * CONNECT_TIMEOUT)
        return await asyncio.wait_for(work(connection), 2 * ANSWER_TIMEOUT)

    async def _connected(self) -> Any:
        async with self._connecting:
            return await self._connect()

    async def _connect(self) -> Any:
        if self._connection is None or not self._connection.is_connected:
            await self._disconnect()
            self._connection = await nats.connect(
                self._address.url,
                allow_reconnect=False,
                max_reconnect_attempts=0,
                connect_timeout=CONNECT_TIMEOUT,
                error_cb=_ignore,
                closed_cb=self._closed,
                disconnected_cb=self._closed,
                pending_size=0,
            )
            try:
                self.has_jetstream = await _has_jetstream(self._connection, self.has_jetstream)
            except BaseException:  # also if it is given up
                await self._disconnect()
                raise
        return self._connection

    async def _closed(self) -> None:
        if self._connection is not None:  # not closed by this process
            self._ended()

    def _run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(
                    target=self._loop.run_forever, name="carboy-nats", daemon=True
                )
                self._thread.start()
            loop = self._loop
        future = asyncio.run_coroutine_threadsafe(coroutine, loop)
        try:
            return future.result(LIMIT)
        except nats.errors.MaxPayloadError as error:
            raise ValueError(
                "The message is larger than the NATS server accepts. Set max_payload there."
            ) from error
        except (TimeoutError, nats.errors.Error, OSError) as error:
            future.cancel()  # if it is still running
            if not loop.is_running():
                coroutine.close()
            reason = str(error) or type(error).__name__
            raise EngineError(f"NATS at {self._address.shown} cannot be used: {reason}") from error

    def disconnect(self) -> None:
        """Close the connection. The next use makes another one."""
        if self._loop is not None:
            try:
                self._run(self._disconnect())
            except EngineError:
                pass

    async def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    def end(self) -> None:
        """Close the connection and the loop."""
        self.disconnect()
        if self._loop is not None:
            try:
                self._run(_wind_up())
            except EngineError:
                pass  # the loop no longer runs
        with self._lock:
            loop, self._loop = self._loop, None
            thread, self._thread = self._thread, None
        if loop is not None and thread is not None:
            loop.call_soon_threadsafe(loop.stop)
            thread.join(ANSWER_TIMEOUT)
            if not thread.is_alive():
                loop.close()


async def _wind_up() -> None:
    """Cancel the tasks that nats-py leaves behind."""
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await asyncio.sleep(0)  # transports close in the next turn of the loop


async def _has_jetstream(connection: Any, before: bool) -> bool:
    """Whether the server keeps messages; `before`: what was known of the connection before.

    A server that starts may answer late, and one answers nothing to a user who may not ask. So no
    answer is an error if there was JetStream before, and else means that there is none.
    """
    try:
        await connection.jetstream(timeout=ANSWER_TIMEOUT).account_info()
    except nats.js.errors.APIError as error:
        if error.err_code == TEMPORARILY_UNAVAILABLE:
            raise
        return False
    except nats.errors.Error:
        if before:
            raise
        return False
    return True


async def _ignore(error: Exception) -> None:
    """Errors are raised where they matter; nats-py would log them as well."""
