"""The plan of a server: what it serves, where, with how many processes, and what it logs."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from carboy.acme.settings import AcmeSettings
from carboy.gateway.interface import Gateway
from carboy.server.bind import Address
from carboy.server.dataclass import dataclass
from carboy.server.listening import Wrap
from carboy.server.logs.access_log import RequestLog
from carboy.server.logs.formats import check_format
from carboy.server.logs.writer import Writer
from carboy.server.settings import Settings

if TYPE_CHECKING:
    from carboy.net.tls_server import TlsServer


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Addresses to serve on, the number of processes, and what is logged."""

    addresses: tuple[Address, ...]
    application: str = ""  # its name, for people
    state: Path | None = None  # folder for crash reports; None: that of the user
    workers: int = 1
    supervisor: bool = False  # even above a single worker
    preload: bool = False  # the application is loaded once, before workers are forked
    load_hooks: Callable[[], Any] | None = None  # imports the module of --hooks
    settings: Settings = field(default_factory=Settings)
    access_log: bool = True
    access_log_format: str = "auto"
    access_log_file: str = "stdout"
    access_log_skip: str | None = None  # paths with this prefix are not logged
    make_access_log: Callable[[Writer], RequestLog] | None = None  # used instead of those three
    socket_mode: int | None = None
    socket_group: str | None = None
    umask: int | None = None
    wrap: Wrap | None = None  # makes TLS streams of accepted sockets
    tls: TlsServer | None = None  # does so with certificates that are loaded again; before `wrap`
    acme: AcmeSettings | None = None  # the certificate that is ordered and renewed (--domain)
    redirect_http: int | None = None  # plain port whose clients are sent to HTTPS
    gateway: Callable[[Any], Gateway] | None = None  # None: by the settings
    trace: Callable[[], object] | None = None  # called before each unit of work of the engine
    ends_process: bool = False  # the process ends after serving, and then ignores signals

    def __post_init__(self) -> None:
        if self.make_access_log is None:
            check_format(self.access_log_format)
        if self.redirect_http is not None and self.tls is None:
            raise ValueError("--redirect-http requires --cert or --domain.")
        if self.settings.worker_limits.needs_supervisor() and not self.is_supervised():
            raise ValueError(
                "--max-requests, --max-lifetime, --max-memory and --canary require the supervisor,"
                " which replaces workers. Leave out --no-supervisor."
            )
        if self.preload and not self.is_supervised():
            raise ValueError(
                "--preload requires the supervisor, whose workers share what was loaded. Leave out"
                " --no-supervisor."
            )

    def scheme(self) -> str:
        """ "https" under TLS, else "http"."""
        return "http" if self.tls is None and self.wrap is None else "https"

    def is_supervised(self) -> bool:
        """Whether other processes than this one serve."""
        return self.workers > 1 or (self.supervisor and hasattr(os, "fork"))
