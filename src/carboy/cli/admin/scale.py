"""`carboy scale`."""

from __future__ import annotations

import click

from carboy.cli.admin.client import Client
from carboy.cli.admin.command import admin_command, document


def scale(client: Client, workers: int, as_json: bool) -> str:
    """Change the number of workers of a running server.

    Workers that are no longer needed finish their requests. The number is forgotten when the server
    ends.
    """
    found = client.post("/scale", {"workers": workers})
    if as_json:
        return document(found)
    return f"The number of workers is {found['workers']} now; it was {found['before']}."


command = admin_command(
    "scale",
    scale,
    [click.Argument(["workers"], type=click.IntRange(1))],
    short_help="Change the number of workers of a running server.",
)
