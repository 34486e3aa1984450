"""The commands that change a running server: reload, scale, drain, log-level."""

from __future__ import annotations

import logging
from typing import Any

from carboy.late import difflib
from carboy.server.admin.call import Ask, Call, Refused, Reply, Steps
from carboy.server.admin.operations import Operations

log = logging.getLogger("carboy.error")

MOST_WORKERS = 500  # half of the rows of the scoreboard: a replacement needs a row of its own
DEFAULT = "default"  # instead of a level: what the application has set


def reload(call: Call, operations: Operations) -> Reply:
    """POST /reload: as SIGHUP. The client sees in /server when it is over."""
    about = operations.about()
    if about.stopping:
        raise Refused(409, "The server is stopping.")
    log.info("A reload was requested by `carboy reload`.")
    operations.reload()
    return Reply({"reloads": about.reloads + 1, "failed_reloads": about.failed_reloads}, 202)


def scale(call: Call, operations: Operations) -> Reply:
    """POST /scale {"workers": 4}."""
    about = operations.about()
    count = call.values.get("workers")
    if type(count) is not int or not 1 <= count <= MOST_WORKERS:
        raise Refused(400, f"workers must be a number from 1 to {MOST_WORKERS}, not {count!r}.")
    if not about.supervised:
        raise Refused(501, "This server has no supervisor, and always one worker.")
    if about.development:
        raise Refused(501, "`carboy dev` always has one worker.")
    if about.stopping:
        raise Refused(409, "The server is stopping.")
    operations.scale(count)
    return Reply({"before": about.target, "workers": count}, 202)


def drain(call: Call, operations: Operations) -> Reply:
    """POST /drain {"worker": 4713, "replace": true}.

    With `replace`, another worker takes the place of this one, and is ready before if it is the
    only one that serves. Without it, there is one worker fewer from now on.
    """
    about = operations.about()
    worker, replace = call.values.get("worker"), call.values.get("replace", True)
    facts = {each.pid: each for each in operations.workers()}
    if not about.supervised:
        raise Refused(501, "This server has no supervisor. Stop it with SIGTERM instead.")
    if about.development:
        raise Refused(501, "`carboy dev` always has one worker. Use `carboy reload` instead.")
    if type(worker) is not int or worker not in facts:
        known = ", ".join(map(str, sorted(facts))) or "none"
        raise Refused(404, f"There is no worker {worker}. The workers are {known}.")
    if facts[worker].state != "serving":
        raise Refused(409, f"Worker {worker} is {facts[worker].state}.")
    if not replace and about.target == 1:
        raise Refused(409, "This is the only worker. Stop the server, or have it replaced.")
    alone = sum(each.state == "serving" for each in facts.values()) == 1
    operations.drain(worker, bool(replace), first=bool(replace) and alone)
    return Reply(
        {"worker": worker, "replaced": bool(replace), "after_replacement": bool(replace) and alone,
         "requests": facts[worker].busy, "connections": facts[worker].connections}, 202,
    )  # fmt: skip


def log_level(call: Call, operations: Operations) -> Steps:
    """POST /log-level {"logger": "sqlalchemy", "level": "DEBUG"}, for workers that start later too.

    Without a level, nothing is changed. The level "default" is the one before the first change.
    """
    name, level = call.values.get("logger"), call.values.get("level")
    if type(name) is not str:
        raise Refused(400, "logger must be the name of a logger; root is the root logger.")
    if level is not None:
        level = _read_level(level)
        operations.remember_level(name, level)
    answers = yield Ask("log-level", {"logger": name, "level": level})
    found = {
        str(each.worker): {"failure": each.failure} if each.failure else each.value
        for each in answers.values()
    }
    return Reply({"logger": name, "workers": found})


def _read_level(level: object) -> str:
    text = str(level).upper()
    known = list(logging.getLevelNamesMapping())
    if text.lower() == DEFAULT:
        return DEFAULT
    if text in known or text.isdecimal():
        return text
    raise Refused(400, f"{level!r} is not a level. Use {', '.join(known)}, a number or {DEFAULT}.")


class Levels:
    """The levels of loggers in a worker, and those before the first change."""

    def __init__(self) -> None:
        self._before: dict[str, int] = {}

    def answer(self, message: dict[str, Any]) -> dict[str, Any]:
        """Change the level of a logger, if one is asked for; returns what it is and was."""
        name, level = message["logger"], message["level"]
        root = logging.getLogger()
        known = name in ("", "root") or isinstance(
            root.manager.loggerDict.get(name), logging.Logger
        )
        near = [] if known else difflib.get_close_matches(name, root.manager.loggerDict, n=3)
        logger = root if name in ("", "root") else logging.getLogger(name)
        before = logger.level
        if level is not None:
            self._before.setdefault(name, before)
            wanted = self._before[name] if level == DEFAULT else level
            logger.setLevel(int(wanted) if str(wanted).isdecimal() else wanted)
        return {
            "before": logging.getLevelName(before),
            "level": logging.getLevelName(logger.level),
            "effective": logging.getLevelName(logger.getEffectiveLevel()),
            "known": known,
            "near": near,
            "written_from": _lowest_handler(logger),
        }


def _lowest_handler(logger: logging.Logger) -> str:
    """The lowest level that a handler of the logger writes; "" without a handler."""
    levels: list[int] = []
    each: logging.Logger | None = logger
    while each is not None:
        levels += (handler.level for handler in each.handlers)
        each = each.parent if each.propagate else None
    if not levels:
        last = logging.lastResort
        return "" if last is None else logging.getLevelName(last.level)
    return str(logging.getLevelName(min(levels)))
