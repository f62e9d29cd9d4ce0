"""bool: one byte in binary, ``t`` or ``f`` in text."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    import cython
else:
    from howdah import _cy as cython

from howdah._oids import BOOL, BOOL_ARRAY
from howdah.types.codec import _Codec

if not cython.compiled:
    from howdah.wire.bytes import read_text


class BoolCodec(_Codec):
    """True and False."""

    __slots__ = ()

    def decode_text(self, data, pos, size):
        if size == 1:
            if data[pos] == 116:  # t
                return True
            if data[pos] == 102:  # f
                return False
        return self.wrong_text(read_text(data, pos, size))

    def decode_binary(self, data, pos, size):
        if size != 1:
            return self.wrong_size(size)
        return data[pos] != 0

    def encode(self, out, value) -> None:
        out.put_i32(1)
        out.put_byte(1 if value else 0)


CODECS = (BoolCodec("bool", BOOL, BOOL_ARRAY),)
