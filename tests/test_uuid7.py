from __future__ import annotations

import threading
import time
import uuid

import pytest

from carboy import uuid7 as module
from carboy.uuid7 import Uuid7


def test_an_id_is_a_uuid_of_version_7_of_the_variant_of_the_rfc() -> None:
    made = uuid.UUID(Uuid7()())
    assert made.version == 7 and made.variant == uuid.RFC_4122


def test_the_time_is_in_the_first_48_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    # The time of the example in RFC 9562, appendix A.6
    monkeypatch.setattr(time, "time_ns", lambda: 0x017F22E279B0 * 1_000_000)
    assert Uuid7()().startswith("017f22e2-79b0-7")


def test_ids_are_in_order_and_differ_even_if_the_clock_goes_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    times = iter([5, 5, 5, 3, 4, 6, *([7] * 200)])
    monkeypatch.setattr(time, "time_ns", lambda: next(times) * 1_000_000)
    make = Uuid7()
    ids = [make() for _ in range(206)]
    assert ids == sorted(set(ids))


def test_a_full_counter_goes_on_in_the_next_millisecond(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time_ns", lambda: 1_000_000)
    make = Uuid7()
    first = make()
    make._counter = (1 << module.COUNTER_BITS) - 1
    assert make() > first
    assert make().startswith("00000000-0002-7")


def test_threads_never_get_the_same_id() -> None:
    make = Uuid7()
    found: list[list[str]] = []
    threads = [
        threading.Thread(target=lambda: found.append([make() for _ in range(500)]))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({each for ids in found for each in ids}) == 2000
