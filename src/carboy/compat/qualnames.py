"""Gives Carboy's classes and functions the `__module__` and `__qualname__` of the real packages.

Pickles, exemptions by dotted name, tracebacks and reprs depend on these names. Each entry of TABLE
has a module of Carboy, the module that defines the names in the real package, and the names
(`theirs=ours` where they differ). `flask.app.Flask` is left out on purpose: its `__module__` shows
programs, tests and bug reports that Carboy runs.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import FunctionType, ModuleType
from typing import Any, ForwardRef

TABLE = """
carboy.app.config flask.app: _make_timedelta=_timedelta
carboy.app.blueprint flask.blueprints: Blueprint
carboy.app.blueprint flask.sansio.blueprints: BlueprintSetupState
carboy.app.commands flask.cli: AppGroup NoAppException ScriptInfo load_dotenv show_server_banner
    with_appcontext
carboy.app.config flask.config: Config ConfigAttribute
carboy.app.context flask.ctx: AppContext RequestContext _AppCtxGlobals after_this_request
    copy_current_request_context has_app_context has_request_context
carboy.app.context flask.templating: _default_template_ctx_processor
carboy.app.errors flask.debughelpers: FormDataRoutingRedirect UnexpectedUnicodeError
carboy.app.helpers flask.helpers: abort flash get_debug_flag
    get_flashed_messages get_load_dotenv get_template_attribute make_response redirect send_file
    send_from_directory stream_with_context url_for
carboy.app.json flask.json: dump dumps jsonify load loads
carboy.app.json.provider flask.json.provider: DefaultJSONProvider JSONProvider _default
carboy.app.json.tag flask.json.tag: JSONTag PassDict PassList TagBytes TagDateTime TagDict
    TagMarkup TagTuple TagUUID TaggedJSONSerializer
carboy.app.logging flask.logging: create_logger has_level_handler
carboy.app.packages flask.helpers: get_root_path
carboy.app.packages flask.sansio.scaffold: find_package
carboy.app.registry flask.sansio.scaffold: Scaffold setupmethod
carboy.app.sessions flask.sessions: NullSession SecureCookieSession SecureCookieSessionInterface
    SessionInterface SessionMixin _lazy_sha1=_sha1
carboy.app.templating flask.debughelpers: explain_template_loading_attempts
carboy.app.templating flask.templating: DispatchingJinjaLoader Environment _render _stream
    render_template render_template_string stream_template stream_template_string
carboy.app.urls flask.sansio.scaffold: _endpoint_from_view_func=endpoint_from_view_func
carboy.app.views flask.views: MethodView View
carboy.app.wrappers flask.debughelpers: DebugFilesKeyError attach_enctype_error_multidict
carboy.app.wrappers flask.helpers: _split_blueprint_path
carboy.app.wrappers flask.wrappers: Request Response
carboy.cli.flask flask.cli: routes_command run_command shell_command
carboy.cli.flask flask.cli: FlaskGroup _set_app _set_debug find_app_by_string find_best_app
    get_version locate_app main prepare_import
carboy.cli.development_options flask.cli: CertParamType SeparatedPathType
carboy.compat.internal werkzeug._internal: _dt_as_utc _plain_int
carboy.compat.internal werkzeug.wsgi: _get_server
carboy.compat.ordered werkzeug.datastructures.structures: _ImmutableOrderedMultiDict
    _OrderedMultiDict
carboy.compat.sansio flask.sansio.app: App=AppOfParts
carboy.compat.sansio werkzeug.sansio.request: Request=RequestOfParts
carboy.compat.sansio werkzeug.sansio.response: Response=ResponseOfParts
carboy.dates werkzeug.http: dump_age http_date parse_age parse_date
carboy.dev.debugger werkzeug.debug: DebuggedApplication _ConsoleFrame
carboy.dev.debugger.console werkzeug.debug.console: Console HTMLStringO ThreadedStream
    _ConsoleLoader _InteractiveConsole
carboy.dev.debugger.pin werkzeug.debug: get_machine_id get_pin_and_cookie_name hash_pin
carboy.dev.debugger.repr werkzeug.debug.repr: DebugReprGenerator _Helper debug_repr dump
carboy.dev.debugger.frames werkzeug.debug.tbtools: DebugFrameSummary
carboy.dev.debugger.tbtools werkzeug.debug.tbtools: DebugTraceback _process_traceback
    render_console_html
