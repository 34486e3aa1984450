"""What a change of files means to `carboy dev`: new code, or word to the browsers."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from importlib.util import cache_from_source
from pathlib import Path
from typing import Any, Protocol

from carboy.cli.dev.terminal import Terminal
from carboy.dev.reload.changes import Changes
from carboy.dev.reload.rules import Change, Kind, Rules


class Replaces(Protocol):
    """What has the application run: a DevelopmentSupervisor, or `portable.Again`."""

    def replace(self, why: Sequence[str], forget: bool = False) -> None: ...

    def tell(self, message: dict[str, Any]) -> None: ...


class Follower:
    """Says what each change means: another worker, or word to the browsers."""

    supervisor: Replaces
    terminal: Terminal

    def __init__(
        self, extra_files: Sequence[str], patterns: Sequence[str], env_file: str | None, live: bool
    ) -> None:
        here = str(Path.cwd())
        self.rules = Rules(
            extra_files,
            patterns,
            environment_files=[env_file] if env_file else (),
            roots=[here],
        )
        self.changes = Changes([here, *self.rules.places], self.hear, self.rules)
        self.live = live
        self.rereads = False  # whether the application looks at templates again by itself

    def hear(self, change: Change) -> None:
        """Called in the thread that watches."""
        if change.kind is Kind.CODE or (change.kind is Kind.TEMPLATE and not self.rereads):
            forget_byte_code(change.paths)
            self.supervisor.replace(change.paths, forget=change.environment)
        elif self.live:
            kind = "style" if change.kind is Kind.STYLE else "page"
            self.supervisor.tell({"publish": kind, "paths": change.paths})
            self.terminal.changed(kind, change.paths)

    def report(self, report: dict[str, Any]) -> None:
        """Watch what the application turned out to use."""
        self.rereads = report["rereads"]
        self.rules.templates = report["templates"]
        self.rules.statics = report["statics"]
        roots = [*report["roots"], *report["templates"], *report["statics"]]
        self.rules.roots = {str(Path.cwd()), *roots}
        self.changes.also(roots)


def forget_byte_code(paths: tuple[str, ...]) -> None:
    """Byte code is told from its source by seconds and size: two saves can look the same."""
    for path in paths:
        if path.endswith(".py"):
            with contextlib.suppress(OSError, NotImplementedError):
                Path(cache_from_source(path)).unlink()
