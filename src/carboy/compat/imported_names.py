"""Names that modules of the real packages import, and that programs import from there.

A replacement of such a name is only seen by code that imports it again. The names that Carboy's own
code uses are in `module_map`, where a replacement reaches that code.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any, TypeVar

# "name", a module of that name; "name=module"; "name=module:attribute", or "name=module:" for an
# attribute of the same name; "name=*", a type variable.
TABLE = """
flask.app: T_shell_context_processor=* T_teardown=* T_template_filter=* T_template_global=*
    T_template_test=* chain=itertools: _url_quote=urllib.parse:quote cabc=collections.abc
    cli=flask.cli click ft=flask.typing is_running_from_reloader=werkzeug.serving:
    iscoroutinefunction=inspect: weakref
flask.cli: ParameterSource=click.core: cabc=collections.abc importlib
    is_running_from_reloader=werkzeug.serving: itemgetter=operator: re
flask.ctx: TracebackType=types: contextvars ft=flask.typing
flask.debughelpers: BaseLoader=jinja2.loaders:
flask.globals: ContextVar=contextvars:
flask.helpers: datetime=datetime: importlib werkzeug
flask.json.provider: dataclasses decimal uuid
flask.json.tag: Markup=markupsafe: UUID=uuid: b64decode=base64: b64encode=base64:
flask.sansio.app: BadRequest=werkzeug.exceptions: BadRequestKeyError=werkzeug.exceptions:
    T_shell_context_processor=* T_teardown=* T_template_filter=* T_template_global=*
    T_template_test=* _endpoint_from_view_func=flask.sansio.scaffold:
    _split_blueprint_path=flask.helpers: _wz_redirect=werkzeug.utils:redirect chain=itertools:
    ft=flask.typing
flask.sansio.blueprints: T_after_request=* T_before_request=* T_error_handler=* T_teardown=*
    T_template_context_processor=* T_template_filter=* T_template_global=* T_template_test=*
    T_url_defaults=* T_url_value_preprocessor=* _endpoint_from_view_func=flask.sansio.scaffold:
    defaultdict=collections: ft=flask.typing
flask.sansio.scaffold: BaseLoader=jinja2.loaders: FileSystemLoader=jinja2.loaders:
    T_after_request=* T_before_request=* T_error_handler=* T_route=* T_teardown=*
    T_template_context_processor=* T_url_defaults=* T_url_value_preprocessor=* ft=flask.typing
    importlib pathlib
flask.sessions: BadSignature=itsdangerous.exc: URLSafeTimedSerializer=itsdangerous.url_safe:
    c=collections.abc hashlib timezone=datetime:
flask.templating: Template=jinja2.environment:
flask.testing: importlib werkzeug
flask.typing: cabc=collections.abc
flask.views: F=* ft=flask.typing
werkzeug._internal: _TAccessorValue=* logging sys timezone=datetime:
werkzeug._reloader: PurePath=pathlib: time
werkzeug.datastructures.accept: cabc=collections.abc
werkzeug.datastructures.auth: base64 cabc=collections.abc
werkzeug.datastructures.cache_control: cabc=collections.abc cleandoc=inspect: http=werkzeug.http
werkzeug.datastructures.csp: cabc=collections.abc
werkzeug.datastructures.etag: cabc=collections.abc
werkzeug.datastructures.file_storage: BytesIO=io: cabc=collections.abc fsdecode=os: fspath=os:
    http=werkzeug.http mimetypes
werkzeug.datastructures.headers: cabc=collections.abc http=werkzeug.http
werkzeug.datastructures.mixins: F=* cabc=collections.abc update_wrapper=functools:
werkzeug.datastructures.range: T=* cabc=collections.abc http=werkzeug.http
werkzeug.datastructures.structures: cabc=collections.abc deepcopy=copy:
    exceptions=werkzeug.exceptions http=werkzeug.http
