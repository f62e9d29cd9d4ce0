"""Type variables and aliases that need care on Python 3.10: the one place for them.

`TypeVar(default=...)`, `Self` and `LiteralString` are missing from typing there, and the driver depends on
nothing. A type checker brings its own typing_extensions; at run time, where annotations are never evaluated,
a plain TypeVar and what the running Python has will do.
"""

from __future__ import annotations

import typing
from typing import TYPE_CHECKING, Any, Protocol

__all__ = ["DictRow", "LiteralString", "Query", "Row", "Self", "Template", "TupleRow"]

TupleRow: typing.TypeAlias = "tuple[Any, ...]"
DictRow: typing.TypeAlias = "dict[str, Any]"


class Template(Protocol):
    """A t-string (PEP 750), by its attributes."""

    @property
    def strings(self) -> tuple[str, ...]: ...

    @property
    def interpolations(self) -> tuple[Any, ...]: ...


# what execute() takes as a query
Query: typing.TypeAlias = "str | bytes | Composable | Template"

if TYPE_CHECKING:
    from typing_extensions import LiteralString, Self, TypeVar

    from howdah.sql import Composable

    # The default makes a bare `Connection` mean `Connection[TupleRow]`.
    Row = TypeVar("Row", covariant=True, default=TupleRow)
else:
    Self = getattr(typing, "Self", Any)
    LiteralString = getattr(typing, "LiteralString", str)
    Row = typing.TypeVar("Row", covariant=True)
