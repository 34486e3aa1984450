"""The port of `carboy dev`: the one the user asked for, or the next that is free."""

from __future__ import annotations

import errno
import socket
import sys

import click

from carboy.server.bind import Address, BindError, from_host, open_sockets

FURTHER = 20  # ports tried after the one that is in use
BACKLOG = 2048


def listen(host: str, port: int, insisted: bool) -> tuple[Address, list[socket.socket]]:
    """Listen on a port, or on the next free one if it is in use.

    If the user has `insisted` on the port, they are asked first; without a terminal, the
    BindError is raised.
    """
    wanted = from_host(host, port)
    try:
        return wanted, open_sockets([wanted], BACKLOG)
    except BindError as problem:
        if problem.errno != errno.EADDRINUSE or wanted.port is None:
            raise
        if insisted and not sys.stdin.isatty():
            raise
        found = _next_free(host, wanted.port)
        if found is None:
            raise
        taken = str(problem).partition(".")[0]
    address, sockets = found
    if insisted and not click.confirm(f"{taken}. Use port {address.port} instead?", True, err=True):
        for sock in sockets:
            sock.close()
        raise click.Abort
    if not insisted:
        click.secho(f"{taken}. Port {address.port} is used instead.", err=True, fg="yellow")
    return address, sockets


def _next_free(host: str, port: int) -> tuple[Address, list[socket.socket]] | None:
    for number in range(port + 1, min(port + FURTHER, 65535) + 1):
        address = from_host(host, number)
        try:
            return address, open_sockets([address], BACKLOG)
        except BindError:
            continue
    return None
