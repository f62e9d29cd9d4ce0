"""Row factories: what a row looks like (the names are psycopg 3's).

A row factory is called with the cursor when a result arrives and returns a row maker, which is called with the values of
each row. ``tuple_row`` costs nothing: the rows are made as tuples.
"""

from __future__ import annotations

import re
from collections import namedtuple
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar

from howdah.errors import InterfaceError, ProgrammingError

if TYPE_CHECKING:
    from howdah._base.cursor import BaseCursor

__all__ = [
    "DictRow",
    "RowFactory",
    "RowMaker",
    "TupleRow",
    "args_row",
    "class_row",
    "dict_row",
    "kwargs_row",
    "namedtuple_row",
    "scalar_row",
    "tuple_row",
]

T = TypeVar("T")
TCo = TypeVar("TCo", covariant=True)

TupleRow = tuple[Any, ...]
DictRow = dict[str, Any]


class RowMaker(Protocol[TCo]):
    """Makes a row of a sequence of values."""

    def __call__(self, values: Sequence[Any], /) -> TCo: ...


class RowFactory(Protocol[TCo]):
    """Makes a row maker for the result a cursor has."""

    def __call__(self, cursor: BaseCursor[Any], /) -> RowMaker[TCo]: ...


def tuple_row(cursor: BaseCursor[Any]) -> RowMaker[TupleRow]:
    """Rows as tuples: the default."""
    return tuple


def dict_row(cursor: BaseCursor[Any]) -> RowMaker[DictRow]:
    """Rows as dicts by column name; of columns with one name the last wins."""
    names = _names(cursor)

    def make(values: Sequence[Any]) -> DictRow:
        return dict(zip(names, values))

    return make


def scalar_row(cursor: BaseCursor[Any]) -> RowMaker[Any]:
    """The first column alone. Raises ProgrammingError when the result has none."""
    if not _names(cursor):
        raise ProgrammingError("scalar_row needs a result with at least one column")

    def make(values: Sequence[Any]) -> Any:
        return values[0]

    return make


def namedtuple_row(cursor: BaseCursor[Any]) -> RowMaker[NamedTuple]:
    """Rows as named tuples. Characters that no identifier has become underscores; a name that is taken, or a keyword,
    becomes ``_`` and its position.
    """
    make: RowMaker[NamedTuple] = _named_tuple(tuple(_names(cursor)))._make
    return make


@lru_cache(512)
def _named_tuple(names: tuple[str, ...]) -> Any:
    return namedtuple("Row", [_identifier(name) for name in names], rename=True)


def _identifier(name: str) -> str:
    cleaned = re.sub(r"\W", "_", name)
    return "f" + cleaned if not cleaned or cleaned[0] == "_" or cleaned[0].isdigit() else cleaned


def class_row(cls: type[T]) -> Callable[[BaseCursor[Any]], RowMaker[T]]:
    """Rows as objects of ``cls``, whose constructor takes the columns as keyword arguments."""
    return kwargs_row(cls)


def args_row(func: Callable[..., T]) -> Callable[[BaseCursor[Any]], RowMaker[T]]:
    """Rows as results of ``func``, which takes the columns as positional arguments."""

    def factory(cursor: BaseCursor[Any]) -> RowMaker[T]:
        def make(values: Sequence[Any]) -> T:
            return func(*values)

        return make

    return factory


def kwargs_row(func: Callable[..., T]) -> Callable[[BaseCursor[Any]], RowMaker[T]]:
    """Rows as results of ``func``, which takes the columns as keyword arguments."""

    def factory(cursor: BaseCursor[Any]) -> RowMaker[T]:
        names = _names(cursor)

        def make(values: Sequence[Any]) -> T:
            return func(**dict(zip(names, values)))

        return make

    return factory


def _names(cursor: BaseCursor[Any]) -> list[str]:
    description = cursor.description
    if description is None:
        raise InterfaceError("the cursor has no result with rows")
    return [column.name for column in description]
