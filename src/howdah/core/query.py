"""The text of a query, and what a session knows of it.

A ``Query`` is a text that was read: placeholders to ``$n``, what kind of statement it is, whether it stands alone.
Placeholders are psycopg 3's: ``%s``, ``%b``, ``%t``, ``%(name)s`` and ``%%``; without parameters the text goes out
untouched. What was found is remembered per text, so a program's statements are read once.

Placeholders are found by their letters alone, wherever they stand, and `%%` is one percent sign everywhere: that is what
psycopg does, and a program's texts mean the same here. But a parameter is sent apart from the text, so one that would
end up inside a string, a quoted name or a comment can never be filled in: the lexer finds those, and they are refused
before anything is sent. The lexer cuts a text as PostgreSQL's own scanner does: all kinds of strings, comments that nest,
dollar quotes, identifiers with `$`, and (protocol rule 24) strings in which a backslash counts, where the session has
standard_conforming_strings off. A semicolon ends a statement unless it stands in one of those, in parentheses (CREATE
RULE), or in the BEGIN ATOMIC body of a function. The server judges all texts again; the lexer decides only what is worth
refusing early, and which protocol a text can go by.

A ``Statement`` is a text with parameter types in one session: how often it ran, what it returns, whether the server
keeps it. The first use goes through the unnamed statement, with text results for columns nobody knows yet; what it
returned is kept here, so the next use is a named statement with binary results. Names are made from the text, so two
clients behind a pooler that meet in one server session mean the same thing by the same name.
"""

from __future__ import annotations

import re

from howdah.core.template import is_template, read_template
from howdah.errors import DataError, ProgrammingError, position_mark
from howdah.wire.frontend import cstring

PLACEHOLDER = re.compile(r"%(?:%|\(([^)]*)\)(.)|(.)|$)", re.DOTALL)

# One token of SQL as PostgreSQL's scanner cuts it (manual, section 4.1), behind white space. Every alternative takes at
# least one character and looks at it once, so a text is read in linear time. The numbers of the groups are the names below.
TOKEN = (  # a pattern; compiled when the first text is read
    r"""[ \t\n\r\f\v]*(?:"""
    r"""(--[^\n\r]*)|(/\*)|((?:[eE]|[uU]&|[bBxXnN])?')|((?:[uU]&)?")|"""
    r"""([A-Za-z_\x80-\U0010ffff][A-Za-z0-9_$\x80-\U0010ffff]*)|(\$[0-9]+)|"""
    r"""(\$(?:[A-Za-z_\x80-\U0010ffff][A-Za-z0-9_\x80-\U0010ffff]*)?\$)|([0-9][0-9A-Za-z_.]*)|"""
    r"""([;(),])|([+*<>=~!@#%^&|`?.:\[\]{}\\]+|[^ \t\n\r\f\v]))"""
)
LINE_COMMENT, BLOCK_COMMENT, STRING, QUOTED_NAME, WORD, PARAMETER, DOLLAR, NUMBER, MARK = 1, 2, 3, 4, 5, 6, 7, 8, 9
# an E'' string goes on behind a line break, by the rules it began with
CONTINUED = r"""(?:[ \t\f\v]|--[^\n\r]*(?=[\n\r]))*[\n\r](?:[ \t\n\r\f\v]|--[^\n\r]*[\n\r])*'"""

MAIN_VERBS = frozenset({"SELECT", "VALUES", "TABLE", "INSERT", "UPDATE", "DELETE", "MERGE"})

# Statements whose result cannot change its columns unnoticed: the server re-checks their plan at every Bind
# (protocol rule: Describe is left out for these alone).
PREPARABLE = frozenset({"SELECT", "VALUES", "TABLE", "WITH", "INSERT", "UPDATE", "DELETE", "MERGE"})

# Statements that take no parameters on the server; their values are written into the text (core/binding.py).
CLIENT_BOUND = frozenset(
    {"SET", "RESET", "SHOW", "NOTIFY", "LISTEN", "UNLISTEN", "CREATE", "ALTER", "DROP", "COMMENT", "GRANT", "REVOKE",
     "SECURITY", "TRUNCATE", "VACUUM", "ANALYZE", "REINDEX", "CLUSTER", "LOCK", "COPY", "BEGIN", "START", "SAVEPOINT",
     "RELEASE", "ROLLBACK", "PREPARE", "EXECUTE", "DEALLOCATE", "DISCARD", "FETCH", "MOVE", "CLOSE", "CHECKPOINT",
     "REASSIGN", "REFRESH", "DO"}
)  # fmt: skip

TABLE_OF_QUERY = r"(?i)\bTABLE\b.*\bAS[\s(]+(?:SELECT|WITH|VALUES|TABLE|EXECUTE)\b"

