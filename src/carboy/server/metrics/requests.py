"""The counts of requests of a worker: by route, method and status.

A RequestCounts is called with the records of the access log, on whichever thread has ended the
request. It has no lock: each thread has cells of its own, which no other thread writes. If there is
no log, `count` counts a whole response that the leader has made, without a record, which would cost
more than the rest.

    thread                     touches
    one that ends requests     its own ThreadCells: it adds cells, and changes their numbers
    the one that calls `take`  `sent` of all ThreadCells; it copies `cells` and each cell with one
                               call of C each (dict.copy, a slice of a list), and changes neither

What a copy lacks because its thread was between two additions is in the next copy: `take` returns
differences to the copy before, so nothing is lost or counted twice. `_threads` only grows by
`append` on a thread that begins, and `take`, which holds `_taking`, replaces what it has read only
if the thread of a table has ended before the table was copied.
"""

from __future__ import annotations

import threading
import time
from bisect import bisect_left
from collections.abc import Callable
from typing import Any

from carboy.protocol.errors import REASONS
from carboy.server.logs.facts import Record, has_content

NO_RULE = "(no rule)"
OTHER_ROUTE = "(other)"
OTHER_METHOD = "other"
METHODS = frozenset(
    ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE", "QUERY")
)  # fmt: skip
LONGEST_ROUTE = 256  # characters
SERVER_ERROR = 500
NEVER_RAN = frozenset(("queue_timeout", "queue_limit", "overload"))  # reasons of refusals

clock = time.monotonic
Count = Callable[[Any, str, int], None]
Key = tuple[str, str, int]  # route, method, status
# Seconds, bytes of the response, bytes of the request, then the number of requests by duration:
# one for each bucket, and one for longer requests.
Cell = list[float]
SECONDS, SENT, RECEIVED, FIRST = range(4)


class ThreadCells:
    """The counts of one thread."""

    __slots__ = ("cells", "examples", "queue", "quick", "refused", "sent", "thread")

    def __init__(self, buckets: int) -> None:
        self.thread = threading.current_thread()
        self.cells: dict[Key, Cell] = {}
        # The same cells by the status as text, and whether the content of the response is sent.
        self.quick: dict[tuple[str, str, str], tuple[Cell, bool]] = {}
        # Seconds in the queue, then the number of requests for each bucket.
        self.queue: Cell = [0.0] + [0] * (buckets + 1)
        self.refused: dict[str, int] = {}
        self.sent: dict[Any, Cell] = {}
        # The last request with a trace, by route, method and bucket: trace, seconds, time.
        self.examples: dict[tuple[str, str, int], tuple[str, float, float]] = {}


