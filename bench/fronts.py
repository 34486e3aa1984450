"""`python -m bench.fronts NAME PORT SCHEME`: nginx or Caddy with one worker, for static files.

Writes the configuration and becomes the program. The folder is that of the variable BENCH_STATIC.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from bench import certificate

NGINX = """
daemon off;
worker_processes 1;
{user}
pid {scratch}/pid;
error_log stderr warn;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    sendfile on;
    tcp_nopush on;
    keepalive_requests 1000000;
    types {{ text/plain txt; }}
    client_body_temp_path {scratch}/body;
    proxy_temp_path {scratch}/proxy;
    fastcgi_temp_path {scratch}/fastcgi;
    uwsgi_temp_path {scratch}/uwsgi;
    scgi_temp_path {scratch}/scgi;
    server {{
        listen 127.0.0.1:{port}{tls};
        ssl_certificate {certificate};
        ssl_certificate_key {key};
        location /static/ {{ alias {folder}/; }}
    }}
}}
"""

CADDY = """
{{
    admin off
    auto_https off
    servers {{
        protocols h1 h2
    }}
}}
{scheme}://127.0.0.1:{port} {{
    {tls}
    handle_path /static/* {{
        root * {folder}
        file_server
    }}
}}
"""


def nginx(port: int, scheme: str, scratch: Path) -> list[str]:
    """Write the configuration of nginx; returns its command."""
    file, key = certificate.files()
    configuration = scratch / "nginx.conf"
    configuration.write_text(
        NGINX.format(
            scratch=scratch,
            port=port,
            user="user root;" if os.getuid() == 0 else "",
            tls=" ssl http2" if scheme == "https" else "",
            certificate=file,
            key=key,
            folder=os.environ["BENCH_STATIC"],
        )
    )
    return ["nginx", "-c", str(configuration), "-p", str(scratch)]


def caddy(port: int, scheme: str, scratch: Path) -> list[str]:
    """Write the configuration of Caddy; returns its command."""
    configuration = scratch / "Caddyfile"
    configuration.write_text(
        CADDY.format(
            port=port,
            scheme=scheme,
            tls="tls {} {}".format(*certificate.files()) if scheme == "https" else "",
            folder=os.environ["BENCH_STATIC"],
        )
    )
    return ["caddy", "run", "--config", str(configuration), "--adapter", "caddyfile"]


def main() -> None:
    name, port, scheme = sys.argv[1:]
    scratch = Path(tempfile.mkdtemp(prefix="carboy-bench-"))
    command = {"nginx": nginx, "caddy": caddy}[name](int(port), scheme, scratch)
    os.environ["GOMAXPROCS"] = "1"  # of Caddy, which has one core
    os.execvp(command[0], command)


if __name__ == "__main__":
    main()
