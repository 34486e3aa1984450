"""One finding of `carboy run --check-config`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """A problem and what to do about it. A notice is not an error.

    `about` is the name of the option, or of another thing.
    """

    about: str
    text: str
    is_error: bool = True
