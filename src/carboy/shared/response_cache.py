"""`@cache_response`: the response of a view is kept in this process and used again.

It is a shared cache with one rule of its own: the decorator gives the time. A response with
Set-Cookie, of a request that used the session, with another status than 200, with
`Cache-Control: no-store`, `private` or `no-cache`, with fields in Vary that the decorator does not
name, or made in pieces is not kept. If the request has an Authorization field, the response needs
`public`, `s-maxage` or `must-revalidate` of the view (RFC 9111, section 3.5), or the decorator
names the field.

While one request makes the response of a key, others for the same key get the stale response, if
there is one that may still be used, and otherwise wait.
"""

from __future__ import annotations

import logging
import sys
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from functools import wraps
from threading import Event, Lock
from typing import Any, TypeVar

from carboy.app.context import _cv_request, has_request_context
from carboy.app.globals import current_app, request
from carboy.app.helpers import make_response
from carboy.app.plan import is_coroutine_function

__all__ = ["cache_response"]

F = TypeVar("F", bound=Callable[..., Any])

log = logging.getLogger("carboy.cache")

MEMORY = 32 * 1024 * 1024  # bytes of all kept responses of a process
LARGEST = MEMORY // 8  # bytes of one
OVERHEAD = 1024  # bytes of the objects of a kept response
WAIT = 5.0  # seconds; a request waits for another one, and then calls the view itself
METHODS = frozenset({"GET", "HEAD"})
REFUSALS = frozenset({"no-store", "private", "no-cache"})
SHARED = frozenset({"public", "s-maxage", "must-revalidate"})
# They replace a response that stale-if-error allows to reuse (RFC 5861, section 4).
ERRORS = frozenset({500, 502, 503, 504})


class Kept:
    """The response of a view."""

    __slots__ = ("body", "headers", "made", "size")

    def __init__(self, headers: list[tuple[str, str]], body: bytes) -> None:
        self.headers = headers
        self.body = body
        self.made = time.monotonic()
        self.size = len(body) + OVERHEAD + sum(len(n) + len(v) for n, v in headers)

    def age(self) -> float:
        """Seconds since it was made."""
        return time.monotonic() - self.made


class Memory:
    """The kept responses of a process; the one unused for longest goes first. For any thread."""

    def __init__(self, size: int = MEMORY) -> None:
        self.size = size
        self.used = 0
        self._kept: OrderedDict[Any, Kept] = OrderedDict()
        self._lock = Lock()

    def find(self, key: Any) -> Kept | None:
        """The response of a key."""
        with self._lock:
            kept = self._kept.get(key)
            if kept is not None:
                self._kept.move_to_end(key)
            return kept

    def keep(self, key: Any, kept: Kept) -> None:
        """Keep a response, and discard others to make room."""
        if kept.size > LARGEST:
            return
        with self._lock:
            self._discard(key)
            self._kept[key] = kept
            self.used += kept.size
            while self.used > self.size:
                self._discard(next(iter(self._kept)))

    def forget(self, view: Any) -> None:
        """Discard the responses of a view."""
        with self._lock:
            for key in [key for key in self._kept if key[0] is view]:
                self._discard(key)

    def _discard(self, key: Any) -> None:
        kept = self._kept.pop(key, None)
        if kept is not None:
            self.used -= kept.size


memory = Memory()


