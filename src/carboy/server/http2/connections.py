"""The requests of HTTP/2 connections, beside those of HTTP/1.1.

A server without HTTP/2 asks this too, and has no Pipe, so the class loads with the first one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from carboy.late import late_module
from carboy.server.connection import PIPE, Connection

if TYPE_CHECKING:
    from carboy.server.http2 import pipe
else:
    pipe = late_module("carboy.server.http2.pipe")


def with_streams(connections: dict[int, Connection]) -> list[Connection]:
    """All connections, and those of the requests on pipes; any thread may ask."""
    found = list(connections.values())
    pipes = [each for each in found if each.phase is PIPE]
    for each in pipes:
        if isinstance(each, pipe.Pipe):
            found.extend(list(each.streams.values()))
    return found


def is_idle_pipe(connection: Connection) -> bool:
    """Whether a connection, which is a Pipe, has no request."""
    return isinstance(connection, pipe.Pipe) and not connection.streams and not connection.over
