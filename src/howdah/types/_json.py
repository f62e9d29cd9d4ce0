"""json and jsonb. jsonb's binary format is a version byte (1) and the text.

``json.loads`` says what a document means. When compiled, a parser in C (in the .pxd) reads the documents that most rows
hold straight from the receive buffer, without a str of the whole in between: objects, arrays, strings without escapes,
integers of up to 18 digits, decimals, true, false, null, at most 64 deep; keys are looked up in a small table, since
every row has the same ones. It gives exactly the values ``json.loads`` would, or leaves the document to it: escapes,
long integers, NaN, deep nesting, and everything that is no JSON, so that the errors are json's own.

There the standard library's scanner is called directly: ``loads`` spends more on its argument checks than on a small
document. White space around the document is handled here as ``loads`` does.
"""

from __future__ import annotations

import json as _json

TYPE_CHECKING = False
if TYPE_CHECKING:
    import cython
else:
    from howdah import _cy as cython

from howdah._oids import JSON, JSON_ARRAY, JSONB, JSONB_ARRAY
from howdah.errors import DataError
from howdah.types.codec import _Codec

if not cython.compiled:
    from howdah.wire.bytes import read_text

    def read_json(data, pos, size):
        """The twin of the parser in C: leaves every document to json."""
        return NotImplemented


_scan_once = _json.JSONDecoder().scan_once
_loads = _json.loads


def load_json(data, pos, size):
    """The Python value of a JSON document, as ``json.loads`` gives it."""
    value = read_json(data, pos, size)
    if value is NotImplemented:
        return load_text(read_text(data, pos, size))
    return value


def load_text(text):
    try:
        value, end = _scan_once(text, 0)
    except StopIteration:
        end = -1
    if end != len(text):  # white space around it, or no JSON: loads knows, and raises
        return _loads(text)
    return value


class JsonCodec(_Codec):
    """Any document ``json.loads`` reads; sent through the Json and Jsonb wrappers."""

    __slots__ = ("versioned",)

    def __init__(self, name: str, oid: int, array_oid: int, versioned: bool) -> None:
        self.name = name
        self.oid = oid
        self.array_oid = array_oid
        self.binary_equal = True
        self.atomic = False
        self.encode_format = 1
        self.versioned = versioned

    def decode_text(self, data, pos, size):
        return load_json(data, pos, size)

    def decode_binary(self, data, pos, size):
        if self.versioned:
            if size < 1:
                return self.wrong_size(size)
            if data[pos] != 1:
                raise DataError(f"binary jsonb of version {data[pos]}; howdah reads version 1")
            return load_json(data, pos + 1, size - 1)
        return load_json(data, pos, size)

    def encode(self, out, value) -> None:
        text = value.dump()
        try:
            data = text if isinstance(text, bytes) else text.encode("utf-8")
        except UnicodeEncodeError as exc:
            raise DataError(
                f"the JSON text holds a lone surrogate at position {exc.start}: UTF-8 has no bytes for it"
            ) from None
        out.put_i32(len(data) + (1 if self.versioned else 0))
        if self.versioned:
            out.put_byte(1)
        out.put_bytes(data)


CODECS = (
    JsonCodec("json", JSON, JSON_ARRAY, False),
    JsonCodec("jsonb", JSONB, JSONB_ARRAY, True),
)
