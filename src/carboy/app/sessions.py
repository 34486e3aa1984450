"""Sessions in a signed cookie. The format is Flask's, so each framework reads the other's cookies.

itsdangerous loads when a cookie is first signed or verified. `app` is the application; its type is
Any because subclasses of SessionInterface name the class of the application.
"""

from __future__ import annotations

from binascii import a2b_base64
from collections.abc import Mapping, MutableMapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NoReturn

from carboy.app.json.provider import DefaultJSONProvider
from carboy.app.json.tag import TaggedJSONSerializer
from carboy.app.secure_cookies import advise_secure_cookies
from carboy.http.containers.immutable import CallbackDict

if TYPE_CHECKING:
    from itsdangerous import URLSafeTimedSerializer

    from carboy.app.wrappers import Request, Response

__all__ = [
    "NullSession",
    "SecureCookieSession",
    "SecureCookieSessionInterface",
    "SessionInterface",
    "SessionMixin",
    "session_json_serializer",
]


class SessionMixin(MutableMapping[str, Any]):
    """A session: a mapping that knows whether it has to be saved."""

    new = False  # made for this request, not read from a cookie
    modified = True  # has to be saved
    accessed = False  # was read or changed, so the response depends on the cookie

    @property
    def permanent(self) -> bool:
        """Whether the session outlives the browser (the key `_permanent`)."""
        return bool(self.get("_permanent", False))

    @permanent.setter
    def permanent(self, value: bool) -> None:
        self["_permanent"] = bool(value)


class SecureCookieSession(CallbackDict[str, Any], SessionMixin):
    """A session for a signed cookie. It notices changes of its own keys only.

    Set `modified` after a change inside a value.
    """

    modified = False
    accessed = False

    def __init__(self, initial: Any = None) -> None:
        super().__init__(initial, SecureCookieSession._changed)

    def _changed(self) -> None:
        self.modified = True

    def __reduce__(self) -> Any:
        # By the constructor, which sets `on_update` here and in Flask.
        state = {name: value for name, value in vars(self).items() if name != "on_update"}
        return type(self), (dict(self),), state


