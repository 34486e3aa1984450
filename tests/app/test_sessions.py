"""Sessions: cookies read by Flask and Carboy alike, and when they are sent."""

from __future__ import annotations

import itertools
import uuid
from datetime import UTC, datetime, timedelta

import pytest
from markupsafe import Markup

import carboy
from carboy.app.sessions import SecureCookieSessionInterface, session_json_serializer

pytestmark = pytest.mark.usefixtures("frozen")


def build_with(**settings):
    """An application with views for every operation on a session."""

    def build(fl, log):
        app = fl.Flask("scenario")
        app.secret_key = "k"
        app.config.update(settings)
        session = fl.session

        def show():
            return {"items": sorted(map(str, session.items())), "new": session.new}

        views = {
            "nothing": lambda: "nothing",
            "read": lambda: str(session.get("a")),
            "contains": lambda: str("a" in session),
            "length": lambda: str(len(session)),
            "iterate": lambda: str(sorted(session)),
            "show": show,
            "set": lambda: session.update(a=1) or "set",
            "other": lambda: session.__setitem__("b", {"x": (1, b"2")}) or "other",
            "nested": lambda: session["b"].update(x=3) or "nested",
            "noticed": lambda: (
                session["b"].update(x=3) or setattr(session, "modified", True) or "noticed"
            ),
            "pop": lambda: str(session.pop("a", None)),
            "clear": lambda: session.clear() or "clear",
            "permanent": lambda: setattr(session, "permanent", True) or str(session.permanent),
            "long": lambda: session.update(long="a" * 300) or "long",
            "temporary": lambda: setattr(session, "permanent", False) or "temporary",
            "bool": lambda: str(bool(session)),
            "modified": lambda: f"{session.modified} {session.accessed}",
            "default": lambda: str(session.setdefault("a", 5)),
            "delete": lambda: session.__delitem__("a") or "delete",
            "merge": lambda: session.__ior__({"m": 1}) and "merge",
            "flash": lambda: fl.flash("é", "c") or "flash",
            "flashes": lambda: str(fl.get_flashed_messages(with_categories=True)),
            "isnull": lambda: type(session._get_current_object()).__name__,
        }
        for name, view in views.items():
            app.add_url_rule(f"/{name}", name, view)
        return app

    return build


STEPS = [
    "nothing",
    "read",
    "contains",
    "set",
    "other",
    "nested",
    "noticed",
    "pop",
    "clear",
    "permanent",
    "temporary",
]


@pytest.mark.parametrize("first", STEPS)
@pytest.mark.parametrize("second", STEPS)
def test_the_same_cookies_are_sent(pair, first, second) -> None:
    if "nested" in (first, second) or "noticed" in (first, second):
        pair(build_with(), "/other", f"/{first}", f"/{second}", "/show", "/nothing")
    else:
        pair(build_with(), f"/{first}", f"/{second}", "/show", "/nothing")


@pytest.mark.parametrize(
    "step",
    ["length", "iterate", "bool", "modified", "default", "flash", "flashes", "isnull", "merge"],
)
def test_every_access_to_the_session_adds_a_vary_field(pair, step) -> None:
    pair(build_with(), f"/{step}", "/set", f"/{step}", "/flashes", "/nothing", status=200)


def test_deleting_a_key_that_is_not_there_fails_alike(pair) -> None:
    pair(build_with(PROPAGATE_EXCEPTIONS=True), "/delete", "/set", "/delete", "/show", status=200)


@pytest.mark.parametrize("refresh", [True, False])
def test_a_permanent_session_is_sent_again_if_that_is_configured(pair, refresh) -> None:
    seen = pair(build_with(SESSION_REFRESH_EACH_REQUEST=refresh), "/permanent", "/nothing", "/read")
    assert bool(seen[1].all("Set-Cookie")) is refresh


def test_a_permanent_session_that_is_compressed_is_sent_again(pair) -> None:
    pair(build_with(), "/long", "/permanent", "/nothing", "/temporary", "/nothing", "/show")


def test_a_cookie_that_is_not_permanent_is_not_verified_if_the_session_is_not_used(
    monkeypatch,
) -> None:
    app = carboy.Flask("unused")
    app.secret_key = "k"
    app.add_url_rule("/", "hello", lambda: "hello")
    app.add_url_rule("/set", "set", lambda: carboy.session.update(a=1) or "set")
    client = app.test_client()
    client.get("/set")
    opened = []
    serializer = type(app.session_interface.get_signing_serializer(app))
    loads = serializer.loads
    monkeypatch.setattr(serializer, "loads", lambda *a, **k: opened.append(1) or loads(*a, **k))
    assert "Set-Cookie" not in client.get("/").headers
    assert not opened
    with client.session_transaction() as session:
        session.permanent = True
    opened.clear()
    assert "Set-Cookie" in client.get("/").headers
    assert opened


