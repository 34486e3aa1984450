"""Permanent links to functions, and the reasons where there is none."""

from __future__ import annotations

import importlib
import json
import socket
import sys
from importlib import metadata
from pathlib import Path
from types import CodeType
from typing import Any

import jinja2
import pytest

from carboy.dev import links
from carboy.dev.explain.places import C_CODE, CARBOY, KERNEL, PYTHON, Place, of_c, of_code
from carboy.dev.links import checkout, link_of


def place_of(function: Any) -> Place:
    code = function.__code__
    assert isinstance(code, CodeType)
    return of_code(code)


def test_a_function_of_a_package_is_linked_at_the_tag_of_its_version() -> None:
    place = place_of(jinja2.Template.render)
    version = metadata.version("jinja2")
    assert link_of(place).url == (
        f"https://github.com/pallets/jinja/blob/{version}/src/jinja2/environment.py"
        f"#L{place.first}-L{place.last}"
    )
    assert link_of(place, place.first + 2).url.endswith(f"/environment.py#L{place.first + 2}")


@pytest.mark.skipif(sys.version_info.releaselevel != "final", reason="no tag")
def test_a_function_of_the_standard_library_is_linked_at_the_tag_of_python() -> None:
    version = ".".join(map(str, sys.version_info[:3]))
    start = f"https://github.com/python/cpython/blob/v{version}/Lib/"
    assert link_of(place_of(socket.socket.accept)).url.startswith(f"{start}socket.py#L")
    assert link_of(place_of(json.dumps)).url.startswith(f"{start}json/__init__.py#L")


@pytest.mark.skipif(sys.version_info.releaselevel != "final", reason="no tag")
@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("importlib._bootstrap", "importlib/_bootstrap.py"),
        ("importlib", "importlib/__init__.py"),
        ("runpy", "runpy.py"),
    ],
)
def test_a_module_that_is_frozen_into_python_is_linked(name: str, file: str) -> None:
    place = of_code(compile("1", f"<frozen {name}>", "exec"))
    assert link_of(place).url.endswith(f"/Lib/{file}")
    assert link_of(place, 88).url.endswith(f"/Lib/{file}#L88")


def of_package(package: str, version: str, monkeypatch: pytest.MonkeyPatch) -> links.Link:
    monkeypatch.setattr(links, "version_of", lambda name: version)
    return link_of(Place("/x/site-packages/x.py", 3, 9, package, package, "x.py"))


@pytest.mark.parametrize(
    ("package", "version", "why"),
    [
        ("flask", "3.2.0.dev0", "version 3.2.0.dev0 is not a release, so it has no tag"),
        ("flask", "0.12", "the tag of version 0.12 is not known"),
        ("mypy", "1.15.0", "the tag of version 1.15.0 is not known"),
        ("homemade", "", "it belongs to no installed package"),
        ("homemade", "1.0", "its metadata names no repository of a known form"),
    ],
)
def test_a_package_without_a_link_says_why(
    monkeypatch: pytest.MonkeyPatch, package: str, version: str, why: str
) -> None:
    assert of_package(package, version, monkeypatch) == links.Link("", why)


@pytest.mark.parametrize(
    ("place", "why"),
    [
        (of_c("socket.send"), "a system call, whose code is in the kernel"),
        (of_c("dict.get"), "compiled code, whose source cannot be shown"),
        (of_code(compile("1", "<string>", "exec")), "code that was generated and has no file"),
        (of_code(compile("1", "index.html", "exec")), "code that was generated and has no file"),
    ],
)
def test_code_without_a_file_says_why_it_has_no_link(place: Place, why: str) -> None:
    found = link_of(place)
    assert found.url == ""
    assert found.note.startswith(why)


def test_another_python_is_not_linked_to_cpython(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.implementation, "name", "pypy")
    assert link_of(place_of(json.dumps)).note == "pypy is not CPython"
    assert links.repository_of(PYTHON) == links.Link("", "pypy is not CPython")


def test_licence_files_are_linked_at_the_version() -> None:
    version = metadata.version("jinja2")
    (found,) = links.licences_of("jinja2")
    assert found.url == f"https://github.com/pallets/jinja/blob/{version}/LICENSE.txt"
    (of_python,) = links.licences_of(PYTHON)
    assert of_python.url.endswith("/LICENSE") or of_python.note
    both = {each.url.rpartition("/")[2] for each in links.licences_of("cryptography")}
    assert {"LICENSE.APACHE", "LICENSE.BSD"} <= both


def test_a_licence_file_without_a_link_is_named() -> None:
    (found,) = links.licences_of("mypy")[:1]
    assert "the tag of version" in found.note
    assert found.note.endswith("it is in the package: LICENSE")


def test_a_package_installed_from_a_folder_is_linked_through_its_checkout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, site = tmp_path / "source", tmp_path / "site-packages"
    for folder in (source / "src/prices", site / "prices", site / "prices-1.0.dist-info"):
        folder.mkdir(parents=True)
    for folder in (source / "src", site):
        (folder / "prices/of.py").write_text("x = 1\n")
    information = site / "prices-1.0.dist-info"
    information.joinpath("METADATA").write_text("Metadata-Version: 2.1\nName: prices\nVersion: 1.0")
    document = {"url": source.as_uri(), "dir_info": {}}
    information.joinpath("direct_url.json").write_text(json.dumps(document))
    monkeypatch.syspath_prepend(str(site))
    importlib.invalidate_caches()
    there = checkout.Checkout(
        source, "abc", "https://github.com/me/prices", "", frozenset(["src/prices/of.py"]),
        frozenset(), True,
    )  # fmt: skip
    monkeypatch.setattr(checkout, "of_folder", lambda folder: there)
    links._source_folder.cache_clear()
    place = Place(str(site / "prices/of.py"), 3, 9, "prices", "prices", "prices/of.py")
    assert link_of(place).url == "https://github.com/me/prices/blob/abc/src/prices/of.py#L3-L9"
    assert links.commit_of("prices") == "abc"
    (site / "prices/of.py").write_text("x = 2\n")
    assert link_of(place).note == "the folder that it was installed from has been changed since"
    links._source_folder.cache_clear()


def test_carboy_in_a_clone_is_linked_at_the_commit_of_its_checkout(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    there = checkout.Checkout(
        CARBOY.parents[1], "abc", "https://github.com/me/carboy", "",
        frozenset(["src/carboy/http/__init__.py", "LICENSE"]), frozenset(), True,
    )  # fmt: skip
    monkeypatch.setattr(checkout, "of_folder", lambda folder: there)
    links._source_folder.cache_clear()
    place = Place(
        str(CARBOY / "http/__init__.py"), 3, 9, "carboy", "http", "carboy/http/__init__.py"
    )
    home = "https://github.com/me/carboy"
    assert link_of(place).url == f"{home}/blob/abc/src/carboy/http/__init__.py#L3-L9"
    assert links.repository_of("carboy").url == home
    assert links.commit_of("carboy") == "abc"
    assert links.licences_of("carboy") == [links.Link(f"{home}/blob/abc/LICENSE")]
    links._source_folder.cache_clear()


def test_a_repository_that_is_not_known_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    assert links.repository_of("homemade") == links.Link("")
    monkeypatch.setattr(links, "version_of", lambda name: "1.0")
    assert (
        links.repository_of("homemade").note == "its metadata names no repository of a known form"
    )


def test_the_kinds_of_places_are_those_of_c() -> None:
    assert (of_c("socket.send").package, of_c("dict.get").package) == (KERNEL, C_CODE)