PREPARED_MAX = 100
MAX_REMEMBERED = 512
MAX_REMEMBERED_CHARACTERS = 8192


class Query:
    """One query text, read.

    ``sql`` goes on the wire. ``names`` are the mapping keys in order of ``$n``, or None for positional placeholders;
    ``count`` is how many parameters the text takes, -1 when it was given none and was not looked at. ``kind`` is the
    statement's first keyword, behind comments, parentheses and WITH; ``single`` is False where another statement follows.
    ``misplaced`` says what is wrong with a placeholder that cannot be one where it stands, None when all can.
    ``client_bound``: the server takes no parameters for it. ``bound`` are the values a t-string brought, else None.
    """

    __slots__ = ("bound", "client_bound", "count", "kind", "misplaced", "names", "preparable", "single", "sql", "text")

    def __init__(
        self, text: str, sql: bytes, names: object, count: int, kind: str, single: bool, misplaced: object
    ) -> None:
        self.text = text
        self.sql = sql
        self.names = names
        self.count = count
        self.kind = kind
        self.single = single
        self.misplaced = misplaced
        self.preparable = single and kind in PREPARABLE
        self.client_bound = count > 0 and kind in CLIENT_BOUND and not (kind == "CREATE" and _is_table_of_query(text))
        self.bound = None

    def __reduce__(self):
        raise TypeError("a parsed query cannot be pickled")

    def values(self, params: object) -> list:
        """The parameters in the order of ``$n``. Raises ProgrammingError when they do not fit the placeholders."""
        if self.misplaced is not None:
            raise ProgrammingError(self.misplaced)
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


def _is_table_of_query(text: str) -> bool:
    """CREATE TABLE AS, which takes parameters."""
    return _compiled(TABLE_OF_QUERY).search(text) is not None


_bare: dict = {}
_with_params: dict = {}


def read_query(query: object, has_params: bool, backslashes: bool = False) -> Query:
    """The Query of a str or bytes text.

    ``has_params`` says whether placeholders are looked for; ``backslashes`` whether a backslash counts in plain strings
    (standard_conforming_strings off).
    """
    if type(query) is not str:
        if type(query) is Query:
            return query  # read already: a cursor with placeholders of its own
        if is_template(query):
            return _read_template(query, has_params, backslashes)
        query = _text_of(query, has_params)
    if backslashes:
        return _read(query, has_params, True)  # rare, and not remembered: the same text means something else
    memo = _with_params if has_params else _bare
    found = memo.get(query)
    if found is not None:
        return found
    found = _read(query, has_params, False)
    if len(query) <= MAX_REMEMBERED_CHARACTERS:
        if len(memo) >= MAX_REMEMBERED:
            memo.clear()
        memo[query] = found
    return found


def _read_template(template: object, has_params: bool, backslashes: bool) -> Query:
    """The Query of a t-string, with its values."""
    if has_params:
        raise ProgrammingError("a t-string brings its own parameters: give none beside it")
    values: list = []
    query = _read(read_template(template, values), True, backslashes)
    query.bound = values
    return query


def read_raw(text: object, backslashes: bool) -> Query:
    """The Query of a text with PostgreSQL's own placeholders, ``$1`` and so on."""
    if type(text) is not str:
        text = _text_of(text, False)
    reading = Reading(text, backslashes)
    count = 0
    while reading.advance():
        if reading.group == PARAMETER:
            count = max(count, int(text[reading.start + 1 : reading.at][:6]))
    bare = read_query(text, False, backslashes)
    return Query(bare.text, bare.sql, None, count, bare.kind, bare.single, None)


def write_values(text: str, backslashes: bool, written: object) -> str:
    """``text`` with what ``written(number, word)`` returns for each ``$n``; ``word`` is the word before it, in capitals.

    A value never joins what stands beside it. Raises ProgrammingError where it stands beside a string: the server would
    take the two for one.
    """
    reading = Reading(text, backslashes)
    parts = []
    at = 0
    before = 0
    word = ""
    while reading.advance():
        group = reading.group
        if group == LINE_COMMENT or group == BLOCK_COMMENT:
            continue
        if group == WORD:
            word = text[reading.start : reading.at].upper()
        elif group != PARAMETER:
            word = ""
        if (group == PARAMETER and before in (STRING, DOLLAR, PARAMETER)) or (
            before == PARAMETER and group in (STRING, DOLLAR)
        ):
            raise ProgrammingError(
                f"a placeholder at character {reading.start + 1} stands beside a string: put an operator between them"
            )
        before = group
        if group != PARAMETER:
            continue
        start = reading.start
        parts.append(text[at:start])
        if start and _joins(text[start - 1]):
            parts.append(" ")
        at = reading.at
        parts.append(written(int(text[start + 1 : at]), word))
        word = ""
        if at < len(text) and _joins(text[at]):
            parts.append(" ")
    parts.append(text[at:])
    return "".join(parts)


