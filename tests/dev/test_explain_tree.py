"""The calls as a tree, folded and unfolded."""

from __future__ import annotations

from collections.abc import Iterable

from carboy.dev.explain import tree
from carboy.dev.explain.places import APPLICATION, C_CODE, KERNEL, LEAST_WAIT, PYTHON, WAITING
from carboy.dev.explain.recorder import Call, Recorder, Thread
from carboy.dev.explain.tree import Line
from explained import call, request


def recorded(name: str, began: int, ended: int, *children: Call) -> Call:
    one = Call(name, "", began)
    one.ended = ended
    one.children = list(children)
    return one


def recorder_of(*threads: list[Call]) -> Recorder:
    recorder = Recorder()
    for number, roots in enumerate(threads):
        thread = recorder.threads[number] = Thread(f"thread-{number}", 1000)
        thread.roots = roots
    return recorder


def names(lines: Iterable[Line]) -> list[object]:
    return [
        (line.node.name, names(line.children)) if line.children else line.node.name
        for line in lines
    ]


def test_without_calls_there_is_no_track() -> None:
    assert tree.build(recorder_of()) == []
    assert tree.build(recorder_of([recorded("socket.accept", 0, 1)])) == []  # no send


def test_a_request_begins_with_its_accept_and_ends_with_its_last_send() -> None:
    calls = [
        recorded("socket.close", 1, 2),
        recorded("turn", 10, 20, recorded("socket.accept", 11, 12)),
        recorded("turn", 20, 30, recorded("socket.send", 25, 26)),
        recorded("turn", 40, 50),
    ]
    for turn in calls[1:]:
        turn.code = compile("", "/there/file.py", "exec")
    (track,) = tree.build(recorder_of(calls))
    assert [(root.began, root.ended) for root in track.roots] == [(0, 10), (10, 20)]


def engine_that_waits() -> list[Call]:
    turns = [
        recorded("turn", 10, 20, recorded("socket.accept", 11, 12)),
        recorded("epoll.poll", 20, 120),
        recorded("turn", 120, 130, recorded("socket.send", 125, 126)),
    ]
    for turn in (turns[0], turns[2]):
        turn.code = compile("", "/there/file.py", "exec")
    return turns


def test_waiting_for_the_client_takes_no_time() -> None:
    (track,) = tree.build(recorder_of(engine_that_waits()))
    assert [(root.began, root.ended) for root in track.roots] == [(0, 10), (10, 20)]


def test_calls_of_other_threads_outside_of_the_request_are_left_out() -> None:
    worker = [recorded("before", 1, 2), recorded("work", 122, 124), recorded("after", 140, 150)]
    for call_of_python in worker:
        call_of_python.code = compile("", "/there/file.py", "exec")
    engine, other = tree.build(recorder_of(worker, engine_that_waits()))
    assert (engine.name, other.name) == ("thread-1", "thread-0")
    assert [(root.began, root.ended) for root in other.roots] == [(12, 14)]


def test_a_call_has_its_own_line_if_it_enters_a_room_or_is_a_step() -> None:
    inner = call("b", "http", 1_000, 2_000, call("c", "http", 1_100, 1_200), call("x", "app", 0, 1))
    assert names(tree.fold([call("a", "http", 0, 3_000, inner)], 3_000)) == [("a", ["x"])]
    step = call("b", "http", 1_000, 2_000)
    step.step = 1
    assert names(tree.fold([call("a", "http", 0, 3_000, step)], 3_000)) == [("a", ["b"])]


def test_each_function_of_the_application_has_its_own_line() -> None:
    node = call("a", APPLICATION, 0, 9, call("b", APPLICATION, 1, 8))
    assert names(tree.fold([node], 9)) == [("a", ["b"])]


def test_c_code_belongs_to_its_caller_and_system_calls_have_their_own_line() -> None:
    node = call("a", "http", 0, 9, call("len", C_CODE, 1, 2), call("socket.send", KERNEL, 3, 4))
    assert names(tree.fold([node], 9)) == [("a", ["socket.send"])]


