"""The options of servers that the tests do not install, as they were read from their code.

To read them again for a new version of granian: `granian.cli.cli.params`; of daphne:
`daphne.cli.CommandLineInterface().parser._actions`.
"""

from __future__ import annotations

GRANIAN_VERSION = "2.8.9"
# Options without a value, with a value, and with a value that may be repeated
GRANIAN_FLAGS = """
--ws/--no-ws --http1-keep-alive/--no-http1-keep-alive
--http1-pipeline-flush/--no-http1-pipeline-flush
--http2-adaptive-window/--no-http2-adaptive-window --log/--no-log --access-log/--no-access-log
--ssl-client-verify/--no-ssl-client-verify --respawn-failed-workers/--no-respawn-failed-workers
--factory/--no-factory --metrics/--no-metrics --reload/--no-reload
--reload-ignore-worker-failure/--no-reload-ignore-worker-failure --version
"""
GRANIAN_VALUES = """
--host --port --uds --uds-permissions --interface --http --workers --blocking-threads
--blocking-threads-idle-timeout --runtime-threads --runtime-blocking-threads --runtime-mode --loop
--task-impl --backlog --backpressure --http1-buffer-size --http1-header-read-timeout
--http2-initial-connection-window-size --http2-initial-stream-window-size
--http2-keep-alive-interval --http2-keep-alive-timeout --http2-max-concurrent-streams
--http2-max-frame-size --http2-max-headers-size --http2-max-send-buffer-size --log-level
--log-config --access-log-fmt --ssl-certificate --ssl-keyfile --ssl-keyfile-password
--ssl-protocol-min --ssl-ca --url-path-prefix --respawn-interval --rss-sample-interval
--rss-samples --workers-lifetime --workers-max-rss --workers-kill-timeout --working-dir
--static-path-dir-to-file --static-path-expires --metrics-scrape-interval --metrics-address
--metrics-port --reload-tick --process-name --pid-file
"""
GRANIAN_LISTS = """
--ssl-crl --env-files --static-path-route --static-path-mount --reload-paths --reload-ignore-dirs
--reload-ignore-patterns --reload-ignore-paths
"""
DAPHNE_VERSION = "4.2.3"
DAPHNE_OPTIONS = """
-p --port -b --bind --websocket_timeout --websocket_connect_timeout -u --unix-socket --fd -e
--endpoint -v --verbosity -t --http-timeout --access-log --log-fmt --ping-interval --ping-timeout
--websocket-max-message-size --websocket-max-frame-size --application-close-timeout --root-path
--proxy-headers --proxy-headers-host --proxy-headers-port -s --server-name --no-server-name
"""