def first_words(text: str, backslashes: bool) -> list:
    """The words a statement begins with, in capitals, as far as a name's place."""
    reading = Reading(text, backslashes)
    words: list = []
    while len(words) < 4 and reading.advance():
        if reading.group == WORD:
            words.append(text[reading.start : reading.at].upper())
        elif reading.group != LINE_COMMENT and reading.group != BLOCK_COMMENT:
            break
    return words


def _joins(char: str) -> bool:
    return char in "_$'\".&" or char.isalnum() or ord(char) > 127


def _text_of(query: object, has_params: bool) -> str:
    if isinstance(query, str):
        return str(query)
    compose = getattr(query, "_query_text", None)
    if compose is not None:
        composed: str = compose(has_params)
        return composed
    if isinstance(query, (bytes, bytearray)):
        try:
            return bytes(query).decode("utf-8")
        except UnicodeDecodeError as exc:
            raise DataError(f"the query's bytes are not UTF-8: {exc.reason} at byte {exc.start}") from None
    raise ProgrammingError(f"a query is a str or bytes, an sql object or a t-string, not {type(query).__name__}")


def _read(text: str, has_params: bool, backslashes: bool) -> Query:
    if has_params:
        sql, names, count, places = _convert(text)
    else:
        sql, names, count, places = text, None, -1, []
    reading = Reading(sql, backslashes)
    reading.run(places)
    misplaced = None
    if places and reading.misplaced >= 0:
        misplaced = _misplaced(text, places[reading.misplaced][2], reading.where)
    return Query(text, cstring(sql, "the query"), names, count, reading.kind, reading.single, misplaced)


def _misplaced(text: str, at: int, where: str) -> str:
    return (
        f"the placeholder at character {at + 1} stands {where}, where no value can be put: "
        + (
            "put a space in front of it"
            if where == GLUED
            else "pass the whole text as a parameter, join texts with ||, compose the statement, or write %% for a percent sign"
        )
        + _shown(text, at)
    )


def _shown(text: str, at: int) -> str:
    """The line of ``text`` with a caret under its character ``at``, to stand behind a message."""
    return "".join(["\n" + line for line in position_mark(text, str(at + 1))])


GLUED = "at the end of a name"


def _convert(text: str) -> tuple:
    """(text with ``$n``, names or None, count, places). Raises ProgrammingError for a placeholder that is none.

    A place is (start in the converted text, number, start in ``text``).
    """
    parts = []
    places: list = []
    names: list = []
    numbers: dict = {}
    positional = 0
    at = 0
    length = 0
    for match in PLACEHOLDER.finditer(text):
        start = match.start()
        parts.append(text[at:start])
        length += start - at
        at = match.end()
        name, named_form, form = match.groups()
        if form == "%" or (at == start + 2 and text[at - 1] == "%"):
            parts.append("%")
            length += 1
            continue
        if name is None:
            named_form = form
        if named_form not in ("s", "b", "t"):
            raise ProgrammingError(
                f"{match.group()!r} at character {start + 1} is no placeholder: "
                "use %s, %b, %t or %(name)s, and %% for a percent sign" + _shown(text, start)
            )
        if name is None:
            positional += 1
            number = positional
        else:
            if name not in numbers:
                numbers[name] = len(numbers) + 1
                names.append(name)
            number = numbers[name]
        if positional and names:
            raise ProgrammingError(
                "positional (%s) and named (%(name)s) placeholders cannot be mixed in one query" + _shown(text, start)
            )
        places.append((length, number, start))
        written = f"${number}"
        parts.append(written)
        length += len(written)
    parts.append(text[at:])
    return "".join(parts), (names or None), positional or len(names), places


