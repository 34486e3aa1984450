"""`carboy memory`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from carboy.cli.admin.client import AdminError, Client
from carboy.cli.admin.command import admin_command, document
from carboy.cli.admin.duration import Duration
from carboy.cli.admin.tables import size, table


def memory(
    client: Client, seconds: float | None, worker: int | None, timeout: float, as_json: bool
) -> str:
    """Show the memory of each worker of a running server, and its largest types of objects.

    The sizes of types are those of the objects alone, without what they refer to. Only objects that
    the garbage collector knows are counted. If the application has started tracemalloc, the lines
    that hold most memory are shown as well. While the objects are counted, the worker is slow.

    With --trace, tracemalloc runs for some time in the worker with most memory, or in --worker, and
    the lines are shown whose memory grows. The worker is slower meanwhile.
    """
    if seconds is not None:
        return _trace(client, seconds, worker, timeout, as_json)
    found = client.get("/memory", timeout + 10.0, seconds=timeout, pid=worker)
    if as_json:
        return document(found)
    return "\n\n".join("\n".join(_worker(each)) for each in found["workers"])


def _trace(
    client: Client, seconds: float, worker: int | None, timeout: float, as_json: bool
) -> str:
    found = client.get(
        "/memory/trace", seconds + timeout + 10.0, seconds=seconds, pid=worker, timeout=timeout
    )
    if as_json:
        return document(found)
    if found["failure"]:
        raise AdminError(f"Worker {found['pid']} has not been traced: {found['failure']}")
    return "\n".join(traced(found))


def traced(found: dict[str, Any]) -> list[str]:
    """The lines of a trace."""
    before, after = map(size, found["rss"])
    early = f" It ended early: {found['ended']}" if found["ended"] else ""
    since = "" if found["since_start"] else " in this time"
    lines = [
        f"Worker {found['pid']}, traced for {found['seconds']:.1f} s: {before} resident before,"
        f" {after} after.{early}",
        f"{size(found['bytes'])} were allocated{since} and are still held;"
        f" {_grown(found['grown'])} in the second half. The trace itself took"
        f" {size(found['cost'])}.",
        "",
    ]
    rows = [_line(each) for each in found["lines"]]
    if not rows:
        return [*lines[:-1], "No line holds memory that was allocated in this time."]
    return lines + table(("GROWN", "HELD", "OBJECTS", "LINE", "CODE"), rows, ">>>")


def _line(each: dict[str, Any]) -> tuple[str, ...]:
    at = f"{each['file']}:{each['line']}"
    own = each["own"]
    if own and (own["file"], own["line"]) != (each["file"], each["line"]):
        at = f"{own['file']}:{own['line']} ({Path(each['file']).name}:{each['line']})"
    return (_grown(each["grown"]), size(each["bytes"]), str(each["count"]), at, each["text"])


def _grown(count: int) -> str:
    return f"{'-' if count < 0 else '+'}{size(abs(count))}"


def _worker(worker: dict[str, Any]) -> list[str]:
    if worker["failure"]:
        return [f"Worker {worker['pid']} does not answer: {worker['failure']}"]
    counts = ", ".join(map(str, worker["collections"]))
    lines = [
        f"Worker {worker['pid']}: {size(worker['rss'])} resident; {size(worker['pss'])} if pages"
        " that several processes share are divided among them",
        f"{worker['objects']} objects; garbage collections by generation: {counts}",
        "",
    ]
    rows = [(size(each["bytes"]), str(each["count"]), each["type"]) for each in worker["types"]]
    lines += table(("SIZE", "COUNT", "TYPE"), rows, ">>")
    if worker["traced"]:
        traced = [(size(each["bytes"]), str(each["count"]), f"{each['file']}:{each['line']}")
                  for each in worker["traced"]]  # fmt: skip
        lines += ["", *table(("SIZE", "COUNT", "LINE"), traced, ">>")]
    return lines


command = admin_command(
    "memory",
    memory,
    [
        click.Option(
            ["--trace", "seconds"], type=Duration(), is_flag=False, flag_value="30s",
            metavar="[DURATION]",
            help="Lines whose memory grows, traced for a time such as 10s or 2m.  [default: 30s]",
        ),
        click.Option(
            ["--worker"], type=int, metavar="PID", help="Process id of the only worker to look at.",
        ),
        click.Option(
            ["--timeout"], type=click.FloatRange(0.0, 600.0), default=30.0, show_default=True,
            metavar="SECONDS", help="Time in which workers have to answer.",
        )
    ],
    short_help="Show the memory of a running server.",
)  # fmt: skip
