"""Measures WebSocket and server-sent events."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench import load, process
from bench.load_process import LoadProcess, load_process
from bench.servers import Running, ServerFailed
from bench.under_load import Bench, Figures, loaded
from bench.work import Work

PATHS = {"websocket": "/echo", "sse": "/events"}
SUBSCRIBE = {"websocket": "/subscribe", "sse": "/events"}


def echo(bench: Bench, started: Running, work: Work, request: Path) -> Figures:
    """Messages that come back, in a second."""
    arguments = (started.port, work.connections, work.size)
    with load_process(bench.load_core, "echo", *arguments) as clients:
        clients.command(bench.warm_up)
        return _messages(started, clients, bench.seconds)


def fan_out(bench: Bench, started: Running, work: Work, request: Path) -> Figures:
    """Messages that reach a subscriber, in a second."""
    with _crowd(bench, started, work, SUBSCRIBE[work.transport]) as crowd:
        load.until_subscribed(started.port, work.connections)
        crowd.command({"publish": bench.warm_up, "size": work.size})
        figures = _messages(started, crowd, {"publish": bench.seconds, "size": work.size})
        return {**figures, "kept": crowd.command({"check": True})["open"]}


def sockets(bench: Bench, started: Running, work: Work, request: Path) -> Figures:
    """Memory of a connection that is open and idle. Afterwards, each has to echo a message."""
    with load_process(bench.load_core, "echo", started.port, 1, work.size) as first:
        first.command(bench.warm_up)
    before = process.cost(started.pid)
    with _crowd(bench, started, work, PATHS[work.transport]) as crowd:
        opened = process.cost(started.pid)
        kept = crowd.command({"check": True})["open"]
    return {
        "connection_kib": (opened.rss_mib - before.rss_mib) * 1024 / work.connections,
        "open_us": (opened.cpu_seconds - before.cpu_seconds) / work.connections * 1e6,
        "kept": kept,
        "rss_mib": opened.rss_mib,
    }


def held(bench: Bench, started: Running, work: Work, request: Path) -> Figures:
    """Requests without and with streams that are held open."""
    alone = loaded(bench, started, request)
    before = process.cost(started.pid).rss_mib
    with _crowd(bench, started, work, SUBSCRIBE[work.transport]) as crowd:
        grown = process.cost(started.pid).rss_mib - before
        figures = loaded(bench, started, request, warm=False)
        kept = crowd.command({"check": True})["open"]
    return {
        **figures,
        "alone_per_second": alone["requests_per_second"],
        "alone_p99_ms": alone["p99_ms"],
        "connection_kib": grown * 1024 / work.connections,
        "kept": kept,
    }


@contextlib.contextmanager
def _crowd(bench: Bench, started: Running, work: Work, path: str) -> Iterator[LoadProcess]:
    arguments = (work.transport, started.port, work.connections, path)
    with load_process(bench.load_core, "crowd", *arguments) as crowd:
        yield crowd


def _messages(started: Running, clients: LoadProcess, command: Any) -> Figures:
    before = process.cost(started.pid)
    seen = clients.command(command)
    after = process.cost(started.pid)
    if not seen["messages"]:
        raise ServerFailed("No message arrived.")
    return {
        "requests_per_second": seen["messages"] / seen["seconds"],
        "p50_ms": seen["p50_ms"],
        "p99_ms": seen["p99_ms"],
        "cpu_us": (after.cpu_seconds - before.cpu_seconds) / seen["messages"] * 1e6,
        "rss_mib": after.rss_mib,
        "load_busy": seen["load_busy"],
    }
