"""uuid: sixteen bytes. The UUID object is built slot by slot; its own constructor costs ten times as much."""

from __future__ import annotations

from uuid import UUID, SafeUUID

TYPE_CHECKING = False
if TYPE_CHECKING:
    import cython
else:
    from howdah import _cy as cython

from howdah import _oids
from howdah.types.codec import _Codec

if not cython.compiled:
    from howdah.wire.bytes import read_text, read_u128

UNKNOWN_SAFETY = SafeUUID.unknown
_new_uuid = UUID.__new__
_set_int = UUID.__dict__["int"].__set__
_set_safety = UUID.__dict__["is_safe"].__set__


class UuidCodec(_Codec):
    """uuid.UUID."""

    __slots__ = ()

    def decode_text(self, data, pos, size):
        text = read_text(data, pos, size)
        try:
            return UUID(text)
        except ValueError:
            return self.wrong_text(text)

    def decode_binary(self, data, pos, size):
        if size != 16:
            return self.wrong_size(size)
        value = _new_uuid(UUID)
        _set_int(value, read_u128(data, pos))
        _set_safety(value, UNKNOWN_SAFETY)
        return value

    def encode(self, out, value) -> None:
        out.put_sized(value.bytes)


CODECS = (UuidCodec("uuid", _oids.UUID, _oids.UUID_ARRAY),)
