"""types._array: arrays of every element type in both formats, arrays that lie, lists that are none."""

from __future__ import annotations

import datetime as dt
import struct
import uuid
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.kit.properties import examples
from tests.unit.both_formats import BINARY, CODECS, TEXT, encoded

from howdah.errors import DataError, Error, ProgrammingError, ProtocolError
from howdah.types.registry import UTC, registry_for
from howdah.wire.outbuf import OutBuf

registry = registry_for(UTC)


def array_text(value: Any, lower: list[int] | None = None) -> str:
    """As array_out writes it (manual, section 8.15.6); the leaves are their own text."""
    if value is None:
        return "NULL"
    if isinstance(value, str):
        plain = value and value.upper() != "NULL" and not any(char in '{}",\\' or char.isspace() for char in value)
        return value if plain else '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    words = "{" + ",".join(array_text(item) for item in value) + "}"
    if lower is None:
        return words
    lengths = []
    level = value
    while isinstance(level, list) and level:
        lengths.append(len(level))
        level = level[0]
    return "".join(f"[{low}:{low + length - 1}]" for low, length in zip(lower, lengths)) + "=" + words


def array_binary(value: list[Any], oid: int, lower: int = 1, flags: int | None = None) -> bytes:
    """As array_send writes it; the leaves are their own bytes."""
    lengths = []
    level: Any = value
    while isinstance(level, list) and level:
        lengths.append(len(level))
        level = level[0]
    leaves = list(flat(value))
    has_nulls = any(leaf is None for leaf in leaves) if flags is None else flags
    data = struct.pack("!iiI", len(lengths), has_nulls, oid)
    for length in lengths:
        data += struct.pack("!ii", length, lower)
    for leaf in leaves:
        data += b"\xff\xff\xff\xff" if leaf is None else struct.pack("!i", len(leaf)) + leaf
    return data


def flat(value: Any) -> Any:
    for item in value:
        if isinstance(item, list):
            yield from flat(item)
        else:
            yield item


def mapped(value: Any, function: Any) -> Any:
    if isinstance(value, list):
        return [mapped(item, function) for item in value]
    return None if value is None else function(value)


def shaped(leaves: Any, dimensions: int) -> Any:
    """Rectangular lists of ``dimensions`` levels."""

    def build(lengths: list[int]) -> Any:
        if not lengths:
            return st.none() | leaves
        return st.lists(build(lengths[1:]), min_size=lengths[0], max_size=lengths[0])

    return st.lists(st.integers(1, 3), min_size=dimensions, max_size=dimensions).flatmap(build)


any_shape = st.integers(1, 6).flatmap(lambda dimensions: shaped(st.integers(-(2**31), 2**31 - 1), dimensions))
any_text = st.integers(1, 3).flatmap(
    lambda dimensions: shaped(
        st.text() | st.sampled_from(["", "NULL", "null", '"', "\\", "{}", ",", " a ", "a b", "\n"]), dimensions
    )
)


def decoded(name: str, data: str | bytes, form: int) -> Any:
    return CODECS[name].decode_bytes(data.encode() if isinstance(data, str) else data, form)


@examples(300)
@given(any_shape, st.integers(-5, 5))
def test_integers_of_any_shape(value: list[Any], lower: int) -> None:
    raw = mapped(value, lambda number: struct.pack("!i", number))
    assert decoded("int4[]", array_text(mapped(value, str)), TEXT) == value
    assert decoded("int4[]", array_text(mapped(value, str), [lower] * 6), TEXT) == value
    assert decoded("int4[]", array_binary(raw, 23), BINARY) == value
    assert decoded("int4[]", array_binary(raw, 23, lower, flags=1), BINARY) == value
    assert encoded(CODECS["int4[]"], value) == array_binary(raw, 23)


