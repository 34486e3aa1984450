"""The URL of a request put together from its parts."""

from __future__ import annotations

from urllib.parse import quote

from carboy.http.urls import uri_to_iri

# What stays as it is in a path and in a query (RFC 3986, section 3.3 and 3.4). "%" is among
# them: a path with a literal one is shown as it was decoded.
_PATH = "!$&'()*+,/:;=@%"
_QUERY = "!$&'()*+,/:;=?@%"


def get_current_url(
    scheme: str,
    host: str,
    root_path: str | None = None,
    path: str | None = None,
    query_string: bytes | None = None,
) -> str:
    """An IRI: the host's; with `root_path` the application's; with `path` the whole."""
    url = f"{scheme}://{host}"
    if root_path is None:
        return uri_to_iri(f"{url}/")
    url += quote(root_path.rstrip("/"), safe=_PATH) + "/"
    if path is None:
        return uri_to_iri(url)
    url += quote(path.lstrip("/"), safe=_PATH)
    if query_string:
        url += f"?{quote(query_string, safe=_QUERY)}"
    return uri_to_iri(url)
