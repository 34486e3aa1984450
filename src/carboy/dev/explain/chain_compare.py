"""Two chains side by side, aligned by what their steps do."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from itertools import zip_longest

from carboy.dev.explain.chain import ChainStep, Phase, chain_of
from carboy.dev.explain.places import APPLICATION
from carboy.dev.explain.recording import Recording


class Does(Enum):
    """The events in the life of a request that every server has."""

    SOCKET = "The socket is made"
    BOUND = "The socket is bound"
    LISTENS = "The socket listens"
    ACCEPTED = "The connection is accepted"
    READ = "Bytes are read"
    PARSED = "The head is parsed"
    ENVIRON = "The environ or the request is made"
    CALLED = "The application is called"
    RULE = "The rule is found"
    VIEW = "The view is called"
    WRITTEN = "The response is written"
    CLOSED = "The connection is closed"


# qualified name of a function: what it does; the first of them in a chain is used
EVENTS = {
    "socket.__init__": Does.SOCKET,
    "socket.bind": Does.BOUND,
    "socket.listen": Does.LISTENS,
    "socket._accept": Does.ACCEPTED,
    "socket.recv": Does.READ,
    "socket.recv_into": Does.READ,
    "parse_headers": Does.PARSED,  # http.client
    "Message.parse_headers": Does.PARSED,  # Gunicorn
    "HTTPRequestParser.parse_header": Does.PARSED,  # Waitress
    "Machine.receive": Does.PARSED,  # Carboy
    "WSGIRequestHandler.make_environ": Does.ENVIRON,  # Werkzeug
    "WSGIRequestHandler.get_environ": Does.ENVIRON,  # wsgiref
    "create": Does.ENVIRON,  # Gunicorn
    "WSGITask.get_environment": Does.ENVIRON,  # Waitress
    "ServerExchange.environ": Does.ENVIRON,  # Carboy
    "Flask.__call__": Does.CALLED,
    "WSGIHandler.__call__": Does.CALLED,  # Django
    "App.__call__": Does.CALLED,  # Falcon
    "handle": Does.CALLED,  # a Carboy application on the direct lane
    "MapAdapter.match": Does.RULE,
    "Map.lookup": Does.RULE,  # Carboy
    "URLResolver.resolve": Does.RULE,  # Django
    "CompiledRouter.find": Does.RULE,  # Falcon
    "socket.send": Does.WRITTEN,
    "socket.sendall": Does.WRITTEN,
    "socket.sendmsg": Does.WRITTEN,
    "socket.close": Does.CLOSED,
}


@dataclass(frozen=True, slots=True)
class Row:
    """Steps of two chains that are shown in one line; an event has both.

    For an event, `calls` are the numbers of calls that were recorded since the event before it.
    """

    event: Does | None
    left: ChainStep | None
    right: ChainStep | None
    calls: tuple[int, int] = (0, 0)


def compare(left: Recording, right: Recording) -> list[Row]:
    """The rows of two chains. Between two events, steps are set side by side in their order."""
    one, other = chain_of(left), chain_of(right)
    rows: list[Row] = []
    n, m = 0, 0
    before = (0, 0)
    counts = _places(left), _places(right)
    for event, here, there in _common(_events(one), _events(other)):
        rows += _between(one[n:here], other[m:there])
        now = counts[0][id(one[here].call)], counts[1][id(other[there].call)]
        since = now[0] - before[0], now[1] - before[1]
        rows.append(Row(event, one[here], other[there], since))
        n, m, before = here + 1, there + 1, now
    return rows + list(_between(one[n:], other[m:]))


def _places(recording: Recording) -> dict[int, int]:
    """The place of each call in the order of all calls."""
    return {id(call): place for place, (_, call) in enumerate(recording.in_order())}


def _between(left: Iterable[ChainStep], right: Iterable[ChainStep]) -> Iterator[Row]:
    return (Row(None, a, b) for a, b in zip_longest(left, right))


def _events(steps: list[ChainStep]) -> dict[Does, int]:
    """The first step for each event."""
    found: dict[Does, int] = {}
    for number, step in enumerate(steps):
        if event := _event(step):
            found.setdefault(event, number)
    return found


def _event(step: ChainStep) -> Does | None:
    function = step.function
    if function.role.startswith("view "):
        return Does.VIEW
    if function.place.room == APPLICATION and step.phase is Phase.REQUEST and not function.role:
        return Does.CALLED  # a WSGI callable without a framework; with one, its call came first
    return EVENTS.get(function.name)


def _common(one: dict[Does, int], other: dict[Does, int]) -> Iterator[tuple[Does, int, int]]:
    """The events that both chains have, as far as they come in the same order."""
    here, there = -1, -1
    for event, number in sorted(one.items(), key=lambda pair: pair[1]):
        if event in other and number > here and other[event] > there:
            here, there = number, other[event]
            yield event, here, there
