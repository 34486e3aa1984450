"""The operations that sessions, limits and the cache need, on each engine."""

from __future__ import annotations

import threading
import time

import pytest

from carboy.shared.errors import EngineUnavailable
from carboy.shared.memory_store import MemoryStore
from carboy.shared.store import Store, Window
from carboy.shared.stores import store_at
from running import PATIENCE

BYTES = bytes(range(256))


def test_a_value_is_what_was_set(store: Store, fresh: str) -> None:
    store.set(f"{fresh}a", BYTES, 100)
    store.set(f"{fresh}a", BYTES[::-1], None)
    store.set(f"{fresh}ключ {{}}*%", b"", 100)
    assert store.get(f"{fresh}a") == BYTES[::-1]
    assert store.get_many([f"{fresh}ключ {{}}*%", f"{fresh}no"]) == {f"{fresh}ключ {{}}*%": b""}
    assert store.get(f"{fresh}no") is None
    assert store.get_many([]) == {}


def test_a_value_ends_after_its_time(store: Store, fresh: str) -> None:
    store.set(f"{fresh}brief", b"1", 0.05)
    store.set(f"{fresh}long", b"1", 0.05)
    if store.touch(f"{fresh}long", 1000):  # unless the machine was too slow
        deadline = time.monotonic() + PATIENCE
        while store.get(f"{fresh}brief") is not None:
            assert time.monotonic() < deadline
        assert store.get(f"{fresh}long") == b"1"
    assert not store.touch(f"{fresh}brief", 10)
    assert not store.replace(f"{fresh}brief", b"2", 10)
    assert store.delete([f"{fresh}brief"]) == 0
    assert store.add(f"{fresh}brief", b"3", 10)


def test_add_does_not_change_a_value_and_replace_does_not_make_one(
    store: Store, fresh: str
) -> None:
    assert store.add(f"{fresh}a", b"1", 100)
    assert not store.add(f"{fresh}a", b"2", 100)
    assert store.get(f"{fresh}a") == b"1"
    assert store.replace(f"{fresh}a", b"3", 100)
    assert not store.replace(f"{fresh}b", b"3", 100)
    assert store.get(f"{fresh}a") == b"3"
    assert store.get(f"{fresh}b") is None


def test_values_are_deleted_by_key_and_by_prefix(store: Store, fresh: str) -> None:
    for name in "abc":
        store.set(f"{fresh}{name}", b"1", 100)
    store.set(f"{fresh}*", b"1", 100)
    assert store.delete([f"{fresh}a", f"{fresh}b", f"{fresh}no"]) == 2
    assert store.delete([]) == 0
    store.clear(f"{fresh}*")
    assert store.get(f"{fresh}*") is None
    assert store.get(f"{fresh}c") == b"1"
    store.clear(fresh)
    assert store.get(f"{fresh}c") is None


def test_a_hit_counts_in_all_windows_or_in_none(store: Store, fresh: str) -> None:
    windows = [Window(f"{fresh}short", 2, 1000), Window(f"{fresh}long", 10, 100_000)]
    for hits in (1, 2):
        counted, counts = store.hit(windows, 1)
        assert counted
        assert [count.hits for count in counts] == [hits, hits]
    counted, counts = store.hit(windows, 1)
    assert not counted
    assert [count.hits for count in counts] == [2, 2]
    assert 900 < counts[0].seconds <= 1000
    assert 99_900 < counts[1].seconds <= 100_000
    # The order in which they are given does not matter.
    counted, counts = store.hit(windows[::-1], 1)
    assert not counted
    assert counts[1].seconds < counts[0].seconds


def test_a_hit_that_costs_more_than_the_limit_is_never_counted(store: Store, fresh: str) -> None:
    counted, counts = store.hit([Window(f"{fresh}a", 3, 1000)], 4)
    assert not counted
    assert counts[0].hits == 0
    assert store.hit([Window(f"{fresh}a", 3, 1000)], 3)[0]


def test_a_window_begins_again_after_its_time(store: Store, fresh: str) -> None:
    window = [Window(f"{fresh}a", 1, 0.05)]
    assert store.hit(window, 1)[0]
    deadline = time.monotonic() + PATIENCE
    while not store.hit(window, 1)[0]:
        assert time.monotonic() < deadline


def test_of_hits_at_the_same_time_exactly_as_many_as_the_limit_count(
    store: Store, fresh: str
) -> None:
    windows = [Window(f"{fresh}a", 20, 1000), Window(f"{fresh}b", 30, 1000)]
    counted: list[bool] = []

    def hit() -> None:
        for _ in range(8):
            counted.append(store.hit(windows, 1)[0])

    threads = [threading.Thread(target=hit) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert counted.count(True) == 20
    assert counted.count(False) == 20


def test_there_is_one_store_for_each_url(url: str) -> None:
    assert store_at(url) is store_at(url)


def test_another_url_is_refused_without_its_password() -> None:
    with pytest.raises(ValueError, match=r"'mysql://me:\*\*\*@host' is not the URL of an engine"):
        store_at("mysql://me:secret@host")


@pytest.mark.parametrize(
    "url",
    [
        "redis://127.0.0.1:1",
        "unix:///nowhere/redis",
        "postgresql://me:secret@127.0.0.1:1/x",
    ],
)
def test_an_engine_that_does_not_run_is_named_in_the_error(url: str) -> None:
    with pytest.raises(EngineUnavailable, match="cannot be reached") as raised:
        store_at(url).get("a")
    assert url.rpartition("@")[2].removeprefix("redis://") in str(raised.value)
    assert "secret" not in str(raised.value)


def test_what_has_ended_leaves_the_memory() -> None:
    now = 0.0
    store = MemoryStore(clock=lambda: now)
    store.set("old", b"1", 10)
    store.hit([Window("old", 1, 10)], 1)
    now = 20.0
    for number in range(2000):
        store.set("new", b"%d" % number, None)
    assert set(store._values) == {"new"}
    assert not store._counts
