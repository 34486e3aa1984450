"""An application whose streams end when a test says so, for tests of faults."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

from carboy import Carboy, hold, publish, request, sse, stream, subscribers

app = Carboy(__name__)
gates: dict[str, threading.Event] = {}


def gate(name: str) -> threading.Event:
    """The event of a name; all threads get the same one."""
    return gates.setdefault(name, threading.Event())


@app.route("/hold/<name>", methods=["GET", "POST"])
@app.route("/hold/<name>", websocket=True, endpoint="socket")
def held(name: str) -> Any:
    return hold(name, keep_alive=1.0)


@app.route("/sse/<name>", methods=["GET", "POST"])
def events(name: str) -> Any:
    async def source() -> AsyncIterator[str]:
        yield "first"
        while not gate(name).is_set():
            await asyncio.sleep(0.01)
        yield "last"

    return sse(source())


@app.route("/stream/<name>", methods=["GET", "POST"])
def pieces(name: str) -> Any:
    def source() -> Iterator[str]:
        yield "first"
        gate(name).wait()
        yield "last"

    return stream(source())


@app.get("/wait/<name>")
def wait(name: str) -> str:
    gate(name).wait()
    return "waited"


@app.post("/go/<name>")
def go(name: str) -> str:
    gate(name).set()
    return ""


@app.post("/publish/<name>")
def send(name: str) -> str:
    timeout = request.args.get("timeout", 5.0, float)
    try:
        return publish(name, request.get_data(as_text=True), timeout=timeout).id
    except ConnectionError as problem:
        return str(problem)


@app.get("/subscribers/<name>")
def present(name: str) -> str:
    return str(subscribers(name).count)


@app.get("/quick")
def quick() -> str:
    return "quick"
