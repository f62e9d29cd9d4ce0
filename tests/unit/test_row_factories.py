"""howdah.rows: what rows look like."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

import howdah
from howdah import rows
from howdah.errors import InterfaceError, ProgrammingError


class Described:
    """A cursor as far as row factories look at it."""

    def __init__(self, *names: str, result: bool = True) -> None:
        self.description = [howdah.Column((name, 0, 0, 25, -1, -1, 0)) for name in names] if result else None


def made(factory: Any, names: tuple[str, ...], values: tuple[Any, ...]) -> Any:
    return factory(Described(*names))(values)


@dataclasses.dataclass
class Person:
    name: str
    age: int = 0


def test_tuple_row() -> None:
    row = made(rows.tuple_row, ("a", "b"), (1, 2))
    assert row == (1, 2) and type(row) is tuple


def test_dict_row() -> None:
    assert made(rows.dict_row, ("a", "b"), (1, None)) == {"a": 1, "b": None}
    assert made(rows.dict_row, (), ()) == {}
    assert made(rows.dict_row, ("a", "b", "a"), (1, 2, 3)) == {"a": 3, "b": 2}


def test_scalar_row() -> None:
    assert made(rows.scalar_row, ("a", "b"), (1, 2)) == 1
    with pytest.raises(ProgrammingError, match="at least one column"):
        rows.scalar_row(Described())  # type: ignore[arg-type]


def test_namedtuple_row() -> None:
    row = made(rows.namedtuple_row, ("id", "full name", "?column?", "_private", "1st", ""), (1, 2, 3, 4, 5, 6))
    assert row._fields == ("id", "full_name", "f_column_", "f_private", "f1st", "f")
    assert row.id == 1 and row.f1st == 5 and row == (1, 2, 3, 4, 5, 6)
    assert type(row) is type(
        made(rows.namedtuple_row, ("id", "full name", "?column?", "_private", "1st", ""), (1,) * 6)
    )


@pytest.mark.parametrize(
    "names", [("a", "a"), ("?column?", "?column?"), ("a b", "a_b"), ("class", "def"), ("None",), ("count", "index")]
)
def test_namedtuple_row_with_names_that_clash(names: tuple[str, ...]) -> None:
    values = tuple(range(len(names)))
    row = made(rows.namedtuple_row, names, values)
    assert tuple(row) == values
    assert len(set(row._fields)) == len(names)


def test_class_args_and_kwargs_row() -> None:
    assert made(rows.class_row(Person), ("age", "name"), (7, "x")) == Person("x", 7)
    assert made(rows.class_row(Person), ("name",), ("x",)) == Person("x", 0)
    assert made(rows.args_row(Person), ("any", "thing"), ("x", 7)) == Person("x", 7)
    assert made(rows.args_row(lambda *values: sum(values)), ("a", "b"), (1, 2)) == 3
    assert made(rows.kwargs_row(lambda **values: sorted(values.items())), ("b", "a"), (1, 2)) == [("a", 2), ("b", 1)]
    with pytest.raises(TypeError):
        made(rows.class_row(Person), ("nosuch",), (1,))


@pytest.mark.parametrize(
    "factory", [rows.dict_row, rows.scalar_row, rows.namedtuple_row, rows.class_row(Person), rows.kwargs_row(dict)]
)
def test_without_a_result(factory: Any) -> None:
    with pytest.raises(InterfaceError, match="no result"):
        factory(Described(result=False))


def test_what_is_public() -> None:
    assert all(hasattr(rows, name) for name in rows.__all__)
