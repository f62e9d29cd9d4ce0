"""SASLprep (RFC 4013) as PostgreSQL applies it: a password that cannot be prepared is used as it is.

ASCII passes unchanged and costs nothing; the tables are the standard library's ``stringprep``.
"""

from __future__ import annotations


def saslprep(password: str) -> str:
    """The prepared password; the password itself where RFC 4013 prohibits it (PostgreSQL does the same)."""
    if password.isascii() and password.isprintable():
        return password
    import stringprep
    import unicodedata

    mapped = "".join(
        " " if stringprep.in_table_c12(char) else char for char in password if not stringprep.in_table_b1(char)
    )
    prepared = unicodedata.ucd_3_2_0.normalize("NFKC", mapped)
    if not prepared:
        return password
    prohibited = (
        stringprep.in_table_c12,
        stringprep.in_table_c21_c22,
        stringprep.in_table_c3,
        stringprep.in_table_c4,
        stringprep.in_table_c5,
        stringprep.in_table_c6,
        stringprep.in_table_c7,
        stringprep.in_table_c8,
        stringprep.in_table_c9,
        stringprep.in_table_a1,
    )
    if any(test(char) for char in prepared for test in prohibited):
        return password
    if any(stringprep.in_table_d1(char) for char in prepared):
        # text from right to left: no left-to-right letters, and such a letter at both ends
        if any(stringprep.in_table_d2(char) for char in prepared):
            return password
        if not stringprep.in_table_d1(prepared[0]) or not stringprep.in_table_d1(prepared[-1]):
            return password
    return prepared
