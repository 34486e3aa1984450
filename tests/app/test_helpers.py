"""URLs, files, streams and the other functions that views call."""

from __future__ import annotations

import io
from datetime import timedelta
from pathlib import Path

import pytest

FILES = Path(__file__).parent / "files"


def filed(fl, **kwargs):
    return fl.Flask("scenario", root_path=str(FILES), **kwargs)


URLS = {
    "plain": {"endpoint": "a"},
    "external": {"endpoint": "a", "_external": True},
    "scheme": {"endpoint": "a", "_scheme": "https"},
    "scheme and external": {"endpoint": "a", "_scheme": "https", "_external": True},
    "scheme but not external": {"endpoint": "a", "_scheme": "https", "_external": False},
    "anchor": {"endpoint": "a", "_anchor": "x y#é/?%41"},
    "empty anchor": {"endpoint": "a", "_anchor": ""},
    "query": {"endpoint": "a", "q": "é &", "r": [1, 2], "n": None},
    "value": {"endpoint": "item", "n": 5},
    "value and query": {"endpoint": "item", "n": 5, "x": "y"},
    "value missing": {"endpoint": "item"},
    "value of the wrong type": {"endpoint": "item", "n": "x"},
    "by method": {"endpoint": "both", "_method": "POST"},
    "by another method": {"endpoint": "both", "_method": "GET"},
    "by a method it has not": {"endpoint": "a", "_method": "POST"},
    "relative": {"endpoint": ".other"},
    "relative to nothing": {"endpoint": ".a"},
    "blueprint": {"endpoint": "bp.other"},
    "static": {"endpoint": "static", "filename": "a/b c.txt"},
    "blueprint's static": {"endpoint": "bp.static", "filename": "x"},
    "unknown": {"endpoint": "nothing"},
    "default left out": {"endpoint": "paged", "page": 1},
    "default given": {"endpoint": "paged", "page": 2},
    "values by names of parameters": {"endpoint": "a", "self": 1, "values": 2},
}


@pytest.mark.parametrize("name", URLS)
@pytest.mark.parametrize("path", ["/a?x=1", "/bp/self", "/missing"])
@pytest.mark.parametrize("settings", [{}, {"SERVER_NAME": "ex.com:81", "APPLICATION_ROOT": "/r"}])
def test_urls_are_built_alike(pair, name, path, settings) -> None:
    def build(fl, log):
        app = fl.Flask("scenario")
        app.config.update(settings)
        bp = fl.Blueprint("bp", "scenario", url_prefix="/bp", static_folder="static")
        bp.add_url_rule("/self", "self", lambda: "x")
        bp.add_url_rule("/other", "other", lambda: "x")
        app.register_blueprint(bp)
        app.add_url_rule("/a", "a", lambda: "x")
        app.add_url_rule("/item/<int:n>", "item", lambda n: "x")
        app.add_url_rule("/get", "both", lambda: "x")
        app.add_url_rule("/post", "both", methods=["POST"])
        app.add_url_rule("/p/<int:page>", "paged", lambda page: "x")
        app.add_url_rule("/p", "paged", defaults={"page": 1})

        @app.before_request
        def before():
            values = dict(URLS[name])
            endpoint = values.pop("endpoint")
            try:
                log.append(fl.url_for(endpoint, **values))
            except Exception as error:
                log.append(type(error).__name__)
            values = dict(URLS[name])
            try:
                log.append(app.url_for(values.pop("endpoint"), **values))
            except Exception as error:
                log.append(type(error).__name__)

        return app

    pair(build, path)


