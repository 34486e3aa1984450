"""Status codes with their phrases: those of the IANA registry, and others in common use."""

from __future__ import annotations

from typing import Any

from carboy.grammar import has_control_or_tab

HTTP_STATUS_CODES: dict[int, str] = {
    100: "Continue",
    101: "Switching Protocols",
    102: "Processing",
    103: "Early Hints",
    200: "OK",
    201: "Created",
    202: "Accepted",
    203: "Non Authoritative Information",
    204: "No Content",
    205: "Reset Content",
    206: "Partial Content",
    207: "Multi Status",
    208: "Already Reported",
    226: "IM Used",
    300: "Multiple Choices",
    301: "Moved Permanently",
    302: "Found",
    303: "See Other",
    304: "Not Modified",
    305: "Use Proxy",
    306: "Switch Proxy",
    307: "Temporary Redirect",
    308: "Permanent Redirect",
    400: "Bad Request",
    401: "Unauthorized",
    402: "Payment Required",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    406: "Not Acceptable",
    407: "Proxy Authentication Required",
    408: "Request Timeout",
    409: "Conflict",
    410: "Gone",
    411: "Length Required",
    412: "Precondition Failed",
    413: "Request Entity Too Large",
    414: "Request URI Too Long",
    415: "Unsupported Media Type",
    416: "Requested Range Not Satisfiable",
    417: "Expectation Failed",
    418: "I'm a teapot",
    421: "Misdirected Request",
    422: "Unprocessable Entity",
    423: "Locked",
    424: "Failed Dependency",
    425: "Too Early",
    426: "Upgrade Required",
    428: "Precondition Required",
    429: "Too Many Requests",
    431: "Request Header Fields Too Large",
    449: "Retry With",
    451: "Unavailable For Legal Reasons",
    500: "Internal Server Error",
    501: "Not Implemented",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Gateway Timeout",
    505: "HTTP Version Not Supported",
    506: "Variant Also Negotiates",
    507: "Insufficient Storage",
    508: "Loop Detected",
    510: "Not Extended",
    511: "Network Authentication Failed",
}


# These responses have no content (RFC 9110, sections 15.3.5 and 15.4.5).
WITHOUT_CONTENT = frozenset({204, 304})

_known: dict[int, str] = {
    code: f"{code} {phrase.upper()}" for code, phrase in HTTP_STATUS_CODES.items()
}


def status_text(code: int) -> str:
    """The code with its phrase, `404 NOT FOUND`. The phrase of an unknown code is UNKNOWN."""
    return _known.get(code) or f"{int(code)} UNKNOWN"


def parse_status(value: Any) -> tuple[str, int]:
    """Text and number of a status given as text or number. Text without a number has the number 0.

    ValueError if the text is empty or contains a control character, which could end the line.
    """
    if isinstance(value, int):
        return status_text(value), int(value)
    text = value.strip()
    if not text:
        raise ValueError("Empty status argument: give a code, or text such as '200 OK'.")
    if has_control_or_tab(text):
        raise ValueError(f"A status may not contain control characters: {text!r}.")
    code, _, phrase = text.partition(" ")
    try:
        number = int(code)
    except ValueError:
        return f"0 {text}", 0
    return (text if phrase else status_text(number)), number


def has_no_content(code: int) -> bool:
    """Whether a response with this code has no content (RFC 9110, section 15.2 for 1xx)."""
    return code in WITHOUT_CONTENT or 100 <= code < 200
