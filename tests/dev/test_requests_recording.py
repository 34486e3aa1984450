"""Times and totals of the events of a request."""

from __future__ import annotations

import contextvars
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from carboy.dev.requests import Record
from carboy.dev.requests.busy_time import BusyTime
from carboy.dev.requests.fingerprint import fingerprint
from carboy.dev.requests.pages import request_details
from carboy.dev.requests.recording import Recording, Timed, recording_in
from carboy.dev.requests.store import EVENTS
from recorded_requests import in_order, recorded

SQL = Timed("sql")


def new() -> Recording:
    return Recording(Record(1, 0.0, "GET", "/", []))


def test_times_do_not_run_backwards(monkeypatch: pytest.MonkeyPatch) -> None:
    costs = iter([0.0, 5.0, 0.0, 0.0])
    recording = Recording(Record(1, 0.0, "GET", "/", []), cost=lambda: next(costs, 9.0))
    recording.note("log", "one")
    monkeypatch.setattr("time.time", lambda: -1000.0)
    recording.note("log", "two")
    recording.note("log", "three")
    recording.note("sql", "a bar", began=10**9)
    recording.end()
    in_order(recording.record)
    assert [event.title for event in recording.record.events][:2] == ["one", "two"]


@pytest.mark.parametrize(
    ("periods", "total"),
    [
        ([], 0), ([(0, 2), (5, 6)], 3), ([(0, 2), (1, 3)], 3), ([(2, 3), (4, 5), (0, 6)], 6),
        ([(0, 1), (1, 2)], 2), ([(5, 5)], 0),
    ],
)  # fmt: skip
def test_overlapping_times_count_once(periods: list[tuple[float, float]], total: float) -> None:
    busy = BusyTime()
    for period in periods:
        busy.add(*period)
    assert busy.total == total


def test_no_event_is_after_the_end_of_its_request() -> None:
    """The cost of recording is an estimate, which may be larger at the end."""
    costs = iter([0.0, 0.0])
    recording = Recording(Record(1, 0.0, "GET", "/", []), cost=lambda: next(costs, 1000.0))
    recording.note("log", "first")
    recording.note("log", "last")
    recording.end()
    record = recording.record
    assert record.events[-1].at <= record.took * 1000
    assert 0 < record.recording <= record.seconds


def test_many_periods_are_summed_up() -> None:
    busy = BusyTime()
    for n in range(5000):
        busy.add(n, n + 0.5)
    assert busy.total == 2500


def test_threads_with_the_context_of_a_request_belong_to_it() -> None:
    """Others do not. Their calls overlap, and their times still make sense."""
    meet = threading.Barrier(4, timeout=30)

    def query() -> None:
        with SQL.call(lambda: ("SELECT 1", "")):
            meet.wait()

    def alone() -> None:
        with SQL.call(lambda: ("elsewhere", "")):
            pass

    def view() -> None:
        with ThreadPoolExecutor(4) as pool:
            works = [pool.submit(contextvars.copy_context().run, query) for _ in range(4)]
            assert [work.result() for work in works] == [None] * 4
            pool.submit(alone).result()

    record = recorded(view)
    assert record.totals["sql"].number == 4
    assert {event.title for event in record.events} == {"SELECT 1"}
    assert record.totals["sql"].ms <= record.took * 1000
    assert sum(event.took for event in record.events) > record.totals["sql"].ms


def test_calls_inside_of_a_call_are_not_recorded() -> None:
    def view() -> None:
        with SQL.call(lambda: ("outer", "")), SQL.call(lambda: ("inner", "")):
            pass
        with SQL.call(lambda: ("next", "")):
            pass

    assert [event.title for event in recorded(view).events] == ["outer", "next"]


def test_a_thread_that_outlives_its_request_adds_to_the_record() -> None:
    changed: list[int] = []
    recording = Recording(Record(1, 0.0, "GET", "/", []), changed=lambda: changed.append(1))
    with recording_in(recording):
        context = contextvars.copy_context()
    recording.end()
    context.run(lambda: SQL.begin().end(lambda: ("late", "")))  # type: ignore[union-attr]
    assert changed == [1]
    assert recording.record.totals["sql"].number == 1
    in_order(recording.record)


def test_events_beyond_the_limit_are_counted() -> None:
    """And an exception after them is kept."""
    recording = new()
    for n in range(EVENTS + 100):
        recording.note("sql", "SELECT ?", f"({n},)")
    recording.note("error", "LookupError")
    recording.end()
    record = recording.record
    assert record.summary()["sql"] == EVENTS + 100
    assert record.repeated == {"SELECT ?": EVENTS + 100}
    assert record.events[-1].title == "LookupError"
    page = request_details(record, "http://h")
    assert f"{EVENTS + 1} of {EVENTS + 101} events are shown." in page


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("SELECT * FROM t1 WHERE n = 5", "SELECT * FROM t1 WHERE n = ?"),
        (
            "select a FROM t WHERE s = 'it''s 3' AND x > 1.5",
            "select a FROM t WHERE s = ? AND x > ?",
        ),
        ("SELECT $1, :a1", "SELECT $1, :a1"),
        ("SELECT a FROM t WHERE n IN (?, ?, ?)", "SELECT a FROM t WHERE n IN (?)"),
        ("DELETE FROM t WHERE n IN (1,2)", "DELETE FROM t WHERE n IN (?)"),
        ("SAVEPOINT s1", None),
        ("PRAGMA foreign_keys = ON", None),
        ("", None),
    ],
)
def test_statements_that_differ_in_values_are_alike(statement: str, expected: str | None) -> None:
    assert fingerprint(statement) == expected


def test_repeated_statements_are_found_with_different_values() -> None:
    recording = new()
    for n in range(4):
        recording.note("sql", f"SELECT name FROM items WHERE n = {n}")
        recording.note("sql", "PRAGMA foreign_keys = ON")
    recording.end()
    assert recording.record.repeated == {"SELECT name FROM items WHERE n = ?": 4}
    assert request_details(recording.record, "http://h").count("<em>×4</em>") == 4


def test_a_description_that_fails_does_not_affect_the_call() -> None:
    def view() -> None:
        with SQL.call(lambda: 1 / 0):  # type: ignore[arg-type, return-value]
            pass

    [event] = recorded(view).events
    assert event.title == "<its description raises ZeroDivisionError>"


def test_the_waterfall_has_a_bar_for_each_event_and_the_times_as_text() -> None:
    recording = new()
    began = recording.now()
    recording.note("cache", "get a", "hit", hit=True)
    recording.note("view", "notes.show", began=began)
    recording.note("error", "Bad <b>")
    recording.end()
    record = recording.record
    record.seconds = 0.2
    record.events = [event._replace(at=50.0, took=100.0) for event in record.events[:1]]
    page = request_details(record, "http://h")
    assert "<rect class=view x=250.0 width=500.0 height=10>" in page
    assert "<span class=at>50.0 ms</span><span class=took>100.0 ms</span>" in page
    assert "<th scope=row>Cache<td class=n>1, 1 found" in page
    assert "<th scope=row>Errors<td class=n>1" in page
    assert "Bad <b>" not in page
