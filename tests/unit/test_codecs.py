"""types: both formats of every type give the same Python value, against oracles that share nothing with the codecs."""

from __future__ import annotations

import datetime
import decimal
import enum
import json
import math
import mmap
import pickle
import struct
import uuid
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.kit.properties import examples
from tests.unit.both_formats import BINARY, CODECS, TEXT, binary, both, encoded, round_trip, text

from howdah.errors import DataError
from howdah.types.codec import _Codec
from howdah.types.json import Json, Jsonb
from howdah.types.numeric import Float4, Float8, Int2, Int4, Int8, IntNumeric, Oid
from howdah.types.registry import UTC, registry_for
from howdah.wire.outbuf import OutBuf

# -- integers

INTEGERS = {
    "int2": ("!h", -(2**15), 2**15 - 1),
    "int4": ("!i", -(2**31), 2**31 - 1),
    "int8": ("!q", -(2**63), 2**63 - 1),
}
INTEGERS["oid"] = ("!I", 0, 2**32 - 1)


@pytest.mark.parametrize("name", INTEGERS)
def test_integers(name: str) -> None:
    form, low, high = INTEGERS[name]
    numbers = (
        {low, low + 1, -1, 0, 1, 255, 256, high - 1, high}
        | {2**k - 1 for k in range(64)}
        | {-(2**k) for k in range(64)}
    )
    for number in numbers:
        if low <= number <= high:
            both(name, str(number), struct.pack(form, number), number)
            assert encoded(CODECS[name], number) == struct.pack(form, number)


@examples(500)
@given(st.integers(-(2**63), 2**63 - 1))
def test_any_integer(number: int) -> None:
    for name, (form, low, high) in INTEGERS.items():
        part = (number - low) % (high - low + 1) + low
        both(name, str(part), struct.pack(form, part), part)


@pytest.mark.parametrize(
    ("number", "name"),
    [
        (0, "int2"),
        (32767, "int2"),
        (-32768, "int2"),
        (32768, "int4"),
        (-32769, "int4"),
        (2**31 - 1, "int4"),
        (-(2**31), "int4"),
        (2**31, "int8"),
        (-(2**31) - 1, "int8"),
        (2**63 - 1, "int8"),
        (-(2**63), "int8"),
        (2**63, "numeric"),
        (-(2**63) - 1, "numeric"),
    ],
)
def test_integers_go_out_as_the_smallest_type(number: int, name: str) -> None:
    codec: Any = registry_for(UTC).codec_for(number)
    assert codec.name == name
    assert round_trip(number) == number


@pytest.mark.parametrize("number", [-1, 2**32, 2**64])
def test_an_oid_out_of_range(number: int) -> None:
    with pytest.raises(DataError, match="oid"):
        CODECS["oid"].encode(OutBuf(), number)


# -- bool, float8, uuid, text, bytea


def test_bool() -> None:
    both("bool", "t", b"\1", True)
    both("bool", "f", b"\0", False)
    assert (encoded(CODECS["bool"], True), encoded(CODECS["bool"], False)) == (b"\1", b"\0")
    assert round_trip(True) is True


@examples(500)
@given(st.floats(allow_nan=False))
def test_float8(number: float) -> None:
    words = {math.inf: "Infinity", -math.inf: "-Infinity"}.get(number, repr(number))
    both("float8", words, struct.pack("!d", number), number)
    assert encoded(CODECS["float8"], number) == struct.pack("!d", number)


def test_float8_at_its_edges() -> None:
    for number in (5e-324, 2.2250738585072014e-308, 1.7976931348623157e308, -0.0, 0.1 + 0.2):
        both("float8", repr(number), struct.pack("!d", number), number)
    assert math.isnan(text("float8", "NaN")) and math.isnan(binary("float8", struct.pack("!d", math.nan)))
    assert math.isnan(round_trip(math.nan))


def float4_of(bits: int) -> float:
    return float(struct.unpack("!f", struct.pack("!I", bits))[0])


