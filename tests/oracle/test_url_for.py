"""url_for in all cases: contexts, blueprints, hosts, roots, schemes, and URLs that do not exist."""

from __future__ import annotations

import pytest

from black_box import outcome
from scenarios import Req, scenario

CALLS = [
    "url_for('index')",
    "url_for('index', a=1, b='ü', c=None)",
    "url_for('index', _anchor='x y/ü#')",
    "url_for('index', _anchor='')",
    "url_for('index', _external=True)",
    "url_for('index', _external=False)",
    "url_for('index', _external=True, _scheme='https')",
    "url_for('index', _external=True, _scheme='')",
    "url_for('index', _scheme='https')",
    "url_for('index', _scheme='https', _external=False)",
    "url_for('index', _scheme='')",
    "url_for('index', _scheme='ws', _external=True)",
    "url_for('index', list=[1, 2], tuple=('a',))",
    "url_for('index', _method='POST')",
    "url_for('item', n=5)",
    "url_for('item', n='5')",
    "url_for('item', n='x')",
    "url_for('item', n=-1)",
    "url_for('item')",
    "url_for('item', n=5, _anchor='a', _external=True, q='a b')",
    "url_for('item', n=5, _method='PUT')",
    "url_for('text', t='a/b ü?')",
    "url_for('text', t='')",
    "url_for('path', p='a/b ü?#')",
    "url_for('float', f=1.5)",
    "url_for('float', f=2)",
    "url_for('any', a='one')",
    "url_for('any', a='three')",
    "url_for('uuid', u='12345678-1234-5678-1234-567812345678')",
    "url_for('pages')",
    "url_for('pages', page=1)",
    "url_for('pages', page=2)",
    "url_for('missing')",
    "url_for('missing', a=1, _external=True)",
    "url_for('.index')",
    "url_for('.view')",
    "url_for('bp.view')",
    "url_for('bp.child.view')",
    "url_for('.child.view')",
    "url_for('.static', filename='a.css')",
    "url_for('bp.static', filename='a.css')",
    "url_for('static', filename='a/b c.css', v=1)",
    "url_for('static')",
    "url_for('sub')",
    "url_for('sub', _external=True)",
    "url_for('socket')",
    "url_for('socket', _external=True)",
    "url_for('socket', _external=True, _scheme='https')",
    "url_for('build_only')",
    "url_for('')",
    "url_for('methods')",
    "url_for('methods', _method='POST')",
    "url_for('methods', _method='DELETE')",
    "redirect(url_for('index')).location",
    "current_app.url_for('index')",
    "current_app.url_for('.view')",
    "current_app.url_for('index', _external=True)",
]
CODE = {call: compile(call, "<call>", "eval") for call in CALLS}
CONFIGS = [
    {},
    {"SERVER_NAME": "example.com"},
    {"SERVER_NAME": "example.com:8080", "PREFERRED_URL_SCHEME": "https"},
    {"APPLICATION_ROOT": "/app"},
    {"SERVER_NAME": "example.com", "APPLICATION_ROOT": "/app/"},
]


def made(fl, config, **options):
    app = fl.Flask("scenario", **options)
    app.config.update(config)

    def view(**values):
        names = {
            "url_for": fl.url_for,
            "redirect": fl.redirect,
            "current_app": fl.current_app,
        }
        return "\n".join(
            f"{call} {outcome(lambda code=code: eval(code, names))}" for call, code in CODE.items()
        )

    app.add_url_rule("/", "index", view)
    app.add_url_rule("/item/<int:n>", "item", view, methods=["GET", "PUT"])
    app.add_url_rule("/text/<t>", "text", view)
    app.add_url_rule("/path/<path:p>", "path", view)
    app.add_url_rule("/float/<float:f>", "float", view)
    app.add_url_rule("/any/<any(one, two):a>", "any", view)
    app.add_url_rule("/uuid/<uuid:u>", "uuid", view)
    app.add_url_rule("/pages/", "pages", view, defaults={"page": 1})
    app.add_url_rule("/pages/<int:page>", "pages", view)
    app.add_url_rule("/sub", "sub", view, subdomain="sub")
    app.add_url_rule("/socket", "socket", view, websocket=True)
    app.add_url_rule("/built", "build_only", build_only=True)
    app.add_url_rule("/get", "methods", view, methods=["GET"])
    app.add_url_rule("/post", "methods", view, methods=["POST"])
    bp = fl.Blueprint("bp", "scenario", url_prefix="/bp", static_folder="static")
    child = fl.Blueprint("child", "scenario", url_prefix="/child")
    bp.add_url_rule("/", "view", view)
    bp.add_url_rule("/", "index", view)
    child.add_url_rule("/view", "view", view)
    bp.register_blueprint(child)
    app.register_blueprint(bp)
    return app, view


@pytest.mark.parametrize("config", CONFIGS, ids=str)
@pytest.mark.parametrize("path", ["/", "/bp/", "/bp/child/view"])
@pytest.mark.parametrize("subdomain_matching", [False, True])
def test_urls_of_a_request(pair, config, path, subdomain_matching) -> None:
    def build(fl, log):
        return made(fl, config, subdomain_matching=subdomain_matching)[0]

    for host in ["example.com", "example.com:8080", "sub.example.com", "other"]:
        pair(build, Req(path, host=host), Req(path, host=host, scheme="https"))


