"""Coroutines of the first step of an ASGI request, for its compiled twin (_speedups/asgi.pyx)."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any


async def awaited(answer: Awaitable[None]) -> None:
    """A coroutine that awaits the result of an application that is not a coroutine function."""
    await answer


async def first_message(call: Any) -> dict[str, Any]:
    """`receive` of a compiled Call."""
    if call.take_empty_body():
        return {"type": "http.request", "body": b"", "more_body": False}
    message: dict[str, Any] = await call.rest().receive()
    return message
