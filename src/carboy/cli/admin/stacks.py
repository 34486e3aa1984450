"""`carboy stacks`."""

from __future__ import annotations

from typing import Any

import click

from carboy.cli.admin.client import Client
from carboy.cli.admin.command import admin_command, document, patience
from carboy.cli.admin.tables import duration, number


def stacks(client: Client, worker: int | None, whole: bool, timeout: float, as_json: bool) -> str:
    """Show the calls of each thread, and of each coroutine that waits, of a running server.

    WORKER is the process id of one worker, as `carboy status` shows it. Without --all, only threads
    with a request are shown, and only from the first call of the application on.
    A worker whose interpreter lock is held cannot answer; a signal handler in C then writes its
    stacks.
    """
    found = client.get("/stacks", timeout + 15.0, seconds=timeout, pid=worker)
    if as_json:
        return document(found)
    return "\n".join(line for each in found["workers"] for line in _worker(each, whole)).rstrip()


def _worker(worker: dict[str, Any], whole: bool) -> list[str]:
    if worker["failure"]:
        return _silent(worker)
    found = worker["threads"]
    busy = [each for each in found if each["request"] is not None]
    lines = [f"Worker {worker['pid']}: {_counts(found, busy)}", ""]
    for each in found if whole else busy:
        lines += [*_thread(each, whole), ""]
    return lines


def _counts(found: list[dict[str, Any]], busy: list[dict[str, Any]]) -> str:
    """The numbers of threads, requests and WebSockets."""
    threads = sum(not each["coroutine"] for each in found)
    with_request = sum(not (each["coroutine"] or each["websocket"]) for each in busy)
    text = f"{number(threads, 'thread')}, {with_request} with a request"
    held = sum(each["websocket"] and not each["coroutine"] for each in busy)
    if held:
        text += f", {held} with a WebSocket"
    waits = [each for each in busy if each["coroutine"]]
    requests = sum(each["count"] for each in waits if not each["websocket"])
    if requests:
        text += f"; {number(requests, 'request')} in a coroutine that waits"
    websockets = sum(each["count"] for each in waits if each["websocket"])
    if websockets:
        text += f"; {number(websockets, 'WebSocket')} in a coroutine that waits"
    return text


def _silent(worker: dict[str, Any]) -> list[str]:
    """A worker that has not answered."""
    lines = [f"Worker {worker['pid']} does not answer: {worker['failure']}"]
    for each in worker["requests"]:
        lines.append(f"  {each['request']} (for {duration(each['seconds'])})")
    if worker["last_read"]:
        lines.append(f"  {worker['last_read']} (the last one that was read)")
    return [*lines, "", worker["text"] or "Its stacks are not known.", ""]


def _thread(thread: dict[str, Any], whole: bool) -> list[str]:
    kind = "Coroutine" if thread["coroutine"] else "Thread"
    title = f"{kind} {thread['thread'] or thread['id']}"
    if thread["count"] > 1:
        title = f"{thread['count']} coroutines; the oldest is {thread['thread']}"
    frames = thread["frames"]
    if thread["request"] is not None:
        title += f", {thread['request']} (for {duration(thread['seconds'])})"
        if not whole:
            first = next((i for i, each in enumerate(frames) if each["own"]), 0)
            frames = frames[first:]
    lines = [click.style(title, bold=True)]
    for each in frames:
        lines.append(f"  {each['file']}:{each['line']} in {each['function']}")
        if each["text"]:
            lines.append(f"    {each['text']}")
    return lines


command = admin_command(
    "stacks",
    stacks,
    [
        click.Argument(["worker"], type=int, required=False),
        click.Option(["--all", "whole"], is_flag=True, help="All threads and all calls."),
        patience(),
    ],
    short_help="Show the calls of each thread of a running server.",
)
