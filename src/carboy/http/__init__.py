"""HTTP for the framework: requests, responses, and the values of their fields.

Everything public is here under Werkzeug's names; each name is loaded from its module when it
is first asked for, so that importing one does not import all.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from carboy.dates import (
        dump_age,
        http_date,
        parse_age,
        parse_date,
    )
    from carboy.http.accept import (
        Accept,
        CharsetAccept,
        LanguageAccept,
        MIMEAccept,
        parse_accept_header,
    )
    from carboy.http.auth import (
        Authorization,
        WWWAuthenticate,
    )
    from carboy.http.cache_control import (
        RequestCacheControl,
        ResponseCacheControl,
        cache_control_property,
        parse_cache_control_header,
    )
    from carboy.http.closing import ClosingIterator
    from carboy.http.combined import CombinedMultiDict
    from carboy.http.conditional import is_resource_modified
    from carboy.http.cookies import (
        dump_cookie,
        parse_cookie,
    )
    from carboy.http.cross_origin import (
        COEP,
        COOP,
    )
    from carboy.http.csp import (
        ContentSecurityPolicy,
        csp_property,
        dump_csp_header,
        parse_csp_header,
    )
    from carboy.http.environ_headers import EnvironHeaders
    from carboy.http.etag import (
        ETags,
        generate_etag,
        parse_etags,
        quote_etag,
        unquote_etag,
    )
    from carboy.http.exceptions import (
        Aborter,
        BadGateway,
        BadHost,
        BadRequest,
        BadRequestKeyError,
        ClientDisconnected,
        Conflict,
        ExpectationFailed,
        FailedDependency,
        Forbidden,
        GatewayTimeout,
        Gone,
        HTTPException,
        HTTPVersionNotSupported,
        ImATeapot,
        InternalServerError,
        LengthRequired,
        Locked,
        MethodNotAllowed,
        MisdirectedRequest,
        NotAcceptable,
        NotFound,
        NotImplemented,  # noqa: A004
        PreconditionFailed,
        PreconditionRequired,
        RequestedRangeNotSatisfiable,
        RequestEntityTooLarge,
        RequestHeaderFieldsTooLarge,
        RequestTimeout,
        RequestURITooLarge,
        SecurityError,
        ServiceUnavailable,
        TooManyRequests,
        Unauthorized,
        UnavailableForLegalReasons,
        UnprocessableEntity,
        UnsupportedMediaType,
        abort,
        default_exceptions,
    )
    from carboy.http.field_kinds import (
        is_entity_header,
        is_hop_by_hop_header,
        remove_entity_headers,
        remove_hop_by_hop_headers,
    )
    from carboy.http.file_body import (
        FileWrapper,
        wrap_file,
    )
    from carboy.http.file_storage import (
        FileMultiDict,
        FileStorage,
    )
    from carboy.http.forms import (
        FormDataParser,
        MultiPartParser,
        default_stream_factory,
        parse_form_data,
    )
    from carboy.http.header_set import (
        HeaderSet,
        parse_set_header,
    )
    from carboy.http.headers import Headers
    from carboy.http.hosts import host_is_trusted
    from carboy.http.immutable import (
        CallbackDict,
        ImmutableDict,
        ImmutableList,
        ImmutableTypeConversionDict,
        TypeConversionDict,
    )
    from carboy.http.local import (
        Local,
        LocalManager,
        LocalProxy,
        LocalStack,
        release_local,
    )
    from carboy.http.mixins import (
        ImmutableDictMixin,
        ImmutableHeadersMixin,
        ImmutableListMixin,
        ImmutableMultiDictMixin,
        UpdateDictMixin,
    )
    from carboy.http.multidict import (
        ImmutableMultiDict,
        MultiDict,
        iter_multi_items,
    )
    from carboy.http.options import (
        dump_header,
        dump_options_header,
        parse_dict_header,
        parse_list_header,
        parse_options_header,
        quote_header_value,
        unquote_header_value,
    )
    from carboy.http.properties import (
        cached_property,
        environ_property,
        header_property,
    )
    from carboy.http.ranges import (
        ContentRange,
        IfRange,
        Range,
        is_byte_range_valid,
        parse_content_range_header,
        parse_if_range_header,
        parse_range_header,
    )
    from carboy.http.request import Request
    from carboy.http.response import Response
    from carboy.http.response_stream import ResponseStream
    from carboy.http.security import (
        check_password_hash,
        gen_salt,
        generate_password_hash,
        safe_join,
    )
    from carboy.http.sending import (
        send_file,
        send_from_directory,
    )
    from carboy.http.status import HTTP_STATUS_CODES
    from carboy.http.streams import LimitedStream
    from carboy.http.urls import (
        iri_to_uri,
        uri_to_iri,
    )
    from carboy.http.user_agent import UserAgent
    from carboy.http.utils import (
        ImportStringError,
        append_slash_redirect,
        find_modules,
        get_content_type,
        import_string,
        redirect,
        secure_filename,
    )
    from carboy.http.wsgi import (
        get_content_length,
        get_current_url,
        get_host,
        get_input_stream,
        get_path_info,
        responder,
    )

_NAMES = {
    "carboy.http.accept": "Accept CharsetAccept LanguageAccept MIMEAccept parse_accept_header",
    "carboy.http.auth": "Authorization WWWAuthenticate",
    "carboy.http.cache_control": """
        RequestCacheControl ResponseCacheControl cache_control_property
        parse_cache_control_header
    """,
    "carboy.http.closing": "ClosingIterator",
    "carboy.http.combined": "CombinedMultiDict",
    "carboy.http.conditional": "is_resource_modified",
    "carboy.http.cookies": "dump_cookie parse_cookie",
    "carboy.http.cross_origin": "COEP COOP",
    "carboy.http.csp": "ContentSecurityPolicy csp_property dump_csp_header parse_csp_header",
    "carboy.dates": "dump_age http_date parse_age parse_date",
    "carboy.http.environ_headers": "EnvironHeaders",
    "carboy.http.etag": "ETags generate_etag parse_etags quote_etag unquote_etag",
    "carboy.http.exceptions": """
        Aborter BadGateway BadHost BadRequest BadRequestKeyError ClientDisconnected
        Conflict ExpectationFailed FailedDependency Forbidden GatewayTimeout Gone
        HTTPException HTTPVersionNotSupported ImATeapot InternalServerError LengthRequired
        Locked MethodNotAllowed MisdirectedRequest NotAcceptable NotFound NotImplemented
        PreconditionFailed PreconditionRequired RequestEntityTooLarge
        RequestHeaderFieldsTooLarge RequestTimeout RequestURITooLarge
        RequestedRangeNotSatisfiable SecurityError ServiceUnavailable TooManyRequests
        Unauthorized UnavailableForLegalReasons UnprocessableEntity UnsupportedMediaType
        abort default_exceptions
    """,
    "carboy.http.field_kinds": """
        is_entity_header is_hop_by_hop_header remove_entity_headers
        remove_hop_by_hop_headers
    """,
    "carboy.http.file_body": "FileWrapper wrap_file",
    "carboy.http.file_storage": "FileMultiDict FileStorage",
    "carboy.http.forms": "FormDataParser MultiPartParser default_stream_factory parse_form_data",
    "carboy.http.header_set": "HeaderSet parse_set_header",
    "carboy.http.headers": "Headers",
    "carboy.http.hosts": "host_is_trusted",
    "carboy.http.immutable": """
        CallbackDict ImmutableDict ImmutableList ImmutableTypeConversionDict
        TypeConversionDict
    """,
    "carboy.http.local": "Local LocalManager LocalProxy LocalStack release_local",
    "carboy.http.mixins": """
        ImmutableDictMixin ImmutableHeadersMixin ImmutableListMixin
        ImmutableMultiDictMixin UpdateDictMixin
    """,
    "carboy.http.multidict": "ImmutableMultiDict MultiDict iter_multi_items",
    "carboy.http.options": """
        dump_header dump_options_header parse_dict_header parse_list_header
        parse_options_header quote_header_value unquote_header_value
    """,
    "carboy.http.properties": "cached_property environ_property header_property",
    "carboy.http.ranges": """
        ContentRange IfRange Range is_byte_range_valid parse_content_range_header
        parse_if_range_header parse_range_header
    """,
    "carboy.http.request": "Request",
    "carboy.http.response": "Response",
    "carboy.http.response_stream": "ResponseStream",
    "carboy.http.security": "check_password_hash gen_salt generate_password_hash safe_join",
    "carboy.http.sending": "send_file send_from_directory",
    "carboy.http.status": "HTTP_STATUS_CODES",
    "carboy.http.streams": "LimitedStream",
    "carboy.http.urls": "iri_to_uri uri_to_iri",
    "carboy.http.user_agent": "UserAgent",
    "carboy.http.utils": """
        ImportStringError append_slash_redirect find_modules get_content_type
        import_string redirect secure_filename
    """,
    "carboy.http.wsgi": """
        get_content_length get_current_url get_host get_input_stream get_path_info
        responder
    """,
}
_HOME = {name: module for module, names in _NAMES.items() for name in names.split()}

__all__ = [
    "COEP",
    "COOP",
    "HTTP_STATUS_CODES",
    "Aborter",
    "Accept",
    "Authorization",
    "BadGateway",
    "BadHost",
    "BadRequest",
    "BadRequestKeyError",
    "CallbackDict",
    "CharsetAccept",
    "ClientDisconnected",
    "ClosingIterator",
    "CombinedMultiDict",
    "Conflict",
    "ContentRange",
    "ContentSecurityPolicy",
    "ETags",
    "EnvironHeaders",
    "ExpectationFailed",
    "FailedDependency",
    "FileMultiDict",
    "FileStorage",
    "FileWrapper",
    "Forbidden",
    "FormDataParser",
    "GatewayTimeout",
    "Gone",
    "HTTPException",
    "HTTPVersionNotSupported",
    "HeaderSet",
    "Headers",
    "IfRange",
    "ImATeapot",
    "ImmutableDict",
    "ImmutableDictMixin",
    "ImmutableHeadersMixin",
    "ImmutableList",
    "ImmutableListMixin",
    "ImmutableMultiDict",
    "ImmutableMultiDictMixin",
    "ImmutableTypeConversionDict",
    "ImportStringError",
    "InternalServerError",
    "LanguageAccept",
    "LengthRequired",
    "LimitedStream",
    "Local",
    "LocalManager",
    "LocalProxy",
    "LocalStack",
    "Locked",
    "MIMEAccept",
    "MethodNotAllowed",
    "MisdirectedRequest",
    "MultiDict",
    "MultiPartParser",
    "NotAcceptable",
    "NotFound",
    "NotImplemented",
    "PreconditionFailed",
    "PreconditionRequired",
    "Range",
    "Request",
    "RequestCacheControl",
    "RequestEntityTooLarge",
    "RequestHeaderFieldsTooLarge",
    "RequestTimeout",
    "RequestURITooLarge",
    "RequestedRangeNotSatisfiable",
    "Response",
    "ResponseCacheControl",
    "ResponseStream",
    "SecurityError",
    "ServiceUnavailable",
    "TooManyRequests",
    "TypeConversionDict",
    "Unauthorized",
    "UnavailableForLegalReasons",
    "UnprocessableEntity",
    "UnsupportedMediaType",
    "UpdateDictMixin",
    "UserAgent",
    "WWWAuthenticate",
    "abort",
    "append_slash_redirect",
    "cache_control_property",
    "cached_property",
    "check_password_hash",
    "csp_property",
    "default_exceptions",
    "default_stream_factory",
    "dump_age",
    "dump_cookie",
    "dump_csp_header",
    "dump_header",
    "dump_options_header",
    "environ_property",
    "find_modules",
    "gen_salt",
    "generate_etag",
    "generate_password_hash",
    "get_content_length",
    "get_content_type",
    "get_current_url",
    "get_host",
    "get_input_stream",
    "get_path_info",
    "header_property",
    "host_is_trusted",
    "http_date",
    "import_string",
    "iri_to_uri",
    "is_byte_range_valid",
    "is_entity_header",
    "is_hop_by_hop_header",
    "is_resource_modified",
    "iter_multi_items",
    "parse_accept_header",
    "parse_age",
    "parse_cache_control_header",
    "parse_content_range_header",
    "parse_cookie",
    "parse_csp_header",
    "parse_date",
    "parse_dict_header",
    "parse_etags",
    "parse_form_data",
    "parse_if_range_header",
    "parse_list_header",
    "parse_options_header",
    "parse_range_header",
    "parse_set_header",
    "quote_etag",
    "quote_header_value",
    "redirect",
    "release_local",
    "remove_entity_headers",
    "remove_hop_by_hop_headers",
    "responder",
    "safe_join",
    "secure_filename",
    "send_file",
    "send_from_directory",
    "unquote_etag",
    "unquote_header_value",
    "uri_to_iri",
    "wrap_file",
]


def __getattr__(name: str) -> Any:
    module = _HOME.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(module), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