@examples(300)
@given(any_text)
def test_text_of_any_shape(value: list[Any]) -> None:
    raw = mapped(value, str.encode)
    assert decoded("text[]", array_text(value), TEXT) == value
    assert decoded("text[]", array_binary(raw, 25), BINARY) == value
    if not any(leaf is not None and "\0" in leaf for leaf in flat(value)):
        assert encoded(CODECS["text[]"], value) == array_binary(raw, 25)


@pytest.mark.parametrize("name", ["int2", "int4", "int8", "oid"])
@examples(100)
@given(st.lists(st.none() | st.integers(0, 32767), max_size=40))
def test_integers_of_each_width(name: str, value: list[Any]) -> None:
    form = {"int2": "!h", "int4": "!i", "int8": "!q", "oid": "!I"}[name]
    raw = mapped(value, lambda number: struct.pack(form, number))
    assert decoded(name + "[]", array_binary(raw, CODECS[name].oid), BINARY) == value
    assert decoded(name + "[]", array_text(mapped(value, str)), TEXT) == value


ELEMENTS: dict[str, tuple[str, Any]] = {
    "bool": ("{t,f,NULL}", [True, False, None]),
    "float4": ("{0.1,-Infinity,1e-45,NULL}", [0.1, float("-inf"), 1e-45, None]),
    "char": ('{a,"",NULL,"\\\\377"}', ["a", "", None, "\\377"]),
    "time": ("{01:02:03.5,00:00:00,NULL}", [dt.time(1, 2, 3, 500000), dt.time(), None]),
    "timetz": ("{01:02:03-03:30}", [dt.time(1, 2, 3, tzinfo=dt.timezone(dt.timedelta(hours=-3.5)))]),
    "interval": (
        '{"1 day -00:00:01",P1D,"@ 0",NULL}',
        [dt.timedelta(0, 86399), dt.timedelta(1), dt.timedelta(0), None],
    ),
    "float8": ("{1.5,-Infinity,0}", [1.5, float("-inf"), 0.0]),
    "numeric": ("{1.50,NaN,-0.001}", ["1.50", "NaN", "-0.001"]),
    "uuid": ("{00000000-0000-0000-0000-000000000001}", [uuid.UUID(int=1)]),
    "date": ("{2000-01-01,9999-12-31}", [dt.date(2000, 1, 1), dt.date.max]),
    "timestamp": (
        '{"2000-01-01 00:00:00","1999-12-31 23:59:59.5"}',
        [dt.datetime(2000, 1, 1), dt.datetime(1999, 12, 31, 23, 59, 59, 500000)],
    ),
    "timestamptz": ('{"2000-01-01 00:00:00+00"}', [dt.datetime(2000, 1, 1, tzinfo=UTC)]),
    "bytea": ('{"\\\\x00ff","\\\\x",NULL}', [b"\0\xff", b"", None]),
    "varchar": ('{a,"NULL",NULL,""}', ["a", "NULL", None, ""]),
    "json": ('{"{\\"a\\": [1, \\"}\\"]}","null",NULL}', [{"a": [1, "}"]}, None, None]),
    "jsonb": ('{"{\\"a\\": 1}","\\"x\\""}', [{"a": 1}, "x"]),
}


@pytest.mark.parametrize("name", ELEMENTS)
def test_elements_of_every_type(name: str) -> None:
    words, value = ELEMENTS[name]
    found = decoded(name + "[]", words, TEXT)
    if name == "numeric":
        assert [str(item) for item in found] == value
        value = [Decimal(item) for item in value]
    else:
        assert found == value
    if name not in ("json", "jsonb", "char"):
        again = decoded(name + "[]", encoded(CODECS[name + "[]"], value), BINARY)
        assert repr(again) == repr(value)


@pytest.mark.parametrize("words", ["{}", "[1:0]={}", "{{},{}}"])
def test_empty_arrays(words: str) -> None:
    assert list(flat(decoded("int4[]", words, TEXT))) == []
    assert decoded("int4[]", struct.pack("!iiI", 0, 0, 23), BINARY) == []


