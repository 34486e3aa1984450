"""Rates as text."""

from __future__ import annotations

import pytest

from carboy.shared.rates import Rate, parse_rates


@pytest.mark.parametrize(
    ("text", "rates"),
    [
        ("10/minute", [(10, 60)]),
        ("10 per minute", [(10, 60)]),
        ("1 / Second", [(1, 1)]),
        ("5/2seconds", [(5, 2)]),
        ("5 per 10 min", [(5, 600)]),
        ("0/day", [(0, 86400)]),
        ("100/hour;10/minute", [(10, 60), (100, 3600)]),
        ("10/minute, 5/minute|1/year", [(5, 60), (1, 31536000)]),
        ("3/60 seconds; 2/minute", [(2, 60)]),
    ],
)
def test_rates_are_read_and_sorted(text: str, rates: list[tuple[int, int]]) -> None:
    assert parse_rates(text) == tuple(Rate(*each) for each in rates)


@pytest.mark.parametrize(
    "text",
    ["", "10", "10/", "/minute", "ten/minute", "-1/minute", "10/minute;", "10/m", "1.5/minute",
     "10/0 minutes", "10/week end", "10 minute", "٣/minute"],
)  # fmt: skip
def test_another_text_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="is (not a rate|a rate for no time). Use"):
        parse_rates(text)
