"""Numbers: int2, int4, int8, oid, float8 and numeric.

numeric's binary format (src/backend/utils/adt/numeric.c, numeric_send): int16 counts of base-10000 digits, the
weight of the first one, a sign word, the number of decimal digits after the point, then the digits. Both
formats are turned into the same decimal text and Decimal reads that, so trailing zeros survive.
"""

from __future__ import annotations

from decimal import Decimal

TYPE_CHECKING = False
if TYPE_CHECKING:
    import cython
else:
    from howdah import _cy as cython

from howdah._oids import (
    FLOAT8,
    FLOAT8_ARRAY,
    INT2,
    INT2_ARRAY,
    INT4,
    INT4_ARRAY,
    INT8,
    INT8_ARRAY,
    NUMERIC,
    NUMERIC_ARRAY,
    OID,
    OID_ARRAY,
)
from howdah.errors import DataError
from howdah.types.codec import _Codec

if not cython.compiled:
    from howdah.wire.bytes import (
        read_f64,
        read_i16,
        read_i32,
        read_i64,
        read_text,
        read_u16,
        read_u32,
        write_f64,
        write_i64,
    )

    def int_width(value):
        """The bytes of the smallest integer type that holds ``value``; 0 when none does."""
        if -(2**15) <= value < 2**15:
            return 2
        if -(2**31) <= value < 2**31:
            return 4
        return 8 if -(2**63) <= value < 2**63 else 0

    def numeric_text(data, pos, size):
        """The decimal text of a binary numeric whose counts are proven, as numeric_out writes it."""
        count = read_u16(data, pos)
        weight = read_i16(data, pos + 2)
        sign = read_u16(data, pos + 4)
        scale = read_u16(data, pos + 6)
        digits = [read_u16(data, pos + 8 + 2 * index) for index in range(count)]
        whole = "".join("%04d" % (digits[i] if i < count else 0) for i in range(weight + 1)).lstrip("0") or "0"
        text = "-" + whole if sign == NEGATIVE else whole
        if scale:
            groups = (scale + 3) // 4
            first = weight + 1
            fraction = "".join("%04d" % (digits[i] if 0 <= i < count else 0) for i in range(first, first + groups))
            text += "." + fraction[:scale]
        return text


NEGATIVE = 0x4000
NUMERIC_NAN = 0xC000
NUMERIC_PINF = 0xD000
NUMERIC_NINF = 0xF000
# the manual's section 8.1.2: digits after and before the decimal point
MAX_SCALE = 0x3FFF
MAX_WHOLE_DIGITS = 131072


def numeric_words(sign: int, digits: tuple, exponent: int) -> list:
    """The int16 words of a finite decimal. Raises DataError beyond numeric's reach."""
    if exponent > MAX_WHOLE_DIGITS or -exponent > MAX_SCALE or len(digits) + exponent > MAX_WHOLE_DIGITS:
        raise DataError(
            "the number is beyond numeric's reach: at most 131072 digits before the decimal point and 16383 after it"
        )
    text = "".join(map(str, digits)) + "0" * max(exponent, 0)
    scale = max(-exponent, 0)
    whole = len(text) - scale  # digits before the point; negative when zeros stand behind it
    if whole < 0:
        text = "0" * -whole + text
        whole = 0
    text = "0" * (-whole % 4) + text + "0" * (-scale % 4)
    groups = [int(text[i : i + 4]) for i in range(0, len(text), 4)]
    weight = (whole + 3) // 4 - 1
    first = 0
    while first < len(groups) and groups[first] == 0:
        first += 1
        weight -= 1
    last = len(groups)
    while last > first and groups[last - 1] == 0:
        last -= 1
    if first == last:
        weight = 0
    return [last - first, weight, NEGATIVE if sign else 0, scale, *groups[first:last]]


class _IntCodec(_Codec):
    """What the integer types share: their text."""

    __slots__ = ()

    def decode_text(self, data, pos, size):
        text = read_text(data, pos, size)
        try:
            return int(text)
        except ValueError:
            return self.wrong_text(text)


class Int2Codec(_IntCodec):
    """smallint."""

    __slots__ = ()

    def decode_binary(self, data, pos, size):
        if size != 2:
            return self.wrong_size(size)
        return read_i16(data, pos)

    def encode(self, out, value) -> None:
        out.put_i32(2)
        out.put_i16(value)


class Int4Codec(_IntCodec):
    """integer."""

    __slots__ = ()

    def decode_binary(self, data, pos, size):
        if size != 4:
            return self.wrong_size(size)
        return read_i32(data, pos)

    def encode(self, out, value) -> None:
        out.put_i32(4)
        out.put_i32(value)