@pytest.mark.parametrize("value", [[], [[]], [[], []], [[[]]]])
def test_empty_lists_go_out_as_an_array_of_any_type(value: list[Any]) -> None:
    codec: Any = registry.codec_for(value)
    assert (codec.oid, codec.encode_format, encoded(codec, value)) == (0, 0, b"{}")


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ([1, 2], "int2[]"),
        ([1, 70000], "int4[]"),
        ([1, None, 2**40], "int8[]"),
        ([1, 2**70], "numeric[]"),
        ([1, Decimal("1.5")], "numeric[]"),
        (["a", None], "text[]"),
        ([None], "text[]"),
        ([[None], [1]], "int2[]"),
        ([True], "bool[]"),
        ([1.5], "float8[]"),
        ([b"a"], "bytea[]"),
        ([dt.date(2000, 1, 1)], "date[]"),
        ([dt.datetime(2000, 1, 1)], "timestamp[]"),
        ([dt.datetime(2000, 1, 1, tzinfo=UTC)], "timestamptz[]"),
        ([uuid.UUID(int=1)], "uuid[]"),
        ([dt.time(1)], "time[]"),
        ([dt.time(1, tzinfo=UTC), None], "timetz[]"),
        ([dt.timedelta(1)], "interval[]"),
    ],
)
def test_the_element_type_comes_from_all_elements(value: list[Any], name: str) -> None:
    codec: Any = registry.codec_for(value)
    assert codec.name == name
    assert codec.decode_bytes(encoded(codec, value), codec.encode_format) == value


@pytest.mark.parametrize(
    "value",
    [
        [1, "a"],
        [True, 1],
        [1, 1.5],
        [b"a", "a"],
        [dt.date(2000, 1, 1), dt.datetime(2000, 1, 1)],
        [["a"], [1]],
        [dt.time(1), dt.time(1, tzinfo=UTC)],
        [dt.datetime(2000, 1, 1), dt.datetime(2000, 1, 1, tzinfo=UTC)],
    ],
)
def test_lists_that_mix_types(value: list[Any]) -> None:
    with pytest.raises(DataError, match="one element type"):
        registry.codec_for(value)


@pytest.mark.parametrize(
    "value",
    [
        [[1], [2, 3]],
        [[1, 2], [3]],
        [[1], []],
        [1, [2]],
        [[1], 2],
        [[1], None],
        [None, [1]],
        [[[1]], [[1], [2]]],
        [[1], [[2]]],
        [[], [1]],
    ],
)
def test_lists_that_are_not_rectangular(value: list[Any]) -> None:
    with pytest.raises(DataError, match="rectangular"):
        CODECS["int4[]"].encode(OutBuf(), value)


def test_lists_nested_too_deep() -> None:
    CODECS["int4[]"].encode(OutBuf(), [[[[[[1]]]]]])
    with pytest.raises(DataError, match="7 deep"):
        CODECS["int4[]"].encode(OutBuf(), [[[[[[[1]]]]]]])


def test_a_list_that_holds_itself() -> None:
    value: list[Any] = []
    value.append(value)
    with pytest.raises(Error):
        registry.codec_for(value).encode(OutBuf(), value)


@pytest.mark.parametrize("value", [[(1, 2)], [{"a": 1}], [object()], [[(1,)]]])
def test_elements_that_cannot_be_sent(value: list[Any]) -> None:
    with pytest.raises(ProgrammingError):
        registry.codec_for(value)


# -- arrays that lie

GOOD = array_binary([b"\0\0\0\1", None, b"\0\0\0\3"], 23)
NESTED = array_binary([[b"\0\0\0\1", b"\0\0\0\2"], [None, b"\0\0\0\4"]], 23)
TEXTS = array_binary([b"abc", b"", None, b"de"], 25)


