"""Sessions whose content stays on the server: in Redis, PostgreSQL or NATS.

The cookie has only the session id. The settings and the stored formats are Flask-Session's, so a
site can change over while its users stay logged in:

    from carboy.shared import Session

    app.config.from_mapping(SESSION_URL="redis://localhost:6379")
    Session(app)

A session is read when the request first uses it, and written only if it has changed, also inside
its values. A session id that the store does not know is never used, so that no attacker can choose
the id of another user's session (session fixation, OWASP). `session.regenerate()` gives a session a
new id; call it when the user logs in.
"""

from __future__ import annotations

import re
from inspect import iscoroutinefunction
from secrets import token_urlsafe
from typing import TYPE_CHECKING, Any

from itsdangerous import BadSignature, Signer

from carboy.app.context import _cv_request
from carboy.app.sessions import (
    SessionInterface,
    SessionMixin,
    cookie_place,
    depends_on_cookie,
)
from carboy.http.containers.immutable import CallbackDict
from carboy.http.exceptions import HTTPException, ServiceUnavailable
from carboy.shared import formats
from carboy.shared.errors import EngineUnavailable
from carboy.shared.store import Store
from carboy.shared.stores import store_at

if TYPE_CHECKING:
    from carboy.app.wrappers import Request, Response

__all__ = ["ServerSession", "ServerSessionInterface", "Session"]

DEFAULTS: dict[str, Any] = {
    "SESSION_TYPE": None,  # by the scheme of SESSION_URL
    "SESSION_URL": None,  # as SHARED_URL
    "SESSION_PERMANENT": True,
    "SESSION_USE_SIGNER": False,
    "SESSION_KEY_PREFIX": "session:",
    "SESSION_ID_LENGTH": 32,
    "SESSION_SERIALIZATION_FORMAT": "msgpack",
    "SESSION_ON_ERROR": "error",
    "SESSION_READ_PICKLES": False,
}
# SESSION_TYPE: the engine when there is no URL (Flask-Session's default for Redis)
TYPES = {
    "redis": "redis://localhost:6379",
    "postgresql": None,
    "memory": "memory:",
}
SHORTEST_ID = 16  # bytes of random data; OWASP asks for at least 8
SALT = "flask-session"  # Flask-Session's, so that its signed cookies are accepted
SESSION_ID = re.compile(r"[A-Za-z0-9_.=-]{1,256}")
RETRY_AFTER = 5  # seconds; of the 503 while the engine is down


class Session:
    """The extension: `Session(app)`, or `Session()` and `init_app(app)`, as in Flask-Session."""

    def __init__(self, app: Any = None) -> None:
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Any) -> None:
        """Keep the sessions of `app` in the engine of its configuration.

        Raises ValueError for a setting that cannot be used. Does not connect.
        """
        for name, value in DEFAULTS.items():
            app.config.setdefault(name, value)
        app.session_interface = interface_of(app.config)
        if _open_before_coroutines not in app.before_request_funcs.get(None, ()):
            app.before_request(_open_before_coroutines)


def interface_of(config: Any) -> ServerSessionInterface:
    """The session interface of a configuration. Raises ValueError for a wrong setting."""
    form, on_error = config["SESSION_SERIALIZATION_FORMAT"], config["SESSION_ON_ERROR"]
    if form not in formats.FORMATS:
        raise ValueError(f'SESSION_SERIALIZATION_FORMAT is {form!r}. Use "msgpack" or "json".')
    if on_error not in ("error", "anonymous"):
        raise ValueError(f'SESSION_ON_ERROR is {on_error!r}. Use "error" or "anonymous".')
    length = config["SESSION_ID_LENGTH"]
    if not isinstance(length, int) or length < SHORTEST_ID:
        raise ValueError(
            f"SESSION_ID_LENGTH is {length!r}. Use a number of at least {SHORTEST_ID} bytes, or"
            " session ids can be guessed."
        )
    return ServerSessionInterface(
        _store_of(config),
        key_prefix=config["SESSION_KEY_PREFIX"],
        permanent=config["SESSION_PERMANENT"],
        use_signer=config["SESSION_USE_SIGNER"],
        id_length=length,
        serialization_format=form,
        on_error=on_error,
        read_pickles=config["SESSION_READ_PICKLES"],
    )


