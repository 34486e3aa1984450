"""The last requests and their calls, stored in a folder, so that they outlive a reload."""

from __future__ import annotations

import contextlib
import json
import os
import zlib
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, NamedTuple

LONGEST_JSON = 64 * 1024  # characters stored of JSON that was sent
TEXT = 8 * 1024  # characters stored of a body, a log line or a traceback
REPEATED = 3  # executions of one statement in a request from which it is marked
EVENTS = 500  # stored of one request, so that a loop with log lines does not fill the memory

Pairs = list[tuple[str, str]]


class Event(NamedTuple):
    """Something that happened during a request; times are in milliseconds since its beginning."""

    at: float
    kind: str
    title: str
    detail: str = ""
    took: float = 0.0


class Total(NamedTuple):
    """All events of one kind, also those that were not kept. Overlapping times count once."""

    number: int
    ms: float


@dataclass(slots=True)
class Record:
    """A request, its response, and its events."""

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
    json_cut: bool = False  # `json` is only the beginning
    status: str = ""
    response: Pairs = field(default_factory=list)
    size: int = 0  # bytes of the response body
    body: str = ""
    session: Pairs = field(default_factory=list)
    seconds: float = 0.0
    recording: float = 0.0  # part of `seconds` that recording the calls took
    events: list[Event] = field(default_factory=list)
    left_out: int = 0  # events that were not kept
    totals: dict[str, Total] = field(default_factory=dict)  # of each kind of events
    hits: int = 0  # cache calls that found a value
    repeated: dict[str, int] = field(default_factory=dict)  # "N+1": fingerprints of SQL statements
    replay: str = ""  # names the request of the list's page that sent it again
    has_page: bool = False  # the debugger's page about its exception is stored

    @property
    def took(self) -> float:
        """Seconds without the time that recording took."""
        return self.seconds - self.recording

    @property
    def ended(self) -> float:
        """Seconds since the epoch."""
        return self.began + self.seconds

    def as_json(self) -> dict[str, Any]:
        """The fields as stored in a file; `from_json` restores them."""
        return {each.name: getattr(self, each.name) for each in fields(self)}

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> Record:
        """A record of stored fields."""
        fields["events"] = [Event(*event) for event in fields["events"]]
        fields["totals"] = {kind: Total(*total) for kind, total in fields["totals"].items()}
        return cls(**fields)

    def count(self, kind: str) -> int:
        """The number of events of a kind."""
        return self.totals[kind].number if kind in self.totals else 0

    def summary(self) -> dict[str, Any]:
        """The fields in requests.json; the size has the name it has in the JSON access log."""
        keys = ("number", "began", "method", "target", "status", "seconds", "endpoint", "replay")
        return {key: getattr(self, key) for key in keys} | {
            "bytes": self.size,
            "sql": self.count("sql"),
            "cache": self.count("cache"),
            "http": self.count("http"),
            "repeated": max(self.repeated.values(), default=0),
            "error": self.count("error") > 0,
        }


CALLS = "calls"  # while a file of this name exists, calls are recorded


class Store:
    """Stores the last `limit` records as files. All threads and processes may use it."""

    def __init__(self, folder: Path, limit: int = 100) -> None:
        self.folder = folder
        self.limit = limit
        self._known: dict[str, tuple[int, Record]] = {}  # by name and time of the file

    def add(self, record: Record) -> None:
        """Store a record. If the disk is full, the record is lost; the request is not affected."""
        self._write(self.folder / f"{record.number}.json", _as_bytes(record.as_json()))
        for old in self._files()[self.limit :]:
            _forget(old)

    def add_again(self, record: Record) -> None:
        """Store a record that has changed, unless it has been deleted."""
        if (self.folder / f"{record.number}.json").exists():
            self.add(record)

    def all(self) -> list[Record]:
        """All records, the newest first."""
        found = (self._read(file) for file in self._files()[: self.limit])
        return [record for record in found if record is not None]

    def get(self, number: int) -> Record | None:
        """The record with this number, if it is still stored."""
        return self._read(self.folder / f"{number}.json")

    def clear(self) -> None:
        """Delete all records."""
        for file in self._files():
            _forget(file)

    # --- calls

    @property
    def records_calls(self) -> bool:
        """Whether calls are recorded, by all processes that use the folder."""
        return (self.folder / CALLS).exists()

    @records_calls.setter
    def records_calls(self, wanted: bool) -> None:
        with contextlib.suppress(OSError):
            if wanted:
                (self.folder / CALLS).touch()
            else:
                (self.folder / CALLS).unlink(missing_ok=True)

    def add_calls(self, number: int, calls: dict[str, Any]) -> None:
        """Store the calls of a record, if the record has not been deleted."""
        if number >= self._oldest():
            data = zlib.compress(_as_bytes(calls), 1)  # names and source code repeat often
            self._write(self.folder / f"{number}.calls", data)

    def calls(self, number: int) -> dict[str, Any] | None:
        """The calls of a record; None if they were not recorded."""
        try:
            data = zlib.decompress((self.folder / f"{number}.calls").read_bytes())
        except (OSError, zlib.error):
            return None
        found: dict[str, Any] = json.loads(data)
        return found

    # --- the debugger's pages

    def add_page(self, number: int, html: str) -> None:
        """Store the debugger's page about the exception of a request."""
        self._write(self.folder / f"{number}.error", zlib.compress(html.encode(), 1))

    def page(self, number: int) -> str | None:
        """The debugger's page of a record, if it is still stored."""
        try:
            return zlib.decompress((self.folder / f"{number}.error").read_bytes()).decode()
        except (OSError, zlib.error):
            return None

    # --- files

    def _oldest(self) -> int:
        files = self._files()
        return int(files[-1].stem) if len(files) >= self.limit else 0

    @staticmethod
    def _write(file: Path, data: bytes) -> None:
        fresh = file.with_suffix(f".{os.getpid()}")
        try:
            fresh.write_bytes(data)
            fresh.replace(file)
        except OSError:
            with contextlib.suppress(OSError):
                fresh.unlink()

    def _files(self) -> list[Path]:
        files = [file for file in self.folder.glob("*.json") if file.stem.isdecimal()]
        return sorted(files, key=lambda file: int(file.stem), reverse=True)

    def _read(self, file: Path) -> Record | None:
        """A record; the list is read every second, so a file is read again only if it changed."""
        try:
            changed = file.stat().st_mtime_ns
            known = self._known.get(file.name)
            if known is None or known[0] != changed:
                known = changed, Record.from_json(json.loads(file.read_text("utf-8")))
                self._known[file.name] = known
        except (OSError, ValueError):
            return None  # another process has just deleted it
        for name in list(self._known)[: -self.limit]:
            self._known.pop(name, None)
        return known[1]


def _as_bytes(value: dict[str, Any]) -> bytes:
    return json.dumps(value).encode()


def _forget(file: Path) -> None:
    for each in (file, file.with_suffix(".calls"), file.with_suffix(".error")):
        with contextlib.suppress(OSError):
            each.unlink()