@pytest.mark.parametrize(
    ("name", "good"), [("int4[]", GOOD), ("int4[]", NESTED), ("text[]", TEXTS)], ids=["flat", "nested", "text"]
)
def test_every_truncation_and_a_byte_too_much(name: str, good: bytes) -> None:
    for cut in range(len(good)):
        with pytest.raises((ProtocolError, DataError)):
            decoded(name, good[:cut], BINARY)
    with pytest.raises(ProtocolError):
        decoded(name, good + b"\0", BINARY)


@pytest.mark.parametrize("place", range(len(NESTED)))
@pytest.mark.parametrize("byte", [0x00, 0x01, 0x7F, 0x80, 0xFF])
def test_every_byte_changed(place: int, byte: int) -> None:
    for good in (GOOD, NESTED):
        if place < len(good):
            bad = good[:place] + bytes([byte]) + good[place + 1 :]
            try:
                assert isinstance(decoded("int4[]", bad, BINARY), list)
            except (ProtocolError, DataError):
                pass


def header(*numbers: int) -> bytes:
    return b"".join(struct.pack("!I", number & 0xFFFFFFFF) for number in numbers)


LIES = {
    "no header": b"",
    "seven dimensions": header(7, 0, 23, *[1, 1] * 7, 4, 1),
    "negative dimensions": header(-1, 0, 23),
    "2**31 - 1 dimensions": header(2**31 - 1, 0, 23),
    "dimensions beyond the data": header(6, 0, 23, 1, 1),
    "a negative length": header(1, 0, 23, -1, 1, 4, 7),
    "a length of 2**31 - 1": header(1, 0, 23, 2**31 - 1, 1, 4, 7),
    "lengths whose product overflows": header(6, 0, 23, *[2**30, 1] * 6, 4, 7),
    "lengths whose product is zero": header(2, 0, 23, 0, 1, 2**30, 1, 4, 7),
    "an element beyond its array": header(1, 0, 23, 1, 1, 5, 7),
    "an element of -2 bytes": header(1, 0, 23, 1, 1, -2, 7),
    "an element of 2**31 - 1 bytes": header(1, 0, 23, 1, 1, 2**31 - 1, 7),
    "an element of 3 bytes": header(1, 0, 23, 1, 1, 3) + b"abc",
    "one element too few": header(1, 0, 23, 2, 1, 4, 7),
    "one element too many": header(1, 0, 23, 1, 1, 4, 7, 4, 8),
    "another element type": header(1, 0, 25, 1, 1, 4, 7),
    "empty with a rest": header(0, 0, 23, 1, 1),
}


@pytest.mark.parametrize("data", LIES.values(), ids=LIES)
def test_arrays_that_lie(data: bytes) -> None:
    with pytest.raises((ProtocolError, DataError)):
        decoded("int4[]", data, BINARY)


@pytest.mark.parametrize(
    "words",
    [
        "",
        "x",
        "{",
        "}",
        "{1",
        "1}",
        "{1}}",
        "{{1}",
        "{1}{2}",
        "{1}x",
        '{"1}',
        '{"1\\',
        "{1,}",
        "{,1}",
        "{1,,2}",
        "[1:2",
        "[1:2]",
        "{1;2}",
        "{" * 7 + "1" + "}" * 7,
        "{a}",
        "{1 2}",
        '{"1"2}',
        "x{1}",
        "{null }",
    ],
)
def test_text_that_is_no_array(words: str) -> None:
    with pytest.raises(DataError):
        decoded("int4[]", words, TEXT)


@examples(500)
@given(st.text(alphabet='{},"\\1aN UL[:]=', max_size=20))
def test_noise_is_a_list_or_an_error(words: str) -> None:
    try:
        assert isinstance(decoded("text[]", words, TEXT), list)
    except DataError:
        pass


def test_an_element_that_is_none_is_named() -> None:
    with pytest.raises(DataError, match="'x' is no int4"):
        decoded("int4[]", "{1,x}", TEXT)
