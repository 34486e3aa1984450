"""The application object itself."""

from __future__ import annotations

import gc
import logging
import sys
import threading
import weakref
from pathlib import Path

import flask
import pytest

import carboy


def outcome(function):
    try:
        return function()
    except Exception as error:
        return type(error).__name__


@pytest.mark.parametrize(
    "options",
    [
        {"instance_path": "relative"},
        {"instance_path": "/abs"},
        {"static_host": "x"},
        {"host_matching": True},
        {"host_matching": True, "static_host": "x"},
        {"static_folder": None},
        {"static_folder": None, "host_matching": True},
        {"static_folder": None, "static_url_path": "/x"},
        {"static_folder": ""},
        {"static_folder": "."},
        {"static_folder": "./"},
        {"static_folder": "/"},
        {"static_folder": "a/.."},
        {"static_folder": "a/b/"},
        {"static_folder": "a\\"},
        {"static_folder": Path("/")},
        {"static_folder": Path("a", "b")},
        {"static_folder": "", "static_url_path": "/x/"},
        {"template_folder": None},
        {"root_path": "/root"},
        {"instance_relative_config": True, "instance_path": "/inst"},
    ],
    ids=str,
)
def test_the_constructor_takes_the_same_options(pair, options) -> None:
    found = []
    for fl in (pair.flask, pair.carboy):

        def make(fl=fl):
            app = fl.Flask("scenario", **options)
            return (
                app.static_folder,
                app.static_url_path,
                app.template_folder,
                app.root_path,
                app.instance_path,
                app.config.root_path,
                [rule.rule for rule in app.url_map.iter_rules()],
                app.jinja_loader is None,
            )

        found.append(outcome(make))
    assert found[0] == found[1]


def test_the_name_of_a_script_is_the_name_of_its_file(pair, monkeypatch) -> None:
    main = sys.modules["__main__"]
    for filename in ("/some/where/script.py", None):
        monkeypatch.setattr(main, "__file__", filename, raising=False)
        found = [
            fl.Flask("__main__", root_path="/", instance_path="/i").name
            for fl in (pair.flask, pair.carboy)
        ]
        assert found[0] == found[1]


def test_an_application_is_freed_without_the_garbage_collector() -> None:
    gc.collect()
    gc.disable()
    try:
        app = carboy.Carboy("scenario")
        app.add_url_rule("/", "v", lambda: "a")
        seen = weakref.ref(app)
        del app
        assert seen() is None
    finally:
        gc.enable()


def test_the_logger_gets_a_handler_only_if_logging_is_not_configured(pair) -> None:
    found = []
    for fl in (pair.flask, pair.carboy):
        rows = []
        for debug, handled in [(False, False), (True, False), (False, True)]:
            name = f"log{len(rows)}{fl is pair.flask}"
            logger = logging.getLogger(name)
            logger.propagate = False
            if handled:
                logger.addHandler(logging.StreamHandler())
            app = fl.Flask(name)
            app.debug = debug
            rows.append((app.logger is logger, logger.level, len(logger.handlers)))
            rows.append(logger.handlers[0].formatter and logger.handlers[0].formatter._fmt)
            logger.handlers.clear()
        found.append(rows)
    assert found[0] == found[1]


