"""SQL composed of parts whose kind is known: texts, names, values, placeholders (the names are psycopg 3's).

    sql.SQL("SELECT {} FROM {} WHERE id = %s").format(sql.Identifier("name"), sql.Identifier("shop", "item"))

Only ``SQL`` takes text as it is, and it takes the program's own: what comes from elsewhere is an ``Identifier``, a
``Literal``, or a parameter. A query made here is given to execute() in place of a str. The texts need no connection: they
mean the same in every session (core/literal.py).
"""

from __future__ import annotations

import string
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from howdah.core.literal import literal, quoted_name
from howdah.core.template import is_template, template_text

if TYPE_CHECKING:
    from howdah._base.connection import BaseConnection
    from howdah._base.cursor import BaseCursor
    from howdah._typing import Self

    Context = BaseConnection[Any] | BaseCursor[Any] | None

__all__ = [
    "DEFAULT",
    "NULL",
    "SQL",
    "Composable",
    "Composed",
    "Identifier",
    "Literal",
    "Placeholder",
    "as_bytes",
    "as_string",
    "quote",
]


class Composable:
    """A part of a query; parts add up to a Composed. Equal parts are of one class and hold equal objects."""

    __slots__ = ("_obj",)

    def __init__(self, obj: Any) -> None:
        self._obj = obj

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._obj!r})"

    def as_string(self, context: Context = None) -> str:
        """The SQL text. ``context``, a connection or a cursor, tells how values of one's own types are written."""
        raise NotImplementedError

    def as_bytes(self, context: Context = None) -> bytes:
        """The SQL text in UTF-8."""
        return self.as_string(context).encode("utf-8")

    def _query_text(self, has_params: bool) -> str:
        """The text for execute(): in one that is looked through for placeholders, a percent sign of a value is doubled."""
        return self._doubled() if has_params else self.as_string()

    def _doubled(self) -> str:
        return self.as_string().replace("%", "%%")

    def __add__(self, other: Any) -> Composed:
        if isinstance(other, Composed):
            return Composed([self]) + other
        if isinstance(other, Composable):
            return Composed([self, other])
        return NotImplemented

    def __mul__(self, count: int) -> Composed:
        return Composed([self] * count)

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and bool(self._obj == other._obj)

    def __hash__(self) -> int:
        return hash((type(self).__name__, repr(self._obj)))


class SQL(Composable):
    """Text of the program's own, as it is. Never make one of what came from outside."""

    __slots__ = ()

    _obj: str

    def __init__(self, obj: str) -> None:
        if not isinstance(obj, str):
            raise TypeError(f"SQL takes a str, not {type(obj).__name__}")
        super().__init__(obj)

    def as_string(self, context: Context = None) -> str:
        return self._obj

    def _doubled(self) -> str:
        return self._obj

    def format(self, *args: Any, **kwargs: Any) -> Composed:
        """Puts parts in place of ``{}``, ``{0}`` and ``{name}``; what is no part becomes a Literal.

        Raises ValueError for a ``{...!r}`` or ``{...:spec}``, IndexError and KeyError for a part that is missing.
        """
        parts: list[Any] = []
        count = 0
        for text, name, spec, conversion in string.Formatter().parse(self._obj):
            if spec:
                raise ValueError(f"no format is allowed in SQL.format(): {{{name}:{spec}}}")
            if conversion:
                raise ValueError(f"no conversion is allowed in SQL.format(): {{{name}!{conversion}}}")
            if text:
                parts.append(SQL(text))
            if name is None:
                continue
            if name.isdigit():
                if count > 0:
                    raise ValueError("SQL.format() takes {} or {0}, not both in one text")
                parts.append(args[int(name)])
                count = -1
            elif name:
                parts.append(kwargs[name])
            else:
                if count < 0:
                    raise ValueError("SQL.format() takes {} or {0}, not both in one text")
                parts.append(args[count])
                count += 1
        return Composed(parts)

    def join(self, seq: Iterable[Any]) -> Composed:
        """The parts of ``seq`` with this text between them."""
        parts: list[Any] = []
        for item in seq:
            if parts:
                parts.append(self)
            parts.append(item)
        return Composed(parts)


