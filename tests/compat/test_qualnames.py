"""Classes and functions have the names that they have in the real packages.

Extensions exempt views by dotted name, programs print and compare types, pickles hold names.
"""

from __future__ import annotations

from typing import Any

import pytest

from compat.sides import told

Names = dict[str, Any]

PARTS = ("fragment", "path", "query", "user")

# One object for two of Werkzeug's, or an internal function that programs do not see.
INTENDED = {
    "flask.Flask": "shows which one runs",
    "flask.app.Flask": "the same",
    "flask.blueprints.SansioBlueprint": "one class",
    "flask.sansio.blueprints.Blueprint": "one class",
    "flask.sansio.app.Response": "one class",
    "flask.sessions._lazy_sha1": "imported under the other name too",
    "werkzeug.serving._log": "logs to the same logger",
    "werkzeug.wrappers.request._SansIORequest": "one class",
    "werkzeug.wrappers.response._SansIOResponse": "one class",
    **{f"werkzeug.urls._unquote_{part}": "a closure" for part in PARTS},
}


@pytest.fixture(scope="module")
def real() -> Names:
    found: Names = told("real", "qualnames_scenarios.py")
    return found


@pytest.mark.parametrize("when", ["first", "late"])
def test_every_class_and_function_has_its_name_in_flask(real: Names, when: str) -> None:
    ours = told("carboy", "qualnames_scenarios.py", when)
    of_flask = {
        what: names for what, names in real.items() if str(names[0]).startswith(("flask", "werk"))
    }
    assert len(of_flask) > 500
    wrong = {
        what: (names, ours[what])
        for what, names in of_flask.items()
        if what in ours and ours[what] != names and what not in INTENDED
    }
    assert wrong == {}


def test_the_static_views_have_the_names_that_extensions_exempt(real: Names) -> None:
    ours = told("carboy", "qualnames_scenarios.py")
    dotted = {view: ".".join(ours[f"view {view}"][:2]) for view in ("static", "b.static")}
    assert dotted == {
        "static": "flask.app.<lambda>",
        "b.static": "flask.blueprints.send_static_file",
    }
