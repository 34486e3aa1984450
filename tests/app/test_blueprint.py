"""Blueprints: names, prefixes, nesting, and their effect on the application."""

from __future__ import annotations

import pytest


def show(fl, *prefix):
    def view(**args):
        request = fl.request
        return {
            "endpoint": request.endpoint,
            "blueprint": request.blueprint,
            "blueprints": request.blueprints,
            "args": args,
        }

    return view


REGISTRATIONS = [
    {},
    {"url_prefix": "/p"},
    {"url_prefix": "/p/"},
    {"url_prefix": ""},
    {"name": "other"},
    {"name_prefix": "deep"},
    {"url_prefix": "/<int:n>"},
    {"url_prefix": "/p", "url_defaults": {"n": 5}},
]


@pytest.mark.parametrize("options", REGISTRATIONS, ids=str)
@pytest.mark.parametrize("own", [None, "/own", "/own/"])
def test_registration_options_change_the_rules(pair, options, own) -> None:
    def build(fl, log):
        app = fl.Flask("scenario")
        bp = fl.Blueprint("bp", "scenario", url_prefix=own, url_defaults={"d": 1})
        for number, rule in enumerate(["/a", "a2", "", "/b/"]):
            if rule or own or options.get("url_prefix"):
                bp.add_url_rule(rule, f"e{number}", show(fl))
        app.register_blueprint(bp, **options)
        log.extend(
            sorted(
                (rule.rule, rule.endpoint, str(rule.defaults)) for rule in app.url_map.iter_rules()
            )
        )
        return app

    def guarded(fl, log):
        try:
            return build(fl, log)
        except ValueError as error:  # "a2" without a prefix has no slash to begin with
            log.append(type(error).__name__)
            return fl.Flask("scenario")

    pair(guarded, "/a", "/p/a", "/own/a", "/own/b", "/3/a", "/p", "/own", "/pa2")


@pytest.mark.parametrize("outer", [None, "/o", "/o/"])
@pytest.mark.parametrize("inner", [None, "/i", "i/"])
@pytest.mark.parametrize("given", [{}, {"url_prefix": "/g"}, {"name": "n"}])
def test_nested_blueprints_join_names_and_prefixes(pair, outer, inner, given) -> None:
    def build(fl, log):
        app = fl.Flask("scenario")
        parent = fl.Blueprint("parent", "scenario", url_prefix=outer)
        child = fl.Blueprint("child", "scenario", url_prefix=inner)
        grandchild = fl.Blueprint("grandchild", "scenario", url_prefix="/x")
        for each in (parent, child, grandchild):
            each.add_url_rule("/v", "v", show(fl))
            each.add_url_rule("/link", "link", lambda: fl.url_for(".v"))
        child.register_blueprint(grandchild)
        parent.register_blueprint(child, **given)
        try:
            app.register_blueprint(parent)
        except ValueError as error:
            log.append(type(error).__name__)
        log.extend(sorted((rule.rule, rule.endpoint) for rule in app.url_map.iter_rules()))
        log.append(sorted(app.blueprints))
        return app

    pair(build, "/o/v", "/o/i/v", "/o/i/x/v", "/g/v", "/o/g/x/link", "/i/link", "/v")


def test_one_blueprint_registered_twice_has_two_names(pair) -> None:
    def build(fl, log):
        app = fl.Flask("scenario")
        bp = fl.Blueprint("bp", "scenario")
        bp.before_request(lambda: log.append(f"before {fl.request.blueprint}"))
        bp.before_app_request(lambda: log.append("before app"))
        bp.record_once(lambda state: log.append("once"))
        bp.record(lambda state: log.append(f"each {state.name} {state.first_registration}"))
        bp.register_error_handler(ValueError, lambda e: ("handled", 409))
        bp.add_url_rule("/v", "v", lambda: fl.url_for(".v"))
        bp.add_url_rule("/boom", "boom", lambda: int("x"))
        app.register_blueprint(bp, url_prefix="/1")
        app.register_blueprint(bp, url_prefix="/2", name="second")
        return app

    pair(build, "/1/v", "/2/v", "/1/boom", "/2/boom", status=409)


def test_what_is_not_allowed_raises_the_same_errors(pair) -> None:
    def build(fl, log):
        def raises(function):
            try:
                function()
            except Exception as error:
                log.append(type(error).__name__)
            else:
                log.append("nothing")

        app = fl.Flask("scenario")
        bp = fl.Blueprint("bp", "scenario")

        def dotted():
            pass

        dotted.__name__ = "a.b"
        raises(lambda: fl.Blueprint("", "scenario"))
        raises(lambda: fl.Blueprint("a.b", "scenario"))
        raises(lambda: bp.route("/", endpoint="a.b")(lambda: ""))
        raises(lambda: bp.add_url_rule("/", view_func=dotted))
        raises(lambda: bp.register_blueprint(bp))
        raises(lambda: bp.get("/", methods=["GET"]))
        app.register_blueprint(bp)
        raises(lambda: app.register_blueprint(bp))
        raises(lambda: app.register_blueprint(fl.Blueprint("bp", "scenario")))
        raises(lambda: app.register_blueprint(bp, name="again"))
        for method in ("before_request", "record", "app_context_processor", "register_blueprint"):
            raises(lambda method=method: getattr(bp, method)(lambda: None))
        raises(lambda: bp.route("/")(lambda: ""))
        raises(lambda: app.add_url_rule("/z", "z", lambda: 1))
        raises(lambda: app.add_url_rule("/y", "z", lambda: 2))
        raises(lambda: app.route("/", methods="GET")(lambda: ""))
        for wrong in (99, 402, "x", int, ValueError(), ValueError, 404):
            raises(lambda wrong=wrong: app.register_error_handler(wrong, lambda e: ""))
        return app

    pair(build, "/")


