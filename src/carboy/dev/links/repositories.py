"""The repository of an installed package, and the tag of its version, from its metadata."""

from __future__ import annotations

import json
import re
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from carboy.dev.links import hosts

TABLE = Path(__file__).with_name("repositories.toml")
# Labels of Project-URL, in the order of preference, as PyPI normalizes them.
LABELS = (
    "source", "sourcecode", "sources", "repository", "sourcerepository", "repo", "code", "github",
    "gitlab", "codeberg", "git", "project", "homepage", "home",
)  # fmt: skip
# Versions with .dev or +local are not tagged.
RELEASE = re.compile(r"\d+(\.\d+)*((a|b|rc|\.post)\d+)?")
PADDED = re.compile(r"(\d{4})\.(\d{1,2})\.(\d{1,2})((\.\d+)?)")


@dataclass(frozen=True, slots=True)
class Form:
    """The form of the tags and of the paths of a repository, in a range of versions."""

    tag: str
    folder: str = ""
    since: str = ""
    below: str = ""
    root: str = ""
    seen: str = ""

    def covers(self, version: str) -> bool:
        """Whether the form is known for a version."""
        number = _number(version)
        return (not self.since or number >= _number(self.since)) and (
            not self.below or number < _number(self.below)
        )

    def tag_of(self, version: str) -> str:
        """The tag of a release; "" for a version that is not tagged."""
        if not RELEASE.fullmatch(version):
            return ""
        padded = PADDED.fullmatch(version)
        if "{padded}" in self.tag and not padded:
            return ""
        year, month, day, rest = padded.groups()[:4] if padded else ("", "", "", "")
        return self.tag.format(
            version=version,
            underscored=version.replace(".", "_"),
            three=re.sub(r"^\d+\.\d+(?!\.?\d)", r"\g<0>.0", version),
            padded=f"{year}.{month:0>2}.{day:0>2}{rest}",
        )


@dataclass(frozen=True, slots=True)
class Commit:
    """The repository and the commit from which a package was installed (PEP 610)."""

    home: str
    commit: str
    folder: str  # of the project in the repository: "" or "python/"


@cache
def forms() -> dict[str, list[Form]]:
    """The known forms of the repositories of packages."""
    table = tomllib.loads(TABLE.read_text("utf-8"))
    return {
        name: [Form(**row) for row in (rows if isinstance(rows, list) else [rows])]
        for name, rows in table.items()
    }


def form_of(package: str, version: str) -> Form | None:
    """The form of the repository of a package at this version, or None."""
    found = forms().get(re.sub(r"[-_.]+", "-", package).lower(), ())
    return next((form for form in found if form.covers(version)), None)


@cache
def repository(package: str) -> str:
    """The address of the repository in the metadata of an installed package, or ""."""
    try:
        return repository_in(metadata.metadata(package))
    except metadata.PackageNotFoundError:
        return ""


def repository_in(about: metadata.PackageMetadata) -> str:
    """The address of the repository in the metadata of a package, or ""."""
    urls: dict[str, str] = {}
    for each in about.get_all("Project-URL") or []:
        label, _, url = str(each).partition(",")
        urls[re.sub(r"[\W_]", "", label).lower()] = url.strip()
    if "Home-page" in about:
        urls.setdefault("homepage", str(about["Home-page"]))
    # The page of issues or of changes is in the repository, too.
    others = [label for label in urls if label not in LABELS]
    for label in (*LABELS, *others):
        if found := hosts.address_of(urls.get(label, "")):
            return found
    return ""


@cache
def installed_from(package: str) -> Commit | None:
    """The commit of a package that was installed from git, or None."""
    document = direct_url(package)
    commit = document.get("vcs_info", {}).get("commit_id", "")
    home = hosts.address_of(document.get("url", ""))
    if not home or not commit or document["vcs_info"].get("vcs") != "git":
        return None
    folder = document.get("subdirectory", "").strip("/")
    return Commit(home, commit, f"{folder}/" if folder else "")


def direct_url(package: str) -> dict[str, Any]:
    """The file `direct_url.json` of an installed package; {} if it has none."""
    try:
        text = metadata.distribution(package).read_text("direct_url.json")
        return dict(json.loads(text)) if text else {}
    except (metadata.PackageNotFoundError, ValueError):
        return {}


def _number(version: str) -> tuple[int, ...]:
    found = re.match(r"\d+(\.\d+)*", version)
    return tuple(map(int, found[0].split("."))) if found else ()
