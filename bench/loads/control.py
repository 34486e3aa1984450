"""The conversation of a load process with the benchmark, in lines of JSON.

The process writes `{"ready": …}` when its connections are open. Each line that it then reads is a
command, and is answered with a line: the result, or `{"error": …}`.
"""

from __future__ import annotations

import json
import sys
from typing import Any


class LoadFailed(Exception):
    """The server did something that it must not do. The text says what."""


def say(**values: Any) -> None:
    """Write a line."""
    sys.stdout.write(json.dumps(values) + "\n")
    sys.stdout.flush()


def percentile(values: list[float], share: float) -> float:
    """The value below which `share` of the sorted `values` lie."""
    return values[min(len(values) - 1, int(len(values) * share))]
