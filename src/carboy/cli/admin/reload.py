"""`carboy reload`."""

from __future__ import annotations

import time

import click

from carboy.cli.admin.client import AdminError, Client
from carboy.cli.admin.command import admin_command, document

LOOK = 0.2  # seconds between two looks at the server


def reload(client: Client, wait: bool, timeout: float, as_json: bool) -> str:
    """Have a running server load the application again, as SIGHUP does.

    The workers are replaced one by one, without losing a connection. The command waits until the
    new code serves, and fails if it cannot be loaded or is rolled back; the old workers then
    continue to serve.
    """
    before = client.get("/server")
    asked = client.post("/reload", {})
    if not wait or not before["supervised"]:
        text = "The server loads the application again. Its log says whether the new code serves."
        return document({"reloaded": None}) if as_json else text
    deadline = time.monotonic() + timeout
    while (now := client.get("/server"))["reloading"] or now["reloads"] < asked["reloads"]:
        if now["stopping"]:
            raise AdminError("The server is stopping.")
        if time.monotonic() > deadline:
            raise AdminError(
                f"The workers have not been replaced within {timeout:g} s. The server goes on. Use"
                " a longer --timeout, or look at `carboy status`."
            )
        time.sleep(LOOK)
    if now["failed_reloads"] > asked["failed_reloads"]:
        raise AdminError(
            "The new code could not be loaded, or --canary has rolled it back. The old workers"
            " continue to serve. The log of the server says why."
        )
    seconds = timeout - (deadline - time.monotonic())
    return document({"reloaded": True}) if as_json else f"Reloaded within {seconds:.1f} s."


command = admin_command(
    "reload",
    reload,
    [
        click.Option(["--wait/--no-wait"], default=True, help="Wait until the new code serves."),
        click.Option(
            ["--timeout"], type=click.FloatRange(0.0), default=120.0, show_default=True,
            metavar="SECONDS", help="Time in which the new code has to serve.",
        ),
    ],
    short_help="Have a running server load the application again.",
)  # fmt: skip
