"""wire.bytes: every width, sign and edge value, against struct; the same tests hold the inline C and the Python."""

from __future__ import annotations

import math
import pickle
import struct
import sys
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.kit.properties import examples, scaled

from howdah.wire.bytes import probe, probe_write

FORMATS = {"i16": "!h", "u16": "!H", "i32": "!i", "u32": "!I", "i64": "!q", "f32": "!f", "f64": "!d"}
WRITTEN = {"i16": 2, "u16": 2, "i32": 4, "u32": 4, "i64": 8, "f32": 4, "f64": 8}
EDGES = [0, 1, 0x7F, 0x80, 0xFF]


def same(a: object, b: object) -> bool:
    if isinstance(a, float) and isinstance(b, float):
        return (math.isnan(a) and math.isnan(b)) or (a == b and math.copysign(1, a) == math.copysign(1, b))
    return type(a) is type(b) and a == b


def edge_bytes(width: int) -> list[bytes]:
    """All zero, all one, and each edge byte in each place of zeros and of ones."""
    found = {bytes(width), b"\xff" * width}
    for place in range(width):
        for edge in EDGES:
            for filling in (b"\0", b"\xff", b"\x80", b"\x7f"):
                found.add(filling * place + bytes([edge]) + filling * (width - place - 1))
    return sorted(found)


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("before", [0, 1, 3])
def test_reads_edge_values_as_struct_does(name: str, before: int) -> None:
    form = FORMATS[name]
    for raw in edge_bytes(struct.calcsize(form)):
        data = b"\xa5" * before + raw + b"\x5a"
        assert same(probe(name, data, before, len(raw)), struct.unpack(form, raw)[0]), raw


@pytest.mark.parametrize("name", FORMATS)
@examples(300)
@given(data=st.binary(min_size=8, max_size=8), before=st.binary(max_size=9))
def test_reads_any_value_as_struct_does(name: str, data: bytes, before: bytes) -> None:
    raw = data[: struct.calcsize(FORMATS[name])]
    assert same(probe(name, before + raw, len(before), len(raw)), struct.unpack(FORMATS[name], raw)[0])


@examples(300)
@given(data=st.binary(min_size=16, max_size=16), before=st.binary(max_size=9))
def test_reads_128_bits(data: bytes, before: bytes) -> None:
    assert probe("u128", before + data + b"x", len(before), 16) == int.from_bytes(data, "big")


@pytest.mark.parametrize("raw", edge_bytes(16), ids=bytes.hex)
def test_reads_128_bits_at_the_edges(raw: bytes) -> None:
    assert probe("u128", raw, 0, 16) == int.from_bytes(raw, "big")


@pytest.mark.parametrize("name", WRITTEN)
def test_writes_edge_values_as_struct_does(name: str) -> None:
    form = FORMATS[name]
    for raw in edge_bytes(WRITTEN[name]):
        value = struct.unpack(form, raw)[0]
        if value == value:  # a NaN keeps no bits on its way through a Python float of another width
            assert probe_write(name, value, WRITTEN[name]) == struct.pack(form, value)


@pytest.mark.parametrize("name", ["f32", "f64"])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 0.0, -0.0])
def test_writes_special_floats(name: str, value: float) -> None:
    assert same(struct.unpack(FORMATS[name], probe_write(name, value, WRITTEN[name]))[0], value)


@examples(300)
@given(st.integers(-(2**63), 2**63 - 1), st.floats())
def test_what_is_written_is_read(number: int, real: float) -> None:
    assert probe("i64", probe_write("i64", number, 8), 0, 8) == number
    assert same(probe("f64", probe_write("f64", real, 8), 0, 8), real)
    low = (number & 0xFFFFFFFF) - 2**31
    assert probe("i32", probe_write("i32", low, 4), 0, 4) == low
    assert probe("u32", probe_write("u32", low + 2**31, 4), 0, 4) == low + 2**31
    short = (number & 0xFFFF) - 2**15
    assert probe("i16", probe_write("i16", short, 2), 0, 2) == short


@examples(500)
@given(text=st.text(), before=st.binary(max_size=5), after=st.binary(max_size=5))
def test_text_is_utf8(text: str, before: bytes, after: bytes) -> None:
    raw = text.encode()
    assert probe("text", before + raw + after, len(before), len(raw)) == text


