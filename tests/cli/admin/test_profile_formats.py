"""The samples of workers are added up and written in each format."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from typing import Any

import pytest

from carboy.cli.admin.profiles import page, speedscope, text
from carboy.cli.admin.profiles.profile import Function, Profile, functions, read, services, stacks

SHOP = "/srv/shop/views.py"
EVIL = '</script><script>alert("1")</script>'


def worker(pid: int = 1, **values: Any) -> dict[str, Any]:
    """An answer: /a calls outer 1, outer calls inner 3, inner calls outer again 2."""
    return {
        "pid": pid, "seconds": 1.0, "rate": 10.0, "samples": 10, "missed": 0, "cut": 0,
        "frames": [["/a", "", 0], ["outer", SHOP, 1], ["inner", SHOP, 5], ["/b", "", 0]],
        "parents": [-1, 0, 1, 2, -1, 4],
        "calls": [0, 1, 2, 1, 3, 2],
        "counts": [0, 1, 3, 2, 0, 4],
        **values,
    }  # fmt: skip


@pytest.fixture
def profile() -> Profile:
    return read([worker()])


def test_the_samples_of_workers_are_added_up() -> None:
    # The second worker has the same functions at other indexes.
    other = worker(
        2, frames=[["inner", SHOP, 5], ["/b", "", 0]], parents=[-1, 0], calls=[1, 0], counts=[0, 7]
    )
    found = read([worker(), other])
    assert {each.function.name: each.total for each in found.routes()} == {"/b": 11, "/a": 6}
    assert found.root.total == 17 and found.workers == [1, 2] and found.samples == 20


def test_a_recursive_function_counts_once_for_each_stack(profile: Profile) -> None:
    own, total = functions(profile)
    outer, inner = Function("outer", SHOP, 1), Function("inner", SHOP, 5)
    assert own == {outer: 3, inner: 7} and total == {outer: 6, inner: 9}


def test_other_routes_are_left_out(profile: Profile) -> None:
    profile.only("/a")
    assert profile.root.total == 6 and [each.function.name for each in profile.routes()] == ["/a"]
    with pytest.raises(StopIteration):
        profile.only("/c")


def test_a_stack_may_be_deeper_than_the_recursion_limit() -> None:
    depth = 5000
    deep = worker(
        parents=list(range(-1, depth - 1)), calls=[0] + [1] * (depth - 1),
        counts=[0] * (depth - 1) + [1],
    )  # fmt: skip
    found = read([deep])
    assert [len(stack) for stack, _ in stacks(found.root)] == [depth]
    assert "outer" in page.document(found) and "outer" in text.shown(found)


def test_collapsed_stacks_have_a_line_for_each_stack(profile: Profile) -> None:
    outer, inner = "outer (shop/views.py:1)", "inner (shop/views.py:5)"
    assert sorted(text.collapsed(profile).splitlines()) == sorted([
        f"/a;{outer} 1", f"/a;{outer};{inner} 3", f"/a;{outer};{inner};{outer} 2", f"/b;{inner} 4",
    ])  # fmt: skip


def test_names_cannot_break_a_line_of_collapsed_stacks_or_the_terminal() -> None:
    found = read(
        [worker(frames=[["/a;\n\x1b[2J", "", 0], ["x;y\udc80", SHOP, 1], *[["z", "", 0]] * 2])]
    )
    written = text.collapsed(found)
    assert "\x1b" not in written + text.shown(found)
    assert all(re.fullmatch(r"[^;]+(;[^;]+)* \d+", line) for line in written.splitlines())
    written.encode()


def test_the_tables_show_routes_and_functions_by_their_time(profile: Profile) -> None:
    shown = text.shown(profile)
    assert "1 worker, 1.0 s, 10 samples a second: threads ran requests for 1.00 s" in shown
    assert "60.0 %  0.60 s  /a\n" in shown
    assert "70.0 %  0.70 s  90.0 %  0.90 s  inner (shop/views.py:5)\n" in shown


def test_late_samples_and_incomplete_stacks_are_counted() -> None:
    shown = text.facts(read([worker(missed=10, cut=1)]))
    assert "50 % of the samples came late" in shown
    assert "The stacks of 1 sample are not complete." in shown


def test_a_file_for_speedscope_has_a_profile_for_each_route(profile: Profile) -> None:
    found = json.loads(speedscope.document(profile))
    names = [each["name"] for each in found["shared"]["frames"]]
    assert [each["name"] for each in found["profiles"]] == ["/a", "/b"]
    for each in found["profiles"]:
        assert len(each["samples"]) == len(each["weights"])
        assert abs(sum(each["weights"]) - each["endValue"]) < 1e-6
        assert all(names[stack[0]] == each["name"] for stack in each["samples"])


class Reader(HTMLParser):
    """The elements of a page, and its texts by the innermost element."""

    def __init__(self, document: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self.feed(document)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag not in ("meta", "input", "rect"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open:
            self.texts.setdefault(self.open[-1], []).append(data)


def test_the_page_needs_no_other_file(profile: Profile) -> None:
    found = Reader(page.document(profile))
    assert not found.open
    assert not any({"src", "href"} & set(attributes) for _, attributes in found.seen)
    assert not re.search(r"url\(|@import|fetch\(|https?:", page.document(profile))


def test_the_page_shows_the_picture_and_the_tables_without_scripts(profile: Profile) -> None:
    found = Reader(page.document(profile))
    assert "outer (shop/views.py:1): 0.60 s, 60.0 %" in found.texts["title"]
    assert {"all requests", "/a", "/b", "outer", "inner"} <= set(found.texts["text"])
    assert {"inner (shop/views.py:5)", "90.0 %", "/a"} <= set(found.texts["td"])
    assert [attrs["value"] for tag, attrs in found.seen if tag == "option"] == ["", "/a", "/b"]
    assert sum(tag == "rect" for tag, _ in found.seen) == 7


def test_the_data_of_the_page_has_each_call_after_its_caller(profile: Profile) -> None:
    data = json.loads(Reader(page.document(profile)).texts["script"][0])
    assert data["nodes"][0][0] == -1 and data["nodes"][0][3] == 10
    assert all(parent < at for at, (parent, *_) in enumerate(data["nodes"]))


def test_names_in_the_page_are_escaped() -> None:
    found = read([worker(frames=[[EVIL, "", 0], [EVIL, EVIL, 1], [EVIL, SHOP, 5], ["/b", "", 0]])])
    document = page.document(found)
    reader = Reader(document)
    assert EVIL not in document
    assert [tag for tag, _ in reader.seen].count("script") == 2
    assert EVIL in reader.texts["td"]
    assert EVIL in {frame[0] for frame in json.loads(reader.texts["script"][0])["frames"]}


def test_a_page_without_samples_says_so() -> None:
    document = page.document(read([worker(counts=[0] * 6)]))
    assert "No request ran." in document and not Reader(document).open


@pytest.mark.parametrize(
    ("file", "kind"),
    [
        ("", ""),
        (SHOP, page.APPLICATION),
        (page.__file__, page.OWN),
        ("/srv/.venv/lib/python3.11/site-packages/sqlalchemy/engine/base.py", "sqlalchemy"),
        ("/srv/.venv/lib/python3.11/site-packages/six.py", "six"),
        ("/srv/.venv/lib/python3.11/site-packages/carboy/app/app.py", page.OWN),
        ("/usr/lib/python3/dist-packages/redis/client.py", "redis"),
        ("/usr/lib/python3.11/json/__init__.py", page.PYTHON),
        ("<frozen importlib._bootstrap>", page.PYTHON),
    ],
)  # fmt: skip
def test_functions_have_the_colour_of_what_they_belong_to(file: str, kind: str) -> None:
    assert page.kind_of(Function("f", file, 1)) == kind


def test_services_that_requests_wait_for_are_a_table_of_their_own() -> None:
    frames = [["/a", "", 0], ["outer", SHOP, 1], ["(waits for payments)", "", 0]]
    found = read([worker(frames=frames, parents=[-1, 0, 1], calls=[0, 1, 2], counts=[0, 6, 2])])
    assert services(found) == {"payments": 2}
    lines = text.shown(found).splitlines()
    at = lines.index(" SHARE    TIME  WAITS FOR")
    assert lines[at + 1] == "25.0 %  0.20 s  payments" and lines[at + 2] == ""
    assert "/a;outer (shop/views.py:1);(waits for payments) 2\n" in text.collapsed(found)


def test_a_route_that_is_named_like_a_service_is_not_one() -> None:
    found = read([worker(frames=[["(waits for payments)", "", 0]], parents=[-1], calls=[0],
                         counts=[2])])  # fmt: skip
    assert services(found) == {} and "WAITS FOR" not in text.shown(found)
