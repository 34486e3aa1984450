"""The git checkout of a file: its remote, its commit, and whether the file has been changed."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from carboy.dev.links import hosts

# Set while git runs a hook; they name another repository than that of the file.
OF_HOOKS = {"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX"}
PATIENCE = 10.0  # seconds for one command of git, which reads the disk only


@dataclass(frozen=True, slots=True)
class Checkout:
    """A checkout as it was when it was first asked for."""

    top: Path
    commit: str
    home: str  # the https address of its remote, or "" with the reason in `problem`
    problem: str
    tracked: frozenset[str]
    changed: frozenset[str]
    is_published: bool  # whether a branch of a remote has the commit, as far as is known here

    def note(self, path: str) -> str:
        """Limits of a link to a file: it was changed, or the commit was not pushed."""
        notes = []
        if path in self.changed:
            notes.append(f"changed since commit {self.commit[:10]}")
        if not self.is_published:
            notes.append(f"commit {self.commit[:10]} is not on any branch of the remote yet")
        return ", ".join(notes)


def of_file(file: Path) -> Checkout | str:
    """The checkout that a file is in, or why it has none."""
    try:
        return of_folder(str(file.resolve().parent))
    except OSError:
        return "its file cannot be read"


@cache
def of_folder(folder: str) -> Checkout | str:
    """The checkout that a folder is in, or why it has none."""
    try:
        top = _git(folder, "rev-parse", "--show-toplevel").strip()
    except FileNotFoundError:
        return "git is not installed" if Path(folder).is_dir() else "its folder does not exist"
    except (OSError, subprocess.SubprocessError):
        return "it is not in a git checkout"
    try:
        return _of_top(top)
    except (OSError, subprocess.SubprocessError):
        return "git cannot read its checkout"


@cache
def _of_top(top: str) -> Checkout | str:
    try:
        commit = _git(top, "rev-parse", "--verify", "HEAD").strip()
    except subprocess.SubprocessError:
        return "its git repository has no commit"
    # Names of files are bytes; the separator is the zero byte.
    tracked = frozenset(_git(top, "ls-files", "-z").split("\0"))
    changed = frozenset(_git(top, "diff", "--name-only", "-z", "HEAD", "--").split("\0"))
    home, problem = _remote(top)
    branches = _git(top, "branch", "--remotes", "--format=%(refname)")
    # A checkout by commit alone, as on a build server, has no branches to compare with.
    published = not branches or bool(_git(top, "branch", "--remotes", "--contains", commit))
    return Checkout(Path(top), commit, home, problem, tracked, changed, published)


def _remote(top: str) -> tuple[str, str]:
    """The address of the remote and "", or "" and why there is none."""
    names = _git(top, "remote").split()
    if not names:
        return "", "its git checkout has no remote"
    name = _upstream(top)
    if name not in names:
        name = "origin" if "origin" in names else names[0]
    url = _git(top, "remote", "get-url", name).strip()
    home = hosts.address_of(url)
    if home:
        return home, ""
    host = hosts.host_of(url)
    if not host:
        return "", "the remote of its git checkout is a folder"
    return "", f"the form of links at {host} is not known"


def _upstream(top: str) -> str:
    """The remote of the branch that is checked out, or ""."""
    try:
        branch = _git(top, "symbolic-ref", "--short", "HEAD").strip()
        return _git(top, "config", f"branch.{branch}.remote").strip()
    except subprocess.SubprocessError:
        return ""


def _git(folder: str, *command: str) -> str:
    # core.fsmonitor=: git must not run a program that the repository's configuration names.
    environment = {name: value for name, value in os.environ.items() if name not in OF_HOOKS}
    environment["GIT_OPTIONAL_LOCKS"] = "0"  # git must not write to the checkout
    start = ["git", "-c", "core.fsmonitor=", "-C", folder]
    done = subprocess.run(
        [*start, *command], capture_output=True, check=True, timeout=PATIENCE, text=True,
        errors="surrogateescape", stdin=subprocess.DEVNULL, env=environment,
    )  # fmt: skip
    return done.stdout
