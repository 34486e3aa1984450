"""Waiting for a WebSocket on the event loop. Used only there, except for `changed`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import copy_context
from typing import Any

from carboy.realtime.websocket_link import Link
from carboy.realtime.websocket_threads import WebSocketThreads


class Waiter:
    """Waits on `loop` for the messages of one link; hooks run on `threads`."""

    __slots__ = ("_asked", "_futures", "_link", "_loop", "_threads")

    def __init__(
        self, link: Link, loop: asyncio.AbstractEventLoop, threads: WebSocketThreads
    ) -> None:
        self._link = link
        self._loop = loop
        self._threads = threads
        self._futures: list[asyncio.Future[None]] = []
        self._asked = False  # the loop has been asked to wake the coroutines

    def changed(self) -> None:
        """Wake the coroutines that wait. Any thread may call this."""
        if not self._asked:
            self._asked = True
            self._loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        self._asked = False  # first: a later change asks again
        futures, self._futures = self._futures, []
        for future in futures:
            if not future.done():
                future.set_result(None)

    async def _change(self) -> None:
        future = self._loop.create_future()
        self._futures.append(future)
        await future

    async def message(self, timeout: float | None) -> str | bytes | None:
        """The next message; None after `timeout` seconds. Raises ConnectionClosed."""
        message = self._link.take()
        if message is not None or timeout == 0:
            return message
        try:
            async with asyncio.timeout(timeout):
                while message is None:
                    await self._change()
                    message = self._link.take()
        except TimeoutError:
            return message
        return message

    async def room(self) -> None:
        """Wait until the client has taken most of what was sent."""
        transport = self._link.transport
        while transport.full and transport.closed is None:
            await self._change()

    async def on_thread(self, function: Callable[[], Any]) -> Any:
        """The result of `function`, which may block: it runs on a thread, in this context."""
        future: asyncio.Future[Any] = self._loop.create_future()
        context = copy_context()

        def run() -> None:
            try:
                result, error = context.run(function), None
            except BaseException as raised:
                result, error = None, raised
            self._loop.call_soon_threadsafe(_settle, future, result, error)

        self._threads.submit(run)
        return await future


def _settle(future: asyncio.Future[Any], result: Any, error: BaseException | None) -> None:
    if future.done():
        return  # the handler was cancelled
    if error is None:
        future.set_result(result)
    else:
        future.set_exception(error)
