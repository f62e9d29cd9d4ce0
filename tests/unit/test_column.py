"""howdah.Column: the items of Cursor.description (PEP 249), and what PostgreSQL tells beyond them."""

from __future__ import annotations

import collections.abc
import pickle
from typing import Any

import pytest

import howdah
from howdah import Column


def column(
    oid: int = 25, modifier: int = -1, size: int = -1, name: str = "c", table: int = 0, number: int = 0
) -> Column:
    return Column((name, table, number, oid, size, modifier, 0))


NUMERIC, VARCHAR, BPCHAR, BIT, VARBIT, TIMESTAMP, TIMESTAMPTZ, TIME, TEXT, INT4 = (
    1700,
    1043,
    1042,
    1560,
    1562,
    1114,
    1184,
    1083,
    25,
    23,
)


@pytest.mark.parametrize(
    ("made", "display_size", "internal_size", "precision", "scale"),
    [
        (column(INT4, -1, 4), None, 4, None, None),
        (column(TEXT), None, None, None, None),
        (column(VARCHAR, 24), 20, None, None, None),
        (column(BPCHAR, 5), 1, None, None, None),
        (column(VARCHAR), None, None, None, None),
        (column(BIT, 8), 8, None, None, None),
        (column(VARBIT, 12), 12, None, None, None),
        (column(NUMERIC, ((10 << 16) | 2) + 4), None, None, 10, 2),
        (column(NUMERIC, ((1000 << 16) | 1000) + 4), None, None, 1000, 1000),
        (column(NUMERIC, ((3 << 16) | (-2 & 0x7FF)) + 4), None, None, 3, -2),
        (column(NUMERIC, ((1000 << 16) | (-1000 & 0x7FF)) + 4), None, None, 1000, -1000),
        (column(NUMERIC), None, None, None, None),
        (column(TIMESTAMP, 3, 8), None, 8, 3, None),
        (column(TIMESTAMPTZ, 0, 8), None, 8, 0, None),
        (column(TIME, 6, 8), None, 8, 6, None),
        (column(TIMESTAMP, -1, 8), None, 8, None, None),
        (column(2275, -1, -2), None, None, None, None),
    ],
)
def test_sizes(made: Column, display_size: Any, internal_size: Any, precision: Any, scale: Any) -> None:
    assert (made.display_size, made.internal_size, made.precision, made.scale) == (
        display_size,
        internal_size,
        precision,
        scale,
    )
    assert tuple(made) == ("c", made.type_code, display_size, internal_size, precision, scale, None)


def test_is_a_sequence_of_seven() -> None:
    made = column(INT4, -1, 4, "id")
    assert isinstance(made, collections.abc.Sequence)
    assert len(made) == 7 and made[0] == "id" and made[1] == INT4 and made[-1] is None
    assert made[:2] == ("id", INT4)
    assert (made.name, made.type_code, made.null_ok) == ("id", INT4, None)
    assert "id" in made and made.index(INT4) == 1
    with pytest.raises(IndexError):
        made[7]


def test_names_of_types() -> None:
    assert column(INT4).type_display == "int4"
    assert column(1007).type_display == "int4[]"
    assert column(999_999).type_display == "999999"
    assert repr(column(INT4, name="id")) == "<Column 'id', type: int4 (oid: 23)>"


def test_the_table_a_column_comes_from() -> None:
    assert (column().table_oid, column().table_column) == (None, None)
    made = column(table=16384, number=3)
    assert (made.table_oid, made.table_column) == (16384, 3)


def test_equality_hash_and_pickle() -> None:
    made = column(INT4, name="id")
    same, other = column(INT4, name="id"), column(INT4, name="no")
    assert made == same and hash(made) == hash(same) and made != other and made != ("id",)
    assert pickle.loads(pickle.dumps(made)) == made


def test_type_codes_compare_with_type_objects() -> None:
    assert column(INT4).type_code == howdah.NUMBER != column(TEXT).type_code
