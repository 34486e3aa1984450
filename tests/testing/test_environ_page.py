"""The page that shows the environ; its list of paths is Werkzeug's."""

from __future__ import annotations

import os
import sys
from html import unescape

import pytest
import werkzeug.testapp

from carboy.testing import Client, live_server
from carboy.testing.environ_page import iter_sys_path
from carboy.testing.environ_page import test_app as application


def test_entries_of_the_path_are_shown_as_by_werkzeug(monkeypatch: pytest.MonkeyPatch) -> None:
    home = os.path.expanduser("~")
    more = ["", "a", "./b", f"{home}/c", home, "/no//d/", "/tmp/../etc"]
    monkeypatch.setattr(sys, "path", [*more, *sys.path])
    assert list(iter_sys_path()) == list(werkzeug.testapp.iter_sys_path())


def test_a_directory_beside_home_is_not_below_it(monkeypatch: pytest.MonkeyPatch) -> None:
    beside = os.path.expanduser("~") + "-other"
    monkeypatch.setattr(sys, "path", [beside])
    assert next(iter_sys_path())[0] == beside


def test_the_page_shows_the_environ_escaped() -> None:
    response = Client(application).get("/", query_string="<b>&'")
    assert response.status_code == 200
    assert response.mimetype == "text/html"
    assert "<title>WSGI Information</title>" in response.text
    assert "<tr><th>QUERY_STRING<td><code>&quot;&lt;b&gt;&amp;&#x27;&quot;</code>" in response.text


def test_the_page_shows_interpreter_and_packages() -> None:
    page = unescape(Client(application).get("/").text)
    assert sys.version in page
    assert "<li>pytest " in page


def test_the_page_shows_the_environ_of_a_real_server() -> None:
    from urllib.request import urlopen

    with live_server(application) as url, urlopen(url + "/x") as response:
        assert b"wsgi.url_scheme" in response.read()
