"""Links that open a file at a line in the developer's editor."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import quote

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


def editor_link(filename: str, line: int) -> str | None:
    """A link that opens the file in the editor named by CARBOY_EDITOR, or a template of a link.

    None without the variable, and for code that is in no file.
    """
    wanted = os.environ.get(EDITOR, "")
    template = EDITORS.get(wanted, wanted)
    if "{path}" not in template or not Path(filename).is_absolute():
        return None
    return template.replace("{path}", quote(filename)).replace("{line}", str(line))
