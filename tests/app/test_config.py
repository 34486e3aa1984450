"""The sources of the configuration."""

from __future__ import annotations

import json
import os
import tomllib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import flask
import pytest

import carboy

FILES = Path(__file__).parent / "files"


@pytest.fixture
def both(pair):
    """Do the same to a configuration of Flask and one of Carboy, and compare the results."""

    def check(act):
        found = []
        for fl in (pair.flask, pair.carboy):
            config = fl.Config(str(FILES), {"START": 1})
            try:
                result = act(config)
            except Exception as error:
                result = (
                    next(
                        each.__name__
                        for each in type(error).__mro__
                        if each.__module__ == "builtins"
                    ),
                    getattr(error, "errno", None),
                )
            found.append((result, dict(config), repr(config)))
        assert found[0] == found[1]
        return found[1]

    return check


def test_a_python_file_gives_its_upper_case_names(both) -> None:
    result, config, _ = both(lambda config: config.from_pyfile("settings.py.txt"))
    assert result is True
    assert config == {"START": 1, "A": 1, "_C": 3, "D_E": "settings.py.txt"}


@pytest.mark.parametrize("name", ["missing.py", ".", "settings.py.txt/below"])
@pytest.mark.parametrize("silent", [True, False])
def test_a_missing_file_can_be_ignored(both, name, silent) -> None:
    both(lambda config: config.from_pyfile(name, silent=silent))
    both(lambda config: config.from_file(name, load=json.load, silent=silent))


def test_other_formats_are_read_by_a_function(both, tmp_path) -> None:
    (tmp_path / "c.json").write_text('{"A": 1, "b": 2}')
    (tmp_path / "c.toml").write_text('A = 1\nb = 2\n[C]\nx = "y"\n')
    both(lambda config: config.from_file(tmp_path / "c.json", load=json.load))
    both(lambda config: config.from_file(str(tmp_path / "c.toml"), load=tomllib.load, text=False))


def test_objects_and_import_names_give_their_upper_case_attributes(both) -> None:
    class Base:
        A = 1
        low = 2

    class Child(Base):
        B = 3

        @property
        def C(self):
            return 4

    both(lambda config: config.from_object(Child))
    both(lambda config: "C" in (config.from_object(Child()) or config))
    both(lambda config: config.from_object(SimpleNamespace(X=1, y=2)))
    both(lambda config: config.from_object("string") or sorted(config))
    both(lambda config: config.from_object("no.such.module"))


def test_mappings_give_their_upper_case_keys(both) -> None:
    both(lambda config: config.from_mapping({"A": 1, "b": 2}, C=3, d=4))
    both(lambda config: config.from_mapping(A=1))
    both(lambda config: config.from_mapping({}, {}))


def test_an_environment_variable_names_the_file(both, monkeypatch) -> None:
    both(lambda config: config.from_envvar("SCENARIO_SETTINGS"))
    both(lambda config: config.from_envvar("SCENARIO_SETTINGS", silent=True))
    monkeypatch.setenv("SCENARIO_SETTINGS", str(FILES / "settings.py.txt"))
    both(lambda config: config.from_envvar("SCENARIO_SETTINGS"))


def test_environment_variables_with_a_prefix_are_read_as_json(both, monkeypatch) -> None:
    for name in [name for name in os.environ if name.startswith(("FLASK_", "XY_"))]:
        monkeypatch.delenv(name)
    for name, value in {
        "FLASK_A": "1",
        "FLASK_B": "text",
        "FLASK_C__D__E": "true",
        "FLASK_C__D__F": "[1",
        "FLASK_low": '{"x": 1}',
        "FLASKA": "no",
        "XY_Z": "0x10",
    }.items():
        monkeypatch.setenv(name, value)
    both(lambda config: config.from_prefixed_env())
    both(lambda config: config.from_prefixed_env("XY", loads=lambda text: int(text, 0)))
    both(lambda config: config.from_prefixed_env("NONE"))
    monkeypatch.setenv("FLASK_A__B", "2")
    both(lambda config: config.from_prefixed_env())


@pytest.mark.parametrize("lowercase", [True, False])
@pytest.mark.parametrize("trim", [True, False])
def test_a_namespace_is_a_new_dict(both, lowercase, trim) -> None:
    def act(config):
        config.from_mapping(IMG_TYPE="fs", IMG_PATH="/x", IMGX=1)
        return config.get_namespace("IMG_", lowercase=lowercase, trim_namespace=trim)

    both(act)


def test_attributes_of_the_application_are_keys_of_its_configuration(pair) -> None:
    found = []
    for fl in (pair.flask, pair.carboy):
        app = fl.Flask("s")
        app.secret_key = "k"
        app.testing = True
        app.permanent_session_lifetime = 5
        first = str(app.permanent_session_lifetime)
        app.config["SECRET_KEY"] = b"other"
        app.debug = True
        found.append(
            [
                first,
                app.secret_key,
                app.config["TESTING"],
                app.config["PERMANENT_SESSION_LIFETIME"],
                app.config["DEBUG"],
                type(type(app).testing).__name__,
            ]
        )
    assert found[0] == found[1]


def test_an_application_uses_its_own_configuration_class(pair) -> None:
    found = []
    for fl in (pair.flask, pair.carboy):

        class Own(fl.Config):
            def __setitem__(self, key, value):
                super().__setitem__(key, f"own {value}")

        class App(fl.Flask):
            config_class = Own
            default_config = {**fl.Flask.default_config, "MINE": 1}

        app = App("s", instance_relative_config=True, instance_path="/inst")
        app.config["X"] = 1
        found.append((app.config["X"], app.config["MINE"], str(app.config.root_path)))
    assert found[0] == found[1]


@pytest.mark.parametrize("app", [flask.Flask(__name__), carboy.Flask(__name__)])
def test_a_session_lifetime_can_be_none(app: Any) -> None:
    app.config["PERMANENT_SESSION_LIFETIME"] = None
    assert app.permanent_session_lifetime is None
