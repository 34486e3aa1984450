"""The readers of whole heads that run: those of head.py, or their compiled twins."""

from __future__ import annotations

from types import ModuleType

from carboy.speedups import speedups

from . import head
from .events import ForwardedHead, RequestHead

quick_head = head.quick_head
similar_head = head.similar_head


def _choose(compiled: ModuleType | None) -> None:
    global quick_head, similar_head
    if compiled is not None:
        compiled.prepare(RequestHead, ForwardedHead)
    twins = compiled or head
    quick_head, similar_head = twins.quick_head, twins.similar_head


speedups.twins("head", _choose)
