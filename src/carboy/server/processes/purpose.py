"""The reason why a template of --preload is started."""

from __future__ import annotations

from enum import Enum


class Purpose(Enum):
    """The reason why a template is started."""

    FIRST = "the start of the server"
    RELOAD = "a reload"
    LOST = "the last template has ended"
