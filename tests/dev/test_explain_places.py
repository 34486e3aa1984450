"""The places of functions."""

from __future__ import annotations

import json
import socket
import sys
from _socket import socket as CSocket
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from types import CodeType
from typing import Any

import click
import jinja2
import pytest
from markupsafe._speedups import _escape_inner

from carboy.dev.explain import places
from carboy.dev.explain.c_functions import module_of, name_of
from carboy.dev.explain.places import COMPILED, distribution_of, of_c, of_code, version_of
from carboy.http import Headers, ImmutableMultiDict


def code_in(file: str, text: str = "x = 1\n") -> CodeType:
    return compile(text, file, "exec")


def test_a_function_of_carboy_has_its_room() -> None:
    place = of_code(Headers.__init__.__code__)
    assert (place.package, place.room) == ("carboy", "http")
    assert place.short.startswith("carboy/http/")
    assert place.last > place.first > 0


@pytest.mark.parametrize(
    ("function", "package", "short"),
    [
        (click.echo, "click", "click/utils.py"),
        (jinja2.Template.render, "jinja2", "jinja2/environment.py"),
        (json.dumps, places.PYTHON, "json/__init__.py"),
    ],
)
def test_a_function_of_a_package_or_of_python_has_its_package(
    function: Callable[..., object], package: str, short: str
) -> None:
    code = function.__code__  # type: ignore[attr-defined]
    place = of_code(code)
    assert (place.package, place.room, place.short) == (package, package, short)


def test_lines_go_to_the_end_of_the_last_inner_function() -> None:
    text = "def outer():\n    def inner():\n        return 1\n    return inner\n"
    names: dict[str, Callable[[], object]] = {}
    exec(code_in("/there/shop/views.py", text), names)
    code = names["outer"].__code__  # type: ignore[attr-defined]
    assert of_code(code).lines == "shop/views.py:1-4"
    inner = names["outer"]().__code__  # type: ignore[attr-defined]
    assert of_code(inner).lines == "shop/views.py:2-3"


def test_other_code_belongs_to_the_application(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    place = of_code(code_in(str(tmp_path / "deep" / "down" / "views.py")))
    assert (place.package, place.room) == (places.APPLICATION, places.APPLICATION)
    assert place.short == "deep/down/views.py"
    assert of_code(code_in("/far/away/shop/views.py")).short == "shop/views.py"


def test_equal_code_in_two_files_is_distinguished() -> None:
    assert of_code(code_in("/there/a/views.py")).short == "a/views.py"
    assert of_code(code_in("/there/b/views.py")).short == "b/views.py"


def test_frozen_code_belongs_to_python() -> None:
    assert of_code(code_in("<frozen importlib._bootstrap>")).room == places.PYTHON


@pytest.mark.parametrize("name", ["<string>", "not/there.cfg"])
def test_code_from_a_string_belongs_to_the_application(name: str) -> None:
    place = of_code(code_in(name))
    assert (place.room, place.lines, place.file) == (places.APPLICATION, name, "")


def test_code_of_a_file_that_has_another_ending_has_its_lines(tmp_path: Path) -> None:
    script = tmp_path / "serve"
    script.write_text("x = 1\n")
    assert of_code(code_in(str(script))).lines.endswith("/serve:1")


@pytest.mark.parametrize("name", ["socket.send", "epoll.poll", "select", "sendfile"])
def test_system_calls_belong_to_the_kernel(name: str) -> None:
    assert of_c(name).room == places.KERNEL


def test_other_c_functions_are_c_code() -> None:
    assert of_c("dict.get").room == places.C_CODE
    assert of_c("Connection.execute", "sqlite3").room == places.C_CODE


def test_compiled_code_of_a_package_or_of_the_application_has_its_room() -> None:
    place = of_c("_escape_inner", "markupsafe._speedups")
    assert (place.package, place.room, place.lines) == ("markupsafe", "markupsafe", COMPILED)
    assert of_c("run", "shop.fast").room == places.APPLICATION


@pytest.mark.parametrize(
    ("function", "name", "module"),
    [
        (len, "len", "builtins"),
        ("".join, "str.join", "builtins"),
        (dict.fromkeys, "dict.fromkeys", "builtins"),
        (dict.get.__get__(ImmutableMultiDict()), "dict.get", "builtins"),
        (CSocket.send.__get__(socket.socket()), "socket.send", "_socket"),
        (_escape_inner, "_escape_inner", "markupsafe._speedups"),
    ],
)
def test_a_function_in_c_has_the_name_and_module_of_the_class_that_defines_it(
    function: Any, name: str, module: str
) -> None:
    assert (name_of(function), module_of(function)) == (name, module)


@pytest.mark.parametrize(
    ("name", "module"),
    [("sleep", "time"), ("lock.acquire", "_thread"), ("poll.poll", "select"), ("socket.recv", "")],
)
def test_functions_that_wait_are_known(name: str, module: str) -> None:
    assert places.waits(name, module)
    assert not places.waits("sleep", "shop.beds")
    assert not places.waits("socket.send", "_socket")


def test_a_distribution_may_have_another_name_than_its_module() -> None:
    assert distribution_of("dotenv") == "python-dotenv"
    assert distribution_of("nobody_has_this") == "nobody_has_this"


def test_the_distributions_of_packages_are_those_that_python_finds() -> None:
    found = {top: set(names) for top, names in metadata.packages_distributions().items()}
    ours = {top: set(names) for top, names in places._distributions().items()}
    assert len(found) > 50
    assert found.items() <= ours.items()  # which has compiled modules as well, as Python 3.12


def test_a_distribution_without_a_list_of_its_files_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    declared, listed = tmp_path / "one_shop-1.dist-info", tmp_path / "two_shop-1.dist-info"
    for folder, name in ((declared, "One-Shop"), (listed, "Two-Shop")):
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\n\nName: other\n")
    (declared / "top_level.txt").write_text("oneshop\n_oneshop\n")
    (listed / "RECORD").write_text('"twoshop/a,b.txt",,\ntwoshop/__init__.py,,\ntwo.py,,\n')
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    places._distributions.cache_clear()
    try:
        assert places._distributions() == {
            "oneshop": ["One-Shop"], "_oneshop": ["One-Shop"],
            "twoshop": ["Two-Shop"], "two": ["Two-Shop"],
        }  # fmt: skip
    finally:
        places._distributions.cache_clear()


def test_versions_are_those_of_installed_packages() -> None:
    assert version_of("click") == metadata.version("click")
    assert version_of(places.PYTHON) == sys.version.split()[0]
    assert version_of("not-installed-anywhere") == ""
