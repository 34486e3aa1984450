"""The gateways that options put before that of the application."""

from __future__ import annotations

from carboy.gateway.entrance import entered
from carboy.gateway.interface import Gateway
from carboy.server.response_cache.setup import with_cache
from carboy.server.settings import Settings
from carboy.server.static_files import with_static_files


def in_front(gateway: Gateway, settings: Settings) -> Gateway:
    """`gateway` behind the prefix and the names of the server, static files and the cache."""
    gateway = with_cache(gateway, settings.response_cache)
    gateway = with_static_files(gateway, settings.static_files)
    return entered(gateway, settings.trust.root_path, settings.trust.host_allow)