class RequestCounts:
    """Counts requests; `log` gets each record after that.

    At most `most_routes` routes are counted apart, so that an application whose routes are not
    bounded does not fill the memory.
    """

    def __init__(
        self,
        bounds: tuple[float, ...],
        most_routes: int,
        log: Callable[[Record], None] | None = None,
    ) -> None:
        self.bounds = bounds
        self._most_routes = most_routes
        self._log = log
        self.count: Count | None = self._count if log is None else None
        self._local = threading.local()
        self._threads: list[ThreadCells] = []
        self._routes: set[str] = set()
        self._naming = threading.Lock()  # held for a few lines, when a thread has a new key
        self._taking = threading.Lock()

    # --- on the threads that end requests

    def __call__(self, record: Record) -> None:
        """Count a request, and log it."""
        try:
            own = self._local.own
        except AttributeError:
            own = self._begin()
        _, _, head, _, status, sent, seconds, exchange = record
        if exchange is None or head is None:
            reason = reason_of(status)
            own.refused[reason] = own.refused.get(reason, 0) + 1
        else:
            match = exchange.match
            if match.__class__ is tuple and not exchange.mounted_at:
                route = match[0].rule  # what exchange.route is for nearly every request
            else:
                route = exchange.route
                if self._log is not None and not exchange.mounted_at:
                    exchange.rule = route  # for the log, which need not find it again
            cell = own.cells.get((route, head.method, status))
            if cell is None:
                cell = self._new_cell(own, (route, head.method, status))
            cell[0] += seconds  # the literal of SECONDS, which the interpreter finds quicker
            cell[1] += sent
            cell[bisect_left(self.bounds, seconds) + 3] += 1
            trace = vars(exchange).get("trace")  # if a log or a span has needed it
            if trace is not None:
                bucket = bisect_left(self.bounds, seconds)
                own.examples[route, head.method, bucket] = trace.trace_id, seconds, record[0]
            if exchange.body is not None or exchange.channel is not None:
                cell[2] += size_of(exchange)
            if exchange.queued_at or (status >= SERVER_ERROR and exchange.refusal):
                self._waited(own, exchange, seconds)
        if self._log is not None:
            self._log(record)

    def _count(self, exchange: Any, status: str, size: int) -> None:
        """Count a request whose whole response was made at once: `size` bytes of content."""
        seconds = clock() - (exchange.arrived or exchange.queued_at or exchange.began)
        if exchange.body is not None or exchange.queued_at or "trace" in exchange.__dict__:
            self._count_by_record(exchange, int(status[:3]), size, seconds)
            return
        try:
            own = self._local.own
        except AttributeError:
            own = self._begin()
        match = exchange.match
        if match.__class__ is tuple and not exchange.mounted_at:
            route = match[0].rule
        else:
            route = exchange.route
        key = route, exchange.head.method, status
        found = own.quick.get(key)
        if found is None:
            found = self._quick(own, key)
        cell, is_sent = found
        cell[0] += seconds
        if is_sent:
            cell[1] += size
        cell[bisect_left(self.bounds, seconds) + 3] += 1

    def _count_by_record(self, exchange: Any, status: int, size: int, seconds: float) -> None:
        head = exchange.head
        sent = size if has_content(head.method, status) else 0
        self((time.time(), "", head, "", status, sent, seconds, exchange))

    def _quick(self, own: ThreadCells, key: tuple[str, str, str]) -> tuple[Cell, bool]:
        route, method, status = key
        code = int(status[:3])
        exact = route, method, code
        cell = own.cells.get(exact) or self._new_cell(own, exact)
        found = cell, has_content(method, code)
        if exact in own.cells:  # clients choose the others, which are not bounded
            own.quick[key] = found
        return found

    def _begin(self) -> ThreadCells:
        own = self._local.own = ThreadCells(len(self.bounds))
        self._threads.append(own)
        return own

    def _waited(self, own: ThreadCells, exchange: Any, seconds: float) -> None:
        if exchange.refusal:
            own.refused[exchange.refusal] = own.refused.get(exchange.refusal, 0) + 1
        if not exchange.queued_at:
            return
        waited = max(0.0, exchange.began - exchange.queued_at)
        if exchange.refusal in NEVER_RAN:
            waited = seconds
        own.queue[0] += waited
        own.queue[bisect_left(self.bounds, waited) + 1] += 1

    def _new_cell(self, own: ThreadCells, key: Key) -> Cell:
        """The cell of a key that this thread has not counted yet.

        Clients choose methods, so unknown ones share a cell and are looked up here each time, and
        so are the routes beyond the limit.
        """
        route, method, status = key
        known = self._known_route(route), method if method in METHODS else OTHER_METHOD, status
        cell = own.cells.get(known)
        if cell is None:
            cell = own.cells[known] = [0.0, 0, 0] + [0] * (len(self.bounds) + 1)
        return cell

    def _known_route(self, route: str) -> str:
        if len(route) > LONGEST_ROUTE:
            return OTHER_ROUTE
        if route not in self._routes:
            with self._naming:
                if len(self._routes) >= self._most_routes and route:
                    return OTHER_ROUTE
                if route:
                    self._routes.add(route)
        return route

    # --- on the thread that reports

    def take(self) -> dict[str, Any]:
        """The counts since the last call, of text and numbers only.

        `requests`: lists of route, method, status and the numbers of a cell; `queue`: the numbers
        of requests that waited; `refused`: by reason; `examples`: lists of route, method, bucket,
        trace, seconds and time.
        """
        requests: dict[Key, Cell] = {}
        queue: Cell = [0.0] + [0] * (len(self.bounds) + 1)
        refused: dict[str, int] = {}
        examples: list[list[Any]] = []
        with self._taking:
            for own in self._threads[:]:
                ended = not own.thread.is_alive()
                for key, cell in own.cells.copy().items():
                    change = _change(own.sent, key, cell[:])
                    if change is not None:
                        _add(requests.setdefault(key, [0] * len(change)), change)
                change = _change(own.sent, "queue", own.queue[:])
                if change is not None:
                    _add(queue, change)
                for reason, count in own.refused.copy().items():
                    change = _change(own.sent, reason, [count])
                    if change is not None:
                        refused[reason] = refused.get(reason, 0) + int(change[0])
                if own.examples:  # one that is noted meanwhile may be lost
                    taken, own.examples = own.examples, {}
                    examples += [[*key, *example] for key, example in taken.copy().items()]
                if ended:
                    self._threads.remove(own)
        return {
            "requests": [[*key, change] for key, change in requests.items()],
            "queue": queue if any(queue) else [],
            "refused": refused,
            "examples": examples,
        }


def _change(sent: dict[Any, Cell], key: Any, now: Cell) -> Cell | None:
    """The difference to what was sent for a key; None if there is none."""
    before = sent.get(key)
    if now == before:
        return None
    sent[key] = now
    if before is None:
        return now[:] if any(now) else None
    return [new - old for new, old in zip(now, before, strict=True)]


def _add(total: Cell, change: Cell) -> None:
    for place, value in enumerate(change):
        total[place] += value


def size_of(exchange: Any) -> int:
    """Bytes of the content of a request, as far as it was received."""
    channel = exchange.channel
    return (exchange.body_size if channel is None else channel.received) or 0


def reason_of(status: int) -> str:
    """The reason why a request was refused before it was complete, from its status."""
    return REASONS.get(status, str(status)).lower().replace(" ", "_").replace("-", "_")
