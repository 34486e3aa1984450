"""Tests of commands leave the process as it was."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def recursion_limit() -> Iterator[None]:
    """`carboy explain` raises the limit for its process, which other tests share."""
    limit = sys.getrecursionlimit()
    yield
    sys.setrecursionlimit(limit)
