"""Messages from the client (PostgreSQL manual, "Message Formats"), written into an OutBuf.

Text that the protocol ends with a NUL must not hold one: whoever makes the bytes has refused it (``cstring``).
"""

from __future__ import annotations

from howdah.errors import DataError, ProgrammingError

PROTOCOL_3_0 = 196608
# longer cancel keys; PostgreSQL 18 and later
PROTOCOL_3_2 = 196610
CANCEL_REQUEST = 80877102
SSL_REQUEST = 80877103

# the largest count an int16 field holds, read as unsigned by the server
MAX_PARAMETERS = 65535


def cstring(text: str, what: str) -> bytes:
    """``text`` as bytes for a NUL-ended field. Raises ProgrammingError for a NUL, DataError for a lone surrogate."""
    try:
        data = text.encode("utf-8")
    except UnicodeEncodeError as exc:
        raise DataError(f"{what} holds a lone surrogate at position {exc.start}: UTF-8 has no bytes for it") from None
    if 0 in data:
        raise ProgrammingError(f"{what} holds a NUL character: the protocol would end it there")
    return data


def write_startup(out, version: int, parameters: dict) -> None:
    """StartupMessage; the values are checked here since they end at a NUL."""
    at = out.pos
    out.put_i32(0)
    out.put_i32(version)
    for name, value in parameters.items():
        out.put_cstring(cstring(name, "a startup parameter's name"))
        out.put_cstring(cstring(value, f"the startup parameter {name!r}"))
    out.put_byte(0)
    out.finish(at)


def write_password(out, data: bytes) -> None:
    """PasswordMessage, SASLResponse: the bytes as they are."""
    at = out.begin(112)
    out.put_bytes(data)
    out.finish(at)


def write_sasl_initial(out, mechanism: str, data: bytes) -> None:
    """SASLInitialResponse."""
    at = out.begin(112)
    out.put_cstring(mechanism.encode("ascii"))
    out.put_sized(data)
    out.finish(at)


def write_query(out, sql: bytes) -> None:
    """Query: the simple protocol."""
    at = out.begin(81)
    out.put_cstring(sql)
    out.finish(at)


def write_parse(out, name: bytes, sql: bytes, oids: tuple) -> None:
    """Parse ``sql`` as the statement ``name`` (empty: the unnamed one)."""
    at = out.begin(80)
    out.put_cstring(name)
    out.put_cstring(sql)
    put_count(out, len(oids))
    for oid in oids:
        out.put_i32(oid if oid < 0x80000000 else oid - 0x100000000)
    out.finish(at)


def put_count(out, count: int) -> None:
    """An int16 count that the server reads as unsigned."""
    if count > MAX_PARAMETERS:
        raise ProgrammingError(f"{count} parameters: the protocol takes at most {MAX_PARAMETERS} in one statement")
    out.put_i16(count if count < 0x8000 else count - 0x10000)


def write_describe_portal(out) -> None:
    """Describe the unnamed portal."""
    out.put_bytes(b"D\0\0\0\6P\0")


def write_execute(out, max_rows: int) -> None:
    """Execute the unnamed portal; 0 rows means all."""
    at = out.begin(69)
    out.put_byte(0)
    out.put_i32(max_rows)
    out.finish(at)


def write_close_portal(out) -> None:
    """Close the unnamed portal; no error when there is none."""
    out.put_bytes(b"C\0\0\0\6P\0")


def write_close_statement(out, name: bytes) -> None:
    """Close the statement ``name``; no error when there is none."""
    at = out.begin(67)
    out.put_byte(83)
    out.put_cstring(name)
    out.finish(at)


def write_sync(out) -> None:
    out.put_bytes(b"S\0\0\0\4")


def write_terminate(out) -> None:
    out.put_bytes(b"X\0\0\0\4")


def write_copy_fail(out, reason: bytes) -> None:
    """CopyFail, which makes the server fail the COPY with ``reason`` in its error."""
    at = out.begin(102)
    out.put_cstring(reason)
    out.finish(at)


def cancel_request(pid: int, key: bytes) -> bytes:
    """CancelRequest, sent alone on a connection of its own."""
    body = CANCEL_REQUEST.to_bytes(4, "big") + (pid & 0xFFFFFFFF).to_bytes(4, "big") + key
    return (len(body) + 4).to_bytes(4, "big") + body
