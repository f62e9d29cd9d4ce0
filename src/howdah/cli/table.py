"""Aligned tables of plain text: numbers to the right, all else to the left, NULL spelt out."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

from howdah.errors import escape_controls

GAP = "  "
ELLIPSIS = "..."
_NUMBERS = {int, float, Decimal}


def render(columns: Sequence[str], rows: Iterable[Sequence[Any]], max_width: int = 100) -> list[str]:
    """The lines of a table: the columns' names, a rule, the rows.

    No line is wider than ``max_width`` terminal columns as long as that leaves each column eight: the widest
    columns are cut, and the cut is marked by "...".
    """
    values = [tuple(row) for row in rows]
    cells = [[cell(value) for value in row] for row in values]
    names = [cell(name) for name in columns]
    widths = [max(map(display_width, column)) for column in zip(names, *cells)]
    excess = sum(widths) + len(GAP) * (len(widths) - 1) - max_width
    while excess > 0 and max(widths) > 8:
        widest = max(widths)
        at = widths.index(widest)
        runner_up = max([width for width in widths if width < widest], default=8)
        cut = min(excess, max(widest - max(runner_up, 8), 1))
        widths[at] -= cut
        excess -= cut
    to_the_right = [_is_numeric(column) for column in zip(*values)] if values else [False] * len(names)

    def line(texts: Sequence[str]) -> str:
        return GAP.join(map(_padded, texts, widths, to_the_right)).rstrip()

    return [line(names), GAP.join("-" * width for width in widths), *map(line, cells)]


def cell(value: Any) -> str:
    """A value as one line of text that cannot move the cursor."""
    if value is None:
        return "NULL"
    return escape_controls(str(value)).replace("\n", "\\n").replace("\t", "\\t")


def display_width(text: str) -> int:
    """How many terminal columns ``text`` takes: two for wide characters, none for combining ones."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text
    )


def shortened(text: str, width: int) -> str:
    """``text`` cut to ``width`` terminal columns."""
    if display_width(text) <= width:
        return text
    kept = text
    while display_width(kept) > width - len(ELLIPSIS):
        kept = kept[:-1]
    return kept + ELLIPSIS


def _padded(text: str, width: int, to_the_right: bool) -> str:
    text = shortened(text, width)
    space = " " * (width - display_width(text))
    return space + text if to_the_right else text + space


def _is_numeric(column: Sequence[Any]) -> bool:
    kinds = {type(value) for value in column if value is not None}
    return bool(kinds) and kinds.issubset(_NUMBERS)
