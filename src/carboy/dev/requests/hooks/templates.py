"""Templates of Django, and of Jinja where no framework reports them by a signal."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import wraps
from typing import Any

from carboy.dev.requests.hooks.patches import Patches
from carboy.dev.requests.recording import Timed, current

DJANGO = Timed("template", nested=True)  # a template that extends or includes others
JINJA = Timed("template")


def _timed(render: Callable[..., Any], kind: Timed) -> Callable[..., Any]:
    @wraps(render)
    def rendering(self: Any, *given: Any, **options: Any) -> Any:
        __traceback_hide__ = True
        recording = current.get()
        if recording is not None and recording.templates:  # a signal will report it
            return render(self, *given, **options)
        with kind.call(lambda: (str(getattr(self, "name", None) or "a string"), "")):
            return render(self, *given, **options)

    return rendering


def watch_django(patches: Patches) -> None:
    """Django's own signal is sent only in its tests, which replace the same method."""
    base = sys.modules["django.template"]
    patches.wrap(base.Template, "_render", lambda render: _timed(render, DJANGO))


def watch_jinja(patches: Patches) -> None:
    """Flask and Carboy send signals; others call the method."""
    template = sys.modules["jinja2"].Template
    patches.wrap(template, "render", lambda render: _timed(render, JINJA))
