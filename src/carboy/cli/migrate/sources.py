"""One source of settings becomes one Migration: a file of a server, or a command line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import click

from carboy.cli.migrate.command_line import Command, read_words, split
from carboy.cli.migrate.finish import FINISH, without_port
from carboy.cli.migrate.given import Given
from carboy.cli.migrate.migration import Migration
from carboy.cli.migrate.python_file import WrongFile, read_python, run_python
from carboy.cli.migrate.rules import Verdict
from carboy.cli.migrate.servers import SERVERS, Server
from carboy.cli.migrate.uwsgi_file import FORMS, read_uwsgi


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads sources: the options of `carboy run`, whether Python files are run, and where from."""

    params: dict[str, click.Parameter]
    run: bool = False
    folder: Path = field(default_factory=Path.cwd)
    environ: Mapping[str, str] = field(default_factory=dict)

    def of_file(self, path: Path) -> Migration:
        """The settings of gunicorn's or uWSGI's own file."""
        if path.suffix == ".py":
            return self._applied(SERVERS["gunicorn"], [self._python(path)])
        return self._applied(SERVERS["uwsgi"], [read_uwsgi(path, self.environ)])

    def of_command(self, command: Command, place: str = "command") -> Migration:
        """The settings of a command line, of its variables and of the files that it names."""
        server = command.server
        layers = [
            of_variables(server, command.variables, place),
            list(read_words(command.words, server, place)),
        ]
        layers.insert(0, self._of_files(server, [each for layer in layers for each in layer]))
        return self._applied(server, layers, command.variables)

    def _applied(
        self, server: Server, layers: list[list[Given]], variables: Mapping[str, str] | None = None
    ) -> Migration:
        """Apply the settings of all layers; a later layer replaces settings of those before."""
        migration = Migration(server, self.params)
        migration.variables |= {
            name: value for name, value in (variables or {}).items() if not is_own(server, name)
        }
        settings: list[Given] = []
        for number, layer in enumerate(layers):
            later = {each.name for after in layers[number + 1 :] for each in after}
            for given in layer:
                if given.name in later and given.name in server.table:
                    migration.find(given, Verdict.UNNEEDED, "", "The command line replaces it.")
                elif given.name not in FILES:
                    settings.append(given)
        settings = without_port(settings, migration)
        migration.apply(FINISH[server.name](settings, migration))
        return migration

    def _python(self, path: Path) -> list[Given]:
        if self.run:
            return run_python(path, SERVERS["gunicorn"].table)
        return read_python(path, self.environ)

    def _of_files(self, server: Server, settings: list[Given]) -> list[Given]:
        """The settings of the files that are named, and of gunicorn's usual file."""
        found: list[Given] = []
        for given in settings:
            if given.name == "config" and server.name == "gunicorn":
                found += self._python(self._existing(str(given.value).removeprefix("file:")))
            elif given.name == "ini" and str(given.value).endswith(FORMS):
                found += read_uwsgi(self._existing(str(given.value)), self.environ)
        usual = self.folder / "gunicorn.conf.py"
        named = any(given.name == "config" for given in settings)
        if server.name == "gunicorn" and not named and usual.is_file():
            found += self._python(usual)
        return found

    def _existing(self, name: str) -> Path:
        """A file as it is named, or the file of that name in the folder (for /app/… in images)."""
        for path in (self.folder / name, self.folder / Path(name).name):
            if path.is_file():
                return path
        raise WrongFile(f"There is no file {name} in {self.folder}. Correct the name.")


FILES = ("config", "ini")  # settings that name a file, which is read
OWN = {"uvicorn": "UVICORN_", "uwsgi": "UWSGI_", "granian": "GRANIAN_"}
WORDS = "GUNICORN_CMD_ARGS"


def is_own(server: Server, name: str) -> bool:
    """Whether a variable has settings of the server."""
    if server.name == "gunicorn":
        return name == WORDS
    return server.name in OWN and name.startswith(OWN[server.name])


def of_variables(server: Server, variables: Mapping[str, str], place: str) -> list[Given]:
    """The settings in the variables that the server reads."""
    if server.name == "gunicorn" and WORDS in variables:
        return list(read_words(tuple(split(variables[WORDS])), server, f"{place}, {WORDS}"))
    prefix = OWN.get(server.name)
    if prefix is None:
        return []
    between = "-" if server.long_names else "_"
    return [
        Given(
            name.removeprefix(prefix).lower().replace("_", between), value, f"{name}={value}", place
        )
        for name, value in variables.items()
        if name.startswith(prefix)
    ]
