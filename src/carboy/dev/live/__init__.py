"""The live page: browsers show a change of the application's files at once.

`LivePage` puts a small script into HTML pages. The script listens at `/__carboy__/live` to what a
`Broadcaster` publishes: a new generation of the program, changed pages and style sheets, failures.
"""

from __future__ import annotations

from carboy.dev.live.broadcaster import Broadcaster, Failure
from carboy.dev.live.middleware import LivePage

Hub = Broadcaster  # the name that programs may still import

__all__ = ["Broadcaster", "Failure", "Hub", "LivePage"]
