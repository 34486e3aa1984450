"""What the wire refuses and accepts: one table, for the machine alone and on real sockets."""

from __future__ import annotations

from typing import NamedTuple


class Refused(NamedTuple):
    sentence: str
    octets: bytes
    status: int


class Accepted(NamedTuple):
    sentence: str
    octets: bytes
    body: bytes = b""


def get(*lines: bytes, target: bytes = b"/") -> bytes:
    return b"\r\n".join((b"GET " + target + b" HTTP/1.1", b"Host: x", *lines, b"", b""))


def line(start: bytes, host: bytes = b"Host: x\r\n") -> bytes:
    return start + b"\r\n" + host + b"\r\n"


def post(*lines: bytes, body: bytes = b"") -> bytes:
    return b"\r\n".join((b"POST / HTTP/1.1", b"Host: x", *lines, b"", body))


def chunked(body: bytes) -> bytes:
    return post(b"Transfer-Encoding: chunked", body=body)


def coding(*values: bytes) -> bytes:
    return post(*(b"Transfer-Encoding: " + value for value in values), body=b"0\r\n\r\n")


def length(*values: bytes) -> bytes:
    return post(*(b"Content-Length: " + value for value in values), body=b"hello")


def host(value: bytes) -> bytes:
    return line(b"GET / HTTP/1.1", b"Host: " + value + b"\r\n")


def trailer(octets: bytes) -> bytes:
    return chunked(b"5\r\nhello\r\n0\r\n" + octets + b"\r\n")


