"""core.query, Statement and StatementCache: what is remembered of a statement, and which formats it is asked for in."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
from tests.kit import messages as m

from howdah.core.query import Statement, StatementCache
from howdah.core.rows import choose_formats, make_plan
from howdah.core.session import RAW
from howdah.types.codec import _Codec
from howdah.types.registry import UTC, registry_for
from howdah.wire.backend import read_row_description

BY_OID = registry_for(UTC).by_oid
INT4, TEXT, POINT = 23, 25, 600


def columns(*oids: int, form: int = 0) -> tuple[Any, ...]:
    return read_row_description(m.row_description(*(m.Column(f"c{oid}", oid, form) for oid in oids))[5:])


def test_a_statement_is_known_by_its_text_and_types() -> None:
    cache = StatementCache()
    first = cache.get(b"SELECT $1", (INT4,))
    assert cache.get(b"SELECT $1", (INT4,)) is first
    assert cache.get(b"SELECT $1", (TEXT,)) is not first
    assert cache.get(b"SELECT $2", (INT4,)) is not first
    assert (first.uses, first.prepared, first.described) == (0, False, False)


def test_the_least_recently_used_goes_first() -> None:
    cache = StatementCache(3)
    entries = {name: cache.get(name, ()) for name in (b"a", b"b", b"c")}
    for name, entry in entries.items():
        entry.make_name()
        entry.prepared = name != b"c"
    cache.get(b"a", ())
    cache.get(b"d", ())
    assert {key[0] for key in cache.entries} == {b"a", b"c", b"d"}
    assert cache.dropped == [entries[b"b"].name]
    assert not entries[b"b"].prepared
    cache.get(b"a", ())
    cache.get(b"e", ())
    assert {key[0] for key in cache.entries} == {b"a", b"d", b"e"}
    assert cache.dropped == [entries[b"b"].name]  # c was never prepared


@pytest.mark.parametrize("limit", [1, 2, 100])
def test_the_cache_keeps_its_bound(limit: int) -> None:
    cache = StatementCache(limit)
    for i in range(300):
        cache.get(b"%d" % i, ())
        assert len(cache.entries) <= limit
    assert cache.get(b"299", ()) is cache.entries[b"299", ()]


def test_a_lowered_bound_is_kept_at_the_next_new_statement() -> None:
    cache = StatementCache()
    for i in range(50):
        cache.get(b"%d" % i, ()).prepared = True
    cache.max_entries = 10
    cache.get(b"new", ())
    assert len(cache.entries) == 10
    assert len(cache.dropped) == 41


def test_discard_forgets_and_closes() -> None:
    cache = StatementCache()
    entry = cache.get(b"a", ())
    name = entry.make_name()
    entry.prepared = True
    entry.set_columns(columns(INT4))
    cache.discard(entry)
    assert (entry.prepared, entry.described, entry.columns) == (False, False, None)
    assert cache.dropped == [name]
    assert cache.get(b"a", ()) is not entry
    cache.discard(entry)  # a second time, by a request that was in flight with it
    assert cache.dropped == [name]


def test_clear_forgets_without_closing() -> None:
    cache = StatementCache()
    entry = cache.get(b"a", ())
    entry.prepared = True
    cache.dropped.append(b"old")
    cache.clear()
    assert (len(cache.entries), cache.dropped, entry.prepared) == (0, [], False)


def test_names_come_from_text_and_types() -> None:
    name = Statement(b"SELECT 1", (INT4,)).make_name()
    assert Statement(b"SELECT 1", (INT4,)).make_name() == name
    assert len({name, Statement(b"SELECT 1", (TEXT,)).make_name(), Statement(b"SELECT 2", (INT4,)).make_name()}) == 3
    assert name.startswith(b"howdah_") and len(name) <= 63 and 0 not in name


@pytest.mark.parametrize(
    ("oids", "binary", "formats"),
    [
        ((), False, b""),
        ((), True, b""),
        ((INT4,), False, b"\1"),
        ((INT4, TEXT), False, b"\1"),
        ((POINT,), False, b""),
        ((INT4, POINT), False, b"\1\0"),
        ((POINT, INT4, POINT), False, b"\0\1\0"),
        ((POINT,), True, b"\1"),
        ((INT4, POINT), True, b"\1"),
    ],
)
def test_formats(oids: tuple[int, ...], binary: bool, formats: bytes) -> None:
    assert choose_formats(columns(*oids), BY_OID, binary) == formats


def test_no_columns_no_formats() -> None:
    assert choose_formats(None, BY_OID, False) == choose_formats(None, BY_OID, True) == b""


def test_binary_is_asked_for_only_where_it_is_equal_to_text() -> None:
    assert choose_formats(columns(INT4), {INT4: _Codec("odd", INT4, 0, False)}, False) == b""


def test_plans_take_the_formats_of_the_server() -> None:
    plan = make_plan(columns(INT4, POINT, form=1), registry_for(UTC), RAW)
    assert plan.formats == b"\1\1"
    assert plan.codecs == (BY_OID[INT4], RAW)


def test_cannot_be_pickled() -> None:
    for thing in (Statement(b"", ()), StatementCache()):
        with pytest.raises(TypeError):
            pickle.dumps(thing)
