"""The relay of channels below a supervisor, and the settings of channels for the workers.

The relay is in the supervisor, so it stays when workers are replaced: what is published meanwhile
is kept, and workers that connect again continue where they were. Its descriptor is one of those
that the supervisor's loop waits for. No call of it blocks.

The workers, and the processes that they start, learn the path of its socket and the settings from
the environment, because the framework does not know the server's settings.
"""

from __future__ import annotations

import json
import logging
import os

from carboy.engine_url import LOCAL
from carboy.relay import place
from carboy.relay.frames import LARGEST_DATA
from carboy.relay.own import open_relay
from carboy.relay.place import RelayError
from carboy.relay.server import RelayServer
from carboy.server.settings import Settings

log = logging.getLogger("carboy.error")

VARIABLE = "CARBOY_CHANNELS_SETTINGS"


def export(settings: Settings) -> None:
    """Put the settings of channels into the environment."""
    os.environ.pop(place.RELAY, None)  # of a server that has started this one
    os.environ[VARIABLE] = json.dumps(
        {
            "url": settings.channels,
            "history": settings.channel_history,
            "seconds": settings.channel_seconds,
            "memory": settings.channel_memory,
            "max_message": settings.channel_max_message,
            "hold_buffer": settings.hold_buffer,
            "slow": settings.hold_slow,
        }
    )


class SupervisorRelay:
    """A relay from `start` to `stop`; none if it cannot listen, or is not wanted."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.server: RelayServer | None = None

    def start(self) -> None:
        """Listen, and put the path into the environment."""
        settings = self._settings
        export(settings)
        if settings.channels != LOCAL:
            return
        try:
            self.server, path = open_relay(
                settings.channels_socket or None, settings.channel_history,
                settings.channel_seconds, settings.channel_memory, BUFFER,
                settings.channel_max_message,
            )  # fmt: skip
        except (OSError, RelayError) as problem:
            log.error("There are no channels, because their socket cannot be made: %s", problem)
            # A relay in each worker would carry messages to the clients of this worker only.
            os.environ[place.RELAY] = place.NONE
            return
        os.environ[place.RELAY] = path

    def look(self, now: float) -> float:
        """Make the socket again if its file was removed; returns when to look next."""
        if self.server is None:
            return float("inf")
        self.server.file.look(now)
        return self.server.file.look_at

    def leave(self) -> None:
        """Close the descriptors in a worker that was forked from the supervisor."""
        if self.server is not None:
            self.server.close()
            self.server = None

    def stop(self) -> None:
        """Close the sockets and remove the file."""
        if self.server is not None:
            self.server.file.remove()
            self.server.close()
            self.server = None
            os.environ.pop(place.RELAY, None)


# Bytes kept for a worker that does not read: more than two of the largest messages.
BUFFER = 2 * LARGEST_DATA + 1024 * 1024
