"""The folders and files below some places, without what nobody wants to hear of."""

# Thousands of paths a second, which come and go as text:
# ruff: noqa: PTH112, PTH116, PTH120

from __future__ import annotations

import os
from collections.abc import Callable, Iterable

Enters = Callable[[str], bool]
Snapshot = dict[str, tuple[int, int, int]]


def everywhere(folder: str) -> bool:
    """Enters every folder."""
    return True


class Tree:
    """What lies below `roots` (folders or files), as it is now.

    Folders for which `enters` is false are left out, unless they are roots. A link to a folder
    is followed, and what is in there goes by its real name; a file behind a link keeps its
    own, because that tells what it is.
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
        """Every folder in which something happens that matters."""
        alone = {os.path.dirname(file) for file in (*self.files, *self.links)}
        return self.folders.keys() | set(filter(os.path.isdir, alone))

    def all_files(self) -> set[str]:
        """Every file."""
        return self.files.union(*self.folders.values())

    def name(self, path: str) -> str | None:
        """By which name a file belongs here, if it does."""
        if path in self.files or os.path.dirname(path) in self.folders:
            return path
        return self.links.get(path)

    def is_folder(self, path: str) -> bool:
        """Whether a folder is, or was, or would be among them."""
        return path in self.folders or (
            os.path.dirname(path) in self.folders and os.path.isdir(path) and self.enters(path)
        )

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
            return  # not to be read, or gone meanwhile
        files = self.folders[place] = []
        with entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    if self.enters(entry.path):
                        self._waiting.append(entry.path)
                elif entry.is_symlink() and entry.is_dir():
                    self._follow(entry.path)
                else:
                    files.append(entry.path)
                    if entry.is_symlink():
                        self.links[os.path.realpath(entry.path)] = entry.path

    def _follow(self, link: str) -> None:
        real = os.path.realpath(link)
        # One that leads upwards leads in circles, and to all that is beside the project.
        above = real.rstrip(os.sep) + os.sep
        if self.enters(link) and self.enters(real) and not link.startswith(above):
            self._waiting.append(real)


def snapshot(roots: Iterable[str], enters: Enters = everywhere) -> Snapshot:
    """Time, size and inode of every file below `roots`; what cannot be read is left out."""
    found: Snapshot = {}
    for path in Tree(roots, enters).all_files():
        try:
            stat = os.stat(path)
        except OSError:
            continue
        found[path] = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
    return found


def differences(before: Snapshot, after: Snapshot) -> frozenset[str]:
    """Every path that is new, gone or not the same."""
    return frozenset(
        path for path in before.keys() | after.keys() if before.get(path) != after.get(path)
    )
