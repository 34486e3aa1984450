"""The quick way for connections that have switched to another protocol. Only for the leader.

What Channels.serve and Channels._look do for nearly every message of a WebSocket, without the HTTP
machine, which would pass the bytes on, and without 20 calls (tests/server/test_upgrades.py feeds
both). Both functions return False, with nothing done, if there is more to do.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from carboy.net.poller import READ

if TYPE_CHECKING:
    from carboy.server.channel import Channel
    from carboy.server.channels import Channels


def pass_on(channels: Channels, channel: Channel) -> bool:
    """Receive bytes for the application."""
    connection = channel.connection
    with channel.lock:
        if (
            connection.unsent is not None
            or channels.secure
            or len(channel.kept) >= channels.high_water
            or connection.machine.buffered
            or not channel.open
        ):
            return False
        try:
            data = connection.sock.recv(channels.settings.read_size)
        except BlockingIOError:
            return True
        except OSError:
            connection.broken = True
            return False
        if data:
            channel.kept += data
            channel.received += len(data)
        else:
            channels.take_events(channel, data)
            channels.watch_or_lose(channel, time.monotonic())
    channel.news = True
    channel.tell()
    return True


def send_gathered(channels: Channels, channel: Channel) -> bool:
    """Send what other threads have left for the leader."""
    connection = channel.connection
    with channel.lock:
        return (
            channel.open
            and connection.interest == READ
            and not (channel.full or channel.news or channels.secure or connection.broken)
            and connection.file is None
            and not connection.machine.buffered
            and connection.flush()
            and not connection.broken
        )
