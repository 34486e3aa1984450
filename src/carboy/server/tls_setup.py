"""The TLS of a server, from the files that its user names and from the settings."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from carboy.acme.settings import AcmeSettings
from carboy.net.certificate_error import CertificateError
from carboy.server.settings import Settings
from carboy.server.trusted_proxies import TrustedProxies

if TYPE_CHECKING:
    from carboy.acme.store import Store
    from carboy.net.tls_server import TlsServer


def tls_fields(
    ssl_context: Any,
    cert: str | Iterable[str],
    key: str | Iterable[str],
    settings: Settings,
    password_file: str | None = None,
    acme: AcmeSettings | None = None,
) -> dict[str, Any]:
    """The fields of a Plan for TLS, from the parameters of `serve`.

    `ssl_context` is a context, (certificate file, key file) or "adhoc", and excludes the others.
    The settings apply to files, which are loaded again when they change.
    """
    if ssl_context is None:
        return {"tls": tls_server(cert, key, settings, password_file, acme), "acme": acme}
    if cert or key or acme:
        raise ValueError("ssl_context excludes cert, key and domain. Leave out one of them.")
    from carboy.net.tls import context_of, wrapper
    from carboy.net.tls_alpn import offer

    if isinstance(ssl_context, tuple) and 1 <= len(ssl_context) <= 2:
        files = [str(each) for each in ssl_context if each is not None]
        return {"tls": tls_server(files[0], files[1:], settings, password_file)}
    context = context_of(ssl_context)
    if context is not None:
        offer(context, settings.http2.protocols())
    return {"wrap": wrapper(context)}


def tls_server(
    cert: str | Iterable[str],
    key: str | Iterable[str],
    settings: Settings,
    password_file: str | None = None,
    acme: AcmeSettings | None = None,
) -> TlsServer | None:
    """The TLS with these certificates, the first of which is the default; None without any.

    Keys belong, in their order, to the certificates whose files have no key. The certificate that
    `acme` orders comes last. Raises CertificateError with every problem of the files, and
    ValueError for settings without a certificate.
    """
    certs, keys = _files(cert), _files(key)
    if not certs and acme is None:
        _refuse_without_certificate(keys, settings)
        return None
    from carboy.net.tls_files import Pair, has_key
    from carboy.net.tls_server import TlsOptions, TlsServer

    alone = [file for file in certs if not has_key(file)]
    if len(keys) != len(alone):
        raise ValueError(_wrong_number(alone, keys))
    rest = iter(keys)
    pairs = tuple(Pair(file, next(rest) if file in alone else None) for file in certs)
    store = None if acme is None else _prepared(acme)
    kept = "" if acme is None or store is None else str(store.certificate(acme.names[0]))
    return TlsServer(
        TlsOptions(
            pairs=(*pairs, Pair(kept)) if kept else pairs,
            password_file=None if password_file is None else str(Path(password_file).absolute()),
            minimum=settings.tls_min,
            ciphers=settings.tls_ciphers,
            curve=settings.tls_curve,
            client_ca=str(Path(settings.client_ca).absolute()) if settings.client_ca else "",
            client_cert=settings.client_cert,
            kept=kept,
            challenges=None if store is None else store.challenge_certificate,
            protocols=settings.http2.protocols(),
        )
    )


def _prepared(acme: AcmeSettings) -> Store:
    """The state folder with a certificate to begin with."""
    from carboy.acme.prepare import prepare
    from carboy.acme.store import StateError

    try:
        return prepare(acme)
    except StateError as problem:
        raise CertificateError(str(problem)) from None


def _files(given: str | Iterable[str]) -> list[str]:
    """Absolute names, because an application may change the working folder."""
    names = [given] if isinstance(given, str) else list(given)
    return [str(Path(name).absolute()) for name in names]


def _wrong_number(alone: list[str], keys: list[str]) -> str:
    if len(keys) > len(alone):
        return (
            f"There are {len(keys)} --key, but only {len(alone)} --cert without a key in the same"
            " file. Leave out the others."
        )
    missing = alone[len(keys)]
    return (
        f"{missing} has no private key in it. Give its key with --key, in the order of the"
        " certificates."
    )


def _refuse_without_certificate(keys: list[str], settings: Settings) -> None:
    untrusting = TrustedProxies(settings.trust.trusted_proxies).takes_nothing()
    for name, given in (
        ("--key", keys),
        ("--client-ca", settings.client_ca),
        ("--hsts", settings.hsts and untrusting),  # else a proxy may speak HTTPS
    ):
        if given:
            raise ValueError(f"{name} requires --cert{'' if given is keys else ' or --domain'}.")
