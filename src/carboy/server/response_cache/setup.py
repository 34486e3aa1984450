"""The setting of the cache, and the gateway with it."""

from __future__ import annotations

from carboy.gateway.interface import Gateway
from carboy.server.dataclass import dataclass
from carboy.server.setting import CACHE, check_values, setting


@dataclass(frozen=True, slots=True)
class ResponseCache:
    """The cache of a worker."""

    cache: int = setting(
        0,
        "bytes",
        "Maximum memory for responses that are reused as their Cache-Control allows, per"
        " worker. 0: none is kept.",
        CACHE,
    )

    def __post_init__(self) -> None:
        check_values(self)


def with_cache(gateway: Gateway, settings: ResponseCache) -> Gateway:
    """`gateway` behind a cache, if the settings want one."""
    if not settings.cache:
        return gateway
    from carboy.server.response_cache.gateway import CachingGateway
    from carboy.server.response_cache.store import Store

    return CachingGateway(gateway, Store(settings.cache))
