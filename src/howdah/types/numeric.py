"""Numbers that say which PostgreSQL type they are sent as: ``cur.execute("SELECT %s", [Int8(1)])``.

A plain int goes out as the smallest integer type that holds it and a plain float as float8; where the server's choice
of a function or an operator depends on the type, wrap the number (psycopg 3, ``psycopg.types.numeric``). Wrapped numbers
are ints and floats in all else. One that does not fit its type is a DataError when it is sent.
"""

from __future__ import annotations

__all__ = ["Float4", "Float8", "Int2", "Int4", "Int8", "IntNumeric", "Oid"]


class _Int(int):
    __slots__ = ()

    def __str__(self) -> str:
        return int.__repr__(self)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({int.__repr__(self)})"


class _Float(float):
    __slots__ = ()

    def __str__(self) -> str:
        return float.__repr__(self)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({float.__repr__(self)})"


class Int2(_Int):
    """An int sent as smallint, -32768 to 32767 (manual, section 8.1.1)."""

    __slots__ = ()


class Int4(_Int):
    """An int sent as integer, -2147483648 to 2147483647 (manual, section 8.1.1)."""

    __slots__ = ()


class Int8(_Int):
    """An int sent as bigint, -2**63 to 2**63 - 1 (manual, section 8.1.1)."""

    __slots__ = ()


class IntNumeric(_Int):
    """An int sent as numeric, of up to 131072 digits (manual, section 8.1.2)."""

    __slots__ = ()


class Oid(_Int):
    """An int sent as oid, 0 to 2**32 - 1 (manual, section 8.19)."""

    __slots__ = ()


class Float4(_Float):
    """A float sent as real, rounded to its 24 bits (manual, section 8.1.3)."""

    __slots__ = ()


class Float8(_Float):
    """A float sent as double precision, as every float is (manual, section 8.1.3)."""

    __slots__ = ()
