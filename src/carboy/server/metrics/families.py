"""The table of all metrics: name, type, unit, labels and help text.

docs/metrics.md has the same table (tests/docs/test_metrics_page.py compares the two).
"""

from __future__ import annotations

from carboy.server.dataclass import dataclass
from carboy.server.metrics.samples import Family, Kind

COUNTER, GAUGE, HISTOGRAM, INFO = Kind.COUNTER, Kind.GAUGE, Kind.HISTOGRAM, Kind.INFO


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric. `name` is without the suffix of samples."""

    name: str
    kind: Kind
    unit: str
    labels: tuple[str, ...]
    help: str

    def family(self) -> Family:
        """The metric without samples."""
        return Family(self.name, self.kind, self.help, self.unit)

    @property
    def shown(self) -> str:
        """The name as queries have it."""
        suffix = {COUNTER: "_total", INFO: "_info"}.get(self.kind, "")
        return self.name + suffix


_ALL = (
    # requests, of all workers
    Metric("carboy_requests", COUNTER, "", ("route", "method", "status"),
           "Responses, by route, method and status."),
    Metric("carboy_request_duration_seconds", HISTOGRAM, "seconds", ("route", "method"),
           "Time from the arrival of a request to the end of its response. WebSockets are not in"
           " it."),
    Metric("carboy_request_queue_seconds", HISTOGRAM, "seconds", (),
           "Time that requests waited for a thread. Requests that did not wait are not in it."),
    Metric("carboy_request_content_bytes", COUNTER, "bytes", ("route", "method"),
           "Content of requests."),
    Metric("carboy_response_content_bytes", COUNTER, "bytes", ("route", "method"),
           "Content of responses, as it was sent."),
    Metric("carboy_requests_refused", COUNTER, "", ("reason",),
           "Requests that the server answered with an error instead of the application."),
    # what a worker has now
    Metric("carboy_requests_in_flight", GAUGE, "", ("pid",),
           "Requests that run, wait for a thread, or are answered later."),
    Metric("carboy_requests_waiting", GAUGE, "", ("pid",), "Requests that wait for a thread."),
    Metric("carboy_threads_busy", GAUGE, "", ("pid",), "Threads that run requests."),
    Metric("carboy_threads_limit", GAUGE, "", ("pid",),
           "Maximum number of threads for requests (--threads)."),
    Metric("carboy_stream_threads_busy", GAUGE, "", ("pid",),
           "Threads of streamed responses that wait for their own source."),
    Metric("carboy_streams_held", GAUGE, "", ("pid",),
           "Responses without a thread: set aside while the client is slow, or answered later."),
    Metric("carboy_websockets", GAUGE, "", ("pid",), "Open WebSockets."),
    # connections
    Metric("carboy_connections", GAUGE, "", ("pid",), "Open connections of clients."),
    Metric("carboy_connections_accepted", COUNTER, "", (), "Connections of clients."),
    Metric("carboy_http2_connections", GAUGE, "", ("pid",), "Open connections with HTTP/2."),
    Metric("carboy_http2_connections_opened", COUNTER, "", (), "Connections with HTTP/2."),
    Metric("carboy_tls_handshakes", COUNTER, "", ("result",),
           "TLS handshakes: full, resumed or failed."),
    # processes
    Metric("carboy_worker_memory_bytes", GAUGE, "bytes", ("pid",),
           "Resident memory of a worker, with the pages that it shares with others."),
    Metric("carboy_worker_cpu_seconds", COUNTER, "seconds", (), "Processor time of all workers."),
    Metric("carboy_gc_collections", COUNTER, "", ("generation",),
           "Runs of the garbage collector, by generation."),
    Metric("carboy_gc_seconds", COUNTER, "seconds", (), "Time in the garbage collector."),
    Metric("carboy_event_loop_lag_seconds", GAUGE, "seconds", ("pid",),
           "Time that a call handed to the event loop waited for it."),
    Metric("carboy_log_lines_lost", COUNTER, "", (),
           "Lines of logs that were dropped because they were not read, or could not be written."),
    # caches
    Metric("carboy_response_cache_requests", COUNTER, "", ("result",),
           "Requests by what the cache of --cache did: hits, stale, misses, waited."),
    Metric("carboy_response_cache_bytes", GAUGE, "bytes", ("pid",),
           "Responses that the cache of --cache keeps."),
    Metric("carboy_static_memory_bytes", GAUGE, "bytes", ("pid",),
           "Contents of static files that are kept in memory."),
    # channels
    Metric("carboy_channel_messages", COUNTER, "", (), "Messages published to channels."),
    Metric("carboy_channel_messages_discarded", COUNTER, "", (),
           "Messages that left the history early, because it reached --channel-memory."),
    Metric("carboy_channel_messages_skipped", COUNTER, "", (),
           "Messages that clients did not get because they read too slowly."),
    Metric("carboy_channel_clients_slow", COUNTER, "", (),
           "Connections of clients that were closed because they read too slowly."),
    Metric("carboy_channel_workers_slow", COUNTER, "", (),
           "Connections between workers and the relay that were closed because a worker did not"
           " read. It connects again."),
    Metric("carboy_channel_history_bytes", GAUGE, "bytes", (), "Messages kept as history."),
    Metric("carboy_channel_unsent_bytes", GAUGE, "bytes", (),
           "Messages in the relay that workers have not taken yet."),
    Metric("carboy_channel_connections", GAUGE, "", (),
           "Connections to the relay, of workers and of programs that publish."),
    # the supervisor
    Metric("carboy_workers", GAUGE, "", ("state",),
           "Worker processes by state: starting, serving or stopping."),
    Metric("carboy_worker_restarts", COUNTER, "", ("reason",),
           "Workers that were replaced, or had to be: reload, told, stuck, crash, failed_start,"
           " memory, requests, lifetime."),
    Metric("carboy_reloads", COUNTER, "", (), "Replacements of all workers, by SIGHUP or reload."),
    Metric("carboy_start_time_seconds", GAUGE, "seconds", (),
           "Time at which the server was started, since the epoch."),
    Metric("carboy_build", INFO, "", ("version", "python"), "Versions of Carboy and Python."),
)  # fmt: skip

METRICS = {each.name: each for each in _ALL}
