"""The last requests and their calls, stored in a folder, so that they outlive a reload."""

from __future__ import annotations

import contextlib
import json
import os
import time
import zlib
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

TEXT = 8 * 1024  # characters kept of a body, a log line, a traceback
EVENTS = 500  # kept of one request; a loop that logs must not fill the memory

Pairs = list[tuple[str, str]]


@dataclass(slots=True)
class Record:
    """`events` are (milliseconds since it came, kind, title, detail)."""

    number: int
    began: float  # seconds since the epoch
    method: str
    target: str
    request: Pairs
    protocol: str = ""
    client: str = ""
    rule: str = ""
    endpoint: str = ""
    form: Pairs = field(default_factory=list)
    files: Pairs = field(default_factory=list)
    json: str = ""
    status: str = ""
    response: Pairs = field(default_factory=list)
    octets: int = 0
    body: str = ""
    session: Pairs = field(default_factory=list)
    seconds: float = 0.0
    recording: float = 0.0  # of these seconds, spent on recording the calls
    events: list[tuple[float, str, str, str]] = field(default_factory=list)

    @property
    def took(self) -> float:
        """Seconds, without those that went into recording."""
        return self.seconds - self.recording

    @property
    def ended(self) -> float:
        """Seconds since the epoch."""
        return self.began + self.seconds

    def note(self, kind: str, title: str, detail: str = "", recording: float = 0.0) -> None:
        """Something happens now; recording has taken so many seconds up to it."""
        if len(self.events) < EVENTS:
            since = max(0.0, time.time() - self.began - recording) * 1000
            self.events.append((round(since, 3), kind, title[:TEXT], detail[:TEXT]))

    def as_json(self) -> dict[str, Any]:
        """What is stored; `Record(**found)` makes it again."""
        return asdict(self)

    def summary(self) -> dict[str, Any]:
        """What the list shows."""
        keys = ("number", "began", "method", "target", "status", "octets", "seconds", "endpoint")
        return {key: getattr(self, key) for key in keys} | {
            "error": any(kind == "error" for _, kind, _, _ in self.events)
        }


CALLS = "calls"  # a file of this name: calls are recorded


class Store:
    """Keeps `limit` records as files; any thread and any process may add."""

    def __init__(self, folder: Path, limit: int = 100) -> None:
        self.folder = folder
        self.limit = limit

    def add(self, record: Record) -> None:
        """Keep it. A full disk loses it, and does no harm to the request."""
        self._write(self.folder / f"{record.number}.json", _octets(record.as_json()))
        for old in self._files()[self.limit :]:
            _forget(old)

    def all(self) -> list[Record]:
        """The newest first."""
        found = (self._read(file) for file in self._files()[: self.limit])
        return [record for record in found if record is not None]

    def get(self, number: int) -> Record | None:
        """One of them, if it is still there."""
        return self._read(self.folder / f"{number}.json")

    def clear(self) -> None:
        """Forget all of them."""
        for file in self._files():
            _forget(file)

    # --- calls

    @property
    def records_calls(self) -> bool:
        """Whether calls are to be recorded; it is for all processes that use the folder."""
        return (self.folder / CALLS).exists()

    @records_calls.setter
    def records_calls(self, wanted: bool) -> None:
        with contextlib.suppress(OSError):
            if wanted:
                (self.folder / CALLS).touch()
            else:
                (self.folder / CALLS).unlink(missing_ok=True)

    def add_calls(self, number: int, calls: dict[str, Any]) -> None:
        """Keep what was called for a record, while that is kept."""
        if number >= self._oldest():
            octets = zlib.compress(_octets(calls), 1)  # names and source come again and again
            self._write(self.folder / f"{number}.calls", octets)

    def calls(self, number: int) -> dict[str, Any] | None:
        """What was called for a record; None when it was not recorded."""
        try:
            octets = zlib.decompress((self.folder / f"{number}.calls").read_bytes())
        except (OSError, zlib.error):
            return None
        found: dict[str, Any] = json.loads(octets)
        return found

    # --- files

    def _oldest(self) -> int:
        files = self._files()
        return int(files[-1].stem) if len(files) >= self.limit else 0

    @staticmethod
    def _write(file: Path, octets: bytes) -> None:
        fresh = file.with_suffix(f".{os.getpid()}")
        try:
            fresh.write_bytes(octets)
            fresh.replace(file)
        except OSError:
            with contextlib.suppress(OSError):
                fresh.unlink()

    def _files(self) -> list[Path]:
        files = [file for file in self.folder.glob("*.json") if file.stem.isdecimal()]
        return sorted(files, key=lambda file: int(file.stem), reverse=True)

    @staticmethod
    def _read(file: Path) -> Record | None:
        try:
            found = json.loads(file.read_text("utf-8"))
        except (OSError, ValueError):
            return None  # another process has just removed it
        return Record(**found)


def _octets(value: dict[str, Any]) -> bytes:
    return json.dumps(value).encode()


def _forget(file: Path) -> None:
    for each in (file, file.with_suffix(".calls")):
        with contextlib.suppress(OSError):
            each.unlink()
