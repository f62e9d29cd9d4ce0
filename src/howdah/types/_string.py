"""text and its relatives: the same bytes in both formats, UTF-8. And "char", one byte of the system catalogues."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    import cython
else:
    from howdah import _cy as cython

from howdah._oids import (
    BPCHAR,
    BPCHAR_ARRAY,
    CHAR,
    CHAR_ARRAY,
    NAME,
    NAME_ARRAY,
    TEXT,
    TEXT_ARRAY,
    VARCHAR,
    VARCHAR_ARRAY,
)
from howdah.errors import DataError
from howdah.types.codec import _Codec

if not cython.compiled:
    from howdah.wire.bytes import read_text


class TextCodec(_Codec):
    """str, sent in text format; OID 0 lets the server choose the type, as psycopg 3 does."""

    __slots__ = ()

    def decode_text(self, data, pos, size):
        return read_text(data, pos, size)

    def decode_binary(self, data, pos, size):
        return read_text(data, pos, size)

    def encode(self, out, value) -> None:
        try:
            data = str.encode(value, "utf-8")  # a subclass's own encode is not asked
        except UnicodeEncodeError as exc:
            raise DataError(
                f"the text holds a lone surrogate at position {exc.start}: UTF-8 has no bytes for it"
            ) from None
        if 0 in data:
            raise DataError(
                f"the text holds a NUL character at position {value.index(chr(0))}: PostgreSQL's text cannot, use bytes (bytea)"
            )
        out.put_sized(data)


class CharCodec(TextCodec):
    """ "char": the text the server writes in both formats: '' for byte 0, ``\\377`` for a byte beyond ASCII."""

    __slots__ = ()

    def decode_binary(self, data, pos, size):
        if size != 1:
            return self.wrong_size(size)
        byte = data[pos]
        if byte == 0:
            return ""
        return chr(byte) if byte < 128 else f"\\{byte:03o}"


class EmptyArrayCodec(_Codec):
    """An empty list: ``{}`` of unknown type, so that the server infers which array it is."""

    __slots__ = ()

    def encode(self, out, value) -> None:
        out.put_sized(b"{}")


UNKNOWN_TEXT = TextCodec("unknown", 0, TEXT_ARRAY, True, True, 0)
TEXT_CODEC = TextCodec("text", TEXT, TEXT_ARRAY, True, True, 0)

CODECS = (
    TEXT_CODEC,
    TextCodec("varchar", VARCHAR, VARCHAR_ARRAY, True, True, 0),
    TextCodec("bpchar", BPCHAR, BPCHAR_ARRAY, True, True, 0),
    TextCodec("name", NAME, NAME_ARRAY, True, True, 0),
    CharCodec("char", CHAR, CHAR_ARRAY, True, True, 0),
)
