"""Encoding of forms as multipart/form-data."""

from carboy.http.forms.encoding import encode_multipart, stream_encode_multipart

__all__ = ["encode_multipart", "stream_encode_multipart"]
