"""Which of all events is the one with which the application reads a value."""

from __future__ import annotations

from typing import Any

from carboy.dev.explain.places import APPLICATION, Place
from carboy.dev.explain.value_events import Event, Reader, Where
from carboy.dev.explain.value_reading import onward, reading_of

VIEW, HELPER, HOOK = (0, 1), (0, 2), (0, 3)


def where(function: str, is_own: bool = False) -> Where:
    room = APPLICATION if is_own else "flask"
    return Where(function, "m", Place("/f.py", 1, 9, room, room, "f.py"), 5, is_own)


def event(kind: str, function: str, caller: str, call: tuple[int, int], **more: Any) -> Event:
    """An event in a call of the application, or in a function of a library that it called."""
    own = kind in ("argument", "variable", "read") or more.pop("own", False)
    made = Event(
        0, kind, call if own else (0, 99), more.pop("path", "result"), "'x'", True,
        more.pop("expression", ""), where(function, own), where(caller, not own or call == HELPER),
        call[1],
    )  # fmt: skip
    for name, value in more.items():
        setattr(made, name, value)
    return made


def read_by(*events: Event, outer: tuple[tuple[int, int], ...] = (), name: str = "n") -> str:
    _, reader = reading_of(events, outer, name)
    return f"{reader.where.function}: {reader.expression}" if reader else ""


def returned(caller: str, call: tuple[int, int], expression: str, **more: Any) -> Event:
    return event("returned", "get", caller, call, expression=expression, **more)


def test_a_result_that_the_view_gets_takes_precedence_over_one_of_a_hook() -> None:
    view = returned("view", VIEW, "request.headers['X']", is_for_view=True)
    hook = returned("hook", HOOK, "request.headers.get('X')")
    assert read_by(hook, view) == read_by(view, hook) == "view: request.headers['X']"
    assert read_by(hook) == "hook: request.headers.get('X')"


def test_the_first_read_counts_and_not_what_the_function_gets_back() -> None:
    first = returned("view", VIEW, "request.args['q']")
    again = returned("view", VIEW, "clean(q)", again=True)
    assert read_by(first, again) == "view: request.args['q']"
    assert read_by(again) == ""


def test_an_object_with_everything_is_not_a_read() -> None:
    environ = event("container", "environ", "view", VIEW, path="result['HTTP_X']")
    assert read_by(environ) == ""
    listed = event("container", "getlist", "view", VIEW, path="result[0]", expression="getlist()")
    assert read_by(environ, listed) == "view: getlist()"


def test_a_call_inside_of_which_the_value_is_used_up_is_a_read() -> None:
    inside = [
        event("returned", "parse", "library", VIEW, reader=Reader(where("view", True), text, VIEW))
        for text in ("request.args", "request.args.get('n', type=int)")
    ]
    for each in inside:
        each.caller = where("library")
    assert read_by(*inside) == "view: request.args.get('n', type=int)"
    assert read_by(*inside, outer=(VIEW,)) == ""  # middleware, inside of which all happens


def test_a_call_that_takes_all_values_apart_reads_only_the_one_that_it_names() -> None:
    for code, has_name, is_read in (
        ("request.args.get('other')", False, False),
        ("request.args.get('X_Page')", False, True),
        ("request.META['HTTP_X_PAGE']", False, True),
        ("request.args.get(name)", True, True),
    ):
        reader = Reader(where("view", True), code, VIEW, has_name)
        inside = event("variable", "parse", "library", VIEW, reader=reader)
        inside.where = where("parse")
        assert bool(read_by(inside, name="x-page")) is is_read, code


def test_a_value_is_followed_from_a_helper_to_the_function_that_called_it() -> None:
    read = returned("helper", HELPER, "request.headers['X']")
    passed = event("returned", "helper", "view", HELPER, own=True, expression="helper()")
    _, reader = reading_of([read, passed], (), "X")
    assert reader is not None and reader.where.function == "helper"
    assert onward([read, passed], read) == [passed]
