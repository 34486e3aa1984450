"""The contexts of a request, in which the consoles of its frames run code."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from threading import Lock
from typing import Any


class ApplicationContext:
    """The context of an application without a request. It is made each time it is entered."""

    def __init__(self, app: Any) -> None:
        self.app = app
        self._stack = ExitStack()

    def __enter__(self) -> None:
        self._stack.enter_context(self.app.app_context())

    def __exit__(self, *error: object) -> None:
        self._stack.close()


class Contexts(list[AbstractContextManager[Any]]):
    """The contexts of a failed request. Two threads cannot enter them: hold `lock` before."""

    def __init__(self, *contexts: AbstractContextManager[Any]) -> None:
        super().__init__(contexts)
        self.lock = Lock()

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Inside the contexts, as far as they can be entered again.

        Errors of entering and leaving are the application's: what failed in the request, such as a
        teardown function, fails here again.
        """
        stack = ExitStack()
        with suppress(Exception):
            for context in self:
                stack.enter_context(context)
        try:
            yield
        finally:
            with suppress(Exception):
                stack.close()

    @property
    def ensure_sync(self) -> Callable[[Any], Any] | None:
        """The function of a framework that makes a plain function of a coroutine function."""
        found = (getattr(getattr(each, "app", None), "ensure_sync", None) for each in self)
        return next((each for each in found if each is not None), None)
