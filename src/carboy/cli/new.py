"""`carboy new`: creates a small project with tests."""

from __future__ import annotations

import json
import keyword
import re
import shlex
import shutil
import subprocess
import sys
import unicodedata
from importlib.machinery import PathFinder
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

import click

PROJECT = Path(__file__).parent / "project"
# file of the project: its template
FILES = {
    "README.md": "README.md",
    "pyproject.toml": "pyproject.toml",
    ".gitignore": "gitignore",
    "NAME/__init__.py": "__init__.py",
    "NAME/pages.py": "pages.py",
    "NAME/templates/index.html": "index.html",
    "NAME/static/NAME.css": "style.css",
    "NAME/static/NAME.svg": "bottle.svg",
    "tests/test_pages.py": "test_pages.py",
}
TAKEN = {"carboy", "flask", "werkzeug", "tests", "test"}


def files(name: str) -> dict[str, str]:
    """The paths of the project's files, with their texts."""
    return {
        _named(path, name): _named((PROJECT / f"{source}.tmpl").read_text("utf-8"), name)
        for path, source in FILES.items()
    }


def _named(text: str, name: str) -> str:
    return text.replace("NAME_UPPER", name.upper()).replace("NAME", name)


def check(name: str) -> str | None:
    """The reason why `name` cannot be the name of a package, with a suggestion; or None."""
    if not re.fullmatch("[A-Za-z][A-Za-z0-9_]*", name) or keyword.iskeyword(name):
        return f"{name!r} is not a valid package name. Use for example {_better(name)}."
    if is_taken(name):
        return f"The package {name!r} already exists. Use another name, for example {name}_site."
    return None


def is_taken(name: str) -> bool:
    """Whether another package has this name, in upper or lower case."""
    if name.lower() in TAKEN or name in sys.stdlib_module_names:
        return True
    here = {"", str(Path.cwd())}
    found = PathFinder.find_spec(name, [place for place in sys.path if place not in here])
    return found is not None and found.has_location


def _better(name: str) -> str:
    """A similar name that a package can have."""
    plain = unicodedata.normalize("NFKD", name.removesuffix(".py")).encode("ascii", "ignore")
    words = re.sub(r"\W+", "_", plain.decode()).strip("_").lower()
    fits = words.isidentifier() and not keyword.iskeyword(words) and not is_taken(words)
    return words if fits else f"site_{words}" if words else "my_site"


def install_command() -> list[str]:
    """The command that installs the project, with Carboy from where this Carboy is from."""
    if find_spec("pip") is None and shutil.which("uv"):
        pip = ["uv", "pip"]
    else:
        pip = program("pip")
    return [*pip, "install", *_source(), "-e", ".[dev]"]


def _source() -> list[str]:
    """The arguments for pip that name the clone or repository; [] for the package index."""
    try:
        direct = json.loads(distribution("carboy").read_text("direct_url.json") or "{}")
    except PackageNotFoundError:  # run from a clone that is not installed
        clone = Path(__file__).resolve().parents[3]
        return ["-e", str(clone)] if (clone / "pyproject.toml").is_file() else []
    url = str(direct.get("url", ""))
    if "vcs_info" in direct:
        vcs = direct["vcs_info"]
        return [f"carboy @ {vcs['vcs']}+{url}@{vcs['commit_id']}"]
    if "dir_info" in direct:
        folder = url2pathname(urlsplit(url).path)
        return ["-e", folder] if direct["dir_info"].get("editable") else [folder]
    return [f"carboy @ {url}"] if url else []


def program(name: str, *args: str) -> list[str]:
    """The command for a program of this environment, whether its folder is on PATH or not."""
    found = shutil.which(name)
    here = Path(sys.executable).parent
    if found is not None and Path(found).parent == here:
        return [name, *args]
    return [sys.executable, "-m", name, *args]


def joined(command: list[str]) -> str:
    """The command as typed into the system's shell."""
    return subprocess.list2cmdline(command) if sys.platform == "win32" else shlex.join(command)


@click.command("new", short_help="Create a small project with tests.")
@click.argument("name")
def command(name: str) -> None:
    """Create a folder NAME with an application, a page, a style sheet and tests."""
    problem = check(name)
    if problem is not None:
        raise click.BadParameter(problem, param_hint="NAME")
    folder = Path(name)
    try:
        if folder.is_file():
            raise click.ClickException(f"{folder} is a file. Choose another name.")
        if folder.is_dir() and any(folder.iterdir()):
            raise click.ClickException(
                f"{folder} already exists and is not empty. Choose another name."
            )
        for path, text in files(name).items():
            file = folder / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, "utf-8")
    except OSError as error:
        raise click.ClickException(
            f"{error.filename} cannot be written: {error.strerror}."
        ) from None
    click.secho(f"{name} is ready.", fg="green", bold=True)
    commands = [["cd", name], install_command(), program("carboy", "dev"), program("pytest")]
    click.echo("".join(["\n", *(f"    {joined(each)}\n" for each in commands)]))
