"""Types of form.pyx."""

from typing import TypeVar

M = TypeVar("M", bound=dict[str, str])

def ordinary_pairs(data: bytes) -> list[tuple[str, str]] | None: ...
def grouped(pairs: list[tuple[str, str]], kind: type[M]) -> M: ...
