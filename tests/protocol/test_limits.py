"""The limits of one request."""

from __future__ import annotations

import pytest

from carboy.protocol import Limits


def test_a_head_within_the_quick_size_exceeds_no_size() -> None:
    limits = Limits(request_line=50, field_line=40, fields_size=60)
    assert limits.quick == 40


@pytest.mark.parametrize(("count", "short"), [(100, 128), (10, 40), (0, 0)])
def test_a_head_within_the_short_size_exceeds_no_number(count: int, short: int) -> None:
    assert Limits(fields_count=count).short == short
