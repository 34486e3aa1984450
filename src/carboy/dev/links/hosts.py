"""The forms of links into repositories at GitHub, GitLab, Codeberg, Bitbucket and Sourcehut."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import quote

# Pages of GitHub that are not repositories, although they have two parts.
NO_OWNERS = {"sponsors", "orgs", "apps", "marketplace", "features", "topics", "users"}
# `git@host:path` and `ssh://git@host:22/path`; https with or without a user.
SCP = re.compile(r"(?:[\w.-]+@)?(?P<host>[\w.-]+):(?!/)(?P<path>.+)")
ADDRESS = re.compile(
    r"(?:git\+)?(?:https?|ssh|git)://(?:[^/@]*@)?(?P<host>[\w.-]+)(?::\d+)?/(?P<path>[^?#]+)"
)
PAGES_OF_GITLAB = {"issues", "blob", "tree", "tags", "releases", "merge_requests", "raw", "commits"}


@dataclass(frozen=True, slots=True)
class Host:
    """The form of the links of a host.

    `file` and `commit` are the address of a file at a tag and at a commit; `lines` is the fragment
    for several lines, `line` that for one.
    """

    pattern: re.Pattern[str]
    file: str
    commit: str
    lines: str
    line: str


HOSTS = (
    Host(
        re.compile(r"(www\.)?github\.com"),
        "{home}/blob/{ref}/{path}", "{home}/blob/{ref}/{path}", "#L{first}-L{last}", "#L{first}",
    ),
    Host(
        re.compile(r"gitlab\.[\w.-]+"),
        "{home}/-/blob/{ref}/{path}", "{home}/-/blob/{ref}/{path}", "#L{first}-{last}", "#L{first}",
    ),
    Host(
        re.compile(r"codeberg\.org|gitea\.com"),
        "{home}/src/tag/{ref}/{path}", "{home}/src/commit/{ref}/{path}",
        "#L{first}-L{last}", "#L{first}",
    ),
    Host(
        re.compile(r"bitbucket\.org"),
        "{home}/src/{ref}/{path}", "{home}/src/{ref}/{path}",
        "#lines-{first}:{last}", "#lines-{first}",
    ),
    Host(
        re.compile(r"git\.sr\.ht"),
        "{home}/tree/{ref}/item/{path}", "{home}/tree/{ref}/item/{path}",
        "#L{first}-{last}", "#L{first}",
    ),
)  # fmt: skip


def address_of(remote: str) -> str:
    """The https address of a repository, from a remote of git or from any of its pages.

    A user name and a password in the remote are left out. "" if the host is not known.
    """
    found = ADDRESS.match(remote.strip()) or SCP.fullmatch(remote.strip())
    if found is None or _host(found["host"]) is None:
        return ""
    host = found["host"].lower().removeprefix("www.")
    parts = [part for part in found["path"].split("/") if part]
    if host.startswith("gitlab."):
        parts = _before_pages(parts)
    else:
        parts = parts[:2]
    if len(parts) < 2 or parts[0] in NO_OWNERS:
        return ""
    parts[-1] = parts[-1].removesuffix(".git")
    return f"https://{host}/{'/'.join(parts)}"


def host_of(remote: str) -> str:
    """The name of the host in a remote; "" for a folder."""
    found = ADDRESS.match(remote.strip()) or SCP.fullmatch(remote.strip())
    return found["host"] if found else ""


def link(
    home: str, ref: str, path: str, first: int = 0, last: int = 0, is_commit: bool = False
) -> str:
    """A link to lines of a file at a tag or a commit; to the whole file if `first` is 0."""
    found = ADDRESS.match(home + "/")
    host = _host(found["host"]) if found else None
    if host is None:
        return ""
    form = host.commit if is_commit else host.file
    lines = "" if not first else host.lines if last > first else host.line
    url = form.format(home=home, ref=quote(ref), path=quote(path, safe="/@+"))
    return url + lines.format(first=first, last=last)


def _host(name: str) -> Host | None:
    return next((host for host in HOSTS if host.pattern.fullmatch(name.lower())), None)


def _before_pages(parts: list[str]) -> list[str]:
    """The groups and the project of a page of GitLab."""
    for number, part in enumerate(parts):
        if part == "-" or (number > 1 and part in PAGES_OF_GITLAB):
            return parts[:number]
    return parts
