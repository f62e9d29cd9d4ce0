"""The row loop: DataRow messages to tuples.

What can be known of a result is decided once, in its RowPlan: which codec reads each column, in which format.
``TupleSink.receive`` then runs over all complete DataRow messages that lie in the receive buffer. Each message is
proven first, its length against the buffer and each column against the message; the codec then reads within that
unchecked. A sink is an output shape: it is chosen when the statement is submitted and owns its loop, so decoding
overlaps the server's work and the network.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    import cython
else:
    from howdah import _cy as cython

from howdah.errors import DataError, Error, ProtocolError

if not cython.compiled:
    from howdah.wire.bytes import read_i32, read_u16

DATA_ROW = 68  # 'D'


class RowPlan:
    """How to read the rows of one result.

    ``columns`` are the facts of its RowDescription (see wire.backend.read_row_description), ``codecs`` one a column,
    ``formats`` a byte a column (0 text, 1 binary). ``atomic``: no value can be part of a reference cycle, so the
    garbage collector need not look at the rows. ``registry`` is where the codecs are from: they follow the session's
    settings, so when those have changed another plan is needed.
    """

    __slots__ = ("atomic", "codecs", "columns", "formats", "registry", "width")

    def __init__(self, columns: tuple, codecs: tuple, formats: bytes, registry: object = None) -> None:
        if len(columns) != len(codecs) or len(columns) != len(formats):
            raise ValueError("a plan needs one codec and one format a column")
        self.columns = columns
        self.codecs = codecs
        self.formats = formats
        self.registry = registry
        self.width = len(columns)
        self.atomic = all(codec.atomic for codec in codecs)

    def __reduce__(self):
        raise TypeError("a row plan cannot be pickled")

    def column_error(self, index: int, exc: Exception) -> Exception:
        """What the user gets when the value of column ``index`` cannot be read."""
        if isinstance(exc, (ProtocolError, MemoryError)):
            return exc
        if isinstance(exc, UnicodeDecodeError):
            why = (
                f"its bytes are not UTF-8 ({exc.reason} at byte {exc.start}): "
                "the database's encoding is SQL_ASCII; read the column as bytea, convert_to(...)"
            )
        elif isinstance(exc, Error):
            why = str(exc)
        else:
            why = f"{type(exc).__name__}: {exc}"
        form = "binary" if self.formats[index] else "text"
        error = DataError(
            f"column {index + 1} ({self.columns[index][0]!r}) of type {self.codecs[index].name} in {form} format: {why}"
        )
        error.__cause__ = exc
        return error


def choose_formats(columns: object, by_oid: dict, binary: bool) -> bytes:
    """The result formats to ask for: binary where the codec is proven equal in both, or everywhere if asked."""
    if not columns:
        return b""
    if binary:
        return b"\1"
    codes = bytearray()
    for column in columns:
        codec = by_oid.get(column[3])
        codes.append(1 if codec is not None and codec.binary_equal else 0)
    if not any(codes):
        return b""
    if all(codes):
        return b"\1"
    return bytes(codes)


def make_plan(columns: tuple, registry: object, fallback: object) -> RowPlan:
    """The plan of a result whose RowDescription has arrived; columns of unknown type are str (bytes in binary)."""
    by_oid = registry.by_oid
    return RowPlan(
        columns,
        tuple([by_oid.get(column[3], fallback) for column in columns]),
        bytes([column[6] for column in columns]),
        registry,
    )


class Sink:
    """Takes the rows of one result; this one counts them and keeps none (a result nobody will read).

    ``error`` keeps the first value that could not be read; the rows behind it are still counted.
    """

    __slots__ = ("count", "error")

    def __init__(self) -> None:
        self.count = 0
        self.error = None

    def __reduce__(self):
        raise TypeError("a sink cannot be pickled")

    def receive(self, plan, data, pos, end):
        """Reads the complete DataRow messages at ``pos``; returns the position behind the last one."""
        while end - pos >= 7 and data[pos] == DATA_ROW:
            size = read_i32(data, pos + 1)
            if size < 6:
                raise ProtocolError(f"a DataRow of {size} bytes")
            if size > end - pos - 1:
                break
            self.count += 1
            pos += 1 + size
        return pos

    def taken(self) -> list:
        """What the sink made of the rows: a list to fetch from."""
        return []


class TupleSink(Sink):
    """Rows as a list of tuples."""

    __slots__ = ("column", "rows", "stop")

    def __init__(self) -> None:
        self.rows = []
        self.column = 0
        self.stop = 0
        self.count = 0
        self.error = None

    def taken(self) -> list:
        return self.rows

    def receive(self, plan, data, pos, end):
        if not cython.compiled or plan.atomic:
            return self.receive_rows(plan, data, pos, end)
        # Nothing made here is garbage: a collector's pass in the middle would only look at rows that stay. The GIL is
        # held throughout, unless a codec written in Python lets it go.
        collecting = PyGC_Disable()
        try:
            return self.receive_rows(plan, data, pos, end)
        finally:
            if collecting:
                PyGC_Enable()

    def receive_rows(self, plan, data, pos, end):
        """Reads rows; after a value that cannot be read it keeps none, but goes on to the last one."""
        while True:
            try:
                return self.decode_rows(plan, data, pos, end)
            except ProtocolError:
                raise
            except Exception as exc:
                # outside the loop over the rows, where it would cost each row its set-up
                if self.error is None:
                    self.error = plan.column_error(self.column, exc)
                    if isinstance(self.error, ProtocolError):
                        raise
                self.count += 1
                pos = self.stop

    def decode_rows(self, plan, data, pos, end):
        width = plan.width
        codecs = plan.codecs
        formats = plan.formats
        atomic = plan.atomic
        rows = self.rows
        while end - pos >= 7 and data[pos] == DATA_ROW:
            size = read_i32(data, pos + 1)
            if size < 6:
                raise ProtocolError(f"a DataRow of {size} bytes")
            if size > end - pos - 1:
                break
            stop = pos + 1 + size
            if read_u16(data, pos + 5) != width:
                raise ProtocolError(f"a row of {read_u16(data, pos + 5)} columns where the server announced {width}")
            at = pos + 7
            # where to go on, and whom to blame, should a value not be readable
            self.stop = stop
            if cython.compiled:
                row = PyTuple_New(width)
            else:
                row = [None] * width
            for i in range(width):
                if stop - at < 4:
                    raise ProtocolError("a row ends before its last column")
                length = read_i32(data, at)
                at += 4
                if length < 0:
                    if length != -1:
                        raise ProtocolError(f"a column of {length} bytes")
                    value = None
                else:
                    if length > stop - at:
                        raise ProtocolError(f"a column of {length} bytes in a row that has {stop - at} left")
                    self.column = i
                    if cython.compiled:
                        codec = cython.cast(_Codec, codecs[i])
                    else:
                        codec = codecs[i]
                    if formats[i]:
                        value = codec.decode_binary(data, at, length)
                    else:
                        value = codec.decode_text(data, at, length)
                    at += length
                if cython.compiled:
                    Py_INCREF(value)
                    PyTuple_SET_ITEM(row, i, value)
                else:
                    row[i] = value
            if at != stop:
                raise ProtocolError(f"{stop - at} bytes are left over behind the last column of a row")
            if self.error is None:
                if cython.compiled:
                    if atomic:
                        PyObject_GC_UnTrack(row)
                    rows.append(row)
                else:
                    rows.append(tuple(row))
            self.count += 1
            pos = stop
        return pos


def decode_rows(sink: Sink, plan: RowPlan, data: bytes) -> int:
    """Feeds ``data`` to ``sink``; returns how many bytes were complete messages. For tests and tools."""
    base = data
    return sink.receive(plan, base, 0, len(data))
