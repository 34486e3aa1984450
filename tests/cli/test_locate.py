from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from carboy.cli import locate
from carboy.cli.locate import BrokenApplication, NoApplication, Spec

APP = "def {name}(environ, start_response):\n    return []\n"


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str, str], str]]:
    """Writes modules into the current folder, and forgets their imports afterwards."""
    before = set(sys.modules)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def write(path: str, text: str) -> str:
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return path

    yield write
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]


Write = Callable[[str, str], str]


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("a", Spec("a")),
        ("a.b:c", Spec("a.b", "c")),
        ("a/b.py", Spec("a/b.py")),
        ("a:f('x:y')", Spec("a", "f('x:y')")),
    ],
)
def test_a_name_is_split_at_its_first_colon(text: str, spec: Spec) -> None:
    assert locate.parse(text) == spec


def test_a_colon_without_a_name_is_an_error() -> None:
    with pytest.raises(NoApplication, match="ends with a colon"):
        locate.parse("a:")


def test_the_argument_has_precedence_over_variables_and_variables_over_files(
    tmp_path: Path,
) -> None:
    both = {"CARBOY_APP": "c", "FLASK_APP": "f"}
    assert locate.choose("given", both, tmp_path) == "given"
    assert locate.choose(None, both, tmp_path) == "c"
    assert locate.choose(None, {"FLASK_APP": "f"}, tmp_path) == "f"
    (tmp_path / "app.py").touch()
    assert locate.choose(None, {}, tmp_path) == "app.py"
    (tmp_path / "wsgi.py").touch()
    assert locate.choose(None, {}, tmp_path) == "wsgi.py"


def test_without_an_application_the_error_shows_how_to_name_one(tmp_path: Path) -> None:
    with pytest.raises(NoApplication, match="for example hello:app"):
        locate.choose(None, {}, tmp_path)


@pytest.mark.parametrize("name", ["app", "application"])
def test_a_callable_of_the_usual_name_is_found(write: Write, name: str) -> None:
    write("located.py", APP.format(name=name))
    assert locate.load("located").__name__ == name


def test_the_single_application_object_is_found_under_any_name(write: Write) -> None:
    write(
        "located.py", "class Site:\n wsgi_app = url_map = 1\n def __call__(s, e, r): 1\nx = Site()"
    )
    assert type(locate.load("located")).__name__ == "Site"


def test_several_application_objects_have_to_be_named(write: Write) -> None:
    text = "class Site:\n wsgi_app = url_map = 1\n def __call__(s, e, r): 1\nx = Site()\ny = Site()"
    write("located.py", text)
    with pytest.raises(NoApplication, match="located:x or located:y"):
        locate.load("located")
    assert locate.load("located:y") is sys.modules["located"].y


@pytest.mark.parametrize("name", ["create_app", "make_app"])
def test_a_factory_of_the_usual_name_is_called(write: Write, name: str) -> None:
    write("located.py", f"def {name}():\n def made(environ, start): 1\n return made")
    assert locate.load("located").__name__ == "made"
    assert locate.load(f"located:{name}").__name__ == "made"


def test_a_factory_gets_the_literal_arguments(write: Write) -> None:
    text = "def build(a, b=0):\n def made(environ, start): 1\n made.got = a, b\n return made"
    write("located.py", text)
    assert locate.load('located:build("x:y", b=[1, None])').got == ("x:y", [1, None])


@pytest.mark.parametrize("path", ["located.py", "./located.py", "located"])
def test_a_file_is_named_by_path_or_module(write: Write, path: str) -> None:
    write("located.py", APP.format(name="app"))
    assert callable(locate.load(path))


def test_a_file_in_a_package_is_imported_as_part_of_it(write: Write) -> None:
    write("src/pack/__init__.py", "")
    write("src/pack/sub/__init__.py", "from .. import __name__ as top\n")
    write("src/pack/sub/web.py", "from . import top\n" + APP.format(name="app"))
    assert locate.load("src/pack/sub/web.py").__module__ == "pack.sub.web"
    assert locate.load(f"src{os.sep}pack{os.sep}sub/web.py:app").__module__ == "pack.sub.web"


