"""`carboy status`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from carboy.cli.admin.client import Client
from carboy.cli.admin.command import admin_command, document, patience
from carboy.cli.admin.tables import duration, size, table

JOBS = ("running", "waiting", "planned")  # states, in the order of the table


def status(client: Client, as_json: bool, timeout: float) -> str:
    """Show a running server: its workers, and the requests and jobs that they run.

    A worker that does not answer, because compiled code holds the interpreter lock, is shown with
    what it has written to shared memory.
    """
    found = client.get("/status", timeout + 10.0, seconds=timeout)
    if as_json:
        return document(found)
    tables = [workers(found), requests(found), jobs(found)]
    return "\n".join(
        [*title(found["server"]), *(line for each in tables if each for line in ("", *each))]
    )


def title(server: dict[str, Any]) -> list[str]:
    """The server in two lines."""
    age = duration(time.time() - server["started"])
    name = server["application"] or "an application"
    state = server["state"]
    if server["reloading"]:
        state = "replacing its workers"
    reloads = server["reloads"]
    times = "" if not reloads else f", reloaded {'once' if reloads == 1 else f'{reloads} times'}"
    return [
        f"Carboy {server['carboy']}: {name} on {', '.join(server['addresses'])}",
        f"pid {server['pid']}, {state}, started {age} ago{times}, in {server['folder']}",
    ]


def workers(found: dict[str, Any]) -> list[str]:
    """The table of workers."""
    rows = [_worker(each) for each in found["workers"]]
    if not rows:
        return ["No worker runs."]
    titles = ("WORKER", "STATE", "AGE", "CONNECTIONS", "BUSY", "THREADS", "MEMORY", "")
    return table(titles, rows, "> >>>>> ")


def _worker(worker: dict[str, Any]) -> tuple[str, ...]:
    answers = worker["answers"]
    threads = f"{worker['threads_busy']}/{worker['threads']}" if answers else "?"
    return (
        str(worker["pid"]),
        worker["state"],
        duration(worker["age"]),
        str(worker["connections"]),
        str(worker["busy"]),
        threads,
        size(worker["memory"]),
        "" if answers else _why(worker),
    )


def _why(worker: dict[str, Any]) -> str:
    silent = worker["silent"]
    if worker["state"] != "starting" and silent is not None and silent > 2.5:
        return f"No Python code has run for {duration(silent)}: the interpreter lock is held."
    return str(worker["failure"])


def requests(found: dict[str, Any], longest: int = 2000) -> list[str]:
    """The table of requests in flight, oldest first. `longest`: characters of a request line."""
    rows = []
    for worker in found["workers"]:
        for each in worker["requests"]:
            rows.append((each["seconds"], worker["pid"], each))
    if not rows and not last_read(found):
        return ["No request is in flight."]
    rows.sort(key=lambda row: (row[2]["state"] == "websocket", -row[0]))
    shown = [
        (
            duration(seconds),
            str(pid),
            each["state"],
            counted(each.get("count", 1), shortened(each["request"], longest)),
            _what(each),
        )
        for seconds, pid, each in rows
    ]
    shown += [
        ("?", str(pid), "read last", shortened(line, longest), "") for pid, line in last_read(found)
    ]
    return table(("AGE", "WORKER", "STATE", "REQUEST", "AT"), shown, ">>   ")


def counted(count: int, text: str) -> str:
    """A text for several things: 12 x GET /chat HTTP/1.1."""
    return text if count == 1 else f"{count} x {text}"


def _what(each: dict[str, Any]) -> str:
    """The place in the code where a request is, and the service that it waits for."""
    service = each.get("waits_for")
    facts = [place(each.get("at")), f"waiting for {service}" if service else ""]
    return ", ".join(filter(None, facts))


def last_read(found: dict[str, Any]) -> list[tuple[int, str]]:
    """The request that each worker without an answer has read last, which may be why.

    Threads list their requests; the thread that reads requests may run this one.
    """
    return [
        (worker["pid"], worker["last_read"])
        for worker in found["workers"]
        if not worker["answers"] and worker["state"] != "starting" and worker["last_read"]
        and all(each["request"] != worker["last_read"] for each in worker["requests"])
    ]  # fmt: skip


def jobs(found: dict[str, Any], longest: int = 2000) -> list[str]:
    """The table of jobs, those that run first; no lines without jobs."""
    rows = [(each, worker["pid"]) for worker in found["workers"] for each in worker.get("jobs", ())]
    if not rows:
        return []
    rows.sort(key=lambda row: JOBS.index(row[0]["state"]))  # those of each worker are in order
    shown = [
        (
            _age(each), str(pid), each["state"], shortened(_job(each), longest), place(each["at"]),
        )
        for each, pid in rows
    ]  # fmt: skip
    lines = table(("AGE", "WORKER", "STATE", "JOB", "AT"), shown, ">>   ")
    more = sum(worker.get("more_jobs", 0) for worker in found["workers"])
    return [*lines, f"… {more} more"] if more else lines


def _age(job: dict[str, Any]) -> str:
    if job["next_in"] is not None:
        return f"in {duration(job['next_in'])}"
    return duration(job["seconds"])


def _job(job: dict[str, Any]) -> str:
    return f"{job['job']} every {duration(job['every'])}" if job["every"] else str(job["job"])


def shortened(text: str, longest: int) -> str:
    """A text of at most so many characters."""
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def place(at: dict[str, Any] | None) -> str:
    """File, line and function of the code that a request runs."""
    return "" if at is None else f"{Path(at['file']).name}:{at['line']} {at['function']}"


command = admin_command(
    "status",
    status,
    [patience()],
    short_help="Show a running server and its requests.",
)
