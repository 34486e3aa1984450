"""Permanent links into repositories, from the different metadata that packages have."""

from __future__ import annotations

from collections.abc import Iterator
from email.message import Message
from importlib import metadata

import pytest

from carboy.dev.explain import places
from carboy.dev.explain.places import APPLICATION, KERNEL, PYTHON, Place


@pytest.fixture(autouse=True)
def forget() -> Iterator[None]:
    places.repository.cache_clear()
    yield
    places.repository.cache_clear()


def repository_of(monkeypatch: pytest.MonkeyPatch, *fields: tuple[str, str]) -> str:
    about = Message()
    for name, value in fields:
        about[name] = value
    monkeypatch.setattr(metadata, "metadata", lambda package: about)
    return places.repository("some")


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ([("Project-URL", "Source, https://github.com/a/b/")], "https://github.com/a/b"),
        ([("Project-URL", "Source Code,https://github.com/a/b.git")], "https://github.com/a/b"),
        ([("Project-URL", "GitHub, https://github.com/a/b/tree/main")], "https://github.com/a/b"),
        ([("Project-URL", "Repository, https://gitlab.com/a/b")], "https://gitlab.com/a/b"),
        ([("Home-page", "https://github.com/a/b#readme")], "https://github.com/a/b"),
        ([("Home-page", "https://a.example")], ""),
        ([("Project-URL", "Funding, https://github.com/sponsors/a")], ""),
        ([], ""),
    ],
)
def test_the_repository_is_the_url_with_that_label(
    monkeypatch: pytest.MonkeyPatch, fields: list[tuple[str, str]], found: str
) -> None:
    assert repository_of(monkeypatch, *fields) == found


def test_the_source_is_preferred_to_the_home_page(monkeypatch: pytest.MonkeyPatch) -> None:
    fields = [
        ("Home-page", "https://github.com/a/site"),
        ("Project-URL", "Source, https://github.com/a/code"),
    ]
    assert repository_of(monkeypatch, *fields) == "https://github.com/a/code"


def test_a_package_that_is_not_installed_has_no_repository() -> None:
    assert places.repository("not-installed-anywhere") == ""


def link(monkeypatch: pytest.MonkeyPatch, package: str, version: str, short: str) -> str:
    monkeypatch.setattr(places, "version_of", lambda name: version)
    return places.link(Place("/there", 3, 9, package, package, short))


@pytest.mark.parametrize(
    ("package", "short", "address"),
    [
        ("flask", "flask/app.py", "pallets/flask/blob/1.2.3/src/flask/app.py"),
        ("jinja2", "jinja2/ext.py", "pallets/jinja/blob/1.2.3/src/jinja2/ext.py"),
        ("django", "django/urls/base.py", "django/django/blob/1.2.3/django/urls/base.py"),
        ("falcon", "falcon/app.py", "falconry/falcon/blob/1.2.3/falcon/app.py"),
        (PYTHON, "json/decoder.py", "python/cpython/blob/v1.2.3/Lib/json/decoder.py"),
    ],
)
def test_a_link_has_tag_folder_and_lines(
    monkeypatch: pytest.MonkeyPatch, package: str, short: str, address: str
) -> None:
    assert link(monkeypatch, package, "1.2.3", short) == f"https://github.com/{address}#L3-L9"


@pytest.mark.parametrize("version", ["3.2.0.dev0", "3.1.0+local", ""])
def test_a_version_without_a_tag_has_no_link(monkeypatch: pytest.MonkeyPatch, version: str) -> None:
    assert link(monkeypatch, "flask", version, "flask/app.py") == ""


def test_without_a_known_form_of_the_tag_there_is_no_link(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert places.repository("pytest")
    assert link(monkeypatch, "pytest", "1.2.3", "pytest/__init__.py") == ""


def test_the_application_and_the_kernel_have_no_link() -> None:
    assert places.link(Place("/there/shop.py", 1, 2, APPLICATION, APPLICATION, "shop.py")) == ""
    assert places.link(Place("", 0, 0, KERNEL, KERNEL, "")) == ""
