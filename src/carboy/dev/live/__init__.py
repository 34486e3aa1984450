"""The live page: a browser that shows a change before you have looked up.

`LivePage` puts a small script into HTML pages; it listens at `/__carboy__/live` to what the
`Hub` is told: a new generation of the program, changed pages and style sheets, failures.
"""

from __future__ import annotations

from carboy.dev.live.hub import Failure, Hub
from carboy.dev.live.page import LivePage

__all__ = ["Failure", "Hub", "LivePage"]