carboy.dev.reload.loops werkzeug._reloader: ReloaderLoop StatReloaderLoop WatchdogReloaderLoop
    _find_common_roots _find_stat_paths _find_watchdog_paths _get_args_for_reloading
    _iter_module_paths _remove_by_pattern ensure_echo_on run_with_reloader
carboy.file_wrapper werkzeug.wsgi: FileWrapper
carboy.http.containers.immutable werkzeug._internal: _Missing=Missing
carboy.http.containers.immutable werkzeug.datastructures.mixins: ImmutableDictMixin
    ImmutableHeadersMixin ImmutableListMixin ImmutableMultiDictMixin UpdateDictMixin
    _immutable_error=refuse
carboy.http.containers.immutable werkzeug.datastructures.structures: CallbackDict ImmutableDict
    ImmutableList ImmutableTypeConversionDict TypeConversionDict
carboy.http.containers.multidict werkzeug.datastructures.structures: CombinedMultiDict
    ImmutableMultiDict MultiDict iter_multi_items
carboy.http.exceptions werkzeug.exceptions: Aborter BadGateway BadHost BadRequest
    BadRequestKeyError ClientDisconnected Conflict ExpectationFailed FailedDependency Forbidden
    GatewayTimeout Gone HTTPException HTTPVersionNotSupported ImATeapot InternalServerError
    LengthRequired Locked MethodNotAllowed MisdirectedRequest NotAcceptable NotFound
    NotImplemented PreconditionFailed PreconditionRequired RequestEntityTooLarge
    RequestHeaderFieldsTooLarge RequestTimeout RequestURITooLarge RequestedRangeNotSatisfiable
    SecurityError ServiceUnavailable TooManyRequests Unauthorized UnavailableForLegalReasons
    UnprocessableEntity UnsupportedMediaType _RetryAfter abort
carboy.http.fields.accept werkzeug.datastructures.accept: Accept CharsetAccept LanguageAccept
    MIMEAccept
carboy.http.fields.accept werkzeug.http: parse_accept_header
carboy.http.fields.auth werkzeug.datastructures.auth: Authorization WWWAuthenticate
carboy.http.fields.cache_control werkzeug.datastructures.cache_control: RequestCacheControl
    ResponseCacheControl _CacheControl=CacheControl cache_control_property
carboy.http.fields.cache_control werkzeug.http: parse_cache_control_header
carboy.http.fields.content_type werkzeug.utils: get_content_type
carboy.http.fields.cookies werkzeug.http: dump_cookie parse_cookie
carboy.http.fields.cookies werkzeug.sansio.http: parse_cookie=parse_cookie_field
carboy.http.fields.etag werkzeug.datastructures.etag: ETags
carboy.http.fields.etag werkzeug.http: generate_etag parse_etags quote_etag unquote_etag
carboy.http.fields.headers werkzeug.datastructures.headers: EnvironHeaders Headers
carboy.http.fields.headers werkzeug.http: is_entity_header is_hop_by_hop_header
    remove_entity_headers remove_hop_by_hop_headers
carboy.http.fields.policies werkzeug.datastructures.csp: ContentSecurityPolicy csp_property
carboy.http.fields.policies werkzeug.http: COEP COOP dump_csp_header parse_csp_header
carboy.http.fields.ranges werkzeug.datastructures.range: ContentRange IfRange Range
carboy.http.fields.ranges werkzeug.http: is_byte_range_valid parse_content_range_header
    parse_if_range_header parse_range_header
carboy.http.fields.syntax werkzeug.datastructures.structures: HeaderSet
carboy.http.fields.syntax werkzeug.http: dump_header dump_options_header parse_dict_header
    parse_list_header parse_options_header parse_set_header quote_header_value
    unquote_header_value
carboy.http.fields.user_agent werkzeug.user_agent: UserAgent
carboy.http.forms.encoding werkzeug.test: encode_multipart stream_encode_multipart
carboy.http.forms.file_storage werkzeug.datastructures.file_storage: FileMultiDict FileStorage
carboy.http.forms.multipart_events werkzeug.sansio.multipart: Data Epilogue Event Field File
    MultipartDecoder MultipartEncoder NeedData Preamble State