@pytest.mark.parametrize("size", [0, 1, 2, 7, 8, 9, 15, 16, 17, 63, 64, 65, 1000])
@pytest.mark.parametrize("place", [0, -1, 8, None])
def test_a_character_beyond_ascii_at_the_edges_of_words(size: int, place: int | None) -> None:
    text = "a" * size
    if place is not None and -len(text) <= place < len(text):
        text = text[:place] + "ß" + text[place:]
    raw = text.encode()
    assert probe("text", b"\xff" + raw + b"\xff", 1, len(raw)) == text


@examples(500)
@given(st.binary(max_size=40))
def test_what_is_not_utf8_is_refused_as_python_does(data: bytes) -> None:
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as exc:
        with pytest.raises(UnicodeDecodeError) as caught:
            probe("text", data, 0, len(data))
        assert (caught.value.start, caught.value.reason) == (exc.start, exc.reason)
    else:
        assert probe("text", data, 0, len(data)) == text


@examples(300)
@given(data=st.binary(max_size=40), place=st.integers(0, 40), size=st.integers(0, 40))
def test_bytes_and_nul_stay_within_their_bounds(data: bytes, place: int, size: int) -> None:
    place = min(place, len(data))
    size = min(size, len(data) - place)
    assert probe("bytes", data, place, size) == data[place : place + size]
    assert probe("nul", data, place, size) == data.find(b"\0", place, place + size)


@pytest.mark.parametrize("name", [*FORMATS, "u128", "text", "bytes", "nul"])
def test_a_probe_beyond_its_data_is_refused(name: str) -> None:
    for place, size in ((-1, 1), (0, 17), (16, 1), (9, 8)):
        if place == 9 and name in ("i16", "u16", "i32", "u32", "f32"):
            continue
        if place == 0 and name in FORMATS:
            continue
        with pytest.raises(ValueError):
            probe(name, bytes(16 if name != "u128" else 15), place, size)


def test_unknown_names_are_refused() -> None:
    with pytest.raises(ValueError, match="no reader"):
        probe("i24", b"abc", 0, 3)
    with pytest.raises(ValueError, match="no writer"):
        probe_write("i24", 1, 3)


BASES = (0, 256, 1024, 2**15, 2**30, 2**31, 2**60, 2**62)
INT_EDGES = [
    -(2**63),
    2**63 - 1,
    *(sign * (base + step) for base in BASES for step in range(-6, 3) for sign in (1, -1)),
]


@examples(500)
@given(st.integers(-(2**63), 2**63 - 1) | st.sampled_from(INT_EDGES) | st.integers(-(2**31), 2**31 - 1))
def test_ints_laid_out_here_are_ints(number: int) -> None:
    """They behave as CPython's own in every kind of arithmetic, as keys, in pickles, and they go when nobody has them."""
    made = probe("int", number.to_bytes(8, "big", signed=True), 0, 8)
    assert type(made) is int and made == number and hash(made) == hash(number) and repr(made) == repr(number)
    assert (made + 1, made - 1, made * made, -made, abs(made), ~made) == (
        number + 1, number - 1, number * number, -number, abs(number), ~number,
    )  # fmt: skip
    assert (made // 7, made % 7, made >> 3, made << 3, made & 0xFF, made ^ -1) == (
        number // 7, number % 7, number >> 3, number << 3, number & 0xFF, number ^ -1,
    )  # fmt: skip
    assert made.bit_length() == number.bit_length() and float(made) == float(number) and bool(made) == bool(number)
    assert {number: "found"}[made] == "found" and sorted([made, 0]) == sorted([number, 0])
    assert pickle.loads(pickle.dumps(made)) == number and int(str(made)) == number and f"{made:,}" == f"{number:,}"
    assert made.to_bytes(9, "little", signed=True) == number.to_bytes(9, "little", signed=True)
    if not -5 <= number <= 256:
        other = int(str(number))
        assert sys.getrefcount(made) == sys.getrefcount(other)
        assert sys.getsizeof(made) == sys.getsizeof(number)


def test_ints_are_freed() -> None:
    """Many of them leave no memory behind."""
    tracemalloc.start()
    try:
        raw = (123_456).to_bytes(8, "big")
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(scaled(100_000)):
            probe("int", raw, 0, 8)
        assert tracemalloc.get_traced_memory()[0] - before < 20_000
    finally:
        tracemalloc.stop()
