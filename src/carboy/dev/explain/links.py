"""Permanent links into the repository of a package, where it is known how they are written."""

from __future__ import annotations

import re
import sys
from functools import cache
from importlib import metadata

from carboy.dev.explain.places import PYTHON, Place, version_of

REPOSITORY = re.compile(r"https://(?:github\.com|gitlab\.com)/[\w.-]+/[\w.-]+")
LABELS = ("source", "source code", "repository", "code", "github", "homepage")
# How these name the tag of a version, and what stands before the package in the repository.
TAGS = {
    "flask": ("{}", "src/"),
    "werkzeug": ("{}", "src/"),
    "jinja2": ("{}", "src/"),
    "click": ("{}", "src/"),
    "itsdangerous": ("{}", "src/"),
    "markupsafe": ("{}", "src/"),
    "blinker": ("{}", "src/"),
    "wtforms": ("{}", "src/"),
    "flask-sqlalchemy": ("{}", "src/"),
    "flask-wtf": ("v{}", "src/"),
    "django": ("{}", ""),
    "asgiref": ("{}", ""),
    "falcon": ("{}", ""),
}
RELEASE = re.compile(r"\d+(\.\d+)*((a|b|rc|\.post)\d+)?")  # no .dev and no +local has a tag


@cache
def repository(package: str) -> str:
    """The URL of the code as the metadata gives it, or ""."""
    if package == PYTHON:
        return "https://github.com/python/cpython"
    try:
        about = metadata.metadata(package)
    except metadata.PackageNotFoundError:
        return ""
    urls = {}
    for each in about.get_all("Project-URL") or []:
        label, _, url = each.partition(",")
        urls[label.strip().lower()] = url.strip()
    if "Home-page" in about:
        urls.setdefault("homepage", str(about["Home-page"]))
    for label in LABELS:
        if found := REPOSITORY.match(urls.get(label, "")):
            return found[0].removesuffix(".git").rstrip("/")
    return ""


def link(place: Place) -> str:
    """To the lines at the version's tag; "" where its form is not known."""
    home = repository(place.package)
    if not home.startswith("https://github.com/") or not place.first:
        return ""
    lines = f"#L{place.first}-L{place.last}"
    if place.package == PYTHON:
        if sys.version_info.releaselevel != "final":
            return ""
        return f"{home}/blob/v{version_of(PYTHON)}/Lib/{place.short}{lines}"
    version = version_of(place.package)
    if place.package not in TAGS or not RELEASE.fullmatch(version):
        return ""
    tag, folder = TAGS[place.package]
    return f"{home}/blob/{tag.format(version)}/{folder}{place.short}{lines}"
