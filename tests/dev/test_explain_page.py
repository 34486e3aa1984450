"""The page of an explanation: its data, and the page in a browser."""

from __future__ import annotations

import importlib
import json
import os
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from carboy.dev.explain import changed, page, tree
from carboy.dev.explain.explanation import Explanation
from carboy.dev.explain.places import APPLICATION, C_CODE, KERNEL, LEAST_WAIT
from carboy.dev.explain.recorder import Thread
from carboy.dev.explain.tree import Track
from chromium import chromium
from explained import call, explanation


def recorded(work: Callable[[], object]) -> Explanation:
    thread = Thread("t", 10**6)

    def hook(frame: FrameType, event: str, arg: Any) -> None:
        thread.note(frame, event, arg, 0)

    sys.setprofile(hook)
    try:
        work()
    finally:
        sys.setprofile(None)
    return Explanation("", "", "", 0, [tree.of_branches("t", thread.roots)], [])


def source_of(found: Explanation, name: str) -> dict[str, Any]:
    """The source code on the page for the first call of a function."""
    data = page.data_of(found)
    calls = (each for track in data["tracks"] for each in track["calls"])
    index = next(each["source"] for each in calls if each["name"] == name)
    source: dict[str, Any] = data["sources"][index]
    return source


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], ModuleType]:
    def loaded(where: Path) -> ModuleType:
        monkeypatch.syspath_prepend(str(where))
        monkeypatch.delitem(sys.modules, "quoted", raising=False)
        return importlib.import_module("quoted")

    return loaded


DECORATED = """
def twice(function):
    def wrapped():
        return function() + function()
    return wrapped

@twice
def number():
    return 1

make = lambda: (
    2
)

def again():
    return 3

def again():  # the second
    return 4
"""


def test_decorated_functions_lambdas_and_redefined_functions_have_their_lines(
    tmp_path: Path, load: Callable[[Path], ModuleType]
) -> None:
    (tmp_path / "quoted.py").write_text(DECORATED)
    module = load(tmp_path)
    found = recorded(lambda: (module.number(), module.make(), module.again()))
    assert source_of(found, "number")["text"] == "@twice\ndef number():\n    return 1\n"
    assert source_of(found, "twice.<locals>.wrapped")["text"].startswith("    def wrapped():\n")
    assert source_of(found, "<lambda>")["text"].startswith("make = lambda: (\n")
    assert "# the second" in source_of(found, "again")["text"]


def test_a_file_that_was_edited_after_it_was_loaded_is_pointed_out(
    tmp_path: Path, load: Callable[[Path], ModuleType]
) -> None:
    file = tmp_path / "quoted.py"
    file.write_text("def same():\n    return 1\n\ndef other():\n    return 2\n")
    module = load(tmp_path)
    file.write_text("def same():\n    return 1\n\ndef other():\n    return 3\n")
    later = changed.STARTED + 1000
    os.utime(file, (later, later))
    found = recorded(lambda: (module.same(), module.other()))
    assert source_of(found, "same")["note"] == ""
    assert source_of(found, "other")["note"].startswith("The file has changed since it was loaded.")


def test_the_source_of_a_module_in_an_archive_is_shown(
    tmp_path: Path, load: Callable[[Path], ModuleType]
) -> None:
    archive = tmp_path / "app.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("quoted.py", "def packed():\n    return 1\n")
    module = load(archive)
    source = source_of(recorded(module.packed), "packed")
    assert (source["text"], source["note"]) == ("def packed():\n    return 1\n", "")


def test_a_source_that_cannot_be_read_says_so() -> None:
    names: dict[str, Any] = {}
    exec(compile("def gone(): pass", "/there/gone.py", "exec"), names)
    assert source_of(recorded(names["gone"]), "gone")["note"] == "The source code cannot be read."


def test_a_long_function_says_how_many_of_its_lines_are_shown(
    tmp_path: Path, load: Callable[[Path], ModuleType]
) -> None:
    (tmp_path / "quoted.py").write_text("def long():\n" + "    x = 1\n" * 200)
    module = load(tmp_path)
    source = source_of(recorded(module.long), "long")
    assert source["note"] == "Only the first 120 of 201 lines are shown."


def test_calls_into_c_are_shown_if_they_are_long_and_their_callees_always() -> None:
    inner = call("work", APPLICATION, 2, 3)
    short, long = call("sorted", C_CODE, 1, 4, inner), call("compress", C_CODE, 5, 6 + LEAST_WAIT)
    (track,) = page.data_of(
        Explanation("", "", "", 0, [Track("t", [call("a", "http", 0, 10**6, short, long)])], [])
    )["tracks"]
    assert [(each["name"], each["above"]) for each in track["calls"]] == [
        ("a", -1),
        ("work", 0),
        ("compress", 0),
    ]


def test_calls_that_are_nested_very_deeply_are_on_the_page() -> None:
    deepest = call("down", APPLICATION, 0, 1)
    for _ in range(5000):
        deepest = call("down", APPLICATION, 0, 1, deepest)
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(20_000)
    try:
        data = page.data_of(Explanation("", "", "", 0, [Track("t", [deepest])], []))
    finally:
        sys.setrecursionlimit(limit)
    assert len(json.loads(json.dumps(data))["tracks"][0]["calls"]) == 5001


def large() -> Explanation:
    """A request whose view calls 5,000 functions, the last of which fails."""
    made = [call("work", APPLICATION, 30_000 + number, 30_001 + number) for number in range(5_000)]
    made[-1].raised, made[-1].result = True, "KeyError: 'the-last'"
    view = call("index", APPLICATION, 30_000, 60_000, *made)
    handle = call(
        "handle", "gateway", 25_000, 70_000, call("wsgi_app", "flask", 26_000, 69_000, view)
    )
    found = explanation(
        call("socket.accept", "python", 0, 10, module="socket"),
        call("run", "server", 20_000, 90_000, handle, call("socket.send", KERNEL, 80_000, 85_000)),
    )
    found.overflowed, found.left_out = True, 1234
    return found


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Any:
    file = tmp_path_factory.mktemp("page") / "page.html"
    file.write_text(page.make(large()), "utf-8")
    with chromium() as browser:
        opened = browser.new_page(viewport={"width": 390, "height": 800})
        complaints: list[str] = []
        opened.on("pageerror", lambda error: complaints.append(str(error)))
        opened.goto(file.as_uri())
        yield opened
        assert complaints == []


@pytest.mark.xdist_group("chromium")
def test_calls_of_a_large_page_are_found_and_reached_with_the_keyboard(shown: Page) -> None:
    expect(shown.locator("#overflow")).to_contain_text("1,234 of them are left out")
    assert shown.locator("#tree .row").count() < 100  # rows are made when they are shown
    shown.fill("#search", "the-last")
    expect(shown.locator("#hits")).to_have_text("1 of 1")
    expect(shown.locator(".row.chosen")).to_contain_text("raised KeyError: 'the-last'")
    expect(shown.locator("#detail dd").last).to_have_text("raised KeyError: 'the-last'")
    assert shown.locator("#tree .row", has_text="work").count() == 5_000
    shown.locator("#tree").focus()
    shown.keyboard.press("ArrowDown")
    expect(shown.locator("#detail h3")).to_have_text("socket.send")
    shown.keyboard.press("ArrowUp")
    expect(shown.locator(".row.chosen")).to_contain_text("the-last")


@pytest.mark.xdist_group("chromium")
def test_the_page_is_not_wider_than_a_phone(shown: Page) -> None:
    assert shown.evaluate("document.documentElement.scrollWidth <= innerWidth")
