"""Repositories and tags of packages, compared with the metadata of the most used packages."""

from __future__ import annotations

import json
import re
import tomllib
from email.message import Message
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from carboy.dev.explain.places import Place
from carboy.dev.links import hosts, link_of, repositories
from carboy.dev.links.repositories import form_of, forms, installed_from, repository_in

PACKAGES = tomllib.loads(Path(__file__).with_name("packages.toml").read_text("utf-8"))


def about(package: dict[str, Any]) -> metadata.PackageMetadata:
    message = Message()
    for url in package.get("urls", ()):
        message["Project-URL"] = url
    if "home" in package:
        message["Home-page"] = package["home"]
    return message  # type: ignore[return-value]


def test_the_metadata_is_that_of_at_least_60_packages() -> None:
    assert len(PACKAGES) >= 60
    assert PACKAGES.keys() <= forms().keys()


@pytest.mark.parametrize("name", PACKAGES)
def test_metadata_gives_repository_tag_and_folder(name: str) -> None:
    package = PACKAGES[name]
    form = form_of(name, package["version"])
    assert form is not None
    home = repository_in(about(package))
    assert package["file"].partition("/")[0] in package["top"]
    path = form.folder + package["file"]
    assert hosts.link(home, form.tag_of(package["version"]), path) == package["link"]


@pytest.mark.parametrize("name", [name for name in forms() if name != "carboy"])
def test_tags_that_were_seen_are_those_of_the_form(name: str) -> None:
    for form in forms()[name]:
        assert form.seen, "Each form needs the place where it was seen."
        for tag in re.findall(
            r"(?:blob|tree|tag|compare|\.\.)/?\.?([\w-]*\d+[._]\d[\w.]*)", form.seen
        ):
            for each in tag.split("..."):
                assert form.tag_of(version_in(each)) == each


def version_in(tag: str) -> str:
    found = re.search(r"\d.*", tag)
    assert found
    version = found[0].replace("_", ".")
    return re.sub(r"\.0(?=\d)", ".", version)


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ([("Project-URL", "Source, https://github.com/a/b/")], "https://github.com/a/b"),
        ([("Project-URL", "Source Code,https://github.com/a/b.git")], "https://github.com/a/b"),
        ([("Project-URL", "source_code, https://codeberg.org/a/b")], "https://codeberg.org/a/b"),
        ([("Project-URL", "GitHub, https://github.com/a/b/tree/main")], "https://github.com/a/b"),
        ([("Project-URL", "Repository, https://gitlab.com/a/b")], "https://gitlab.com/a/b"),
        ([("Project-URL", "Bug Tracker, https://github.com/a/b/issues")], "https://github.com/a/b"),
        ([("Home-page", "https://github.com/a/b#readme")], "https://github.com/a/b"),
        ([("Home-page", "https://a.example")], ""),
        ([("Project-URL", "Funding, https://github.com/sponsors/a")], ""),
        ([], ""),
    ],
)
def test_the_repository_is_the_url_with_that_label(
    fields: list[tuple[str, str]], found: str
) -> None:
    message = Message()
    for name, value in fields:
        message[name] = value
    assert repository_in(message) == found  # type: ignore[arg-type]


def test_the_source_is_preferred_to_the_home_page_and_to_issues() -> None:
    urls = [
        "Issues, https://github.com/a/issues/issues",
        "Homepage, https://github.com/a/site",
        "Source, https://github.com/a/code",
    ]
    assert repository_in(about({"urls": urls})) == "https://github.com/a/code"


@pytest.mark.parametrize(
    ("name", "version", "tag"),
    [
        ("sqlalchemy", "2.0.41", "rel_2_0_41"),
        ("certifi", "2026.5.20", "2026.05.20"),
        ("certifi", "2022.5.18.1", "2022.05.18.1"),
        ("certifi", "2026.10.19.post1", ""),
        ("tornado", "6.4", "v6.4.0"),
        ("tornado", "6.5.1", "v6.5.1"),
        ("hypothesis", "6.46.10", "hypothesis-python-6.46.10"),
        ("python-dateutil", "2.9.0.post0", "2.9.0.post0"),
        ("flask", "3.2.0.dev0", ""),
        ("flask", "3.1.0+local", ""),
        ("Flask_SQLAlchemy", "3.1.1", "3.1.1"),
    ],
)
def test_tags_have_the_form_of_the_package(name: str, version: str, tag: str) -> None:
    form = form_of(name, version)
    assert form is not None
    assert form.tag_of(version) == tag


def test_a_package_whose_folder_moved_has_two_forms() -> None:
    old, new = form_of("requests", "2.31.0"), form_of("requests", "2.32.0")
    assert old is not None
    assert new is not None
    assert (old.folder, new.folder) == ("", "src/")


def test_versions_and_packages_that_are_not_known_have_no_form() -> None:
    assert form_of("flask", "0.12") is None
    assert form_of("unheard-of", "1.0") is None


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    """Install a package without files that has a direct_url.json, and return its site-packages."""
    site = tmp_path / "site-packages"
    monkeypatch.syspath_prepend(str(site))

    def install(name: str, document: str, fields: str = "") -> Path:
        folder = site / f"{name}-1.0.dist-info"
        (folder / "licenses").mkdir(parents=True)
        (folder / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n{fields}"
        )
        (folder / "licenses/LICENSE").write_text("")
        (folder / "RECORD").write_text(f"{folder.name}/licenses/LICENSE,,\n")
        if document:
            (folder / "direct_url.json").write_text(document)
        return site

    return install


COMMIT = "0123456789abcdef0123456789abcdef01234567"
FROM_GIT = json.dumps(
    {
        "url": "https://user:hunter2@github.com/me/fork.git",
        "vcs_info": {"vcs": "git", "commit_id": COMMIT, "requested_revision": "main"},
    }
)


def test_a_package_installed_from_git_is_linked_at_its_commit(install: Any) -> None:
    site = install("carboy_of_git", FROM_GIT)
    found = installed_from("carboy_of_git")
    assert found is not None
    assert (found.home, found.commit) == ("https://github.com/me/fork", COMMIT)
    place = Place(str(site / "x.py"), 3, 9, "carboy_of_git", "carboy_of_git", "x.py")
    link = link_of(place)
    assert (link.url, link.note[:32]) == ("", "it was installed from commit 012")


def test_the_folder_of_a_known_package_holds_for_a_fork(
    install: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = install("itsdangerous_fork", FROM_GIT)
    monkeypatch.setitem(forms(), "itsdangerous-fork", [repositories.Form("{version}", "src/")])
    place = Place(str(site / "d/x.py"), 3, 9, "itsdangerous_fork", "itsdangerous_fork", "d/x.py")
    assert link_of(place).url == f"https://github.com/me/fork/blob/{COMMIT}/src/d/x.py#L3-L9"


@pytest.mark.parametrize("document", ["", "{", '{"url": "file:///x", "dir_info": {}}'])
def test_other_installations_have_no_commit(install: Any, document: str) -> None:
    install("of_index", document)
    assert installed_from("of_index") is None