def cache_response(
    seconds: float,
    *,
    vary: Iterable[str] = (),
    stale_while_revalidate: float = 0,
    stale_if_error: float = 0,
) -> Callable[[F], F]:
    """Decorate a view: its response to a GET is used again for `seconds`.

    `vary` names the request fields that the response depends on, besides the URL. Within
    `stale_while_revalidate` seconds after that time, one request makes the response again while
    others get the old one. Within `stale_if_error` seconds, the old one is sent if the view raises
    an exception, except one such as abort(404) makes. `view.clear_cache()` discards what is kept.
    Views may be coroutine functions, and those of Flask. Raises ValueError for a time that is not
    positive.
    """
    names = tuple(sorted({vary.lower()} if isinstance(vary, str) else {n.lower() for n in vary}))
    if not 0 < seconds < float("inf") or stale_while_revalidate < 0 or stale_if_error < 0:
        raise ValueError(f"cache_response needs a positive number of seconds, not {seconds!r}.")

    def decorate(view: F) -> F:
        caching = Caching(view, seconds, names, stale_while_revalidate, stale_if_error)
        if is_coroutine_function(view):

            @wraps(view)
            async def cached(*args: Any, **kwargs: Any) -> Any:
                return await caching.answer_async(args, kwargs)

        else:

            @wraps(view)
            def cached(*args: Any, **kwargs: Any) -> Any:
                return caching.answer(args, kwargs)

        cached.clear_cache = lambda: memory.forget(view)  # type: ignore[attr-defined]
        return cached  # type: ignore[return-value]

    return decorate


class Making:
    """A request makes the response of a key; others wait, on threads or on an event loop."""

    def __init__(self) -> None:
        self.ended = Event()
        self._calls: list[Callable[[], object]] = []
        self._lock = Lock()

    def end(self) -> None:
        """The response is made, or it cannot be kept."""
        with self._lock:
            self.ended.set()
            calls, self._calls = self._calls, []
        for call in calls:
            call()

    async def wait(self) -> None:
        """Wait for `end`, for WAIT seconds at most."""
        import asyncio

        loop = asyncio.get_running_loop()
        future = loop.create_future()

        def wake() -> None:
            if not future.done():
                future.set_result(None)

        with self._lock:
            if self.ended.is_set():
                return
            self._calls.append(lambda: loop.call_soon_threadsafe(wake))
        await asyncio.wait({future}, timeout=WAIT)


