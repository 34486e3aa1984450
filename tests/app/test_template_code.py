"""Templates of our environment give the text or the error that Jinja's own environment gives."""

from __future__ import annotations

import asyncio
import re
import traceback
from collections.abc import Callable
from typing import Any

import flask
import jinja2
import pytest
from jinja2.ext import do, i18n, loopcontrols
from jinja2.sandbox import SandboxedEnvironment
from markupsafe import Markup

import carboy
from carboy.app.template_code import CodeGenerator
from carboy.app.template_runtime import Context
from carboy.app.templating import Environment
from carboy.http.local import LocalProxy

FILES = {
    "base.html": "<{% block a %}{{ x }}{% endblock %}|{% block b scoped %}{{ url_for('i', n=1) }}"
    "{% endblock %}>",
    "macros.html": "{% macro m(v, k='d') %}{{ v }}-{{ k }}-{{ varargs }}-{{ kwargs }}"
    "{{ caller() if caller }}{% endmacro %}{% set exported = '<e>' %}",
    "part.html": "({{ x }}{{ n }})",
}


class WithHtml:
    def __html__(self) -> str:
        return "<i>html</i>"


class HtmlOfNumber:
    def __html__(self) -> int:
        return 7


class Failing:
    def __str__(self) -> str:
        raise LookupError("no text")

    @property
    def broken(self) -> str:
        return self.missing  # type: ignore[attr-defined,no-any-return]

    def __getitem__(self, name: str) -> str:
        return f"item {name}"


class Text(str):
    pass


class Number(int):
    def __str__(self) -> str:
        return "<number>"


class Rows(dict[str, Any]):
    def __missing__(self, key: str) -> str:
        return f"missing {key}"


class Caller:
    def __call__(self, *args: Any) -> str:
        return f"called {args}"

    @jinja2.pass_context
    def with_context(self, context: Any, n: Any = 0) -> str:
        return f"{context.get('x')} {context.get('n')} {n}"

    def method(self, *args: Any, **values: Any) -> str:
        return f"<{args} {values}>"


class CallerWithContext:
    @jinja2.pass_context
    def __call__(self, context: Any, *args: Any) -> str:
        return f"{context.get('x')} {args}"


def stop(*args: Any) -> Any:
    raise StopIteration


@jinja2.pass_context
def with_context(context: Any, *args: Any, **values: Any) -> str:
    return f"{context.get('x')} {context.get('n')} {args} {values}"


@jinja2.pass_eval_context
def with_eval_context(context: Any, *args: Any) -> str:
    return f"{context.autoescape} {args}"


@jinja2.pass_environment
def with_environment(environment: Any, *args: Any) -> str:
    return f"{environment.autoescape} {args}"


def like_a_class(*args: Any) -> str:
    return "not this"


like_a_class.__call__ = with_context  # type: ignore[attr-defined]


def url_for(endpoint: str, **values: Any) -> str:
    return f"/{endpoint}?{values}&"


VALUES: dict[str, Any] = {
    "x": "a <b> & 'c' \"d\"", "number": -3, "large": 10**30, "yes": True, "real": 1.5, "none": None,
    "safe": Markup("<b>"), "html": WithHtml(), "html_number": HtmlOfNumber(), "failing": Failing(),
    "text": Text("<t>"), "own": Number(3), "raw": b"<b>", "many": [1, "<", Markup("<")],
    "proxy": LocalProxy(lambda: "<p>"),
    "row": {"id": 1, "name": "<n>", "items": "hidden", 3: "<3>"},
    "rows": [{"id": 1, "name": "<n>"}, {"id": 2}], "other": Rows(a=1), "stop": stop,
    "caller_": Caller(), "with_context": with_context, "with_eval_context": with_eval_context,
    "with_environment": with_environment, "call_with_context": CallerWithContext(),
    "like_a_class": like_a_class, "length": len, "endpoint": "i", "values": {"n": 2}, "kind": int,
}  # fmt: skip