@pytest.mark.parametrize("name", URLS)
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"SERVER_NAME": "ex.com"},
        {"SERVER_NAME": "ex.com", "PREFERRED_URL_SCHEME": "https", "APPLICATION_ROOT": "/r/"},
    ],
)
def test_urls_outside_a_request_are_built_alike(pair, name, settings) -> None:
    found = []
    for fl in (pair.flask, pair.carboy):
        app = fl.Flask("scenario")
        app.config.update(settings)
        app.add_url_rule("/a", "a", lambda: "x")
        app.add_url_rule("/item/<int:n>", "item", lambda n: "x")
        values = dict(URLS[name])
        endpoint = values.pop("endpoint")
        with app.app_context():
            try:
                found.append(fl.url_for(endpoint, **values))
            except Exception as error:
                found.append(type(error).__name__)
    assert found[0] == found[1]


def test_url_build_error_handlers_are_called_in_order(pair) -> None:
    def build(fl, log):
        app = fl.Flask("scenario")

        def first(error, endpoint, values):
            log.append((endpoint, sorted(values)))
            if endpoint == "twice":
                raise fl.routing.BuildError("other", {}, None)
            return None

        def second(error, endpoint, values):
            log.append(error.endpoint)
            return "/external" if endpoint == "found" else None

        app.url_build_error_handlers += [first, second]
        app.config["PROPAGATE_EXCEPTIONS"] = True
        app.add_url_rule("/<name>", "view", lambda name: fl.url_for(name, q=1, _anchor="z"))
        return app

    pair(build, "/found", "/twice", "/lost")


FILES_ASKED = [
    ("/static/style.css", {}),
    ("/static/digits.txt", {}),
    ("/static/", {}),
    ("/static/missing.css", {}),
    ("/static/../test_helpers.py", {}),
    ("/static/%2e%2e/settings.py.txt", {}),
    ("/static/digits.txt", {"Range": "bytes=2-4"}),
    ("/static/digits.txt", {"Range": "bytes=-3"}),
    ("/static/digits.txt", {"Range": "bytes=20-"}),
    ("/static/digits.txt", {"Range": "nonsense"}),
    ("/static/digits.txt", {"If-None-Match": "*"}),
    ("/static/digits.txt", {"If-Modified-Since": "Fri, 01 Jan 2100 00:00:00 GMT"}),
    ("/static/digits.txt", {"If-Modified-Since": "Thu, 01 Jan 1970 00:00:00 GMT"}),
    ("/send", {}),
    ("/attachment", {}),
    ("/memory", {}),
    ("/memory-unnamed", {}),
    ("/from", {}),
    ("/from-missing", {}),
    ("/etag", {}),
    ("/age", {}),
]


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(("path", "headers"), FILES_ASKED, ids=str)
@pytest.mark.parametrize("max_age", [None, 60, timedelta(hours=1)])
def test_files_are_sent_alike(pair, method, path, headers, max_age) -> None:
    def build(fl, log):
        app = filed(fl)
        app.config["SEND_FILE_MAX_AGE_DEFAULT"] = max_age
        app.config["PROPAGATE_EXCEPTIONS"] = True
        send = fl.send_file
        app.add_url_rule("/send", "send", lambda: send("static/style.css"))
        app.add_url_rule(
            "/attachment",
            "attachment",
            lambda: send("static/digits.txt", as_attachment=True, download_name="é x.txt"),
        )
        app.add_url_rule(
            "/memory",
            "memory",
            lambda: send(io.BytesIO(b"abc"), mimetype="text/x", last_modified=1_600_000_000),
        )
        app.add_url_rule("/memory-unnamed", "unnamed", lambda: send(io.BytesIO(b"abc")))
        app.add_url_rule(
            "/from", "from", lambda: fl.send_from_directory("static", "digits.txt", etag=False)
        )
        app.add_url_rule(
            "/from-missing", "missing", lambda: fl.send_from_directory("static", "../x")
        )
        app.add_url_rule("/etag", "etag", lambda: send("static/digits.txt", etag="mine"))
        app.add_url_rule("/age", "age", lambda: send("static/digits.txt", max_age=lambda name: 7))
        return app

    pair(build, pair.Req(path, method, headers))


