"""Which protocol a TLS connection carries: application-layer protocol negotiation (RFC 7301)."""

from __future__ import annotations

import ssl

HTTP_1 = ("http/1.1",)


def offer(context: ssl.SSLContext, protocols: tuple[str, ...]) -> None:
    """Have the context of a server choose among `protocols`, unless its maker has said how.

    Contexts of other libraries stay as they are.
    """
    if isinstance(context, ssl.SSLContext) and not chooses(context):
        context.set_alpn_protocols(list(protocols))


def chooses(context: ssl.SSLContext) -> bool:
    """Whether the context of a server chooses a protocol of HTTP.

    The module `ssl` does not say so, so a handshake is begun with it in memory.
    """
    client_context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client_context.check_hostname = False
    client_context.verify_mode = ssl.CERT_NONE
    client_context.set_alpn_protocols(["h2", "http/1.1", "http/1.0"])
    hello, answer = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = client_context.wrap_bio(answer, hello)
    server = context.wrap_bio(hello, answer, server_side=True)
    for side in (client, server):
        try:
            side.do_handshake()
        except ssl.SSLError:
            pass  # it wants the answer, or the context cannot serve
    return server.selected_alpn_protocol() is not None