def test_every_cookie_is_verified_if_sessions_are_written_in_another_form() -> None:
    class Reversed(SecureCookieSessionInterface):
        class serializer:
            dumps = staticmethod(lambda value: session_json_serializer.dumps(value)[::-1])
            loads = staticmethod(lambda text: session_json_serializer.loads(text[::-1]))

    app = carboy.Flask("own")
    app.secret_key = "k"
    app.session_interface = Reversed()
    app.add_url_rule("/", "hello", lambda: "hello")
    app.add_url_rule("/set", "set", lambda: setattr(carboy.session, "permanent", True) or "set")
    client = app.test_client()
    client.get("/set")
    assert "Set-Cookie" in client.get("/").headers


@pytest.mark.parametrize(
    "settings",
    [
        {"SESSION_COOKIE_NAME": "other"},
        {"SESSION_COOKIE_DOMAIN": "example.com"},
        {"SESSION_COOKIE_PATH": "/a"},
        {"APPLICATION_ROOT": "/root"},
        {"SESSION_COOKIE_HTTPONLY": False},
        {"SESSION_COOKIE_SECURE": True},
        {"SESSION_COOKIE_SECURE": True, "SESSION_COOKIE_PARTITIONED": True},
        {"SESSION_COOKIE_SAMESITE": "Lax"},
        {"SESSION_COOKIE_SAMESITE": "Strict", "SESSION_COOKIE_DOMAIN": ".x.org"},
        {"PERMANENT_SESSION_LIFETIME": timedelta(hours=1)},
        {"PERMANENT_SESSION_LIFETIME": 60},
        {"SECRET_KEY": b"bytes"},
    ],
    ids=str,
)
def test_the_cookie_is_as_configured(pair, settings) -> None:
    pair(build_with(**settings), "/set", "/permanent", "/read", "/clear", "/nothing", status=200)


def test_without_a_secret_key_a_session_can_be_read_and_not_written(pair) -> None:
    settings = {"SECRET_KEY": None, "PROPAGATE_EXCEPTIONS": True}
    seen = pair(
        build_with(**settings), "/read", "/isnull", "/set", "/pop", "/clear", "/default", "/flash"
    )
    assert [each.error for each in seen[2:]] == ["RuntimeError"] * 5


@pytest.mark.parametrize(
    "value",
    [
        {"t": (1, 2, (3,))},
        {"b": b"\x00\xff"},
        {"m": Markup("<b>")},
        {"u": uuid.UUID(int=7)},
        {"d": datetime(2020, 1, 2, 3, 4, 5, 678, tzinfo=UTC)},
        {" t": 1},
        {"x": {" t": [1]}},
        {"x": {" di": {" t__": 1}}},
        {"n": [None, True, 1.5, "é", {}]},
        {"long": "x" * 3000},
    ],
    ids=str,
)
def test_a_cookie_signed_by_one_is_read_by_the_other(pair, value) -> None:
    def build(fl, log):
        app = fl.Flask("scenario")
        app.secret_key = "shared"

        @app.route("/write")
        def write():
            fl.session.update(value)
            return "ok"

        @app.route("/read")
        def read():
            return repr(sorted(fl.session.items(), key=str))

        return app

    # The jar of `pair` is the same at every step, so equal answers mean equal cookies.
    seen = pair(build, "/write", "/read", status=200)
    cookie = seen[0].get("Set-Cookie").partition(";")[0]
    for writer, reader in itertools.permutations((pair.flask, pair.carboy)):
        found = pair.carboy if reader is pair.carboy else pair.flask
        req = pair.Req("/read", headers={"Cookie": cookie})
        answer, _ = pair.run(found, pair.call_wsgi, build, (req,))
        assert answer[0].body == seen[1].body, writer


@pytest.mark.parametrize("cookie", ["", "x", "a.b.c", "session", "eyJhIjoxfQ.ZVPxAA.AAAA", "é"])
def test_a_bad_cookie_is_an_empty_session(pair, cookie) -> None:
    req = pair.Req("/show", headers={"Cookie": f"session={cookie}"})
    pair(build_with(), req, status=200)


def test_a_cookie_that_is_too_old_is_an_empty_session(pair, monkeypatch) -> None:
    seen = pair(build_with(), "/set")
    cookie = seen[0].get("Set-Cookie").partition(";")[0]
    monkeypatch.setattr("time.time", lambda: 1_700_000_000.0 + 32 * 86400)
    (late,) = pair(build_with(), pair.Req("/read", headers={"Cookie": cookie}), status=200)
    assert late.body == b"None"


