"""`carboy drain`."""

from __future__ import annotations

import click

from carboy.cli.admin.client import Client
from carboy.cli.admin.command import admin_command, document


def drain(client: Client, worker: int, replace: bool, as_json: bool) -> str:
    """Have one worker of a running server finish its requests and end.

    WORKER is its process id, as `carboy status` shows it. It takes no more connections, and another
    worker takes its place, unless --no-replace is given: then there is one worker fewer. The only
    worker serves until the new one is ready.
    """
    found = client.post("/drain", {"worker": worker, "replace": replace})
    if as_json:
        return document(found)
    if found["after_replacement"]:
        return f"Worker {worker} is drained as soon as the worker that replaces it is ready."
    after = "another worker takes its place" if replace else "it is not replaced"
    return f"Worker {worker} takes no more connections and finishes its requests; {after}."


command = admin_command(
    "drain",
    drain,
    [
        click.Argument(["worker"], type=int),
        click.Option(
            ["--replace/--no-replace"], default=True, show_default=True,
            help="Another worker in its place.",
        ),
    ],
    short_help="Have one worker of a running server finish and end.",
)  # fmt: skip
