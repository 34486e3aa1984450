"""Which files matter, and what a change of each means. Only names are looked at.

    change of …                                          what follows
    Python, compiled modules, translations, extra files  CODE: the program starts again
    an environment file                                  CODE, with the variables read again
    anything in a folder of templates                    TEMPLATE: the browser loads the page again
    a style sheet in a folder of static files            STYLE: swapped in the page
    anything else in a folder of static files            PAGE: the browser loads the page again

A file that was touched, or saved with the same bytes, counts as changed, as for Flask: people use
`touch` to ask for another start.
"""

# Thousands of paths a second, which come and go as text:
# ruff: noqa: PTH119, PTH120, PTH122, PTH206

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from fnmatch import fnmatch, translate

from carboy.dev.reload.tree import is_below


class Kind(Enum):
    """The consequence of a change: a restart, or an update in the browser only."""

    CODE = "code"
    TEMPLATE = "template"
    STYLE = "style"
    PAGE = "page"


# The kind of a change of several files is the first of these that is among theirs.
GRAVITY = (Kind.CODE, Kind.TEMPLATE, Kind.PAGE, Kind.STYLE)

# Folders that tools create, and that are not edited by hand.
IGNORED_FOLDERS = frozenset({
    "__pycache__", ".git", ".hg", ".svn", ".jj", ".tox", ".nox", ".venv", "venv", "site-packages",
    "node_modules", "bower_components", ".mypy_cache", ".pytest_cache", ".ruff_cache",
    ".hypothesis", ".idea", ".vscode", ".eggs", ".ipynb_checkpoints", "__pypackages__",
    ".cache", ".direnv", ".sass-cache", ".parcel-cache", ".Trash", "htmlcov",
})  # fmt: skip
# Files that editors and file systems create while a file is saved, and that programs write while
# they run.
IGNORED_FILES = (
    "*~", ".#*", "#*#", "*.swp", "*.swx", "*.swo", ".*.sw?", "4913", "*___jb_*___",
    ".goutputstream*", ".~lock.*#", ".fuse_hidden*", ".nfs*", ".DS_Store", "Thumbs.db",
    "*.bak", "*.orig", "*.rej", "*.tmp", "*.part", "flycheck_*", "*.kate-swp", "*.un~",
    "*.pyc", "*.pyo", "*.py[co].*",
    "*.db", "*.db3", "*.sqlite", "*.sqlite3", "*-journal", "*-wal", "*-shm",
    "*.log", "*.log.*", "*.pid", "*.sock", "*.lock",
)  # fmt: skip

ENVIRONMENT_FILES = frozenset({".env", ".flaskenv", ".carboyenv"})
CODE = frozenset({".py", ".pyd", ".so", ".mo"})
STYLES = frozenset({".css"})
TEMPLATE_FOLDERS = frozenset({"templates"})
STATIC_FOLDERS = frozenset({"static"})

_is_ignored_file = re.compile("|".join(map(translate, IGNORED_FILES))).match
_is_pattern = re.compile(r"[*?[]").search


@dataclass(frozen=True, slots=True)
class Change:
    """Files that have changed together. `kind` is the most serious of their kinds.

    `environment` is true when variables of the process itself may have changed, so that a
    process that keeps them has to read them again.
    """

    kind: Kind
    paths: tuple[str, ...]
    environment: bool = False


