"""`python -m carboy.compat`: run a Flask program on Carboy.

python -m carboy.compat script.py [args…]      run a script, folder or zip file
python -m carboy.compat -m module [args…]      run a module, such as flask
python -m carboy.compat module:app [options…]  serve, as `carboy run` does

Options, before the target:
  --children   Carboy under the names flask and werkzeug, in child
               processes too.

Instead of a target:
  --install    Install the names for every Python process of this environment
               that has CARBOY_COMPAT=1, or for all processes if the real flask
               is not installed. Also installs a flask command.
  --uninstall  Remove what --install has installed.
"""

from __future__ import annotations

import os
import sys

from carboy.compat import install, script_runner, site_install

USAGE = __doc__ or ""


def main(arguments: list[str]) -> None:
    """Run the command line. Without a target, show the usage and exit with code 2."""
    if not arguments or arguments[0] in ("-h", "--help"):
        print(USAGE.strip())
        raise SystemExit(0 if arguments else 2)
    if arguments in (["--install"], ["--uninstall"]):
        change = site_install.install if arguments == ["--install"] else site_install.uninstall
        print("\n".join(change()))
        return
    children = arguments[0] == "--children" or None
    install(children)
    run(arguments[1:] if children else arguments)


def run(arguments: list[str]) -> None:
    """Run the target."""
    target, rest = (arguments[0], arguments[1:]) if arguments else ("-h", [])
    if target == "-m":
        if not rest:
            raise SystemExit(
                "-m requires a module. Run for example: python -m carboy.compat -m flask."
            )
        script_runner.run_module(rest[0], rest[1:])
    elif (inside := script_runner.main_in(target)) is not None:
        script_runner.run_container(target, inside, rest)
    elif os.path.isfile(target):  # noqa: PTH113
        script_runner.run_script(target, rest)
    elif os.path.isdir(target) and not target.isidentifier():  # noqa: PTH112
        script_runner.end(f"can't find '__main__' module in {os.path.abspath(target)!r}")  # noqa: PTH100
    else:
        serve(arguments)


def serve(arguments: list[str]) -> None:
    """`carboy run --flask arguments…`."""
    from carboy.cli.main import main as carboy_main

    sys.argv = ["carboy", "run", "--flask", *arguments]
    carboy_main()


if __name__ == "__main__":
    main(sys.argv[1:])