def _store_of(config: Any) -> Store:
    kind = config["SESSION_TYPE"]
    kind = "postgresql" if kind in ("postgres", "sqlalchemy") else kind
    if kind is not None and kind not in TYPES:
        names = ", ".join(f'"{name}"' for name in TYPES)
        raise ValueError(f"SESSION_TYPE is {kind!r}. Use one of {names}.")
    client = config.get("SESSION_REDIS")
    if client is not None and kind in (None, "redis"):
        from carboy.shared.redis_store import RedisStore

        return RedisStore.from_client(client, "SESSION_REDIS")
    url = config["SESSION_URL"] or config.get("SHARED_URL") or (kind and TYPES[kind])
    if not url:
        raise ValueError(
            "There is no engine for the sessions. Set SESSION_URL, for example to"
            " redis://localhost:6379."
        )
    return store_at(url)


class ServerSession(CallbackDict[str, Any], SessionMixin):
    """A session that is kept in a store."""

    modified = False
    accessed = False
    available = True  # False: the engine was down, and the session is not saved

    def __init__(
        self,
        initial: Any = None,
        sid: str | None = None,
        stored: bytes | None = None,
        id_length: int = 32,
    ) -> None:
        super().__init__(initial, ServerSession._changed)
        self.new = stored is None
        self._id_length = id_length  # bytes
        self._sid = sid
        self._stored = stored
        self._old_sids: list[str] = []

    def _changed(self) -> None:
        self.modified = True

    @property
    def sid(self) -> str:
        """The session id, a secret between the server and this client."""
        if self._sid is None:
            self._sid = token_urlsafe(self._id_length)
        return self._sid

    def regenerate(self) -> str:
        """Give the session a new id. The old one is not valid after this response.

        Call it when the rights of the user change, above all at the login. Returns the new id.
        """
        if self._sid is not None and self._stored is not None:
            self._old_sids.append(self._sid)
        self._sid = None
        self._stored = None
        self.modified = True
        return self.sid


class LostSession(ServerSession):
    """An empty session, because the engine is down. It is not saved."""

    available = False


class FailedSession(LostSession):
    """The session of SESSION_ON_ERROR = "error". The first use in a request raises a 503.

    Later uses get the empty session, so that the page of the error can be rendered. A request that
    does not use its session is answered as usual.
    """

    _raised = False

    @property
    def accessed(self) -> bool:
        return self._raised

    @accessed.setter
    def accessed(self, value: bool) -> None:
        if not self._raised:
            self._raised = True
            raise ServiceUnavailable(retry_after=RETRY_AFTER)


