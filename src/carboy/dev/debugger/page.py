"""The HTML of the debugger: exceptions, frames, the request and the console.

The style sheet and the script are files in `shared`, which the debugger serves.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from markupsafe import Markup, escape

from carboy.dev.debugger.repr import debug_repr
from carboy.dev.editor import editor_link
from carboy.dev.highlight import Part, coloured, parts_of
from carboy.dev.masking import MASK, masked, masked_header, masked_url

CONTEXT = 5  # lines of source shown before and after
CAUSE = "The above exception was the direct cause of the following exception"
WHILE = "During handling of the above exception, another exception occurred"
LONG = 160  # characters; a longer message has a smaller font
TRUSTED = "EVALEX_TRUSTED"  # a variable of the page's script
FILES = "?__debugger__=yes&amp;cmd=resource&amp;f="

PAGE = """\
<!doctype html>
<html lang=en>
<head>
<meta charset=utf-8>
<meta name=viewport content="width=device-width, initial-scale=1">
<meta name=color-scheme content="light dark">
<title>{title} // Carboy Debugger</title>
<link rel=stylesheet href="{files}style.css">
<script>{script}</script>
<script src="{files}debugger.js" defer></script>
</head>
<body>
<main class=debugger>
{body}
</main>
<dialog class=pin-prompt aria-labelledby=pin-title>
<form method=dialog>
<h2 id=pin-title>This console is locked</h2>
<p>It runs code on your machine. The PIN is in the terminal that runs the server.</p>
<label>PIN <input name=pin autocomplete=off spellcheck=false placeholder=000-000-000></label>
<p class=pin-answer role=alert></p>
<menu><button type=button value=cancel>Cancel</button><button value=confirm>Unlock</button></menu>
</form>
</dialog>
</body>
</html>
"""
BODY = """\
<header>
<p class=kind>{kind}</p>
<h1 class="errormsg{size}">{message}</h1>
{hints}<p class=tools><button type=button data-do=copy>Copy as text</button>
<button type=button data-do=library aria-pressed=false>Library frames</button>
<span class=keys><kbd>j</kbd> <kbd>k</kbd> move &nbsp;<kbd>Enter</kbd> open
&nbsp;<kbd>c</kbd> console &nbsp;<kbd>l</kbd> locals</span></p>
</header>
<h2 class=traceback-title>Traceback <em>(most recent call last)</em></h2>
{summary}
{request}
<section class=plain><details><summary>As text</summary>
<textarea readonly rows=12 name=code aria-label="The traceback as text">{plain}</textarea>
</details></section>
"""
CONSOLE = """\
<header><p class=kind>Console</p><h1>Python, inside the application</h1></header>
<div class=console-page>{noscript}</div>
"""
NOSCRIPT = "<noscript>The console needs JavaScript.</noscript>"


def script(console: bool, evalex: bool, trusted: bool, secret: str) -> str:
    """The variables of the page's script."""
    values = (
        ("CONSOLE_MODE", console),
        ("EVALEX", evalex),
        (TRUSTED, trusted),
        ("SECRET", secret),
    )
    return f"var {', '.join(f'{name} = {json.dumps(value)}' for name, value in values)};"


def as_trusted(html: str) -> str:
    """The page of an exception for a browser that has proved the PIN since the page was made."""
    return html.replace(f"{TRUSTED} = false", f"{TRUSTED} = true", 1)


def debugger_html(
    kind: str,
    message: str,
    summary: str,
    plain: str,
    script: str,
    request: str,
    hints: Iterable[str] = (),
) -> str:
    """The page of an exception. A comment at its end has the traceback as text."""
    body = BODY.format(
        kind=escape(kind),
        size=" long" if len(message) > LONG else "",
        message=escape(message),
        hints="".join(f"<p class=hint>{escape(hint)}</p>\n" for hint in hints),
        summary=summary,
        request=request,
        plain=escape(plain),
    )
    title = escape(" ".join(f"{kind}: {message}".split())[:200])
    whole = PAGE.format(title=title, files=FILES, script=script, body=body)
    # Two hyphens end a comment.
    return f"{whole}\n<!--\n\n{plain.replace('--', '- -')}\n-->\n"


def console_html(script: str) -> str:
    """The page of a console without an exception."""
    body = CONSOLE.format(noscript=NOSCRIPT)
    return PAGE.format(title="Console", files=FILES, script=script, body=body)


def traceback_html(rows: list[str], message: str, syntax: bool, include_title: bool) -> str:
    """The frames of a traceback, then the exception."""
    classes = "traceback" if rows else "traceback noframe-traceback"
    title = ""
    if include_title:
        text = "Syntax Error" if syntax else "Traceback <em>(most recent call last)</em>:"
        title = f"<h3>{text}</h3>"
    end = f"<blockquote>{escape(message)}</blockquote>"
    if syntax:
        end = f"<pre class=syntaxerror>{escape(message)}</pre>"
    return f'<div class="{classes}">\n{title}\n<ul>{"".join(rows)}</ul>\n{end}\n</div>\n'


