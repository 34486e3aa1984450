"""The tables and statements of channels in PostgreSQL.

    carboy_messages   messages that are kept, and large ones until they have been fetched
    carboy_channels   of each channel: the last message, and the last one that was discarded
    carboy_presence   connections, by channel, process and name

A channel is `PREFIX/NAME` in the tables. All who publish take one lock, so the messages become
visible, and are notified, in the order of their ids.
"""

from __future__ import annotations

__all__ = ["ABSENT", "COUNT", "COUNTS", "END", "FETCH", "LOCK", "POSITION", "PRESENT", "PUBLISH"]
__all__ += ["PRESENCE_LOCK", "READ", "SWEEP", "TABLES", "TABLES_LOCK", "TABLES_THERE"]

TABLES = """
CREATE TABLE IF NOT EXISTS carboy_messages (
    id bigserial PRIMARY KEY, channel text NOT NULL, payload bytea NOT NULL,
    kept boolean NOT NULL, made timestamptz NOT NULL DEFAULT clock_timestamp(),
    ends timestamptz);
CREATE INDEX IF NOT EXISTS carboy_messages_channel ON carboy_messages (channel, id);
CREATE INDEX IF NOT EXISTS carboy_messages_ends ON carboy_messages (ends);
CREATE TABLE IF NOT EXISTS carboy_channels (
    channel text PRIMARY KEY, last bigint NOT NULL, discarded bigint NOT NULL);
CREATE INDEX IF NOT EXISTS carboy_channels_last ON carboy_channels (last);
CREATE UNLOGGED TABLE IF NOT EXISTS carboy_presence (
    channel text, process text, name text, count int NOT NULL, ends timestamptz NOT NULL,
    PRIMARY KEY (channel, process, name));
"""
TABLES_THERE = "SELECT to_regclass('carboy_messages'), to_regclass('carboy_presence')"
TABLES_LOCK = "SELECT pg_advisory_xact_lock(7306090)"
LOCK = "SELECT pg_advisory_xact_lock(7306091)"
PRESENCE_LOCK = "SELECT pg_advisory_xact_lock(7306092)"

# `inline` is the payload as base64 if it fits into a notification, or else empty.
PUBLISH = """
WITH new AS (
    INSERT INTO carboy_messages (channel, payload, kept, ends)
    SELECT %(channel)s, %(payload)s, %(keep)s > 0,
        clock_timestamp() + make_interval(secs => %(seconds)s)
    RETURNING id),
old AS (
    DELETE FROM carboy_messages WHERE channel = %(channel)s AND kept AND id <= (
        SELECT id FROM carboy_messages WHERE channel = %(channel)s AND kept
        ORDER BY id DESC OFFSET greatest(%(keep)s - 1, 0) LIMIT 1)
    RETURNING id),
noted AS (
    INSERT INTO carboy_channels AS before
    SELECT %(channel)s, new.id,
        CASE WHEN %(keep)s = 0 THEN new.id ELSE coalesce((SELECT max(id) FROM old), 0) END
    FROM new
    ON CONFLICT (channel) DO UPDATE SET last = excluded.last,
        discarded = greatest(before.discarded, excluded.discarded))
SELECT new.id, pg_notify(%(listened)s, new.id || ' ' || %(inline)s) FROM new
"""
POSITION = "SELECT coalesce(max(last), 0) FROM carboy_channels"
# One statement, so that everything is of one moment.
READ = """
SELECT place.last, coalesce(state.last, 0), coalesce(state.discarded, 0),
    message.id, message.payload, extract(epoch FROM clock_timestamp() - message.made)
FROM (SELECT coalesce(max(last), 0) AS last FROM carboy_channels) AS place
LEFT JOIN carboy_channels AS state ON state.channel = %(channel)s
LEFT JOIN carboy_messages AS message
    ON message.channel = %(channel)s AND message.kept AND message.id > %(since)s
ORDER BY message.id
"""
FETCH = "SELECT channel, payload FROM carboy_messages WHERE id = %s"
SWEEP = """
WITH gone AS (DELETE FROM carboy_messages WHERE ends < clock_timestamp() RETURNING channel, id)
UPDATE carboy_channels AS state SET discarded = greatest(state.discarded, newest.id)
FROM (SELECT channel, max(id) AS id FROM gone GROUP BY channel) AS newest
WHERE state.channel = newest.channel
"""

COUNTS = """
SELECT channel, name, sum(count) FROM carboy_presence WHERE channel = ANY(%s) GROUP BY 1, 2
"""
END = "DELETE FROM carboy_presence WHERE channel = ANY(%s) AND ends < clock_timestamp()"
PRESENT = """
INSERT INTO carboy_presence
SELECT channel, %(process)s, name, count, clock_timestamp() + make_interval(secs => %(seconds)s)
FROM unnest(%(channels)s::text[], %(names)s::text[], %(counts)s::int[]) AS row(channel, name, count)
ON CONFLICT (channel, process, name) DO UPDATE SET count = excluded.count, ends = excluded.ends
"""
ABSENT = "DELETE FROM carboy_presence WHERE process = %s AND count = 0"
COUNT = """
SELECT name, sum(count) FROM carboy_presence
WHERE channel = %s AND ends > clock_timestamp() GROUP BY 1
"""