@pytest.mark.parametrize(
    ("options", "path"),
    [
        ({"static_folder": None}, "/static/digits.txt"),
        ({"static_folder": "bp/static"}, "/static/b.txt"),
        ({"static_url_path": ""}, "/digits.txt"),
        ({"static_url_path": "/files/"}, "/files/digits.txt"),
        ({"static_folder": str(FILES / "static"), "static_url_path": "/x"}, "/x/digits.txt"),
        ({"static_folder": "static/"}, "/static/digits.txt"),
    ],
)
def test_the_static_folder_is_served_as_configured(pair, options, path) -> None:
    def build(fl, log):
        app = filed(fl, **options)
        log.append((app.static_url_path, app.static_folder, app.has_static_folder))
        log.append(sorted(rule.rule for rule in app.url_map.iter_rules()))
        return app

    pair(build, path)


def test_a_blueprint_has_its_own_static_files(pair) -> None:
    def build(fl, log):
        app = filed(fl)
        bp = fl.Blueprint(
            "bp", "scenario", root_path=str(FILES / "bp"), static_folder="static", url_prefix="/bp"
        )

        class Quick(fl.Blueprint):
            def get_send_file_max_age(self, filename):
                log.append(filename)
                return 5

        quick = Quick(
            "quick",
            "scenario",
            root_path=str(FILES / "bp"),
            static_folder="static",
            static_url_path="/q",
        )
        app.register_blueprint(bp)
        app.register_blueprint(quick)
        return app

    pair(build, "/bp/static/b.txt", "/q/b.txt", "/bp/static/none", status=404)


def test_an_overridden_max_age_of_the_application_is_used(pair) -> None:
    def build(fl, log):
        class Own(fl.Flask):
            def get_send_file_max_age(self, name):
                log.append(str(name).rpartition("/")[2])
                return 3

        app = Own("scenario", root_path=str(FILES))
        app.add_url_rule("/send", "send", lambda: fl.send_file("static/style.css"))
        return app

    pair(build, "/static/digits.txt", "/send", status=200)


def test_resources_are_opened_for_reading_only(pair) -> None:
    def read(opener, *args, **kwargs):
        try:
            with opener(*args, **kwargs) as file:
                return repr(file.read())
        except Exception as error:
            return type(error).__name__

    found = []
    for fl in (pair.flask, pair.carboy):
        app = filed(fl, instance_path=str(FILES))
        bp = fl.Blueprint("bp", "scenario", root_path=str(FILES / "bp"))
        found.append(
            [
                read(app.open_resource, "static/digits.txt"),
                read(app.open_resource, "static/digits.txt", "r"),
                read(app.open_resource, "static/digits.txt", mode="rt", encoding="utf-8"),
                read(app.open_resource, "static/digits.txt", "w"),
                read(app.open_resource, "static/digits.txt", "rb+"),
                read(app.open_resource, "nothing"),
                read(bp.open_resource, "static/b.txt", "r"),
                read(app.open_instance_resource, "static/digits.txt"),
                read(app.open_instance_resource, "static/digits.txt", "r"),
            ]
        )
    assert found[0] == found[1]
    assert found[0][:4] == ["b'0123456789'", "'0123456789'", "'0123456789'", "ValueError"]


def test_a_stream_with_context_still_sees_the_request(pair) -> None:
    def build(fl, log):
        app = fl.Flask("scenario")
        app.secret_key = "k"
        app.teardown_request(lambda exc: log.append(f"teardown {fl.request.path}"))
        app.teardown_appcontext(lambda exc: log.append(f"context {fl.has_request_context()}"))

        @app.route("/iterator")
        def iterator():
            fl.g.x = 1

            def pieces():
                try:
                    yield fl.request.args["a"]
                    yield str(fl.g.x)
                    yield str(fl.session.get("none"))
                finally:
                    log.append("closed")

            return fl.stream_with_context(pieces())

        @app.route("/decorated")
        def decorated():
            @fl.stream_with_context
            def pieces(n):
                yield fl.request.path * n

            return fl.Response(pieces(2))

        @app.route("/without")
        def without():
            def pieces():
                yield str(fl.has_request_context())

            return pieces()

        @app.route("/fails")
        def fails():
            def pieces():
                yield "a"
                raise ValueError

            return fl.stream_with_context(pieces())

        return app

    pair(build, "/iterator?a=1", "/decorated", "/without", "/fails", "/iterator?a=2", status=200)