class Rules:
    """Says what a change of a file means for the program.

    `extra_files` always count, and mean a restart; each is a file, a folder (with everything
    in it) or a pattern. `exclude_patterns` (fnmatch, on the whole path) win over everything.
    `environment_files` count beside those of the usual names. `templates` and `statics` are
    the application's folders, beside those called "templates" and "static"; they and `roots`
    can be set again at any time. Names of folders count only below a root: a program may well be in
    a folder called "venv". Places that are links are replaced by their targets, as when they are
    watched.
    """

    def __init__(
        self,
        extra_files: Iterable[str] = (),
        exclude_patterns: Iterable[str] = (),
        *,
        environment_files: Iterable[str] = (),
        templates: Iterable[str] = (),
        statics: Iterable[str] = (),
        roots: Iterable[str] = (),
    ) -> None:
        extra = [os.path.realpath(path) for path in extra_files]
        self.extra = frozenset(path for path in extra if not _is_pattern(path))
        self.extra_patterns = tuple(path for path in extra if _is_pattern(path))
        self.exclude_patterns = tuple(exclude_patterns)
        self.environment_files = frozenset(map(os.path.realpath, environment_files))
        self.templates = templates
        self.statics = statics
        self.roots = roots

    @property
    def templates(self) -> tuple[str, ...]:
        """The application's folders of templates, absolute."""
        return self._templates

    @templates.setter
    def templates(self, folders: Iterable[str]) -> None:
        self._templates = tuple(map(os.path.realpath, folders))

    @property
    def statics(self) -> tuple[str, ...]:
        """The application's folders of static files, absolute."""
        return self._statics

    @statics.setter
    def statics(self, folders: Iterable[str]) -> None:
        self._statics = tuple(map(os.path.realpath, folders))

    @property
    def roots(self) -> tuple[str, ...]:
        """The folders that are watched, absolute."""
        return self._roots

    @roots.setter
    def roots(self, folders: Iterable[str]) -> None:
        # The innermost first, as paths are taken relative to it.
        self._roots = tuple(sorted(map(os.path.realpath, folders), key=len, reverse=True))

    @property
    def places(self) -> frozenset[str]:
        """The folders and files to watch besides the program's own folders."""
        patterns = map(_folder_of_pattern, self.extra_patterns)
        return frozenset({
            *self.extra, *patterns, *self.environment_files, *self.templates, *self.statics,
        })  # fmt: skip

    def kind(self, path: str) -> Kind | None:
        """The consequence of a change of this file; None: it does not matter."""
        if self._is_excluded(path):
            return None
        if path in self.extra or path in self.environment_files:
            return Kind.CODE
        *folders, name = self._inside(path).split(os.sep)
        if not IGNORED_FOLDERS.isdisjoint(folders) or _is_ignored_file(name):
            return None
        if self._is_extra(path) or name in ENVIRONMENT_FILES:
            return Kind.CODE
        return self._kind_of_suffix(path, frozenset(folders), name)

    def enters(self, folder: str) -> bool:
        """Whether files below this folder may matter."""
        return os.path.basename(folder) not in IGNORED_FOLDERS and not self._is_excluded(folder)

    def change(self, paths: Iterable[str]) -> Change | None:
        """Those of `paths` that matter, as one change; None if none does."""
        kinds = {path: kind for path in sorted(paths) if (kind := self.kind(path)) is not None}
        if not kinds:
            return None
        gravest = next(kind for kind in GRAVITY if kind in kinds.values())
        return Change(gravest, tuple(kinds), any(map(self._is_environment, kinds)))

    def _kind_of_suffix(self, path: str, folders: frozenset[str], name: str) -> Kind | None:
        suffix = os.path.splitext(name)[1].lower()
        if suffix in CODE:
            return Kind.CODE
        if _below_any(path, self._templates):
            return Kind.TEMPLATE
        if _below_any(path, self._statics) or not STATIC_FOLDERS.isdisjoint(folders):
            return Kind.STYLE if suffix in STYLES else Kind.PAGE
        return None if TEMPLATE_FOLDERS.isdisjoint(folders) else Kind.TEMPLATE

    def _is_environment(self, path: str) -> bool:
        return os.path.basename(path) in ENVIRONMENT_FILES or path in self.environment_files

    def _is_excluded(self, path: str) -> bool:
        return any(fnmatch(path, pattern) for pattern in self.exclude_patterns)

    def _is_extra(self, path: str) -> bool:
        return any(fnmatch(path, each) for each in self.extra_patterns) or _below_any(
            path, self.extra
        )

    def _inside(self, path: str) -> str:
        """The part of `path` below a watched folder, or the whole path if it is below none."""
        for root in self._roots:
            if is_below(path, root):
                return path[len(root.rstrip(os.sep)) + 1 :]
        return path


def _below_any(path: str, folders: Iterable[str]) -> bool:
    return any(is_below(path, folder) for folder in folders)


def _folder_of_pattern(pattern: str) -> str:
    """The deepest folder that all files that match the pattern are below."""
    found = _is_pattern(pattern)
    return os.path.dirname(pattern[: found.start()] if found else pattern) or os.sep
