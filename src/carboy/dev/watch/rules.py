"""Which files count, and what a change of one means. Looks at names only, never at the disk."""

# Thousands of paths a second, which come and go as text:
# ruff: noqa: PTH100, PTH119

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from fnmatch import fnmatch
from pathlib import PurePath


class Kind(Enum):
    """What has to happen after a change: a restart, or something in the browser only."""

    CODE = "code"
    TEMPLATE = "template"
    STYLE = "style"
    PAGE = "page"


# A change of several kinds at once is the first of these that is among them.
GRAVITY = (Kind.CODE, Kind.TEMPLATE, Kind.PAGE, Kind.STYLE)

# Folders that tools make, and nobody edits by hand.
IGNORED_FOLDERS = frozenset({
    "__pycache__", ".git", ".hg", ".svn", ".jj", ".tox", ".nox", ".venv", "venv", "site-packages",
    "node_modules", "bower_components", ".mypy_cache", ".pytest_cache", ".ruff_cache",
    ".hypothesis", ".idea", ".vscode", ".eggs", ".ipynb_checkpoints", "__pypackages__",
})  # fmt: skip
# What editors and file systems leave beside a file while it is saved.
IGNORED_FILES = (
    "*~",
    ".#*",
    "#*#",
    "*.swp",
    "*.swx",
    "*.swo",
    "*___jb_*___",
    "4913",
    ".goutputstream*",
)

ENVIRONMENT_FILES = frozenset({".env", ".flaskenv", ".carboyenv"})
CODE = frozenset({".py", ".pyd", ".so", ".mo"})
TEMPLATES = frozenset({".html", ".htm", ".jinja", ".jinja2", ".j2", ".xhtml"})
STYLES = frozenset({".css"})
PAGES = frozenset({
    ".js", ".mjs", ".map", ".svg", ".png", ".jpg", ".jpeg", ".gif", ".webp", ".avif", ".ico",
    ".woff", ".woff2", ".wasm",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Change:
    """Files that changed together. `kind` is the gravest of theirs."""

    kind: Kind
    paths: tuple[str, ...]

    @property
    def environment(self) -> bool:
        """Whether variables of the process itself may have changed."""
        return any(PurePath(path).name in ENVIRONMENT_FILES for path in self.paths)


class Rules:
    """Tells what a file is to the program.

    `extra_files` always count, and mean a restart; `exclude_patterns` (fnmatch, on the whole
    path) win over everything.
    """

    def __init__(
        self, extra_files: Iterable[str] = (), exclude_patterns: Iterable[str] = ()
    ) -> None:
        extra = [os.path.abspath(path) for path in extra_files]
        self.extra = frozenset(extra)
        self.exclude_patterns = tuple(exclude_patterns)

    def kind(self, path: str) -> Kind | None:
        """What a change of this file means; None: nothing."""
        if any(fnmatch(path, pattern) for pattern in self.exclude_patterns):
            return None
        if path in self.extra:
            return Kind.CODE
        pure = PurePath(path)
        if not IGNORED_FOLDERS.isdisjoint(pure.parts[:-1]):
            return None
        if any(fnmatch(pure.name, pattern) for pattern in IGNORED_FILES):
            return None
        return _kind_of_name(pure)

    def enters(self, folder: str) -> bool:
        """Whether files below this folder may count."""
        return os.path.basename(folder) not in IGNORED_FOLDERS and not any(
            fnmatch(folder, pattern) for pattern in self.exclude_patterns
        )

    def change(self, paths: Iterable[str]) -> Change | None:
        """All those of `paths` that count, as one change; None if none does."""
        kinds = {path: kind for path in sorted(paths) if (kind := self.kind(path)) is not None}
        if not kinds:
            return None
        gravest = next(kind for kind in GRAVITY if kind in kinds.values())
        return Change(gravest, tuple(kinds))


def _kind_of_name(path: PurePath) -> Kind | None:
    suffix = path.suffix.lower()
    if suffix in CODE or path.name in ENVIRONMENT_FILES:
        return Kind.CODE
    if suffix in STYLES:
        return Kind.STYLE
    if suffix in TEMPLATES or "templates" in path.parts[:-1]:
        return Kind.TEMPLATE
    if suffix in PAGES or "static" in path.parts[:-1]:
        return Kind.PAGE
    return None