def shortest(value: float) -> str:
    """The shortest decimal that reads back as a float4: another way to it than the codec's, by trying and rounding.

    Read back it has to lie between the middles to the neighbours, which no float4 shares (src/common/f2s.c).
    """
    bits = struct.unpack("!I", struct.pack("!f", abs(value)))[0]
    below = Fraction(float4_of(bits - 1))
    above = Fraction(float4_of(bits + 1)) if bits < 0x7F7FFFFF else Fraction(2) ** 128
    exact = Fraction(abs(value))
    power = math.floor(math.log10(abs(value)))
    for digits in range(1, 12):
        step = Fraction(10) ** (power - digits + 1)
        for whole in (round(exact / step), math.floor(exact / step), math.ceil(exact / step)):
            if (below + exact) / 2 < whole * step < (exact + above) / 2:
                return f"{'-' if value < 0 else ''}{whole}e{power - digits + 1}"
    raise AssertionError(value)


float4_bits = (
    st.integers(1, 0x7F7FFFFF)
    | st.integers(1, 254).map(lambda exponent: exponent << 23)  # powers of two: the gap below is half the one above
    | st.floats(width=32, min_value=2.0**-20, max_value=2.0**30).map(
        lambda f: struct.unpack("!I", struct.pack("!f", f))[0]
    )
    | st.integers(1, 1000)  # the smallest of all
)


@examples(1500)
@given(float4_bits, st.booleans())
def test_float4_is_its_shortest_decimal(bits: int, negative: bool) -> None:
    value = -float4_of(bits) if negative else float4_of(bits)
    raw = struct.pack("!f", value)
    both("float4", shortest(value), raw, float(shortest(value)))
    both("float4", f"{value:.9g}", raw, float(shortest(value)))  # as servers before 12 write it
    assert encoded(CODECS["float4"], float(shortest(value))) == raw


def test_float4_at_its_edges() -> None:
    for words in (
        "0.1",
        "-0.3",
        "3.4028235e+38",
        "1.1754944e-38",
        "1e-45",
        "16777216",
        "33554448",
        "0.001",
        "1e+21",
        "1e-13",
    ):
        both("float4", words, struct.pack("!f", float(words)), float(words))
    for words, value in (("0", 0.0), ("-0", -0.0), ("Infinity", math.inf), ("-Infinity", -math.inf)):
        both("float4", words, struct.pack("!f", value), value)
        assert encoded(CODECS["float4"], value) == struct.pack("!f", value)
    assert math.isnan(text("float4", "NaN")) and math.isnan(binary("float4", struct.pack("!f", math.nan)))
    assert math.isnan(struct.unpack("!f", encoded(CODECS["float4"], math.nan))[0])


@pytest.mark.parametrize("value", [1e39, -1e300, 3.4028235677973366e38, 1e-46, -1e-300, 2.0**-150])
def test_floats_that_are_no_float4(value: float) -> None:
    with pytest.raises(DataError, match="float4"):
        CODECS["float4"].encode(OutBuf(), Float4(value))


@pytest.mark.parametrize("words", ["1e39", "-3.4028236e38"])
def test_text_beyond_float4(words: str) -> None:
    with pytest.raises(DataError, match="beyond"):
        text("float4", words)


def test_text_of_a_subclass_is_the_text_itself() -> None:
    value = type("Odd", (str,), {"encode": lambda self, *_: b"another"})("text")
    assert encoded(registry_for(UTC).codec_for(value), value) == b"text"


def test_char() -> None:
    for byte in range(256):
        words = "" if byte == 0 else chr(byte) if byte < 128 else f"\\{byte:03o}"
        both("char", words, bytes([byte]), words)


WRAPPERS = [
    (Int2(-32768), "int2"),
    (Int4(1), "int4"),
    (Int8(1), "int8"),
    (IntNumeric(1), "numeric"),
    (Oid(2**32 - 1), "oid"),
    (Float4(0.5), "float4"),
    (Float8(0.5), "float8"),
]


