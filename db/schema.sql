-- SPDX-License-Identifier: Apache-2.0
-- Schema version 1 of a sparsetune database. Raw trials are the truth; winners are derived from them and rebuilt.
-- Integer ids are local to one file and never leave it: what identifies a record elsewhere is said beside its table.
-- `content` is the XXH3-128 of a record's content: of two records with one identity the greater content stays.
-- Names are stored, never ordinals. A REAL that is NULL is a NaN.

CREATE TABLE meta (
    name  TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Identity: key. Everything after l2_bytes is soft: it never decides a match.
CREATE TABLE device (
    id        INTEGER PRIMARY KEY,
    key       TEXT NOT NULL UNIQUE,
    kind      TEXT NOT NULL,
    isa       TEXT NOT NULL,
    isa_set   TEXT NOT NULL,
    vendor    TEXT NOT NULL,
    family    INTEGER NOT NULL,
    model     INTEGER NOT NULL,
    l1d_bytes INTEGER NOT NULL,
    l2_bytes  INTEGER NOT NULL,
    name      TEXT NOT NULL,
    stepping  INTEGER NOT NULL,
    l3_bytes  INTEGER NOT NULL,
    n_cores   INTEGER NOT NULL,
    os        TEXT NOT NULL,
    content   BLOB NOT NULL CHECK (length(content) = 16)
) STRICT;

-- Identity: all of it.
CREATE TABLE toolchain (
    id           INTEGER PRIMARY KEY,
    tool_version TEXT NOT NULL,
    compiler     TEXT NOT NULL,
    UNIQUE (tool_version, compiler)
) STRICT;

-- Identity: fingerprint. features: "name=value ..." in one line; positions: compressed, only where asked for.
CREATE TABLE pattern (
    fingerprint BLOB NOT NULL PRIMARY KEY CHECK (length(fingerprint) = 16),
    n_rows      INTEGER NOT NULL,
    n_cols      INTEGER NOT NULL,
    nnz         INTEGER NOT NULL,
    features    TEXT NOT NULL,
    positions   BLOB,
    content     BLOB NOT NULL CHECK (length(content) = 16)
) STRICT;

-- Identity: key, the XXH3-128 of text; the other columns repeat what the text says.
CREATE TABLE problem (
    key         BLOB NOT NULL PRIMARY KEY CHECK (length(key) = 16),
    text        TEXT NOT NULL,
    device      INTEGER NOT NULL REFERENCES device,
    fingerprint BLOB NOT NULL REFERENCES pattern,
    op          TEXT NOT NULL,
    dtype       TEXT NOT NULL,
    layout      TEXT NOT NULL,
    epilogue    TEXT NOT NULL,
    m           INTEGER NOT NULL,
    k           INTEGER NOT NULL,
    n           INTEGER NOT NULL,
    threads     INTEGER NOT NULL,
    cache       TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX problem_by_device ON problem (device, key);

-- Identity: family, revision, point, source_hash, library. source_hash and library are soft, '' where unknown.
CREATE TABLE variant (
    id          INTEGER PRIMARY KEY,
    family      TEXT NOT NULL,
    revision    INTEGER NOT NULL,
    point       TEXT NOT NULL,
    source_hash TEXT NOT NULL,
    library     TEXT NOT NULL,
    is_dense    INTEGER NOT NULL,
    UNIQUE (family, revision, point, source_hash, library)
) STRICT;

-- Identity: uuid. host: the random id of a host. seed: the 64 bits of an unsigned number.
CREATE TABLE session (
    id             INTEGER PRIMARY KEY,
    uuid           TEXT NOT NULL UNIQUE,
    host           TEXT NOT NULL,
    toolchain      INTEGER NOT NULL REFERENCES toolchain,
    strategy       TEXT NOT NULL,
    seed           INTEGER NOT NULL,
    budget         INTEGER NOT NULL,
    policy         TEXT NOT NULL,
    started_unix_s INTEGER NOT NULL,
    content        BLOB NOT NULL CHECK (length(content) = 16)
) STRICT;

-- Identity: session uuid, key, variant, phase, round. Clustered by key: a problem's trials are one range of one tree.
CREATE TABLE trial (
    key              BLOB NOT NULL REFERENCES problem CHECK (length(key) = 16),
    session          INTEGER NOT NULL REFERENCES session,
    variant          INTEGER NOT NULL REFERENCES variant,
    phase            TEXT NOT NULL,
    round            INTEGER NOT NULL,
    is_default       INTEGER NOT NULL,
    status           TEXT NOT NULL,
    n_samples        INTEGER NOT NULL,
    time_ns_median   REAL,
    mad_ns           REAL,
    ci_ns_low        REAL,
    ci_ns_high       REAL,
    max_error        REAL,
    workspace_bytes  INTEGER NOT NULL,
    packed_bytes     INTEGER NOT NULL,
    pack_ns          REAL,
    reason           TEXT NOT NULL,
    recorded_unix_us INTEGER NOT NULL,
    content          BLOB NOT NULL CHECK (length(content) = 16),
    PRIMARY KEY (key, session, variant, phase, round)
) STRICT, WITHOUT ROWID;

-- Derived: the best variants of a problem, rank 0 first. session: the newest one that measured the variant.
CREATE TABLE winner (
    key                  BLOB NOT NULL REFERENCES problem,
    rank                 INTEGER NOT NULL,
    variant              INTEGER NOT NULL REFERENCES variant,
    session              INTEGER NOT NULL REFERENCES session,
    n_rounds             INTEGER NOT NULL,
    time_ns_median       REAL NOT NULL,
    ci_ns                REAL NOT NULL,
    speedup_over_default REAL NOT NULL,
    speedup_over_dense   REAL NOT NULL,
    PRIMARY KEY (key, rank)
) STRICT, WITHOUT ROWID;

INSERT INTO meta (name, value) VALUES ('about', 'tuning results of sparsetune; docs/DATABASE.md says what each table holds');