carboy.http.forms.parser werkzeug.formparser: FormDataParser MultiPartParser
    default_stream_factory parse_form_data
carboy.http.forms.urlencoded werkzeug.urls: _urlencode=encode_pairs
carboy.http.imports werkzeug.utils: ImportStringError find_modules import_string
carboy.http.local werkzeug.local: Local LocalManager LocalProxy LocalStack release_local
carboy.http.properties werkzeug._internal: _DictAccessorProperty=_EntryProperty
carboy.http.properties werkzeug.utils: cached_property environ_property header_property
carboy.http.request.environ_builder werkzeug.test: EnvironBuilder _iter_data=_fields
    create_environ
carboy.http.request.request werkzeug.wrappers.request: Request
carboy.http.request.url werkzeug.sansio.utils: get_current_url get_host host_is_trusted
carboy.http.response.body werkzeug.wrappers.response: ResponseStream
carboy.http.response.conditional werkzeug.http: is_resource_modified
carboy.http.response.conditional werkzeug.sansio.http: is_resource_modified=is_modified
carboy.http.response.conditional werkzeug.wsgi: _RangeWrapper=RangeIterator
carboy.http.response.redirects werkzeug.utils: append_slash_redirect redirect
carboy.http.response.response werkzeug.wrappers.response: Response
carboy.http.response.sending werkzeug.utils: send_file send_from_directory
carboy.http.security werkzeug.security: _hash_internal=_hash check_password_hash gen_salt
    generate_password_hash safe_join
carboy.http.security werkzeug.utils: secure_filename
carboy.http.urls werkzeug.urls: _codec_error_url_quote=_quote_undecodable
    _decode_idna=_readable_host iri_to_uri uri_to_iri
carboy.http.wsgi werkzeug._internal: _get_environ _wsgi_decoding_dance=environ_text
    _wsgi_encoding_dance=environ_value
carboy.http.wsgi werkzeug.sansio.utils: get_content_length=content_length
carboy.http.wsgi werkzeug.wsgi: ClosingIterator LimitedStream get_content_length get_current_url
    get_host get_input_stream get_path_info responder wrap_file
carboy.middleware.dispatcher werkzeug.middleware.dispatcher: DispatcherMiddleware
carboy.middleware.http_proxy werkzeug.middleware.http_proxy: ProxyMiddleware
carboy.middleware.lint werkzeug.middleware.lint: ErrorStream GuardedIterator GuardedWrite
    HTTPWarning InputStream LintMiddleware WSGIWarning check_type
carboy.middleware.profiler werkzeug.middleware.profiler: ProfilerMiddleware
carboy.middleware.proxy_fix werkzeug.middleware.proxy_fix: ProxyFix
carboy.middleware.shared_data werkzeug.middleware.shared_data: SharedDataMiddleware
carboy.net.certificates werkzeug.serving: generate_adhoc_ssl_context generate_adhoc_ssl_pair
    make_ssl_devcert
carboy.net.tls werkzeug.serving: is_ssl_error load_ssl_context
carboy.routing.adapter werkzeug.routing.map: MapAdapter
carboy.routing.converters werkzeug.routing.converters: AnyConverter BaseConverter FloatConverter
    IntegerConverter NumberConverter PathConverter UUIDConverter UnicodeConverter
    ValidationError
carboy.routing.description werkzeug.routing.matcher: SlashRequired State
carboy.routing.description werkzeug.routing.rules: RulePart Weighting
carboy.routing.errors werkzeug.routing.exceptions: BuildError NoMatch RequestAliasRedirect
    RequestPath RequestRedirect RoutingException WebsocketMismatch
carboy.routing.factories werkzeug.routing.rules: EndpointPrefix RuleTemplate RuleTemplateFactory
    Subdomain Submount
