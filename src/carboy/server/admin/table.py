"""All paths of the admin server. To add one, add a line here."""

from __future__ import annotations

from carboy.server.admin import commands, health, memory, memory_trace, profile, stacks, status, top
from carboy.server.admin.paths import Access, Paths
from carboy.server.metrics import page


def all_paths() -> Paths:
    """The table."""
    paths = Paths()
    paths.add("GET", "/server", status.server)
    paths.add("GET", "/status", status.status)
    paths.add("GET", "/top", top.top)
    paths.add("GET", "/livez", health.livez, Access.OPEN)
    paths.add("GET", "/readyz", health.readyz, Access.OPEN)
    paths.add("GET", "/stacks", stacks.stacks)
    paths.add("GET", "/memory", memory.memory)
    paths.add("GET", "/memory/trace", memory_trace.trace)
    paths.add("GET", "/profile", profile.profile)
    paths.add("POST", "/reload", commands.reload)
    paths.add("POST", "/scale", commands.scale)
    paths.add("POST", "/drain", commands.drain)
    paths.add("POST", "/log-level", commands.log_level)
    paths.add("GET", "/metrics", page.metrics, Access.LOOPBACK)
    return paths
