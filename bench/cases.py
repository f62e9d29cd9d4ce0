"""What is measured: the data, the queries, and the ratio each query is held to.

Every value is computed by the server from a counter, so two runs, and two servers, hold the same rows.
"""

from __future__ import annotations

from dataclasses import dataclass

SCHEMA = "howdah_bench"

SETUP = f"""
DROP SCHEMA IF EXISTS {SCHEMA} CASCADE;
CREATE SCHEMA {SCHEMA};

CREATE TABLE {SCHEMA}.account AS
SELECT i AS id, 'user' || i AS name, 'user' || i || '@example.net' AS email, i % 3 = 0 AS active,
       i * 1.5::float8 AS score, timestamptz '2024-01-01 00:00+00' + i * interval '61.25 seconds' AS created
FROM generate_series(1, 10000) i;
ALTER TABLE {SCHEMA}.account ADD PRIMARY KEY (id);

CREATE TABLE {SCHEMA}.blob AS
SELECT i AS id,
       (SELECT string_agg(decode(md5(i || ':' || j), 'hex'), '') FROM generate_series(1, 64) j) AS data
FROM generate_series(1, 100) i;

CREATE TABLE {SCHEMA}.int_array AS
SELECT i AS id, ARRAY(SELECT i * 1000 + j FROM generate_series(1, 100) j) AS numbers
FROM generate_series(1, 100) i;

CREATE TABLE {SCHEMA}.mixed AS
SELECT i AS id,
       i * 10000000019 AS big,
       CASE WHEN i % 16 = 0 THEN 'Zoë Müller ' || i ELSE 'customer number ' || i END AS label,
       i % 2 = 0 AS flag,
       i / 7::float8 AS ratio,
       (i * 37.19)::numeric(12, 2) AS amount,
       timestamptz '2024-01-01 00:00+00' + i * interval '3723.123457 seconds' AS seen,
       date '2024-01-01' + i AS day,
       md5(i::text)::uuid AS token,
       jsonb_build_object('sku', 'A-' || i, 'qty', i % 50, 'price', (i * 0.25)::numeric(10, 2),
                          'tags', jsonb_build_array('new', 'sale'), 'stock', i % 5 <> 0, 'note', NULL,
                          'size', jsonb_build_object('w', i % 90, 'h', i % 60)) AS doc,
       CASE WHEN i % 3 <> 0 THEN 'note ' || i END AS note
FROM generate_series(1, 2000) i;

ANALYZE {SCHEMA}.account;
ANALYZE {SCHEMA}.blob;
ANALYZE {SCHEMA}.int_array;
ANALYZE {SCHEMA}.mixed;
"""

TEARDOWN = f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE"

PG_TYPE = """select typname,typnamespace,typowner,typlen,typbyval,typcategory,typispreferred,typisdefined,\
typdelim,typrelid,typelem,typarray from pg_type where typtypmod = -1 and typisdefined = true"""


@dataclass(frozen=True)
class Case:
    """One query; ``$1`` is the parameter. ``target`` is the highest allowed howdah / best peer client CPU."""

    name: str
    title: str
    sql: str
    params: tuple[int, ...] = ()
    rows: int | None = None  # None: whatever the server's catalogue holds
    char_columns: tuple[int, ...] = ()  # type "char": asyncpg gives bytes, the others str
    target: float | None = None
    async_target: float | None = None  # howdah on plain asyncio against asyncpg on uvloop

    @property
    def format_sql(self) -> str:
        """The query with the ``%s`` of PEP 249."""
        return self.sql.replace("$1", "%s")


CASES = (
    Case("one", "SELECT 1+1", "SELECT 1+1", rows=1),
    Case(
        "point",
        "point select by int, 10,000 rows",
        f"SELECT id, name, email, active, score, created FROM {SCHEMA}.account WHERE id = $1",
        params=(4242,),
        rows=1,
        target=1.0,
        async_target=1.0,
    ),
    Case("ints", "1,000 int4", "SELECT i FROM generate_series(1, 1000) AS i", rows=1000, target=0.8),
    Case("bytea", "100 x 1 kB bytea", f"SELECT data FROM {SCHEMA}.blob", rows=100),
    Case("arrays", "100 arrays of 100 int4", f"SELECT numbers FROM {SCHEMA}.int_array", rows=100, target=0.8),
    Case("pg_type", "pg_type, 12 columns", PG_TYPE, char_columns=(5, 8), target=0.8),
    Case(
        "mixed_jsonb",
        "2,000 rows x 11 mixed columns, jsonb among them",
        f"SELECT id, big, label, flag, ratio, amount, seen, day, token, doc, note FROM {SCHEMA}.mixed",
        rows=2000,
        target=0.5,
    ),
    Case(
        "mixed",
        "2,000 rows x 10 mixed columns, no jsonb",
        f"SELECT id, big, label, flag, ratio, amount, seen, day, token, note FROM {SCHEMA}.mixed",
        rows=2000,
        target=0.7,
    ),
)

CASES_BY_NAME = {case.name: case for case in CASES}
