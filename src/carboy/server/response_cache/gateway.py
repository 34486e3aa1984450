"""A gateway before that of the application: responses are kept and used again (RFC 9111).

    hit        a kept response is fresh: the application is not called
    stale      it is stale, and stale-while-revalidate allows it: the client gets it at once, and a
               thread refreshes it
    miss       the application is called, and its response is recorded; requests for the same key
               that come meanwhile wait for it, without a thread
    bypass     the key has had a response that could not be kept: no request waits

Requests that wait have a channel. They are resumed when the response is there, or after WAIT
seconds, and then look for a kept response once more, or call the application.
"""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from threading import Lock, Thread, Timer
from typing import Any

from carboy.dates import http_date
from carboy.gateway.interface import Answer, ChannelClosed, Gateway
from carboy.gateway.request_fields import fields_of
from carboy.gateway.route import rule_of
from carboy.gateway.static.conditions import names_tag
from carboy.server.response_cache.detached import Detached
from carboy.server.response_cache.recording import Recording, record
from carboy.server.response_cache.rules import (
    ERRORS,
    SAFE,
    Asked,
    Headers,
    asked_by,
    lifetime,
    variant,
    varies_by,
)
from carboy.server.response_cache.store import Kept, Key, Store

log = logging.getLogger("carboy.error")

WAIT = 5.0  # seconds; a request waits for another one, and is then passed on
BYPASS = 10.0  # seconds for which requests do not wait after a response that could not be kept
BYPASSED = 4096  # keys remembered for that
REFRESHES = 4  # threads at most
GATEWAY_TIMEOUT = "504 Gateway Timeout"  # RFC 9111, section 5.2.1.7
TEXT = ("Content-Type", "text/plain; charset=utf-8")


class PendingCall:
    """A request for a key that the application answers, and those that wait for it."""

    __slots__ = ("began", "over", "timer", "waiting")

    def __init__(self) -> None:
        self.began = time.monotonic()
        self.over = False
        self.waiting: list[Waiter] = []
        self.timer: Timer | None = None


class Waiter:
    """A Receiver whose request waits for a call."""

    resumes = True

    def __init__(self, gateway: CachingGateway, call: PendingCall) -> None:
        self._gateway = gateway
        self._call = call
        self._channel: Any = None

    def begin(self, channel: Any) -> None:
        self._channel = channel
        self._gateway.wait(self._call, self)

    def changed(self) -> None:
        """Nothing depends on it: the request is resumed soon."""

    def go_on(self) -> None:
        """Let the request go on; any thread, once."""
        try:
            self._channel.resume(self._gateway.handle_after_waiting)
        except ChannelClosed:
            pass  # the server has ended


