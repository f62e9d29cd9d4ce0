"""Command tags ("INSERT 0 5", "SELECT 100"): what a CommandComplete says was done."""

from __future__ import annotations


def rows_affected(tag: str) -> int:
    """The count in a command tag, or -1 when it has none ("CREATE TABLE")."""
    at = tag.rfind(" ")
    if at < 0:
        return -1
    count = tag[at + 1 :]
    # 20 digits hold any uint64; isdigit() alone takes digits that int() does not
    return int(count) if count.isdigit() and count.isascii() and len(count) <= 20 else -1
