"""`url_for` by the shortest way, and what it leaves to the application."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import carboy
from carboy.app import quick_urls


def application(kind: type[carboy.Carboy] = carboy.Carboy) -> carboy.Carboy:
    app = kind("quick-urls")

    @app.get("/item/<int:n>")
    def item(n: int) -> str:
        return ",".join(carboy.url_for("item", n=number, q="a") for number in range(2))

    @app.get("/dots/<int:n>", endpoint="dots")
    def dots(n: int) -> str:
        return carboy.url_for("item", n=n, _external=True, _anchor="end")

    return app


def answers(app: carboy.Carboy) -> list[str]:
    client = app.test_client()
    return [client.get(path).text for path in ("/item/3", "/item/3", "/dots/3")]


EXPECTED = ["/item/0?q=a,/item/1?q=a"] * 2 + ["http://localhost/item/3#end"]


def test_paths_are_those_of_the_method(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    original = quick_urls.path_here

    def path_here(endpoint: str, values: dict[str, Any]) -> str | None:
        found = original(endpoint, values)
        if found is not None:
            made.append(found)
        return found

    monkeypatch.setattr("carboy.app.quick_urls.path_here", path_here)
    assert answers(application()) == EXPECTED
    assert made, "the short way was not taken"
    monkeypatch.setattr("carboy.app.quick_urls.path_here", lambda endpoint, values: None)
    assert answers(application()) == EXPECTED


class Own(carboy.Carboy):
    def url_for(self, /, endpoint: str, **values: Any) -> str:
        return "own"


def _attribute(app: carboy.Carboy, patch: pytest.MonkeyPatch) -> None:
    app.url_for = lambda endpoint, **values: "own"  # type: ignore[method-assign]


def _class(app: carboy.Carboy, patch: pytest.MonkeyPatch) -> None:
    app.__class__ = Own


def _patch(app: carboy.Carboy, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(carboy.Carboy, "url_for", lambda self, endpoint, **values: "own")


def _defaults(app: carboy.Carboy, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(
        carboy.Carboy, "inject_url_defaults", lambda self, endpoint, values: values.update(own=1)
    )


@pytest.mark.parametrize(
    "change", [_attribute, _class, _patch, _defaults], ids=lambda each: each.__name__
)
def test_a_replaced_method_is_called(
    change: Callable[[carboy.Carboy, pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    app = application()
    assert answers(app) == EXPECTED
    change(app, monkeypatch)
    assert all("own" in each for each in answers(app))


def test_the_error_without_an_application_has_advice() -> None:
    with pytest.raises(RuntimeError, match="application context"):
        carboy.url_for("item")