def row_html(content: str, info: object) -> str:
    """One entry of a traceback; `info` is its `__traceback_info__`."""
    title = f' title="{escape(info)}"' if info is not None else ""
    return f"<li{title}>{content}</li>\n"


def divider_html(text: str) -> str:
    """The line between two exceptions."""
    return f'<li><div class="exc-divider">{escape(text)}:</div></li>\n'


def message_html(text: str) -> str:
    """Class and text of an exception, after its frames."""
    return f"<li><blockquote>{escape(text)}</blockquote></li>\n"


def repeated_html(text: str) -> str:
    """The line that replaces repetitions of frames."""
    return f"<li><p class=repeated>{escape(text)}</p></li>\n"


def frame_html(
    filename: str,
    lineno: int,
    function: str,
    source: str,
    library: bool = False,
    id: int = 0,
    note: str = "",
) -> str:
    """A frame: its place and the lines around it, below a note. A console needs an `id`."""
    link = editor_link(filename, lineno)
    edit = f' <a class=edit href="{escape(link)}">open in editor</a>' if link else ""
    frame = f' id="frame-{id}"' if id else ""
    above = f"<p class=note>{escape(note)}</p>" if note else ""
    return (
        f'<details class="frame{" library" if library else ""}"{frame}><summary>'
        f"<code class=function>{escape(function)}</code> "
        f'<cite class="filename" title="{escape(filename)}">"{escape(_short(filename))}"</cite>, '
        f'line <em class="line">{lineno}</em>{edit}</summary>'
        f'{above}<div class="source">{source}</div></details>'
    )


def _short(filename: str) -> str:
    """The path relative to the current folder, if the file is inside it."""
    path = Path(filename)
    try:
        here = Path.cwd()
    except FileNotFoundError:  # deleted while the program runs
        return filename
    return str(path.relative_to(here)) if path.is_relative_to(here) else filename


def source_html(
    lines: list[str], current: int, mark: tuple[int, int] | None, python: bool = True
) -> str:
    """The lines around index `current`; `mark` is the part of that line that raised."""
    parts = parts_of("\n".join(lines)) if python else {}
    first = max(0, current - CONTEXT)
    made = []
    for index, line in enumerate(lines[first : current + CONTEXT + 1], first):
        place = "before" if index < current else "after" if index > current else "current"
        text = _line(line, parts.get(index, []), mark if index == current else None)
        made.append(f'<pre class="line {place}"><span class=number>{index + 1}</span>{text}</pre>')
    return "\n".join(made)


def _line(line: str, parts: list[Part], mark: tuple[int, int] | None) -> Markup:
    if mark is None or mark[0] >= mark[1] or line.strip() == line[mark[0] : mark[1]].strip():
        return coloured(line, parts)
    start, stop = mark
    marked = Markup("<mark>{}</mark>").format(coloured(line, parts, start, stop))
    return coloured(line, parts, 0, start) + marked + coloured(line, parts, stop)


def request_html(request: Any, session: Any = None) -> str:
    """Request line, headers, query, form, files, cookies and session; secrets are masked."""
    parts = [
        ("Headers", [(name, masked_header(name, value)) for name, value in request.headers]),
        ("Query", _pairs(request.args)),
        ("Form", _readable(lambda: _pairs(request.form))),
        ("Files", _readable(lambda: [(n, f.filename) for n, f in request.files.items(multi=True)])),
        ("Cookies", [(name, MASK) for name in request.cookies]),
        ("Session", _readable(lambda: _pairs(session or {}))),
    ]
    tables = "".join(_request_table(title, rows) for title, rows in parts if rows)
    line = f"{request.method} {masked_url(request.url)}"
    return (
        f"<section class=request><details><summary>Request <code>{escape(line)}</code></summary>"
        f"{tables}</details></section>"
    )


def _pairs(values: Any) -> list[tuple[str, Any]]:
    items = values.items(multi=True) if hasattr(values, "lists") else values.items()
    return [(str(name), masked(str(name), value)) for name, value in items]


def _readable(rows: Any) -> list[tuple[str, Any]]:
    """The rows; [] if they cannot be read, for example because the body was read elsewhere."""
    try:
        found: list[tuple[str, Any]] = rows()
    except Exception:
        return []
    return found


def _request_table(title: str, rows: Iterable[tuple[str, Any]]) -> str:
    lines = "".join(f"<tr><th scope=row>{escape(n)}<td>{_request_value(v)}" for n, v in rows)
    return f"<h3>{title}</h3><table>{lines}</table>"


def _request_value(value: Any) -> str:
    return str(escape(value)) if isinstance(value, str) else debug_repr(value)
