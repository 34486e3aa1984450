"""Frames on the sockets of the relay."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carboy.relay.frames import LARGEST, FrameError, FrameReader, frame

FIELDS = st.dictionaries(st.text(max_size=8), st.none() | st.booleans() | st.integers() | st.text())


@settings(max_examples=40)
@given(st.lists(st.tuples(FIELDS, st.binary(max_size=200)), max_size=5), st.data())
def test_frames_are_read_in_pieces_of_any_size(frames: list[tuple[dict, bytes]], data) -> None:
    wire = b"".join(frame(fields, content) for fields, content in frames)
    reader = FrameReader()
    found = []
    while wire:
        size = data.draw(st.integers(1, len(wire)))
        found += reader.feed(wire[:size])
        wire = wire[size:]
    assert found == frames


@pytest.mark.parametrize(
    "wire",
    [
        (LARGEST + 1).to_bytes(4, "big"),
        b"\0\0\0\4GET ",
        b"\0\0\0\x03[]\n",
        b"\0\0\0\x02{}",
        b"\0\0\0\x03{]\n",
        b"\0\0\0\x04\xff\xff\xff\n",
    ],
)
def test_other_protocols_are_refused(wire: bytes) -> None:
    with pytest.raises(FrameError):
        FrameReader().feed(wire)