REFUSED = [
    # lines
    Refused("a bare LF ends the request line", b"GET / HTTP/1.1\nHost: x\r\n\r\n", 400),
    Refused("a bare LF ends a header line", b"GET / HTTP/1.1\r\nHost: x\nA: b\r\n\r\n", 400),
    Refused("a bare LF ends a long header line", get(b"A: " + b"b" * 200 + b"\nC: d"), 400),
    Refused("a bare LF ends the head", b"GET / HTTP/1.1\r\nHost: x\r\n\n", 400),
    Refused("all lines end in a bare LF", b"GET / HTTP/1.1\nHost: x\n\n", 400),
    Refused("a bare CR stands in the request line", line(b"GET /\r HTTP/1.1"), 400),
    Refused("a bare CR stands in a header value", get(b"A: b\rc"), 400),
    Refused("a bare CR stands in a long head", get(b"A: " + b"b" * 200 + b"\rc"), 400),
    Refused("a bare CR stands in a header name", get(b"A\rB: c"), 400),
    Refused("a line ends in CR CR LF", get(b"A: b\r"), 400),
    Refused("two empty lines come before a request", b"\r\n\r\n" + get(), 400),
    Refused("a bare LF comes before a request", b"\n" + get(), 400),
    # request line
    Refused("the request line is empty of words", line(b"GET"), 400),
    Refused("HTTP/0.9 has no version", line(b"GET /"), 400),
    Refused("two spaces stand in the request line", line(b"GET  / HTTP/1.1"), 400),
    Refused("a space stands in the target", line(b"GET /a b HTTP/1.1"), 400),
    Refused("a space follows the version", line(b"GET / HTTP/1.1 "), 400),
    Refused("a tab separates the words", line(b"GET\t/\tHTTP/1.1"), 400),
    Refused("the request line starts with a space", line(b" GET / HTTP/1.1"), 400),
    Refused("the method is no token", line(b"GE(T / HTTP/1.1"), 400),
    Refused("the method holds a NUL", line(b"GE\0T / HTTP/1.1"), 400),
    Refused("the version is lower case", line(b"GET / http/1.1"), 400),
    Refused("the version has no number", line(b"GET / HTTP/x"), 400),
    Refused("the version has a sign", line(b"GET / HTTP/+1.1"), 400),
    Refused("the version has an Arabic digit", line(b"GET / HTTP/1.\xd9\xa1"), 400),
    Refused("the version is 2.0", line(b"GET / HTTP/2.0"), 505),
    Refused("the version is 0.9", line(b"GET / HTTP/0.9"), 505),
    Refused("the version is 3", line(b"GET / HTTP/3"), 505),
    Refused("the version is 1.10", line(b"GET / HTTP/1.10"), 505),
    Refused("HTTP/2 is spoken at once", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    Refused("TLS is spoken", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
    # target
    Refused("the target has no slash", get(target=b"index.html"), 400),
    Refused("the target has a fragment", get(target=b"/a#b"), 400),
    Refused("the query has a fragment", get(target=b"/a?b#c"), 400),
    Refused("the target has a control octet", get(target=b"/a\x01"), 400),
    Refused("the target has a NUL", get(target=b"/a\x00b"), 400),
    Refused("the target has a DEL", get(target=b"/a\x7f"), 400),
    Refused("the target has a tab", get(target=b"/a\tb"), 400),
    Refused("the query has a control octet", get(target=b"/?a\x0bb"), 400),
    Refused("the target is * but not for OPTIONS", get(target=b"*"), 400),
    Refused("the target is of another scheme", get(target=b"ftp://x/"), 400),
    Refused("the target is a file", get(target=b"file:///etc/passwd"), 400),
    Refused("the target is an authority for GET", get(target=b"x:80"), 400),
    Refused("the absolute target has no host", get(target=b"http:///a"), 400),
    Refused("the absolute target has a user", get(target=b"http://me@x/"), 400),
    Refused("the absolute target has a bad port", get(target=b"http://x:99999/"), 400),
    Refused("the absolute target has a fragment", get(target=b"http://x/#a"), 400),
    Refused("the method is CONNECT", line(b"CONNECT x:443 HTTP/1.1"), 501),
    Refused("the method is CONNECT of a path", line(b"CONNECT / HTTP/1.1"), 501),
    # fields
    Refused("a header line is folded by a space", get(b"A: b", b" c"), 400),
    Refused("a header line is folded by a tab", get(b"A: b", b"\tc"), 400),
    Refused("the first header line starts with a space",
            b"GET / HTTP/1.1\r\n Host: x\r\n\r\n", 400),
    Refused("a space precedes the colon", get(b"A : b"), 400),
    Refused("a tab precedes the colon", get(b"A\t: b"), 400),
    Refused("a header has no colon", get(b"A"), 400),
    Refused("a header name is empty", get(b": b"), 400),
    Refused("a header name has a space", get(b"A B: c"), 400),
    Refused("a header name has a slash", get(b"A/B: c"), 400),
    Refused("a header name has a quote", get(b'"A": c'), 400),
    Refused("a header name has a NUL", get(b"A\0: c"), 400),
    Refused("a header name has an octet above 127", get(b"\xc3\x84: c"), 400),
    Refused("a header name in a long head has a parenthesis", get(b"C" * 200 + b"(: c"), 400),
    Refused("a space precedes the colon of Content-Length",
            length(b"5").replace(b"h:", b"h :"), 400),
    Refused("a header value has a NUL", get(b"A: b\0c"), 400),
    Refused("a header value in a long head has a NUL", get(b"A: " + b"b" * 200 + b"\0"), 400),
    Refused("a header value has an escape", get(b"A: \x1b[31m"), 400),
    Refused("a header value has a DEL", get(b"A: b\x7f"), 400),
    Refused("a header value has a vertical tab", get(b"A:\x0bb"), 400),
    Refused("a header value has a form feed", get(b"A: b\x0c"), 400),
    Refused("a control octet takes the place of CR", get(b"A: b\x01\nC: d"), 400),
    Refused("a control octet takes the place of CR in a long head",
            get(b"A: " + b"b" * 200 + b"\x01\nC: d"), 400),
    Refused("a control octet takes the place of LF", get(b"A: b\r\x01C: d"), 400),
    # Host
    Refused("there is no Host", line(b"GET / HTTP/1.1", b""), 400),
    Refused("there are two Hosts", get(b"Host: y"), 400),
    Refused("there are two equal Hosts", get(b"host: x"), 400),
    Refused("there are two Hosts in HTTP/1.0",
            line(b"GET / HTTP/1.0", b"Host: x\r\nHost: x\r\n"), 400),
    Refused("Host is empty", host(b""), 400),
    Refused("Host has a path", host(b"x/y"), 400),
    Refused("Host has a user", host(b"me@x"), 400),
    Refused("Host has a space", host(b"x y"), 400),
    Refused("Host is a list", host(b"x, y"), 400),
    Refused("Host has a query", host(b"x?y"), 400),
    Refused("Host has a fragment", host(b"x#y"), 400),
    Refused("Host has a backslash", host(b"x\\y"), 400),
    Refused("Host has an angle bracket", host(b"<x>"), 400),
    Refused("Host has a quote", host(b'x"'), 400),
    Refused("Host has an octet above 127", host(b"\xc3\xa4"), 400),
    Refused("Host has a bad escape", host(b"x%zz"), 400),
    Refused("Host has a name for a port", host(b"x:http"), 400),
    Refused("Host has a negative port", host(b"x:-1"), 400),
    Refused("Host has a port above 65535", host(b"x:65536"), 400),
    Refused("Host has two ports", host(b"x:80:80"), 400),
    Refused("Host is an IPv6 address without brackets", host(b"::1"), 400),
    Refused("Host has an open bracket", host(b"[::1"), 400),
    Refused("Host has no address in its brackets", host(b"[]"), 400),
    Refused("Host has a name in brackets", host(b"[x]"), 400),
    Refused("Host has an IPv6 address of nine parts", host(b"[1:2:3:4:5:6:7:8:9]"), 400),
    Refused("Host has an IPv6 address with two gaps", host(b"[1::2::3]"), 400),
    Refused("an absolute target has no Host beside it", line(b"GET http://x/ HTTP/1.1", b""), 400),
    # Content-Length
    Refused("there are two Content-Lengths", length(b"5", b"6"), 400),
    Refused("there are two equal Content-Lengths", length(b"5", b"5"), 400),
    Refused("Content-Length is a list", length(b"5, 6"), 400),
    Refused("Content-Length is a list of equals", length(b"5, 5"), 400),
    Refused("Content-Length has a plus", length(b"+5"), 400),
    Refused("Content-Length has a minus", length(b"-5"), 400),
    Refused("Content-Length is minus zero", length(b"-0"), 400),
    Refused("Content-Length has an underscore", length(b"1_0"), 400),
    Refused("Content-Length is hexadecimal", length(b"0x5"), 400),
    Refused("Content-Length has a space inside", length(b"5 0"), 400),
    Refused("Content-Length has a vertical tab", length(b"\x0b5"), 400),
    Refused("Content-Length has a Unicode space", length(b"\xa05"), 400),
    Refused("Content-Length has a next-line octet", length(b"5\x85"), 400),
    Refused("Content-Length is an Arabic digit", length(b"\xd9\xa5"), 400),
    Refused("Content-Length is a superscript", length(b"\xb2"), 400),
    Refused("Content-Length has a fraction", length(b"5.0"), 400),
    Refused("Content-Length has an exponent", length(b"5e0"), 400),
    Refused("Content-Length is empty", length(b""), 400),
    Refused("Content-Length has forty digits", length(b"9" * 40), 400),
    Refused("Content-Length has many zeros", length(b"0" * 40 + b"5"), 400),
    Refused("the body is larger than allowed", length(b"999999999999999"), 413),
    # Transfer-Encoding
    Refused("Content-Length stands beside Transfer-Encoding",
            post(b"Content-Length: 5", b"Transfer-Encoding: chunked", body=b"0\r\n\r\n"), 400),
    Refused("Transfer-Encoding stands beside Content-Length",
            post(b"Transfer-Encoding: chunked", b"Content-Length: 5", body=b"0\r\n\r\n"), 400),
    Refused("the coding is gzip, then chunked", coding(b"gzip, chunked"), 501),
    Refused("the coding is chunked, then gzip", coding(b"chunked, gzip"), 501),
    Refused("the coding is gzip", coding(b"gzip"), 501),
    Refused("the coding is identity", coding(b"identity"), 501),
    Refused("the coding is identity in a second line", coding(b"chunked", b"identity"), 501),
    Refused("the coding is chunked twice", coding(b"chunked, chunked"), 400),
    Refused("the coding is chunked in two lines", coding(b"chunked", b"chunked"), 400),
    Refused("the coding resembles chunked", coding(b"xchunked"), 501),
    Refused("the coding is chunked with a parameter", coding(b"chunked;a=b"), 400),
    Refused("the coding is chunked in quotes", coding(b'"chunked"'), 400),
    Refused("the coding is chunked after a vertical tab", coding(b"\x0bchunked"), 400),
    Refused("the coding is chunked after a Unicode space", coding(b"\xa0chunked"), 400),
    Refused("the coding list has an empty element", coding(b"chunked,"), 400),
    Refused("the coding is empty", coding(b""), 400),
    Refused("the coding is chunked and a word", coding(b"chunked foo"), 400),
    Refused("HTTP/1.0 has Transfer-Encoding",
            b"POST / HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    Refused("the expectation is unknown", post(b"Content-Length: 5", b"Expect: 200-ok"), 417),
    # chunks
    Refused("a chunk size has a plus", chunked(b"+5\r\nhello\r\n0\r\n\r\n"), 400),
    Refused("a chunk size has a minus", chunked(b"-5\r\nhello\r\n0\r\n\r\n"), 400),
    Refused("a chunk size has 0x", chunked(b"0x5\r\nhello\r\n0\r\n\r\n"), 400),
    Refused("a chunk size has an underscore", chunked(b"0_5\r\nhello\r\n0\r\n\r\n"), 400),
    Refused("a chunk size is empty", chunked(b"\r\nhello\r\n0\r\n\r\n"), 400),
    Refused("a chunk size is an extension only", chunked(b";a\r\nhello\r\n0\r\n\r\n"), 400),
    Refused("a chunk size starts with a space", chunked(b" 5\r\nhello\r\n0\r\n\r\n"), 400),
    Refused("a chunk size ends in a space", chunked(b"5 \r\nhello\r\n0\r\n\r\n"), 400),
    Refused("a chunk size is no number", chunked(b"g\r\nhello\r\n0\r\n\r\n"), 400),
    Refused("a chunk size is an Arabic digit", chunked(b"\xd9\xa5\r\nhello\r\n0\r\n\r\n"), 400),
    Refused("a chunk size has seventeen digits",
            chunked(b"0" * 16 + b"5\r\nhello\r\n0\r\n\r\n"), 400),
    Refused("a chunk size is larger than allowed", chunked(b"f" * 16 + b"\r\nhello"), 413),
    Refused("a chunk size ends in a bare LF", chunked(b"5\nhello\r\n0\r\n\r\n"), 400),
    Refused("a chunk size ends in a bare CR", chunked(b"5\rhello\r\n0\r\n\r\n"), 400),
    Refused("a chunk is shorter than its data", chunked(b"4\r\nhello\r\n0\r\n\r\n"), 400),
    Refused("a chunk is longer than its data", chunked(b"6\r\nhello\r\n0\r\n\r\n"), 400),
    Refused("a chunk is ended by two other octets", chunked(b"5\r\nhelloXX0\r\n\r\n"), 400),
    Refused("a chunk is ended by a bare LF", chunked(b"5\r\nhello\n0\r\n\r\n"), 400),
    Refused("the last chunk size ends in a bare LF", chunked(b"5\r\nhello\r\n0\n\n"), 400),
    Refused("a chunk extension has a bare LF", chunked(b"5;a\nb\r\nhello\r\n0\r\n\r\n"), 400),
    Refused("a chunk extension has a bare CR", chunked(b"5;a\rb\r\nhello\r\n0\r\n\r\n"), 400),
    Refused("a chunk extension has an open quote", chunked(b'5;a="b\r\nhello\r\n0\r\n\r\n'), 400),
    Refused("a chunk extension has a line break in quotes",
            chunked(b'5;a="\r\nhello"\r\n0\r\n\r\n'), 400),
    Refused("a chunk extension has no name", chunked(b"5;\r\nhello\r\n0\r\n\r\n"), 400),
    Refused("a chunk extension has no value", chunked(b"5;a=\r\nhello\r\n0\r\n\r\n"), 400),
    Refused("a chunk extension has a NUL", chunked(b"5;a=\0\r\nhello\r\n0\r\n\r\n"), 400),
    Refused("a chunk line is too long",
            chunked(b"5;a=" + b"b" * 300 + b"\r\nhello\r\n0\r\n\r\n"), 400),
    # trailers
    Refused("a trailer frames the body", trailer(b"Content-Length: 5\r\n"), 400),
    Refused("a trailer is Transfer-Encoding", trailer(b"Transfer-Encoding: chunked\r\n"), 400),
    Refused("a trailer is Host", trailer(b"Host: y\r\n"), 400),
    Refused("a trailer authenticates", trailer(b"Authorization: Basic eDp5\r\n"), 400),
    Refused("a trailer is a cookie", trailer(b"Cookie: a=b\r\n"), 400),
    Refused("a trailer has no colon", trailer(b"A\r\n"), 400),
    Refused("a trailer has a space before its colon", trailer(b"A : b\r\n"), 400),
    Refused("a trailer has a NUL", trailer(b"A: \0\r\n"), 400),
    Refused("a trailer is folded", trailer(b"A: b\r\n c\r\n"), 400),
    Refused("a trailer ends in a bare LF", trailer(b"A: b\n"), 400),
    Refused("the trailers end in a bare LF", chunked(b"0\r\nA: b\r\n\n"), 400),
    Refused("the trailers are too large", trailer((b"A: " + b"b" * 1000 + b"\r\n") * 9), 400),
    Refused("the trailers are too many", trailer(b"A: b\r\n" * 101), 400),
    # limits
    Refused("the request line is too long", get(target=b"/" + b"a" * 8200), 414),
    Refused("a header line is too long", get(b"A: " + b"b" * 8200), 431),
    Refused("the headers are too large", get(*[b"A: " + b"b" * 8000] * 9), 431),
    Refused("the headers are too many", get(*[b"A: b"] * 100), 431),
]  # fmt: skip

ACCEPTED = [
    Accepted("one empty line precedes the request", b"\r\n" + get()),
    Accepted("the version is 1.0", line(b"GET / HTTP/1.0")),
    Accepted("the version is 1.0 without a Host", line(b"GET / HTTP/1.0", b"")),
    Accepted("the version is 1.2", line(b"GET / HTTP/1.2")),
    Accepted("the version is 1.9", line(b"GET / HTTP/1.9")),
    Accepted("the method is unknown", line(b"BREW /pot HTTP/1.1")),
    Accepted("the method is lower case", line(b"get / HTTP/1.1")),
    Accepted("the target is * for OPTIONS", line(b"OPTIONS * HTTP/1.1")),
    Accepted("the target is absolute", get(target=b"http://example.com/a?b")),
    Accepted("the target is absolute without a path", get(target=b"http://example.com")),
    Accepted("the target has two slashes", get(target=b"//example.com/a")),
    Accepted("the target has octets above 127", get(target=b"/\xc3\xa4?\xc3\xb6")),
    Accepted("the target has unwise characters", get(target=b'/a|b{c}"d"<e>?f[]=^`')),
    Accepted("the query is empty", get(target=b"/a?")),
    Accepted("the query has question marks", get(target=b"/a?b?c")),
    Accepted("the request line is as long as allowed", get(target=b"/" + b"a" * (8192 - 14))),
    Accepted("a header line is as long as allowed", get(b"A: " + b"b" * (8192 - 3))),
    Accepted("the headers are as many as allowed", get(*[b"A: b"] * 99)),
    Accepted("a header value is empty", get(b"A:")),
    Accepted("a header value is white space", get(b"A:  \t ")),
    Accepted("a header value has white space around it", get(b"A:\t b c \t")),
    Accepted("a header value has no white space before it", get(b"A:b")),
    Accepted("a header value has colons", get(b"A: b:c: d")),
    Accepted("a header value has octets above 127", get(b"A: \xc3\xa4\x80\xff\xa0")),
    Accepted("a header name has every token character", get(b"aZ09!#$%&'*+-.^_`|~: b")),
    Accepted("a header is repeated", get(b"A: b", b"A: c")),
    Accepted("a header name starts as a framing one does", get(b"Hostess: a", b"Contents: b")),
    Accepted("a header name is a prefix of a framing one", get(b"Hos: a", b"Content: b", b"E: c")),
    Accepted("Host is an address with a port", host(b"127.0.0.1:8000")),
    Accepted("Host is an IPv6 address", host(b"[::1]")),
    Accepted("Host is an IPv6 address with a port", host(b"[2001:db8::1]:65535")),
    Accepted("Host is an IPv6 address that ends in IPv4", host(b"[::ffff:1.2.3.4]")),
    Accepted("Host has an empty port", host(b"x:")),
    Accepted("Host has capitals and white space", host(b" Example.COM \t")),
    Accepted("Host has an underscore", host(b"my_host:80")),
    Accepted("Host is in capitals", line(b"GET / HTTP/1.1", b"HOST: x\r\n")),
    Accepted("Content-Length is zero", post(b"Content-Length: 0")),
    Accepted("Content-Length counts the body", length(b"5"), b"hello"),
    Accepted("Content-Length has leading zeros", length(b"005"), b"hello"),
    Accepted("Content-Length has white space around it", length(b" \t5 "), b"hello"),
    Accepted("GET has a body", get(b"Content-Length: 5") + b"hello", b"hello"),
    Accepted("the body is chunked",
            chunked(b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n"), b"hello world"),
    Accepted("the chunked body is empty", chunked(b"0\r\n\r\n")),
    Accepted("the last chunk has many zeros", chunked(b"5\r\nhello\r\n0000\r\n\r\n"), b"hello"),
    Accepted("a chunk size is in capitals",
            chunked(b"A\r\n0123456789\r\n0\r\n\r\n"), b"0123456789"),
    Accepted("chunk data has line breaks", chunked(b"4\r\n\r\n\r\n\r\n0\r\n\r\n"), b"\r\n\r\n"),
    Accepted("the coding is in capitals", coding(b"CHUNKED")),
    Accepted("the coding has white space around it", coding(b"\t chunked \t")),
    Accepted("a chunk has extensions",
             chunked(b'5;a;b=c ; d = "e;\\"f"\r\nhello\r\n0;z\r\n\r\n'), b"hello"),
    Accepted("there are trailers", trailer(b"A: b\r\nExpires: never\r\n"), b"hello"),
    Accepted("the request asks to keep the connection", get(b"Connection: Keep-Alive, foo")),
    Accepted("an expectation comes without a body", get(b"Expect: 100-continue")),
    Accepted("HTTP/1.0 has an unknown expectation", line(b"GET / HTTP/1.0", b"Expect: a\r\n")),
]  # fmt: skip