SOURCES = [
    *(f"{{{{ {name} }}}}" for name in VALUES if "call" not in name and "with" not in name
      and name not in ("stop", "like_a_class", "url_for", "html", "html_number", "length")),
    "{{ html }}{{ text }}{{ undefined_name }}{{ x.y.z }}", "{{ html_number }}",
    "{{ 'a' ~ x ~ safe }}",
    "{{ row.id }}{{ row.name }}{{ row['name'] }}{{ row[3] }}{{ row.nothing }}",
    "{{ row.items() }}{{ row['items'] }}{{ row.keys }}", "{{ row.nothing.more }}",
    "{{ row.__class__ }}", "{{ other.a }}{{ other.b }}{{ other.items }}", "{{ failing.broken }}",
    "{{ failing.name }}{{ none.x }}{{ number.real }}", "{{ many.0 }}{{ many[5] }}",
    "{% for r in rows %}{{ loop.index }}{{ r.id }}{{ r.name }}"
    "{{ loop.cycle('a', '<') }}{% endfor %}",
    "{{ url_for('i', n=1) }}{{ url_for(endpoint, n=x) }}{{ url_for('i') }}",
    "{% for n in range(3) %}{{ url_for('i', n=n, class='<') }}{% endfor %}",
    "{{ url_for('i', **values) }}{{ url_for(*['i']) }}{{ url_for('i', n=1, **{'m': 2}) }}",
    "{{ url_for('i', endpoint='j') }}", "{{ url_for('i', 'j') }}", "{{ url_for() }}",
    "{{ url_for('i', n=1, n=2) }}", "{{ url_for('i', _external=true) }}", "{{ url_for|length }}",
    "{% set url_for = with_context %}{% for n in range(2) %}{{ url_for('i', n=n) }}{% endfor %}",
    "{{ stop(1) }}", "{{ stop(1).more }}", "{{ nothing() }}", "{{ nothing.more() }}",
    "{{ number() }}",
    "{{ caller_(1) }}{{ caller_.method(1, a='<') }}{{ caller_.with_context(2) }}"
    "{{ length('abc') }}",
    "{% for n in range(2) %}{{ with_context(1, a=2) }}{{ caller_.with_context(n) }}{% endfor %}",
    "{{ with_eval_context(1) }}{{ with_environment(1) }}{{ call_with_context(1) }}",
    "{{ like_a_class(1) }}{{ kind('3') }}{{ dict(a=1) }}{{ many.index(1) }}{{ x.upper() }}",
    "{{ length() }}", "{{ x.no_method() }}", "{{ lipsum(n=1, html=false)|length > 5 }}",
    "{% macro m(a, b='<') %}{{ a }}{{ b }}{{ varargs }}{{ kwargs }}{% endmacro %}"
    "{{ m(1) }}{{ m() }}"
    "{{ m(x, b=x) }}{{ m(1, 2, 3, c=4) }}",
    "{% macro m() %}[{{ caller(x) }}]{% endmacro %}{% call(v) m() %}{{ v }}{% endcall %}",
    "{% macro m() %}{{ x }}{% endmacro %}{% autoescape false %}{{ m() }}{{ x }}{% endautoescape %}",
    "{% autoescape number %}{{ x }}{{ text }}{% endautoescape %}",
    "{% autoescape none %}{{ x }}{{ url_for('i', n=1) }}{% endautoescape %}",
    "{% from 'macros.html' import m, exported %}{{ m(x) }}{{ exported }}{{ m(1, 2, z=3) }}"
    "{% call m(1) %}{{ x }}{% endcall %}",
    "{% import 'macros.html' as tools %}{{ tools.m(x) }}{{ tools.nothing }}{{ tools }}",
    "{% extends 'base.html' %}{% block a %}{{ super() }}+{{ url_for('i', n=x) }}{% endblock %}",
    "{% extends 'base.html' %}{% block b %}{{ self.a() }}{{ with_context() }}{% endblock %}",
    "{% block one %}{% for n in [1] %}{{ with_context(n) }}{% endfor %}{% endblock %}"
    "{{ self.one() }}",
    "{% for n in range(2) %}{% include 'part.html' %}{% endfor %}", "{% include 'none.html' %}",
    "{% set v %}{{ x }}{{ number }}{% endset %}{{ v }}{{ v|length }}",
    "{% filter upper %}{{ x }}{% endfilter %}{{ x|e }}{{ x|safe }}{{ x|forceescape }}"
    "{{ many|join }}",
    "{{ x|title }}{{ rows|map(attribute='name')|list }}{{ rows|tojson }}{{ x|replace('a', '<') }}",
    "{% trans count=number %}{{ count }} thing{% pluralize %}{{ count }} things{% endtrans %}"
    "{% trans v=x %}Hello {{ v }}{% endtrans %}{{ gettext('a %(v)s', v=x) }}{{ _('<') }}",
    "{% do many.append(4) if false %}{% for n in many %}{% break %}{% endfor %}"
    "{{ cycler('a').next() }}",
    "{% set ns = namespace(n=1) %}{% set ns.n = x %}{{ ns.n }}{{ joiner(',')() }}",
    "{{ x if yes else number }}{{ x if none }}{{ number is odd }}{{ 3 if number == -3 else x }}",
    "line one\n{{ x }}\n{{ failing }}", "one\ntwo {% for n in [1] %}\n{{ 1 // 0 }}{% endfor %}",
    "one\n{{ x", "{% for %}", "{{ x|no_filter }}", "{% if false %}{{ x|no_filter }}{% endif %}",
    "{{ x is no_test }}", "{% block a %}{% endblock %}{% block a %}{% endblock %}",
]  # fmt: skip


