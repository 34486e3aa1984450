"""A page that shows the environ of a WSGI server, and the Python that runs it.

It helps to find out how a server or its proxy is configured. Do not make it public: the page shows
everything, including cookies and credentials of the request.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from html import escape
from importlib.metadata import distributions, version
from pathlib import Path
from typing import Any

from carboy.http.request.request import Request
from carboy.http.response.response import Response

__all__ = ["iter_sys_path", "test_app"]

TEMPLATE = """\
<!doctype html>
<html lang=en>
<meta charset=utf-8>
<meta name=viewport content="width=device-width">
<title>WSGI Information</title>
<style>
  body {{ font: 16px/1.5 system-ui, sans-serif; color: #1c2b2a; background: #f4f8f7;
    max-width: 60rem; margin: 0 auto; padding: 2rem 1rem; }}
  h1, h2 {{ font-weight: 600; color: #0b5d57; }}
  h2 {{ margin-top: 2.5rem; border-bottom: 2px solid #bcdcd8; }}
  table {{ border-collapse: collapse; width: 100%; background: #fff; }}
  th, td {{ padding: .3rem .6rem; text-align: left; vertical-align: top;
    border-bottom: 1px solid #e0ecea; }}
  th {{ width: 16rem; font-weight: 600; overflow-wrap: anywhere; }}
  td {{ overflow-wrap: anywhere; }}
  code {{ font: .9em ui-monospace, monospace; white-space: pre-wrap; }}
  ul {{ padding-left: 1.2rem; }}
  .packages {{ columns: 14rem; }}
  .missing code {{ color: #8a8f8e; text-decoration: underline; }}
  .relative code {{ background: #fdf3c4; }}
  @media (prefers-color-scheme: dark) {{
    body {{ color: #dcebe9; background: #10201f; }}
    h1, h2 {{ color: #7fd1c8; }}
    table {{ background: #172b2a; }}
    th, td, h2 {{ border-color: #2b4846; }}
    .relative code {{ background: #4a4415; }}
  }}
</style>
<h1>WSGI Information</h1>
<p>The environ that this server gives to applications, and the Python that runs it.</p>
<h2 id=python-interpreter>Python Interpreter</h2>
<table>{python}</table>
<h2 id=wsgi-environment>WSGI Environment</h2>
<table>{environ}</table>
<h2 id=installed-packages>Installed Packages</h2>
<ul class=packages>{packages}</ul>
<h2 id=sys-path>System Path</h2>
<p>Python searches these places for modules, in this order. Grey and underlined: not a directory,
for example an archive. With a background: a relative path, shown in full.</p>
<ul>{path}</ul>
"""


def iter_sys_path() -> Iterator[tuple[str, bool, bool]]:
    """Each entry of sys.path: the shown text, whether it is missing, whether it is relative.

    An entry that is not a directory is missing. The home directory is shown as `~`, a relative
    entry in full.
    """
    home = str(Path.home())
    for item in sys.path:
        path = os.path.normpath(Path(item).absolute())
        shown = path
        if os.name == "posix" and home != "/" and f"{path}/".startswith(f"{home}/"):
            shown = f"~{path[len(home) :]}"
        yield shown, not Path(path).is_dir(), not Path(item).is_absolute()


@Request.application
def test_app(req: Request) -> Response:
    """The page, as a WSGI application."""
    page = TEMPLATE.format(
        python=_table(_interpreter()),
        environ=_table((key, repr(value)) for key, value in sorted(req.environ.items())),
        packages="".join(f"<li>{escape(name)} {escape(number)}" for name, number in _packages()),
        path="".join(_path()),
    )
    return Response(page, mimetype="text/html")


def _interpreter() -> Iterator[tuple[str, str]]:
    yield "Python", sys.version
    yield "Executable", sys.executable
    yield "Platform", f"{sys.platform} [{os.name}]"
    yield "API version", str(sys.api_version)
    yield "Byte order", sys.byteorder
    yield "Carboy", version("carboy")


def _packages() -> list[tuple[str, str]]:
    found = {each.metadata["Name"] or "": each.version for each in distributions()}
    return sorted(found.items(), key=lambda each: each[0].lower())


def _path() -> Iterator[str]:
    for shown, missing, relative in iter_sys_path():
        kinds = " ".join(["missing"] * missing + ["relative"] * relative)
        yield f'<li class="{kinds}"><code>{escape(shown)}</code>'


def _table(rows: Iterable[tuple[str, Any]]) -> str:
    return "".join(f"<tr><th>{escape(k)}<td><code>{escape(v)}</code>" for k, v in rows)
