"""Child processes of a program in which flask means Carboy."""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path

import pytest

import carboy
from compat.sides import clean
from running import Running

WHOSE = "import flask, importlib.metadata as m; print(flask.__spec__.origin, m.version('flask'))"
STARTS = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {WHOSE!r}], check=True)"
ALONE = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}  # those of this environment take a second to load
SAID = "was started by a program in which flask is Carboy, but runs the real flask"


def python(
    *arguments: object, executable: object = sys.executable, cwd: Path | None = None, **env: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(executable), *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env=clean() | ALONE | env,
        cwd=cwd,
        timeout=100,
    )


@pytest.fixture
def script(tmp_path: Path) -> Path:
    file = tmp_path / "starts.py"
    file.write_text(STARTS)
    return file


def test_a_child_has_the_names_when_asked_for(script: Path) -> None:
    done = python("-m", "carboy.compat", "--children", script)
    assert (done.stdout, done.stderr) == ("carboy 3.1.3\n", "")


@pytest.mark.parametrize("value", ["1", "true"])
def test_a_child_has_the_names_with_the_variable(script: Path, value: str) -> None:
    done = python("-m", "carboy.compat", script, CARBOY_COMPAT=value)
    assert (done.stdout, done.stderr) == ("carboy 3.1.3\n", "")


def test_a_child_with_the_real_flask_warns_once(script: Path) -> None:
    done = python("-m", "carboy.compat", script)
    assert done.stdout.startswith("/")
    assert done.stderr.count("\n") == 1
    assert SAID in done.stderr
    assert "CARBOY_COMPAT=1" in done.stderr


def test_the_warning_can_be_turned_off(script: Path) -> None:
    assert python("-m", "carboy.compat", script, CARBOY_COMPAT="0").stderr == ""


def test_a_child_that_does_not_import_flask_does_not_warn(tmp_path: Path) -> None:
    file = tmp_path / "starts.py"
    file.write_text("import subprocess, sys; subprocess.run([sys.executable, '-c', 'import os'])")
    assert python("-m", "carboy.compat", file).stderr == ""


def test_a_child_of_a_child_has_the_names_too(tmp_path: Path) -> None:
    file = tmp_path / "starts.py"
    file.write_text(f"import subprocess, sys; subprocess.run([sys.executable, '-c', {STARTS!r}])")
    assert python("-m", "carboy.compat", "--children", file).stdout == "carboy 3.1.3\n"


def test_a_spawned_process_has_the_names(tmp_path: Path) -> None:
    file = tmp_path / "spawns.py"
    file.write_text(
        "import multiprocessing\n\n"
        f"def work():\n    {WHOSE}\n\n"
        "if __name__ == '__main__':\n"
        "    process = multiprocessing.get_context('spawn').Process(target=work)\n"
        "    process.start(); process.join()\n"
    )
    done = python("-m", "carboy.compat", "--children", file)
    assert done.stdout == "carboy 3.1.3\n", done.stderr


