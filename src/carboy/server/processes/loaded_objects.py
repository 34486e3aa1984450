"""Objects from before serving, which the garbage collector leaves out.

The modules, classes and tables of an application live as long as its worker. A full collection
looks at each of them, and takes longer than many requests.
"""

from __future__ import annotations

import gc


def set_aside() -> None:
    """Have the garbage collector leave out all objects that there are now.

    They are freed as before when nothing refers to them. Only a reference cycle among them would
    not be.
    """
    if hasattr(gc, "freeze"):  # not in every interpreter
        gc.freeze()


def count() -> int:
    """The number of these objects."""
    return gc.get_freeze_count() if hasattr(gc, "get_freeze_count") else 0
