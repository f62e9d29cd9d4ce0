"""Command tags ("INSERT 0 5", "SELECT 100"): what a CommandComplete says was done."""

from __future__ import annotations


def rows_affected(tag: str) -> int:
    """The count in a command tag, or -1 when it has none ("CREATE TABLE")."""
    at = tag.rfind(" ")
    if at < 0:
        return -1
    count = tag[at + 1 :]
    return int(count) if count.isdigit() else -1
