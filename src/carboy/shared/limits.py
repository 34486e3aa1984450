"""How often a client may call a view: `@limit("10/minute")`.

    @app.post("/login")
    @limit("10/minute; 100/day")
    def login(): ...

    app.before_request(limit("1000/hour"))          all views together, for each client
    blueprint.before_request(limit("100/hour"))     the views of a blueprint together

The first request of a client opens a window. In it, so many requests are answered, and the others
get 429 (Too Many Requests, RFC 6585 section 4) with Retry-After, by the error handlers of the
application. A request that is refused does not count. Without LIMIT_URL, each worker counts in its
own memory.

The header fields are those of draft-ietf-httpapi-ratelimit-headers-06. They describe the rate with
the fewest requests left.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from functools import partial, wraps
from inspect import iscoroutinefunction
from ipaddress import IPv6Address, IPv6Network, ip_address
from math import ceil
from threading import Lock
from typing import TYPE_CHECKING, Any, TypeVar, overload

from carboy.app.context import _cv_request, after_this_request
from carboy.http.exceptions import ServiceUnavailable, TooManyRequests
from carboy.shared.errors import EngineUnavailable
from carboy.shared.memory_store import MemoryStore
from carboy.shared.rates import Rate, parse_rates
from carboy.shared.store import Count, Store, Window
from carboy.shared.stores import store_at

if TYPE_CHECKING:
    from carboy.app.context import RequestContext
    from carboy.app.wrappers import Request, Response

__all__ = ["Limit", "client_address", "limit", "limit_exempt"]

F = TypeVar("F", bound=Callable[..., Any])
Rates = str | Callable[[], str | None]

LIMITED = "__carboy_limited__"  # on a view: it has a limit of its own
EXEMPT = "__carboy_limit_exempt__"
IPV6_PREFIX = 64  # one customer usually gets all addresses with the same 64 bits (RFC 6177)
FALLBACKS = ("memory", "allow", "error")
SETTINGS: dict[str, Any] = {
    "LIMIT_URL": None,  # as SHARED_URL, or else the memory of the worker
    "LIMIT_CLIENT_HEADER": None,
    "LIMIT_HEADERS": True,
    "LIMIT_KEY_PREFIX": "limit:",
    "LIMIT_ON_ERROR": "memory",
}


def client_address(request: Request) -> str:
    """The key of a client: its address, and of an IPv6 address the first 64 bits.

    Behind a proxy, this is the address of the proxy without ProxyFix or LIMIT_CLIENT_HEADER.
    """
    return _network(request.remote_addr or "")


def _network(text: str) -> str:
    """An IPv4 address, the network of an IPv6 address, or the text if it is neither."""
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return text
    if not isinstance(address, IPv6Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(IPv6Network((int(address) >> 64 << 64, IPV6_PREFIX)).network_address)


class Limit:
    """A limit, as a decorator of views and as a `before_request` function (see `limit`)."""

    def __init__(
        self,
        rates: Rates,
        *,
        key: Callable[[], str | None] | None = None,
        scope: str | None = None,
        methods: Iterable[str] | None = None,
        cost: int | Callable[[], int] = 1,
        default: bool = False,
    ) -> None:
        if isinstance(rates, str):
            parse_rates(rates)  # a mistake is found when the module is loaded
        if isinstance(cost, int) and cost < 1:
            raise ValueError(f"The cost of a limit is {cost}. Use at least 1.")
        self._rates = rates
        self._key = key
        self._scope = scope
        self._methods = None if methods is None else {each.upper() for each in methods}
        self._cost = cost
        self._default = default

    @overload
    def __call__(self, view: F) -> F: ...
    @overload
    def __call__(self) -> None: ...

    def __call__(self, view: F | None = None) -> F | None:
        """Decorate a view; without a view, count the current request as a hook does."""
        if view is None:
            self._hook()
            return None
        return self._decorate(view)

    def _decorate(self, view: F) -> F:
        if not callable(view):
            raise TypeError(f"{view!r} is not a view. Put @limit(...) below @app.route(...).")
        if iscoroutinefunction(view):

            @wraps(view)
            async def limited(*args: Any, **kwargs: Any) -> Any:
                # In a thread, because waiting for an engine would hold up the event loop.
                await asyncio.to_thread(self._check, _endpoint())
                return await view(*args, **kwargs)

        else:

            @wraps(view)
            def limited(*args: Any, **kwargs: Any) -> Any:
                self._check(_endpoint())
                return view(*args, **kwargs)

        setattr(limited, LIMITED, True)
        return limited  # type: ignore[return-value]

    def _hook(self) -> None:
        ctx = _cv_request.get()
        view = ctx.app.view_functions.get(ctx.request.endpoint or "")
        if getattr(view, EXEMPT, False) or (self._default and getattr(view, LIMITED, False)):
            return
        self._check(_endpoint() if self._default else f"hook {self._registered_on(ctx)}")

    def _registered_on(self, ctx: RequestContext) -> str:
        """The name of the blueprint whose hook this is; "" for the application."""
        hooks = ctx.app.before_request_funcs
        for name in ctx.request.blueprints:
            if self in hooks.get(name, ()):
                return name
        return ""

    def _check(self, scope: str) -> None:
        """Count the current request. Raises TooManyRequests if it is one too many."""
        ctx = _cv_request.get()
        request = ctx.request
        if self._methods is not None and request.method not in self._methods:
            return
        text = self._rates if isinstance(self._rates, str) else self._rates()
        limiter = limiter_of(ctx.app)
        client = limiter.client(request) if self._key is None else self._key()
        if text is None or client is None:
            return
        rates = parse_rates(text)
        cost = self._cost if isinstance(self._cost, int) else self._cost()
        place = f"{self._scope or scope}\n{client}"
        counted, counts = limiter.hit(ctx.app, place, rates, cost)
        if not counts:
            return
        tightest = _tightest(rates, counts, cost if not counted else 0)
        if limiter.headers:
            after_this_request(partial(_add_headers, rates, *tightest))
        if not counted:
            wait = max(1, ceil(tightest[1].seconds))
            after_this_request(partial(_add_retry_after, wait))
            raise TooManyRequests(retry_after=wait)


def limit(
    rates: Rates,
    *,
    key: Callable[[], str | None] | None = None,
    scope: str | None = None,
    methods: Iterable[str] | None = None,
    cost: int | Callable[[], int] = 1,
    default: bool = False,
) -> Limit:
    """A limit for each client: the decorator of a view, or a `before_request` function.

    `rates`: such as "10/minute; 100/hour", or a function that returns it, or None for no limit.
    `key`: a function that returns what distinguishes clients (the address unless given), or None
    for a client without a limit. `scope`: a name with which several views count together; each
    endpoint counts alone unless given. `methods`: the only methods that count. `cost`: how much a
    request counts. `default`: as a hook, only for views without a limit of their own, each alone.

    Raises ValueError for a text that is not a rate.
    """
    return Limit(rates, key=key, scope=scope, methods=methods, cost=cost, default=default)


def limit_exempt(view: F) -> F:
    """Decorate a view to which limits that are hooks do not apply."""
    setattr(view, EXEMPT, True)
    return view


class Limiter:
    """The store of one application's limits, and what happens while it is down."""

    def __init__(self, config: Any) -> None:
        chosen = {name: config.get(name, value) for name, value in SETTINGS.items()}
        url: str | None = chosen["LIMIT_URL"] or config.get("SHARED_URL")
        self.store: Store = MemoryStore() if not url or url == "memory:" else store_at(url)
        self.header: str | None = chosen["LIMIT_CLIENT_HEADER"]
        self.headers: bool = chosen["LIMIT_HEADERS"]
        self.prefix: str = chosen["LIMIT_KEY_PREFIX"]
        self.on_error: str = chosen["LIMIT_ON_ERROR"]
        if self.on_error not in FALLBACKS:
            raise ValueError(
                f'LIMIT_ON_ERROR is {self.on_error!r}. Use "memory", "allow" or "error".'
            )
        self._memory = MemoryStore()  # while the engine is down
        self._down = False

    def client(self, request: Request) -> str:
        """The address of a client, from the field of the proxy if one is set."""
        given = request.headers.get(self.header) if self.header else None
        return _network(given.strip()) if given else client_address(request)

    def hit(
        self, app: Any, place: str, rates: tuple[Rate, ...], cost: int
    ) -> tuple[bool, list[Count]]:
        """Count a request. The counts are empty if the engine is down and all is allowed."""
        # In braces, so that all keys of a client are on one node of a Redis cluster.
        windows = [
            Window(f"{self.prefix}{{{place}}}{rate.seconds}", rate.requests, rate.seconds)
            for rate in rates
        ]
        try:
            found = self.store.hit(windows, cost)
        except EngineUnavailable as error:
            if not self._down:
                self._down = True
                app.logger.error("Requests cannot be counted (%s): %s", self._doing(), error)
            if self.on_error == "error":
                raise ServiceUnavailable(retry_after=5) from error
            if self.on_error == "allow":
                return True, []
            return self._memory.hit(windows, cost)
        if self._down:
            self._down = False
            app.logger.warning("Requests are counted again.")
        return found

    def _doing(self) -> str:
        return {
            "memory": "each worker counts in its memory",
            "allow": "all are allowed",
            "error": "they get 503",
        }[self.on_error]


