"""The last records, in a folder: a process that is replaced leaves them to the next one."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path

from carboy.dev.requests.record import Record


class Store:
    """Keeps `limit` records as files; any thread and any process may add."""

    def __init__(self, folder: Path, limit: int = 100) -> None:
        self.folder = folder
        self.limit = limit

    def add(self, record: Record) -> None:
        """Keep it. A full disk loses it, and does no harm to the request."""
        file = self.folder / f"{record.number}.json"
        fresh = file.with_suffix(f".{os.getpid()}")
        try:
            fresh.write_text(json.dumps(record.as_json()), "utf-8")
            fresh.replace(file)
        except OSError:
            with contextlib.suppress(OSError):
                fresh.unlink()
        for old in self._files()[self.limit :]:
            with contextlib.suppress(OSError):
                old.unlink()

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
            with contextlib.suppress(OSError):
                file.unlink()

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