class Caching:
    """One decorated view."""

    def __init__(
        self,
        view: Callable[..., Any],
        seconds: float,
        names: tuple[str, ...],
        while_revalidate: float,
        if_error: float,
    ) -> None:
        self._view = view
        self._seconds = seconds
        self._names = names
        self._while_revalidate = while_revalidate
        self._if_error = if_error
        self._made: dict[Any, Making] = {}
        self._lock = Lock()

    # --- plain functions and coroutine functions

    def answer(self, args: Any, kwargs: Any) -> Any:
        """The response, kept or made now."""
        web = _framework()
        if web.request.method not in METHODS:
            return self._view(*args, **kwargs)
        key = self._key(web.request, kwargs)
        found, made = self._begin(key)
        if found is None and made is None:
            making = self._made.get(key)
            if making is not None:
                making.ended.wait(WAIT)
            found = self._usable(key)
        if found is not None:
            return self._again(web, found)
        try:
            return self._keep(web, key, web.make_response(self._view(*args, **kwargs)))
        except Exception as error:
            return self._instead(web, key, error)
        finally:
            self._end(key, made)

    async def answer_async(self, args: Any, kwargs: Any) -> Any:
        """As `answer`; a request that waits holds no thread."""
        web = _framework()
        if web.request.method not in METHODS:
            return await self._view(*args, **kwargs)
        key = self._key(web.request, kwargs)
        found, made = self._begin(key)
        if found is None and made is None:
            making = self._made.get(key)
            if making is not None:
                await making.wait()
            found = self._usable(key)
        if found is not None:
            return self._again(web, found)
        try:
            return self._keep(web, key, web.make_response(await self._view(*args, **kwargs)))
        except Exception as error:
            return self._instead(web, key, error)
        finally:
            self._end(key, made)

    # --- one at a time

    def _begin(self, key: Any) -> tuple[Kept | None, Making | None]:
        """A response to use, or the object that says that this request makes one.

        Neither: another request makes it.
        """
        found = self._usable(key)
        if found is not None:
            return found, None
        with self._lock:
            if key not in self._made:
                made = self._made[key] = Making()
                return None, made
        kept = memory.find(key)
        if kept is not None and kept.age() < self._seconds + self._while_revalidate:
            return kept, None
        return None, None

    def _end(self, key: Any, made: Making | None) -> None:
        if made is not None:
            with self._lock:
                self._made.pop(key, None)
            made.end()

    def _usable(self, key: Any) -> Kept | None:
        kept = memory.find(key)
        return kept if kept is not None and kept.age() < self._seconds else None

    # --- responses

    def _key(self, asked: Any, kwargs: Any) -> Any:
        fields = tuple(asked.headers.get(name) for name in self._names)
        return self._view, asked.url, tuple(sorted(kwargs.items(), key=str)).__repr__(), fields

    def _keep(self, web: Any, key: Any, response: Any) -> Any:
        control = response.headers.get("Cache-Control", "").lower()
        if (
            response.status_code != 200
            or response.is_streamed
            or response.direct_passthrough
            or "Set-Cookie" in response.headers
            or any(each in control for each in REFUSALS)
            or not response.vary.as_set() <= set(self._names)
            or not self._may_share(web.request, control)
            or web.used_session()
        ):
            return response
        if not control:
            response.headers["Cache-Control"] = self._control()
        for name in self._names:
            response.vary.add(name.title())
        response.add_etag()
        kept = Kept(list(response.headers.items()), response.get_data())
        if web.request.method == "GET":
            memory.keep(key, kept)
        return response.make_conditional(web.request)

    def _may_share(self, asked: Any, control: str) -> bool:
        """Whether other clients may get the response as well; `control` is that of the view."""
        return (
            "Authorization" not in asked.headers
            or "authorization" in self._names
            or any(each in control for each in SHARED)
        )

    def _control(self) -> str:
        text = f"public, max-age={int(self._seconds)}"
        if self._while_revalidate:
            text += f", stale-while-revalidate={int(self._while_revalidate)}"
        if self._if_error:
            text += f", stale-if-error={int(self._if_error)}"
        return text

    def _again(self, web: Any, kept: Kept) -> Any:
        """A new response with what is kept."""
        response = web.app.response_class(kept.body, 200, kept.headers)
        response.headers["Age"] = str(int(kept.age()))
        return response.make_conditional(web.request)

    def _instead(self, web: Any, key: Any, error: Exception) -> Any:
        kept = memory.find(key)
        if kept is None or kept.age() >= self._seconds + self._if_error or not _is_failure(error):
            raise error
        log.error("A view failed, and an older response was sent.", exc_info=error)
        return self._again(web, kept)


def _is_failure(error: Any) -> bool:
    """Whether the view has failed; False for an HTTPException of either framework below 500."""
    if not hasattr(error, "get_response"):
        return True
    response = getattr(error, "response", None)
    status = getattr(error, "code", None) if response is None else response.status_code
    return status in ERRORS


class _Own:
    """The framework of this request: Carboy."""

    request = request
    make_response = staticmethod(make_response)

    @property
    def app(self) -> Any:
        return current_app

    @staticmethod
    def used_session() -> bool:
        """Whether the request has used its session, which belongs to one user."""
        opened: Any = _cv_request.get()._opened
        return opened is not None and bool(getattr(opened, "accessed", True))


class _Flask:
    """The framework of this request: Flask."""

    def __init__(self, flask: Any) -> None:
        self.request = flask.request
        self.make_response = flask.make_response
        self.app = flask.current_app
        self._context = flask.globals.request_ctx

    def used_session(self) -> bool:
        """Whether the request has used its session. The proxy `session` would use it."""
        opened = vars(self._context._get_current_object()).get("_session")
        return opened is None or bool(getattr(opened, "accessed", True))


_own = _Own()


def _framework() -> Any:
    flask = sys.modules.get("flask")
    if has_request_context() or flask is None:
        return _own
    return _Flask(flask)
