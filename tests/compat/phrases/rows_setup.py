"""The setup of applications and blueprints, configuration, JSON, and views by class."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import flask
from flask.json.tag import TagDict, TaggedJSONSerializer
from flask.views import MethodView
from table import case, row, rows
from werkzeug.utils import ImportStringError, find_modules, import_string

LATE = "can no longer be called on the application"
LATE_BLUEPRINT = "can no longer be called on the blueprint 'bp'"
CODE = "is not a recognized HTTP error code"
IMPORT = "import_string() failed for"


def app() -> Any:
    return flask.Flask("plain")


def served() -> Any:
    made = app()
    made.test_client().get("/")
    return made


def registered() -> Any:
    made = flask.Blueprint("bp", "bp")
    app().register_blueprint(made)
    return made


def late(call: Callable[[Any], Any], target: Callable[[], Any] = served) -> Callable[[], Any]:
    return lambda: call(target())


def late_bp(call: Callable[[Any], Any]) -> Callable[[], Any]:
    return late(call, registered)


rows(
    AssertionError,
    LATE,
    {
        "late route": late(lambda a: a.route("/x")),
        "late get": late(lambda a: a.get("/x")),
        "late add_url_rule": late(lambda a: a.add_url_rule("/x", "x", str)),
        "late endpoint": late(lambda a: a.endpoint("x")),
        "late before_request": late(lambda a: a.before_request(str)),
        "late after_request": late(lambda a: a.after_request(str)),
        "late teardown_request": late(lambda a: a.teardown_request(str)),
        "late teardown_appcontext": late(lambda a: a.teardown_appcontext(str)),
        "late context_processor": late(lambda a: a.context_processor(dict)),
        "late errorhandler": late(lambda a: a.errorhandler(404)),
        "late register_error_handler": late(lambda a: a.register_error_handler(404, str)),
        "late register_blueprint": late(lambda a: a.register_blueprint(flask.Blueprint("b", "b"))),
        "late template_filter": late(lambda a: a.template_filter("x")),
        "late template_test": late(lambda a: a.template_test("x")),
        "late template_global": late(lambda a: a.template_global("x")),
        "late shell_context_processor": late(lambda a: a.shell_context_processor(dict)),
        "late url_defaults": late(lambda a: a.url_defaults(str)),
        "late url_value_preprocessor": late(lambda a: a.url_value_preprocessor(str)),
    },
)
row(
    "late setup names the method",
    AssertionError,
    "The setup method 'before_request' can no longer be called",
    late(lambda a: a.before_request(str)),
)
rows(
    AssertionError,
    LATE_BLUEPRINT,
    {
        "late route of a blueprint": late_bp(lambda b: b.route("/x")),
        "late before_request of a blueprint": late_bp(lambda b: b.before_request(str)),
        "late before_app_request": late_bp(lambda b: b.before_app_request(str)),
        "late teardown_app_request": late_bp(lambda b: b.teardown_app_request(str)),
        "late app_errorhandler": late_bp(lambda b: b.app_errorhandler(404)),
        "late app_template_filter": late_bp(lambda b: b.app_template_filter("x")),
        "late app_context_processor": late_bp(lambda b: b.app_context_processor(dict)),
        "late record": late_bp(lambda b: b.record(str)),
        "late record_once": late_bp(lambda b: b.record_once(str)),
        "late blueprint in a blueprint": late_bp(
            lambda b: b.register_blueprint(flask.Blueprint("q", "q"))
        ),
    },
)
row(
    "late setup of a blueprint says why",
    AssertionError,
    "has already been registered",
    late_bp(lambda b: b.route("/x")),
)


@case(
    "endpoint with another view",
    AssertionError,
    "View function mapping is overwriting an existing endpoint function: x",
)
def overwriting() -> None:
    made = app()
    made.add_url_rule("/", "x", lambda: 1)
    made.add_url_rule("/b", "x", lambda: 1)


row(
    "methods as text",
    TypeError,
    "Allowed methods must be a list of strings",
    lambda: app().add_url_rule("/", "x", str, methods="POST"),
)
row(
    "rule without view and endpoint",
    AssertionError,
    "expected view func if endpoint is not provided",
    lambda: app().add_url_rule("/"),
)
row(
    "get with methods",
    TypeError,
    "Use the 'route' decorator",
    lambda: app().get("/", methods=["GET"]),
)
row(
    "route without a slash",
    ValueError,
    "URL rule 'x' must start with a slash",
    lambda: app().route("x")(str),
)
row(
    "static_host without host_matching",
    AssertionError,
    "Invalid static_host/host_matching combination",
    lambda: flask.Flask("x", static_host="a"),
)
row(
    "relative instance path",
    ValueError,
    "If an instance path is",
    lambda: flask.Flask("x", instance_path="relative"),
)
row(
    "application of a built-in module",
    RuntimeError,
    "No root path can be found for the provided module 'sys'",
    lambda: flask.Flask("sys"),
)


@case(
    "root of a namespace package",
    RuntimeError,
    "No root path can be found for the provided module",
)
def namespace_root() -> None:
    Path("without_init").mkdir(exist_ok=True)
    import without_init  # noqa: F401

    flask.helpers.get_root_path("without_init")


row(
    "blueprint with a dot",
    ValueError,
    "'name' may not contain a dot",
    lambda: flask.Blueprint("a.b", "x"),
)
row(
    "blueprint without a name",
    ValueError,
    "'name' may not be empty",
    lambda: flask.Blueprint("", "x"),
)
row(
    "blueprint's endpoint with a dot",
    ValueError,
    "'endpoint' may not contain a dot",
    lambda: flask.Blueprint("a", "x").add_url_rule("/", "a.b"),
)


@case("blueprint's view with a dot", ValueError, "'view_func' name may not contain a dot")
def view_with_a_dot() -> None:
    def view() -> None: ...

    view.__name__ = "a.b"
    flask.Blueprint("a", "x").add_url_rule("/", view_func=view)


@case("blueprint on itself", ValueError, "Cannot register a blueprint on itself")
def on_itself() -> None:
    made = flask.Blueprint("a", "x")
    made.register_blueprint(made)


@case(
    "two blueprints of one name",
    ValueError,
    "The name 'a' is already registered for a different blueprint",
    "Use 'name=' to",
)
def one_name() -> None:
    made = app()
    made.register_blueprint(flask.Blueprint("a", "x"))
    made.register_blueprint(flask.Blueprint("a", "x"))


@case("blueprint twice", ValueError, "The name 'a' is already registered for this blueprint")
def twice() -> None:
    made, blueprint = app(), flask.Blueprint("a", "x")
    made.register_blueprint(blueprint)
    made.register_blueprint(blueprint)


@case("nested blueprint twice", ValueError, "The name 'a' is already registered for this blueprint")
def nested_twice() -> None:
    parent, child = flask.Blueprint("p", "x"), flask.Blueprint("a", "x")
    parent.register_blueprint(child)
    parent.register_blueprint(child)
    app().register_blueprint(parent)


rows(
    RuntimeError,
    "'static_folder' must be set to serve static",
    {
        "static file of a blueprint without": lambda: flask.Blueprint("a", "x").send_static_file(
            "x"
        ),
        "static file of an application without": lambda: flask.Flask(
            "x", static_folder=None
        ).send_static_file("x"),
    },
)
rows(
    ValueError,
    "Resources can only be opened for reading",
    {
        "resource for writing": lambda: app().open_resource("x", "w"),
        "blueprint's resource for writing": lambda: flask.Blueprint("a", "x").open_resource(
            "x", "w"
        ),
    },
)
rows(
    ValueError,
    CODE,
    {
        "handler of an unknown code": lambda: app().register_error_handler(999, str),
        "handler of a success": lambda: app().register_error_handler(200, str),
        "blueprint's handler of an unknown code": lambda: flask.Blueprint(
            "a", "x"
        ).register_error_handler(999, str),
    },
)
row(
    "what to register instead of an unknown code",
    ValueError,
    "Use a subclass of HTTPException",
    lambda: app().register_error_handler(999, str),
)
row(
    "handler of an exception object",
    TypeError,
    "is an instance, not a class",
    lambda: app().register_error_handler(ValueError("x"), str),
)
row(
    "handler of another class",
    ValueError,
    "'int' is not a subclass of Exception",
    lambda: app().register_error_handler(int, str),
)
row(
    "configuration from no variable",
    RuntimeError,
    "The environment variable 'NOPE' is not set",
    lambda: app().config.from_envvar("NOPE"),
)
rows(
    FileNotFoundError,
    "Unable to load configuration file",
    {
        "configuration from no file": lambda: app().config.from_pyfile("nope.cfg"),
        "configuration from no data": lambda: app().config.from_file("nope.json", load=str),
    },
)
row(
    "configuration from a folder",
    IsADirectoryError,
    "Unable to load configuration file",
    lambda: app().config.from_pyfile("/"),
)
rows(
    ImportStringError,
    IMPORT,
    {
        "configuration from no module": lambda: app().config.from_object("nope_x.y"),
        "configuration from no object": lambda: app().config.from_object("os.nope"),
        "import_string of no module": lambda: import_string("nope_x"),
        "import_string with a colon": lambda: import_string("nope_x.y:z"),
        "import_string of no attribute": lambda: import_string("os.path.nope"),
        "find_modules of no package": lambda: list(find_modules("nope_x")),
    },
)
row(
    "import_string names what it looked for",
    ImportStringError,
    "import_string() failed for 'nope_x.y.z'",
    lambda: import_string("nope_x.y:z"),
)
row(
    "import_string names the cause",
    ImportStringError,
    "No module named 'nope_x'",
    lambda: import_string("nope_x"),
)
row(
    "find_modules in a module",
    ValueError,
    "'os' is not a package",
    lambda: list(find_modules("os")),
)
row(
    "jsonify of both",
    TypeError,
    "takes either args or kwargs, not both",
    lambda: app().json.response(1, a=2),
)
rows(
    TypeError,
    "Object of type object is not JSON serializable",
    {
        "dumps of an object": lambda: app().json.dumps(object()),
        "dumps of an object outside": lambda: flask.json.dumps(object()),
    },
)
row(
    "tag twice",
    KeyError,
    "is already registered",
    lambda: TaggedJSONSerializer().register(TagDict),
)


@case("method without a function", AssertionError, "Unimplemented method 'PUT'")
def unimplemented() -> None:
    class OnlyGet(MethodView):
        methods = ["PUT"]

        def get(self) -> str:
            return ""

    made = app()
    made.testing = True
    made.add_url_rule("/", view_func=OnlyGet.as_view("view"))
    made.test_client().put("/")


row(
    "flask.__version__",
    DeprecationWarning,
    "The '__version__' attribute is deprecated",
    lambda: flask.__version__,
)


@case("app.run under the command line", "output", " * Ignoring a call to 'app.run()'")
def run_under_the_command_line() -> None:
    os.environ["FLASK_RUN_FROM_CLI"] = "true"
    try:
        app().run()
    finally:
        del os.environ["FLASK_RUN_FROM_CLI"]


row(
    "app.before_first_request is gone",
    AttributeError,
    "has no attribute 'before_first_request'",
    lambda: app().before_first_request,
)
