"""Where code comes from: room, package, lines; and the permanent links to them."""

from __future__ import annotations

import json
import sys
from email.message import Message
from importlib import metadata
from pathlib import Path

import flask
import jinja2
import pytest

from carboy.dev.explain import links, places
from carboy.dev.explain.places import Place
from carboy.http.headers import Headers


def test_code_of_the_standard_library() -> None:
    place = places.of_code(json.loads.__code__)
    assert (place.package, place.room) == (places.PYTHON, places.PYTHON)
    assert place.short == "json/__init__.py"
    assert place.lines.startswith(f"json/__init__.py:{json.loads.__code__.co_firstlineno}-")


def test_code_of_an_installed_package_goes_by_its_name_in_the_index() -> None:
    place = places.of_code(jinja2.Template.render.__code__)
    assert (place.package, place.short) == ("jinja2", "jinja2/environment.py")


def test_code_of_carboy_goes_by_its_room() -> None:
    place = places.of_code(Headers.add.__code__)
    assert (place.package, place.room, place.short) == ("carboy", "http", "carboy/http/headers.py")


def test_other_files_are_the_applications(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    inside = compile("x = 1\ny = 2\n", str(tmp_path / "shop" / "views.py"), "exec")
    assert places.of_code(inside).lines == "shop/views.py:1-2"
    assert places.of_code(inside).package == places.APPLICATION
    outside = compile("", "/elsewhere/deep/down/other.py", "exec")
    assert places.of_code(outside).short == "down/other.py"


def test_templates_and_code_without_a_file() -> None:
    template = compile("", "/app/templates/page.html", "exec")
    assert places.of_code(template).room == places.TEMPLATE
    assert places.of_code(compile("", "<string>", "exec")).room == places.PYTHON


def test_system_calls_are_told_from_other_code_in_c() -> None:
    assert places.of_c("socket.send").room == places.KERNEL
    assert places.of_c("dict.get").room == places.C_CODE


def test_repositories_come_from_metadata() -> None:
    assert links.repository("flask") == "https://github.com/pallets/flask"
    assert links.repository(places.PYTHON) == "https://github.com/python/cpython"
    assert links.repository("no-such-package") == ""


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ([("Project-URL", "Source Code, https://github.com/a/b/")], "https://github.com/a/b"),
        ([("Project-URL", "Repository, https://gitlab.com/a/b.git")], "https://gitlab.com/a/b"),
        ([("Project-URL", "Docs, https://github.com/a/docs"), ("Home-page", "https://b.org")], ""),
        ([("Home-page", "https://github.com/a/b#readme")], "https://github.com/a/b"),
        ([], ""),
    ],
)
def test_labels_are_read_as_people_write_them(
    fields: list[tuple[str, str]], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    about = Message()
    for name, value in fields:
        about[name] = value
    monkeypatch.setattr(metadata, "metadata", lambda package: about)
    links.repository.cache_clear()
    try:
        assert links.repository("thing") == expected
    finally:
        links.repository.cache_clear()


def test_a_link_is_to_the_lines_at_the_tag_of_the_version() -> None:
    place = places.of_code(flask.Flask.wsgi_app.__code__)
    version = metadata.version("flask")
    assert links.link(place) == (
        f"https://github.com/pallets/flask/blob/{version}/src/flask/app.py"
        f"#L{place.first}-L{place.last}"
    )
    if sys.version_info.releaselevel == "final":
        version = sys.version.split()[0]
        link = links.link(places.of_code(json.loads.__code__))
        assert link.startswith(f"https://github.com/python/cpython/blob/v{version}/Lib/json/")


@pytest.mark.parametrize("package", ["playwright", "no-such-package", "carboy"])
def test_where_the_form_of_tags_is_not_known_there_is_no_link(package: str) -> None:
    assert links.link(Place("/x.py", 1, 2, package, package, "x.py")) == ""
