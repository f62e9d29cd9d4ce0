"""core.rows: DataRow to tuples, and rows whose counts and lengths lie."""

from __future__ import annotations

import gc
import pickle
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.kit import messages as m
from tests.kit.properties import examples

from howdah.core.rows import RowPlan, Sink, TupleSink, decode_rows, make_plan
from howdah.core.session import RAW
from howdah.errors import DataError, ProtocolError
from howdah.types.registry import UTC, registry_for
from howdah.wire.backend import read_row_description

INT4, TEXT, BYTEA, JSON, INT4_ARRAY, UNKNOWN = 23, 25, 17, 114, 1007, 600


def plan_of(*columns: Any) -> RowPlan:
    facts = read_row_description(m.row_description(*columns)[5:])
    return make_plan(facts, registry_for(UTC), RAW)


PLAN = plan_of(m.Column("n", INT4, 1), m.Column("t", TEXT), m.Column("b", BYTEA, 1))


def int4(value: int) -> bytes:
    return struct.pack("!i", value)


@examples(300)
@given(
    st.lists(
        st.tuples(
            st.none() | st.integers(-(2**31), 2**31 - 1),
            st.none() | st.text(max_size=40),
            st.none() | st.binary(max_size=40),
        ),
        max_size=20,
    ),
    st.integers(0, 60),
)
def test_rows_come_out_as_they_went_in(rows: list[tuple[Any, ...]], missing: int) -> None:
    messages = [m.data_row(None if n is None else int4(n), t, b) for n, t, b in rows]
    data = b"".join(messages)
    data = data[: max(len(data) - missing, 0)]
    whole = 0
    count = 0
    while count < len(messages) and whole + len(messages[count]) <= len(data):
        whole += len(messages[count])
        count += 1
    sink = TupleSink()
    assert decode_rows(sink, PLAN, data) == whole
    assert (sink.taken(), sink.count, sink.error) == (rows[:count], count, None)
    assert all(type(row) is tuple for row in sink.taken())


def test_stops_at_another_message() -> None:
    sink = TupleSink()
    row = m.data_row(None, None, None)
    assert decode_rows(sink, PLAN, row + m.command_complete("SELECT 1") + row) == len(row)


@pytest.mark.parametrize("sink", [Sink, TupleSink])
def test_rows_without_columns(sink: Any) -> None:
    made = sink()
    data = m.data_row() * 3
    assert decode_rows(made, plan_of(), data) == len(data)
    assert made.count == 3
    assert made.taken() == ([()] * 3 if sink is TupleSink else [])


def test_many_columns() -> None:
    plan = plan_of(*(m.Column(str(i), INT4, i % 2) for i in range(1664)))
    sink = TupleSink()
    decode_rows(sink, plan, m.data_row(*(int4(i) if i % 2 else str(i) for i in range(1664))))
    assert sink.taken() == [tuple(range(1664))]


def test_a_counting_sink_keeps_nothing() -> None:
    sink = Sink()
    decode_rows(sink, PLAN, m.data_row("not", "read", "at all") * 5)
    assert (sink.count, sink.taken(), sink.error) == (5, [], None)


def test_unknown_types_are_str_in_text_and_bytes_in_binary() -> None:
    sink = TupleSink()
    decode_rows(sink, plan_of(m.Column("p", UNKNOWN, 0), m.Column("q", UNKNOWN, 1)), m.data_row("(1,2)", b"\0\xff"))
    assert sink.taken() == [("(1,2)", b"\0\xff")]


def row_of(body: bytes) -> bytes:
    return m.message("D", body)


COLUMN = struct.pack("!i", 4) + int4(7)
LIES = {
    "no count": b"",
    "half a count": b"\0",
    "too few columns": struct.pack("!H", 2) + COLUMN * 2,
    "too many columns": struct.pack("!H", 4) + COLUMN * 4,
    "65535 columns": struct.pack("!H", 0xFFFF) + COLUMN * 3,
    "a count of three, two columns": struct.pack("!H", 3) + COLUMN * 2,
    "a column longer than the row": struct.pack("!H", 3) + COLUMN * 2 + struct.pack("!i", 5) + int4(7),
    "a column of 2 GiB": struct.pack("!H", 3) + COLUMN * 2 + struct.pack("!i", 2**31 - 1),
    "a negative length": struct.pack("!H", 3) + COLUMN * 2 + struct.pack("!i", -2),
    "the smallest length": struct.pack("!H", 3) + COLUMN * 2 + struct.pack("!i", -(2**31)),
    "half a length": struct.pack("!H", 3) + COLUMN * 2 + b"\0\0",
    "bytes left over": struct.pack("!H", 3) + COLUMN * 3 + b"x",
    "first column takes all": struct.pack("!H", 3) + struct.pack("!i", 16) + COLUMN * 2,
}


