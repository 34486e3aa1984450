"""One attempt to get a certificate: account, order, file. Each step is a line of the log."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import datetime

from carboy.acme.challenges import renewal_id
from carboy.acme.client import Client
from carboy.acme.jws import Signer, key_of, new_key, pem_of
from carboy.acme.order import Ordering
from carboy.acme.problems import AcmeError, Refused
from carboy.acme.renewal import Window
from carboy.acme.settings import AcmeSettings
from carboy.acme.store import Account, Store
from carboy.acme.transport import Reply, Transport

log = logging.getLogger("carboy.error")


def obtain(
    settings: AcmeSettings,
    store: Store,
    kinds: tuple[str, ...],
    pause: Callable[[float], None],
    replaces: bool,
) -> str:
    """Save a new certificate; returns the challenge that worked, "" if none was needed.

    Raises AcmeError, StateError and Stopped. `replaces`: the authority is told which certificate
    the new one replaces, if it has renewal information.
    """
    names = settings.names
    log.info("A certificate for %s is ordered from %s.", ", ".join(names), settings.authority)
    client = _client(settings, store)
    before = _renewal_id(store, names[0]) if replaces and client.renewal_info() else ""
    ordering = Ordering(client, store, settings.directory, names, pause=pause)
    try:
        issued = ordering.obtain(kinds, before)
    except Refused as problem:
        if problem.detail.kind != "accountDoesNotExist":
            raise
        _register(settings, store, client)
        issued = ordering.obtain(kinds, before)
    store.save_certificate(names[0], issued.pem)
    store.save_pending(names[0], None)
    return issued.kind


def window(settings: AcmeSettings, store: Store) -> tuple[Window | None, float | None]:
    """When the authority wants to renew, and when it wants to be asked again.

    (None, None) without renewal information. Raises AcmeError.
    """
    client = Client(settings.directory, Signer(new_key()), Transport(settings.ca))
    base, name = client.renewal_info(), _renewal_id(store, settings.names[0])
    if not base or not name:
        return None, None
    reply = client.get(f"{base.rstrip('/')}/{name}")
    return _window_of(reply), reply.retry_at(time.time())


def _window_of(reply: Reply) -> Window | None:
    document = reply.document()
    found = document.get("suggestedWindow")
    if not isinstance(found, dict):
        return None
    try:
        start, end = (datetime.fromisoformat(str(found[each])).timestamp()
                      for each in ("start", "end"))  # fmt: skip
    except (KeyError, ValueError):
        return None
    return Window(start, end, str(document.get("explanationURL") or "")) if start < end else None


def _renewal_id(store: Store, name: str) -> str:
    try:
        return renewal_id(store.certificate(name).read_bytes())
    except (OSError, ValueError):
        return ""


def _client(settings: AcmeSettings, store: Store) -> Client:
    """The authority, with the account of the store or a new one."""
    account = store.account(settings.directory)
    try:
        signer = Signer(key_of(account.key) if account else new_key())
    except ValueError:
        account, signer = None, Signer(new_key())
    client = Client(settings.directory, signer, Transport(settings.ca))
    if account is not None and account.url:
        client.account = account.url
        if account.email != settings.email:
            _change_email(settings, store, client)
        return client
    _register(settings, store, client)
    return client


def _register(settings: AcmeSettings, store: Store, client: Client) -> None:
    """Make an account, or find that of the key."""
    if client.needs_external_account():
        raise AcmeError(
            f"{settings.authority} requires an account that is made on its own pages, which Carboy"
            " does not support. Choose another authority with --acme-directory."
        )
    # The key is saved first: an account whose key is lost could not be used again.
    client.account = ""
    _save(settings, store, client)
    try:
        _, made = client.register(settings.email)
    except Refused as problem:
        if problem.detail.kind != "unauthorized":  # an account that was deactivated
            raise
        client.signer = Signer(new_key())
        _save(settings, store, client)
        _, made = client.register(settings.email)
    _save(settings, store, client)
    terms = client.terms()
    agreed = f" Its use means agreement to the terms of service: {terms}" if terms else ""
    verb = "has been made" if made else "is used again"
    log.info("An account at %s %s.%s", settings.authority, verb, agreed)


def _change_email(settings: AcmeSettings, store: Store, client: Client) -> None:
    """Give the account another contact. An account that does not exist is made by the order."""
    try:
        client.change_email(settings.email)
    except Refused as problem:
        if problem.detail.kind not in ("accountDoesNotExist", "unauthorized"):
            raise
    else:
        _save(settings, store, client)


def _save(settings: AcmeSettings, store: Store, client: Client) -> None:
    key = pem_of(client.signer.key)
    store.save_account(Account(settings.directory, client.account, key, settings.email))