def test_processes_of_tests_have_the_names(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(
        "import subprocess, sys\n\n"
        "def test():\n"
        f"    said = subprocess.check_output([sys.executable, '-c', {WHOSE!r}], text=True)\n"
        "    assert said == 'carboy 3.1.3\\n'\n"
        "    help = [sys.executable, '-m', 'flask', '--version']\n"
        "    assert 'Flask 3.1.3' in subprocess.check_output(help, text=True)\n"
    )
    done = python("-m", "pytest", "-q", "-p", "carboy.compat.pytest", ".", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_sitecustomize_of_the_environment_still_runs(script: Path, tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    (own / "sitecustomize.py").write_text("print('own', __name__, __file__[-16:])")
    done = python("-m", "carboy.compat", "--children", script, PYTHONPATH=str(own))
    assert done.stdout == "own sitecustomize sitecustomize.py\n" * 2 + "carboy 3.1.3\n"


def test_a_child_keeps_its_paths(tmp_path: Path) -> None:
    file = tmp_path / "starts.py"
    show = "import sys; print([path for path in sys.path if path.endswith('child')])"
    file.write_text(f"import subprocess, sys; subprocess.run([sys.executable, '-c', {show!r}])")
    assert python("-m", "carboy.compat", "--children", file).stdout == "[]\n"


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment with Carboy and without Flask."""
    place = tmp_path_factory.mktemp("alone") / "env"
    venv.create(place, with_pip=False)
    (packages,) = place.glob("lib/python*/site-packages")
    (packages / "carboy.pth").write_text(f"{Path(carboy.__file__).parents[1]}\n")
    import blinker
    import click
    import itsdangerous
    import jinja2
    import markupsafe

    for package in (blinker, click, itsdangerous, jinja2, markupsafe):
        source = Path(str(package.__file__))
        source = source.parent if source.name == "__init__.py" else source
        (packages / source.name).symlink_to(source)
    return place / "bin" / "python"


def test_a_python_without_carboy_warns(script: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "bare", with_pip=False)
    bare = tmp_path / "bare" / "bin" / "python"
    script.write_text(f"import subprocess; subprocess.run([{str(bare)!r}, '-c', 'import flask'])")
    done = python("-m", "carboy.compat", "--children", script)
    assert "has no Carboy. Install it there" in done.stderr
    assert "ModuleNotFoundError: No module named 'flask'" in done.stderr


def test_an_environment_with_carboy_alone_can_have_the_names(alone: Path, tmp_path: Path) -> None:
    app = tmp_path / "shop.py"
    app.write_text("from flask import Flask\n\napp = Flask(__name__)\n")
    assert python("-c", WHOSE, executable=alone).returncode == 1
    assert python("-m", "carboy.compat", "--install", executable=alone).returncode == 0
    assert python("-c", WHOSE, executable=alone).stdout == "carboy 3.1.3\n"
    for command in ([alone, "-m", "flask"], [alone.with_name("flask")]):
        first, *rest = command
        done = python(*rest, "--app", "shop", "routes", executable=first, cwd=tmp_path)
        assert "/static/<path:filename>" in done.stdout, done.stderr
    app.write_text(f"{STARTS}\nfrom flask import Flask\n\napp = Flask(__name__)\n")
    done = python("-m", "flask", "--app", "shop", "routes", executable=alone, cwd=tmp_path)
    assert (done.stdout.startswith("carboy 3.1.3\n"), done.stderr) == (True, "")
    assert python("-c", WHOSE, executable=alone, CARBOY_COMPAT="0").returncode == 1
    removed = python("-m", "carboy.compat", "--uninstall", executable=alone).stdout
    assert removed.count("Removed") == 2
    assert python("-c", WHOSE, executable=alone).returncode == 1
    assert not alone.with_name("flask").exists()


def test_the_flask_command_of_the_real_flask_is_not_replaced(alone: Path) -> None:
    command = alone.with_name("flask")
    command.write_text("#!/bin/sh\n")
    told = python("-m", "carboy.compat", "--install", executable=alone).stdout
    assert "CARBOY_COMPAT=1" in told
    python("-m", "carboy.compat", "--uninstall", executable=alone)
    assert command.read_text() == "#!/bin/sh\n"
    command.unlink()


def test_python_starts_as_fast_as_before_without_the_names(alone: Path) -> None:
    python("-m", "carboy.compat", "--install", executable=alone)
    loaded = "import sys; print([name for name in sys.modules if name.startswith('carboy')])"
    assert python("-c", loaded, executable=alone).stdout == "['carboy_names']\n"
    python("-m", "carboy.compat", "--uninstall", executable=alone)


def test_commands_of_carboy_have_the_names_with_the_variable(tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text("import flask\n\napp = flask.Flask(flask.__spec__.origin)\n")
    show = ("-m", "carboy", "--app", "shop", "routes")
    assert "/static" in python(*show, cwd=tmp_path, CARBOY_COMPAT="1").stdout


@pytest.mark.parametrize(
    ("option", "origin"), [("--flask", "site-packages"), ("--flask-children", "carboy")]
)
def test_children_of_a_served_application_have_the_names_when_asked_for(
    tmp_path: Path, option: str, origin: str
) -> None:
    (tmp_path / "shop.py").write_text(f"{STARTS}\nimport flask\n\napp = flask.Flask('shop')\n")
    with Running("run", option, "shop:app", "-p", "0", cwd=tmp_path) as server:
        assert origin in server.line("3.1.3")
        server.line("http://")
        assert server.stop() == 0
