"""The text of a query, and what a session knows of it.

A ``Query`` is a text that was read: placeholders to ``$n``, what kind of statement it is, whether it stands alone.
Placeholders are psycopg 3's: ``%s``, ``%b``, ``%t``, ``%(name)s`` and ``%%``; without parameters the text goes out
untouched. What was found is remembered per text, so a program's statements are read once.

A ``Statement`` is a text with parameter types in one session: how often it ran, what it returns, whether the server
keeps it. The first use goes through the unnamed statement, with text results for columns nobody knows yet; what it
returned is kept here, so the next use is a named statement with binary results. Names are made from the text, so two
clients behind a pooler that meet in one server session mean the same thing by the same name.
"""

from __future__ import annotations

import re

from howdah.errors import DataError, ProgrammingError
from howdah.wire.frontend import cstring

PLACEHOLDER = re.compile(r"%(?:%|\(([^)]*)\)(.)|(.)|$)", re.DOTALL)
# what may stand before the first keyword
FIRST_WORD = re.compile(r"(?:\s|--[^\n]*(?:\n|$)|/\*(?:[^*/]|\*(?!/)|/(?!\*))*\*/|\()*([A-Za-z]+)")
# everything in which a semicolon does not end a statement; a block comment that nests is settled by _skip_comment
SKIPPED = (  # a pattern; compiled when a text with a semicolon inside is first met
    r"""--[^\n]*|/\*|\b[eE]'(?:[^'\\]|\\.|'')*'|'(?:[^']|'')*'|"(?:[^"]|"")*"|"""
    r"""(?<![\w$\x80-\uffff])\$(?:[A-Za-z_\x80-\uffff][\w\x80-\uffff]*)?\$|;"""
)

# Statements whose result cannot change its columns unnoticed: the server re-checks their plan at every Bind
# (protocol rule: Describe is left out for these alone).
PREPARABLE = frozenset({"SELECT", "VALUES", "TABLE", "WITH", "INSERT", "UPDATE", "DELETE", "MERGE"})

PREPARED_MAX = 100
MAX_REMEMBERED = 512
MAX_REMEMBERED_CHARACTERS = 8192


class Query:
    """One query text, read.

    ``sql`` goes on the wire. ``names`` are the mapping keys in order of ``$n``, or None for positional placeholders;
    ``count`` is how many parameters the text takes, -1 when it was given none and was not looked at.
    """

    __slots__ = ("count", "kind", "names", "preparable", "single", "sql", "text")

    def __init__(self, text: str, sql: bytes, names: object, count: int, kind: str, single: bool) -> None:
        self.text = text
        self.sql = sql
        self.names = names
        self.count = count
        self.kind = kind
        self.single = single
        self.preparable = single and kind in PREPARABLE

    def __reduce__(self):
        raise TypeError("a parsed query cannot be pickled")

    def values(self, params: object) -> list:
        """The parameters in the order of ``$n``. Raises ProgrammingError when they do not fit the placeholders."""
        if self.names is None:
            if type(params) is tuple or type(params) is list:
                values = list(params)
            elif isinstance(params, (str, bytes)) or not hasattr(params, "__len__"):
                raise ProgrammingError(
                    "parameters must be a sequence or a mapping: write (value,) or [value] for a single one"
                )
            elif hasattr(params, "keys"):
                if self.count:
                    raise ProgrammingError(
                        "the query has positional placeholders (%s) but a mapping of parameters was given"
                    )
                values = []
            else:
                values = list(params)
            if len(values) != self.count:
                raise ProgrammingError(
                    f"the query has {self.count} placeholder{'' if self.count == 1 else 's'} "
                    f"but {len(values)} parameter{' was' if len(values) == 1 else 's were'} given"
                )
            return values
        if not hasattr(params, "keys"):
            raise ProgrammingError("the query has named placeholders (%(name)s): give the parameters as a mapping")
        try:
            return [params[name] for name in self.names]
        except KeyError:
            missing = sorted({name for name in self.names if name not in params})
            raise ProgrammingError(f"parameters are missing: {', '.join(missing)}") from None


_bare: dict = {}
_with_params: dict = {}