def test_old_keys_verify_and_the_current_one_signs(pair) -> None:
    def build_keys(current, fallbacks):
        def build(fl, log):
            app = build_with()(fl, log)
            app.config.update(SECRET_KEY=current, SECRET_KEY_FALLBACKS=fallbacks)
            return app

        return build

    (old,) = pair(build_keys("old", None), "/set")
    cookie = {"Cookie": old.get("Set-Cookie").partition(";")[0]}
    (read,) = pair(build_keys("new", ["older", "old"]), pair.Req("/read", headers=cookie))
    assert read.body == b"1"
    (refused,) = pair(build_keys("new", ["older"]), pair.Req("/read", headers=cookie))
    assert refused.body == b"None"
    # the newest key signs: readable without the fallbacks
    (signed,) = pair(build_keys("new", ["old"]), "/set")
    cookie = {"Cookie": signed.get("Set-Cookie").partition(";")[0]}
    (read,) = pair(build_keys("new", None), pair.Req("/read", headers=cookie))
    assert read.body == b"1"


def test_a_custom_session_interface_is_called_as_in_flask(pair) -> None:
    def build(fl, log):
        class Session(dict, fl.sessions.SessionMixin):
            pass

        class Interface(fl.sessions.SessionInterface):
            def open_session(self, app, request):
                log.append(f"open {request.path} {request.endpoint}")
                return None if request.path == "/none" else Session(seen=1)

            def save_session(self, app, session, response):
                log.append(f"save {dict(session)} {session.accessed}")
                response.headers["X-Saved"] = "yes"

        app = fl.Flask("scenario")
        app.session_interface = Interface()
        app.add_url_rule("/", "view", lambda: "view")
        app.add_url_rule("/none", "none", lambda: "none")
        app.add_url_rule("/touch", "touch", lambda: str(fl.session["seen"]))
        return app

    pair(build, "/", "/touch", "/none", "/missing", status=404)


def test_an_overridden_method_of_the_default_interface_is_called(pair) -> None:
    def build(fl, log):
        class Interface(fl.sessions.SecureCookieSessionInterface):
            salt = "other"

            def get_cookie_name(self, app):
                return "own"

            def should_set_cookie(self, app, session):
                log.append("should")
                return super().should_set_cookie(app, session)

            def save_session(self, app, session, response):
                log.append("save")
                return super().save_session(app, session, response)

        app = build_with()(fl, log)
        app.session_interface = Interface()
        return app

    pair(build, "/set", "/read", "/nothing", "/permanent", "/nothing", status=200)


def test_a_session_of_a_custom_class_is_kept(pair) -> None:
    def build(fl, log):
        class Session(fl.sessions.SecureCookieSession):
            def double(self):
                return self.get("a", 0) * 2

        app = build_with()(fl, log)
        interface = fl.sessions.SecureCookieSessionInterface()
        interface.session_class = Session
        app.session_interface = interface
        app.add_url_rule("/double", "double", lambda: str(fl.session.double()))
        return app

    pair(build, "/set", "/double", status=200)


def test_an_after_request_function_may_change_the_session(pair) -> None:
    def build(fl, log):
        app = build_with()(fl, log)

        @app.after_request
        def after(response):
            fl.session["after"] = 1
            return response

        return app

    pair(build, "/nothing", "/show", status=200)


def test_flashed_messages_are_shown_once_and_by_category(pair) -> None:
    def build(fl, log):
        app = fl.Flask("scenario")
        app.secret_key = "k"

        @app.route("/flash")
        def flash():
            fl.flash("one")
            fl.flash("two", "error")
            fl.flash("<b>", "error")
            return "ok"

        @app.route("/show")
        def show():
            get = fl.get_flashed_messages
            return [
                get(category_filter=["error"]),
                get(),
                get(with_categories=True),
                get(category_filter=["none"]),
            ]

        return app

    pair(build, "/flash", "/show", "/show", status=200)


@pytest.mark.parametrize("secure", [True, False])
def test_a_session_cookie_over_tls_without_secure_is_advised_against_once(secure, caplog):
    import carboy

    app = carboy.Carboy("shop")
    app.secret_key = "k"
    app.config["SESSION_COOKIE_SECURE"] = secure

    @app.get("/")
    def index():
        carboy.session["a"] = 1
        return ""

    client = app.test_client()
    client.get("/")
    assert not caplog.records
    for _ in range(2):
        client.get("/", base_url="https://localhost")
    told = [r.getMessage() for r in caplog.records if "SESSION_COOKIE_SECURE" in r.getMessage()]
    assert len(told) == (0 if secure else 1)