class Shouting(jinja2.Undefined):
    def __str__(self) -> str:
        return f"<NO {self._undefined_name}>"


def by_name(name: str | None) -> bool:
    return name is None or name.endswith(".html")


OPTIONS: dict[str, dict[str, Any]] = {
    "escaping": {"autoescape": True},
    "escaping by name": {"autoescape": by_name, "undefined": jinja2.StrictUndefined},
    "not escaping": {"optimized": False, "undefined": jinja2.ChainableUndefined},
    "finalize": {
        "autoescape": True,
        "undefined": Shouting,
        "finalize": lambda value: "" if value is None else value,
    },
    "finalize with context": {
        "finalize": jinja2.pass_context(lambda context, value: (context.get("number"), value)),
    },
    "async": {"autoescape": True, "enable_async": True},
}


class OurSandbox(SandboxedEnvironment, Environment):
    pass


def prepared(environment: Any) -> Any:
    environment.globals["url_for"] = url_for
    environment.install_gettext_callables(
        lambda text: text, lambda one, more, n: one if n == 1 else more, newstyle=True
    )
    return environment


def extended(options: dict[str, Any]) -> dict[str, Any]:
    return {
        "loader": jinja2.DictLoader(FILES),
        "extensions": [i18n, do, loopcontrols],
        **options,
    }


def ours(options: dict[str, Any], kind: type[Any] = Environment) -> Any:
    return prepared(kind(carboy.Flask("templates"), **extended(options)))


def outcome(environment: Any, source: str) -> tuple[Any, ...]:
    """The text, or the class and text of the error and where it is in the templates."""
    try:
        text = environment.from_string(source).render(VALUES)
        return (re.sub("0x[0-9a-f]+", "0x", text),)  # addresses of objects
    except Exception as error:
        lines = [
            frame.lineno
            for frame in traceback.extract_tb(error.__traceback__)
            if frame.filename in ("<template>", "<unknown>")
        ]
        if type(error) is SyntaxError:  # with the line of the Python code, which users never see
            return SyntaxError, error.msg
        return type(error), str(error), getattr(error, "lineno", None), lines


@pytest.mark.parametrize("name", OPTIONS)
def test_templates_give_the_same_text_or_error_as_with_jinja(name: str) -> None:
    theirs, our = prepared(jinja2.Environment(**extended(OPTIONS[name]))), ours(OPTIONS[name])
    for source in SOURCES:
        assert outcome(our, source) == outcome(theirs, source), source


def test_templates_of_a_sandbox_give_the_same_text_or_error() -> None:
    theirs = prepared(SandboxedEnvironment(**extended({"autoescape": True})))
    our = ours({"autoescape": True}, OurSandbox)
    sources = [*SOURCES, "{{ x.__class__.mro() }}", "{{ x.format_map }}", "{{ '{0.x}'.format(x) }}"]
    for source in sources:
        assert outcome(our, source) == outcome(theirs, source), source


