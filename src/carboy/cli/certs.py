"""`carboy certs`: the certificates that the server orders, and `carboy certs renew`."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import click

from carboy.acme.renewal import moment
from carboy.acme.settings import state_folder
from carboy.acme.store import StateError, Store
from carboy.cli.certificates import Known, issuer, known
from carboy.cli.options import state_folder_option
from carboy.server.setting import OTHER

LOOK = 0.2  # seconds between two looks at what the server has done
PATIENCE = 20 * 60.0  # seconds for an order, which waits for the authority


def certs(ctx: click.Context, /, state: str | None, json: bool) -> None:
    """Show the certificates of --domain.

    For each certificate: its names, the authority that has issued it, the days left, the time of
    the next renewal, the last error and the file, which contains the key and the chain.
    """
    store = Store(Path(state).absolute() if state else state_folder())
    ctx.obj = store
    if ctx.invoked_subcommand is not None:
        return
    found = [known(store, name) for name in store.names()]
    now = time.time()
    if json:
        click.echo(as_json(found, now))
    elif found:
        click.echo("\n\n".join("\n".join(lines(each, now)) for each in found))
    else:
        click.echo(nothing(store))


def as_json(found: list[Known], now: float) -> str:
    """All certificates, as a list of objects."""
    return json.dumps([each.document(now) for each in found], indent=2)


def nothing(store: Store) -> str:
    """The text for a folder without certificates."""
    return (
        f"There are no certificates in {store.root}. `carboy run APP --domain NAME` gets one;"
        " --state DIR names another folder."
    )


def lines(found: Known, now: float) -> list[str]:
    """One certificate, for people."""
    shown = [click.style(", ".join(found.names), bold=True)]
    certificate, days = found.certificate, found.days_left(now)
    if certificate is None or days is None:
        shown.append("  None has been issued; clients get a temporary one.")
    else:
        left = "expired" if days < 0 else "1 day left" if days == 1 else f"{days} days left"
        shown.append(f"  {left}, until {moment(certificate.ends.timestamp())}")
        shown.append(f"  Issued by {issuer(certificate)}")
    at = found.next_attempt
    what = "Renewal" if certificate is not None else "Next attempt"
    shown.append(f"  {what}: {'now' if at <= now else moment(at)}")
    if found.status.problem:
        when = moment(found.status.attempted)
        shown.append(click.style(f"  Last error, {when}: {found.status.problem}", fg="yellow"))
    shown.append(f"  File: {found.file}")
    return shown


def renew(ctx: click.Context, /, names: tuple[str, ...]) -> None:
    """Get new certificates now, without waiting for their renewal.

    NAMES are the first names of certificates; without any, all are renewed. The server that serves
    them has to be running, because the authority asks it.
    """
    store: Store = ctx.obj
    wanted = [_first_name(store, each) for each in names] or store.names()
    if not wanted:
        raise click.ClickException(nothing(store))
    results = [_renewed(store, name) for name in wanted]
    sys.exit(0 if all(results) else 1)


def _first_name(store: Store, name: str) -> str:
    """The certificate that has a name."""
    for first in store.names():
        if name == first or name in known(store, first).names:
            return first
    raise click.ClickException(
        f"There is no certificate for {name} in {store.root}. `carboy certs` lists all."
    )


@dataclass(frozen=True, slots=True)
class Result:
    """How a request has ended."""

    done: bool
    text: str


def _renewed(store: Store, name: str) -> bool:
    try:
        result = _ask(store, name)
    except StateError as problem:
        result = Result(False, str(problem))
    click.secho(f"{name}: {result.text}", err=not result.done, fg=None if result.done else "red")
    return result.done


def _ask(store: Store, name: str) -> Result:
    """Ask the server, and wait until it has finished."""
    if not _is_served(store, name):
        return Result(
            False, f"no server is running with this certificate. Start it: carboy run APP --domain"
            f" {name}. It renews the certificate when that is due.",
        )  # fmt: skip
    request = store.ask(name)
    click.echo(f"{name}: asking the server for a new certificate. Its log has the steps.")
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        status = store.status(name)
        if status.answered == request:
            return _result(known(store, name))
        if store.asked(name) not in ("", request):
            return Result(False, "another request has replaced this one.")
        if not _is_served(store, name):
            store.forget_request(name)
            return Result(False, "the server has stopped. Start it again.")
        time.sleep(LOOK)
    return Result(False, "the server has not finished yet. See its log.")


def _result(found: Known) -> Result:
    if found.status.problem:
        return Result(False, found.status.problem)
    if found.certificate is None:
        return Result(False, "the server has no certificate. See its log.")
    return Result(True, f"renewed until {moment(found.certificate.ends.timestamp())}.")


def _is_served(store: Store, name: str) -> bool:
    """Whether a server holds the lock. Between two workers, it is free for a moment."""
    lock = store.lock(name)
    for _ in range(25):
        try:
            if not lock.take():
                return True
        except OSError as problem:
            raise StateError(
                f"{store.folder(name)} cannot be used: {problem.strerror}. Run the command as the"
                " user of the server."
            ) from None
        lock.release()
        time.sleep(LOOK)
    return False


command = click.Group(
    "certs",
    callback=click.pass_context(certs),
    invoke_without_command=True,
    params=[
        state_folder_option(OTHER),
        click.Option(["--json"], is_flag=True, help="Machine-readable output."),
    ],
    commands=[
        click.Command(
            "renew",
            callback=click.pass_context(renew),
            params=[click.Argument(["names"], nargs=-1)],
            help=renew.__doc__,
            short_help="Get new certificates now.",
        )
    ],
    help=certs.__doc__,
    short_help="Show the certificates of --domain, or renew them.",
)
