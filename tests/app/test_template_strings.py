"""A template given as text is compiled once, and is always what Jinja would make of it now."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import flask
import jinja2
import pytest

import carboy
from carboy.app.template_strings import LONGEST

SOURCE = "{% if x %}\n{{ x|shout }} &{% endif %}{{ '<b>' }}{# c #}"


def make(framework: Any = carboy) -> Any:
    app = framework.Flask("strings")
    app.jinja_env.filters["shout"] = str.upper
    return app


@pytest.fixture
def app() -> Any:
    return make()


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The texts that Jinja parses in order to compile them."""
    seen: list[str] = []
    compile_ = jinja2.Environment.compile

    def counted(self: Any, source: Any, *args: Any, **more: Any) -> Any:
        seen.append(source)
        return compile_(self, source, *args, **more)

    monkeypatch.setattr(jinja2.Environment, "compile", counted)
    return seen


def render(app: Any, source: str, **context: Any) -> str:
    with app.app_context():
        framework = flask if isinstance(app, flask.Flask) else carboy
        return str(framework.render_template_string(source, **context))


def test_the_same_text_is_compiled_once(app: Any, compiled: list[str]) -> None:
    assert render(app, SOURCE, x="a") == render(app, SOURCE, x="a") == "\nA &&lt;b&gt;"
    assert render(app, SOURCE, x="b") == "\nB &&lt;b&gt;"
    assert compiled == [SOURCE]


def test_each_call_gets_a_template_of_its_own(app: Any) -> None:
    first = app.jinja_env.from_string(SOURCE)
    first.globals["x"] = "from before"
    assert app.jinja_env.from_string(SOURCE, {"x": "new"}).render() == "\nNEW &&lt;b&gt;"
    assert first is not app.jinja_env.from_string(SOURCE)


CHANGES: dict[str, Callable[[Any], object]] = {
    "another filter": lambda env: env.filters.update(shout=str.title),
    "another test": lambda env: env.tests.update(odd=lambda value: False),
    "trim_blocks": lambda env: setattr(env, "trim_blocks", True),
    "delimiters": lambda env: setattr(env, "comment_start_string", "{?"),
    "autoescape": lambda env: setattr(env, "autoescape", False),
    "a function that chooses": lambda env: setattr(env, "autoescape", lambda name: False),
    "a policy": lambda env: env.policies.update({"truncate.leeway": 0}),
    "an extension": lambda env: env.add_extension("jinja2.ext.do"),
    "undefined": lambda env: setattr(env, "undefined", jinja2.StrictUndefined),
    "finalize": lambda env: setattr(env, "finalize", lambda value: f"[{value}]"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_the_text_is_compiled_again_after_a_change(change: str, compiled: list[str]) -> None:
    ours, theirs = make(), make(flask)
    for app in (ours, theirs):
        render(app, SOURCE, x="abc")
        CHANGES[change](app.jinja_env)
    if change in ("delimiters", "trim_blocks"):
        for app in (ours, theirs):
            app.jinja_env.__dict__.pop("lexer", None)
    compiled.clear()
    assert render(ours, SOURCE, x="abc") == render(theirs, SOURCE, x="abc")
    assert compiled == [SOURCE, SOURCE]


IMPURE = [
    "{{ 'a'|numbered }}", "{{ ['a', 1]|numbered }}", "{% if 'a' is counted %}1{% endif %}",
    "{% filter numbered %}a{% endfilter %}", "{{ ('a'|numbered)|upper }}",
    "{{ 'a'|upper|numbered }}",
    "{{ x|numbered }}", "{{ [3, 1]|random }}{{ 'a'|title }}",
]  # fmt: skip


def _with_impure(framework: Any) -> Any:
    app = framework.Flask("strings")
    count: Iterator[int] = itertools.count()
    app.jinja_env.filters["numbered"] = lambda value: f"{value}{next(count)}"
    app.jinja_env.filters["random"] = lambda value: next(count)
    app.jinja_env.tests["counted"] = lambda value: next(count) % 2 == 0
    return app


@pytest.mark.parametrize("source", IMPURE)
def test_a_function_of_the_application_is_called_as_often_as_with_flask(source: str) -> None:
    ours, theirs = _with_impure(carboy), _with_impure(flask)
    for _ in range(3):
        assert render(ours, source, x="a") == render(theirs, source, x="a")


def test_a_changed_compiler_is_asked_each_time(app: Any) -> None:
    class Mine(carboy.app.templating.Environment):
        def preprocess(self, source: str, name: Any = None, filename: Any = None) -> str:
            return f"{next(count)} {source}"

    count = itertools.count()
    app.jinja_environment = Mine
    del app.__dict__["jinja_env"]
    before, after = render(app, "a"), render(app, "a")
    assert before != after


def test_a_step_that_is_replaced_is_asked_each_time(app: Any, compiled: list[str]) -> None:
    app.jinja_env.preprocess = lambda source, name=None, filename=None: source
    render(app, SOURCE)
    render(app, SOURCE)
    assert len(compiled) == 2


def test_an_extension_of_another_package_is_asked_each_time(app: Any) -> None:
    class Mine(jinja2.ext.Extension):
        def preprocess(self, source: str, name: Any = None, filename: Any = None) -> str:
            return f"{next(count)} {source}"

    count = itertools.count()
    app.jinja_env.add_extension(Mine)
    assert render(app, "a") != render(app, "a")


def test_an_error_is_raised_each_time(app: Any) -> None:
    for _ in range(2):
        with pytest.raises(jinja2.TemplateSyntaxError):
            render(app, "{% if %}")


@pytest.mark.parametrize(("kept", "times"), [(0, 4), (1, 4), (2, 2)])
def test_the_number_of_kept_texts_is_a_setting(kept: int, times: int, compiled: list[str]) -> None:
    app = carboy.Flask("strings")
    app.config["TEMPLATE_STRING_CACHE"] = kept
    for text in ("a", "b", "a", "b"):
        render(app, text)
    assert len(compiled) == times


def test_a_long_text_is_not_kept(app: Any, compiled: list[str]) -> None:
    for _ in range(2):
        render(app, "a" * (LONGEST + 1))
    assert len(compiled) == 2
