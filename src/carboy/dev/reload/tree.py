"""The folders and files below some places, without the folders that do not matter."""

# Thousands of paths a second, which come and go as text:
# ruff: noqa: PTH112, PTH116, PTH120, PTH206

from __future__ import annotations

import os
from collections.abc import Callable, Iterable

Enters = Callable[[str], bool]
Snapshot = dict[str, tuple[int, int, int]]


def everywhere(folder: str) -> bool:
    """Enters every folder."""
    return True


def is_below(path: str, folder: str) -> bool:
    """Whether a path is in a folder or below it."""
    return path.startswith(folder.rstrip(os.sep) + os.sep)


def outermost(paths: Iterable[str]) -> set[str]:
    """Those of the paths that are not below another one of them."""
    found: list[str] = []
    for path in sorted(set(paths), key=lambda each: each.split(os.sep)):
        if not found or not is_below(path, found[-1]):
            found.append(path)
    return set(found)


class Tree:
    """The folders and files below `roots` (folders or files), as they are now.

    Folders for which `enters` is false are left out, unless they are roots. A link to a folder is
    followed, and files in it have their real names. A link to a file keeps its own name, because
    the name says what kind of file it is.
    """

    def __init__(self, roots: Iterable[str], enters: Enters = everywhere) -> None:
        self.enters = enters
        self.folders: dict[str, list[str]] = {}  # and the files in each
        self.links: dict[str, str] = {}  # where a linked file really is: the link
        self.files: set[str] = set()  # roots
        self._waiting = list(roots)
        while self._waiting:
            self._look(self._waiting.pop())

    @property
    def places(self) -> set[str]:
        """Every folder in which changes matter."""
        alone = {os.path.dirname(file) for file in (*self.files, *self.links)}
        return self.folders.keys() | set(filter(os.path.isdir, alone))

    def all_files(self) -> set[str]:
        """Every file."""
        return self.files.union(*self.folders.values())

    def name(self, path: str) -> str | None:
        """The name by which a file is in the tree; None if it is not in it."""
        if path in self.files or os.path.dirname(path) in self.folders:
            return path
        return self.links.get(path)

    def is_folder(self, path: str) -> bool:
        """Whether this is a folder that is, was, or would be in the tree."""
        return path in self.folders or (
            os.path.dirname(path) in self.folders and os.path.isdir(path) and self.enters(path)
        )

    def has_file(self, path: str) -> bool:
        """Whether this was a file when the tree was read."""
        return path in self.files or path in self.folders.get(os.path.dirname(path), ())

    def below(self, folders: Iterable[str]) -> set[str]:
        """The files in these folders and below."""
        starts = tuple(folder + os.sep for folder in folders)
        return {file for file in self.all_files() if file.startswith(starts)}

    def _look(self, place: str) -> None:
        if place in self.folders:
            return
        try:
            entries = os.scandir(place)
        except NotADirectoryError:
            self.files.add(place)
            return
        except OSError:
            return  # not readable, or removed meanwhile
        files = self.folders[place] = []
        with entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    if self.enters(entry.path):
                        self._waiting.append(entry.path)
                elif entry.is_symlink() and os.path.isdir(
                    entry.path
                ):  # False for a circle of links
                    self._follow(entry.path)
                else:
                    files.append(entry.path)
                    if entry.is_symlink():
                        self.links[os.path.realpath(entry.path)] = entry.path

    def _follow(self, link: str) -> None:
        real = os.path.realpath(link)
        # A link to a folder above would lead in circles, and to files outside of the project.
        above = real.rstrip(os.sep) + os.sep
        if self.enters(link) and self.enters(real) and not link.startswith(above):
            self._waiting.append(real)


def snapshot(roots: Iterable[str], enters: Enters = everywhere) -> Snapshot:
    """Time, size and inode of every file below `roots`, without unreadable files."""
    found: Snapshot = {}
    for path in Tree(roots, enters).all_files():
        try:
            stat = os.stat(path)
        except OSError:
            continue
        found[path] = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
    return found


def differences(before: Snapshot, after: Snapshot) -> frozenset[str]:
    """Every path that is new, missing or different."""
    return frozenset(
        path for path in before.keys() | after.keys() if before.get(path) != after.get(path)
    )
