"""json and jsonb. jsonb's binary format is a version byte (1) and the text.

The standard library's scanner is called directly: ``json.loads`` spends more on its argument checks than on a
small document. White space around the document is handled here as ``loads`` does.
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

_scan_once = _json.JSONDecoder().scan_once
_loads = _json.loads


def load_json(text: str) -> object:
    """The Python value of a JSON document, as ``json.loads`` gives it."""
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
        return load_json(read_text(data, pos, size))

    def decode_binary(self, data, pos, size):
        if self.versioned:
            if size < 1:
                return self.wrong_size(size)
            if data[pos] != 1:
                raise DataError(f"binary jsonb of version {data[pos]}; howdah reads version 1")
            return load_json(read_text(data, pos + 1, size - 1))
        return load_json(read_text(data, pos, size))

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