class NullSession(SecureCookieSession):
    """The session of an application without a secret key: empty and read-only."""

    def _fail(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise RuntimeError(
            "The session is unavailable because no secret key was set. Set app.secret_key"
            " to a long random value, for example from secrets.token_hex()."
        )

    __setitem__ = __delitem__ = clear = pop = popitem = update = setdefault = _fail
    del _fail


class SessionInterface:
    """How sessions are opened and saved: subclass and set `app.session_interface`.

    Define `open_session` and `save_session`; the other methods read the configuration.
    """

    null_session_class = NullSession
    pickle_based = False
    # Whether a session may be opened when it is first used, instead of before each request. The
    # methods of such an interface do not depend on what happens in between, and need no SECRET_KEY.
    opened_when_used = False

    def make_null_session(self, app: Any) -> NullSession:
        """The session for requests where `open_session` returns None."""
        return self.null_session_class()

    def is_null_session(self, obj: object) -> bool:
        """Whether `obj` is such a session, which is not saved."""
        return isinstance(obj, self.null_session_class)

    def get_cookie_name(self, app: Any) -> str:
        """SESSION_COOKIE_NAME."""
        return app.config["SESSION_COOKIE_NAME"]  # type: ignore[no-any-return]

    def get_cookie_domain(self, app: Any) -> str | None:
        """SESSION_COOKIE_DOMAIN."""
        return app.config["SESSION_COOKIE_DOMAIN"]  # type: ignore[no-any-return]

    def get_cookie_path(self, app: Any) -> str:
        """SESSION_COOKIE_PATH, or else APPLICATION_ROOT."""
        path: str = app.config["SESSION_COOKIE_PATH"] or app.config["APPLICATION_ROOT"]
        return path

    def get_cookie_httponly(self, app: Any) -> bool:
        """SESSION_COOKIE_HTTPONLY."""
        return app.config["SESSION_COOKIE_HTTPONLY"]  # type: ignore[no-any-return]

    def get_cookie_secure(self, app: Any) -> bool:
        """SESSION_COOKIE_SECURE."""
        return app.config["SESSION_COOKIE_SECURE"]  # type: ignore[no-any-return]

    def get_cookie_samesite(self, app: Any) -> str | None:
        """SESSION_COOKIE_SAMESITE."""
        return app.config["SESSION_COOKIE_SAMESITE"]  # type: ignore[no-any-return]

    def get_cookie_partitioned(self, app: Any) -> bool:
        """SESSION_COOKIE_PARTITIONED."""
        return app.config["SESSION_COOKIE_PARTITIONED"]  # type: ignore[no-any-return]

    def get_expiration_time(self, app: Any, session: SessionMixin) -> datetime | None:
        """When the cookie of a permanent session expires; None: when the browser is closed."""
        if not session.permanent:
            return None
        lifetime: timedelta = app.permanent_session_lifetime
        return datetime.now(UTC) + lifetime

    def should_set_cookie(self, app: Any, session: SessionMixin) -> bool:
        """Whether the cookie is sent: the session is modified, or permanent and refreshed."""
        return session.modified or (
            session.permanent and app.config["SESSION_REFRESH_EACH_REQUEST"]
        )

    def open_session(self, app: Any, request: Request) -> SessionMixin | None:
        """The session of a request; None if sessions cannot be used."""
        raise NotImplementedError

    def save_session(self, app: Any, session: SessionMixin, response: Response) -> None:
        """Save the session and change the response; not called for a null session."""
        raise NotImplementedError


session_json_serializer = TaggedJSONSerializer()
URL_SAFE = str.maketrans("-_", "+/")


def _sha1(string: bytes = b"") -> Any:
    import hashlib

    # Missing in some hardened builds, and only needed when a key is used.
    return hashlib.sha1(string)


def _openssl_sha1() -> Any:
    import hashlib

    return hashlib.sha1


class SecureCookieSessionInterface(SessionInterface):
    """Sessions in a cookie that is signed with the application's secret key."""

    salt = "cookie-session"
    digest_method = staticmethod(_sha1)
    key_derivation = "hmac"
    serializer: Any = session_json_serializer
    session_class = SecureCookieSession

    def get_signing_serializer(self, app: Any) -> URLSafeTimedSerializer | None:
        """The serializer: signs with SECRET_KEY, also verifies with SECRET_KEY_FALLBACKS.

        None without a key.
        """
        key = app.secret_key
        if not key:
            return None
        keys = [*(app.config["SECRET_KEY_FALLBACKS"] or ()), key]
        made_of = (keys, self.salt, self.serializer, self.key_derivation, self.digest_method)
        known: tuple[Any, URLSafeTimedSerializer] | None = app._signer
        if known is None or known[0] != made_of:
            digest = self.digest_method
            signer = _serializer_class()(
                keys,
                salt=self.salt,
                serializer=self.serializer,
                signer_kwargs={
                    "key_derivation": self.key_derivation,
                    # OpenSSL's own function, with which hmac is faster.
                    "digest_method": _openssl_sha1() if digest is _sha1 else digest,
                },
            )
            known = app.__dict__["_signer"] = (made_of, signer)
        return known[1]

    def open_session(self, app: Any, request: Request) -> SecureCookieSession | None:
        """The session in the cookie of a request; an empty one if that is invalid or too old."""
        signer = self.get_signing_serializer(app)
        if signer is None:
            return None
        value = request.cookies.get(self.get_cookie_name(app))
        if not value:
            return self.session_class()
        max_age = int(app.permanent_session_lifetime.total_seconds())
        try:
            return self.session_class(signer.loads(value, max_age=max_age))
        except _bad_signature():
            return self.session_class()

    def save_session(self, app: Any, session: SessionMixin, response: Response) -> None:
        """Set or delete the cookie if necessary, and add Cookie to the Vary field."""
        # A cache must not send the response of one client to another client.
        if session.accessed:
            depends_on_cookie(response)
        if not session and not session.modified:
            return
        if session and not self.should_set_cookie(app, session):
            return
        name = self.get_cookie_name(app)
        place = cookie_place(self, app)
        if not session.accessed:
            depends_on_cookie(response)
        if not session:
            response.delete_cookie(name, **place)
            return
        expires = self.get_expiration_time(app, session)
        signer = self.get_signing_serializer(app)
        assert signer is not None  # without a key the session is a null session
        value = signer.dumps(dict(session))
        response.set_cookie(name, value, expires=expires, **place)


def session_to_refresh(app: Any, ctx: Any) -> bool:
    """Whether a session that was not used may have to be sent again: its cookie is permanent."""
    config = app.config
    if not config["SESSION_REFRESH_EACH_REQUEST"]:
        return False
    name = config["SESSION_COOKIE_NAME"]
    if ctx.exchange is not None and f"{name}=".encode() not in ctx.exchange.head.block:
        return False  # known without parsing the header fields
    if ctx.environ is not None and name not in ctx.environ.get("HTTP_COOKIE", ""):
        return False
    cookies: Mapping[str, str] = ctx.request.cookies
    return name in cookies and _may_be_permanent(app, cookies[name])


def _may_be_permanent(app: Any, cookie: str) -> bool:
    """Whether a cookie may contain a permanent session, seen without verifying its signature.

    Only such a session is sent again, so no other cookie has to be verified if it is not used.
    """
    interface, json = app.session_interface, app.json
    if (
        type(interface) is not SecureCookieSessionInterface
        or type(json) is not DefaultJSONProvider
        or interface.serializer is not session_json_serializer
        or vars(interface)
        or "dumps" in vars(json)
        or DefaultJSONProvider.dumps is not DefaultJSONProvider._original_dumps
        or cookie.startswith(".")  # compressed
    ):
        return True
    payload = cookie.partition(".")[0]
    try:
        return b"_permanent" in a2b_base64(payload.translate(URL_SAFE) + "==")
    except ValueError:
        return True


def cookie_place(interface: SessionInterface, app: Any) -> dict[str, Any]:
    """The attributes of the session cookie, except for its lifetime."""
    secure = interface.get_cookie_secure(app)
    if not secure:
        advise_secure_cookies(app)
    return {
        "domain": interface.get_cookie_domain(app),
        "path": interface.get_cookie_path(app),
        "secure": secure,
        "partitioned": interface.get_cookie_partitioned(app),
        "samesite": interface.get_cookie_samesite(app),
        "httponly": interface.get_cookie_httponly(app),
    }


def depends_on_cookie(response: Response) -> None:
    """Add Cookie to the Vary field, so that caches keep the responses of clients apart."""
    vary = response.headers.get("Vary")
    if vary is None:
        response.headers.add("Vary", "Cookie")
    elif vary != "Cookie":
        response.vary.add("Cookie")


def _serializer_class() -> type[URLSafeTimedSerializer]:
    from carboy.app.session_signing import SessionSerializer

    return SessionSerializer


def _bad_signature() -> type[Exception]:
    from itsdangerous import BadSignature

    return BadSignature