@pytest.mark.parametrize(("value", "name"), WRAPPERS)
def test_wrapped_numbers_go_out_as_they_say(value: Any, name: str) -> None:
    codec: Any = registry_for(UTC).codec_for(value)
    assert codec.name == name
    assert round_trip(value) == value
    array: Any = registry_for(UTC).codec_for([value, None])
    assert array.name == name + "[]" and round_trip([value, None]) == [value, None]
    assert repr(value).startswith(type(value).__name__ + "(") and str(value) == str(type(value).__mro__[2](value))
    assert pickle.loads(pickle.dumps(value)) == value


@pytest.mark.parametrize(
    "value", [Int2(32768), Int2(-32769), Int4(2**31), Int8(2**63), Oid(-1), Oid(2**32), Int8(10**4000)]
)
def test_wrapped_numbers_that_do_not_fit(value: Any) -> None:
    for item in (value, [value]):
        with pytest.raises(DataError, match="must be between"):
            registry_for(UTC).codec_for(item)


class Small(enum.IntEnum):
    ONE = 1


@pytest.mark.parametrize(
    ("value", "name", "plain"),
    [
        (Small.ONE, "int2", 1),
        (type("MyInt", (int,), {})(2**40), "int8", 2**40),
        (type("MyStr", (str,), {})("a"), "unknown", "a"),
        (type("MyBytes", (bytes,), {})(b"a"), "bytea", b"a"),
        (type("MyFloat", (float,), {})(1.5), "float8", 1.5),
        (type("MyDate", (datetime.date,), {})(2000, 1, 1), "date", datetime.date(2000, 1, 1)),
        (type("Stamp", (datetime.datetime,), {})(2000, 1, 1), "timestamp", datetime.datetime(2000, 1, 1)),
        (type("MyTime", (datetime.time,), {})(1, 2), "time", datetime.time(1, 2)),
        (type("Span", (datetime.timedelta,), {})(1), "interval", datetime.timedelta(1)),
        (type("MyList", (list,), {})([1]), "int2[]", [1]),
    ],
)
def test_subclasses_go_out_as_their_base(value: Any, name: str, plain: Any) -> None:
    codec: Any = registry_for(UTC).codec_for(value)
    assert codec.name == name
    assert round_trip(value) == plain


@examples(200)
@given(st.uuids() | st.sampled_from([uuid.UUID(int=0), uuid.UUID(int=2**128 - 1)]))
def test_uuid(value: uuid.UUID) -> None:
    both("uuid", str(value), value.bytes, value)
    found = binary("uuid", value.bytes)
    assert (hash(found), str(found), found.is_safe) == (hash(value), str(value), uuid.SafeUUID.unknown)
    assert pickle.loads(pickle.dumps(found)) == value
    assert encoded(CODECS["uuid"], value) == value.bytes


@pytest.mark.parametrize("name", ["text", "varchar", "bpchar", "name"])
@examples(200)
@given(value=st.text())
def test_text(name: str, value: str) -> None:
    both(name, value, value.encode(), value)


@examples(200)
@given(st.text(alphabet=st.characters(exclude_characters="\0", exclude_categories=("Cs",))))
def test_text_goes_out_as_utf8(value: str) -> None:
    assert encoded(registry_for(UTC).codec_for(value), value) == value.encode()


def escaped(data: bytes) -> bytes:
    """bytea_output = escape (manual, section 8.4.2)."""
    plain = {92: b"\\\\"}
    return b"".join(plain.get(byte) or (bytes([byte]) if 32 <= byte < 127 else b"\\%03o" % byte) for byte in data)


@examples(300)
@given(st.binary(max_size=80) | st.lists(st.sampled_from(b"\\x0123456789'\0\xff"), max_size=30).map(bytes))
def test_bytea(data: bytes) -> None:
    both("bytea", b"\\x" + data.hex().encode(), data, data)
    both("bytea", escaped(data), data, data)
    assert encoded(CODECS["bytea"], data) == data


