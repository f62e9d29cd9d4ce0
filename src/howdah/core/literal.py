"""The one formatter: a Python value as SQL text.

By default values travel beside the statement and are never made into text. This is for the rest: ``sql.Literal``,
``mogrify``, and statements that take no parameters (``SET``, ``NOTIFY``, ...). What it writes means the same whatever the
session's settings, so it needs no connection:

- a text that holds a backslash is written ``E'...'`` with doubled backslashes, which standard_conforming_strings does not
  change; a space stands before it, so that it never joins a word in front of it;
- a negative number has a space before it: ``1-%s`` with -1 must not become a comment;
- dates are ISO with the year first, which DateStyle does not change; every part of an interval has its sign;
- a NUL or a lone surrogate is a DataError.

What has no certain text is refused.
"""

from __future__ import annotations

import datetime
import decimal
import uuid

from howdah.errors import DataError, ProgrammingError
from howdah.types.registry import UTC, _every, registry_for
from howdah.wire.outbuf import OutBuf


def literal(value: object, registry: object = None) -> str:
    """``value`` as an SQL literal. Raises DataError or ProgrammingError for what cannot be written as one."""
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return signed(int.__repr__(value))
    if isinstance(value, str):
        return quoted(str.__str__(value))
    if isinstance(value, float):
        text = float.__repr__(value)
        return f"'{text}'::float8" if text in ("nan", "inf", "-inf") else signed(text)
    if isinstance(value, decimal.Decimal):
        if value.is_nan():
            return "'NaN'::numeric"
        text = decimal.Decimal.__str__(value)
        return signed(text) if value.is_finite() else f"'{text}'::numeric"
    if isinstance(value, (bytes, bytearray, memoryview)):
        return f" E'\\\\x{bytes(value).hex()}'::bytea"
    if isinstance(value, uuid.UUID):
        return f"'{uuid.UUID.__str__(value)}'::uuid"
    if isinstance(value, datetime.datetime):
        kind = "timestamp" if value.tzinfo is None else "timestamptz"
        return f"'{datetime.datetime.isoformat(value, ' ')}'::{kind}"
    if isinstance(value, datetime.date):
        return f"'{datetime.date.isoformat(value)}'::date"
    if isinstance(value, datetime.time):
        return f"'{datetime.time.isoformat(value)}'::{'time' if value.tzinfo is None else 'timetz'}"
    if isinstance(value, datetime.timedelta):
        return f"'{value.days:+d} d {value.seconds:+d} s {value.microseconds:+d} us'::interval"
    if isinstance(value, list):
        return array(value, registry)
    return encoded(value, registry or registry_for(UTC))


def signed(number: str) -> str:
    """A number's digits; a space before a minus, so that no comment begins here."""
    return " " + number if number.startswith("-") else number


def quoted(text: str) -> str:
    """A text as a string literal."""
    check_text(text, "a literal")
    text = text.replace("'", "''")
    if "\\" in text:
        return " E'" + text.replace("\\", "\\\\") + "'"
    return "'" + text + "'"


def quoted_name(name: str) -> str:
    """A name as a quoted identifier."""
    check_text(name, "an identifier")
    return '"' + name.replace('"', '""') + '"'


def check_text(text: str, what: str) -> None:
    """Raises DataError for what no SQL text can hold."""
    if "\0" in text:
        raise DataError(f"{what} holds a NUL character at position {text.index(chr(0))}: PostgreSQL's texts cannot")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as exc:
        raise DataError(f"{what} holds a lone surrogate at position {exc.start}: UTF-8 has no bytes for it") from None


def array(items: list, registry: object) -> str:
    """A list: of texts as one string whose type the server infers, of anything else with ARRAY[...]."""
    leaves = [leaf for leaf in _every(items) if leaf is not None]
    if all(isinstance(leaf, str) for leaf in leaves):
        return quoted(_braces(items))
    return "ARRAY[" + ", ".join([literal(item, registry) for item in items]) + "]"


def _braces(items: list) -> str:
    parts = []
    for item in items:
        if isinstance(item, list):
            parts.append(_braces(item))
        elif item is None:
            parts.append("NULL")
        else:
            parts.append('"' + str.__str__(item).replace("\\", "\\\\").replace('"', '\\"') + '"')
    return "{" + ",".join(parts) + "}"


def encoded(value: object, registry) -> str:
    """Any other value by its codec, where that writes text."""
    codec = registry.codec_for(value)
    if codec.name in ("json", "jsonb"):
        codec = registry.by_name["json"]
    elif codec.encode_format != 0:
        kind = type(value)
        raise ProgrammingError(
            f"a value of type {kind.__module__}.{kind.__qualname__} has no text form here ({codec.name} is sent in binary): "
            "pass it as a parameter, or write its text and a cast"
        )
    out = OutBuf(256)
    codec.encode(out, value)
    text = bytes(out.store[4 : out.pos]).decode("utf-8")
    cast = f"::{registry.codec_for(value).name}" if codec.oid else ""
    return quoted(text) + cast
