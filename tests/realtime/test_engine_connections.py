"""Connections to engines: TLS, forks, and an engine that loses its data."""

from __future__ import annotations

import os
import re
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis as redis_client

from carboy.net.certificates import make_ssl_devcert
from carboy.realtime.engine import EngineError, Message
from carboy.realtime.engines.choice import engine_at
from carboy.shared.errors import EngineError as SharedEngineError
from carboy.shared.errors import EngineUnavailable
from carboy.shared.stores import store_at
from engine_servers import nats_server
from realtime.engine_hub import Recorder, rules_of
from running import PATIENCE, in_a_fresh_process

# --- TLS


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    return make_ssl_devcert(str(tmp_path_factory.mktemp("tls") / "engine"), host="localhost")


@contextmanager
def behind_tls(path: Path, certificate: tuple[str, str]) -> Iterator[int]:
    """A port at which TLS leads to the server on a unix socket."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    opened: list[socket.socket] = []
    threads: list[threading.Thread] = []

    def copy(source: socket.socket, target: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                target.sendall(data)
        except OSError:
            pass
        for each in (source, target):
            try:
                each.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def begin(work: Any, *args: Any) -> None:
        threads.append(threading.Thread(target=work, args=args))
        threads[-1].start()

    def serve(plain: socket.socket) -> None:
        opened.append(plain)
        try:
            secure = context.wrap_socket(plain, server_side=True)
        except OSError:
            return  # the client does not trust the certificate
        server = socket.socket(socket.AF_UNIX)
        opened.extend((secure, server))
        server.connect(str(path))
        begin(copy, secure, server)
        begin(copy, server, secure)

    def accept(listener: socket.socket) -> None:
        while True:
            try:
                plain, _ = listener.accept()
            except OSError:
                return
            begin(serve, plain)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        begin(accept, listener)
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            for each in threads:  # `serve` may still add some
                each.join(PATIENCE)
            for sock in opened:
                sock.close()


def test_redis_is_reached_by_tls(redis: Any, certificate: tuple[str, str]) -> None:
    with behind_tls(redis.path, certificate) as port:
        url = f"rediss://localhost:{port}?prefix=tls&ssl_ca_certs={certificate[0]}"
        with Recorder(url) as recorder:
            recorder.attach("room")
            recorder.engine.publish(Message("room", "secret"))
            recorder.got("secret")
        store = store_at(f"rediss://localhost:{port}?ssl_ca_certs={certificate[0]}")
        store.set("key", b"value", 60)
        assert store.get("key") == b"value"
        store.close()


def test_a_certificate_that_is_not_trusted_is_an_error(
    redis: Any, certificate: tuple[str, str]
) -> None:
    with behind_tls(redis.path, certificate) as port:
        engine = engine_at(f"rediss://localhost:{port}", rules_of())
        with pytest.raises(EngineError, match="certificate verify failed"):
            engine.publish(Message("room", "x"))
        engine.stop(PATIENCE)
        with pytest.raises(EngineUnavailable, match="certificate verify failed"):
            store_at(f"rediss://localhost:{port}").get("key")


def test_nats_is_reached_by_tls(
    certificate: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    cert, key = certificate
    options = f'tls {{ cert_file: "{cert}", key_file: "{key}" }}\n'
    with nats_server(options=options) as server:
        url = f"tls://localhost:{server.port}"
        engine = engine_at(url, rules_of())
        with pytest.raises(EngineError, match="certificate verify failed"):
            engine.publish(Message("room", "x"))
        engine.stop(PATIENCE)
        monkeypatch.setenv("SSL_CERT_FILE", cert)
        with Recorder(url) as recorder:
            recorder.attach("room")
            recorder.engine.publish(Message("room", "secret"))
            recorder.got("secret")


def test_an_option_that_redis_does_not_know_is_an_error_before_anything_is_sent() -> None:
    with pytest.raises(SharedEngineError, match="unexpected keyword argument 'colour'"):
        store_at("redis://localhost?colour=red")


# --- forks


@in_a_fresh_process
def publish_in_both_processes(url: str) -> None:
    """A connection that both processes used would mix up their answers."""
    engine = engine_at(url, rules_of())
    first = engine.publish(Message("room", "before"))
    plain = re.sub(r"[?&]prefix=\w+", "", url)
    stores = [] if plain.startswith("nats") else [store_at(plain)]
    for store in stores:
        store.set("who", b"nobody", 60)
    child = os.fork()
    if not child:
        code = 1
        try:
            own = engine_at(url, rules_of())
            for number in range(20):
                own.publish(Message("room", f"child {number}"))
            for store in stores:
                store.set("child", b"there", 60)
            own.stop(PATIENCE)
            code = 0
        finally:
            os._exit(code)
    for number in range(20):
        engine.publish(Message("room", f"parent {number}"))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    found = [each.data for each in engine.history("room", first.id).messages]
    for who in ("child", "parent"):
        assert [each for each in found if who in each] == [f"{who} {n}" for n in range(20)]
    for store in stores:
        assert store.get("child") == b"there"
        store.close()
    engine.stop(PATIENCE)


def test_a_process_that_has_forked_and_its_copy_have_connections_of_their_own(url: str) -> None:
    publish_in_both_processes(url)


# --- data that is lost


def test_redis_may_lose_its_data_while_clients_are_connected(redis: Any) -> None:
    with Recorder(f"{redis.url}?prefix=lost") as recorder:
        recorder.attach("room")
        old = recorder.engine.publish(Message("room", "before"))
        recorder.got("before")
        with redis_client.Redis(unix_socket_path=str(redis.path)) as client:
            client.flushall()
        new = recorder.engine.publish(Message("room", "after"))
        recorder.got("before", "after")
        assert new.order > old.order
        assert not recorder.engine.history("room", old.id).complete
        assert not recorder.attach("room", old.id).complete
        assert [each.data for each in recorder.engine.history("room").messages] == ["after"]


def test_redis_may_refuse_writes_for_a_time(redis: Any) -> None:
    """Its memory or its disk is full: publishers get an error, and then everything goes on."""
    with (
        Recorder(f"{redis.url}?prefix=full") as recorder,
        redis_client.Redis(unix_socket_path=str(redis.path)) as client,
    ):
        recorder.attach("room")
        recorder.engine.publish(Message("room", "before"))
        recorder.got("before")
        client.config_set("maxmemory", 1)
        try:
            with pytest.raises(EngineError, match=r"cannot be used: .*maxmemory"):
                recorder.engine.publish(Message("room", "refused"))
        finally:
            client.config_set("maxmemory", 0)
        recorder.engine.publish(Message("room", "after"))
        recorder.got("before", "after")
        assert recorder.attach("late").complete
