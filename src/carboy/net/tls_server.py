"""The TLS of a server: a context for each certificate, chosen by name, and loaded again.

    TlsServer(sock)   a stream for an accepted socket, with the contexts of the moment
    look              loads the files again when they have changed; `watch` does so in a thread

New contexts replace the old ones as a whole, in one assignment, and the leader reads them once for
each connection. A context that has served a connection is not changed, because OpenSSL reads it
without a lock. Sessions are resumed with tickets whose key belongs to the context: workers forked
with the same contexts accept each other's.
"""

from __future__ import annotations

import logging
import socket
import ssl
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from carboy.net.certificate_error import CertificateError
from carboy.net.tls import TlsStream, context_of
from carboy.net.tls_alpn import HTTP_1, offer
from carboy.net.tls_challenge import ChallengeStream, FindChallenge
from carboy.net.tls_facts import note_pem
from carboy.net.tls_files import Identity, Pair, read, read_password

log = logging.getLogger("carboy.error")

# Mozilla's "intermediate" configuration 5.8; the suites of TLS 1.3 are always all there.
CIPHERS = (
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
    "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"
)
VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}
VERIFY = {"optional": ssl.CERT_OPTIONAL, "required": ssl.CERT_REQUIRED}
LOOK_EVERY = 2.0  # seconds between two looks at the files
SOON = 14  # days before the end at which a certificate should have been renewed


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsOptions:
    """Certificates, the first of which is the default, and what clients may use."""

    pairs: tuple[Pair, ...]
    password_file: str | None = None
    minimum: str = "1.2"
    ciphers: str = ""  # empty: CIPHERS
    curve: str = ""  # empty: those of OpenSSL
    client_ca: str = ""  # file of authorities; empty: clients are not asked for a certificate
    client_cert: str = "required"
    kept: str = ""  # file of a certificate that this program renews
    challenges: FindChallenge | None = None  # answers of tls-alpn-01
    protocols: tuple[str, ...] = HTTP_1  # by ALPN (RFC 7301), the best first

    def files(self) -> list[str]:
        """Every file that is read."""
        others = filter(None, (self.client_ca, self.password_file))
        return [*(file for pair in self.pairs for file in pair.files()), *others]


@dataclass(frozen=True, slots=True)
class Contexts:
    """One context for each certificate, the default first, and which names they are for."""

    default: ssl.SSLContext
    by_name: dict[str, ssl.SSLContext]
    identities: tuple[Identity, ...]
    others: tuple[ssl.SSLContext, ...] = field(default=())

    def choose(self, sock: Any, name: str | None, context: ssl.SSLContext) -> None:
        """Callback of the handshake: the context for the name that the client asks for."""
        if name:
            found = self.find(name)
            if found is not None and found is not self.default:
                sock.context = found

    def find(self, name: str) -> ssl.SSLContext | None:
        """The context for a name: exact, or with a wildcard for its first label (RFC 9525, 6.3)."""
        name = name.lower().removesuffix(".")
        exact = self.by_name.get(name)
        if exact is not None:
            return exact
        return self.by_name.get("*." + name.partition(".")[2])