class Identifier(Composable):
    """A name, quoted: of a table, a column; several strings are one qualified name: Identifier("schema", "table")."""

    __slots__ = ()

    _obj: tuple[str, ...]

    def __init__(self, *strings: str) -> None:
        if not strings:
            raise TypeError("Identifier takes at least one string")
        for item in strings:
            if not isinstance(item, str):
                raise TypeError(f"Identifier takes strings, not {type(item).__name__}")
        super().__init__(strings)

    def __repr__(self) -> str:
        return f"Identifier({', '.join(map(repr, self._obj))})"

    def as_string(self, context: Context = None) -> str:
        return ".".join([quoted_name(name) for name in self._obj])


class Literal(Composable):
    """A value, as text in the query. Where a parameter can stand, a parameter is better."""

    __slots__ = ()

    def as_string(self, context: Context = None) -> str:
        return literal(self._obj, None if context is None else context._session.registry)


class Placeholder(Composable):
    """``%s``, or ``%(name)s``; ``format`` is ``s``, ``b`` (binary) or ``t`` (text), as in a query's text."""

    __slots__ = ("_format",)

    _obj: str

    def __init__(self, name: str = "", format: str = "s") -> None:
        if not isinstance(name, str):
            raise TypeError(f"Placeholder takes a str as its name, not {type(name).__name__}")
        if ")" in name:
            raise ValueError(f"a placeholder's name cannot hold a parenthesis: {name!r}")
        kind = str(getattr(format, "value", format))
        if kind not in ("s", "b", "t"):
            raise ValueError(f"a placeholder's format is 's', 'b' or 't', not {format!r}")
        super().__init__(name)
        self._format = kind

    def __repr__(self) -> str:
        parts = [repr(self._obj)] if self._obj else []
        if self._format != "s":
            parts.append(f"format={self._format!r}")
        return f"Placeholder({', '.join(parts)})"

    def as_string(self, context: Context = None) -> str:
        return f"%({self._obj}){self._format}" if self._obj else f"%{self._format}"

    def _doubled(self) -> str:
        return self.as_string()

    def __eq__(self, other: object) -> bool:
        return super().__eq__(other) and self._format == other._format  # type: ignore[attr-defined]

    __hash__ = Composable.__hash__


class Composed(Composable):
    """Parts in a row; what is no part becomes a Literal."""

    __slots__ = ()

    _obj: list[Composable]

    def __init__(self, seq: Sequence[Any] | Iterable[Any]) -> None:
        super().__init__([item if isinstance(item, Composable) else Literal(item) for item in seq])

    def as_string(self, context: Context = None) -> str:
        return "".join([part.as_string(context) for part in self._obj])

    def _doubled(self) -> str:
        return "".join([part._doubled() for part in self._obj])

    def __iter__(self) -> Iterator[Composable]:
        return iter(self._obj)

    def __add__(self, other: Any) -> Composed:
        if isinstance(other, Composed):
            return Composed(self._obj + other._obj)
        if isinstance(other, Composable):
            return Composed([*self._obj, other])
        return NotImplemented

    def join(self, joiner: SQL | str) -> Self:
        """The parts with ``joiner`` between them."""
        if isinstance(joiner, str):
            joiner = SQL(joiner)
        elif not isinstance(joiner, SQL):
            raise TypeError(f"join() takes a str or an SQL, not {type(joiner).__name__}")
        return type(self)(joiner.join(self._obj)._obj)


NULL = SQL("NULL")
DEFAULT = SQL("DEFAULT")


def quote(obj: Any, context: Context = None) -> str:
    """The SQL text of a value: ``Literal(obj).as_string(context)``."""
    return Literal(obj).as_string(context)


def as_string(obj: Any, context: Context = None) -> str:
    """The SQL text of a part or of a t-string, whose values are then literals; of anything else, that of its Literal."""
    if isinstance(obj, Composable):
        return obj.as_string(context)
    if is_template(obj):
        return template_text(obj, None if context is None else context._session.registry)
    return quote(obj, context)


def as_bytes(obj: Any, context: Context = None) -> bytes:
    """``as_string`` in UTF-8."""
    return as_string(obj, context).encode("utf-8")
