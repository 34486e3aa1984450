"""`carboy publish`: a message to a channel, from a shell."""

from __future__ import annotations

import os
import sys
from typing import Any

import click

from carboy.engine_url import VARIABLE
from carboy.realtime.publish import publish as send
from carboy.relay.place import CHOSEN


@click.command("publish", short_help="Send a message to a channel.")
@click.argument("channel")
@click.argument("data", required=False)
@click.option("--event", help="Type of the event that clients get.  [default: message]")
@click.option(
    "--id",
    "message_id",
    help="Id that clients get with the message.  [default: made by the server]",
)
@click.option("--binary", is_flag=True, help="Bytes instead of text; only from standard input.")
@click.option(
    "--channels",
    metavar="URL",
    envvar=VARIABLE,
    help="System that carries the messages, as for `carboy run`.",
)
@click.option("--channels-socket", metavar="PATH", help="Unix socket of the server.")
@click.option(
    "--timeout", type=float, default=5.0, show_default=True, help="Seconds to wait for the server."
)
def command(channel: str, data: str | None, message_id: str | None, **options: Any) -> None:
    """Send DATA to all connections that hold CHANNEL, and print the id of the message.

    Without DATA, or with "-", the data is read from standard input. The server is the one that runs
    for the project in the current folder, unless --channels or --channels-socket is given.
    """
    if options["channels"]:
        os.environ[VARIABLE] = options["channels"]
    if options["channels_socket"]:
        os.environ[CHOSEN] = options["channels_socket"]
    value: str | bytes
    if data is None or data == "-":
        content = sys.stdin.buffer.read()
        value = content if options["binary"] else _text(content)
    elif options["binary"]:
        raise click.UsageError("--binary requires data from standard input.")
    else:
        value = data
    try:
        message = send(channel, value, options["event"], message_id, options["timeout"])
    except (ValueError, TypeError, ConnectionError) as problem:
        raise click.ClickException(str(problem)) from None
    click.echo(message.id)


def _text(content: bytes) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise click.UsageError("The data is not UTF-8. Use --binary to send bytes.") from None
