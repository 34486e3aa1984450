"""The function that puts header fields into an environ: that of wsgi.py, or its compiled twin."""

from __future__ import annotations

from types import ModuleType

from carboy.gateway import wsgi
from carboy.speedups import speedups

add_fields = wsgi.add_fields


def _choose(compiled: ModuleType | None) -> None:
    global add_fields
    add_fields = (compiled or wsgi).add_fields


speedups.twins("environ", _choose)
