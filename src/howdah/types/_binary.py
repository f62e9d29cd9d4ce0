"""bytea: the bytes themselves in binary; ``\\x`` and hex, or the old escape format, in text."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    import cython
else:
    from howdah import _cy as cython

from howdah._oids import BYTEA, BYTEA_ARRAY
from howdah.errors import DataError
from howdah.types.codec import _Codec
from howdah.wire.limits import MAX_MESSAGE_BYTES

if not cython.compiled:
    from howdah.wire.bytes import read_bytes


def bytea_from_text(text: bytes) -> bytes:
    """The bytes of a bytea in text format, whichever ``bytea_output`` wrote it."""
    if text[:2] == b"\\x":
        return bytes.fromhex(text[2:].decode("ascii"))
    parts = text.split(b"\\")
    out = bytearray(parts[0])
    index = 1
    while index < len(parts):
        part = parts[index]
        if part:  # three octal digits
            out.append(int(part[:3], 8))
            out += part[3:]
            index += 1
        else:  # an escaped backslash: the next part is plain
            out += b"\\"
            if index + 1 < len(parts):
                out += parts[index + 1]
            index += 2
    return bytes(out)


class ByteaCodec(_Codec):
    """bytes; bytearray and memoryview are sent too."""

    __slots__ = ()

    def decode_text(self, data, pos, size):
        text = read_bytes(data, pos, size)
        try:
            return bytea_from_text(text)
        except ValueError:
            return self.wrong_text(repr(text[:48]))

    def decode_binary(self, data, pos, size):
        return read_bytes(data, pos, size)

    def encode(self, out, value) -> None:
        if type(value) is bytes:
            out.put_sized(value)
        else:
            view = memoryview(value)
            if view.nbytes > MAX_MESSAGE_BYTES:
                raise DataError(f"{view.nbytes} bytes are more than a message can hold (1 GiB - 1)")
            out.put_i32(view.nbytes)
            out.put_buffer(value if view.contiguous else view.tobytes())


CODECS = (ByteaCodec("bytea", BYTEA, BYTEA_ARRAY),)
