"""A thread for what must not delay messages: comments, slow and ended connections, hooks.

Any thread, also one that holds a channel's lock, calls `note` and `opened`, which only append to a
queue. Hooks run on threads of their own pool, one at a time for each hold, so a hook that waits
delays neither comments nor other holds.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from queue import Empty, SimpleQueue
from threading import RLock
from typing import Any, Protocol

from carboy.realtime.held import Hold, Hooks, State

log = logging.getLogger("carboy.error")

TURN = 1.0  # seconds between two looks at the clock, while holds are open
HOOK_THREADS = 8
MOST_CALLS = 32  # of hooks that wait, before messages of the client are left with its connection


class Hub(Protocol):
    """The hub, as the housekeeper sees it (hub.py)."""

    lock: RLock

    def open(self, hold: Hold) -> None:
        """The hold's connection is ready: attach its channels."""
        ...

    def flush(self, hold: Hold) -> None:
        """Send the messages that were kept for a slow client."""
        ...

    def remove(self, hold: Hold) -> bool:
        """The hold has ended; returns False if it was removed before."""
        ...

    def log_slow(self, now: float) -> None:
        """Log how many connections were too slow, at most once an interval."""
        ...


class Housekeeper:
    """Looks after the holds of a hub. Its thread starts with the first hold."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._queue: SimpleQueue[Callable[[], object] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._pool: ThreadPoolExecutor | None = None
        # seconds between two comments: the holds, by the time of their next comment
        self._due: dict[float, deque[tuple[float, Hold]]] = {}

    # --- from any thread

    def start(self) -> None:
        """Start the thread."""
        if self._thread is None:
            with self._hub.lock:
                if self._thread is None:
                    self._thread = threading.Thread(
                        target=self._run, name="carboy-holds", daemon=True
                    )
                    self._thread.start()

    def live(self, hold: Hold) -> None:
        """A hold gets messages now."""
        if hold.hooks.on_open is not None:
            self._queue.put(lambda: self._call(hold, hold.hooks.on_open))

    def note(self, hold: Hold) -> None:
        """The connection of a hold is ready, takes more, has a message, or has ended."""
        self._queue.put(lambda: self._look(hold))

    def stop(self, timeout: float) -> None:
        """End the thread, after what is in its queue, and wait for the hooks."""
        thread = self._thread
        if thread is not None:
            self._queue.put(None)
            thread.join(timeout)
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=False)

    # --- on the thread

    def _run(self) -> None:
        next_look = time.monotonic() + TURN
        while True:
            now = time.monotonic()
            try:
                if now >= next_look:
                    next_look = now + TURN
                    self._send_comments(now)
                    self._hub.log_slow(now)
                work = self._queue.get(timeout=max(0.0, next_look - now))
                if work is None:
                    return
                work()
            except Empty:
                pass
            except Exception:
                log.exception("A connection that holds channels cannot be looked after.")

    def _begin(self, hold: Hold) -> None:
        self._hub.open(hold)
        if interval := hold.hooks.keep_alive:
            due = self._due.setdefault(interval, deque())
            due.append((time.monotonic() + interval, hold))

    def _send_comments(self, now: float) -> None:
        for interval, due in self._due.items():
            while due and due[0][0] <= now:
                _, hold = due.popleft()
                if hold.state is not State.ENDED:
                    hold.outlet.keep_alive()
                    due.append((now + interval, hold))

    def _look(self, hold: Hold) -> None:
        if hold.outlet.open and hold.state is not State.ENDED:
            if hold.state is State.NEW:
                self._begin(hold)
            self._hub.flush(hold)
            self._take_messages(hold)
        elif hold.state is State.NEW:
            hold.end()
            if hold.hooks.close is not None:
                self._submit(hold.hooks, hold.hooks.close)
        elif self._hub.remove(hold):
            self._take_messages(hold)
            self._call(hold, hold.hooks.on_close)
            if hold.hooks.close is not None:
                self._submit(hold.hooks, hold.hooks.close)

    def _take_messages(self, hold: Hold) -> None:
        """Have the hook called with the messages of the client, a few at a time."""
        hooks = hold.hooks
        while len(hooks.calls or ()) < MOST_CALLS and (message := hold.outlet.take()) is not None:
            if hooks.on_message is not None:
                self._submit(hooks, hooks.on_message, hold, message)
                self._submit(hooks, partial(self.note, hold))

    # --- hooks

    def _call(self, hold: Hold, hook: Callable[[Hold], object] | None) -> None:
        if hook is not None:
            self._submit(hold.hooks, hook, hold)

    def _submit(self, hooks: Hooks, function: Callable[..., Any], *arguments: Any) -> None:
        """Have a thread of the pool call a function after the other functions of the hold."""
        if self._pool is None:
            self._pool = ThreadPoolExecutor(HOOK_THREADS, "carboy-hold-hooks")
        with self._hub.lock:
            if hooks.calls is None:  # most holds have no hooks, and a deque has 600 bytes
                hooks.calls = deque()
            hooks.calls.append((function, arguments))
            if hooks.busy:
                return
            hooks.busy = True
        self._pool.submit(self._run_hooks, hooks)

    def _run_hooks(self, hooks: Hooks) -> None:
        while True:
            with self._hub.lock:
                if not hooks.calls:
                    hooks.busy = False
                    return
                function, arguments = hooks.calls.popleft()
            if isinstance(function, partial):
                function()
            else:
                _run_hook(hooks.app, function, *arguments)


def _run_hook(app: Any, function: Callable[..., Any], *arguments: Any) -> None:
    """Call a hook in an application context."""
    try:
        with app.app_context():
            app.ensure_sync(function)(*arguments)
    except Exception:
        name = getattr(function, "__qualname__", repr(function))
        app.logger.exception("%s, a hook of hold(), failed.", name)
