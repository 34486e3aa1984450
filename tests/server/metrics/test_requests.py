"""Counts of requests: what is counted, and that nothing is lost between threads."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

from carboy.server.metrics.requests import (
    FIRST,
    OTHER_METHOD,
    OTHER_ROUTE,
    RECEIVED,
    SECONDS,
    SENT,
    RequestCounts,
)

BOUNDS = (0.1, 1.0)


def record(
    route: str = "/a", method: str = "GET", status: int = 200, seconds: float = 0.05, **more: Any
) -> Any:
    values = {
        "route": route, "head": SimpleNamespace(method=method), "channel": None, "body": None,
        "body_size": 0, "queued_at": 0.0, "began": 0.0, "refusal": "", "match": None,
        "mounted_at": "", **more,
    }  # fmt: skip
    return (0.0, "", values["head"], "", status, 7, seconds, SimpleNamespace(**values))


def refused(status: int) -> Any:
    return (0.0, "", None, "GET", status, 0, 0.1, None)


def counts(**more: Any) -> RequestCounts:
    return RequestCounts(BOUNDS, more.pop("most_routes", 10), **more)


def test_a_request_is_in_the_cell_of_its_route_method_and_status() -> None:
    counted = counts()
    counted(record(body_size=3, body=object()))
    counted(record(status=404, seconds=0.5))
    found = counted.take()["requests"]
    assert [each[:3] for each in found] == [["/a", "GET", 200], ["/a", "GET", 404]]
    cell = found[0][3]
    assert (cell[SECONDS], cell[SENT], cell[RECEIVED]) == (0.05, 7, 3)
    assert cell[FIRST:] == [1, 0, 0]
    assert found[1][3][FIRST:] == [0, 1, 0]


def test_a_value_on_a_bound_is_in_the_bucket_of_the_bound() -> None:
    counted = counts()
    counted(record(seconds=0.1))
    counted(record(seconds=1.0))
    counted(record(seconds=1.01))
    assert counted.take()["requests"][0][3][FIRST:] == [1, 1, 1]


def test_the_second_call_has_only_what_is_new() -> None:
    counted = counts()
    counted(record())
    counted.take()
    assert counted.take() == {"requests": [], "queue": [], "refused": {}, "examples": []}
    counted(record())
    assert counted.take()["requests"][0][3][FIRST:] == [1, 0, 0]


def test_content_that_came_through_a_channel_is_counted() -> None:
    counted = counts()
    counted(record(channel=SimpleNamespace(received=9)))
    counted(record(body_size=None, body=object()))
    assert counted.take()["requests"][0][3][RECEIVED] == 9


def test_unknown_methods_share_one_name() -> None:
    counted = counts()
    for number in range(50):
        counted(record(method=f"M{number}"))
    (found,) = counted.take()["requests"]
    assert found[1] == OTHER_METHOD
    assert sum(found[3][FIRST:]) == 50
    assert len(counted._threads[0].cells) == 1


def test_further_routes_are_counted_together() -> None:
    counted = counts(most_routes=2)
    for number in range(20):
        counted(record(route=f"/{number}"))
    counted(record(route=""))
    counted(record(route="/" + "x" * 300))
    found = {each[0]: sum(each[3][FIRST:]) for each in counted.take()["requests"]}
    assert found == {"/0": 1, "/1": 1, OTHER_ROUTE: 19, "": 1}
    assert len(counted._threads[0].cells) == 4


def test_the_time_in_the_queue_is_counted_for_requests_that_waited() -> None:
    counted = counts()
    counted(record(queued_at=10.0, began=10.5))
    counted(record())
    assert counted.take()["queue"] == [0.5, 0, 1, 0]


def test_refused_requests_are_counted_by_reason() -> None:
    counted = counts()
    counted(refused(431))
    counted(refused(400))
    counted(refused(413))
    counted(refused(414))
    counted(record(status=503, refusal="queue_timeout", queued_at=1.0, began=1.0, seconds=2.0))
    found = counted.take()
    assert found["refused"] == {
        "request_header_fields_too_large": 1, "bad_request": 1, "content_too_large": 1,
        "uri_too_long": 1, "queue_timeout": 1,
    }  # fmt: skip
    assert found["queue"] == [2.0, 0, 0, 1]
    assert [each[2] for each in found["requests"]] == [503]


def test_the_last_request_with_a_trace_is_the_example_of_its_bucket() -> None:
    counted = counts()
    for trace, seconds in (("a", 0.01), ("b", 0.02), ("c", 5.0)):
        counted(record(trace=SimpleNamespace(trace_id=trace), seconds=seconds))
    counted(record())
    assert counted.take()["examples"] == [
        ["/a", "GET", 0, "b", 0.02, 0.0], ["/a", "GET", 2, "c", 5.0, 0.0],
    ]  # fmt: skip
    assert counted.take()["examples"] == []


def test_the_log_gets_each_record() -> None:
    logged: list[Any] = []
    counted = counts(log=logged.append)
    each = record()
    counted(each)
    assert logged == [each]


def test_nothing_is_lost_while_threads_count_and_another_takes() -> None:
    counted = counts()
    total = 0
    rounds, threads = 2000, 6
    begin = threading.Barrier(threads + 1)

    def work() -> None:
        begin.wait()
        for number in range(rounds):
            counted(record(route=f"/{number % 3}", method=f"X{number}"))

    workers = [threading.Thread(target=work) for _ in range(threads)]
    for each in workers:
        each.start()
    begin.wait()
    while any(each.is_alive() for each in workers):
        total += sum(int(sum(each[3][FIRST:])) for each in counted.take()["requests"])
    total += sum(int(sum(each[3][FIRST:])) for each in counted.take()["requests"])
    assert total == rounds * threads
    counted.take()
    assert counted._threads == []  # the tables of threads that have ended are gone


def test_a_request_over_its_time_limit_has_not_waited_for_a_thread() -> None:
    counted = counts()
    counted(record(status=503, refusal="timeout", seconds=2.0))
    counted(record(status=503, refusal="timeout", queued_at=1.0, began=1.5, seconds=2.0))
    found = counted.take()
    assert found["refused"] == {"timeout": 2}
    assert found["queue"] == [0.5, 0, 1, 0]


def test_the_log_gets_the_route_that_was_found() -> None:
    logged: list[Any] = []
    counted = counts(log=logged.append)
    counted(record(route="/users/<int:id>"))
    assert logged[0][7].rule == "/users/<int:id>"
