"""Templates: loaders, context, escaping, filters and streams."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import pytest

import carboy

FILES = Path(__file__).parent / "files"


def templated(fl):
    app = fl.Flask("scenario", root_path=str(FILES))
    bp = fl.Blueprint(
        "bp", "scenario", root_path=str(FILES / "bp"), template_folder="templates", url_prefix="/bp"
    )
    app.bp = bp
    return app


RENDERED = {
    "file": lambda fl: fl.render_template("page.html", name="<x>"),
    "text file": lambda fl: fl.render_template("plain.txt", name="<x>"),
    "first that exists": lambda fl: fl.render_template(["none.html", "plain.txt"], name=1),
    "missing": lambda fl: fl.render_template("none.html"),
    "all missing": lambda fl: fl.render_template(["none.html", "nor.html"]),
    "only in the blueprint": lambda fl: fl.render_template("only.html"),
    "string": lambda fl: fl.render_template_string("{{ name }}", name="<x>"),
    "stream": lambda fl: fl.stream_template("loop.html", name="<x>"),
    "stream of a string": lambda fl: fl.stream_template_string(
        "{{ name }}{{ request.path }}", name=1
    ),
    "request": lambda fl: fl.render_template_string("{{ request.path }} {{ request.args.q }}"),
    "g": lambda fl: setattr(fl.g, "x", 5) or fl.render_template_string("{{ g.x }} {{ g.none }}"),
    "session": lambda fl: fl.render_template_string("{{ session.get('a') }}"),
    "config": lambda fl: fl.render_template_string("{{ config.TESTING }}"),
    "url_for": lambda fl: fl.render_template_string("{{ url_for('v', q='a b') }}"),
    "flashes": lambda fl: (
        fl.flash("<m>")
        or fl.render_template_string("{% for m in get_flashed_messages() %}{{ m }}{% endfor %}")
    ),
    "filter": lambda fl: fl.render_template_string("{{ 'ab'|twice }}{{ 'ab'|named }}"),
    "test": lambda fl: fl.render_template_string("{{ 4 is even4 }}{{ 3 is named_test }}"),
    "global": lambda fl: fl.render_template_string("{{ answer() }}{{ named_global() }}"),
    "processors": lambda fl: fl.render_template_string("{{ a }}{{ b }}{{ c }}"),
    "processors against given": lambda fl: fl.render_template_string("{{ a }}{{ b }}", a="given"),
    "macro": lambda fl: fl.get_template_attribute("page.html", "hello")("<w>"),
    "variable of a template": lambda fl: str(fl.get_template_attribute("page.html", "answer")),
    "tojson": lambda fl: fl.render_template_string("{{ {'b': 1, 'a': '<'}|tojson }}"),
    "undefined": lambda fl: fl.render_template_string("{{ nothing }}|{{ nothing.x }}"),
    "autoescape off": lambda fl: fl.render_template_string(
        "{% autoescape false %}{{ name }}{% endautoescape %}", name="<x>"
    ),
}


@pytest.mark.parametrize("name", RENDERED)
@pytest.mark.parametrize("path", ["/", "/bp/?q=1"])
def test_templates_render_alike(pair, name, path) -> None:
    def build(fl, log):
        app = templated(fl)
        app.secret_key = "k"
        app.config["PROPAGATE_EXCEPTIONS"] = True
        app.template_filter()(twice)
        app.template_filter("named")(lambda text: text.upper())
        app.template_test("even4")(lambda n: n % 2 == 0)
        app.add_template_test(lambda n: n == 3, "named_test")
        app.template_global("answer")(lambda: 42)
        app.bp.app_template_global("named_global")(lambda: "bp")
        app.bp.app_template_filter("bpf")(lambda text: text)
        app.bp.app_template_test()(odd)
        app.context_processor(lambda: {"a": "app", "b": "app"})
        app.bp.context_processor(lambda: {"b": "bp", "c": "bp"})
        app.bp.app_context_processor(lambda: {"c": "all"})
        app.add_url_rule("/", "v", lambda: RENDERED[name](fl))
        app.bp.add_url_rule("/", "v", lambda: RENDERED[name](fl))
        app.register_blueprint(app.bp)
        return app

    pair(build, path)


def twice(text):
    return text * 2


def odd(n):
    return n % 2


@pytest.mark.parametrize(
    "name", ["a.html", "a.htm", "a.xml", "a.xhtml", "a.svg", "a.txt", "a", None]
)
def test_markup_is_escaped_by_the_name_of_the_template(pair, name) -> None:
    found = [fl.Flask("s").select_jinja_autoescape(name) for fl in (pair.flask, pair.carboy)]
    assert found[0] == found[1]


def test_templates_render_outside_a_request(pair) -> None:
    found = []
    for fl in (pair.flask, pair.carboy):
        app = templated(fl)
        with app.app_context():
            found.append(
                (
                    fl.render_template("plain.txt", name="x"),
                    fl.render_template_string("{{ g is defined }}{{ request is defined }}"),
                    "".join(fl.stream_template("loop.html", name="y")),
                )
            )
    assert found[0] == found[1]


@pytest.mark.parametrize(
    ("debug", "setting", "later"),
    [(d, s, x) for d in (0, 1) for s in (None, True, False) for x in (0, 1)],
)
def test_templates_are_read_again_as_configured(pair, debug, setting, later) -> None:
    found = []
    for fl in (pair.flask, pair.carboy):
        app = fl.Flask("s")
        app.debug = bool(debug)
        app.config["TEMPLATES_AUTO_RELOAD"] = setting
        first = app.jinja_env.auto_reload
        app.debug = bool(later)
        found.append((first, app.jinja_env.auto_reload))
    assert found[0] == found[1]


def test_the_environment_can_be_customized(pair) -> None:
    found = []
    for fl in (pair.flask, pair.carboy):

        class Environment(fl.templating.Environment):
            pass

        class Own(fl.Flask):
            jinja_environment = Environment
            jinja_options = {"trim_blocks": True, "extensions": ["jinja2.ext.do"]}

            def create_global_jinja_loader(self):
                from jinja2 import DictLoader

                return DictLoader({"x": "from dict"})

        app = Own("s")
        with app.app_context():
            found.append(
                (
                    isinstance(app.jinja_env, Environment),
                    app.jinja_env.app is app,
                    app.jinja_env.trim_blocks,
                    sorted(app.jinja_env.extensions),
                    fl.render_template("x"),
                    sorted(app.jinja_env.globals),
                )
            )
    assert found[0] == found[1]


def test_all_templates_can_be_listed(pair) -> None:
    found = []
    for fl in (pair.flask, pair.carboy):
        app = templated(fl)
        app.register_blueprint(app.bp)
        found.append(sorted(app.jinja_env.list_templates()))
    assert found[0] == found[1]


def test_loading_can_be_explained(fl, caplog) -> None:
    app = templated(fl)
    app.register_blueprint(app.bp)
    app.config["EXPLAIN_TEMPLATE_LOADING"] = True
    app.logger.propagate = True
    with caplog.at_level("INFO", logger="scenario"), app.app_context():
        assert fl.render_template("page.html", name="x").startswith("<p>x</p>")
        with pytest.raises(Exception, match=r"none\.html"):
            fl.render_template("none.html")
    assert "blueprint 'bp'" in caplog.text
    assert "multiple loaders returned a match" in caplog.text
    assert "no loader has it." in caplog.text


def test_signals_of_rendering_are_sent_with_template_and_context(pair) -> None:
    def build(fl, log):
        app = templated(fl)

        def note(name):
            def receiver(sender, template, context, **extra):
                log.append((name, sender is app, template.name, context["name"]))

            return receiver

        app.receivers = [note("before"), note("rendered")]
        fl.before_render_template.connect(app.receivers[0], app)
        fl.template_rendered.connect(app.receivers[1], app)
        app.add_url_rule("/", "v", lambda: fl.render_template("plain.txt", name="x"))
        app.add_url_rule("/stream", "s", lambda: fl.stream_template("loop.html", name="y"))
        return app

    pair(build, "/", "/stream", status=200)


def test_two_first_requests_make_one_environment() -> None:
    made: list[object] = []
    both = threading.Barrier(2)

    class Slow(carboy.Flask):
        def create_jinja_environment(self) -> Any:
            made.append(None)
            time.sleep(0.02)  # so that the other thread asks for it meanwhile
            return super().create_jinja_environment()

    app = Slow("scenario")
    found: list[object] = []

    def ask() -> None:
        both.wait()
        found.append(app.jinja_env)

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1
    assert found[0] is found[1]
