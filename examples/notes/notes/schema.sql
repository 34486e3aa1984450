CREATE TABLE IF NOT EXISTS users (
    id         INTEGER PRIMARY KEY,
    name       TEXT NOT NULL UNIQUE COLLATE NOCASE,
    password   TEXT NOT NULL,
    token      TEXT UNIQUE,              -- SHA-256 of the API token
    created    TEXT NOT NULL
);

CREATE TABLE IF NOT EXISTS notes (
    id         INTEGER PRIMARY KEY,
    user_id    INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    title      TEXT NOT NULL,
    body       TEXT NOT NULL DEFAULT '',
    colour     TEXT NOT NULL DEFAULT 'clear',
    pinned     INTEGER NOT NULL DEFAULT 0,
    picture    TEXT,                     -- file name in the folder of pictures
    width      INTEGER,
    height     INTEGER,
    created    TEXT NOT NULL,
    updated    TEXT NOT NULL
);

CREATE INDEX IF NOT EXISTS notes_of_user ON notes (user_id, pinned DESC, updated DESC);
CREATE UNIQUE INDEX IF NOT EXISTS notes_by_picture ON notes (picture);
