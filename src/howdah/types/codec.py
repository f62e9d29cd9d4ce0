"""The private base of the built-in codecs: one object knows one PostgreSQL type in both formats.

``decode_text`` and ``decode_binary`` take ``(data, pos, size)`` and are C methods when compiled: no Python code
can override them and none can call them (a pointer would become a bytes object that ends at the first NUL).
Tests and slow paths go through ``decode_bytes``, which owns its bytes. ``encode`` appends the int32 length and
the value to a send buffer, in the codec's ``encode_format``.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    import cython
else:
    from howdah import _cy as cython

from howdah.errors import DataError

if not cython.compiled:
    from howdah.wire.bytes import read_bytes, read_text

TEXT = 0
BINARY = 1


class _Codec:
    """What is known of one type: its name and OIDs, how to read and to write it.

    ``binary_equal``: both formats give the same Python value whatever the session's settings, so that results
    may switch to binary without the user noticing. ``atomic``: values cannot be part of a reference cycle.
    """

    __slots__ = ("array_oid", "atomic", "binary_equal", "encode_format", "name", "oid")

    def __init__(
        self,
        name: str,
        oid: int,
        array_oid: int,
        binary_equal: bool = True,
        atomic: bool = True,
        encode_format: int = 1,
    ) -> None:
        self.name = name
        self.oid = oid
        self.array_oid = array_oid
        self.binary_equal = binary_equal
        self.atomic = atomic
        self.encode_format = encode_format

    def __reduce__(self):
        raise TypeError("a codec cannot be pickled")

    def __repr__(self) -> str:
        return f"<codec {self.name}>"

    def decode_text(self, data, pos, size):
        return read_text(data, pos, size)

    def decode_binary(self, data, pos, size):
        return read_bytes(data, pos, size)

    def decode_bytes(self, data: bytes, format: int) -> object:
        """The value of ``data``; ``format`` is 0 for text and 1 for binary."""
        base = data
        if format == BINARY:
            return self.decode_binary(base, 0, len(data))
        return self.decode_text(base, 0, len(data))

    def encode(self, out, value) -> None:
        raise DataError(f"a Python value cannot be sent as {self.name} yet")

    def for_value(self, value: object) -> _Codec:
        """The codec that really writes ``value``: another one where the choice depends on the value."""
        return self

    def wrong_size(self, size: int) -> object:
        """Raises for a binary value of an impossible size."""
        raise DataError(f"{size} bytes are no binary {self.name}")

    def wrong_text(self, text: str, why: str = "") -> object:
        """Raises for a text value that is none of this type."""
        shown = text if len(text) <= 64 else text[:61] + "..."
        raise DataError(f"{shown!r} is no {self.name}{': ' if why else ''}{why}")
