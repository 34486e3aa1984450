"""Contexts: nested, copied, kept, in threads; and functions without a context."""

from __future__ import annotations

import threading

import pytest

from scenarios import alike, scenario


def attempts(*calls):
    found = []
    for call in calls:
        try:
            found.append(call())
        except Exception as error:
            found.append(type(error).__name__)
    return found


@alike
def test_without_a_context_the_same_errors_are_raised(fl):
    return attempts(
        lambda: fl.current_app.name,
        lambda: fl.g.a,
        lambda: fl.request.path,
        lambda: fl.session["a"],
        lambda: fl.url_for("a"),
        lambda: fl.flash("a"),
        fl.get_flashed_messages,
        lambda: fl.render_template_string("a"),
        lambda: fl.make_response("a"),
        lambda: fl.jsonify(1),
        lambda: fl.json.dumps({"a": 1}),
        lambda: fl.redirect("/").status_code,
        lambda: fl.abort(404),
        lambda: fl.after_this_request(print),
        lambda: fl.copy_current_request_context(print),
        lambda: fl.stream_with_context(iter("a")),
        lambda: fl.stream_with_context(lambda: iter("a"))(),  # noqa: PLW0108
        lambda: fl.send_file("x"),
        lambda: fl.get_template_attribute("a", "b"),
        lambda: (fl.has_app_context(), fl.has_request_context()),
        lambda: bool(fl.g),
        lambda: bool(fl.request),
        lambda: repr(fl.g)[:12],
        lambda: fl.app_ctx.app,
        lambda: fl.request_ctx.request,
    )


@alike
def test_the_same_functions_work_in_an_application_context(fl):
    app = fl.Flask("scenario")
    with app.app_context():
        return attempts(
            lambda: fl.current_app.name,
            lambda: fl.g.get("a", 5),
            lambda: fl.g.a,
            lambda: fl.request.path,
            lambda: fl.session["a"],
            lambda: fl.url_for("static", filename="a"),
            lambda: fl.flash("a"),
            lambda: fl.render_template_string("a{{ request }}{{ g.a }}{{ session }}"),
            lambda: fl.make_response("a").get_data(),
            lambda: fl.jsonify(1).get_data(),
            lambda: fl.redirect("/").status_code,
            lambda: fl.abort(404),
            lambda: fl.abort(999),
            lambda: fl.after_this_request(print),
            lambda: fl.copy_current_request_context(print),
            lambda: list(fl.stream_with_context(iter("a"))),
            lambda: (fl.has_app_context(), fl.has_request_context()),
            lambda: repr(fl.g),
            lambda: fl.current_app._get_current_object() is app,
            lambda: fl.app_ctx.app is app,
        )


@alike
def test_the_namespace_has_the_same_operations(fl):
    app = fl.Flask("scenario")
    with app.app_context():
        g = fl.g
        g.a = 1
        rows = [
            "a" in g,
            "b" in g,
            g.get("a"),
            g.get("b"),
            g.pop("b", 7),
            g.setdefault("c", []),
            g.setdefault("c", 1),
            list(g),
            g.pop("a"),
            list(g),
            repr(g),
        ]
        rows += attempts(lambda: g.pop("zz"), lambda: g.zz, lambda: delattr(g, "zz"))
        del g.c
        return rows, list(g)


@alike
def test_contexts_nest_and_unwind(fl):
    rows = []
    first, second = fl.Flask("first"), fl.Flask("second")
    for app in (first, second):
        app.teardown_appcontext(lambda e, n=app.name: rows.append(("context", n, repr(e))))
        app.teardown_request(lambda e, n=app.name: rows.append(("request", n, repr(e))))
    with first.app_context():
        fl.g.who = "first"
        with second.test_request_context("/two"):
            rows.append((fl.current_app.name, fl.request.path, "who" in fl.g))
            with first.test_request_context("/one?x=1"):
                rows.append((fl.current_app.name, fl.request.full_path, "who" in fl.g))
                with first.app_context():
                    rows.append((fl.current_app.name, fl.request.path))
                with second.app_context():
                    rows.append((fl.current_app.name, fl.request.path, fl.has_request_context()))
            rows.append((fl.current_app.name, fl.request.path))
        rows.append((fl.current_app.name, fl.g.who, fl.has_request_context()))
    rows.append((fl.has_app_context(), fl.has_request_context()))
    return rows


@alike
def test_an_error_in_a_context_reaches_teardown(fl):
    rows = []
    app = fl.Flask("scenario")
    app.teardown_appcontext(lambda e: rows.append(("context", repr(e))))
    app.teardown_request(lambda e: rows.append(("request", repr(e))))
    for make in (app.app_context, app.test_request_context):
        try:
            with make():
                raise ValueError("x")
        except ValueError as error:
            rows.append(repr(error))
        context = make()
        context.push()
        context.pop(KeyError("given"))
        context = make()
        context.push()
        context.pop(None)
        try:
            raise TypeError("handled")
        except TypeError:
            with make():
                pass
            context = make()
            context.push()
            context.pop()
    return rows


