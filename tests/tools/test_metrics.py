"""The figures of a checkout, and the ten questions of a newcomer."""

from __future__ import annotations

from pathlib import Path

import pytest

import metrics
from code_map import Module, lines_of, modules, points_upwards, room_arrows

MOST_OPENS = 25
ROOT = Path(__file__).parents[2]


def room(checkout: Path, name: str, text: str) -> Module:
    """A room of a small checkout, with one file."""
    folder = checkout / "src" / "carboy" / name
    folder.mkdir(parents=True)
    (folder / "file.py").write_text(text)
    return next(module for module in modules(checkout) if module.room == name)


def test_ten_questions_are_answered_in_25_opened_files() -> None:
    asked = metrics.questions(metrics.QUESTIONS, "opens")
    assert len(asked) == 10
    assert metrics.missing(asked, ROOT) == [], "tools/questions.toml names files that are gone"
    assert sum(len(each.opens) for each in asked) <= MOST_OPENS
    assert all(finds.endswith(".") for each in asked for _, finds in each.opens)


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("import carboy.server.engine\n", "top"),
        ("from ..server import engine\n", "top"),
        ("if TYPE_CHECKING:\n    from carboy.server import engine\n", "types"),
        ("def f():\n    from carboy.server import engine\n", "function"),
        ("def f():\n    return import_module('carboy.server.engine')\n", "string"),
        ("TABLE = {'a': 'carboy.server'}\nimport_module(TABLE['a'])\n", "string"),
    ],
)
def test_an_arrow_upwards_is_found(tmp_path: Path, text: str, where: str) -> None:
    room(tmp_path, "net", text)
    assert room_arrows(modules(tmp_path)) == {("net", "server"): {where}}
    assert points_upwards(("net", "server"))
    assert not points_upwards(("server", "net"))


@pytest.mark.parametrize("text", ["engine.name = 1\n", "setattr(engine, 'name', 1)\n"])
def test_an_attribute_that_is_set_in_another_module_is_found(tmp_path: Path, text: str) -> None:
    module = room(tmp_path, "cli", f"from carboy.server import engine\n{text}")
    (found,) = [each for each in module.imports() if each.where == "assigned"]
    assert found.target == "carboy.server.engine.name"


def test_lines_are_code_comments_docstrings_or_blank() -> None:
    found = lines_of('"""One\ntwo."""\n\n# three\nx = 4  # four\ny = """five\n\nseven"""\n')
    assert (found.total, found.docstrings, found.comments, found.code) == (8, 2, 1, 4)


def test_differences_are_shown_beside_the_figures() -> None:
    now: dict[str, metrics.Figures] = {"Rooms": {"net: files": 9, "net: code": 1200}}
    before: dict[str, metrics.Figures] = {"Rooms": {"net: files": 11, "net: code": 1200}}
    row = metrics.rooms_table(now["Rooms"], before["Rooms"])[1].split()
    assert row == ["net", "11", "9", "-2", "1,200", "1,200"]
