"""Settings that only have a meaning together, for each server."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import PurePath
from typing import Any

from carboy.cli.migrate.given import Given, Unread
from carboy.cli.migrate.migration import Migration
from carboy.cli.migrate.rules import Verdict, truth

OF_PORT = re.compile(r"(?:(?:0\.0\.0\.0|\[::\]|\*)?:)?\$(?:PORT|\{PORT(?::?-[^}]*)?\})")
ONE_AT_A_TIME = (
    "Each worker of the other server runs one request at a time. Leave the option out if the"
    " application is thread-safe: a worker then runs many."
)
GREEN = (
    "Green threads are not supported, nor is monkey patching. Remove both, and use --threads for"
    " handlers that wait."
)
ASGI = "ASGI applications are recognised, and run on the event loop of each worker."
PORT = "The server listens on 0.0.0.0 and $PORT by itself if the platform sets PORT."

Seen = dict[str, Given]


def without_port(settings: list[Given], migration: Migration) -> list[Given]:
    """The settings without an address that is the variable PORT, which Carboy reads itself."""
    kept: list[Given] = []
    dropped = False
    for given in settings:
        value = given.value
        is_bind = given.name in ("bind", "port", "http", "http-socket")
        texts = [value] if isinstance(value, str) else value
        computed = "PORT" in given.variables
        if (is_bind and isinstance(texts, list) and len(texts) == 1 and (
            OF_PORT.fullmatch(str(texts[0])) or (computed and _is_public(str(texts[0])))
        )) or (given.name == "port" and computed):  # fmt: skip
            migration.find(given, Verdict.UNNEEDED, "", PORT)
            dropped = True
        else:
            kept.append(given)
    if dropped:  # with PORT the host is 0.0.0.0
        return [each for each in kept if not (each.name == "host" and each.value == "0.0.0.0")]
    return kept


def _is_public(text: str) -> bool:
    return text.rpartition(":")[0] in ("", "0.0.0.0", "*", "[::]")


def gunicorn(settings: list[Given], migration: Migration) -> list[Given]:
    """The kind of workers says how many threads there are."""
    seen = {each.name: each for each in settings}
    given = seen.get("worker_class") or Given(
        "worker_class", "sync", "worker_class = sync", "the default"
    )
    kind = str(given.value).rpartition(".")[2].lower().removesuffix("worker")
    whole = str(given.value).lower()
    rest = [each for each in settings if each.name != "worker_class"]
    if isinstance(given.value, Unread):
        migration.find(
            given, Verdict.NONE, "threads", "Its value is only known when the file runs."
        )
    elif kind in ("sync", "gthread"):
        several = _number(seen.get("threads")) > 1
        rest = rest if several else [each for each in rest if each.name != "threads"]
        if several:
            migration.find(given, Verdict.EQUAL, "threads", "")
        else:
            migration.set("threads", 1)
            migration.find(given, Verdict.SIMILAR, "threads", ONE_AT_A_TIME)
    elif "uvicorn" in whole or "asgi" in whole:
        rest = [each for each in rest if each.name != "threads"]
        migration.find(given, Verdict.UNNEEDED, "", ASGI)
    elif any(name in whole for name in ("gevent", "eventlet", "ggevent", "tornado", "meinheld")):
        migration.find(given, Verdict.NONE, "threads", GREEN)
    else:
        migration.find(
            given, Verdict.NONE, "", f"Carboy does not have workers of the kind {given.value}."
        )
    return rest


def _number(given: Given | None) -> int:
    """The number of threads; 2 if the shell or code that was not run says it."""
    if given is not None and "$" in str(given.value):
        return 2
    try:
        return int(given.value) if given is not None else 1
    except (TypeError, ValueError):
        return 1 if given is None or not isinstance(given.value, Unread) else 2


def uwsgi(settings: list[Given], migration: Migration) -> list[Given]:
    """The parts of the application's name, and one request at a time without threads."""
    seen = {each.name: each for each in settings}
    name = ""
    for key in ("module", "wsgi", "wsgi-file", "file"):
        if key in seen:
            name = str(seen[key].value)
    if "callable" in seen and name and ":" not in PurePath(name).name:
        name = f"{name}:{seen['callable'].value}"
    rest = [_named(each, name) for each in settings if not _is_off(each, migration)]
    threads = seen.get("threads")
    if threads is None and not ({"gevent", "asyncio"} & seen.keys()):
        migration.set("threads", 1)
        given = Given("threads", 1, "1", "the default")
        migration.find(given, Verdict.SIMILAR, "threads", ONE_AT_A_TIME)
    return rest


def _named(given: Given, name: str) -> Given:
    if given.name not in ("module", "wsgi", "wsgi-file", "file"):
        return given
    return Given(given.name, name, given.text, given.place, given.variables)


def _is_off(given: Given, migration: Migration) -> bool:
    """Whether a flag is written with a value that turns it off."""
    row = migration.server.table.get(given.name)
    return row is not None and row.takes.name == "FLAG" and not truth(given.value)


def unchanged(settings: list[Given], migration: Migration) -> list[Given]:
    """Nothing depends on other settings."""
    return settings


def hypercorn(settings: list[Given], migration: Migration) -> list[Given]:
    """The name of the application may have its interface before it."""
    found: list[Given] = []
    for each in settings:
        value: Any = each.value
        if each.name == "app":
            kind, colon, rest = str(value).partition(":")
            if colon and kind in ("asgi", "wsgi") and ":" in rest:
                migration.set("interface", kind)
                value = rest
        found.append(Given(each.name, value, each.text, each.place))
    return found


def granian(settings: list[Given], migration: Migration) -> list[Given]:
    """Each folder of static files has a route, /static unless it is given."""
    routes = [each for each in settings if each.name == "static_path_route"]
    mounts = [each for each in settings if each.name == "static_path_mount"]
    rest = [each for each in settings if each not in (*routes, *mounts)]
    for place, each in enumerate(mounts):
        route = routes[place].value if place < len(routes) else "/static"
        rest.append(Given(each.name, f"{route}={each.value}", each.text, each.place))
    for each in routes:
        migration.find(each, Verdict.UNNEEDED, "", "It is part of --static.")
    return rest


FINISH: dict[str, Callable[[list[Given], Migration], list[Given]]] = {
    "gunicorn": gunicorn,
    "uwsgi": uwsgi,
    "uvicorn": unchanged,
    "daphne": unchanged,
    "hypercorn": hypercorn,
    "granian": granian,
}
