"""wire.outbuf: what is written is what struct would write; what is too large leaves nothing behind."""

from __future__ import annotations

import mmap
import pickle
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.kit.properties import examples

from howdah.errors import DataError
from howdah.wire.limits import MAX_MESSAGE_BYTES
from howdah.wire.outbuf import OutBuf

pieces = st.one_of(
    st.tuples(st.just("put_i16"), st.integers(-(2**15), 2**15 - 1)),
    st.tuples(st.just("put_i32"), st.integers(-(2**31), 2**31 - 1)),
    st.tuples(st.just("put_byte"), st.integers(0, 255)),
    st.tuples(st.just("put_bytes"), st.binary(max_size=300)),
    st.tuples(st.just("put_buffer"), st.binary(max_size=300)),
    st.tuples(st.just("put_cstring"), st.binary(max_size=30)),
    st.tuples(st.just("put_sized"), st.binary(max_size=300)),
)
ENCODED: dict[str, Any] = {
    "put_i16": lambda value: struct.pack("!h", value),
    "put_i32": lambda value: struct.pack("!i", value),
    "put_byte": lambda value: bytes([value]),
    "put_bytes": bytes,
    "put_buffer": bytes,
    "put_cstring": lambda value: value + b"\0",
    "put_sized": lambda value: struct.pack("!i", len(value)) + value,
}


@examples(300)
@given(st.lists(pieces, max_size=40), st.sampled_from([1, 16, 2048]))
def test_writes_what_struct_writes(written: list[tuple[str, Any]], capacity: int) -> None:
    out = OutBuf(capacity)
    expected = b""
    for method, value in written:
        getattr(out, method)(value)
        expected += ENCODED[method](value)
        assert out.pos == len(expected)
    assert out.take() == expected
    assert out.pos == 0
    assert out.take() == b""


@examples(200)
@given(st.lists(st.tuples(st.integers(0, 127), st.lists(pieces, max_size=5)), max_size=10))
def test_messages_carry_their_length(messages: list[tuple[int, list[tuple[str, Any]]]]) -> None:
    out = OutBuf(1)
    expected = b""
    for kind, written in messages:
        at = out.begin(kind)
        body = b""
        for method, value in written:
            getattr(out, method)(value)
            body += ENCODED[method](value)
        out.finish(at)
        expected += bytes([kind]) + struct.pack("!i", len(body) + 4) + body
    assert out.take() == expected


@pytest.mark.parametrize("value", [-1, 0, 1, 127, 128, 255, 256, 32767, -32768])
def test_sixteen_bits(value: int) -> None:
    out = OutBuf()
    out.put_i16(value)
    assert out.take() == struct.pack("!h", value)


@pytest.mark.parametrize("value", [-1, 0, 1, 2**24, 2**31 - 1, -(2**31)])
def test_thirty_two_bits(value: int) -> None:
    out = OutBuf()
    out.put_i32(value)
    assert out.take() == struct.pack("!i", value)


@pytest.mark.parametrize(
    "data",
    [bytearray(b"abc"), memoryview(b"abc"), memoryview(bytearray(b"xabcx"))[1:4], memoryview(b"a-b-c")[::2].tobytes()],
    ids=["bytearray", "memoryview", "slice", "strided"],
)
def test_any_buffer_is_copied(data: Any) -> None:
    out = OutBuf()
    out.put_buffer(data)
    assert out.take() == b"abc"


@pytest.mark.parametrize("data", [b"", bytearray(), memoryview(b""), memoryview(bytearray(b"x"))[1:]])
def test_an_empty_buffer_is_nothing(data: Any) -> None:
    out = OutBuf()
    out.put_buffer(data)
    assert out.take() == b""


def test_wide_items_are_copied_as_bytes() -> None:
    out = OutBuf()
    out.put_buffer(memoryview(struct.pack("=2i", 1, 2)).cast("i"))
    assert out.take() == struct.pack("=2i", 1, 2)


def test_rewind_forgets() -> None:
    out = OutBuf()
    out.put_bytes(b"kept")
    mark = out.pos
    out.put_bytes(b"not" * 5000)
    out.rewind(mark)
    assert out.take() == b"kept"


def test_what_is_taken_is_a_copy() -> None:
    out = OutBuf()
    out.put_bytes(b"first")
    first = out.take()
    out.put_bytes(b"other")
    assert (first, out.take()) == (b"first", b"other")


def test_a_large_store_is_not_kept() -> None:
    out = OutBuf()
    out.put_bytes(bytes(2 << 20))
    out.take()
    assert len(out.store) < 1 << 20


def test_too_large_a_message_is_refused_before_memory_is_taken() -> None:
    out = OutBuf()
    out.put_bytes(b"kept")
    with mmap.mmap(-1, MAX_MESSAGE_BYTES + 1) as never_touched:
        view = memoryview(never_touched)
        with pytest.raises(DataError, match="1 GiB"):
            out.put_buffer(view)
        view.release()
    with pytest.raises(DataError, match="1 GiB"):
        out.reserve(MAX_MESSAGE_BYTES + 1)
    assert out.take() == b"kept"


def test_a_message_that_grew_too_large_is_refused() -> None:
    out = OutBuf()
    at = out.begin(66)
    out.pos = at + MAX_MESSAGE_BYTES + 1  # as if written: a real one takes a gigabyte
    with pytest.raises(DataError, match="1 GiB"):
        out.finish(at)


def test_cannot_be_pickled() -> None:
    with pytest.raises(TypeError):
        pickle.dumps(OutBuf())