def test_templates_without_shortcuts_are_compiled_by_jinja() -> None:
    app = carboy.Flask("templates")
    app.config["TEMPLATE_SHORTCUTS"] = False
    environment = app.jinja_env
    theirs = jinja2.Environment(autoescape=True)
    source = "{{ x }}{{ url_for('i') }}"
    assert "carboy" not in environment.compile(source, raw=True)
    assert environment.compile(source, raw=True) == theirs.compile(source, raw=True)
    assert environment.context_class is jinja2.Environment.context_class


def test_a_subclass_keeps_its_own_generator_and_context() -> None:
    class Generator(jinja2.Environment.code_generator_class):  # type: ignore[name-defined,misc]
        pass

    class OwnContext(jinja2.Environment.context_class):  # type: ignore[name-defined,misc]
        def call(self, function: Any, *args: Any, **values: Any) -> str:
            return f"[{function.__name__} {args}]"

    class Own(Environment):
        code_generator_class = Generator
        context_class = OwnContext

    class Other(Environment):
        context_class = OwnContext

    app = carboy.Flask("templates")
    app.config["TEMPLATE_SHORTCUTS"] = False
    assert Own(app).code_generator_class is Generator
    assert Own(app).context_class is OwnContext
    for kind in (Own, Other):
        environment = ours({}, kind)
        assert environment.from_string("{{ url_for('i', n=1) }}").render() == "[url_for ('i',)]"


def test_the_pieces_of_an_environment_that_joins_them_itself_are_those_of_jinja() -> None:
    def joined(pieces: Any) -> Any:
        return [type(piece).__name__ for piece in pieces]

    class Joining(Environment):
        concat = staticmethod(joined)  # type: ignore[assignment]

    class Theirs(jinja2.Environment):
        concat = staticmethod(joined)  # type: ignore[assignment]

    source = "a{{ x }}b{{ 3 ~ x }}"
    ours_ = Joining(carboy.Flask("templates"), autoescape=True).from_string(source).render(VALUES)
    assert ours_ == Theirs(autoescape=True).from_string(source).render(VALUES)


def test_an_overlay_and_a_compiled_folder_give_the_same_text(tmp_path: Any) -> None:
    source = "{{ x }}{{ url_for('i', n=1) }}{{ row.name }}"
    environment = ours({"autoescape": True})
    overlay = environment.overlay(autoescape=False, finalize=lambda value: f"({value})")
    theirs = prepared(jinja2.Environment(**extended({"finalize": lambda value: f"({value})"})))
    assert outcome(overlay, source) == outcome(theirs, source)
    environment.compile_templates(str(tmp_path), zip=None)
    plain = prepared(
        jinja2.Environment(
            loader=jinja2.ModuleLoader(str(tmp_path)), extensions=[i18n], autoescape=True
        )
    )
    expected = ours({"autoescape": True}).get_template("base.html").render(VALUES)
    assert plain.get_template("base.html").render(VALUES) == expected


def test_an_async_template_is_rendered_in_a_loop() -> None:
    async def later() -> str:
        return "<later>"

    source = "{{ later() }}{{ url_for('i', n=1) }}{{ row.name }}"
    async_ = {"autoescape": True, "enable_async": True}
    texts = [
        asyncio.run(environment.from_string(source).render_async(VALUES, later=later))
        for environment in (ours(async_), prepared(jinja2.Environment(**extended(async_))))
    ]
    assert texts[0] == texts[1]
    assert "&lt;later&gt;" in texts[0]


# --- url_for of an application -----------------------------------------------------------


def site(framework: Any) -> Any:
    app = framework.Flask("site")
    app.secret_key = "k"
    blueprint = framework.Blueprint("shop", "shop", url_prefix="/shop")
    blueprint.add_url_rule("/<int:n>/<name>", "item", lambda n, name: "")
    app.register_blueprint(blueprint)
    app.add_url_rule("/i/<int:n>", "i", lambda n: "")
    app.add_url_rule("/<lang>/page", "page", lambda lang: "")
    app.add_url_rule("/", "home", lambda: "")
    return app


