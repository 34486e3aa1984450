"""The tables of `carboy migrate` have every setting of the installed servers."""

from __future__ import annotations

import argparse
import re

import click
import pytest
from gunicorn.config import KNOWN_SETTINGS
from hypercorn.__main__ import main as hypercorn
from uvicorn.main import main as uvicorn

import server_options
from carboy.cli.main import make_group
from carboy.cli.migrate import daphne_table, granian_table
from carboy.cli.migrate.daphne_table import DAPHNE
from carboy.cli.migrate.granian_table import GRANIAN
from carboy.cli.migrate.granian_table import NEGATIVES as OF_GRANIAN
from carboy.cli.migrate.gunicorn_table import GUNICORN
from carboy.cli.migrate.hypercorn_table import HYPERCORN
from carboy.cli.migrate.rules import Table, Takes, Verdict
from carboy.cli.migrate.uvicorn_table import NEGATIVES, UVICORN
from carboy.cli.migrate.uwsgi_table import UWSGI

TABLES = {
    "gunicorn": GUNICORN,
    "uvicorn": UVICORN,
    "uwsgi": UWSGI,
    "hypercorn": HYPERCORN,
    "daphne": DAPHNE,
    "granian": GRANIAN,
}
# Not options of `carboy run`: the application, its variables, and an option of `carboy`.
OTHER = {"app", "env", "env_file"}


def takes(setting: object) -> Takes:
    if not getattr(setting, "cli", None):
        return Takes.NOWHERE
    if "store" in str(getattr(setting, "action", "")) and setting.action != "store":  # type: ignore[attr-defined]
        return Takes.FLAG
    return Takes.LIST if getattr(setting, "action", "") == "append" else Takes.VALUE


def test_every_setting_of_gunicorn_is_in_its_table() -> None:
    theirs = {each.name: (takes(each), tuple(each.cli or ())) for each in KNOWN_SETTINGS}
    ours = {name: (each.takes, each.spellings) for name, each in GUNICORN.items()}
    assert ours == theirs


def test_every_option_of_uvicorn_is_in_its_table() -> None:
    theirs: dict[str, tuple[Takes, tuple[str, ...]]] = {}
    negatives: dict[str, str] = {}
    for each in uvicorn.params:
        name = str(each.name)
        negatives |= dict.fromkeys(each.secondary_opts, name)
        if not isinstance(each, click.Option):
            theirs[name] = Takes.NOWHERE, ()
        elif each.is_flag:
            theirs[name] = Takes.FLAG, tuple(each.opts)
        else:
            theirs[name] = Takes.LIST if each.multiple else Takes.VALUE, tuple(each.opts)
    assert {name: (each.takes, each.spellings) for name, each in UVICORN.items()} == theirs
    assert negatives == NEGATIVES


def spellings(table: Table) -> dict[str, Takes]:
    return {each: row.takes for row in table.values() for each in row.spellings}


def test_every_option_of_granian_is_in_its_table() -> None:
    flags = [each.partition("/") for each in server_options.GRANIAN_FLAGS.split()]
    theirs = {yes: Takes.FLAG for yes, _, _ in flags}
    theirs |= dict.fromkeys(server_options.GRANIAN_VALUES.split(), Takes.VALUE)
    theirs |= dict.fromkeys(server_options.GRANIAN_LISTS.split(), Takes.LIST)
    assert spellings(GRANIAN) == theirs
    assert set(OF_GRANIAN) == {no for _, _, no in flags if no}
    assert server_options.GRANIAN_VERSION in str(granian_table.__doc__)


def test_every_option_of_daphne_is_in_its_table() -> None:
    assert set(spellings(DAPHNE)) == set(server_options.DAPHNE_OPTIONS.split())
    assert server_options.DAPHNE_VERSION in str(daphne_table.__doc__)


def test_every_option_of_hypercorn_is_in_its_table(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[argparse.Action] = []

    def parse(parser: argparse.ArgumentParser, *args: object) -> None:
        seen.extend(parser._actions)
        raise SystemExit

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", parse)
    with pytest.raises(SystemExit):
        hypercorn([])
    theirs = {
        spelling: Takes.FLAG if each.nargs == 0 else
        Takes.LIST if isinstance(each, argparse._AppendAction) else Takes.VALUE
        for each in seen for spelling in each.option_strings
    }  # fmt: skip
    del theirs["-h"], theirs["--help"]
    assert spellings(HYPERCORN) == theirs


def test_a_hundred_options_of_uwsgi_are_in_its_table() -> None:
    assert len(UWSGI) >= 100
    assert all(re.fullmatch(r"[a-z0-9-]+", name) for name in UWSGI)


@pytest.mark.parametrize("name", TABLES)
def test_every_option_that_a_rule_names_exists(name: str) -> None:
    table: Table = TABLES[name]
    params = {each.name for each in make_group().commands["run"].params}
    for setting, row in table.items():
        option = row.rule.option
        assert not option or option in params | OTHER, setting


@pytest.mark.parametrize("name", TABLES)
def test_a_rule_without_an_option_says_why(name: str) -> None:
    for setting, row in TABLES[name].items():
        if row.rule.verdict is not Verdict.EQUAL:
            assert row.rule.note.endswith("."), setting
        else:
            assert row.rule.option, setting


@pytest.mark.parametrize("name", TABLES)
def test_no_spelling_has_two_meanings(name: str) -> None:
    spellings = [each for row in TABLES[name].values() for each in row.spellings]
    assert len(spellings) == len(set(spellings))