class Int8Codec(_IntCodec):
    """bigint."""

    __slots__ = ()

    def decode_binary(self, data, pos, size):
        if size != 8:
            return self.wrong_size(size)
        return read_i64(data, pos)

    def encode(self, out, value) -> None:
        out.reserve(12)
        out.put_i32(8)
        buffer = out.store
        write_i64(buffer, out.pos, value)
        out.pos += 8


class OidCodec(_IntCodec):
    """oid: unsigned, four bytes."""

    __slots__ = ()

    def decode_binary(self, data, pos, size):
        if size != 4:
            return self.wrong_size(size)
        return read_u32(data, pos)

    def encode(self, out, value) -> None:
        number = int(value)
        if not 0 <= number <= 0xFFFFFFFF:
            raise DataError(f"{number} is no oid: it must be between 0 and 4294967295")
        out.put_i32(4)
        out.put_i32(number if number < 0x80000000 else number - 0x100000000)


class Float8Codec(_Codec):
    """double precision."""

    __slots__ = ()

    def decode_text(self, data, pos, size):
        text = read_text(data, pos, size)
        try:
            return float(text)
        except ValueError:
            return self.wrong_text(text)

    def decode_binary(self, data, pos, size):
        if size != 8:
            return self.wrong_size(size)
        return read_f64(data, pos)

    def encode(self, out, value) -> None:
        out.reserve(12)
        out.put_i32(8)
        buffer = out.store
        write_f64(buffer, out.pos, value)
        out.pos += 8


class NumericCodec(_Codec):
    """numeric to Decimal, scale kept; NaN and the infinities are Decimal's own."""

    __slots__ = ()

    def decode_text(self, data, pos, size):
        text = read_text(data, pos, size)
        try:
            return Decimal(text)
        except ArithmeticError:
            return self.wrong_text(text)

    def decode_binary(self, data, pos, size):
        if size < 8:
            return self.wrong_size(size)
        if size != 8 + 2 * read_u16(data, pos):
            return self.wrong_size(size)
        sign = read_u16(data, pos + 4)
        if sign == 0 or sign == NEGATIVE:
            self.check_digits(data, pos, size)
            return Decimal(numeric_text(data, pos, size))
        if sign == NUMERIC_NAN:
            return Decimal("NaN")
        if sign == NUMERIC_PINF:
            return Decimal("Infinity")
        if sign == NUMERIC_NINF:
            return Decimal("-Infinity")
        raise DataError(f"the sign word {sign:#06x} is none of a numeric's")

    def check_digits(self, data, pos, size):
        """A digit of 10000 or more, or a scale no server has, would print a wrong number."""
        if read_u16(data, pos + 6) > MAX_SCALE:
            raise DataError(f"a numeric with {read_u16(data, pos + 6)} digits after the point is none of PostgreSQL's")
        at = pos + 8
        while at < pos + size:
            if read_u16(data, at) > 9999:
                raise DataError(f"{read_u16(data, at)} is no base-10000 digit of a numeric")
            at += 2
        return None

    def encode(self, out, value) -> None:
        if type(value) is not Decimal:
            value = Decimal(value)
        sign, digits, exponent = value.as_tuple()
        if isinstance(exponent, int):
            self.encode_words(out, numeric_words(sign, digits, exponent))
        else:  # 'F' infinite, 'n' and 'N' not a number
            special = NUMERIC_NAN if exponent != "F" else NUMERIC_NINF if sign else NUMERIC_PINF
            self.encode_words(out, [0, 0, special, 0])

    def encode_words(self, out, words) -> None:
        out.put_i32(2 * len(words))
        for word in words:
            out.put_i16(word if word < 0x8000 else word - 0x10000)


INT2_CODEC = Int2Codec("int2", INT2, INT2_ARRAY)
INT4_CODEC = Int4Codec("int4", INT4, INT4_ARRAY)
INT8_CODEC = Int8Codec("int8", INT8, INT8_ARRAY)
NUMERIC_CODEC = NumericCodec("numeric", NUMERIC, NUMERIC_ARRAY)


class PythonIntCodec(_Codec):
    """A Python int goes out as the smallest of int2, int4, int8, numeric that holds it."""

    __slots__ = ()

    def for_value(self, value):
        width = int_width(value)
        if width == 2:
            return INT2_CODEC
        if width == 4:
            return INT4_CODEC
        if width == 8:
            return INT8_CODEC
        return NUMERIC_CODEC


PYTHON_INT = PythonIntCodec("int", INT2, INT2_ARRAY)

CODECS = (
    INT2_CODEC,
    INT4_CODEC,
    INT8_CODEC,
    OidCodec("oid", OID, OID_ARRAY),
    Float8Codec("float8", FLOAT8, FLOAT8_ARRAY),
    NUMERIC_CODEC,
)