@pytest.mark.parametrize("config", CONFIGS, ids=str)
def test_urls_outside_a_request(pair, config) -> None:
    found = []
    for fl in (pair.flask, pair.carboy):
        app, view = made(fl, config)
        with app.app_context():
            found.append(view())
    assert found[0] == found[1]


@pytest.mark.parametrize("config", CONFIGS, ids=str)
@pytest.mark.parametrize("options", [{}, {"base_url": "https://b.example.com/x"}, {"path": "/bp/"}])
def test_urls_of_a_test_request(pair, config, options) -> None:
    found = []
    for fl in (pair.flask, pair.carboy):
        app, view = made(fl, config)
        with app.test_request_context(**options):
            found.append((view(), fl.request.url, fl.request.endpoint))
    assert found[0] == found[1]


@scenario("/", "/bp/", status=200)
def test_handlers_of_build_errors_are_called_in_order(fl, log):
    app = fl.Flask("scenario")

    def first(error, endpoint, values):
        log.append((type(error).__name__, endpoint, sorted(values.items())))
        return f"/first/{endpoint}" if endpoint == "one" else None

    def second(error, endpoint, values):
        if endpoint.endswith("two"):
            return "/second"
        raise error if endpoint == "three" else ValueError

    app.url_build_error_handlers += [first, second]

    def view():
        endpoints = ["one", "two", ".two", "three", "four"]
        return "\n".join(
            outcome(lambda e=e: fl.url_for(e, a=1, _external=True, _anchor="x", _method="PUT"))
            for e in endpoints
        )

    app.add_url_rule("/", "v", view)
    bp = fl.Blueprint("bp", "scenario", url_prefix="/bp")
    bp.add_url_rule("/", "v", view)
    app.register_blueprint(bp)
    return app


@pytest.mark.parametrize("host", ["a.test", "b.test", "c.test:81", "c.test", "x.wild.test", "no"])
def test_hosts_are_matched_and_built(pair, host) -> None:
    def build(fl, log):
        app = fl.Flask("scenario", host_matching=True, static_host="a.test")

        def view(**values):
            calls = [
                ("a", {}),
                ("b", {}),
                ("c", {}),
                ("wild", {"name": "q"}),
                ("wild", {}),
                ("static", {"filename": "f"}),
            ]
            return f"{fl.request.endpoint} {values} " + " ".join(
                outcome(lambda e=e, v=v: fl.url_for(e, **v)) for e, v in calls
            )

        app.add_url_rule("/", "a", view, host="a.test")
        app.add_url_rule("/", "b", view, host="b.test")
        app.add_url_rule("/", "c", view, host="c.test:81")
        app.add_url_rule("/", "wild", view, host="<name>.wild.test")
        return app

    pair(build, Req("/", host=host), Req("/static/f", host=host))


@pytest.mark.parametrize("server_name", [None, "test", "test:8000", "test:80"])
@pytest.mark.parametrize("matching", [False, True])
def test_subdomains_are_matched(pair, server_name, matching, recwarn) -> None:
    def build(fl, log):
        app = fl.Flask("scenario", subdomain_matching=matching)
        app.config["SERVER_NAME"] = server_name

        def view(**values):
            return f"{fl.request.endpoint} {values} {fl.url_for('user', who='z')}"

        app.add_url_rule("/", "index", view)
        app.add_url_rule("/", "fixed", view, subdomain="fixed")
        app.add_url_rule("/", "user", view, subdomain="<who>")
        bp = fl.Blueprint("bp", "scenario", subdomain="deep")
        child = fl.Blueprint("child", "scenario", subdomain="very")
        bp.add_url_rule("/bp", "bp", view)
        child.add_url_rule("/child", "child", view)
        bp.register_blueprint(child)
        app.register_blueprint(bp)
        return app

    for host in ["test", "fixed.test", "me.test", "me.test:8000", "a.b.test", "deep.test"]:
        pair(build, Req("/", host=host), Req("/bp", host=host))
        pair(build, Req("/child", host=f"very.{host}"), Req("/child", host=host))


@pytest.mark.parametrize("trusted", [["a.test"], [".a.test"], [], ["a.test", "b.test:81"]])
@pytest.mark.parametrize("server_name", [None, "a.test"])
def test_only_trusted_hosts_are_answered(pair, trusted, server_name) -> None:
    def build(fl, log):
        app = fl.Flask("scenario")
        app.config.update(TRUSTED_HOSTS=trusted, SERVER_NAME=server_name)
        app.before_request(lambda: log.append("before"))
        app.teardown_request(lambda error: log.append(type(error).__name__))
        app.register_error_handler(400, lambda error: (type(error).__name__, 400))

        @app.route("/")
        def view():
            return f"{fl.request.host} {fl.request.url} {fl.url_for('view', _external=True)}"

        return app

    hosts = ["a.test", "x.a.test", "b.test", "b.test:81", "b.test:82", "A.test", "a.test."]
    for host in hosts:
        pair(build, Req("/", host=host))