_lock = Lock()


def limiter_of(app: Any) -> Limiter:
    """The limiter of an application, by its configuration at the first limited request."""
    found = app.extensions.get("carboy.limits")
    if found is None:
        with _lock:
            found = app.extensions.get("carboy.limits")
            if found is None:
                found = app.extensions["carboy.limits"] = Limiter(app.config)
    return found  # type: ignore[no-any-return]


def _endpoint() -> str:
    return f"view {_cv_request.get().request.endpoint}"


def _tightest(rates: tuple[Rate, ...], counts: list[Count], cost: int) -> tuple[Rate, Count]:
    """The rate with the fewest requests left. Of those that refuse a request: the longest wait."""
    pairs = list(zip(rates, counts, strict=True))
    refusing = [(rate, count) for rate, count in pairs if count.hits + cost > rate.requests]
    if cost and refusing:
        return max(refusing, key=lambda pair: pair[1].seconds)
    return min(pairs, key=lambda pair: pair[0].requests - pair[1].hits)


def _add_headers(rates: tuple[Rate, ...], rate: Rate, count: Count, response: Response) -> Response:
    """Add the RateLimit fields, unless a tighter limit of the same request has set them."""
    left = max(0, rate.requests - count.hits)
    fields = response.headers
    if "RateLimit-Remaining" in fields and int(fields["RateLimit-Remaining"]) <= left:
        return response
    fields["RateLimit-Limit"] = str(rate.requests)
    fields["RateLimit-Remaining"] = str(left)
    fields["RateLimit-Reset"] = str(max(0, ceil(count.seconds)))
    fields["RateLimit-Policy"] = ", ".join(f"{each.requests};w={each.seconds}" for each in rates)
    return response


def _add_retry_after(seconds: int, response: Response) -> Response:
    """Add Retry-After to the response of an error handler that makes its own."""
    if response.status_code == 429:
        response.headers.setdefault("Retry-After", str(seconds))
    return response
