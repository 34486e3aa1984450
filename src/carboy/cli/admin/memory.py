"""`carboy memory`."""

from __future__ import annotations

from typing import Any

import click

from carboy.cli.admin.client import Client
from carboy.cli.admin.command import admin_command, document
from carboy.cli.admin.tables import size, table


def memory(client: Client, timeout: float, as_json: bool) -> str:
    """Show the memory of each worker of a running server, and its largest types of objects.

    The sizes of types are those of the objects alone, without what they refer to. Only objects that
    the garbage collector knows are counted. If the application has started tracemalloc, the lines
    that hold most memory are shown as well. While the objects are counted, the worker is slow.
    """
    found = client.get("/memory", timeout + 10.0, seconds=timeout)
    if as_json:
        return document(found)
    return "\n\n".join("\n".join(_worker(each)) for each in found["workers"])


def _worker(worker: dict[str, Any]) -> list[str]:
    if worker["failure"]:
        return [f"Worker {worker['pid']} does not answer: {worker['failure']}"]
    counts = ", ".join(map(str, worker["collections"]))
    lines = [
        f"Worker {worker['pid']}: {size(worker['rss'])} resident, {size(worker['pss'])} of its own"
        " share",
        f"{worker['objects']} objects; collections of each generation: {counts}",
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
            ["--timeout"], type=click.FloatRange(0.0, 600.0), default=30.0, show_default=True,
            metavar="SECONDS", help="Time in which workers have to answer.",
        )
    ],
    short_help="Show the memory of a running server.",
)  # fmt: skip