def test_nothing_is_active_after_a_stream(pair, fl) -> None:
    app = fl.Flask("scenario")
    app.add_url_rule("/", "v", lambda: fl.stream_with_context(iter(["a", "b"])))
    for call in (pair.call_wsgi, pair.call_direct):
        assert call(app, pair.Req("/")).body == b"ab"
        assert not fl.has_request_context()
        assert not fl.has_app_context()


def test_a_stream_needs_a_request(pair) -> None:
    for fl in (pair.flask, pair.carboy):
        with pytest.raises(RuntimeError):
            fl.stream_with_context(iter("ab"))
        decorated = fl.stream_with_context(lambda: iter("ab"))
        with pytest.raises(RuntimeError):
            decorated()


def test_abort_and_redirect_use_the_active_application(pair) -> None:
    def build(fl, log):
        class Teapot(fl.exceptions.HTTPException):
            code = 418

        class Own(fl.Flask):
            def redirect(self, location, code=302):
                log.append(location)
                return super().redirect(location, 307)

            def make_aborter(self):
                aborter = super().make_aborter()
                aborter.mapping[799] = Teapot
                return aborter

        app = Own("scenario")
        app.add_url_rule("/redirect", "r", lambda: fl.redirect("/é"))
        app.add_url_rule("/abort/<int:n>", "a", fl.abort)
        app.add_url_rule("/response", "s", lambda: fl.abort(fl.Response("x", 402)))
        app.add_url_rule("/described", "d", lambda: fl.abort(404, description="d"))
        return app

    pair(build, "/redirect", "/abort/404", "/abort/799", "/response", "/described", status=404)


def test_abort_and_redirect_work_without_an_application(pair) -> None:
    for fl in (pair.flask, pair.carboy):
        with pytest.raises(fl.exceptions.Forbidden):
            fl.abort(403)
        assert fl.redirect("/x").status_code == 302
        with pytest.raises(LookupError):
            fl.abort(799)


@pytest.mark.parametrize("value", [None, "", "0", "1", "False", "no", "yes", "TRUE", "x"])
def test_the_environment_turns_debug_mode_on_or_off(pair, monkeypatch, value) -> None:
    monkeypatch.delenv("CARBOY_DEBUG", raising=False)
    for name in ("FLASK_DEBUG", "FLASK_SKIP_DOTENV"):
        monkeypatch.delenv(name, raising=False)
        if value is not None:
            monkeypatch.setenv(name, value)
    found = [
        (
            fl.helpers.get_debug_flag(),
            fl.helpers.get_load_dotenv(),
            fl.helpers.get_load_dotenv(default=False),
            fl.Flask("x").debug,
        )
        for fl in (pair.flask, pair.carboy)
    ]
    assert found[0] == found[1]


def test_a_module_without_a_file_has_no_folder(pair) -> None:
    for fl in (pair.flask, pair.carboy):
        with pytest.raises(RuntimeError):
            fl.helpers.get_root_path("sys")


@pytest.mark.parametrize("name", ["json", "email.mime", "nothing_of_that_name", "carboy"])
def test_the_folder_of_a_module_is_found(pair, name) -> None:
    found = [
        (fl.helpers.get_root_path(name), fl.Flask(name).instance_path, fl.Flask(name).name)
        for fl in (pair.flask, pair.carboy)
    ]
    assert found[0] == found[1]