class CachingGateway:
    """Answers with responses of `store`, or passes the request to the gateway `inner`."""

    def __init__(self, inner: Gateway, store: Store) -> None:
        self.store = store
        self._inner = inner
        self.prepare: Callable[[Any], Hashable] = inner.prepare
        self.body_limit = inner.body_limit
        self.wants_stream = inner.wants_stream
        self._lock = Lock()
        self._pending: dict[tuple[Key, Any], PendingCall] = {}
        self._bypassed: OrderedDict[Key, float] = OrderedDict()
        self._refreshes = 0

    def __getattr__(self, name: str) -> Any:
        """The optional attributes of a gateway, such as `turn` and `start`: those of `inner`."""
        return getattr(self._inner, name)

    def _ask(self, exchange: Any) -> Answer:
        return self._inner.handle(exchange)

    # --- requests

    def handle(self, exchange: Any) -> Answer:
        """The answer, from the store or from the application."""
        return self._answer(exchange, may_wait=True)

    def handle_after_waiting(self, exchange: Any) -> Answer:
        """The answer to a request that has waited."""
        return self._answer(exchange, may_wait=False)

    def _answer(self, exchange: Any, may_wait: bool) -> Answer:
        head = exchange.head
        # A trusted proxy may name a prefix, which is in the URLs of the response.
        key = key_of(exchange)
        if head.method not in ("GET", "HEAD"):
            return self._ask(exchange) if head.method in SAFE else self._unsafe(exchange, key)
        fields = fields_of(head)
        if head.has_body or head.upgrade or "range" in fields:
            return self._ask(exchange)
        asked = asked_by(fields)
        kept = self.store.find(key, fields) if asked.uses else None
        if kept is not None:
            found = self._from_store(exchange, key, fields, asked, kept)
            if found is not None:
                return found
        if asked.only_cached:
            body = b"504 Gateway Timeout: no response is kept.\n"
            return GATEWAY_TIMEOUT, [TEXT, ("Cache-Status", "carboy; fwd=miss")], body, None
        if head.method == "HEAD":
            return self._ask(exchange)
        return self._forward(exchange, key, fields, asked, kept, may_wait)

    def _from_store(
        self, exchange: Any, key: Key, fields: dict[str, str], asked: Asked, kept: Kept
    ) -> Answer | None:
        age, left = kept.age(), kept.left()
        if asked.max_age is not None and age > asked.max_age:
            return None
        if left > 0 and left >= asked.min_fresh:
            self.store.figures["hits"] += 1
            return self._kept_answer(exchange, kept, f"carboy; hit; ttl={left}")
        if left + kept.lifetime.while_revalidate > 0 and not asked.min_fresh:
            self.store.figures["stale"] += 1
            self._refresh(exchange, key, fields, asked, kept)
            return self._kept_answer(exchange, kept, f"carboy; hit; ttl={left}")
        return None

    def _kept_answer(self, exchange: Any, kept: Kept, how: str) -> Answer:
        exchange.rule = exchange.rule or kept.rule
        headers = [*kept.headers, ("Age", str(kept.age())), ("Cache-Status", how)]
        tag = next((value for name, value in kept.headers if name.lower() == "etag"), None)
        asked = fields_of(exchange.head).get("if-none-match")
        if (
            tag is not None
            and asked is not None
            and kept.status[:3] == "200"
            and names_tag(asked, tag)
        ):
            return "304 Not Modified", _without_content(headers), b"", None
        return kept.status, headers, kept.body, None

    def _unsafe(self, exchange: Any, key: Key) -> Answer:
        """A method that may change something: what is kept of its URL is discarded."""

        def ended(status: str, headers: Headers, content: bytes | None) -> None:
            if status[:1] in ("2", "3", ""):  # "": not known
                self.store.forget(key)

        recording = Recording(0, lambda status, headers: headers, ended, lambda status: None)
        return record(exchange, self._ask, recording)

    # --- misses

    def _forward(
        self,
        exchange: Any,
        key: Key,
        fields: dict[str, str],
        asked: Asked,
        kept: Kept | None,
        may_wait: bool,
    ) -> Answer:
        """Have the application answer, or wait for the answer to the same request."""
        which = key, variant(self.store.names(key), fields)
        call: PendingCall | None = None
        if asked.keeps and not asked.authorized and not self._is_bypassed(key):
            with self._lock:
                call = self._pending.get(which)
                if call is not None and time.monotonic() - call.began < WAIT:
                    if may_wait and exchange.may_answer_later:
                        self.store.figures["waited"] += 1
                        waiter = Waiter(self, call)
                        answer: Answer = exchange.later(waiter)
                        return answer
                    call = None
                else:
                    call = self._pending[which] = PendingCall()
        self.store.figures["misses"] += 1
        reason = "stale" if kept is not None else "miss" if asked.uses else "request"

        def ended(status: str, headers: Headers, content: bytes | None) -> None:
            if asked.keeps:
                self._keep(key, fields, asked, rule_of(exchange), (status, headers, content))
            if call is not None:
                self._finish(which, call)

        recording = Recording(
            self.store.largest,
            lambda status, headers: [*headers, ("Cache-Status", f"carboy; fwd={reason}")],
            ended,
            lambda status: self._instead(exchange, kept, status),
        )
        try:
            return record(exchange, self._ask, recording)
        except Exception as error:
            instead = self._instead(exchange, kept, "500")
            if instead is None or exchange.head_begun:
                raise
            log.error(
                "The application failed, and an older response was sent: %s.",
                exchange.request_line(),
                exc_info=error,
            )
            return *instead, None

    def _instead(
        self, exchange: Any, kept: Kept | None, status: str
    ) -> tuple[str, Headers, bytes] | None:
        """A stale response instead of an error, if stale-if-error allows it."""
        if kept is None or status[:3] not in ERRORS:
            return None
        if kept.left() + kept.lifetime.if_error <= 0:
            return None
        self.store.figures["stale"] += 1
        how = f"carboy; hit; ttl={kept.left()}; fwd=stale; fwd-status={status[:3]}"
        made = self._kept_answer(exchange, kept, how)
        return made[0], made[1], kept.body if made[0] == kept.status else b""

    def _keep(
        self,
        key: Key,
        fields: dict[str, str],
        asked: Asked,
        rule: str,
        response: tuple[str, Headers, bytes | None],
    ) -> None:
        status, headers, content = response
        found = lifetime(status, headers, asked.authorized) if content is not None else None
        if found is None or content is None:
            self._bypass(key)
            return
        if not any(name.lower() == "date" for name, _ in headers):
            headers = [*headers, ("Date", http_date())]
        headers = [pair for pair in headers if pair[0].lower() not in ("age", "cache-status")]
        made = Kept(status, headers, content, found)
        made.rule = rule
        if self.store.keep(key, varies_by(headers), fields, made):
            self.store.figures["stored"] += 1
        else:
            self._bypass(key)

    def _is_bypassed(self, key: Key) -> bool:
        return self._bypassed.get(key, 0.0) > time.monotonic()

    def _bypass(self, key: Key) -> None:
        with self._lock:
            self._bypassed[key] = time.monotonic() + BYPASS
            while len(self._bypassed) > BYPASSED:
                self._bypassed.popitem(last=False)

    # --- waiting

    def wait(self, call: PendingCall, waiter: Waiter) -> None:
        """Have the waiter go on when the call is over, or after WAIT seconds."""
        with self._lock:
            if not call.over:
                call.waiting.append(waiter)
                if call.timer is None:
                    call.timer = Timer(WAIT, self._release, (call,))
                    call.timer.daemon = True
                    call.timer.start()
                return
        waiter.go_on()

    def _finish(self, which: tuple[Key, Any], call: PendingCall) -> None:
        with self._lock:
            if self._pending.get(which) is call:
                del self._pending[which]
        self._release(call)

    def _release(self, call: PendingCall) -> None:
        """Let all requests go on that wait for the call."""
        with self._lock:
            call.over = True
            waiting, call.waiting = call.waiting, []
            if call.timer is not None:
                call.timer.cancel()
        for waiter in waiting:
            waiter.go_on()

    # --- refreshing

    def _refresh(
        self, exchange: Any, key: Key, fields: dict[str, str], asked: Asked, kept: Kept
    ) -> None:
        """Have a thread call the application for a kept response, unless one does already."""
        with self._lock:
            if kept.refreshing or self._refreshes >= REFRESHES:
                return
            kept.refreshing = True
            self._refreshes += 1

        def ended(status: str, headers: Headers, content: bytes | None) -> None:
            with self._lock:
                self._refreshes -= 1
            kept.refreshing = False
            if content is not None and status[:3] not in ERRORS:
                self._keep(key, fields, asked, kept.rule, (status, headers, content))

        recording = Recording(
            self.store.largest, lambda status, headers: headers, ended, lambda status: None
        )
        try:
            copy = Detached(exchange, recording)
            Thread(target=copy.run, args=(self._ask,), name="carboy-refresh", daemon=True).start()
        except Exception as error:  # such as no thread: the client gets the stale response
            recording.give_up()
            log.error(
                "A response could not be refreshed: %s.", exchange.request_line(), exc_info=error
            )


def key_of(exchange: Any) -> Key:
    """The key of a request: of the whole path, also for a mounted application."""
    target = exchange.head.target
    if not target.startswith("/"):  # absolute form: scheme and host are in the head
        target = "/" + target.partition("://")[2].partition("/")[2]
    return exchange.scheme, exchange.head.host.lower(), exchange.outer_path + target


def _without_content(headers: Headers) -> Headers:
    return [pair for pair in headers if pair[0].lower() not in ("content-length", "content-type")]