def test_setup_after_the_first_request_is_an_error(pair) -> None:
    def build(fl, log):
        app = fl.Flask("scenario")
        bp = fl.Blueprint("late", "scenario")

        def view():
            for call in (
                lambda: app.route("/x")(lambda: ""),
                lambda: app.before_request(lambda: None),
                lambda: app.register_blueprint(bp),
                lambda: app.errorhandler(404)(lambda e: ""),
                lambda: app.teardown_appcontext(lambda e: None),
                lambda: app.template_filter()(len),
                lambda: app.add_template_global(len),
                lambda: app.endpoint("x")(len),
                lambda: app.url_defaults(len),
                lambda: app.shell_context_processor(len),
            ):
                try:
                    call()
                except Exception as error:
                    log.append(type(error).__name__)
                else:
                    log.append("allowed")
            return "ok"

        app.add_url_rule("/", "view", view)
        return app

    pair(build, "/", status=200)


def test_endpoint_and_view_can_be_registered_separately(pair) -> None:
    def build(fl, log):
        app = fl.Flask("scenario")
        app.add_url_rule("/a", endpoint="apart")
        app.endpoint("apart")(lambda: "apart")
        bp = fl.Blueprint("bp", "scenario")
        bp.add_url_rule("/b", endpoint="x")
        bp.endpoint("bp.x")(lambda: "blueprint")
        app.register_blueprint(bp)
        return app

    pair(build, "/a", "/b", status=200)


def test_url_value_functions_of_blueprints(pair) -> None:
    def build(fl, log):
        app = fl.Flask("scenario")
        bp = fl.Blueprint("bp", "scenario", url_prefix="/<lang>")

        @bp.url_value_preprocessor
        def pull(endpoint, values):
            fl.g.lang = values.pop("lang")

        @bp.url_defaults
        def push(endpoint, values):
            values.setdefault("lang", fl.g.lang)

        @bp.app_url_defaults
        def everywhere(endpoint, values):
            log.append(f"defaults {endpoint} {values}")

        @bp.app_url_value_preprocessor
        def every(endpoint, values):
            log.append(f"values {endpoint} {values}")

        bp.add_url_rule("/", "index", lambda: fl.url_for(".about"))
        bp.add_url_rule("/about", "about", lambda: fl.g.lang)
        app.add_url_rule("/", "home", lambda: fl.url_for("bp.index", lang="de"))
        app.register_blueprint(bp)
        return app

    pair(build, "/en/", "/de/about", "/", "/nothing/here/x")


def test_subdomains_of_blueprints(pair) -> None:
    def build(fl, log):
        app = fl.Flask("scenario", subdomain_matching=True)
        app.config["SERVER_NAME"] = "ex.com"
        parent = fl.Blueprint("parent", "scenario", subdomain="api")
        child = fl.Blueprint("child", "scenario", subdomain="v1")
        plain = fl.Blueprint("plain", "scenario")
        parent.add_url_rule("/", "v", lambda: fl.url_for("parent.child.v"))
        child.add_url_rule("/c", "v", lambda: fl.url_for("parent.v"))
        plain.add_url_rule("/p", "v", lambda: "plain")
        app.add_url_rule("/", "root", lambda: fl.url_for("parent.v"))
        app.add_url_rule("/u", "user", lambda user: user, subdomain="<user>")
        parent.register_blueprint(child)
        parent.register_blueprint(plain)
        app.register_blueprint(parent)
        return app

    pair(
        build,
        pair.Req("/", host="ex.com"),
        pair.Req("/", host="api.ex.com"),
        pair.Req("/c", host="v1.api.ex.com"),
        pair.Req("/p", host="api.ex.com"),
        pair.Req("/p", host="ex.com"),
        pair.Req("/u", host="bob.ex.com"),
        status=200,
    )


def test_matching_by_host(pair) -> None:
    def build(fl, log):
        app = fl.Flask("scenario", host_matching=True, static_host="static.com")
        app.add_url_rule("/", "a", lambda: fl.url_for("b", _external=True), host="a.com")
        app.add_url_rule("/", "b", lambda: "b", host="b.com:81")
        return app

    pair(
        build,
        pair.Req("/", host="a.com"),
        pair.Req("/", host="b.com:81"),
        pair.Req("/", host="c.com"),
        pair.Req("/static/x", host="a.com"),
        status=404,
    )


@pytest.mark.parametrize("group", ["default", None, "named"])
def test_commands_of_a_blueprint_join_those_of_the_application(pair, group) -> None:
    def build(fl, log):
        app = fl.Flask("scenario")
        bp = fl.Blueprint("bp", "scenario", **({} if group == "default" else {"cli_group": group}))

        @bp.cli.command("hello")
        def hello():
            pass

        app.register_blueprint(bp)
        log.append((sorted(app.cli.commands), app.cli.name))
        return app

    pair(build, "/")
