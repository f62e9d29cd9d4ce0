"""What a session knows of the statements it ran: how often, what they return, whether the server keeps them.

The first use of a statement goes through the unnamed one, with text results for columns nobody knows yet; what it
returned is kept here, so the next use is a named statement with binary results. Names are made from the text, so two
clients behind a pooler that meet in one server session mean the same thing by the same name.
"""

from __future__ import annotations

from howdah.core.rows import RowPlan

PREPARED_MAX = 100


class Statement:
    """One text with one tuple of parameter types."""

    __slots__ = (
        "binary",
        "columns",
        "described",
        "formats",
        "last_use",
        "name",
        "oids",
        "plan",
        "prepared",
        "registry",
        "sql",
        "uses",
    )

    def __init__(self, sql: bytes, oids: tuple) -> None:
        self.sql = sql
        self.oids = oids
        self.name = b""
        self.uses = 0
        self.prepared = False
        self.described = False
        self.columns = None
        self.formats = b""
        self.plan = None
        self.registry = None
        self.binary = False
        self.last_use = 0

    def __reduce__(self):
        raise TypeError("a statement cannot be pickled")

    def set_columns(self, columns: object) -> None:
        """Remembers the RowDescription (None: the statement returns no rows)."""
        self.columns = columns
        self.described = True

    def forget(self) -> None:
        """The server no longer keeps the statement, or keeps another under its name."""
        self.prepared = False
        self.described = False
        self.columns = None
        self.plan = None
        self.formats = b""

    def make_name(self) -> bytes:
        """The name the statement is prepared under: the same for the same text and types, whoever prepares it."""
        if not self.name:
            from hashlib import blake2b

            digest = blake2b(self.sql, digest_size=12)
            digest.update(repr(self.oids).encode())
            self.name = b"howdah_" + digest.hexdigest().encode()
        return self.name


class StatementCache:
    """Statements by (text, parameter types), the least recently used first to go.

    ``dropped`` holds the names of prepared statements that fell out and are to be closed on the server.
    """

    __slots__ = ("clock", "dropped", "entries", "max_entries")

    def __init__(self, max_entries: int = PREPARED_MAX) -> None:
        self.entries = {}
        self.clock = 0
        self.dropped = []
        self.max_entries = max_entries

    def __reduce__(self):
        raise TypeError("a statement cache cannot be pickled")

    def get(self, sql: bytes, oids: tuple) -> Statement:
        """The statement, made when it is new."""
        key = (sql, oids)
        self.clock += 1
        entry = self.entries.get(key)
        if entry is None:
            entry = Statement(sql, oids)
            entry.last_use = self.clock
            self.entries[key] = entry
            while len(self.entries) > self.max_entries:
                self.drop_oldest()
        entry.last_use = self.clock
        return entry

    def drop_oldest(self) -> None:
        """Lets the statement go that was not used for longest; a search, since it comes with a Parse to pay for."""
        oldest = min(self.entries.values(), key=_last_use)
        self.discard(oldest)

    def discard(self, statement: Statement) -> None:
        """Forgets a statement the server refused to run as it is known here."""
        self.entries.pop((statement.sql, statement.oids), None)
        if statement.prepared:
            self.dropped.append(statement.name)
        statement.forget()

    def clear(self) -> None:
        """Forgets all: the server deallocated them."""
        for entry in self.entries.values():
            entry.forget()
        self.entries.clear()
        self.dropped.clear()


def _last_use(statement: Statement) -> int:
    return statement.last_use


def choose_formats(columns: object, by_oid: dict, binary: bool) -> bytes:
    """The result formats to ask for: binary where the codec is proven equal in both, or everywhere if asked."""
    if not columns:
        return b""
    if binary:
        return b"\1"
    codes = bytearray()
    for column in columns:
        codec = by_oid.get(column[3])
        codes.append(1 if codec is not None and codec.binary_equal else 0)
    if not any(codes):
        return b""
    if all(codes):
        return b"\1"
    return bytes(codes)


def make_plan(columns: tuple, by_oid: dict, fallback: object) -> RowPlan:
    """The plan of a result whose RowDescription has arrived; columns of unknown type are str (bytes in binary)."""
    return RowPlan(
        columns,
        tuple([by_oid.get(column[3], fallback) for column in columns]),
        bytes([column[6] for column in columns]),
    )
