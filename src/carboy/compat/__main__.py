"""`python -m carboy.compat`: run a program of Flask's on Carboy.

python -m carboy.compat script.py [args…]     a script, as python would
python -m carboy.compat -m module [args…]     a module, `flask` among them
python -m carboy.compat module:app [options…] serve an application, as `carboy run` does
"""

from __future__ import annotations

import os
import runpy
import sys

from carboy.cli.main import main as carboy_main
from carboy.compat import install

USAGE = __doc__ or ""


def main(arguments: list[str]) -> None:
    """Carry out the command line. A missing target ends with the usage and code 2."""
    if not arguments or arguments[0] in ("-h", "--help"):
        print(USAGE.strip())
        raise SystemExit(0 if arguments else 2)
    install()
    target, *rest = arguments
    if target == "-m":
        if not rest:
            raise SystemExit("-m needs the name of a module: python -m carboy.compat -m flask run")
        sys.path.insert(0, os.getcwd())  # noqa: PTH109
        sys.argv = rest
        runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
    elif os.path.isfile(target):  # noqa: PTH113
        sys.argv = arguments
        sys.path.insert(0, os.path.dirname(os.path.abspath(target)))  # noqa: PTH100,PTH120
        runpy.run_path(target, run_name="__main__")
    else:
        sys.argv = ["carboy", "run", "--flask", *arguments]
        carboy_main()


if __name__ == "__main__":
    main(sys.argv[1:])
