"""Whether the client has the current version already (RFC 9110, section 13)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from carboy.dates import parse_date
from carboy.http.etag import generate_etag, parse_etags, unquote_etag
from carboy.http.ranges import IfRange, parse_if_range_header


def is_resource_modified(
    environ: Mapping[str, Any],
    etag: str | None = None,
    data: bytes | None = None,
    last_modified: datetime | str | None = None,
    ignore_if_range: bool = True,
) -> bool:
    """Whether a request (a WSGI environ) has to be answered in full.

    `etag` is the tag of the current version, as in the header, or `data` the content to make
    one of (TypeError for both). With `ignore_if_range=False` an `If-Range` beside a `Range`
    takes the place of the other conditions.
    """
    return is_modified(
        http_range=environ.get("HTTP_RANGE"),
        http_if_range=environ.get("HTTP_IF_RANGE"),
        http_if_modified_since=environ.get("HTTP_IF_MODIFIED_SINCE"),
        http_if_none_match=environ.get("HTTP_IF_NONE_MATCH"),
        http_if_match=environ.get("HTTP_IF_MATCH"),
        etag=etag,
        data=data,
        last_modified=last_modified,
        ignore_if_range=ignore_if_range,
    )


def is_modified(
    http_range: str | None = None,
    http_if_range: str | None = None,
    http_if_modified_since: str | None = None,
    http_if_none_match: str | None = None,
    http_if_match: str | None = None,
    etag: str | None = None,
    data: bytes | None = None,
    last_modified: datetime | str | None = None,
    ignore_if_range: bool = True,
) -> bool:
    """`is_resource_modified` for the fields themselves."""
    if data is not None:
        if etag is not None:
            raise TypeError("both data and etag given: pass only one of them.")
        etag = generate_etag(data)
    condition = None
    if not ignore_if_range and http_range is not None:
        condition = parse_if_range_header(http_if_range)
    tag = unquote_etag(etag)[0] if etag else None
    if tag is not None:
        by_tag = _modified_by_tag(tag, condition, http_if_none_match, http_if_match)
        if by_tag is not None:
            return by_tag
    current = _utc_second(last_modified)
    known = condition.date if condition else None
    if known is None:
        known = parse_date(http_if_modified_since)
    return not (known and current and current <= known)


def _modified_by_tag(
    tag: str, condition: IfRange | None, http_if_none_match: str | None, http_if_match: str | None
) -> bool | None:
    """The answer of the fields with entity tags; None if there is none among them."""
    if condition is not None and condition.etag is not None:
        return condition.etag != tag
    match = parse_etags(http_if_match)
    if match:
        # `*` is met by any current version (RFC 9110, section 13.1.1).
        return match.star_tag or match.is_strong(tag)
    none_match = parse_etags(http_if_none_match)
    return not none_match.contains_weak(tag) if none_match else None


def _utc_second(moment: datetime | str | None) -> datetime | None:
    """A date as HTTP can express it: in UTC, without fractions of a second."""
    if isinstance(moment, str):
        moment = parse_date(moment)
    if moment is None:
        return None
    moment = moment.replace(microsecond=0)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