@pytest.mark.parametrize(
    "value",
    [b"abc", bytearray(b"abc"), memoryview(b"abc"), memoryview(b"a.b.c.")[::2], b"", bytearray(), memoryview(b"")],
)
def test_bytea_takes_any_buffer(value: Any) -> None:
    assert encoded(registry_for(UTC).codec_for(value), value) == bytes(value)


def test_a_bytea_of_two_gigabytes_is_refused_without_being_read() -> None:
    never_touched = mmap.mmap(-1, 3 << 30)
    with pytest.raises(DataError):
        CODECS["bytea"].encode(OutBuf(), memoryview(never_touched))


# -- numeric


def base_10000(number: int, count: int) -> list[int]:
    """``count`` digits of a number, split in halves: the plain way is quadratic."""
    if count == 1:
        return [number]
    high, low = divmod(number, 10_000 ** (count // 2))
    return base_10000(high, count - count // 2) + base_10000(low, count // 2)


def numeric_bytes(number: Decimal) -> bytes:
    """A binary numeric, from the number's digits as an integer: no text, no tuple, as the codec has it."""
    if number.is_nan():
        return struct.pack("!4H", 0, 0, 0xC000, 0)
    if number.is_infinite():
        return struct.pack("!4H", 0, 0, 0xF000 if number < 0 else 0xD000, 0)
    exponent = number.as_tuple().exponent
    assert isinstance(exponent, int)
    scale = max(-exponent, 0)
    with decimal.localcontext(decimal.Context(prec=200_000, Emax=decimal.MAX_EMAX, Emin=decimal.MIN_EMIN)):
        shift = (scale + 3) // 4
        whole = int(abs(number).scaleb(4 * shift))
    groups = base_10000(whole, max(len(number.as_tuple().digits) + max(exponent, 0), 1) // 4 + 2)
    while groups and groups[0] == 0:
        groups.pop(0)
    weight = len(groups) - 1 - shift
    while groups and groups[-1] == 0:
        groups.pop()
    sign = 0x4000 if number < 0 else 0
    return struct.pack(f"!HhHH{len(groups)}H", len(groups), weight if groups else 0, sign, scale, *groups)


def as_numeric(number: Decimal) -> Decimal:
    """What PostgreSQL makes of it: no positive exponent, no negative zero."""
    if number.is_zero():
        number = abs(number)
    exponent = number.as_tuple().exponent
    return Decimal(format(number, "f")) if isinstance(exponent, int) and exponent > 0 else number


decimals = st.builds(
    lambda sign, digits, exponent: Decimal((sign, digits, exponent)),
    st.integers(0, 1),
    st.lists(st.integers(0, 9) | st.just(0), min_size=1, max_size=40).map(tuple),
    st.integers(-45, 12),
)


@examples(1000)
@given(decimals)
def test_numeric(number: Decimal) -> None:
    value = as_numeric(number)
    both("numeric", format(value, "f"), numeric_bytes(value), value)
    assert encoded(CODECS["numeric"], value) == numeric_bytes(value)
    assert round_trip(number) == number


NUMERICS = [
    "0",
    "0.0",
    "0.0000",
    "0.00000",
    "1",
    "-1",
    "10",
    "9999",
    "10000",
    "10001",
    "99999999",
    "100000000",
    "0.1",
    "0.0001",
]
NUMERICS += [
    "0.00001",
    "1.0000",
    "1.00000",
    "12345.67890",
    "-0.00010000",
    "100000000.00000001",
    "1e2",
    "0.9999",
    "9999.9999",
]
NUMERICS += [
    "1" + "0" * 131071,
    "9" * 131072,
    "-" + "9" * 131072 + "." + "9" * 16383,
    "0." + "0" * 16382 + "1",
    "0." + "0" * 16383,
]
NUMERICS += ["1." + "0" * 16383, "1e131071", "-123e50"]


@pytest.mark.parametrize("words", NUMERICS, ids=lambda words: words[:20])
def test_numeric_at_its_edges(words: str) -> None:
    value = as_numeric(Decimal(words))
    both("numeric", format(value, "f"), numeric_bytes(value), value)
    assert encoded(CODECS["numeric"], Decimal(words)) == numeric_bytes(value)


def test_special_numerics() -> None:
    for words, value in (("Infinity", Decimal("Infinity")), ("-Infinity", Decimal("-Infinity"))):
        both("numeric", words, numeric_bytes(value), value)
        assert encoded(CODECS["numeric"], value) == numeric_bytes(value)
    for nan in (text("numeric", "NaN"), binary("numeric", numeric_bytes(Decimal("NaN")))):
        assert nan.is_nan() and not nan.is_signed()
    for nan in (Decimal("NaN"), Decimal("-NaN"), Decimal("sNaN"), Decimal("NaN123")):
        assert encoded(CODECS["numeric"], nan) == numeric_bytes(Decimal("NaN"))


def test_numerics_do_not_depend_on_the_decimal_context() -> None:
    value = Decimal("123456789.987654321")
    with decimal.localcontext(decimal.Context(prec=3, traps=[decimal.Inexact, decimal.Rounded])):
        both("numeric", str(value), numeric_bytes(value), value)
        assert encoded(CODECS["numeric"], value) == numeric_bytes(value)


NUMERIC_LIES = {
    "cut short": b"\0\1\0\0\0\0\0",
    "no header": b"",
    "a count too large": struct.pack("!HhHHH", 2, 0, 0, 0, 1),
    "a count too small": struct.pack("!HhHHHH", 1, 0, 0, 0, 1, 2),
    "the largest count": struct.pack("!HhHHH", 0xFFFF, 0, 0, 0, 1),
    "a digit of 10000": struct.pack("!HhHHH", 1, 0, 0, 0, 10000),
    "a digit of 65535": struct.pack("!HhHHH", 1, 0, 0, 0, 65535),
    "an unknown sign": struct.pack("!HhHHH", 1, 0, 0x8000, 0, 1),
    "a scale no server has": struct.pack("!HhHHH", 1, 0, 0, 0x4000, 1),
    "the largest scale": struct.pack("!HhHHH", 1, 0, 0, 0xFFFF, 1),
}


@pytest.mark.parametrize("raw", NUMERIC_LIES.values(), ids=NUMERIC_LIES)
def test_numerics_that_lie(raw: bytes) -> None:
    with pytest.raises(DataError):
        binary("numeric", raw)


@examples(500)
@given(st.lists(st.integers(0, 0xFFFF) | st.integers(0, 3), min_size=4, max_size=12))
def test_any_numeric_words_are_a_number_or_refused(words: list[int]) -> None:
    words[0] = len(words) - 4
    try:
        assert isinstance(binary("numeric", struct.pack(f"!{len(words)}H", *words)), Decimal)
    except DataError:
        pass


# -- json

documents = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@examples(300)
@given(documents, st.booleans(), st.sampled_from(["", " ", "\n\t \r"]))
def test_json(value: Any, ascii_only: bool, space: str) -> None:
    value = json.loads(json.dumps(value))
    words = space + json.dumps(value, ensure_ascii=ascii_only and True) + space
    raw = words.encode("utf-8", "surrogatepass") if ascii_only else json.dumps(value).encode()
    for name, data in (("json", raw), ("jsonb", b"\1" + raw)):
        assert text(name, raw) == value
        assert binary(name, data) == value
        assert type(binary(name, data)) is type(value)


@examples(200)
@given(documents)
def test_json_goes_out_in_its_wrapper(value: Any) -> None:
    words = json.dumps(value).encode()
    assert encoded(CODECS["json"], Json(value)) == words
    assert encoded(CODECS["jsonb"], Jsonb(value)) == b"\1" + words
    assert encoded(registry_for(UTC).codec_for(Jsonb(value)), Jsonb(value)) == b"\1" + words


def test_json_with_other_dumps() -> None:
    assert encoded(CODECS["json"], Json(1, dumps=lambda value: "[é]")) == "[é]".encode()
    assert encoded(CODECS["jsonb"], Jsonb(1, dumps=lambda value: b"{}")) == b"\1{}"
    assert repr(Jsonb({"a": 1})) == "Jsonb({'a': 1})"
    assert len(repr(Json("x" * 1000))) < 60


@pytest.mark.parametrize(
    "words", ["", " ", "{", "[1,]", "{'a': 1}", "1 2", "nul", "tru", '"', "\x00", "[1] x", "\ufeff1"]
)
@pytest.mark.parametrize("name", ["json", "jsonb"])
def test_what_is_no_json(name: str, words: str) -> None:
    for found in (
        lambda: text(name, words),
        lambda: binary(name, (b"\1" if name == "jsonb" else b"") + words.encode()),
    ):
        with pytest.raises(ValueError):  # column_error turns it into the DataError of its column
            found()


@pytest.mark.parametrize("raw", [b"\0{}", b"\2{}", b"{}", b"\xff"])
def test_jsonb_of_another_version(raw: bytes) -> None:
    with pytest.raises(DataError, match="version"):
        binary("jsonb", raw)


# -- what is none of a type

WRONG_TEXT = {
    "int2": ["", "x", "1.5", "1e3", "0x10"],
    "oid": ["", "x"],
    "bool": ["", "true", "T", "1", "tt"],
    "float4": ["", "x", "1,5"],
    "float8": ["", "x", "1,5"],
    "numeric": ["", "x", "1,5", "--1"],
    "uuid": ["", "x", "00000000-0000-0000-0000-00000000000"],
    "bytea": ["\\x0", "\\xzz", "\\999"],
    "date": ["", "x", "2000-13-01", "2000-02-30", "2000-1-1", "2000-01-01x"],
    "timestamp": ["", "x", "2000-01-01", "2000-01-01 24:00:01", "2000-01-01T00:00:00"],
    "timestamptz": [
        "",
        "2000-01-01 00:00:00",
        "2000-01-01 00:00:00+",
        "2000-01-01 00:00:00+5",
        "2000-01-01 00:00:00*05",
    ],
}
SIZES = {"int2": 2, "int4": 4, "int8": 8, "oid": 4, "bool": 1, "float4": 4, "float8": 8, "char": 1, "uuid": 16}
SIZES |= {"date": 4, "timestamp": 8, "timestamptz": 8, "time": 8, "timetz": 12, "interval": 16}


@pytest.mark.parametrize(("name", "words"), [(name, words) for name, all in WRONG_TEXT.items() for words in all])
def test_text_that_is_none(name: str, words: str) -> None:
    with pytest.raises(DataError, match=name):
        text(name, words)


@pytest.mark.parametrize("name", SIZES)
def test_binary_values_of_the_wrong_size(name: str) -> None:
    for size in {0, 1, SIZES[name] - 1, SIZES[name] + 1, 2 * SIZES[name], 100} - {SIZES[name]}:
        with pytest.raises(DataError, match=f"{size} bytes are no binary {name}"):
            binary(name, bytes(size))


def test_long_values_are_cut_in_errors() -> None:
    with pytest.raises(DataError) as caught:
        text("int4", "x" * 10_000)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("codec", CODECS.values(), ids=CODECS)
@examples(60)
@given(st.binary(max_size=40))
def test_noise_is_a_value_or_an_error(codec: Any, data: bytes) -> None:
    for form in (TEXT, BINARY):
        try:
            codec.decode_bytes(data, form)
        except (DataError, ValueError):  # a ValueError (UTF-8, JSON) becomes the DataError of its column
            pass
        except Exception as exc:
            assert type(exc).__name__ == "ProtocolError", exc


def test_codecs_cannot_be_pickled() -> None:
    for codec in CODECS.values():
        with pytest.raises(TypeError):
            pickle.dumps(codec)


def test_a_type_that_cannot_be_sent_says_so() -> None:
    codec = _Codec("odd", 1, 0)
    with pytest.raises(DataError, match="as odd"):
        codec.encode(OutBuf(), 1)
    assert repr(codec) == "<codec odd>"
    assert codec.for_value(1) is codec
