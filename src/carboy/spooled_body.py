"""A request body in a temporary file, which the server has received and the framework reads."""

from __future__ import annotations

import io


class SpooledBody(io.BufferedReader):
    """A whole body in a file without a name, which no longer changes.

    It can only be read. So a part of it can be given out as a file of its own without a copy, by a
    duplicate of its descriptor (http/forms/part_file.py).
    """