def test_short_calls_of_the_library_are_folded_unless_they_enter_another_room() -> None:
    small = call("wraps", PYTHON, 0, 10)
    leads = call("run", PYTHON, 20, 30, call("x", "jinja2", 21, 22))
    large = call("loads", PYTHON, 100, 500)
    assert names(tree.fold([call("a", "http", 0, 1_000, small, leads, large)], 1_000)) == [
        ("a", [("run", ["x"]), "loads"])
    ]


def test_repeated_calls_are_counted_in_one_line() -> None:
    node = call("a", "http", 0, 90, *[call("x", "app", n, n + 2) for n in range(0, 60, 20)])
    (line,) = tree.fold([node], 90)
    assert [(each.times, each.time, each.calls) for each in line.children] == [(3, 6, 3)]


def test_unfolded_lines_show_every_call() -> None:
    roots = request()
    lines = tree.unfolded(roots)
    assert sum(1 for line in lines for _ in line.walk()) == sum(
        1 for root in roots for _ in root.walk()
    )


def test_only_finds_calls_at_any_depth() -> None:
    node = call("a", "http", 0, 9, call("x", "app", 1, 8, call("b", "http", 2, 3)))
    lines = tree.only(tree.unfolded([node]), lambda each: each.place.room == "http")
    assert names(lines) == [("a", ["b"])]


def test_own_time_is_without_that_of_the_callees() -> None:
    assert call("a", "http", 0, 9, call("b", "http", 1, 5)).own == 5
    assert call("a", "http", 0, 3, call("b", "http", 0, 5)).own == 0  # never negative


def test_calls_of_other_threads_keep_their_time_if_the_engine_waits_later() -> None:
    engine = [
        *engine_that_waits(),
        recorded("epoll.poll", 130, 900),
        recorded("epoll.poll", 900, 910),
    ]
    other = [recorded("later", 122, 124)]
    other[0].code = compile("", "/there/view.py", "exec")
    _, track = tree.build(recorder_of(engine, other))
    assert [(root.began, root.ended) for root in track.roots] == [(12, 14)]


def test_a_loop_that_was_waiting_is_replaced_by_its_calls() -> None:
    view = recorded("later", 122, 124)
    view.code = compile("", "/there/view.py", "exec")
    loop = recorded("run_once", 1, 125, recorded("select", 2, 121), view)
    loop.code = compile("", "/there/loop.py", "exec")
    _, track = tree.build(recorder_of(engine_that_waits(), [loop]))
    assert [root.began for root in track.roots] == [12]


def in_view(*children: Call) -> list[Call]:
    """A request whose view makes these calls."""
    accepting, poll, sending = engine_that_waits()
    view = recorded("view", 122, 125, *children)
    view.code = compile("", "/there/view.py", "exec")
    sending.children.insert(0, view)
    return [accepting, poll, sending]


def test_a_wait_of_the_application_takes_its_time() -> None:
    (track,) = tree.build(recorder_of(in_view(recorded("poll.poll", 123, 124))))
    assert [root.time for root in track.roots] == [10, 10]


def test_what_waited_has_a_room_of_its_own() -> None:
    sleep = Call("sleep", "time", 0)
    sleep.ended = LEAST_WAIT
    free = Call("lock.acquire", "_thread", LEAST_WAIT)
    free.ended = LEAST_WAIT + 1
    track = tree.of_branches("t", [sleep, free])
    assert [root.place.room for root in track.roots] == [WAITING, C_CODE]
    assert (track.time, track.waited) == (LEAST_WAIT + 1, LEAST_WAIT)


def test_a_thread_that_goes_on_after_the_response_is_cut_off_there() -> None:
    later = recorded("later", 121, 900, recorded("sleep", 123, 900))
    later.code = compile("", "/there/view.py", "exec")
    engine, other = tree.build(recorder_of(engine_that_waits(), [later]))
    assert engine.time == 20
    assert [(node.began, node.ended) for node in other.walk()] == [(11, 20), (13, 20)]


def test_a_long_call_into_c_has_its_own_line() -> None:
    node = call("a", "http", 0, 9 * LEAST_WAIT, call("compress", C_CODE, 1, LEAST_WAIT + 1))
    assert names(tree.fold([node], 9 * LEAST_WAIT)) == [("a", ["compress"])]
