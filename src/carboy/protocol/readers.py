"""The readers of whole heads that run: those in Python, or their compiled twins."""

from __future__ import annotations

from types import ModuleType

from carboy.speedups import speedups

from . import head
from .changed_head import whole_head
from .events import ForwardedHead, RequestHead

quick_head = whole_head
similar_head = head.similar_head


def _choose(compiled: ModuleType | None) -> None:
    global quick_head, similar_head
    if compiled is not None:
        compiled.prepare(RequestHead, ForwardedHead)
        quick_head, similar_head = compiled.quick_head, compiled.similar_head
    else:
        quick_head, similar_head = whole_head, head.similar_head


speedups.twins("head", _choose)
