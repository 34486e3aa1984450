"""The settings of another server become options of `carboy run`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

import click

from carboy.cli.migrate.given import Given, Unread
from carboy.cli.migrate.rules import SKIP, Rule, Takes, Verdict
from carboy.cli.migrate.servers import Server
from carboy.cli.option_types import Host
from carboy.server.settings import Settings, names_of_settings, with_values

ENV, APP, ENV_FILE = "env", "app", "env_file"
ENDLESS_LINE = 120
SETTINGS = {name for _, name, _ in names_of_settings()}
OF_OTHER_MACHINES = ("static",)  # folders need not be here


@dataclass(frozen=True, slots=True)
class Finding:
    """One setting, and the option that it becomes or why there is none."""

    place: str
    setting: str
    verdict: Verdict
    option: str
    note: str


@dataclass(slots=True)
class Migration:
    """The result: an application, options of `carboy run` by name, variables and findings."""

    server: Server
    params: dict[str, click.Parameter]
    app: str = ""
    options: dict[str, Any] = field(default_factory=dict)
    variables: dict[str, str] = field(default_factory=dict)
    env_file: str = ""
    findings: list[Finding] = field(default_factory=list)

    def apply(self, settings: Iterable[Given]) -> None:
        """Apply the rule of each setting. Later settings have precedence."""
        for given in settings:
            row = self.server.table.get(given.name)
            if row is None:
                self._unknown(given)
            else:
                self._apply(given, row.rule, row.takes is Takes.LIST)

    def _apply(self, given: Given, rule: Rule, repeated: bool) -> None:
        if rule.convert is None and not rule.option:
            self.find(given, rule.verdict, rule.option, rule.note)
            return
        if isinstance(given.value, Unread):
            self.find(given, Verdict.NONE, rule.option, UNREAD)
            return
        if given.value is None:
            self.find(given, Verdict.UNNEEDED, "", "It is the default.")
            return
        try:
            value = _converted(rule, given.value)
            self._set(rule.option, value, repeated, given)
        except (ValueError, TypeError) as problem:
            self.find(given, Verdict.NONE, rule.option, f"{rule.note} {problem}".strip())
            return
        if value is SKIP or not rule.option:
            self.find(given, Verdict.UNNEEDED, "", rule.note or "It is the default.")
        else:
            self.find(given, rule.verdict, rule.option, _with_variables(rule.note, given))

    def _set(self, name: str, value: Any, repeated: bool, given: Given) -> None:
        if value is SKIP or not name:
            return
        if name == ENV:
            self.variables |= dict(each.partition("=")[::2] for each in value)
        elif name == APP:
            self.app = str(value)
        elif name == ENV_FILE:
            self.env_file = str(value)
        else:
            self.set(name, "auto" if name == "workers" and given.of_processors else value, repeated)

    def set(self, name: str, value: Any, repeated: bool = False) -> None:
        """Set an option. Raises ValueError if `carboy run` does not have it or the value is bad."""
        param = self.params.get(name)
        if param is None:
            raise ValueError(f"This version of Carboy does not have --{name.replace('_', '-')}.")
        many = isinstance(param, click.Option) and param.multiple
        values = value if isinstance(value, list) else [value]
        if not many and len(values) != 1:
            raise ValueError(f"--{name.replace('_', '-')} takes one value. Choose one of {values}.")
        found = [check_value(param, each) for each in values]
        if (
            name in SETTINGS
            and name not in OF_OTHER_MACHINES
            and not any("$" in str(each) for each in found)
        ):
            with_values(Settings(), {name: found if many else found[0]})
        if many:
            before = self.options.get(name, []) if repeated else []
            self.options[name] = [*before, *(each for each in values if each not in before)]
        else:
            self.options[name] = values[0]

    def _unknown(self, given: Given) -> None:
        if not given.name.startswith("-") and given.name not in self.server.table:
            near = get_close_matches(given.name, list(self.server.table), n=1, cutoff=0.8)
            if self.server.name == "gunicorn" and not near:
                return  # a name of the file's own
        else:
            near = []
        hint = f" Did you mean {near[0]!r}?" if near else ""
        self.find(given, Verdict.NONE, "", f"It is not in the table of {self.server.name}.{hint}")

    def find(self, given: Given, verdict: Verdict, option: str, note: str) -> None:
        """Note what happens to a setting."""
        text = given.text if _is_written(given) else f"{given.name} = {given.text}"
        shown = text if len(text) <= ENDLESS_LINE else text[:ENDLESS_LINE] + "…"
        self.findings.append(Finding(given.place, " ".join(shown.split()), verdict, option, note))


UNREAD = (
    "Its value is only known when the file runs. Use `carboy migrate --run`, or set it yourself."
)


def _is_written(given: Given) -> bool:
    """Whether the text shows the name of the setting already."""
    return given.text.startswith(("-", "def ")) or " = " in given.text or given.text == given.value


def _with_variables(note: str, given: Given) -> str:
    said = [note] if note else []
    if given.of_processors:
        said.append(f"{given.text} is {given.value} here; auto counts processors of the container.")
    elif isinstance(given.value, str) and "$" in given.value:
        said.append("The shell expands it, so it is not in the table: use the variable of Carboy.")
    elif given.variables:
        names = " and ".join(given.variables)
        said.append(f"The value of {names} at the moment was used.")
    return " ".join(said)


def _converted(rule: Rule, value: Any) -> Any:
    """The value for Carboy's option. A text that a shell expands stays as it is."""
    if rule.convert is None:
        return _plain(value)
    try:
        return rule.convert(value)
    except ValueError:
        if isinstance(value, str) and "$" in value:
            return value
        raise


def _plain(value: Any) -> Any:
    if isinstance(value, bool):
        return value
    return list(value) if isinstance(value, list | tuple) else str(value)


def check_value(param: click.Parameter, value: Any) -> Any:
    """The value as `carboy run` reads it. A value with a $ is left to the shell.

    Raises ValueError if the option cannot have the value.
    """
    if "$" in str(value) or isinstance(param.type, Host):
        return value
    try:
        return param.type.convert(str(value), param, None)
    except click.BadParameter as problem:
        raise ValueError(problem.message) from None
