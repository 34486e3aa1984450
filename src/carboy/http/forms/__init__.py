"""Forms in the body of a request: urlencoded and multipart."""

from carboy.http.forms.multipart import MultiPartParser
from carboy.http.forms.parser import FormDataParser, default_stream_factory, parse_form_data
from carboy.http.forms.urlencoded import parse_query

__all__ = [
    "FormDataParser",
    "MultiPartParser",
    "default_stream_factory",
    "parse_form_data",
    "parse_query",
]
