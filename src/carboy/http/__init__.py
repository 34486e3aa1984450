"""HTTP for the framework: requests, responses, and the values of their header fields.

The public names have Werkzeug's names. Each loads from its module when it is first used, so
importing one of them does not import all.
"""

from __future__ import annotations

from carboy.lazy import lazy_names

# module: the names it defines. tools/write_stubs.py writes __init__.pyi from this table.
NAMES = {
    "carboy.dates": "dump_age http_date parse_age parse_date",
    "carboy.file_wrapper": "FileWrapper",
    "carboy.http.containers.immutable": """
        CallbackDict ImmutableDict ImmutableDictMixin ImmutableHeadersMixin ImmutableList
        ImmutableListMixin ImmutableMultiDictMixin ImmutableTypeConversionDict
        TypeConversionDict UpdateDictMixin
    """,
    "carboy.http.containers.multidict": """
        CombinedMultiDict ImmutableMultiDict MultiDict iter_multi_items
    """,
    "carboy.http.exceptions": """
        Aborter BadGateway BadHost BadRequest BadRequestKeyError ClientDisconnected Conflict
        ExpectationFailed FailedDependency Forbidden GatewayTimeout Gone HTTPException
        HTTPVersionNotSupported ImATeapot InternalServerError LengthRequired Locked
        MethodNotAllowed MisdirectedRequest NotAcceptable NotFound NotImplemented
        PreconditionFailed PreconditionRequired RequestEntityTooLarge
        RequestHeaderFieldsTooLarge RequestTimeout RequestURITooLarge
        RequestedRangeNotSatisfiable SecurityError ServiceUnavailable TooManyRequests
        Unauthorized UnavailableForLegalReasons UnprocessableEntity UnsupportedMediaType
        abort default_exceptions
    """,
    "carboy.http.fields.accept": """
        Accept CharsetAccept LanguageAccept MIMEAccept parse_accept_header
    """,
    "carboy.http.fields.auth": "Authorization WWWAuthenticate",
    "carboy.http.fields.cache_control": """
        RequestCacheControl ResponseCacheControl cache_control_property
        parse_cache_control_header
    """,
    "carboy.http.fields.content_type": "get_content_type",
    "carboy.http.fields.cookies": "dump_cookie parse_cookie",
    "carboy.http.fields.etag": "ETags generate_etag parse_etags quote_etag unquote_etag",
    "carboy.http.fields.headers": """
        EnvironHeaders Headers is_entity_header is_hop_by_hop_header remove_entity_headers
        remove_hop_by_hop_headers
    """,
    "carboy.http.fields.policies": """
        COEP COOP ContentSecurityPolicy csp_property dump_csp_header parse_csp_header
    """,
    "carboy.http.fields.ranges": """
        ContentRange IfRange Range is_byte_range_valid parse_content_range_header
        parse_if_range_header parse_range_header
    """,
    "carboy.http.fields.syntax": """
        HeaderSet dump_header dump_options_header parse_dict_header parse_list_header
        parse_options_header parse_set_header quote_header_value unquote_header_value
    """,
    "carboy.http.fields.user_agent": "UserAgent",
    "carboy.http.forms.file_storage": "FileMultiDict FileStorage",
    "carboy.http.forms.parser": """
        FormDataParser MultiPartParser default_stream_factory parse_form_data
    """,
    "carboy.http.imports": "ImportStringError find_modules import_string",
    "carboy.http.local": "Local LocalManager LocalProxy LocalStack release_local",
    "carboy.http.properties": "cached_property environ_property header_property",
    "carboy.http.request.request": "Request",
    "carboy.http.request.url": "host_is_trusted",
    "carboy.http.response.body": "ResponseStream",
    "carboy.http.response.conditional": "is_resource_modified",
    "carboy.http.response.redirects": "append_slash_redirect redirect",
    "carboy.http.response.response": "Response",
    "carboy.http.response.sending": "send_file send_from_directory",
    "carboy.http.security": """
        check_password_hash gen_salt generate_password_hash safe_join secure_filename
    """,
    "carboy.http.status": "HTTP_STATUS_CODES",
    "carboy.http.urls": "iri_to_uri uri_to_iri",
    "carboy.http.wsgi": """
        ClosingIterator LimitedStream get_content_length get_current_url get_host
        get_input_stream get_path_info responder wrap_file
    """,
}

__all__, __getattr__, __dir__ = lazy_names(__name__, NAMES)