LINKS = [
    "{{ url_for('i', n=3) }} {{ url_for('i', n=3, q='a&b', r='x') }} {{ url_for('home') }}",
    "{{ url_for('shop.item', n=1, name='a b/<') }} {{ url_for('home', class='c') }}",
    "{{ url_for('.item', n=1, name='x') }}", "{{ url_for('i', n='text') }}", "{{ url_for('i') }}",
    "{{ url_for('page', lang='de') }}", "{{ url_for('page') }}", "{{ url_for('nothing', a=1) }}",
    "{{ url_for('home', _external=true) }} {{ url_for('home', _anchor='a') }}",
    "{{ url_for('i', n=none) }}", "{{ url_for('home', q=[1, 2], r=none) }}",
    "{{ url_for('static', filename='a.css') }}",
]  # fmt: skip


def links(framework: Any, change: Callable[[Any, Any], object], **request: Any) -> list[Any]:
    """The links of an application that `change` has changed, after a first page with them."""
    app = site(framework)
    found: list[Any] = []
    for again in (False, True):
        found.clear()
        if again:
            change(app, framework)
        with app.test_request_context("/shop/1/x", **request):
            for source in LINKS:
                try:
                    found.append(framework.render_template_string(source))
                except Exception as error:
                    found.append((type(error).__name__, error.args[:1]))
        app._got_first_request = False
    return found


def nothing(app: Any, framework: Any) -> None:
    pass


def global_function(app: Any, framework: Any) -> None:
    app.jinja_env.globals["url_for"] = lambda endpoint, **values: f"my {endpoint}"


def processor(app: Any, framework: Any) -> None:
    def dated(endpoint: str, **values: Any) -> str:
        return str(framework.url_for(endpoint, v=1, **values))

    app.context_processor(lambda: {"url_for": dated})


def defaults(app: Any, framework: Any) -> None:
    app.url_defaults(lambda endpoint, values: values.setdefault("lang", "en"))


def own_defaults(app: Any, framework: Any) -> None:
    app.inject_url_defaults = lambda endpoint, values: values.update(lang="fr")


def class_defaults(app: Any, framework: Any) -> None:
    class Own(type(app)):  # type: ignore[misc]
        def inject_url_defaults(self, endpoint: str, values: dict[str, Any]) -> None:
            values["lang"] = "it"

    app.__class__ = Own


def handler(app: Any, framework: Any) -> None:
    app.url_build_error_handlers.append(lambda error, endpoint, values: f"no {endpoint} {values}")


def adapter(app: Any, framework: Any) -> None:
    create = app.create_url_adapter

    def made(request: Any) -> Any:
        found = create(request)
        if found is not None:
            found.script_name = "/other/"
        return found

    app.create_url_adapter = made


CHANGES = [nothing, global_function, processor, defaults, own_defaults, class_defaults, handler,
           adapter]  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
def test_links_are_those_of_flask_after_any_change(change: Any) -> None:
    assert links(carboy, change) == links(flask, change)


def test_links_below_a_prefix_are_those_of_flask() -> None:
    environ = {"environ_overrides": {"SCRIPT_NAME": "/below"}}
    found = links(carboy, nothing, **environ)
    assert found == links(flask, nothing, **environ)
    assert found[0].startswith("/below/i/3 ")


def test_a_url_for_that_a_subclass_defines_is_called() -> None:
    class Own(carboy.Flask):
        def url_for(self, endpoint: str, **values: Any) -> str:  # type: ignore[override]
            return f"own {endpoint} {values}"

    app = Own("own")
    app.add_url_rule("/i/<int:n>", "i", lambda n: "")
    with app.test_request_context("/"):
        assert carboy.render_template_string("{{ url_for('i', n=1) }}") == "own i {&#39;n&#39;: 1}"


def test_links_of_another_application_are_built_by_that_application() -> None:
    one, two = site(carboy), site(carboy)
    two.url_defaults(lambda endpoint, values: values.setdefault("q", 1))
    one.jinja_env.globals["url_for"] = two.url_for
    with one.test_request_context("/"):
        assert carboy.render_template_string("{{ url_for('home') }}") == "/?q=1"


def test_our_environment_has_the_shortcuts() -> None:
    environment = carboy.Flask("templates").jinja_env
    assert environment.code_generator_class is CodeGenerator
    assert environment.context_class is Context
