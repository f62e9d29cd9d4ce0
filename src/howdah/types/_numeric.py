"""Numbers: int2, int4, int8, oid, float4, float8 and numeric.

numeric's binary format (src/backend/utils/adt/numeric.c, numeric_send): int16 counts of base-10000 digits, the
weight of the first one, a sign word, the number of decimal digits after the point, then the digits. Both
formats are turned into the same decimal text and Decimal reads that, so trailing zeros survive.

A float4 is read as the double of its shortest decimal, as float4out writes it: 0.1, not 0.10000000149011612, in both
formats. Sent back as float8 it is the number one sees, and as float4 it is the same float4 again.
"""

from __future__ import annotations

from decimal import Decimal
from math import frexp, ldexp

TYPE_CHECKING = False
if TYPE_CHECKING:
    import cython
else:
    from howdah import _cy as cython

from howdah._oids import (
    FLOAT4,
    FLOAT4_ARRAY,
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
    from math import floor

    from howdah.wire.bytes import (
        new_int,
        read_f32,
        read_f64,
        read_i16,
        read_i32,
        read_i64,
        read_text,
        read_u16,
        read_u32,
        write_f32,
        write_f64,
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

    TENS = tuple(float(f"1e{power}") for power in range(23))  # all exact

    def short_decimal(value):
        """The double of the shortest decimal that reads back as the float4 ``value``; 0.0 for one that is not quick.

        ``whole`` has at most nine digits and the powers of ten are exact, so one multiplication or division gives
        what reading the decimal would. It has to lie strictly between the middles to the neighbouring float4s
        (``below`` a power of two they are closer), as in the server's src/common/f2s.c. Six digits are always
        kept by a float4, so a shorter decimal is found with zeros at its end.
        """
        size = abs(value)
        if not 1e-13 <= size < 1e21:
            return 0.0
        fraction, exponent = frexp(size)
        power_of_two = fraction == 0.5
        above = ldexp(0.5, exponent - 24)
        below = above / 2 if power_of_two else above
        ten = floor((exponent - 1) * 0.30103)
        if (size >= TENS[ten + 1]) if ten >= -1 else (size * TENS[-ten - 1] >= 1.0):
            ten += 1
        for digits in range(6, 10):
            shift = digits - 1 - ten
            whole = round(size * TENS[shift] if shift >= 0 else size / TENS[-shift])
            # where the neighbour below is closer, the second nearest decimal may be the one that fits
            for candidate in (whole, whole + 1) if power_of_two else (whole,):
                found = candidate / TENS[shift] if shift >= 0 else candidate * TENS[-shift]
                if -below < found - size < above:
                    return -found if value < 0 else found
        return 0.0


# from here on a number rounds to what is no finite float4, up to here to zero
FLOAT4_END = 2.0**128 - 2.0**103
FLOAT4_ROUNDS_TO_ZERO = 2.0**-150


def float4_value(value):
    """What a float4 is read as. ``value`` is one, widened."""
    found = short_decimal(value)
    if found != 0.0:
        return found
    if value == 0.0 or value != value or value - value != 0.0:
        return value
    return short_decimal_of_any(value)


def short_decimal_of_any(value: float) -> float:
    """The same for very large and very small numbers: through decimal texts, which round correctly."""
    size = abs(value)
    fraction, exponent = frexp(size)
    above = ldexp(0.5, max(exponent - 24, -149))
    below = above / 2 if fraction == 0.5 and exponent > -125 else above
    for digits in range(1, 10):
        text = "%.*e" % (digits - 1, size)
        number, _, power = text.partition("e")
        whole = int(number.replace(".", ""))
        for candidate in (whole, whole + 1):
            found = float(f"{candidate}e{int(power) - digits + 1}")
            if -below < found - size < above:
                return -found if value < 0 else found
    return value


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


def shown_int(number: int) -> str:
    """A number for people; Python refuses to write out the very long ones."""
    return str(number) if number.bit_length() <= 256 else f"a number of {number.bit_length()} bits"


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
        return new_int(read_i32(data, pos))

    def encode(self, out, value) -> None:
        out.put_i32(4)
        out.put_i32(value)


class Int8Codec(_IntCodec):
    """bigint."""

    __slots__ = ()

    def decode_binary(self, data, pos, size):
        if size != 8:
            return self.wrong_size(size)
        return new_int(read_i64(data, pos))

    def encode(self, out, value) -> None:
        out.put_i32(8)
        out.put_i64(value)


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
            raise DataError(f"{shown_int(number)} is no oid: it must be between 0 and 4294967295")
        out.put_i32(4)
        out.put_i32(number if number < 0x80000000 else number - 0x100000000)


class Float4Codec(_Codec):
    """real."""

    __slots__ = ()

    def decode_text(self, data, pos, size):
        text = read_text(data, pos, size)
        try:
            value = float(text)
        except ValueError:
            return self.wrong_text(text)
        if value - value != 0.0:
            return value
        if value >= FLOAT4_END or value <= -FLOAT4_END:
            return self.wrong_text(text, "it is beyond the type's range")
        store = bytearray(4)
        buffer = store
        write_f32(buffer, 0, value)
        return float4_value(read_f32(buffer, 0))

    def decode_binary(self, data, pos, size):
        if size != 4:
            return self.wrong_size(size)
        return float4_value(read_f32(data, pos))

    def encode(self, out, value) -> None:
        number = float(value)
        if number - number == 0.0:
            if number >= FLOAT4_END or number <= -FLOAT4_END:
                raise DataError(f"{number!r} is beyond the range of float4: send it as a float, which is float8")
            if number != 0.0 and -FLOAT4_ROUNDS_TO_ZERO <= number <= FLOAT4_ROUNDS_TO_ZERO:
                raise DataError(f"{number!r} is too small for float4: send it as a float, which is float8")
        out.reserve(8)
        out.put_i32(4)
        buffer = out.store
        write_f32(buffer, out.pos, number)
        out.pos += 4


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


class WrappedIntCodec(_Codec):
    """A number in a wrapper of howdah.types.numeric goes out as the type it names; it has to fit."""

    __slots__ = ("high", "low", "target")

    def __init__(self, target: _Codec, low: int, high: int) -> None:
        self.name = target.name
        self.oid = target.oid
        self.array_oid = target.array_oid
        self.binary_equal = target.binary_equal
        self.atomic = True
        self.encode_format = 1
        self.target = target
        self.low = low
        self.high = high

    def for_value(self, value):
        if value < self.low or value > self.high:
            raise DataError(f"{shown_int(int(value))} is no {self.name}: it must be between {self.low} and {self.high}")
        return self.target


OID_CODEC = OidCodec("oid", OID, OID_ARRAY)
FLOAT4_CODEC = Float4Codec("float4", FLOAT4, FLOAT4_ARRAY)

CODECS = (
    INT2_CODEC,
    INT4_CODEC,
    INT8_CODEC,
    OID_CODEC,
    FLOAT4_CODEC,
    Float8Codec("float8", FLOAT8, FLOAT8_ARRAY),
    NUMERIC_CODEC,
)