class TlsServer:
    """Makes the streams of accepted sockets. Raises CertificateError with all problems."""

    def __init__(self, options: TlsOptions) -> None:
        self.options = options
        self._stamps = self._seen = stamps(options.files())
        self.contexts = make_contexts(options)
        self._looking = threading.Lock()  # the thread that orders certificates looks as well
        self._stop = threading.Event()  # of the thread that watches, if there is one

    def __call__(self, sock: socket.socket) -> TlsStream:
        """The stream of an accepted socket."""
        if self.options.challenges is not None:
            return ChallengeStream(sock, self.contexts.default, self.options.challenges)
        return TlsStream(sock, self.contexts.default)

    def covers(self, name: str) -> bool:
        """Whether a certificate is for this name or address."""
        return self.contexts.find(name) is not None

    def names(self) -> list[str]:
        """The names of all certificates, each once."""
        found = (name for each in self.contexts.identities for name in each.certificate.names)
        return list(dict.fromkeys(found))

    def days_left(self) -> int:
        """Days until the first certificate expires."""
        now = datetime.now(UTC)
        return min(each.certificate.days_left(now) for each in self.contexts.identities)

    def warnings(self) -> list[str]:
        """A sentence for each certificate that clients refuse today, or soon will."""
        now = datetime.now(UTC)
        own = (
            each for each in self.contexts.identities if each.pair.certificate != self.options.kept
        )
        found = (_warning(each, now) for each in own)
        return [each for each in found if each]

    def is_valid(self) -> bool:
        """Whether every certificate is valid now; one that this program renews counts as valid."""
        now = datetime.now(UTC)
        return all(
            each.certificate.begins <= now < each.certificate.ends
            for each in self.contexts.identities
            if each.pair.certificate != self.options.kept
        )

    # --- loading again

    def watch(self) -> None:
        """Load the files again whenever they change, in a thread, until `stop`."""
        self.look(settled=True)
        self._stop = stop = threading.Event()
        threading.Thread(
            target=self._watch, args=(stop,), name="carboy-certificates", daemon=True
        ).start()

    def stop(self) -> None:
        """End the thread."""
        self._stop.set()

    def _watch(self, stop: threading.Event) -> None:
        while not stop.wait(LOOK_EVERY):
            self.look()

    def look(self, settled: bool = False) -> bool:
        """Load the files again if they have changed; returns whether they were loaded.

        A certificate and its key are replaced one after the other. So a change counts only when the
        next look sees the same, unless it is `settled`. What cannot be used is logged once, and the
        old certificates stay.
        """
        with self._looking:
            now = stamps(self.options.files())
            before, self._seen = self._seen, now
            if now == self._stamps or (now != before and not settled):
                return False
            return self._load(now)

    def reload(self) -> bool:
        """Load the files again, changed or not; returns whether they were loaded.

        The keys of session tickets are new then. For a supervisor, before it forks new workers.
        """
        return self._load(stamps(self.options.files()))

    def _load(self, now: list[tuple[int, ...] | None]) -> bool:
        self._stamps = self._seen = now
        try:
            self.contexts = make_contexts(self.options)
        except CertificateError as problem:
            log.error("The certificates were not loaded again, the old ones stay. %s", problem)
            return False
        log.info("The certificates were loaded again: %s.", self.summary())
        for warning in self.warnings():
            log.warning(warning)
        return True

    def summary(self) -> str:
        """The names and the days left, for people."""
        names = self.names()
        shown = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
        return f"{shown or 'no names'} ({in_days(self.days_left())})"


def tls_of(
    given: Any, protocols: tuple[str, ...] = HTTP_1
) -> tuple[TlsServer | None, ssl.SSLContext | None]:
    """The TLS for a value of `ssl_context=`, and its context; see `context_of` and `offer`.

    Only the files of a certificate are loaded again when they change; there is no TlsServer for
    other values, and none for files that only `context_of` can use, such as an encrypted key whose
    password OpenSSL asks for.
    """
    if isinstance(given, TlsServer):
        return given, given.contexts.default
    context = context_of(given)
    if context is not None:
        offer(context, protocols)
    if isinstance(given, tuple) and len(given) <= 2:
        files = [None if each is None else str(Path(each).absolute()) for each in given]
        try:
            pairs = (Pair(str(files[0]), *files[1:]),)
            server = TlsServer(TlsOptions(pairs=pairs, protocols=protocols))
        except CertificateError:
            return None, context
        return server, server.contexts.default
    return None, context


def in_days(days: int) -> str:
    """ "3 days left", or that it has expired."""
    if days < 0:
        return "expired"
    return "1 day left" if days == 1 else f"{days} days left"


