"""The reaction of `carboy dev` to changed files: it loads new code or refreshes open pages."""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Sequence
from importlib.util import cache_from_source
from pathlib import Path
from typing import Any, Protocol

from carboy.cli.dev.terminal import Terminal
from carboy.dev.reload.changes import Changes
from carboy.dev.reload.rules import Change, Kind, Rules

# A person does not save a file that often; an application that writes it with each request does.
OFTEN, SOON = 6, 15.0  # reloads, seconds


class Replaces(Protocol):
    """The replacer of the application: a DevelopmentSupervisor or `portable.RestartRequest`."""

    def replace(self, why: Sequence[str], forget: bool = False) -> None: ...

    def tell(self, message: dict[str, Any]) -> None: ...


class FileChangeHandler:
    """Starts another worker, or tells browsers to refresh, after each change of files."""

    supervisor: Replaces
    terminal: Terminal

    def __init__(
        self, extra_files: Sequence[str], patterns: Sequence[str], env_file: str | None, live: bool
    ) -> None:
        self.folder = here = str(Path.cwd())
        self.rules = Rules(
            extra_files,
            patterns,
            environment_files=[env_file] if env_file else (),
            roots=[here],
        )
        self.changes = Changes([here, *self.rules.places], self.on_change, self.rules)
        self.live = live
        self.reloads: dict[str, deque[float]] = {}  # times of reloads by the file that caused them
        self.told: set[str] = set()
        self.rereads = False  # whether the application reloads changed templates itself

    def on_change(self, change: Change) -> None:
        """Called in the thread that watches the files."""
        if change.kind is Kind.CODE or (change.kind is Kind.TEMPLATE and not self.rereads):
            forget_byte_code(change.paths)
            self.supervisor.replace(change.paths, forget=change.environment)
            self._count(change.paths)
        elif self.live:
            kind = "style" if change.kind is Kind.STYLE else "page"
            self.supervisor.tell({"publish": kind, "paths": change.paths})
            self.terminal.changed(kind, change.paths)

    def _count(self, paths: Sequence[str]) -> None:
        """Say which file causes one reload after the other: the application may write it."""
        now = time.monotonic()
        for path in paths:
            times = self.reloads.setdefault(path, deque(maxlen=OFTEN))
            times.append(now)
            if len(times) == OFTEN and now - times[0] < SOON and path not in self.told:
                self.told.add(path)
                self.terminal.repeated(path, OFTEN)

    def report(self, report: dict[str, Any]) -> None:
        """Watch the files that the application has turned out to use."""
        self.rereads = report["rereads"]
        self.rules.templates = report["templates"]
        self.rules.statics = report["statics"]
        roots = [*report["roots"], *report["templates"], *report["statics"]]
        self.rules.roots = {self.folder, *roots}
        self.changes.also(roots)


def forget_byte_code(paths: tuple[str, ...]) -> None:
    """Delete cached byte code: it is matched to its source by time in seconds and size only,
    which two saves can have in common."""
    for path in paths:
        if path.endswith(".py"):
            with contextlib.suppress(OSError, NotImplementedError):
                Path(cache_from_source(path)).unlink()
