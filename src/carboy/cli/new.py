"""`carboy new`: creates a small project with tests."""

from __future__ import annotations

import keyword
import re
import sys
import unicodedata
from importlib.machinery import PathFinder
from pathlib import Path

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


@click.command("new", short_help="Create a small project with tests.")
@click.argument("name")
def command(name: str) -> None:
    """Create a folder NAME with an application, a page, a style sheet and tests."""
    problem = check(name)
    if problem is not None:
        raise click.BadParameter(problem, param_hint="NAME")
    folder = Path(name)
    if folder.is_file() or (folder.is_dir() and any(folder.iterdir())):
        raise click.ClickException(
            f"{folder} already exists and is not empty. Choose another name."
        )
    try:
        for path, text in files(name).items():
            file = folder / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, "utf-8")
    except OSError as error:
        raise click.ClickException(
            f"{error.filename} cannot be written: {error.strerror}."
        ) from None
    click.secho(f"{name} is ready.", fg="green", bold=True)
    click.echo(f"\n    cd {name}\n    pip install -e '.[dev]'\n    carboy dev\n    pytest\n")
