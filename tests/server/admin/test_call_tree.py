"""Sampled stacks are added up as a tree."""

from __future__ import annotations

from typing import Any

from carboy.server.admin.call_tree import DEEPEST, LEFT_OUT, CallTree


def outer() -> None: ...


def inner() -> None: ...


OUTER, INNER = outer.__code__, inner.__code__


def stacks(answer: dict[str, Any]) -> dict[tuple[str, ...], int]:
    """The counts of a tree, by the names from the root on."""
    paths: list[tuple[str, ...]] = []
    for parent, call in zip(answer["parents"], answer["calls"], strict=True):
        above = () if parent < 0 else paths[parent]
        paths.append((*above, answer["frames"][call][0]))
    return dict(zip(paths, answer["counts"], strict=True))


def test_equal_stacks_are_counted_together_for_each_route() -> None:
    tree = CallTree()
    tree.add("/a", [INNER, OUTER])
    tree.add("/a", [INNER, OUTER], 2)
    tree.add("/a", [OUTER])
    tree.add("/b", [INNER, OUTER])
    assert stacks(tree.answer()) == {
        ("/a",): 0, ("/a", "outer"): 1, ("/a", "outer", "inner"): 3,
        ("/b",): 0, ("/b", "outer"): 0, ("/b", "outer", "inner"): 1,
    }  # fmt: skip


def test_a_function_is_named_by_its_file_and_its_first_line() -> None:
    tree = CallTree()
    tree.add("/a", [OUTER])
    assert tree.answer()["frames"][1] == ("outer", __file__, OUTER.co_firstlineno)


def test_a_route_with_the_name_of_a_function_is_not_that_function() -> None:
    tree = CallTree()
    tree.add("outer", [OUTER])
    assert stacks(tree.answer()) == {("outer",): 0, ("outer", "outer"): 1}


def test_the_middle_of_a_deep_recursion_is_left_out() -> None:
    tree = CallTree()
    tree.add("/a", [INNER] * DEEPEST + [OUTER] * DEEPEST)
    (stack, count), *_ = sorted(stacks(tree.answer()).items(), key=lambda each: -len(each[0]))
    half = DEEPEST // 2
    assert stack == ("/a", *["outer"] * half, LEFT_OUT, *["inner"] * half) and count == 1


def test_functions_that_are_made_all_the_time_are_limited() -> None:
    tree = CallTree(most=3)
    for number in range(10):
        code = compile(f"made_{number}", "<made>", "eval")
        tree.add("/a", [code])
    answer = tree.answer()
    assert len(answer["frames"]) <= 5 and sum(answer["counts"]) == 10


def test_a_full_tree_counts_at_the_deepest_node_that_it_has() -> None:
    tree = CallTree(most=2)
    tree.add("/a", [OUTER])
    tree.add("/a", [INNER, OUTER])
    tree.add("/b", [OUTER])
    assert stacks(tree.answer()) == {("/a",): 0, ("/a", "outer"): 2}
    assert tree.answer()["cut"] == 2