@pytest.mark.parametrize("behind", [b"", m.data_row(int4(7), "x", "y")], ids=["alone", "followed"])
@pytest.mark.parametrize("body", LIES.values(), ids=LIES)
def test_rows_that_lie(body: bytes, behind: bytes) -> None:
    plan = plan_of(m.Column("a", BYTEA, 1), m.Column("b", INT4, 1), m.Column("c", BYTEA, 1))
    sink = TupleSink()
    if len(body) < 2 and not behind:
        assert decode_rows(sink, plan, row_of(body)) == 0  # the session refuses it by its length
        assert sink.count == 0
        return
    with pytest.raises(ProtocolError):
        decode_rows(sink, plan, row_of(body) + behind)
    assert sink.taken() == []


@pytest.mark.parametrize("length", [0, 3, 4, 5, -1, -(2**31)])
@pytest.mark.parametrize("sink", [Sink, TupleSink])
def test_impossible_row_lengths(sink: Any, length: int) -> None:
    with pytest.raises(ProtocolError):
        decode_rows(sink(), PLAN, m.message("D", b"\0\3" + bytes(40), length=length))


def test_a_value_that_cannot_be_read_names_its_column() -> None:
    plan = plan_of(m.Column("ok", INT4), m.Column("bad one", INT4))
    sink = TupleSink()
    data = m.data_row("1", "2") + m.data_row("3", "four") + m.data_row("5", "6")
    assert decode_rows(sink, plan, data) == len(data)
    assert isinstance(sink.error, DataError)
    assert "column 2 ('bad one') of type int4 in text format" in str(sink.error)
    assert sink.count == 3
    assert sink.taken() == [(1, 2)]  # rows behind an error that must be raised are not kept


def test_the_first_error_is_kept() -> None:
    sink = TupleSink()
    decode_rows(sink, plan_of(m.Column("n", INT4)), m.data_row("first") + m.data_row("second"))
    assert "'first'" in str(sink.error)


def test_text_that_is_not_utf8_says_what_to_do() -> None:
    sink = TupleSink()
    decode_rows(sink, plan_of(m.Column("t", TEXT)), m.data_row(b"ok\xff"))
    assert isinstance(sink.error, DataError)
    assert "byte 2" in str(sink.error) and "SQL_ASCII" in str(sink.error)


def test_an_array_that_lies_closes_the_session_not_the_column() -> None:
    lying = struct.pack("!iiIii", 1, 0, INT4, 2**31 - 1, 1)
    with pytest.raises(ProtocolError):
        decode_rows(TupleSink(), plan_of(m.Column("a", INT4_ARRAY, 1)), m.data_row(lying))


def test_a_json_document_nested_too_deep_is_an_error_of_its_column() -> None:
    sink = TupleSink()
    decode_rows(sink, plan_of(m.Column("j", JSON)), m.data_row("[" * 200_000 + "]" * 200_000))
    assert isinstance(sink.error, DataError)


def test_rows_that_can_hold_cycles_are_left_to_the_collector() -> None:
    sink = TupleSink()
    plan = plan_of(m.Column("j", JSON))
    assert not plan.atomic
    decode_rows(sink, plan, m.data_row("[1, 2]"))
    assert gc.is_tracked(sink.taken()[0])
    assert gc.isenabled()


def test_the_collector_is_left_as_it_was() -> None:
    gc.disable()
    try:
        decode_rows(TupleSink(), plan_of(m.Column("j", JSON)), m.data_row("[1, 2]"))
        assert not gc.isenabled()
    finally:
        gc.enable()
    with pytest.raises(ProtocolError):
        decode_rows(TupleSink(), plan_of(m.Column("j", JSON)), row_of(b"\0\2"))
    assert gc.isenabled()


def test_a_plan_needs_a_codec_and_a_format_for_each_column() -> None:
    codec = registry_for(UTC).by_name["int4"]
    for columns, codecs, formats in (((1,), (), b"\0"), ((1,), (codec,), b""), ((), (codec,), b"\0")):
        with pytest.raises(ValueError):
            RowPlan(columns, codecs, formats)


def test_cannot_be_pickled() -> None:
    for thing in (PLAN, Sink(), TupleSink()):
        with pytest.raises(TypeError):
            pickle.dumps(thing)
