"""Links that open a file in the developer's editor, at a line."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import quote

EDITOR = "CARBOY_EDITOR"
# Links of the editors that register a URL scheme.
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
    """A link that opens the file in the editor of CARBOY_EDITOR: a known name or a link template.

    None if the variable is not set, and for code that is not in a file.
    """
    wanted = os.environ.get(EDITOR, "")
    template = EDITORS.get(wanted, wanted)
    if "{path}" not in template or not Path(filename).is_absolute():
        return None
    return template.replace("{path}", quote(filename)).replace("{line}", str(line))
