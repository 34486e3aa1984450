"""The last records and their calls, in a folder: a process that is replaced leaves them there."""

from __future__ import annotations

import contextlib
import json
import os
import zlib
from pathlib import Path
from typing import Any

from carboy.dev.requests.record import Record

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