@alike
def test_a_context_of_a_request_knows_its_match(fl):
    app = fl.Flask("scenario")
    app.secret_key = "k"
    app.add_url_rule("/a/<int:n>", "a", lambda n: "a")
    rows = []
    for path, options in [
        ("/a/5", {}),
        ("/a/x", {}),
        ("/a/5", {"method": "POST"}),
        ("/a/5/", {}),
        ("/a/5", {"json": {"a": 1}, "method": "GET"}),
        ("/a/5?q=1", {"headers": {"X-A": "b"}, "base_url": "https://h:444/root"}),
        ("/a/5", {"query_string": {"b": "ü"}, "data": {"f": "1"}}),
    ]:
        with app.test_request_context(path, **options) as context:
            request = fl.request
            rows.append(
                (
                    request.endpoint,
                    request.view_args,
                    str(request.url_rule),
                    type(request.routing_exception).__name__,
                    request.url,
                    request.root_path,
                    request.blueprint,
                    request.blueprints,
                    request.method,
                    request.get_json(silent=True),
                    request.form.to_dict(),
                    sorted(request.headers.keys()),
                    context.request is request._get_current_object(),
                    dict(fl.session),
                    type(context.flashes).__name__,
                )
            )
    return rows


@alike
def test_calling_preprocess_request_runs_the_hooks(fl):
    rows = []
    app = fl.Flask("scenario")

    @app.before_request
    def before():
        rows.append(fl.request.path)
        return "early" if fl.request.path == "/early" else None

    app.after_request(lambda response: rows.append("after") or response)
    app.add_url_rule("/", "v", lambda: "view")
    for path in ("/", "/early", "/none"):
        with app.test_request_context(path):
            rows.append(app.preprocess_request())
            rows.append(app.process_response(fl.Response("x")).get_data())
            try:
                rows.append(app.dispatch_request())
            except Exception as error:
                rows.append(type(error).__name__)
            rows.append(app.full_dispatch_request().status)
    return rows


@pytest.mark.usefixtures("frozen")
@scenario("/", "/late", status=200)
def test_a_copied_context_works_in_threads(fl, log):
    app = fl.Flask("scenario")
    app.secret_key = "k"
    app.teardown_request(lambda error: log.append("teardown"))

    def in_thread(function):
        found = []
        thread = threading.Thread(target=lambda: found.append(function()))
        thread.start()
        thread.join()
        return found[0]

    @app.route("/")
    @app.route("/late")
    def view():
        fl.session["a"] = 1
        fl.g.x = "outer"

        @fl.copy_current_request_context
        def inner(more=""):
            return (
                f"{fl.request.path} {fl.session['a']} {'x' in fl.g} {fl.current_app.name}"
                f" {fl.url_for('view')} {more}"
            )

        bare = in_thread(lambda: (fl.has_request_context(), fl.has_app_context()))
        return f"{in_thread(inner)} {inner('here')} {bare} {fl.g.x}"

    return app


@pytest.mark.usefixtures("frozen")
@scenario("/", "/?fail=1", status=500)
def test_an_application_can_call_another_one_in_a_view(fl, log):
    inner = fl.Flask("scenario.inner")
    outer = fl.Flask("scenario")
    for app in (inner, outer):
        app.secret_key = app.name
        app.teardown_appcontext(lambda error, n=app.name: log.append((n, repr(error))))

    @inner.route("/in")
    def view():
        fl.session["who"] = "inner"
        fl.g.x = 2
        log.append((fl.current_app.name, fl.request.path))
        if fl.request.args:
            raise ValueError
        return "inner"

    @outer.route("/")
    def index():
        fl.g.x = 1
        response = inner.test_client().get("/in?fail=1" if fl.request.args else "/in")
        fl.session["who"] = "outer"
        log.append((fl.current_app.name, fl.request.path, fl.g.x))
        return response.get_data(as_text=True) + fl.current_app.name, response.status_code

    return outer


@pytest.mark.parametrize("lane", ["wsgi", "direct"])
def test_requests_in_two_threads_are_independent(pair, lane) -> None:
    fl = pair.carboy
    call = {"wsgi": pair.call_wsgi, "direct": pair.call_direct}[lane]
    apps = [fl.Flask("scenario.one"), fl.Flask("scenario.two")]
    barrier = threading.Barrier(4, timeout=30)
    for app in apps:
        app.secret_key = "k"

        @app.route("/<name>")
        def view(name):
            fl.g.name = fl.session["name"] = name
            barrier.wait()
            seen = [fl.g.name, fl.session["name"], fl.request.path, fl.current_app.name]
            barrier.wait()

            def stream():
                for value in seen:
                    yield f"{value} {fl.request.path} {fl.g.name}\n"

            return fl.Response(fl.stream_with_context(stream()))

    found = {}

    def ask(app, name):
        found[app.name, name] = call(app, pair.Req(f"/{name}")).body.decode()

    threads = [
        threading.Thread(target=ask, args=(app, name)) for app in apps for name in ("a", "b")
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    for (app, name), body in found.items():
        values = [name, name, f"/{name}", app]
        assert body == "".join(f"{value} /{name} {name}\n" for value in values)
    assert len(found) == 4
