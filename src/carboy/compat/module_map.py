"""The modules of Carboy that have the names of each module of `flask` and `werkzeug`.

Each is a list of Carboy's modules, searched in order; a keyword argument is a name that differs.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class ModuleEntry:
    """The modules of Carboy for one module of Flask or Werkzeug, and the names that differ."""

    modules: tuple[str, ...]
    renamed: dict[str, str] = field(default_factory=dict)  # name: "module:name" in Carboy
    package: bool = False


def _of(*modules: str, package: bool = False, **renamed: str) -> ModuleEntry:
    return ModuleEntry(tuple(f"carboy.{name}" for name in modules), renamed, package)


_APP = "carboy.app.app:Carboy"
_APP_OF_PARTS = "carboy.compat.sansio:AppOfParts"
_REQUEST = "carboy.http.request.request:Request"
_RESPONSE = "carboy.http.response.response:Response"
_PARSE_COOKIE = "carboy.http.fields.cookies:parse_cookie_field"
_MULTIPART = "http.forms.multipart_events"
# Reading these warns, so that dir() leaves them out.
_ORDERED = {
    name: f"carboy.compat.ordered:{name}"
    for name in ("OrderedMultiDict", "ImmutableOrderedMultiDict")
}

MODULE_MAP: dict[str, ModuleEntry] = {
    "flask": ModuleEntry(("carboy",), {"Flask": _APP}, package=True),
    "flask.app": _of(
        "app.app",
        "app.cycle",
        "app.errors",
        "app.returns",
        "app.context",
        "app.globals",
        "app.helpers",
        "app.sessions",
        "app.templating",
        "app.wrappers",
        "app.signals",
        "app.blueprint",
        "app.config",
        "routing",
        "http.exceptions",
        "http",
        "serving.wsgi_server",
        Flask=_APP,
        App=_APP_OF_PARTS,
        _make_timedelta="carboy.app.config:_timedelta",
    ),
    "flask.blueprints": _of(
        "app.blueprint",
        "app.registry",
        "app.commands",
        "app.helpers",
        SansioBlueprint="carboy.app.blueprint:Blueprint",
    ),
    "flask.cli": _of(
        "cli.flask",
        "app.commands",
        "http.imports",
        "serving",
        run_simple="carboy.serving.development:run_simple",
    ),
    "flask.__main__": _of("cli.flask"),
    "flask.config": _of("app.config", "http.imports"),
    "flask.ctx": _of("app.context", "app.globals", "app.signals"),
    "flask.debughelpers": _of(
        "app.wrappers",
        "app.errors",
        "app.templating",
        "app.globals",
        "app.blueprint",
        "routing",
        App=_APP_OF_PARTS,
    ),
    "flask.globals": _of(
        "app.globals",
        "app.context",
        _no_app_msg="carboy.app.active:NO_APP",
        _no_req_msg="carboy.app.active:NO_REQUEST",
    ),
    "flask.helpers": _of(
        "app.helpers",
        "app.globals",
        "app.packages",
        "app.signals",
        "app.wrappers",
        BaseResponse=_RESPONSE,
        _wz_abort="carboy.app.helpers:_abort",
        _wz_redirect="carboy.app.helpers:_redirect",
    ),
    "flask.json": ModuleEntry(
        ("carboy.app.json", "carboy.app.json.provider", "carboy.app.globals"), package=True
    ),
    "flask.json.provider": _of("app.json.provider"),
    "flask.json.tag": _of("app.json.tag", "app.json"),
    "flask.logging": _of("app.logging", "app.globals"),
    "flask.sansio": ModuleEntry((), package=True),
    "flask.sansio.app": _of(
        "app.app",
        "app.registry",
        "app.templating",
        "app.packages",
        "app.logging",
        App=_APP_OF_PARTS,
    ),
    "flask.sansio.blueprints": _of("app.blueprint"),
    "flask.sansio.scaffold": _of(
        "app.registry",
        "app.packages",
        _endpoint_from_view_func="carboy.app.urls:endpoint_from_view_func",
    ),
    "flask.sessions": _of(
        "app.sessions",
        "app.json.tag",
        "http.containers.immutable",
        _lazy_sha1="carboy.app.sessions:_sha1",
    ),
    "flask.signals": _of("app.signals", Namespace="blinker:Namespace"),
    "flask.templating": _of("app.templating", "app.context", "app.globals", "app.signals"),
    "flask.testing": _of(
        "testing.app_client",
        "testing.cli_runner",
        "testing",
        "app.sessions",
        BaseRequest=_REQUEST,
    ),
    "flask.typing": _of("app.typing"),
    "flask.views": _of("app.views", "app.globals"),
    "flask.wrappers": _of("app.wrappers", "http.exceptions", "app.globals"),
    "werkzeug": ModuleEntry(
        (),
        {
            "Client": "carboy.testing.client:Client",
            "Request": _REQUEST,
            "Response": _RESPONSE,
            "run_simple": "carboy.serving.development:run_simple",
        },
        package=True,
    ),
    "werkzeug._internal": _of("compat.internal"),
    "werkzeug._reloader": _of("dev.reload.loops"),
    "werkzeug.datastructures": ModuleEntry(
        ("carboy.http",),
        _ORDERED,
        package=True,
    ),
    "werkzeug.datastructures.accept": _of("http.fields.accept"),
    "werkzeug.datastructures.auth": _of("http.fields.auth"),
    "werkzeug.datastructures.cache_control": _of(
        "http.fields.cache_control", _CacheControl="carboy.http.fields.cache_control:CacheControl"
    ),
    "werkzeug.datastructures.csp": _of("http.fields.policies"),
    "werkzeug.datastructures.etag": _of("http.fields.etag"),
    "werkzeug.datastructures.file_storage": _of("http.forms.file_storage", "compat.internal"),
    "werkzeug.datastructures.headers": _of("http.fields.headers", "compat.internal"),
    "werkzeug.datastructures.mixins": _of(
        "http.containers.immutable",
        "compat.internal",
        _immutable_error="carboy.http.containers.immutable:refuse",
    ),
    "werkzeug.datastructures.range": _of("http.fields.ranges"),
    "werkzeug.datastructures.structures": ModuleEntry(
        (
            "carboy.http.containers.multidict",
            "carboy.http.containers.immutable",
            "carboy.http.fields.syntax",
            "carboy.compat.internal",
            "carboy.compat.ordered",
        ),
        _ORDERED,
    ),
    "werkzeug.debug": ModuleEntry(("carboy.dev.debugger",), package=True),
    "werkzeug.debug.console": _of("dev.debugger.console"),
    "werkzeug.debug.repr": _of("dev.debugger.repr"),
    "werkzeug.debug.tbtools": _of(
        "dev.debugger.tbtools",
        CONSOLE_HTML="carboy.dev.debugger.page:CONSOLE",
        HEADER="carboy.dev.debugger.page:PAGE",
        PAGE_HTML="carboy.dev.debugger.page:BODY",
    ),
    "werkzeug.exceptions": _of("http.exceptions", "compat.internal"),
    "werkzeug.formparser": _of(
        "http.forms.parser",
        "http.wsgi",
        _MULTIPART,
        "compat.internal",
    ),
    "werkzeug.http": _of("http", "http.status", "compat.internal"),
    "werkzeug.local": _of("http.local"),
    "werkzeug.middleware": ModuleEntry((), package=True),
    "werkzeug.middleware.dispatcher": _of("middleware.dispatcher"),
    "werkzeug.middleware.http_proxy": _of("middleware.http_proxy"),
    "werkzeug.middleware.lint": _of("middleware.lint"),
    "werkzeug.middleware.profiler": _of("middleware.profiler"),
    "werkzeug.middleware.proxy_fix": _of("middleware.proxy_fix"),
    "werkzeug.middleware.shared_data": _of("middleware.shared_data"),
    "werkzeug.routing": ModuleEntry(("carboy.routing",), package=True),
    "werkzeug.routing.converters": _of("routing.converters"),
    "werkzeug.routing.exceptions": _of("routing.errors", "http.properties"),
    "werkzeug.routing.map": _of(
        "routing.map", "routing.adapter", "routing", "compat.internal", "http"
    ),
    "werkzeug.routing.matcher": _of(
        "routing.trie", "routing.errors", "routing.description", "routing"
    ),
    "werkzeug.routing.rules": _of(
        "routing.rule",
        "routing.factories",
        "routing.description",
        "routing",
        "http.containers.multidict",
        "compat.internal",
    ),
    "werkzeug.sansio": ModuleEntry((), package=True),
    "werkzeug.sansio.http": _of(
        "http.response.conditional",
        "http.fields.cookies",
        "http",
        "compat.internal",
        is_resource_modified="carboy.http.response.conditional:is_modified",
        parse_cookie=_PARSE_COOKIE,
    ),
    "werkzeug.sansio.multipart": _of(_MULTIPART, "http.fields.headers"),
    "werkzeug.sansio.request": _of(
        "http.request.request",
        "http.request.url",
        "http",
        Request="carboy.compat.sansio:RequestOfParts",
        get_content_length="carboy.http.wsgi:content_length",
        parse_cookie=_PARSE_COOKIE,
    ),
    "werkzeug.sansio.response": _of(
        "http.response.response", "http", Response="carboy.compat.sansio:ResponseOfParts"
    ),
    "werkzeug.sansio.utils": _of(
        "http.request.url",
        "http.wsgi",
        "compat.internal",
        "http",
        get_content_length="carboy.http.wsgi:content_length",
    ),
    "werkzeug.security": _of("http.security", _hash_internal="carboy.http.security:_hash"),
    "werkzeug.serving": _of(
        "serving.wsgi_server",
        "serving.development",
        "serving.handler",
        "serving.chunked",
        "serving.addresses",
        "serving.log",
        "net.tls",
        "net.certificates",
        "http",
        "compat.internal",
    ),
    "werkzeug.test": _of(
        "testing.client",
        "http.request.environ_builder",
        "http.forms.encoding",
        "testing",
        "http.wsgi",
        "http",
        "compat.internal",
        _MULTIPART,
        _iter_data="carboy.http.request.environ_builder:_fields",
    ),
    "werkzeug.testapp": _of("testing.environ_page"),
    "werkzeug.urls": _of(
        "http.urls",
        "http.containers.multidict",
        "compat.internal",
        _codec_error_url_quote="carboy.http.urls:_quote_undecodable",
        _decode_idna="carboy.http.urls:_readable_host",
    ),
    "werkzeug.user_agent": _of("http.fields.user_agent"),
    "werkzeug.utils": _of(
        "http.security",
        "http.response.sending",
        "http.properties",
        "http.fields.content_type",
        "http.response.redirects",
        "http.imports",
        "http",
        "compat.internal",
        adler32="carboy.http.response.sending:adler32",
        safe_join="carboy.http.response.sending:safe_join",
        time="carboy.http.response.sending:time",
    ),
    "werkzeug.wrappers": ModuleEntry(
        ("carboy.http.response.body",), {"Request": _REQUEST, "Response": _RESPONSE}, package=True
    ),
    "werkzeug.wrappers.request": _of(
        "http.request.request", "http", "compat.internal", _SansIORequest=_REQUEST
    ),
    "werkzeug.wrappers.response": _of(
        "http.response.response",
        "http.response.body",
        "http",
        "compat.internal",
        _SansIOResponse=_RESPONSE,
        _RangeWrapper="carboy.http.response.conditional:RangeIterator",
    ),
    "werkzeug.wsgi": _of(
        "http.wsgi",
        "http.request.url",
        "file_wrapper",
        "http",
        "compat.internal",
        _RangeWrapper="carboy.http.response.conditional:RangeIterator",
    ),
}

DEPRECATED = frozenset(_ORDERED)

# The versions of the real packages that Carboy agrees with.
VERSIONS = {"flask": "3.1.3", "werkzeug": "3.1.9"}
