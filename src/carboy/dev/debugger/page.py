"""The debugger's pages: the HTML around exceptions, frames and the console.

Style sheet and script are files in `shared`, which the debugger serves itself.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from urllib.parse import quote

from markupsafe import Markup, escape

CAUSE = "The above exception was the direct cause of the following exception"
CONTEXT = "During handling of the above exception, another exception occurred"
FILES = "?__debugger__=yes&amp;cmd=resource&amp;f="

EDITOR = "CARBOY_EDITOR"
# What opens a file at a line in editors that register a kind of link.
EDITORS = {
    "vscode": "vscode://file{path}:{line}",
    "cursor": "cursor://file{path}:{line}",
    "zed": "zed://file{path}:{line}",
    "pycharm": "pycharm://open?file={path}&line={line}",
    "idea": "idea://open?file={path}&line={line}",
    "sublime": "subl://open?url=file://{path}&line={line}",
    "textmate": "txmt://open?url=file://{path}&line={line}",
}

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
<h1 class=errormsg>{message}</h1>
<p class=tools><button type=button data-do=copy>Copy as text</button>
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
    """What the page's script has to know."""
    values = (
        ("CONSOLE_MODE", console),
        ("EVALEX", evalex),
        ("EVALEX_TRUSTED", trusted),
        ("SECRET", secret),
    )
    return f"var {', '.join(f'{name} = {json.dumps(value)}' for name, value in values)};"


def debugger_html(
    name: str, message: str, summary: str, plain: str, script: str, request: str
) -> str:
    """The page of an exception. The text stands behind it as a comment, for terminals."""
    kind, _, text = message.partition(": ")
    body = BODY.format(
        kind=escape(kind if text else name),
        message=escape(text or message),
        summary=summary,
        request=request,
        plain=escape(plain),
    )
    title = escape(" ".join(message.split())[:200])
    whole = PAGE.format(title=title, files=FILES, script=script, body=body)
    # Two hyphens would end the comment.
    return f"{whole}\n<!--\n\n{plain.replace('--', '- -')}\n-->\n"


def console_html(script: str) -> str:
    """The page of a console on its own."""
    body = CONSOLE.format(noscript=NOSCRIPT)
    return PAGE.format(title="Console", files=FILES, script=script, body=body)


def traceback_html(rows: list[str], message: str, syntax: bool, include_title: bool) -> str:
    """Frames and what joins them, then the exception."""
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
    """One entry of a traceback, with what the frame says about itself."""
    title = f' title="{escape(info)}"' if info is not None else ""
    return f"<li{title}>{content}</li>\n"


def divider_html(text: str) -> str:
    """What stands between two exceptions."""
    return f'<li><div class="exc-divider">{escape(text)}:</div></li>\n'


def frame_html(
    id: int, library: bool, filename: str, lineno: int, function: str, source: str
) -> str:
    """A frame: where, and the lines around."""
    kind = " library" if library else ""
    link = editor_link(filename, lineno)
    edit = f' <a class=edit href="{escape(link)}">open in editor</a>' if link else ""
    return (
        f'<details class="frame{kind}" id="frame-{id}"><summary>'
        f"<code class=function>{escape(function)}</code> "
        f'<cite class="filename">"{escape(filename)}"</cite>, '
        f'line <em class="line">{lineno}</em>{edit}</summary>'
        f'<div class="source">{source}</div></details>'
    )


def line_html(line: str, number: int, place: str, mark: tuple[int, int] | None) -> str:
    """A line of source; `mark` is the part of it that raised."""
    text = escape(line)
    if mark is not None and mark[0] < mark[1] and line.strip() != line[mark[0] : mark[1]].strip():
        start, stop = mark
        text = escape(line[:start]) + _marked(line[start:stop]) + escape(line[stop:])
    return f'<pre class="line {place}"><span class=number>{number}</span>{text}</pre>'


def _marked(text: str) -> str:
    return Markup("<mark>{}</mark>").format(text)


def editor_link(filename: str, line: int) -> str | None:
    """A link that opens the file in the editor named by CARBOY_EDITOR, or a template of a link.

    None without the variable, and for code that is in no file.
    """
    wanted = os.environ.get(EDITOR, "")
    template = EDITORS.get(wanted, wanted)
    if "{path}" not in template or not Path(filename).is_absolute():
        return None
    return template.replace("{path}", quote(filename)).replace("{line}", str(line))