class Reading:
    """One pass of the lexer over a text: its kind, whether it stands alone, and which placeholder is none.

    ``misplaced`` is the index of the first place that is not a parameter there, -1 when there is none, and ``where`` says
    what it stands in.
    """

    __slots__ = ("at", "backslashes", "group", "kind", "misplaced", "single", "sql", "start", "token", "where")

    def __init__(self, sql: str, backslashes: bool) -> None:
        self.sql = sql
        self.backslashes = backslashes
        self.token = _compiled(TOKEN).match
        self.at = 0
        self.start = 0
        self.group = 0
        self.kind = ""
        self.single = True
        self.misplaced = -1
        self.where = ""

    def __reduce__(self):
        raise TypeError("a reading of a query cannot be pickled")

    def advance(self) -> bool:
        """Goes to the next token: ``group`` says what it is, ``start`` and ``at`` where. False at the end."""
        match = self.token(self.sql, self.at)
        if match is None:
            return False
        group = match.lastindex
        self.group = group
        self.start = match.start(group)
        self.at = match.end()
        if group == STRING:
            prefix = self.sql[self.start]
            if prefix == "e" or prefix == "E":
                self.end_of_escaped()
            elif self.backslashes and (prefix == "'" or prefix == "n" or prefix == "N"):
                self.end_of_escaped()
            else:
                self.end_of_quoted("'")
        elif group == QUOTED_NAME:
            self.end_of_quoted('"')
        elif group == BLOCK_COMMENT:
            self.at = _skip_comment(self.sql, self.at)
        elif group == DOLLAR:
            tag = match.group(group)
            end = self.sql.find(tag, self.at)
            self.at = len(self.sql) if end < 0 else end + len(tag)
        return True

    def end_of_quoted(self, quote: str) -> None:
        """Goes behind a string in which only a doubled quote is one."""
        while True:
            end = self.sql.find(quote, self.at)
            if end < 0:
                self.at = len(self.sql)
                return
            self.at = end + 1
            if self.sql[end + 1 : end + 2] != quote:
                return
            self.at = end + 2

    def end_of_escaped(self) -> None:
        """Goes behind a string in which a backslash escapes the next character, and what continues it."""
        step = _compiled(r"['\\]").search
        while True:
            match = step(self.sql, self.at)
            if match is None:
                self.at = len(self.sql)
                return
            end = match.start()
            if self.sql[end] == "\\" or self.sql[end + 1 : end + 2] == "'":
                self.at = end + 2
                continue
            self.at = end + 1
            more = _compiled(CONTINUED).match(self.sql, self.at)
            if more is None:
                return
            self.at = more.end()

    def run(self, places: list) -> None:
        """Reads the text to its end, or as far as something can still be found."""
        sql = self.sql
        several = ";" in sql.rstrip("; \t\r\n\f\v")
        count = len(places)
        index = 0
        depth = 0
        atomic = 0
        words = 0
        ended = False
        after_with = -1
        defines = False
        before = ""
        commented: list = []
        used: set = set()
        while self.advance():
            group = self.group
            while index < count and places[index][0] < self.at:
                if group == PARAMETER and places[index][0] == self.start:
                    used.add(places[index][1])
                elif group == LINE_COMMENT or group == BLOCK_COMMENT:
                    commented.append(index)
                elif self.misplaced < 0:
                    self.misplaced = index
                    self.where = (
                        "inside a string"
                        if group == STRING or group == DOLLAR
                        else "inside a quoted name"
                        if group == QUOTED_NAME
                        else GLUED
                    )
                index += 1
            if group == LINE_COMMENT or group == BLOCK_COMMENT:
                continue
            if group == MARK:
                before = sql[self.start]
                if before == "(":
                    depth += 1
                elif before == ")":
                    depth -= 1
                elif before == ";" and depth <= 0 and atomic == 0:
                    ended = ended or self.kind != ""  # nothing but a semicolon is no statement
                    continue
                if ended:
                    self.single = False
                continue
            if ended:
                self.single = False
            if group != WORD:
                before = ""
                if not self.kind:
                    self.kind = "?"  # no statement begins like this
                continue
            if not self.kind or (self.kind == "WITH" and depth <= after_with):
                word = sql[self.start : self.at].upper()
                if not self.kind:
                    self.kind = word
                    after_with = depth
                elif word in MAIN_VERBS and before != "," and before != "WITH" and before != "RECURSIVE":
                    self.kind = word
                before = word
                words = 1
            elif self.kind == "CREATE" and several:
                word = sql[self.start : self.at].upper()
                words += 1
                if words <= 4 and (word == "FUNCTION" or word == "PROCEDURE"):
                    defines = True
                elif defines and atomic == 0:
                    if word == "ATOMIC" and before == "BEGIN":
                        atomic = 1
                elif atomic > 0:
                    if word == "CASE":
                        atomic += 1
                    elif word == "END":
                        atomic -= 1
                before = word
            if not several and index >= count and self.kind != "WITH":
                break
        if self.kind == "?":
            self.kind = ""
        if self.misplaced < 0:
            for index in commented:
                if places[index][1] not in used:
                    self.misplaced = index
                    self.where = "inside a comment"
                    break


_patterns: dict = {}


def _compiled(pattern: str):
    found = _patterns.get(pattern)
    if found is None:
        found = _patterns[pattern] = re.compile(pattern, re.DOTALL)
    return found


def _skip_comment(sql: str, at: int) -> int:
    """The position behind a block comment, which may hold others."""
    depth = 1
    step = _compiled(r"/\*|\*/").search
    while depth:
        match = step(sql, at)
        if match is None:
            return len(sql)
        at = match.end()
        depth += 1 if sql[at - 1] == "*" else -1
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
