"""A worker of `carboy dev`: loads the current code, serves it, and reports what it uses."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from socket import socket
from typing import Any

from carboy.cli import locate
from carboy.cli.config import Environment
from carboy.cli.dev.tools import LOADING, Ended, Tools, failing, failure_of, in_colours
from carboy.cli.mounts import Mounted, load
from carboy.dev.hints import hints
from carboy.dev.live import Broadcaster, Failure
from carboy.gateway import Mounts
from carboy.server.in_flight import InFlight
from carboy.server.processes import preloading, stacks
from carboy.server.processes.link import SupervisorLink
from carboy.server.processes.messages import Message
from carboy.server.processes.plan import Plan
from carboy.server.processes.worker import LoadError, Worker
from carboy.server.serve import Silent


@dataclass(slots=True)
class DevelopmentWorker:
    """Serves the application with the current code; called in a forked process."""

    name: str
    run: str  # identifies this run of `carboy dev`, so that browsers notice a worker of another run
    plan: Plan
    sockets: Sequence[socket]
    tools: Tools
    environment: Environment
    mounted: Mounted = ()
    _app: Any = None
    _broadcaster: Broadcaster = field(default_factory=lambda: Broadcaster(""))
    _broken: str = ""  # why an error is served instead of the application
    _reported: int = 0

    def __call__(self, told: int, tells: int, requests: int) -> int:
        self._enter()
        self.environment.restore()
        link = SupervisorLink(told, tells, in_flight=InFlight(fd=requests))
        os.close(requests)
        stacks.write_to(tells)
        link.listen, link.report = self._on_message, self._report
        order = link.receive()
        if order is None:
            return 1  # the supervisor has ended
        worker = Worker(self.plan, self.sockets, lambda: self._load(order), Silent())
        return worker.run_supervised(link)

    def _enter(self) -> None:
        """Change to the project's folder, which may be another one of that name by now."""
        folder = self.environment.folder
        while not folder.is_dir():
            folder = folder.parent
        os.chdir(folder)

    def _load(self, order: Message) -> Any:
        failure: Failure | None = None
        folder = self.environment.folder
        missing = "" if folder.is_dir() else f"The folder {folder} does not exist."
        if reason := order["failure"] or missing:
            problem = Ended(reason)
            failure, app = failure_of(problem), failing(problem)
            self._broken = missing
        else:
            self.tools.watch_packages()
            try:
                app, failure = load_or_error_app(self.name, order["first"], self.mounted)
            except locate.NoApplication as problem:
                raise LoadError(str(problem)) from None
            if failure:
                self._broken = failure.title
            else:
                self._app = app
        self._broadcaster = Broadcaster(f"{self.run}-{order['number']}", failure)
        return self.tools.around(app, self._broadcaster)

    def _on_message(self, message: dict[str, Any]) -> None:
        if "replaced" in message:
            self._broadcaster.close()
        else:
            self._broadcaster.publish(message["publish"], message["paths"])

    def _report(self) -> dict[str, Any] | None:
        """Imported modules and the folders in use, if more was imported; None otherwise."""
        if len(sys.modules) == self._reported:
            return None
        self._reported = len(sys.modules)
        modules = preloading.installed_modules()
        return {
            "modules": modules,
            "stamps": preloading.stamps(modules),
            "broken": self._broken,
            **used_by(self._app),
        }


def load_or_error_app(
    name: str, first: bool, mounted: Mounted, again: bool = True
) -> tuple[Any, Failure | None]:
    """The application of that name with what is mounted on it.

    If it cannot be loaded, an application that raises the error.

    At the `first` start, the error of a name without an application is raised: the user has just
    typed the name, and can correct it in the terminal. Without `again`, all errors are raised:
    there is no second try.
    """
    try:
        return load(name, "auto", mounted), None
    except LOADING as problem:
        if first and (isinstance(problem, locate.NoApplication) or not again):
            raise
        failure = failure_of(problem)
        _show(failure, hints(problem.__cause__) if problem.__cause__ else [])
        return failing(problem), failure


def _show(failure: Failure, told: list[str]) -> None:
    """Show in the terminal why the application could not be loaded."""
    traceback, _, advice = failure.text.rpartition("\n")
    above = f"{in_colours(traceback)}\n" if traceback else ""
    near = "".join(f"{hint}\n" for hint in told)
    sys.stderr.write(f"\n{above}{near}{advice}\n\n")


def used_by(app: Any) -> dict[str, Any]:
    """Folders of imported modules that are not installed, and those of `folders_of`."""
    roots = sorted({str(Path(file).parent) for file in preloading.own_files()})
    return {"roots": roots, **folders_of(app)}


def folders_of(app: Any) -> dict[str, Any]:
    """Folders of templates and static files; whether the application reloads templates itself."""
    templates: set[str] = set()
    statics: set[str] = set()
    rereads: list[bool] = []
    for each in [each.app for each in app.all()] if isinstance(app, Mounts) else [app]:
        if locate.is_flask_like(each):
            for part in (each, *getattr(each, "blueprints", {}).values()):
                templates.update(getattr(getattr(part, "jinja_loader", None), "searchpath", ()))
                if static := getattr(part, "static_folder", None):
                    statics.add(static)
            again = each.config.get("TEMPLATES_AUTO_RELOAD")
            rereads.append(bool(each.debug if again is None else again))
    return {
        "templates": sorted(templates),
        "statics": sorted(statics),
        "rereads": bool(rereads) and all(rereads),
    }
