"""What tests of types share: a value read from both formats, written, and sent round."""

from __future__ import annotations

import math
import struct
from decimal import Decimal
from typing import Any

from howdah.types.registry import UTC, registry_for
from howdah.wire.outbuf import OutBuf

CODECS: dict[str, Any] = registry_for(UTC).by_name
TEXT, BINARY = 0, 1


def text(name: str, value: str | bytes) -> Any:
    return CODECS[name].decode_bytes(value.encode() if isinstance(value, str) else value, TEXT)


def binary(name: str, value: bytes) -> Any:
    return CODECS[name].decode_bytes(value, BINARY)


def encoded(codec: Any, value: Any) -> bytes:
    """The bytes of a value, its length word checked and taken off."""
    out = OutBuf(1)
    codec.encode(out, value)
    data = out.take()
    assert struct.unpack("!i", data[:4])[0] == len(data) - 4
    return data[4:]


def round_trip(value: Any) -> Any:
    codec: Any = registry_for(UTC).codec_for(value)
    return codec.decode_bytes(encoded(codec, value), codec.encode_format)


def both(name: str, words: str | bytes, raw: bytes, value: Any) -> None:
    """Text and binary are ``value``, and are of its type."""
    for found in (text(name, words), binary(name, raw)):
        assert type(found) is type(value)
        assert found == value
        if isinstance(value, float):
            assert math.copysign(1, found) == math.copysign(1, value)
        if isinstance(value, Decimal):
            assert found.as_tuple() == value.as_tuple()
