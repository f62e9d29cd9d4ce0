"""Wrappers that send a Python value as json or jsonb: ``cur.execute(sql, [Jsonb({"a": 1})])``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from howdah.errors import DataError

__all__ = ["Json", "Jsonb"]

JsonDumps = Callable[[Any], "str | bytes"]


class Json:
    """A value to be sent as PostgreSQL's json (manual, section 8.14).

    ``dumps`` makes the text; by default it is ``json.dumps``.
    """

    __slots__ = ("dumps", "obj")

    def __init__(self, obj: Any, dumps: JsonDumps | None = None) -> None:
        self.obj = obj
        self.dumps = dumps

    def __repr__(self) -> str:
        shown = repr(self.obj)
        return f"{type(self).__name__}({shown if len(shown) <= 40 else shown[:37] + '...'})"

    def dump(self) -> str | bytes:
        """The JSON text. Raises DataError when the value has none."""
        if self.dumps is not None:
            return self.dumps(self.obj)
        import json

        try:
            return json.dumps(self.obj)
        except (TypeError, ValueError) as exc:
            raise DataError(f"the value cannot be written as JSON: {exc}") from exc


class Jsonb(Json):
    """A value to be sent as PostgreSQL's jsonb."""

    __slots__ = ()
