"""Hints about exceptions: similar names, and the folders that were searched."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import flask
import jinja2
import pytest
from werkzeug.test import Client

import carboy
from carboy.cli.dev.tools import in_terminal
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
        (lambda: "a".uper() + "b", ["Did you mean 'upper' or 'isupper'?"]),  # type: ignore[attr-defined]
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
    assert found == ["It has the keys 3.", "'3' is of type str, 3 is not."]


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
