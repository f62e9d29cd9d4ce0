"""The leaf that touches raw memory: big-endian numbers, text and bytes at a position.

A value on the wire is ``(data, pos, size)``: nothing is sliced before it has to be. Compiled, ``data`` is a
``const unsigned char *`` and the functions are the inline C of ``bytes.pxd``; pure, ``data`` is a bytes-like
object and they are the functions below. Nobody checks bounds here: the parser of a message proves its length
first. tests/unit/test_bytes.py holds the two bodies to the same answers.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    import cython
else:
    from howdah import _cy as cython

if not cython.compiled:
    import struct

    _i16 = struct.Struct("!h")
    _u16 = struct.Struct("!H")
    _i32 = struct.Struct("!i")
    _u32 = struct.Struct("!I")
    _i64 = struct.Struct("!q")
    _f32 = struct.Struct("!f")
    _f64 = struct.Struct("!d")

    def read_i16(data, pos):
        return _i16.unpack_from(data, pos)[0]

    def read_u16(data, pos):
        return _u16.unpack_from(data, pos)[0]

    def read_i32(data, pos):
        return _i32.unpack_from(data, pos)[0]

    def read_u32(data, pos):
        return _u32.unpack_from(data, pos)[0]

    def read_i64(data, pos):
        return _i64.unpack_from(data, pos)[0]

    def read_f32(data, pos):
        return _f32.unpack_from(data, pos)[0]

    def read_f64(data, pos):
        return _f64.unpack_from(data, pos)[0]

    def new_int(value):
        return value

    def read_u128(data, pos):
        return int.from_bytes(data[pos : pos + 16], "big")

    def read_text(data, pos, size):
        return str(data[pos : pos + size], "utf-8")

    def read_bytes(data, pos, size):
        return bytes(data[pos : pos + size])

    def find_nul(data, pos, end):
        """The position of the first NUL in data[pos:end], or -1."""
        return data.find(0, pos, end)

    def write_i16(out, pos, value):
        _i16.pack_into(out, pos, value)

    def write_u16(out, pos, value):
        _u16.pack_into(out, pos, value)

    def write_i32(out, pos, value):
        _i32.pack_into(out, pos, value)

    def write_u32(out, pos, value):
        _u32.pack_into(out, pos, value)

    def write_i64(out, pos, value):
        _i64.pack_into(out, pos, value)

    def write_f32(out, pos, value):
        _f32.pack_into(out, pos, value)

    def write_f64(out, pos, value):
        _f64.pack_into(out, pos, value)


def probe(name: str, data: bytes, pos: int, size: int) -> object:
    """One reader called by name on checked bounds: how tests reach the inline C of the compiled build."""
    widths = {"i16": 2, "u16": 2, "i32": 4, "u32": 4, "i64": 8, "f32": 4, "f64": 8, "u128": 16, "int": 8}
    width = widths.get(name, size)
    if pos < 0 or width < 0 or pos + width > len(data):
        raise ValueError("the value does not lie within data")
    base = data
    if name == "i16":
        return read_i16(base, pos)
    if name == "u16":
        return read_u16(base, pos)
    if name == "i32":
        return read_i32(base, pos)
    if name == "u32":
        return read_u32(base, pos)
    if name == "i64":
        return read_i64(base, pos)
    if name == "f32":
        return read_f32(base, pos)
    if name == "f64":
        return read_f64(base, pos)
    if name == "int":
        return new_int(read_i64(base, pos))
    if name == "u128":
        return read_u128(base, pos)
    if name == "text":
        return read_text(base, pos, size)
    if name == "bytes":
        return read_bytes(base, pos, size)
    if name == "nul":
        return find_nul(base, pos, pos + size)
    raise ValueError(f"no reader is called {name!r}")


def probe_write(name: str, value: object, width: int) -> bytes:
    """One writer called by name into a fresh buffer of ``width`` bytes: for tests, as probe()."""
    store = bytearray(width)
    out = store
    if name == "i16":
        write_i16(out, 0, value)
    elif name == "u16":
        write_u16(out, 0, value)
    elif name == "i32":
        write_i32(out, 0, value)
    elif name == "u32":
        write_u32(out, 0, value)
    elif name == "i64":
        write_i64(out, 0, value)
    elif name == "f32":
        write_f32(out, 0, value)
    elif name == "f64":
        write_f64(out, 0, value)
    else:
        raise ValueError(f"no writer is called {name!r}")
    return bytes(store)