def test_an_attribute_of_an_attribute_is_found(write: Write) -> None:
    write("located.py", "class holder:\n @staticmethod\n def web(environ, start): 1")
    assert locate.load("located:holder.web").__name__ == "web"


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("locatd", "Did you mean 'located'"),
        ("located:ap", "Did you mean 'app'"),
        ("located:number", "is 3, which is not an application"),
        ("located:number()", "Leave the parentheses out"),
        ("located:build", r'cannot be called.*located:build\("value"\)'),
        ("located:build(open)", "have to be literals"),
        ("located:app or 1", r"Use NAME or FACTORY"),
        ("located:nothing()", "returned None"),
        ("missing.py", "no file missing.py in"),
    ],
)
def test_an_application_that_is_not_found_is_an_error_with_advice(
    write: Write, text: str, part: str
) -> None:
    write(
        "located.py",
        APP.format(name="app") + "number = 3\ndef build(a): 1\ndef nothing(): pass\n",
    )
    with pytest.raises(NoApplication, match=part):
        locate.load(text)


def test_a_module_without_an_application_is_an_error_with_the_usual_names(write: Write) -> None:
    write("located.py", "x = 1\n")
    with pytest.raises(NoApplication, match="app or application.*create_app or make_app"):
        locate.load("located")


@pytest.mark.parametrize(
    ("text", "part"),
    [
        (
            "def f():\n    return {}['x']\nf()\n",
            r"KeyError: 'x'(.|\n)*Correct .*located\.py, line 2",
        ),
        ("import not_installed_at_all\n", "pip install"),
        ("import carboy.vieuws\n", "has no .carboy.vieuws."),
        ("def f(:\n", r"Correct the syntax in .*located\.py, line 1"),
        ("import sys\nsys.exit(3)\n", "if __name__ == "),
        ("import json\njson.loads('{')\n", r"frames of libraries are left out(.|\n)*line 2"),
        ("def create_app():\n    raise RuntimeError('no database')\n", "no database"),
    ],
    ids=["error", "module", "submodule", "syntax", "exit", "library", "factory"],
)
def test_an_error_of_the_application_shows_its_frames_and_advice(
    write: Write, text: str, part: str
) -> None:
    write("located.py", text)
    with pytest.raises(BrokenApplication, match=part) as raised:
        locate.load("located")
    shown = str(raised.value)
    assert "importlib" not in shown
    assert "carboy/cli" not in shown
    assert "json/decoder.py" not in shown