def read_query(query: object, has_params: bool) -> Query:
    """The Query of a str or bytes text; ``has_params`` says whether placeholders are looked for."""
    if type(query) is not str:
        query = _text_of(query)
    memo = _with_params if has_params else _bare
    found = memo.get(query)
    if found is not None:
        return found
    found = _read(query, has_params)
    if len(query) <= MAX_REMEMBERED_CHARACTERS:
        if len(memo) >= MAX_REMEMBERED:
            memo.clear()
        memo[query] = found
    return found


def _text_of(query: object) -> str:
    if isinstance(query, str):
        return str(query)
    if isinstance(query, (bytes, bytearray)):
        try:
            return bytes(query).decode("utf-8")
        except UnicodeDecodeError as exc:
            raise DataError(f"the query's bytes are not UTF-8: {exc.reason} at byte {exc.start}") from None
    raise ProgrammingError(f"a query is a str or bytes, not {type(query).__name__}")


def _read(text: str, has_params: bool) -> Query:
    sql, names, count = _convert(text) if has_params else (text, None, -1)
    word = FIRST_WORD.match(text)
    kind = word.group(1).upper() if word else ""
    return Query(text, cstring(sql, "the query"), names, count, kind, _stands_alone(sql))


def _convert(text: str) -> tuple:
    """(text with ``$n``, names or None, count). Raises ProgrammingError for a placeholder that is none."""
    parts = []
    names: list = []
    numbers: dict = {}
    positional = 0
    at = 0
    for match in PLACEHOLDER.finditer(text):
        parts.append(text[at : match.start()])
        at = match.end()
        name, named_form, form = match.groups()
        if match.group() == "%%":
            parts.append("%")
            continue
        if name is None:
            named_form = form
        if named_form not in ("s", "b", "t"):
            raise ProgrammingError(
                f"{match.group()!r} at character {match.start() + 1} is no placeholder: "
                "use %s, %b, %t or %(name)s, and %% for a percent sign"
            )
        if name is None:
            positional += 1
            parts.append(f"${positional}")
        else:
            if name not in numbers:
                numbers[name] = len(numbers) + 1
                names.append(name)
            parts.append(f"${numbers[name]}")
        if positional and names:
            raise ProgrammingError("positional (%s) and named (%(name)s) placeholders cannot be mixed in one query")
    parts.append(text[at:])
    return "".join(parts), (names or None), positional or len(names)


def _stands_alone(sql: str) -> bool:
    """False when the text may hold more than one statement."""
    if ";" not in sql.rstrip("; \t\r\n"):
        return True
    skipped = re.compile(SKIPPED, re.DOTALL)
    at = 0
    ended = False
    while True:
        match = skipped.search(sql, at)
        rest = sql[at : match.start()] if match else sql[at:]
        if ended and rest.strip():
            return False
        if match is None:
            return True
        token = match.group()
        at = match.end()
        if token == ";":
            ended = True
        elif token == "/*":
            at = _skip_comment(sql, at)
        elif token.startswith("--"):
            pass
        elif ended:
            return False
        elif token.startswith("$"):
            end = sql.find(token, at)
            at = len(sql) if end < 0 else end + len(token)


def _skip_comment(sql: str, at: int) -> int:
    """The position behind a block comment, which may hold others."""
    depth = 1
    while depth:
        opening = sql.find("/*", at)
        closing = sql.find("*/", at)
        if closing < 0:
            return len(sql)
        if 0 <= opening < closing:
            depth += 1
            at = opening + 2
        else:
            depth -= 1
            at = closing + 2
    return at


class Statement:
    """One text with one tuple of parameter types."""

    __slots__ = (
        "binary",
        "columns",
        "described",
        "formats",
        "guessed",
        "last_use",
        "name",
        "oids",
        "plan",
        "prepared",
        "sql",
        "uses",
        "wanted",
    )

    def __init__(self, sql: bytes, oids: tuple) -> None:
        self.sql = sql
        self.oids = oids
        self.name = b""
        self.uses = 0
        self.prepared = False
        self.described = False
        self.guessed = False
        self.columns = None
        self.formats = b""
        self.wanted = b""
        self.plan = None
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
