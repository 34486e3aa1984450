"""Pickles go both ways between Carboy under the names of Flask and the real Flask.

A cache stays valid when an application moves over and back: Flask-Caching keeps pickled responses.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from compat.sides import told

SCRIPT = "pickle_scenarios.py"


@pytest.mark.parametrize(("writer", "reader"), [("carboy", "real"), ("real", "carboy")])
def test_pickles_of_one_are_read_by_the_other(tmp_path: Path, writer: str, reader: str) -> None:
    written = told(writer, SCRIPT, "dump", tmp_path / "pickles")
    read = told(reader, SCRIPT, "load", tmp_path / "pickles")
    assert len(written) > 130
    assert {
        name: (written[name], read[name]) for name in written if written[name] != read[name]
    } == {}


def test_both_make_the_same_pickles(tmp_path: Path) -> None:
    ours = told("carboy", SCRIPT, "dump", tmp_path / "ours")
    real = told("real", SCRIPT, "dump", tmp_path / "real")
    # Error texts differ, and so do their lengths.
    same = [name for name in real if not name.startswith(("error", "redirect", "plain error"))]
    differing = [name for name in same if ours[name] != real[name]]
    assert differing == []