def test_all_frames_are_shown_when_asked_for(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CARBOY_FULL_TRACEBACK", "1")
    write("located.py", "import json\njson.loads('{')\n")
    with pytest.raises(BrokenApplication, match=r"json/decoder\.py"):
        locate.load("located")


ASGI = {
    "coroutine function": "async def app(scope, receive, send): ...",
    "object": (
        "class Framework:\n    async def __call__(self, scope, receive, send): ...\n"
        "app = Framework()"
    ),
    "derived": (
        "class Base:\n    async def __call__(self, scope, receive, send): ...\n"
        "class App(Base): ...\napp = App()"
    ),
    "partial": (
        "import functools\nasync def run(more, scope, receive, send): ...\n"
        "app = functools.partial(run, 1)"
    ),
    "bound method": (
        "class Framework:\n    async def serve(self, scope, receive, send): ...\n"
        "app = Framework().serve"
    ),
    "plain function": "def app(scope, receive, send):\n    return None",
    "plain object": (
        "class Wrapper:\n    def __call__(self, scope, receive, send): ...\napp = Wrapper()"
    ),
    "version 2, function": "def app(scope):\n    async def run(receive, send): ...\n    return run",
    "version 2, class": (
        "class app:\n    def __init__(self, scope): ...\n"
        "    async def __call__(self, receive, send): ..."
    ),
    "class of the objects": "class app:\n    async def __call__(self, scope, receive, send): ...",
    "Django": (  # not configured: only one application can be in a process
        "from django.core.handlers.asgi import ASGIHandler\napp = object.__new__(ASGIHandler)"
    ),
    "Falcon": "import falcon.asgi\napp = falcon.asgi.App()",
}


@pytest.mark.parametrize("named", ["located", "located:app"])
@pytest.mark.parametrize("text", ASGI.values(), ids=ASGI)
def test_an_asgi_application_is_an_error_that_says_so(write: Write, text: str, named: str) -> None:
    write("located.py", text)
    match = (
        "is a class"
        if text == ASGI["class of the objects"]
        else r"is an ASGI application \(.+\)\. Serve it with"
    )
    with pytest.raises(NoApplication, match=match):
        locate.load(named)


@pytest.mark.parametrize("interface", ["auto", "asgi"])
@pytest.mark.parametrize("named", ["located", "located:app"])
@pytest.mark.parametrize("text", ASGI.values(), ids=ASGI)
def test_a_command_that_serves_asgi_finds_it(
    write: Write, text: str, named: str, interface: str
) -> None:
    write("located.py", text)
    if text == ASGI["class of the objects"]:
        with pytest.raises(NoApplication, match="is a class"):
            locate.load("located:app", interface=interface)
    else:
        assert locate.load(named, interface=interface) is sys.modules["located"].app


@pytest.mark.parametrize("interface", ["auto", "asgi"])
@pytest.mark.parametrize("named", ["located", "located:create_app", "located:create_app()"])
def test_a_command_that_serves_asgi_finds_its_factory(
    write: Write, named: str, interface: str
) -> None:
    write("located.py", f"{ASGI['object']}\ndel app\ndef create_app():\n    return Framework()")
    assert type(locate.load(named, interface=interface)).__name__ == "Framework"


def test_a_forced_interface_overrules_the_parameters(write: Write) -> None:
    write("located.py", "def app(*args): ...\nasync def other(scope, receive, send=None): ...")
    assert locate.load("located:app", interface="asgi").__name__ == "app"
    assert locate.load("located:other", interface="wsgi").__name__ == "other"
    with pytest.raises(NoApplication, match="ASGI application"):
        locate.load("located:other")


@pytest.mark.parametrize(
    ("text", "interface"),
    [("async def app(scope, receive, send): ...", "wsgi"), (APP.format(name="app"), "asgi")],
)
def test_a_wrong_interface_is_an_error_that_names_it(
    write: Write, text: str, interface: str
) -> None:
    write("located.py", text)
    with pytest.raises(NoApplication, match=f"Do not choose {interface} as its interface"):
        locate.load("located:app", interface=interface)


@pytest.mark.parametrize("named", ["located", "located:create_app", "located:create_app()"])
def test_a_factory_of_an_asgi_application_is_an_error_that_says_so(
    write: Write, named: str
) -> None:
    write("located.py", f"{ASGI['object']}\ndel app\ndef create_app():\n    return Framework()")
    with pytest.raises(NoApplication, match="(is|returned) an ASGI application"):
        locate.load(named)


@pytest.mark.parametrize("named", ["located", "located:create_app", "located:create_app()"])
def test_a_factory_that_is_a_coroutine_function_is_an_error(write: Write, named: str) -> None:
    write("located.py", "async def create_app(): ...")
    with pytest.raises(NoApplication, match="create_app is a coroutine function"):
        locate.load(named)


def test_the_wsgi_application_beside_an_asgi_application_is_served(write: Write) -> None:
    write("located.py", f"{ASGI['coroutine function']}\n{APP.format(name='application')}")
    assert locate.load("located").__name__ == "application"


def test_a_callable_object_with_other_parameters_is_an_error(write: Write) -> None:
    write("located.py", "class App:\n    def __call__(self): ...\napp = App()")
    with pytest.raises(NoApplication, match="cannot be called with"):
        locate.load("located:app")
