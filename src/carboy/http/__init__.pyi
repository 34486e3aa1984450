"""Written by tools/write_stubs.py from the table NAMES in __init__.py."""

from carboy.dates import dump_age
from carboy.dates import http_date
from carboy.dates import parse_age
from carboy.dates import parse_date
from carboy.file_wrapper import FileWrapper
from carboy.http.containers.immutable import CallbackDict
from carboy.http.containers.immutable import ImmutableDict
from carboy.http.containers.immutable import ImmutableDictMixin
from carboy.http.containers.immutable import ImmutableHeadersMixin
from carboy.http.containers.immutable import ImmutableList
from carboy.http.containers.immutable import ImmutableListMixin
from carboy.http.containers.immutable import ImmutableMultiDictMixin
from carboy.http.containers.immutable import ImmutableTypeConversionDict
from carboy.http.containers.immutable import TypeConversionDict
from carboy.http.containers.immutable import UpdateDictMixin
from carboy.http.containers.multidict import CombinedMultiDict
from carboy.http.containers.multidict import ImmutableMultiDict
from carboy.http.containers.multidict import MultiDict
from carboy.http.containers.multidict import iter_multi_items
from carboy.http.exceptions import Aborter
from carboy.http.exceptions import BadGateway
from carboy.http.exceptions import BadHost
from carboy.http.exceptions import BadRequest
from carboy.http.exceptions import BadRequestKeyError
from carboy.http.exceptions import ClientDisconnected
from carboy.http.exceptions import Conflict
from carboy.http.exceptions import ExpectationFailed
from carboy.http.exceptions import FailedDependency
from carboy.http.exceptions import Forbidden
from carboy.http.exceptions import GatewayTimeout
from carboy.http.exceptions import Gone
from carboy.http.exceptions import HTTPException
from carboy.http.exceptions import HTTPVersionNotSupported
from carboy.http.exceptions import ImATeapot
from carboy.http.exceptions import InternalServerError
from carboy.http.exceptions import LengthRequired
from carboy.http.exceptions import Locked
from carboy.http.exceptions import MethodNotAllowed
from carboy.http.exceptions import MisdirectedRequest
from carboy.http.exceptions import NotAcceptable
from carboy.http.exceptions import NotFound
from carboy.http.exceptions import NotImplemented
from carboy.http.exceptions import PreconditionFailed
from carboy.http.exceptions import PreconditionRequired
from carboy.http.exceptions import RequestEntityTooLarge
from carboy.http.exceptions import RequestHeaderFieldsTooLarge
from carboy.http.exceptions import RequestTimeout
from carboy.http.exceptions import RequestURITooLarge
from carboy.http.exceptions import RequestedRangeNotSatisfiable
from carboy.http.exceptions import SecurityError
from carboy.http.exceptions import ServiceUnavailable
from carboy.http.exceptions import TooManyRequests
from carboy.http.exceptions import Unauthorized
from carboy.http.exceptions import UnavailableForLegalReasons
from carboy.http.exceptions import UnprocessableEntity
from carboy.http.exceptions import UnsupportedMediaType
from carboy.http.exceptions import abort
from carboy.http.exceptions import default_exceptions
from carboy.http.fields.accept import Accept
from carboy.http.fields.accept import CharsetAccept
from carboy.http.fields.accept import LanguageAccept
from carboy.http.fields.accept import MIMEAccept
from carboy.http.fields.accept import parse_accept_header
from carboy.http.fields.auth import Authorization
from carboy.http.fields.auth import WWWAuthenticate
from carboy.http.fields.cache_control import RequestCacheControl
from carboy.http.fields.cache_control import ResponseCacheControl
from carboy.http.fields.cache_control import cache_control_property
from carboy.http.fields.cache_control import parse_cache_control_header
from carboy.http.fields.content_type import get_content_type
from carboy.http.fields.cookies import dump_cookie
from carboy.http.fields.cookies import parse_cookie
from carboy.http.fields.etag import ETags
from carboy.http.fields.etag import generate_etag
from carboy.http.fields.etag import parse_etags
from carboy.http.fields.etag import quote_etag
from carboy.http.fields.etag import unquote_etag
from carboy.http.fields.headers import EnvironHeaders
from carboy.http.fields.headers import Headers
from carboy.http.fields.headers import is_entity_header
from carboy.http.fields.headers import is_hop_by_hop_header
from carboy.http.fields.headers import remove_entity_headers
from carboy.http.fields.headers import remove_hop_by_hop_headers
from carboy.http.fields.policies import COEP
from carboy.http.fields.policies import COOP
from carboy.http.fields.policies import ContentSecurityPolicy
from carboy.http.fields.policies import csp_property
from carboy.http.fields.policies import dump_csp_header
from carboy.http.fields.policies import parse_csp_header
from carboy.http.fields.ranges import ContentRange
from carboy.http.fields.ranges import IfRange
from carboy.http.fields.ranges import Range
from carboy.http.fields.ranges import is_byte_range_valid
from carboy.http.fields.ranges import parse_content_range_header
from carboy.http.fields.ranges import parse_if_range_header
from carboy.http.fields.ranges import parse_range_header
from carboy.http.fields.syntax import HeaderSet
from carboy.http.fields.syntax import dump_header
from carboy.http.fields.syntax import dump_options_header
from carboy.http.fields.syntax import parse_dict_header
from carboy.http.fields.syntax import parse_list_header
from carboy.http.fields.syntax import parse_options_header
from carboy.http.fields.syntax import parse_set_header
from carboy.http.fields.syntax import quote_header_value
from carboy.http.fields.syntax import unquote_header_value
from carboy.http.fields.user_agent import UserAgent
from carboy.http.forms.file_storage import FileMultiDict
from carboy.http.forms.file_storage import FileStorage
from carboy.http.forms.parser import FormDataParser
from carboy.http.forms.parser import MultiPartParser
from carboy.http.forms.parser import default_stream_factory
from carboy.http.forms.parser import parse_form_data
from carboy.http.imports import ImportStringError
from carboy.http.imports import find_modules
from carboy.http.imports import import_string
from carboy.http.local import Local
from carboy.http.local import LocalManager
from carboy.http.local import LocalProxy
from carboy.http.local import LocalStack
from carboy.http.local import release_local
from carboy.http.properties import cached_property
from carboy.http.properties import environ_property
from carboy.http.properties import header_property
from carboy.http.request.request import Request
from carboy.http.request.url import host_is_trusted
from carboy.http.response.body import ResponseStream
from carboy.http.response.conditional import is_resource_modified
from carboy.http.response.redirects import append_slash_redirect
from carboy.http.response.redirects import redirect
from carboy.http.response.response import Response
from carboy.http.response.sending import send_file
from carboy.http.response.sending import send_from_directory
from carboy.http.security import check_password_hash
from carboy.http.security import gen_salt
from carboy.http.security import generate_password_hash
from carboy.http.security import safe_join
from carboy.http.security import secure_filename
from carboy.http.status import HTTP_STATUS_CODES
from carboy.http.urls import iri_to_uri
from carboy.http.urls import uri_to_iri
from carboy.http.wsgi import ClosingIterator
from carboy.http.wsgi import LimitedStream
from carboy.http.wsgi import get_content_length
from carboy.http.wsgi import get_current_url
from carboy.http.wsgi import get_host
from carboy.http.wsgi import get_input_stream
from carboy.http.wsgi import get_path_info
from carboy.http.wsgi import responder
from carboy.http.wsgi import wrap_file

__all__ = [
    "Aborter",
    "Accept",
    "Authorization",
    "BadGateway",
    "BadHost",
    "BadRequest",
    "BadRequestKeyError",
    "COEP",
    "COOP",
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
    "HTTP_STATUS_CODES",
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
