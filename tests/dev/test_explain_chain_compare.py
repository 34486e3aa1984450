"""Two chains side by side, from recordings made by hand."""

from __future__ import annotations

from carboy.dev.explain import compare_text
from carboy.dev.explain.chain_compare import Does, Row, compare
from recordings import LISTENS, SERVED, TO_CLIENT, recording

OTHER = (
    ("waitress", "serve", ()),
    *SERVED[2:5],
    ("", "socket._accept", LISTENS),
    ("", "socket.recv", TO_CLIENT),
    ("waitress.parser", "HTTPRequestParser.parse_header", ()),
    ("mine", "hello", ()),
    ("", "socket.send", TO_CLIENT),
)


def names(row: Row) -> tuple[str, str]:
    return (
        row.left.function.name if row.left else "",
        row.right.function.name if row.right else "",
    )


def test_steps_that_do_the_same_are_in_one_row() -> None:
    rows = compare(recording(*SERVED), recording(*OTHER))
    assert {row.event: names(row) for row in rows if row.event} == {
        Does.SOCKET: ("socket.__init__", "socket.__init__"),
        Does.BOUND: ("socket.bind", "socket.bind"),
        Does.LISTENS: ("socket.listen", "socket.listen"),
        Does.ACCEPTED: ("socket._accept", "socket._accept"),
        Does.READ: ("socket.recv", "socket.recv"),
        Does.CALLED: ("hello", "hello"),
        Does.WRITTEN: ("socket.sendall", "socket.send"),
    }


def test_other_steps_keep_their_order_between_the_events() -> None:
    rows = compare(recording(*SERVED), recording(*OTHER))
    assert names(rows[0]) == ("run_simple", "serve")
    left = [row.left.number for row in rows if row.left]
    right = [row.right.number for row in rows if row.right]
    assert left == sorted(left) and right == sorted(right)
    assert ("", "HTTPRequestParser.parse_header") in [names(row) for row in rows]


def test_an_event_has_the_number_of_calls_since_the_event_before_it() -> None:
    rows = compare(recording(*SERVED), recording(*OTHER))
    calls = {row.event: row.calls for row in rows if row.event}
    assert calls[Does.SOCKET] == (2, 1)
    assert calls[Does.BOUND] == (1, 1)
    assert calls[Does.ACCEPTED] == (3, 1)


def test_the_lines_fit_the_width() -> None:
    text = compare_text.show(recording(*SERVED), recording(*OTHER), width=110)
    lines = text.splitlines()[2:]
    assert max(map(len, lines)) <= 110
    assert "The socket is bound, after 1 and 1 calls" in lines
    assert "socket.bind  in C" in text


def test_two_chains_without_a_common_event_are_side_by_side() -> None:
    one, other = recording(SERVED[0]), recording(OTHER[0])
    assert [(row.event, *names(row)) for row in compare(one, other)] == [
        (None, "run_simple", "serve")
    ]
