"""The text of an explanation, plain and coloured."""

from __future__ import annotations

import re

import pytest

from carboy.dev.explain import terminal
from carboy.dev.explain.explanation import Explanation
from carboy.dev.explain.places import APPLICATION, WAITING
from carboy.dev.explain.tree import Track
from explained import call, explanation, request


def tree_of(text: str) -> list[str]:
    return text.partition("\nCalls\n")[2].splitlines()


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [(0, "0.0 µs"), (999, "1.0 µs"), (999_900, "999.9 µs"), (1_000_000, "1.00 ms"),
     (2_500_000_000, "2,500.00 ms")],
)  # fmt: skip
def test_times_are_in_microseconds_or_milliseconds(nanoseconds: int, text: str) -> None:
    assert terminal.duration(nanoseconds) == text


def test_the_first_line_is_a_summary() -> None:
    assert terminal.show(explanation()).splitlines()[0] == (
        "GET / → 200 OK, 1,234 bytes; 8 calls in 90.0 µs from accept() to the last send()"
    )


def test_plain_and_coloured_text_are_the_same_apart_from_escapes() -> None:
    plain = terminal.show(explanation())
    coloured = terminal.show(explanation(), coloured=True)
    assert "\x1b" not in plain
    assert re.sub(r"\x1b\[[\d;]*m|\x1b\]8;;.*?\x1b\\", "", coloured) == plain


def test_files_are_links_in_a_terminal() -> None:
    assert "\x1b]8;;file:///there/flask/file.py\x1b\\" in terminal.show(
        explanation(), coloured=True
    )


def test_a_place_that_does_not_fit_is_shortened_or_left_out() -> None:
    def view(width: int) -> str:
        lines = terminal.show(explanation(), width=width).splitlines()
        return next(line for line in lines if "your application index" in line)

    assert "your application/file.py:10-20" in view(0)
    assert " file.py:10-20 [4]" in view(70)
    assert view(50).endswith("index +1 call [4]")


def test_no_line_of_the_tree_is_wider_than_the_terminal() -> None:
    found = explanation()
    for node in found.nodes():
        node.role = "a role of many words that say what it is for"
    lines = tree_of(terminal.show(found, width=60))
    assert max(map(len, lines)) <= 60


def test_shares_are_own_times_and_c_counts_for_its_caller() -> None:
    shares = {name: (calls, own) for name, calls, own in explanation().shares()}
    assert shares[APPLICATION] == (1, 20_000)
    assert shares["flask"] == (1, 20_000)
    assert sum(own for _, own in shares.values()) == 90_000


def test_a_single_call_is_not_called_calls() -> None:
    text = terminal.show(explanation())
    assert re.search(r"flask .* 1 call   █", text)
    assert not re.search(r"\b1 calls|\+1 calls", text)


def test_depth_cuts_and_full_shows_everything() -> None:
    assert len(tree_of(terminal.show(explanation(), depth=1))) == 2
    assert len(tree_of(terminal.show(explanation(), full=True))) == 9


def test_times_of_other_threads_are_not_in_the_total() -> None:
    found = explanation()
    found.tracks.append(
        Track("worker", [call("sleep", WAITING, 0, 80_000, call("x", "app", 0, 9))])
    )
    assert sum(own for _, _, own in found.shares()) == found.time == 90_000
    said = "  At the same time, thread worker: 80.0 µs, of which it waited 80.0 µs\n"
    assert said in terminal.show(found)


def test_other_threads_have_their_own_tree() -> None:
    found = explanation()
    found.tracks.append(type(found.tracks[0])("worker", [call("work", APPLICATION, 1, 2)]))
    assert "\nCalls on thread worker\n" in terminal.show(found)


def test_exceptions_that_end_an_iteration_are_shown_only_with_all_calls() -> None:
    node = call("__next__", APPLICATION, 1, 2)
    other = call("load", APPLICATION, 2, 3)
    for each, text in ((node, "StopIteration"), (other, "KeyError: 'name'")):
        each.raised, each.result = True, text
    found = explanation(call("run", "server", 0, 9, node, other))
    folded, full = terminal.show(found), terminal.show(found, full=True)
    assert "raised KeyError: 'name'\n" in folded
    assert "StopIteration" not in folded
    assert "raised StopIteration\n" in full


def test_an_overflow_is_reported() -> None:
    found = explanation()
    found.overflowed = True
    assert "made too many calls" in terminal.show(found)


def failed(*errors: Exception) -> Explanation:
    """A request in which these exceptions were handled, one after the other."""
    names = ("Flask.handle_http_exception", "Flask.handle_exception")[-len(errors) :]
    handlers = []
    for number, (name, error) in enumerate(zip(names, errors, strict=True)):
        began = 60_000 + 5_000 * number
        handler = call(name, "flask", began, began + 2_000)
        try:
            raise error
        except Exception as caught:
            handler.error = caught
        handlers.append(handler)
    return explanation(*request(), *handlers)


def test_an_exception_is_shown_with_its_place_and_without_secrets() -> None:
    found = failed(ValueError("hunter2 is too short"))
    found.erase = lambda text: text.replace("hunter2", "…")
    text = terminal.show(found)
    assert "The application raised ValueError: … is too short" in text
    assert re.search(r"^  at .*test_explain_terminal\.py:\d+$", text, re.MULTILINE)


def test_an_exception_of_an_error_handler_is_shown_and_not_the_one_it_handled() -> None:
    text = terminal.show(failed(LookupError("first"), ValueError("second")))
    assert "The application raised ValueError: second" in text
    assert "LookupError" not in text


def test_without_calls_only_the_summary_is_shown() -> None:
    found = Explanation("shop", "GET /", "200 OK", 0, [], [])
    assert terminal.show(found).startswith("GET / → 200 OK, 0 bytes; 0 calls in 0.0 µs")
