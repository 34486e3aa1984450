"""The state of a relay: order, history and presence."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from carboy.relay.board import OVERHEAD, Board, Kept, Rule

MEMORY = 1 << 20


def board(history: int = 3, seconds: float = 0.0, memory: int = MEMORY) -> Board:
    return Board(Rule("*", history, seconds), memory)


def put(
    board: Board, channel: str = "a", data: bytes = b"x", at: float = 0.0, id: str = ""
) -> Kept:
    return board.publish(channel, data, None, id, False, at)


def ids(board: Board, channel: str, after: str | None, at: float = 0.0) -> list[str] | None:
    """The ids of a replay; None if it is not complete."""
    found = board.replay(channel, after, at)
    assert found.complete or not found.messages
    return [each.id for each in found.messages] if found.complete else None


def test_messages_of_all_channels_are_in_one_order() -> None:
    relay = board()
    assert [put(relay, name).order for name in "aba"] == [1, 2, 3]


def test_a_replay_has_the_messages_after_an_id() -> None:
    relay = board()
    first, second, third = (put(relay) for _ in range(3))
    assert ids(relay, "a", first.id) == [second.id, third.id]
    assert ids(relay, "a", third.id) == []


def test_a_new_client_gets_no_messages_of_before() -> None:
    relay = board()
    put(relay)
    assert ids(relay, "a", None) == []


def test_a_position_may_be_that_of_another_channel() -> None:
    relay = board()
    put(relay, "a")
    other = put(relay, "b")
    last = put(relay, "a")
    assert ids(relay, "a", other.id) == [last.id]


def test_an_id_of_which_a_later_message_is_discarded_is_not_complete() -> None:
    relay = board(history=2)
    sent = [put(relay) for _ in range(4)]
    assert ids(relay, "a", sent[0].id) is None
    assert ids(relay, "a", sent[1].id) == [sent[2].id, sent[3].id]


def test_messages_that_are_too_old_are_discarded() -> None:
    relay = board(seconds=10)
    old = put(relay, at=0)
    new = put(relay, at=5)
    assert ids(relay, "a", old.id, at=9) == [new.id]
    assert ids(relay, "a", old.id, at=16) is None
    assert ids(relay, "a", new.id, at=16) == []


def test_an_id_of_another_relay_is_not_known() -> None:
    assert ids(board(), "a", put(board()).id) is None


def test_an_id_that_was_never_given_is_not_known() -> None:
    relay = board()
    put(relay)
    for text in ("", "x", f"{relay.epoch}-9", f"{relay.epoch}--1", f"{relay.epoch}-\u0661"):
        assert ids(relay, "a", text) is None


def test_a_publisher_may_choose_the_id() -> None:
    relay = board()
    put(relay, id="first")
    second = put(relay, id="second")
    assert second.id == "second"
    assert ids(relay, "a", "first") == ["second"]


def test_a_channel_without_history_says_what_was_missed() -> None:
    relay = board(history=0)
    first = put(relay)
    assert ids(relay, "a", first.id) == []
    put(relay)
    assert ids(relay, "a", first.id) is None


def test_a_channel_with_history_does_not_depend_on_channels_without() -> None:
    relay = board()
    relay.set_rules([Rule("quick:*", 0)])
    position = put(relay, "b")
    put(relay, "quick:1")
    assert ids(relay, "never used", position.id) == []


def test_the_first_rule_that_matches_counts() -> None:
    relay = board()
    relay.set_rules([Rule("room:7", 1), Rule("room:*", 2)])
    assert [relay.rule(name).history for name in ("room:7", "room:8", "hall")] == [1, 2, 3]


def test_the_oldest_messages_of_all_channels_go_when_the_memory_is_full() -> None:
    size = len(put(board(), data=b"x" * 1000).frame) + OVERHEAD
    relay = board(history=1000, memory=3 * size)
    sent = [put(relay, name, b"x" * 1000) for name in "abab"]
    assert relay.size <= 3 * size
    assert relay.discarded == 1
    assert ids(relay, "a", sent[0].id) == [sent[2].id]
    assert [each.id for each in relay.replay("a", None, 0.0, whole=True).messages] == [sent[2].id]
    assert len(relay.replay("b", None, 0.0, whole=True).messages) == 2


@settings(max_examples=40)
@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 300)), max_size=60),
    st.integers(1, 5), st.integers(600, 4000),
)  # fmt: skip
def test_a_complete_replay_has_every_message(
    sent: list[tuple[str, int]], history: int, memory: int
) -> None:
    relay = board(history, memory=memory)
    done = [put(relay, name, b"x" * size) for name, size in sent]
    kept = sum(len(each.frame) + OVERHEAD for c in relay._channels.values() for each in c.kept)
    assert relay.size == kept <= memory
    for name in "abc":
        for position in done:
            wanted = [m.id for m in done if m.channel == name and m.order > position.order]
            assert ids(relay, name, position.id) in (wanted, None)
            if position is done[-1]:
                assert ids(relay, name, position.id) == [] or kept == 0


def test_channels_of_which_nothing_is_left_are_forgotten() -> None:
    relay = board(seconds=1)
    for number in range(2048):
        put(relay, f"room:{number}", at=number)
    assert len(relay._channels) < 1100
    assert len(relay._ages) < 1100


def test_a_name_is_new_with_its_first_connection_and_gone_with_its_last() -> None:
    relay = board()
    assert relay.join("worker 1", "a", "ann")
    assert not relay.join("worker 2", "a", "ann")
    assert not relay.join("worker 1", "a", None)
    assert relay.subscribers("a") == (3, {"ann": 2})
    assert not relay.leave("worker 1", "a", "ann")
    assert relay.leave("worker 2", "a", "ann")
    assert relay.subscribers("a") == (1, {})
    relay.leave("worker 1", "a", None)
    assert relay.subscribers("a") == (0, {})


def test_the_connections_of_a_process_that_has_gone_do_not_count() -> None:
    relay = board()
    relay.join("worker 1", "a", "ann", 2)
    relay.join("worker 1", "a", "bob")
    relay.join("worker 2", "a", "bob")
    assert list(relay.drop("worker 1")) == [("a", "ann")]
    assert relay.subscribers("a") == (1, {"bob": 1})
    assert list(relay.drop("worker 1")) == []


def test_a_process_cannot_leave_for_another_one() -> None:
    relay = board()
    relay.join("worker 1", "a", "ann")
    assert not relay.leave("worker 2", "a", "ann")
    assert relay.subscribers("a") == (1, {"ann": 1})
