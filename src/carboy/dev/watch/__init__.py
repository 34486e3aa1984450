"""Files that change while a program runs: which of them count, and when a change is complete."""

from carboy.dev.watch.burst import Burst
from carboy.dev.watch.rules import Change, Kind, Rules
from carboy.dev.watch.watching import Watching, native_name

__all__ = ["Burst", "Change", "Kind", "Rules", "Watching", "native_name"]
