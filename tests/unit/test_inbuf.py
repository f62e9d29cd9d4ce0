"""wire.inbuf: bytes come out as they went in, whatever the sizes; nothing a reader holds is moved."""

from __future__ import annotations

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.kit.properties import examples

from howdah.wire.inbuf import DEFAULT_CAPACITY, InBuf


def arrive(buffer: InBuf, data: bytes) -> None:
    """As a driver reads: as much as there is room for, again and again."""
    while data:
        room = buffer.get_buffer()
        assert len(room) >= 1
        count = min(len(room), len(data))
        room[:count] = data[:count]
        buffer.received(count)
        data = data[count:]


def unread(buffer: InBuf) -> bytes:
    return bytes(buffer.store[buffer.start : buffer.end])


def test_starts_empty() -> None:
    buffer = InBuf()
    assert (buffer.start, buffer.end, buffer.needed) == (0, 0, 0)
    assert len(buffer.get_buffer()) == DEFAULT_CAPACITY


@examples(200)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 30_000),  # arrives
            st.integers(0, 40_000),  # is read, at most what is there
            st.integers(0, 90_000),  # the reader needs that much in one piece
        ),
        max_size=30,
    ),
    st.sampled_from([1, 64, 5000, DEFAULT_CAPACITY]),
)
def test_what_goes_in_comes_out(steps: list[tuple[int, int, int]], capacity: int) -> None:
    buffer = InBuf(capacity)
    expected = b""
    number = 0
    for arriving, reading, needed in steps:
        data = b"".join(n.to_bytes(4, "big") for n in range(number, number + arriving // 4))
        number += arriving // 4
        arrive(buffer, data)
        expected += data
        assert unread(buffer) == expected
        reading = min(reading, len(expected))
        buffer.start += reading
        expected = expected[reading:]
        buffer.needed = needed if needed > len(expected) else 0
    assert unread(buffer) == expected


def test_room_comes_for_a_message_larger_than_the_store() -> None:
    buffer = InBuf(64)
    buffer.needed = 10_000
    arrive(buffer, bytes(range(250)) * 40)
    assert unread(buffer) == bytes(range(250)) * 40


def test_a_view_stays_good_when_the_store_is_replaced() -> None:
    buffer = InBuf(64)
    arrive(buffer, b"x" * 64)
    held, view = buffer.store, memoryview(buffer.store)
    arrive(buffer, b"y" * 1000)
    assert buffer.store is not held
    assert bytes(view) == b"x" * 64
    assert unread(buffer) == b"x" * 64 + b"y" * 1000


def test_memory_grows_with_what_arrives_not_with_what_is_announced() -> None:
    buffer = InBuf()
    arrive(buffer, b"header")
    buffer.needed = 0x3FFFFFFF
    buffer.get_buffer()
    assert len(buffer.store) <= 4 * DEFAULT_CAPACITY


@pytest.mark.parametrize("count", [-1, 65, 2**40])
def test_more_cannot_be_booked_than_there_was_room(count: int) -> None:
    buffer = InBuf(64)
    buffer.get_buffer()
    with pytest.raises(ValueError):
        buffer.received(count)
    assert buffer.end == 0


def test_feed_copies() -> None:
    buffer = InBuf(8)
    data = bytearray(b"abc" * 5000)
    buffer.feed(data)
    data[:] = bytes(len(data))
    assert unread(buffer) == b"abc" * 5000


def test_cannot_be_pickled() -> None:
    with pytest.raises(TypeError):
        pickle.dumps(InBuf())