class ServerSessionInterface(SessionInterface):
    """Opens sessions from a store and saves them there."""

    opened_when_used = True
    session_class = ServerSession

    def __init__(
        self,
        store: Store,
        *,
        key_prefix: str = "session:",
        permanent: bool = True,
        use_signer: bool = False,
        id_length: int = 32,
        serialization_format: str = "msgpack",
        on_error: str = "error",
        read_pickles: bool = False,
    ) -> None:
        self.store = store
        self.key_prefix = key_prefix
        self.permanent = permanent
        self.use_signer = use_signer
        self.id_length = id_length
        self.serialization_format = serialization_format
        self.on_error = on_error
        self.read_pickles = read_pickles

    def regenerate(self, session: ServerSession) -> None:
        """Give a session a new id; Flask-Session's name of `session.regenerate()`."""
        session.regenerate()

    # --- opening

    def open_session(self, app: Any, request: Request) -> ServerSession | None:
        """The session that the cookie names; a new one if it is not in the store.

        While the engine is down, this is an empty session that is not saved. If SESSION_ON_ERROR
        is "error", using it raises ServiceUnavailable (503).
        """
        sid = self._sid_of(app, request)
        if sid is None:
            return self._new_session()
        try:
            data = self.store.get(self.key_prefix + sid)
        except EngineUnavailable as error:
            app.logger.error("The session cannot be read: %s", error)
            return FailedSession() if self.on_error == "error" else LostSession()
        values = None if data is None else self._values_of(app, data)
        if values is None:
            return self._new_session()
        return self.session_class(values, sid, data, self.id_length)

    def _new_session(self) -> ServerSession:
        initial = {"_permanent": True} if self.permanent else None
        return self.session_class(initial, id_length=self.id_length)

    def _values_of(self, app: Any, data: bytes) -> dict[str, Any] | None:
        try:
            return formats.loads(data, self.read_pickles)
        except formats.PickledSession:
            app.logger.warning(
                "A stored session is a pickle, as Flask-Session wrote it before version 0.8, and"
                " is not read. Set SESSION_READ_PICKLES = True to read plain values from pickles."
            )
        except ValueError as error:
            app.logger.warning("A stored session is not read, and a new one is used: %s", error)
        return None

    def _sid_of(self, app: Any, request: Request) -> str | None:
        value = request.cookies.get(self.get_cookie_name(app))
        if value and self.use_signer:
            value = self._unsigned(app, value)
        return value if value and SESSION_ID.fullmatch(value) else None

    # --- saving

    def save_session(self, app: Any, session: SessionMixin, response: Response) -> None:
        """Write the session if it has changed, and set or delete the cookie if necessary.

        If the engine is down and SESSION_ON_ERROR is "error", the response becomes a 503.
        """
        assert isinstance(session, ServerSession)
        if session.accessed:
            depends_on_cookie(response)
        if not session.available:
            if session.modified:
                app.logger.warning("Changes of a session are lost, because the engine was down.")
            return
        try:
            if session.keys() - {"_permanent"}:
                self._write(app, session, response)
            elif session.modified or not session.new:
                self._remove(app, session, response)
        except EngineUnavailable as error:
            app.logger.error("Changes of a session are lost: %s", error)
            if self.on_error == "error" and session.modified:
                _answer_instead(app, response, ServiceUnavailable(retry_after=RETRY_AFTER))

    def _remove(self, app: Any, session: ServerSession, response: Response) -> None:
        """Delete an empty session and its cookie."""
        old = [*session._old_sids, *([session.sid] if session._stored is not None else [])]
        if not old:
            return  # it was never stored
        self.store.delete([self.key_prefix + sid for sid in old])
        depends_on_cookie(response)
        response.delete_cookie(self.get_cookie_name(app), **cookie_place(self, app))

    def _write(self, app: Any, session: ServerSession, response: Response) -> None:
        stored = session._stored
        if stored is not None and session.accessed and not session.modified:
            session.modified = formats.loads(stored, self.read_pickles) != session
        key = self.key_prefix + session.sid
        seconds = app.permanent_session_lifetime.total_seconds()
        if not session.modified:
            if not app.config["SESSION_REFRESH_EACH_REQUEST"]:
                return
            there = self.store.touch(key, seconds)
        else:
            data = formats.dumps(dict(session), self.serialization_format)
            if stored is None:
                self.store.set(key, data, seconds)
                self.store.delete([self.key_prefix + sid for sid in session._old_sids])
                there = True
            else:
                there = self.store.replace(key, data, seconds)
        # A session that another request has ended meanwhile stays ended.
        if not (there and self.should_set_cookie(app, session)):
            return
        depends_on_cookie(response)
        value = self._signed(app, session.sid) if self.use_signer else session.sid
        response.set_cookie(
            self.get_cookie_name(app),
            value,
            expires=self.get_expiration_time(app, session),
            **cookie_place(self, app),
        )

    # --- the signature of the session id (SESSION_USE_SIGNER)

    def _signer(self, key: Any) -> Any:
        return Signer(key, salt=SALT, key_derivation="hmac")

    def _signed(self, app: Any, sid: str) -> str:
        return str(self._signer(self._keys(app)[0]).sign(sid).decode())

    def _unsigned(self, app: Any, value: str) -> str | None:
        for key in self._keys(app):
            try:
                return str(self._signer(key).unsign(value).decode())
            except (BadSignature, UnicodeDecodeError):
                pass
        return None

    def _keys(self, app: Any) -> list[Any]:
        if not app.secret_key:
            raise RuntimeError(
                "SESSION_USE_SIGNER needs a secret key. Set app.secret_key to a long random value,"
                " for example from secrets.token_hex()."
            )
        return [app.secret_key, *(app.config["SECRET_KEY_FALLBACKS"] or ())]


def _answer_instead(app: Any, response: Response, error: HTTPException) -> None:
    """Make the response that of an error, by the error handlers of the application."""
    other = app.make_response(app.handle_user_exception(error))
    response.close()
    response.status = other.status
    response.headers = other.headers
    response.response = other.response
    response.direct_passthrough = other.direct_passthrough


def _open_before_coroutines() -> None:
    """Read the session before a coroutine runs, because reading would hold up the event loop."""
    ctx = _cv_request.get()
    request, app = ctx.request, ctx.app
    if ctx._opened is None and app.config["SESSION_COOKIE_NAME"] in request.cookies:
        view = app.view_functions.get(request.endpoint or "")
        if iscoroutinefunction(view):
            ctx._open_session()