def test_an_unhandled_error_is_logged_with_the_request_line(fl, pair, caplog) -> None:
    app = fl.Flask("scenario")
    app.add_url_rule("/a", "v", lambda: 1 // 0, methods=["POST"])
    for call in (pair.call_wsgi, pair.call_direct):
        caplog.clear()
        call(app, pair.Req("/a", "POST"))
        (record,) = {each for each in caplog.records if each.name == "scenario"}
        assert record.getMessage() == "Exception on /a [POST]"
        assert record.exc_info[0] is ZeroDivisionError


def test_errors_in_a_request_go_to_the_error_stream_of_the_server(fl, pair) -> None:
    import io

    from carboy.app.logging import wsgi_errors_stream

    app = fl.Flask("scenario")
    environ = pair.environ_of(pair.Req("/"))
    environ["wsgi.errors"] = io.StringIO()
    assert wsgi_errors_stream._get_current_object() is sys.stderr
    with app.request_context(environ):
        assert wsgi_errors_stream._get_current_object() is environ["wsgi.errors"]


def test_a_shell_has_the_application_and_the_names_of_processors(fl) -> None:
    app = fl.Flask("scenario")
    app.shell_context_processor(lambda: {"x": 1})
    with app.app_context():
        names = app.make_shell_context()
        assert names["app"] is app
        assert names["x"] == 1
        assert sorted(names) == ["app", "g", "x"]


@pytest.fixture
def runs(monkeypatch):
    """The recorded calls of run_simple, which does nothing else."""
    import werkzeug.serving

    import carboy.serving.development

    calls = []
    for module in (carboy.serving.development, werkzeug.serving):
        monkeypatch.setattr(
            module, "run_simple", lambda *args, **kwargs: calls.append((args, kwargs))
        )
    monkeypatch.delenv("FLASK_RUN_FROM_CLI", raising=False)
    return calls


@pytest.mark.parametrize("debug", [True, False, None])
def test_run_shows_a_banner_and_turns_on_the_tools_of_debug_mode(runs, capsys, debug) -> None:
    flask.Flask("scenario").run(debug=debug, load_dotenv=False, port=7)
    theirs = capsys.readouterr()
    carboy.Flask("scenario").run(debug=debug, load_dotenv=False, port=7)
    assert capsys.readouterr() == theirs
    assert runs[0][1] == runs[1][1]
    assert runs[1][1]["use_debugger"] is bool(debug)


def test_the_tools_of_debug_mode_can_be_turned_off(runs) -> None:
    carboy.Flask("scenario").run(debug=True, use_reloader=False, load_dotenv=False)
    assert runs[0][1] == {"use_reloader": False, "use_debugger": True, "threaded": True}


def test_run_takes_the_address_from_server_name(fl, runs) -> None:
    app = fl.Flask("scenario")
    app.run(load_dotenv=False)
    app.run("0.0.0.0", 0, load_dotenv=False, threaded=False)
    app.config["SERVER_NAME"] = "ex.com:81"
    app.run(load_dotenv=False)
    app.config["SERVER_NAME"] = "ex.com"
    app.run(port=5, debug=True, load_dotenv=False)
    assert [args[:2] for args, _ in runs] == [
        ("127.0.0.1", 5000),
        ("0.0.0.0", 0),
        ("ex.com", 81),
        ("ex.com", 5),
    ]
    assert all(args[2] is app for args, _ in runs)
    assert [kwargs["threaded"] for _, kwargs in runs] == [True, False, True, True]
    assert app.debug


def test_run_does_nothing_under_the_command_line(fl, monkeypatch, capsys) -> None:
    monkeypatch.setenv("FLASK_RUN_FROM_CLI", "true")
    fl.Flask("scenario").run()
    assert "Ignoring a call to 'app.run()'" in capsys.readouterr().err


def test_the_test_client_and_made_up_requests(fl) -> None:
    app = fl.Flask("scenario")
    app.secret_key = "k"
    app.add_url_rule("/", "v", lambda: fl.session.setdefault("a", fl.request.args.get("a", "none")))
    client = app.test_client()
    assert client.get("/?a=1").text == "1"
    assert client.get("/?a=2").text == "1"
    assert app.test_client(use_cookies=False).get("/?a=3").text == "3"
    with app.test_request_context("/x?a=5", method="POST", json={"b": 1}):
        assert (fl.request.method, fl.request.path, fl.request.args["a"]) == ("POST", "/x", "5")
        assert fl.request.get_json() == {"b": 1}

    class Client(type(client)):
        pass

    app.test_client_class = Client
    assert isinstance(app.test_client(), Client)


def test_two_applications_in_one_process_are_independent(pair, fl) -> None:
    first, second = fl.Flask("first"), fl.Flask("second")
    for app in (first, second):
        app.add_url_rule("/", "v", lambda: fl.current_app.name)
    second.before_request(lambda: "before" if fl.request.args else None)
    for call in (pair.call_wsgi, pair.call_direct):
        assert call(first, pair.Req("/?x=1")).body == b"first"
        assert call(second, pair.Req("/")).body == b"second"
        assert call(second, pair.Req("/?x=1")).body == b"before"


def test_an_unknown_name_is_not_an_attribute_of_the_package() -> None:
    with pytest.raises(AttributeError):
        carboy.nothing  # noqa: B018
    assert carboy.__version__


@pytest.mark.parametrize("name", ["jinja_env", "cli", "logger"])
def test_threads_that_load_a_name_at_the_same_time_get_the_same_object(name) -> None:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for _ in range(20):
            app = carboy.Flask("scenario")
            start = threading.Barrier(8)
            found = []

            def ask(app=app, start=start, found=found):
                start.wait()
                found.append(getattr(app, name))

            threads = [threading.Thread(target=ask) for _ in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert len(found) == 8
            assert {id(each) for each in found} == {id(getattr(app, name))}
    finally:
        sys.setswitchinterval(before)


def test_debug_mode_can_be_turned_on_later_as_in_flask(runs) -> None:
    seen = []
    for kind in (flask.Flask, carboy.Flask):
        app = kind("scenario")
        states = []
        for options in ({}, {"debug": True}, {}, {"debug": False}, {}):
            app.run(load_dotenv=False, **options)
            states.append((app.debug, app.jinja_env.auto_reload))
        seen.append(states)
    assert seen[1] == seen[0]
    assert seen[0][1] == (True, True)