werkzeug.debug: BytesIO=io: ExitStack=contextlib: basename=os.path: chain=itertools: getpass hashlib
    join=os.path: pkgutil re send_file=werkzeug.utils: sys uuid
werkzeug.debug.repr: RegexType=re:Pattern
werkzeug.debug.tbtools: escape=markupsafe: itertools linecache os re sys sysconfig
werkzeug.exceptions: Markup=markupsafe: escape=markupsafe:
werkzeug.formparser: BytesIO=io: F=* SpooledTemporaryFile=tempfile: parse_qsl=urllib.parse:
werkzeug.http: Enum=enum: _TAnyAccept=* _TAnyCC=* _TAnyCSP=* _sansio_http=werkzeug.sansio.http
    date=datetime: ds=werkzeug.datastructures email mktime=time: quote=urllib.parse:
    sha1=hashlib: struct_time=time: time=datetime: timedelta=datetime: timezone=datetime:
    unquote=urllib.parse: warnings
werkzeug.local: F=* copy update_wrapper=functools:
werkzeug.middleware.lint: TracebackType=types: urlparse=urllib.parse:
werkzeug.middleware.profiler: Profile=cProfile: Stats=pstats: os
werkzeug.middleware.shared_data: cabc=collections.abc posixpath timezone=datetime:
werkzeug.routing.converters: quote=urllib.parse: uuid
werkzeug.routing.exceptions: difflib
werkzeug.routing.map: pformat=pprint: quote=urllib.parse: urljoin=urllib.parse:
    urlunsplit=urllib.parse: warnings
werkzeug.routing.rules: CodeType=types: _ASTT=* ast quote=urllib.parse:
werkzeug.sansio.http: ds=werkzeug.datastructures
werkzeug.sansio.request: datetime=datetime: parse_qsl=urllib.parse:
werkzeug.sansio.response: HTTPStatus=http: datetime=datetime: timedelta=datetime:
    timezone=datetime:
werkzeug.sansio.utils: quote=urllib.parse:
werkzeug.security: hashlib hmac secrets
werkzeug.serving: ForkingMixIn=socketserver: HTTPServer=http.server: dt=datetime:datetime errno
    selectors socketserver timedelta=datetime: timezone=datetime: urlsplit=urllib.parse:
werkzeug.test: BytesIO=io: TemporaryFile=tempfile: _TAnyMultiDict=* dataclasses
    defaultdict=collections: mimetypes random=random: time=time: unquote=urllib.parse:
werkzeug.testapp: importlib wrap=textwrap:
werkzeug.urls: quote=urllib.parse: unquote=urllib.parse: urlencode=urllib.parse: urllib
    urlsplit=urllib.parse: urlunsplit=urllib.parse:
werkzeug.utils: _T=* _TAccessorValue=* escape=markupsafe: io mimetypes os pkgutil
    quote=urllib.parse: unicodedata
werkzeug.wrappers.request: BytesIO=io: cabc=collections.abc functools json
werkzeug.wrappers.response: HTTPStatus=http: json urljoin=urllib.parse:
werkzeug.wsgi: _sansio_utils=werkzeug.sansio.utils partial=functools:
"""


def _read(table: str) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for entry in table.strip().replace("\n    ", " ").splitlines():
        module, _, names = entry.partition(": ")
        pairs = (name.partition("=") for name in names.split())
        found[module] = {name: target or name for name, _, target in pairs}
    return found


IMPORTED = _read(TABLE)
EVERYWHERE = {"t": "typing"}


def names(module: str) -> set[str]:
    """The names that a module of the real packages imports."""
    return {*IMPORTED.get(module, ()), *EVERYWHERE}


def find(module: str, name: str) -> Any:
    """The value of an imported name; KeyError if `module` does not import it."""
    target = IMPORTED.get(module, EVERYWHERE).get(name) or EVERYWHERE[name]
    if target == "*":
        return TypeVar(name)
    where, colon, attribute = target.partition(":")
    found = import_module(where)
    return getattr(found, attribute or name) if colon else found