def _warning(identity: Identity, now: datetime) -> str:
    found, file = identity.certificate, identity.pair.certificate
    if found.ends <= now:
        return f"The certificate in {file} expired on {found.ends:%Y-%m-%d}. Renew it."
    if found.begins > now:
        return f"The certificate in {file} is valid from {found.begins:%Y-%m-%d}. Check the clock."
    if found.days_left(now) < SOON:
        return (
            f"The certificate in {file} expires on {found.ends:%Y-%m-%d}. Renew it; it is loaded"
            " again when the file changes."
        )
    return ""


def stamps(files: Iterable[str]) -> list[tuple[int, ...] | None]:
    """Values that change with a file, or where a link leads; None: it cannot be read."""
    return [_stamp(file) for file in files]


def _stamp(file: str) -> tuple[int, ...] | None:
    try:
        found = Path(file).stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


# --- contexts


def make_contexts(options: TlsOptions) -> Contexts:
    """Read all files and make the contexts. Raises CertificateError with all problems."""
    problems: list[str] = []

    def attempt(step: Callable[..., Any], *values: Any) -> Any:
        try:
            return step(*values)
        except CertificateError as problem:
            problems.append(str(problem))

    password = attempt(read_password, options.password_file)
    identities = [attempt(read, pair, password or b"") for pair in options.pairs]
    attempt(_context, options)
    if problems:
        raise CertificateError("\n".join(dict.fromkeys(problems)))
    made = [_with_identity(_context(options), each) for each in identities]
    by_name: dict[str, ssl.SSLContext] = {}
    for context, identity in zip(made, identities, strict=True):
        for name in identity.certificate.names:
            by_name.setdefault(name, context)
    contexts = Contexts(made[0], by_name, tuple(identities), tuple(made[1:]))
    if contexts.others:
        made[0].sni_callback = contexts.choose
    return contexts


def _with_identity(context: ssl.SSLContext, identity: Identity) -> ssl.SSLContext:
    try:
        identity.load_into(context)
    except OSError as error:  # the pair itself is right
        raise CertificateError(
            f"{identity.pair.certificate} cannot be used with these settings: {error}."
        ) from None
    note_pem(context, identity.first())
    return context


def _context(options: TlsOptions) -> ssl.SSLContext:
    """A context without a certificate. Raises CertificateError for a setting that cannot work."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = VERSIONS[options.minimum]
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    # All ciphers of the default are good, and a client knows which are quick for it.
    if not options.ciphers:
        context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE
    try:
        context.set_ciphers(options.ciphers or CIPHERS)
    except ssl.SSLError:
        raise CertificateError(
            f"--tls-ciphers {options.ciphers} names no cipher of {ssl.OPENSSL_VERSION}. List its"
            " ciphers: openssl ciphers."
        ) from None
    if options.curve:
        try:
            context.set_ecdh_curve(options.curve)
        except (ValueError, ssl.SSLError):
            raise CertificateError(
                f"--tls-curve {options.curve} is not a curve of {ssl.OPENSSL_VERSION}. Use"
                " X25519, prime256v1, secp384r1 or secp521r1."
            ) from None
    context.set_alpn_protocols(list(options.protocols))
    if options.client_ca:
        _ask_for_certificates(context, options)
    return context


def _ask_for_certificates(context: ssl.SSLContext, options: TlsOptions) -> None:
    try:
        data = Path(options.client_ca).read_text("latin-1")
        context.load_verify_locations(cadata=data)
    except ssl.SSLError:
        raise CertificateError(
            f"{options.client_ca} does not contain a certificate in PEM format. Use another file"
            " for --client-ca."
        ) from None
    except OSError as problem:
        raise CertificateError(
            f"{options.client_ca} cannot be read: {problem.strerror}. Check its name and"
            " permissions."
        ) from None
    context.verify_mode = VERIFY[options.client_cert]
