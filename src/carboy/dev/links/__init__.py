"""Permanent links to lines of code and to licences, and the reason where there is none.

A file of an installed package is linked in its repository at the tag of the version, Python's own
library at the tag of the interpreter, and all other code through the git checkout it is in.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass, replace
from functools import cache
from importlib import metadata
from pathlib import Path
from urllib.parse import unquote, urlsplit

from carboy.dev.explain import places
from carboy.dev.explain.places import PYTHON, Place, version_of
from carboy.dev.links import checkout, hosts, repositories

CPYTHON = "https://github.com/python/cpython"
LICENCE_FILE = re.compile(
    r"[^/]+\.dist-info/(?:licenses/)?((?:[^/]+/)?(?:licen[cs]e|copying)[^/]*)", re.I
)
FROZEN = re.compile(r"<frozen ([\w.]+)>")
GENERATED = "code that was generated and has no file"
FOLDERS = ("src/", "", "lib/")  # where modules are in a checkout that a package was installed from


@dataclass(frozen=True, slots=True)
class Link:
    """An address, or "" with the reason; a note beside an address limits it."""

    url: str
    note: str = ""


def repository_of(package: str) -> Link:
    """The address of the repository of a package, or why it is not known."""
    if package == PYTHON:
        name = sys.implementation.name
        return Link(CPYTHON) if name == "cpython" else Link("", f"{name} is not CPython")
    if commit := repositories.installed_from(package):
        return Link(commit.home)
    if found := repositories.repository(package):
        return Link(found)
    if where := _source_folder(package):
        return Link(where.home, where.problem)
    return Link(
        "", "its metadata names no repository of a known form" if version_of(package) else ""
    )


def commit_of(package: str) -> str:
    """The commit that a package was installed from, or "" if it is not known."""
    if commit := repositories.installed_from(package):
        return commit.commit
    where = _source_folder(package)
    return where.commit if where else ""


def link_of(place: Place, line: int = 0) -> Link:
    """A permanent link to the lines of a function or to one line in it, or why there is none."""
    if line and (place.first or FROZEN.fullmatch(place.short)):
        place = replace(place, first=line, last=line)
    if place.package == places.KERNEL:
        return Link("", "a system call, whose code is in the kernel")
    if place.package == places.C_CODE:
        return Link("", "compiled code, whose source cannot be shown")
    if place.package == PYTHON:
        return _in_python(place)
    if not Path(place.file).is_absolute():
        return Link("", GENERATED)
    if places.SITES.intersection(Path(place.file).parts):
        return _in_package(place)
    return _in_checkout(Path(place.file), place.first, place.last)


def licences_of(package: str) -> list[Link]:
    """Links to the licence files of a package at its version, or why there are none."""
    version = version_of(package)
    if package == PYTHON:
        found = _in_python(Place("/LICENSE", 0, 0, PYTHON, PYTHON, "../LICENSE"))
        return [Link(found.url.replace("/Lib/../", "/"), found.note)]
    files = _licence_files(package)
    if not files:
        return [Link("", "the package has no licence file")]
    if where := _source_folder(package):
        return [_in_checkout(where.top / file, 0, 0) for file in files]
    if commit := repositories.installed_from(package):
        return [
            Link(hosts.link(commit.home, commit.commit, commit.folder + file, is_commit=True))
            for file in files
        ]
    home = repositories.repository(package)
    form = repositories.form_of(package, version)
    tag = form.tag_of(version) if form else ""
    if not home or not form or not tag:
        return [Link("", f"{_problem(package, version)}; it is in the package: {files[0]}")]
    return [Link(hosts.link(home, tag, form.root + file)) for file in files]


def _in_python(place: Place) -> Link:
    version = version_of(PYTHON)
    if sys.implementation.name != "cpython":
        return Link("", f"{sys.implementation.name} is not CPython")
    frozen = FROZEN.fullmatch(place.short)
    if not place.file and not frozen:
        return Link("", GENERATED)
    if place.short.startswith("_sysconfigdata"):
        return Link("", "a module that is written when Python is built")
    if not repositories.RELEASE.fullmatch(version):
        return Link("", f"Python {version} is not a release, so it has no tag")
    short = file_of_frozen(frozen[1]) if frozen else Path(place.short).as_posix()
    path = f"Lib/{short}"
    return Link(hosts.link(CPYTHON, f"v{version}", path, place.first, place.last))


def file_of_frozen(module: str) -> str:
    """The file of a module that is frozen into the interpreter."""
    is_package = hasattr(sys.modules.get(module), "__path__")
    return module.replace(".", "/") + ("/__init__.py" if is_package else ".py")


def _in_package(place: Place) -> Link:
    package, version = place.package, version_of(place.package)
    form = repositories.form_of(package, version)
    if commit := repositories.installed_from(package):
        if form is None:
            return Link("", f"it was installed from commit {commit.commit[:10]} of {commit.home},"
                        " whose folders are not known")  # fmt: skip
        folder = commit.folder + form.folder.removeprefix(form.root)
        path = folder + Path(place.short).as_posix()
        url = hosts.link(commit.home, commit.commit, path, place.first, place.last, True)
        return Link(url)
    if where := _source_folder(package):
        return _copied_from(where, place)
    home = repositories.repository(package)
    tag = form.tag_of(version) if form else ""
    if not home or not form or not tag:
        return Link("", _problem(package, version))
    path = form.folder + Path(place.short).as_posix()
    return Link(hosts.link(home, tag, path, place.first, place.last))


def _problem(package: str, version: str) -> str:
    """Why there is no link into the repository of a package."""
    if not version:
        return "it belongs to no installed package"
    if not repositories.repository(package):
        return "its metadata names no repository of a known form"
    if not repositories.RELEASE.fullmatch(version):
        return f"version {version} is not a release, so it has no tag"
    return f"the tag of version {version} is not known"


def _copied_from(where: checkout.Checkout, place: Place) -> Link:
    """A link for a file that was installed from a folder: to the equal file in that folder."""
    try:
        text = Path(place.file).read_bytes()
        for folder in FOLDERS:
            file = where.top / folder / place.short
            if file.is_file() and file.read_bytes() == text:
                return _in_checkout(file, place.first, place.last)
    except OSError:
        pass
    return Link("", "the folder that it was installed from has been changed since")


@cache
def _source_folder(package: str) -> checkout.Checkout | None:
    """The checkout that a package was installed from, as a copy or as an editable installation."""
    if package == "carboy" and not places.SITES.intersection(places.CARBOY.parts):
        # The code that runs, which need not be the installed one.
        found = checkout.of_folder(str(places.CARBOY))
        return found if isinstance(found, checkout.Checkout) else None
    document = repositories.direct_url(package)
    address = urlsplit(str(document.get("url", "")))
    if address.scheme != "file" or "dir_info" not in document:
        return None
    found = checkout.of_folder(unquote(address.path))
    return found if isinstance(found, checkout.Checkout) else None


def _in_checkout(file: Path, first: int, last: int) -> Link:
    found = checkout.of_file(file)
    if isinstance(found, str):
        return Link("", found)
    try:
        path = file.resolve().relative_to(found.top.resolve()).as_posix()
    except (OSError, ValueError):
        return Link("", "it is not in a git checkout")
    if path not in found.tracked:
        return Link("", "its file is not committed to git")
    if not found.home:
        return Link("", found.problem)
    url = hosts.link(found.home, found.commit, path, first, last, is_commit=True)
    return Link(url, found.note(path))


@cache
def _licence_files(package: str) -> list[str]:
    """The paths of the licence files of a package in its project, three at most."""
    try:
        files = metadata.files(package) or []
    except metadata.PackageNotFoundError:
        return []
    found = [match[1] for file in files if (match := LICENCE_FILE.fullmatch(file.as_posix()))]
    return sorted(found, key=lambda path: (path.count("/"), path))[:3]
