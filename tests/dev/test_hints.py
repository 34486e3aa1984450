"""Hints about exceptions: similar names, and the folders that were searched."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import flask
import jinja2
import pytest
from werkzeug.test import Client

import carboy
from carboy.cli.dev.tools import in_terminal
from carboy.cli.dev.worker import load_or_error_app
from carboy.dev.debugger import DebuggedApplication
from carboy.dev.hints import hints

PRICES = {"apple": 40, "quince": 90}


def caught(function: Callable[[], object]) -> Exception:
    try:
        function()
    except Exception as error:
        return error
    raise AssertionError("nothing was raised")


class Shop:
    def __init__(self) -> None:
        self.prices: dict[str, Any] = {"pear": {"red": 1}}

    @property
    def broken(self) -> dict[str, int]:
        raise AssertionError("a property was called")

    def undefined(self) -> object:
        return prices  # type: ignore[name-defined]  # noqa: F821


def missing_name() -> object:
    basket = 1  # noqa: F841 - found by its similarity
    return baskte  # type: ignore[name-defined]  # noqa: F821


def missing_module() -> object:
    return datetime.now()  # type: ignore[name-defined]  # noqa: F821


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (missing_name, ["Did you mean 'basket'?"]),
        (Shop().undefined, ["Did you mean 'self.prices'?", "Did you mean 'PRICES'?"]),
        (missing_module, ["Did you forget to import 'datetime'?"]),
        (lambda: "a".uper() + "b", ["Did you mean 'upper'?"]),  # type: ignore[attr-defined]
        (lambda: None.get("x"), ["The object is None. Check where it comes from."]),  # type: ignore[attr-defined]
        (lambda: PRICES["aple"], ["Did you mean 'apple'?"]),
        (lambda: PRICES["melon"], ["It has the keys 'apple', 'quince'."]),
        (lambda: Shop().broken["x"], []),
        (lambda: {}["x"], []),
        (lambda: int("x"), []),
        (lambda: os.environ["HOEM"], ["Did you mean 'HOME'?"]),
    ],
)
def test_similar_names_are_proposed(function: Callable[[], object], expected: list[str]) -> None:
    assert hints(caught(function)) == expected


def test_a_key_of_an_inner_mapping_is_proposed() -> None:
    shop = Shop()
    assert hints(caught(lambda: shop.prices["pear"]["rde"])) == ["Did you mean 'red'?"]


def test_a_number_and_its_text_are_told_apart() -> None:
    by_number = {3: "three"}
    found = hints(caught(lambda: by_number["3"]))  # type: ignore[index]
    assert found == ["It has the key 3.", "'3' is of type str, 3 is not."]


@pytest.mark.parametrize("module", [carboy, flask], ids=["carboy", "flask"])
def test_a_missing_template_names_the_folders(module: Any, tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    (tmp_path / "own").mkdir()
    (tmp_path / "shared" / "index.html").write_text("")
    app = module.Flask("shop", template_folder=str(tmp_path / "own"))
    app.register_blueprint(
        module.Blueprint("more", "more", template_folder=str(tmp_path / "shared"))
    )
    with app.app_context():
        error = caught(lambda: module.render_template("indx.html"))
    assert hints(error) == [
        "Did you mean 'index.html'?",
        f"Folders searched: {tmp_path / 'own'}, {tmp_path / 'shared'}",
    ]


def test_folders_of_loaders_inside_of_loaders_are_named(tmp_path: Path) -> None:
    one, two = (jinja2.FileSystemLoader(tmp_path / name) for name in ("one", "two"))
    loader = jinja2.ChoiceLoader([jinja2.PrefixLoader({"mail": one}), two])
    environment = jinja2.Environment(loader=loader)  # noqa: S701
    error = caught(lambda: environment.get_template("x.html"))
    assert hints(error) == [f"Folders searched: {tmp_path / 'one'}, {tmp_path / 'two'}"]


def test_an_object_that_raises_has_no_hints() -> None:
    class Hostile:
        def __dir__(self) -> list[str]:
            raise RuntimeError

    hostile: Any = Hostile()
    assert hints(caught(lambda: hostile.name)) == []


def test_hints_are_on_the_page_in_text_and_in_the_terminal() -> None:
    def app(environ: Any, start_response: Any) -> Any:
        return PRICES["ap<le"]

    client = Client(DebuggedApplication(app))
    page = client.get("/", headers={"Accept": "text/html"}).text
    assert "<p class=hint>Did you mean &#39;apple&#39;?</p>" in page
    text = client.get("/", headers={"User-Agent": "curl/8"}).text
    assert text.endswith("Did you mean 'apple'?\n")
    assert "Did you mean 'apple'?" in in_terminal(caught(lambda: PRICES["aple"]))


def test_production_shows_no_hints() -> None:
    app = carboy.Flask("shop")
    app.add_url_rule("/", "index", lambda: PRICES["aple"])
    response = app.test_client().get("/")
    assert response.status_code == 500
    assert "apple" not in response.text


def enclosed() -> object:
    value = 3  # noqa: F841 - found by its similarity

    def inner() -> object:
        return vlaue  # type: ignore[name-defined]  # noqa: F821

    return inner()


def assigned() -> None:
    PRICES["x"]  # noqa: B018, F823
    PRICES = {}  # noqa: F841, N806


def nested(key: str = "nmae", index: int = 0) -> object:
    data = {"list": [{"name": 1}]}
    return data["list"][index][key]


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (enclosed, ["Did you mean 'value'?"]),
        (
            assigned,
            [
                "The function assigns 'PRICES', so the name is local in it."
                " To use the global one, write 'global PRICES'."
            ],
        ),
        (nested, ["Did you mean 'name'?"]),
        (lambda: nested("zzz"), ["It has the key 'name'."]),
        (lambda: PRICES.apple, ["It has the key 'apple': write ['apple']."]),  # type: ignore[attr-defined]
        (lambda: value, []),  # type: ignore[name-defined]  # noqa: F821 - ValueError is not meant
        (lambda: db, []),  # type: ignore[name-defined]  # noqa: F821
        (lambda: name, []),  # type: ignore[name-defined]  # noqa: F821 - nor is __name__
        (lambda: pritn("x"), ["Did you mean 'print'?"]),  # type: ignore[name-defined]  # noqa: F821
        (lambda: lenn([]), ["Did you mean 'len'?"]),  # type: ignore[name-defined]  # noqa: F821
        (lambda: os.pth, ["Did you mean 'path'?"]),  # type: ignore[attr-defined]
    ],
)
def test_names_of_inner_scopes_and_values_are_proposed(
    function: Callable[[], object], expected: list[str]
) -> None:
    assert hints(caught(function)) == expected


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("from math import srqt", "Did you mean 'sqrt' or 'isqrt'?"),
        ("from flask import jsonfy", "Did you mean 'jsonify'?"),
        ("from carboy import reqeust", "Did you mean 'request'?"),
        ("import jijna2", "Did you mean 'jinja2'?"),
        ("import carboy.dve", "Did you mean 'carboy.dev'?"),
        ("import bs4", "The module belongs to the package beautifulsoup4: pip install"),
        ("import no_such_module_4711", "Folders searched: "),
    ],
)
def test_modules_and_their_names_are_proposed(code: str, expected: str) -> None:
    found = hints(caught(lambda: exec(code)))
    assert found[0].startswith(expected)
    if code.startswith("import") and "." not in code:
        assert found[-1].startswith("Folders searched: ")
        assert any(os.path.abspath(each) in found[-1] for each in sys.path if os.path.isdir(each))


TEMPLATES = {
    "base.html": "base", "admin/list.html": "list", "mail.txt": "mail",
    "extends.html": "{% extends 'bsae.html' %}", "includes.html": "{% include 'lsit.html' %}",
    "variable.html": "{{ usr.name }}", "key.html": "{{ items[0].nmae.first }}",
    "call.html": "{{ shop.pirces() }}", "filter.html": "{{ 1|rouund }}",
    "loop.html": "{% for item in items %}{{ itme.x }}{% endfor %}", "fine.html": "{{ a }}",
}  # fmt: skip


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("bas.html", "Did you mean 'base.html'?"),
        ("Base.html", "Did you mean 'base.html'?"),
        ("base", "Did you mean 'base.html'?"),
        ("list.html", "Did you mean 'admin/list.html'?"),
        ("admin/lst.html", "Did you mean 'admin/list.html'?"),
        ("extends.html", "Did you mean 'base.html'?"),
        ("includes.html", "Did you mean 'admin/list.html'?"),
        ("variable.html", "Did you mean 'user'?"),
        ("key.html", "Did you mean 'name'?"),
        ("call.html", "Did you mean 'prices'?"),
        ("filter.html", "Did you mean 'round'?"),
        ("loop.html", "Did you mean 'item' or 'items'?"),
        ("zzzzz.html", "Folders searched: "),
    ],
)
@pytest.mark.parametrize("module", [carboy, flask], ids=["carboy", "flask"])
def test_names_in_templates_are_proposed(
    module: Any, tmp_path: Path, template: str, expected: str
) -> None:
    for name, text in TEMPLATES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    app = module.Flask("shop", template_folder=str(tmp_path))
    values = {"user": "ada", "items": [{"name": 1}], "shop": Shop()}
    with app.test_request_context():
        error = caught(lambda: module.render_template(template, **values))
    assert hints(error)[0].startswith(expected)


@pytest.mark.parametrize("module", [carboy, flask], ids=["carboy", "flask"])
@pytest.mark.parametrize(
    ("read", "expected"),
    [
        ("request.args['pgae']", "Did you mean 'page'?"),
        ("request.form['titel']", "Did you mean 'title'?"),
        ("request.cookies['theem']", "Did you mean 'theme'?"),
        ("request.headers['X-Mien']", "Did you mean 'X-Mine'?"),
        ("request.arg", "Did you mean 'args'?"),
        ("session['usr']", "Did you mean 'user'?"),
        ("current_app.config['DEBGU']", "Did you mean 'DEBUG'?"),
        ("g.usr", "Did you mean 'user'?"),
        ("url_for('indx')", ""),  # the exception's own message says it
    ],
)
def test_what_a_request_has_is_proposed_in_its_debugger(
    module: Any, read: str, expected: str, tmp_path: Path
) -> None:
    """As the client and the terminal see it."""
    file = tmp_path / "view.py"
    names = ("request", "session", "g", "current_app", "url_for")
    file.write_text(f"def view():\n    session['user'] = g.user = 1\n    return {read}\n")
    scope = {name: getattr(module, name) for name in names}
    exec(compile(file.read_text(), str(file), "exec"), scope)
    app = module.Flask("shop")
    app.secret_key, app.debug = "k", True
    app.add_url_rule("/", "index", scope["view"], methods=["POST"])
    client = Client(DebuggedApplication(app, evalex=True))
    client.set_cookie("theme", "dark")
    headers = {"User-Agent": "curl/8", "X-Mine": "1"}
    text = client.post("/?page=1", data={"title": "x"}, headers=headers, buffered=True).text
    assert text.rstrip().endswith(expected or "Did you mean 'index' instead?")


def test_hints_are_in_the_terminal_if_an_application_cannot_be_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mistyped_app.py").write_text("import jijna2\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", [str(tmp_path), *sys.path])
    _, failure = load_or_error_app("mistyped_app:app", first=True, mounted=())
    assert failure is not None
    assert "Did you mean 'jinja2'?\nFolders searched: " in capsys.readouterr().err
