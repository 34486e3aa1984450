"""The settings of a server: default, unit and help text of each.

To add an option to `carboy run`, add a field here, or in a group of settings (GROUPS), such as
the limits of one request in `carboy.protocol.limits`. The command line makes the option, its
CARBOY_… variable, its key in [tool.carboy] and its line of `carboy run --help` from the field,
under the heading above it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import Field, field, fields, replace
from typing import Any

from carboy.engine_url import LOCAL, check_channels
from carboy.gateway.callables import INTERFACES
from carboy.late import difflib
from carboy.protocol.http2.limits import Http2Limits
from carboy.protocol.limits import Limits
from carboy.protocol.websocket.origins import Origins
from carboy.relay.frames import LARGEST_DATA
from carboy.server.admin.settings import AdminSettings
from carboy.server.compression import Compression
from carboy.server.dataclass import dataclass
from carboy.server.http2.choice import Http2Choice
from carboy.server.machine import usable_cpus
from carboy.server.metrics.settings import MetricsSettings
from carboy.server.observing import Observing
from carboy.server.process_settings import ProcessSettings
from carboy.server.request_limits import RequestLimits
from carboy.server.response_cache.setup import ResponseCache
from carboy.server.setting import (
    APPLICATION,
    CHANNELS,
    KIB,
    OTHER,
    SIZES,
    THREADS,
    TIMES,
    TLS,
    WEBSOCKET,
    check_values,
    setting,
)
from carboy.server.static_files import StaticFiles
from carboy.server.trust import Trust
from carboy.server.worker_limits import WorkerLimits

LOOPS = ("auto", "asyncio", "uvloop")
SLOW = ("disconnect", "skip")
POLLERS = ("auto", "epoll", "selectors")
TLS_VERSIONS = ("1.2", "1.3")
CLIENT_CERT = ("required", "optional")


def default_threads() -> int:
    """Default number of threads of one worker: enough for handlers that wait, 16 to 64.

    Fast handlers run on the one thread that reads, so the number matters only for handlers
    that wait for something else. Threads are started when they are first needed.
    """
    return max(16, min(64, 16 * usable_cpus()))


@dataclass(frozen=True, slots=True)
class Settings:
    """How one worker serves (docs/design.md, sections 4 and 7).

    Frozen, so that all threads can share it; `dataclasses.replace` makes variants. Raises
    ValueError, naming the field, for a value that cannot work.
    """

    # --- the application
    interface: str = setting(
        "auto",
        "name",
        "Interface of the application; auto: wsgi or asgi, as its parameters show.",
        APPLICATION,
        choices=INTERFACES,
    )
    loop: str = setting(
        "auto",
        "name",
        "Event loop for ASGI and for coroutines; auto: uvloop where it is installed.",
        APPLICATION,
        choices=LOOPS,
    )

    # --- threads
    threads: int = setting(
        default_threads,
        "threads",
        "Maximum number of threads that handle requests, per worker. 1 handles strictly one"
        " request at a time.",
        THREADS,
        least=1,
        flags=("-t",),
        shown="16 for each processor, 16 to 64",
    )
    stream_threads: int = setting(
        128,
        "threads",
        "Maximum number of further threads, per worker, for streamed responses that wait for"
        " their source.",
        THREADS,
        least=1,
    )
    inline_budget: float = setting(
        0.001,
        "seconds",
        "Average handler time above which a route no longer runs on the thread that reads"
        " requests.",
        THREADS,
    )
    watch_interval: float = setting(
        0.002,
        "seconds",
        "Time a handler may run on the thread that reads requests before another thread takes"
        " over the reading.",
        THREADS,
    )
    queue_limit: int = setting(
        0,
        "requests",
        "Maximum number of requests that wait for a thread, per worker; further requests get"
        " 503. 0: no limit but the number of connections.",
        THREADS,
    )
    queue_timeout: float = setting(
        30.0,
        "seconds",
        "Longest time a request waits for a thread before it gets 503. 0: no limit.",
        THREADS,
    )
    # Bounded, because clients choose the paths.
    learned_keys: int = setting(
        4096,
        "routes",
        "Maximum number of routes whose average handler time is remembered, per worker.",
        THREADS,
    )
    switch_interval: float | None = setting(
        0.0005,
        "seconds",
        "Python's thread switch interval while serving: how long a CPU-bound handler can delay"
        " other threads.",
        THREADS,
    )

    # --- time limits, counted from the start of what they limit, never from the last read
    headers_timeout: float = setting(
        10.0,
        "seconds",
        "Time limit for a complete request head, from the accept or from its first byte.",
        TIMES,
    )
    keepalive_timeout: float = setting(  # about what browsers use
        75.0,
        "seconds",
        "Time an idle connection is kept open between two requests.",
        TIMES,
        flags=("--keepalive",),
    )
    body_grace: float = setting(
        10.0, "seconds", "Time before --body-rate applies to a request body.", TIMES
    )
    body_rate: int = setting(
        500, "bytes/s", "Slowest average rate at which a client may send a request body.", TIMES
    )
    write_grace: float = setting(
        30.0, "seconds", "Time before --write-rate applies to a response.", TIMES
    )
    write_rate: int = setting(
        500, "bytes/s", "Slowest average rate at which a client may read a response.", TIMES
    )
    silence_timeout: float = setting(
        60.0,
        "seconds",
        "Longest pause within a request body or a response. It also limits the time that a fast"
        " start gains under --body-rate and --write-rate.",
        TIMES,
    )
    graceful_timeout: float = setting(
        30.0, "seconds", "Time that running requests may take to finish after a stop.", TIMES
    )
    # A client may have begun to send a request when the stop comes.
    idle_grace: float = setting(
        2.0,
        "seconds",
        "Time after a stop during which an idle connection may send one more request.",
        TIMES,
    )
    worker_timeout: float = setting(
        30.0,
        "seconds",
        "Time without a sign of life after which a worker is replaced. 0: never.",
        TIMES,
    )
    start_timeout: float = setting(
        120.0, "seconds", "Time limit for a worker to load the application. 0: no limit.", TIMES
    )
    # Closing with unread input sends a reset, and the client loses the response.
    linger_timeout: float = setting(
        2.0,
        "seconds",
        "Unread input is drained before a connection is closed, until none comes for this time.",
        TIMES,
    )

    # --- sizes
    # Many clients read the response only after they have sent their whole body.
    linger_size: int = setting(
        64 * 1024 * KIB,
        "bytes",
        "Maximum amount of unread input drained before a connection is closed.",
        SIZES,
    )
    spool_limit: int = setting(
        512 * KIB,
        "bytes",
        "Largest request body kept in memory; larger bodies are written to a temporary file.",
        SIZES,
    )
    high_water: int = setting(
        256 * KIB,
        "bytes",
        "Amount of unsent response data at which the generator of a streamed response is paused.",
        SIZES,
        least=1,
    )
    read_size: int = setting(
        64 * KIB, "bytes", "Maximum number of bytes read from a socket at a time.", SIZES, least=1
    )
    connections: int = setting(
        10_000,
        "connections",
        "Maximum number of open connections, per worker; beyond it, the connection that has been"
        " idle for longest is closed.",
        SIZES,
        least=1,
    )
    backlog: int = setting(
        2048,
        "connections",
        "Maximum number of connections the kernel queues before they are accepted.",
        SIZES,
        least=1,
    )

    # --- WebSocket
    websocket_threads: int = setting(
        256,
        "threads",
        "Maximum number of further threads, per worker, for WebSocket handlers that wait for their"
        " client. Handshakes above it get 503.",
        WEBSOCKET,
        least=1,
    )
    websocket_max_message: int = setting(
        16 * 1024 * KIB,
        "bytes",
        "Largest message of a WebSocket, after decompression; a larger one closes the WebSocket"
        " with the code 1009.",
        WEBSOCKET,
        least=1,
    )
    websocket_max_queue: int = setting(
        32,
        "messages",
        "Maximum number of messages of a WebSocket that the application has not taken; the server"
        " stops receiving until it takes some.",
        WEBSOCKET,
        least=1,
    )
    websocket_ping_interval: float = setting(
        20.0, "seconds", "Time between two pings to a WebSocket. 0: no pings.", WEBSOCKET
    )
    websocket_ping_timeout: float = setting(
        20.0,
        "seconds",
        "Time in which a client has to answer a ping before its WebSocket is cut. 0: no limit.",
        WEBSOCKET,
    )
    websocket_close_timeout: float = setting(
        10.0,
        "seconds",
        "Time in which a client has to answer the close of its WebSocket before it is cut.",
        WEBSOCKET,
    )
    websocket_origins: str = setting(
        "",
        "origins",
        "Sites whose pages may open a WebSocket, separated by commas; same: the host of the"
        " request. Empty: all, and the application decides.",
        WEBSOCKET,
        shown="all",
    )
    websocket_compression: bool = setting(
        True, "yes or no", "Compression of WebSocket messages (permessage-deflate).", WEBSOCKET
    )

    # --- channels (docs/realtime.md)
    channels: str = setting(
        LOCAL,
        "URL",
        "System that carries messages of channels; local: between the processes of this server.",
        CHANNELS,
    )
    channels_socket: str = setting(
        "",
        "path",
        "Unix socket at which scripts reach the channels of this server.",
        CHANNELS,
        shown="in a folder of the user",
    )
    channel_history: int = setting(
        100,
        "messages",
        "Messages kept of each channel, for clients that connect again. 0: none.",
        CHANNELS,
    )
    channel_seconds: float = setting(
        300.0, "seconds", "Largest age of a message that is kept. 0: any.", CHANNELS
    )
    channel_memory: int = setting(
        64 * 1024 * KIB,
        "bytes",
        "Maximum memory for the messages kept of all channels; the oldest are discarded first.",
        CHANNELS,
    )
    channel_max_message: int = setting(
        1024 * KIB,
        "bytes",
        "Largest data of a message of a channel; 16 MiB at most.",
        CHANNELS,
        least=1,
        most=LARGEST_DATA,
    )
    hold_buffer: int = setting(
        256 * KIB,
        "bytes",
        "Messages kept for a client that holds channels and reads slowly, beyond --high-water.",
        CHANNELS,
    )
    hold_slow: str = setting(
        "disconnect",
        "rule",
        "Rule for a client beyond --hold-buffer; disconnect: it connects again and continues from"
        " the history, skip: its oldest messages are skipped.",
        CHANNELS,
        choices=SLOW,
    )

    # --- TLS (docs/https.md)
    tls_min: str = setting(
        "1.2", "version", "Oldest version of TLS that clients may use.", TLS, choices=TLS_VERSIONS
    )
    tls_ciphers: str = setting(
        "",
        "names",
        "Ciphers of TLS 1.2, in the notation of OpenSSL.",
        TLS,
        shown="those of Mozilla's intermediate configuration",
    )
    tls_curve: str = setting(
        "", "name", "The only curve for the key exchange.", TLS, shown="those of OpenSSL"
    )
    client_ca: str = setting(
        "",
        "file",
        "Certificates of the authorities that sign the certificates of clients; clients are then"
        " asked for one.",
        TLS,
        shown="clients are not asked",
    )
    client_cert: str = setting(
        "required",
        "rule",
        "Rule for a client without a certificate; required: its handshake fails.",
        TLS,
        choices=CLIENT_CERT,
    )
    hsts: int = setting(
        0,
        "seconds",
        "Time for which browsers use HTTPS only (Strict-Transport-Security). 0: not sent.",
        TLS,
    )

    # --- identity and system calls
    server_header: str = setting(
        "carboy",
        "text",
        "Value of the Server header of responses; an empty value sends no such header.",
        OTHER,
    )
    poller: str = setting(
        "auto",
        "name",
        "Mechanism that waits for sockets; auto: epoll where it is available.",
        OTHER,
        choices=POLLERS,
    )
    sendfile: bool = setting(
        True, "yes or no", "Files sent by the kernel, without copying them into the process.", OTHER
    )

    limits: Limits = field(default_factory=Limits)
    static_files: StaticFiles = field(default_factory=StaticFiles)
    compression: Compression = field(default_factory=Compression)
    response_cache: ResponseCache = field(default_factory=ResponseCache)
    trust: Trust = field(default_factory=Trust)
    worker_limits: WorkerLimits = field(default_factory=WorkerLimits)
    process: ProcessSettings = field(default_factory=ProcessSettings)
    request_limits: RequestLimits = field(default_factory=RequestLimits)
    http2: Http2Choice = field(default_factory=Http2Choice)
    http2_limits: Http2Limits = field(default_factory=Http2Limits)
    operation: AdminSettings = field(default_factory=AdminSettings)
    observing: Observing = field(default_factory=Observing)
    metrics: MetricsSettings = field(default_factory=MetricsSettings)

    def __post_init__(self) -> None:
        check_values(self)
        check_values(self.http2_limits)
        Origins(self.websocket_origins)
        try:
            check_channels(self.channels)
        except ValueError as problem:
            raise ValueError(f"--channels: {problem}") from None
        if any(ord(c) < 0x20 or ord(c) > 0x7E for c in self.server_header):
            raise ValueError("server_header may only contain printable ASCII characters.")


# The fields of Settings that are groups of settings, each with its class and the prefix of the
# names of its settings where all settings are in one namespace
GROUPS: dict[str, tuple[type[Any], str]] = {
    "limits": (Limits, "limit_"),
    "static_files": (StaticFiles, ""),
    "compression": (Compression, ""),
    "response_cache": (ResponseCache, ""),
    "trust": (Trust, ""),
    "worker_limits": (WorkerLimits, ""),
    "process": (ProcessSettings, ""),
    "request_limits": (RequestLimits, ""),
    "http2": (Http2Choice, ""),
    "http2_limits": (Http2Limits, "http2_"),
    "operation": (AdminSettings, ""),
    "observing": (Observing, ""),
    "metrics": (MetricsSettings, ""),
}


def names_of_settings() -> Iterator[tuple[str | None, str, Field[Any]]]:
    """Group (None: of Settings itself), full name and field of every setting."""
    for each in fields(Settings):
        if each.name not in GROUPS:
            yield None, each.name, each
    for group, (kind, prefix) in GROUPS.items():
        for each in fields(kind):
            if each.init:
                yield group, f"{prefix}{each.name}", each


def with_values(settings: Settings, values: Mapping[str, Any]) -> Settings:
    """`settings` with some values changed; the name of a limit is "limit_" and its field's.

    Raises TypeError for a name that does not exist; the message suggests the nearest one.
    """
    known = {name: (group, each.name) for group, name, each in names_of_settings()}
    chosen: dict[str | None, dict[str, Any]] = {None: {}}
    for name, value in values.items():
        if name not in known:
            raise TypeError(f"There is no setting {name!r}.{suggestion(name, list(known))}")
        group, own = known[name]
        chosen.setdefault(group, {})[own] = value
    groups = {
        group: replace(getattr(settings, group), **of_group)
        for group, of_group in chosen.items()
        if group is not None
    }
    return replace(settings, **chosen[None], **groups)


def suggestion(name: str, known: list[str]) -> str:
    """ " Did you mean …?" with the nearest of the known names, or ""."""
    near = difflib.get_close_matches(name, known, n=1)
    return f" Did you mean {near[0]!r}?" if near else ""