carboy.routing.map werkzeug.routing.map: Map
carboy.routing.rule werkzeug.routing.rules: Rule RuleFactory
carboy.routing.syntax werkzeug.routing.rules: parse_converter_args
carboy.routing.trie werkzeug.routing.matcher: StateMachineMatcher
carboy.serving.addresses werkzeug.serving: get_interface_ip get_sockaddr select_address_family
carboy.serving.chunked werkzeug.serving: DechunkedInput
carboy.serving.development werkzeug.serving: is_running_from_reloader run_simple
carboy.serving.handler werkzeug.serving: WSGIRequestHandler
carboy.serving.wsgi_server werkzeug.serving: BaseWSGIServer ForkingWSGIServer ThreadedWSGIServer
    make_server
carboy.serving.log werkzeug.serving: _ansi_style
carboy.testing.app_client flask.testing: EnvironBuilder FlaskClient
carboy.testing.cli_runner flask.testing: FlaskCliRunner
carboy.testing.client werkzeug.test: Client
carboy.testing.cookies werkzeug.test: Cookie
carboy.testing.environ_page werkzeug.testapp: iter_sys_path test_app
carboy.testing.response werkzeug.test: ClientRedirectError TestResponse
carboy.testing.lanes werkzeug.test: run_wsgi_app
carboy.werkzeug_log werkzeug._internal: _ColorStreamHandler _has_level_handler _log
"""


def _read(table: str) -> dict[str, dict[str, tuple[str, str]]]:
    found: dict[str, dict[str, tuple[str, str]]] = {}
    for entry in table.strip().replace("\n    ", " ").splitlines():
        where, _, names = entry.partition(": ")
        ours, theirs = where.split()
        for name in names.split():
            there, _, here = name.partition("=")
            found.setdefault(ours, {})[here or there] = (theirs, there)
    return found


# module of Carboy: name in it: module and name in the real package
QUALNAMES = _read(TABLE)

# The class Flask keeps its own name, but its methods are used as views and hooks.
METHODS_ONLY = {("carboy.app.app", "Flask"): "flask.app"}
QUALNAMES.update({module: {} for module, _ in METHODS_ONLY})


class NamingFinder(MetaPathFinder):
    """Finds modules of Carboy as usual, and renames what they define after they have run."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname not in QUALNAMES:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is None or spec.loader is None:
            return spec
        loader: Any = spec.loader
        run = loader.exec_module

        def exec_module(module: ModuleType) -> None:
            run(module)
            rename(module)

        loader.exec_module = exec_module
        return spec


def rename_loaded() -> None:
    """Rename what was imported before the names were installed."""
    for name in QUALNAMES:
        module = sys.modules.get(name)
        if module is not None:
            rename(module)


def rename(module: ModuleType) -> None:
    """Give every class and function of a module its name in the real package."""
    own = module.__name__
    for name, (home, there) in QUALNAMES[own].items():
        thing: Any = vars(module).get(name)
        thing = getattr(thing, "callback", thing)  # a command has the name of its function
        if getattr(thing, "__module__", None) != own:
            continue
        alias = import_module(home)  # where inspect looks for the class and its file
        if isinstance(thing, type):
            _move_class(thing, module, alias)
        else:
            thing.__module__ = home
        thing.__name__ = thing.__qualname__ = there
    # After all functions, because a function may be a method of a class as well.
    for name, (home, there) in QUALNAMES[own].items():
        thing = vars(module).get(name)
        if isinstance(thing, type):
            _rename_methods(thing, own, home, there)
    for (ours, name), home in METHODS_ONLY.items():
        if ours == own:
            _rename_methods(vars(module)[name], own, home, name)


def _move_class(kind: Any, module: ModuleType, alias: ModuleType) -> None:
    """Set the alias as the module of a class; its annotations and line number stay valid."""
    annotations = vars(kind).get("__annotations__", {})
    for name, value in annotations.items():
        if isinstance(value, str):
            annotations[name] = ForwardRef(value, module=module.__name__, is_class=True)
    # Since 3.13, setting __module__ deletes the line number, which is that of the alias's file.
    line = vars(kind).get("__firstlineno__")
    kind.__module__ = alias.__name__
    if line is not None and alias.__file__ == module.__file__:
        kind.__firstlineno__ = line


def _rename_methods(kind: type, own: str, home: str, name: str) -> None:
    for value in vars(kind).values():
        function = getattr(value, "__func__", value)  # of a class method or a static method
        if isinstance(function, FunctionType) and function.__module__ == own:
            function.__module__ = home
            function.__qualname__ = f"{name}.{function.__name__}"
