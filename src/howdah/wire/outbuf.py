"""The send buffer: messages are written at ``pos`` into one bytearray and taken out whole.

Writers reserve the room of a message first and then write unchecked within it. Every length is computed here,
in 64 bits, before the first byte: what the server's int32 or int16 fields cannot hold is a DataError and
nothing of the message is left behind (``mark`` and ``rewind``).
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    import cython
else:
    from howdah import _cy as cython

from howdah.errors import DataError
from howdah.wire.limits import MAX_MESSAGE_BYTES

if not cython.compiled:
    from howdah.wire.bytes import write_i16, write_i32, write_i64


class OutBuf:
    """Bytes to send: ``store[:pos]``. ``message_at`` is where the message begins that is being written."""

    __slots__ = ("message_at", "pos", "store")

    def __init__(self, capacity: int = 2048) -> None:
        self.store = bytearray(capacity)
        self.pos = 0
        self.message_at = 0

    def __reduce__(self):
        raise TypeError("a send buffer cannot be pickled")

    def reserve(self, count: int) -> None:
        """Makes room for ``count`` more bytes."""
        need = self.pos + count
        if need > len(self.store):
            if need - self.message_at > MAX_MESSAGE_BYTES:
                raise DataError(
                    f"a message of {need - self.message_at} bytes and more is larger than PostgreSQL takes (1 GiB - 1)"
                )
            size = len(self.store) * 2
            if size < need:
                size = need
            fresh = bytearray(size)
            fresh[: self.pos] = memoryview(self.store)[: self.pos]
            self.store = fresh

    def begin(self, kind: int) -> int:
        """Starts a message of type ``kind``; returns the position of its length field for ``finish``."""
        self.reserve(16)
        out = self.store
        self.message_at = self.pos
        out[self.pos] = kind
        self.pos += 5
        return self.pos - 4

    def finish(self, at: int) -> None:
        """Writes the length of the message that ``begin`` started."""
        size = self.pos - at
        if size > MAX_MESSAGE_BYTES:
            raise DataError(f"a message of {size} bytes is larger than PostgreSQL takes (1 GiB - 1)")
        out = self.store
        write_i32(out, at, size)
        self.message_at = self.pos

    def put_i16(self, value: int) -> None:
        self.reserve(2)
        out = self.store
        write_i16(out, self.pos, value)
        self.pos += 2

    def put_i32(self, value: int) -> None:
        self.reserve(4)
        out = self.store
        write_i32(out, self.pos, value)
        self.pos += 4

    def put_i64(self, value: int) -> None:
        self.reserve(8)
        out = self.store
        write_i64(out, self.pos, value)
        self.pos += 8

    def put_byte(self, value: int) -> None:
        self.reserve(1)
        out = self.store
        out[self.pos] = value
        self.pos += 1

    def put_bytes(self, data: bytes) -> None:
        count = len(data)
        self.reserve(count)
        if cython.compiled:
            target = self.store
            source = data
            memcpy(target + self.pos, source, count)
        else:
            self.store[self.pos : self.pos + count] = data
        self.pos += count

    def put_buffer(self, data: object) -> None:
        """Any bytes-like object, copied once."""
        view = memoryview(data).cast("B")
        count = view.nbytes
        self.reserve(count)
        self.store[self.pos : self.pos + count] = view
        self.pos += count

    def put_cstring(self, data: bytes) -> None:
        """``data`` and a NUL; the caller has refused NULs inside it."""
        self.put_bytes(data)
        self.put_byte(0)

    def put_sized(self, data: bytes) -> None:
        """An int32 length and the bytes: a parameter value."""
        self.put_i32(len(data))
        self.put_bytes(data)

    def take(self) -> bytes:
        """All that is to be sent, and an empty buffer."""
        if cython.compiled:
            source = self.store
            data = PyBytes_FromStringAndSize(source, self.pos)
        else:
            data = bytes(memoryview(self.store)[: self.pos])
        self.pos = 0
        self.message_at = 0
        if len(self.store) > 1 << 20:
            self.store = bytearray(2048)
        return data

    def rewind(self, mark: int) -> None:
        """Forgets what was written since ``pos`` was ``mark``."""
        self.pos = mark
        self.message_at = mark
