"""The items of ``Cursor.description``: PEP 249's seven, by position and by name, and what PostgreSQL tells beyond them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from howdah._oids import TYPES

_TYPE_NAMES = {oid: name for name, oid, _, _, _ in TYPES}
_TYPE_NAMES.update({array_oid: name + "[]" for name, _, array_oid, _, _ in TYPES if array_oid})
_NUMERIC = 1700
_SIZED_TEXT = (1042, 1043)  # bpchar, varchar: the modifier is the length plus four
_BIT_TEXT = (1560, 1562)
_TIMES = (1083, 1114, 1184, 1266)


class Column(Sequence[Any]):
    """A column of a result (PEP 249, ``description``): name, type_code, display_size, internal_size, precision, scale, null_ok.

    ``type_code`` is the type's OID. ``null_ok`` is None: PostgreSQL does not say. ``internal_size`` is in bytes, None for
    types of variable length.
    """

    __slots__ = ("_facts",)

    def __init__(self, facts: tuple[Any, ...]) -> None:
        self._facts = facts

    @property
    def name(self) -> str:
        return str(self._facts[0])

    @property
    def type_code(self) -> int:
        return int(self._facts[3])

    @property
    def table_oid(self) -> int | None:
        """The OID of the table the column comes from, None when it comes from none."""
        return self._facts[1] or None

    @property
    def table_column(self) -> int | None:
        """The number of the column in its table, None when it comes from none."""
        return self._facts[2] or None

    @property
    def type_display(self) -> str:
        """The type's name, its OID as text where the type is not built in."""
        return _TYPE_NAMES.get(self.type_code, str(self.type_code))

    @property
    def display_size(self) -> int | None:
        """The declared length of varchar(n), char(n) and bit(n)."""
        modifier: int = self._facts[5]
        if modifier < 0:
            return None
        if self.type_code in _SIZED_TEXT:
            return int(modifier) - 4
        return int(modifier) if self.type_code in _BIT_TEXT else None

    @property
    def internal_size(self) -> int | None:
        size = self._facts[4]
        return size if size > 0 else None

    @property
    def precision(self) -> int | None:
        """Of numeric(p, s) its p; of times their digits after the second."""
        modifier: int = self._facts[5]
        if modifier < 0:
            return None
        if self.type_code == _NUMERIC:
            return ((modifier - 4) >> 16) & 0xFFFF
        return modifier if self.type_code in _TIMES else None

    @property
    def scale(self) -> int | None:
        modifier: int = self._facts[5]
        if self.type_code != _NUMERIC or modifier < 0:
            return None
        # eleven bits with a sign, since PostgreSQL 15
        return (((modifier - 4) & 0x7FF) ^ 1024) - 1024

    @property
    def null_ok(self) -> bool | None:
        return None

    def _seven(self) -> tuple[Any, ...]:
        return (
            self.name,
            self.type_code,
            self.display_size,
            self.internal_size,
            self.precision,
            self.scale,
            self.null_ok,
        )

    def __getitem__(self, index: Any) -> Any:
        return self._seven()[index]

    def __len__(self) -> int:
        return 7

    def __iter__(self) -> Iterator[Any]:
        return iter(self._seven())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Column) and self._facts == other._facts

    def __hash__(self) -> int:
        return hash(self._facts)

    def __reduce__(self) -> tuple[Any, ...]:
        return Column, (self._facts,)

    def __repr__(self) -> str:
        return f"<Column {self.name!r}, type: {self.type_display} (oid: {self.type_code})>"
