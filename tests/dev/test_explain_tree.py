"""Calls as a tree: folded by room, filtered, the time between branches left out."""

from __future__ import annotations

from carboy.dev.explain import places, tree
from carboy.dev.explain.calls import Call
from carboy.dev.explain.tree import Line
from explained import node

WHOLE = 10_000


def shape(lines: list[Line]) -> list[object]:
    """Names, each with what stands below it."""
    return [
        (line.node.name, shape(line.children)) if line.children else line.node.name
        for line in lines
    ]


def test_calls_inside_of_a_room_are_one_line() -> None:
    root = node("turn", "server", node("read", "server", node("receive", "protocol")))
    [line] = tree.fold([root], WHOLE)
    assert shape([line]) == [("turn", ["receive"])]
    assert line.calls == 2


def test_what_means_something_has_a_line_of_its_own() -> None:
    step, role = node("lookup", "server"), node("check", "server")
    step.step, role.role = 1, "before_request hook"
    system_call = node("socket.send", places.KERNEL)
    lines = tree.fold([node("turn", "server", step, role, system_call)], WHOLE)
    assert shape(lines) == [("turn", ["lookup", "check", "socket.send"])]


def test_every_function_of_the_application_is_a_line() -> None:
    root = node("view", places.APPLICATION, node("helper", places.APPLICATION))
    assert shape(tree.fold([root], WHOLE)) == [("view", ["helper"])]


def test_a_little_of_pythons_own_library_is_part_of_who_called_it() -> None:
    small = node("get", places.PYTHON, time=100)
    large = node("loads", places.PYTHON, time=5000)
    leads = node("wrapper", places.PYTHON, node("view", places.APPLICATION, time=50), time=100)
    lines = tree.fold([node("handle", "app", small, large, leads)], WHOLE)
    assert shape(lines) == [("handle", ["loads", ("wrapper", ["view"])])]


def test_the_same_call_again_and_again_is_one_line() -> None:
    code = test_the_same_call_again_and_again_is_one_line.__code__
    calls = [node("get", "http") for _ in range(3)]
    for each in calls:
        each.code = code
    [line] = tree.fold([node("view", "app", *calls)], WHOLE)[0].children
    assert (line.times, line.time) == (3, 3000)


def test_only_shows_what_is_wanted_wherever_it_was_called_from() -> None:
    root = node("turn", "server", node("handle", "app", node("parse", "http")), node("x", "http"))
    lines = tree.only(tree.fold([root], WHOLE), lambda each: each.place.room == "http")
    assert shape(lines) == ["parse", "x"]


def test_unfolded_has_every_call() -> None:
    root = node("turn", "server", node("read", "server", node("recv", places.KERNEL)))
    assert shape(tree.unfolded([root])) == [("turn", [("read", ["recv"])])]


def test_branches_follow_each_other_without_the_time_between() -> None:
    calls = [Call("socket.recv", "", 5_000), Call("socket.send", "", 90_000)]
    calls[0].ended, calls[1].ended = 6_000, 92_000
    track = tree.of_branches("crew", calls)
    assert [(root.began, root.ended) for root in track.roots] == [(0, 1_000), (1_000, 3_000)]


def test_waiting_for_the_client_takes_no_time() -> None:
    outer = Call("outer", "", 0)
    wait, send = Call("epoll.poll", "", 1_000), Call("socket.send", "", 9_000)
    outer.ended, wait.ended, send.ended = 10_000, 9_000, 9_500
    outer.children = [wait, send]
    [root] = tree.of_branches("engine", [outer]).roots
    assert root.time == 2_000
    assert [child.time for child in root.children] == [0, 500]
