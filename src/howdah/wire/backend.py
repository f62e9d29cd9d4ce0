"""Messages from the server, taken apart (PostgreSQL manual, "Message Formats"), of protocols 3.0 and 3.2.

Each reader gets the body of one message as bytes and proves every count, length and NUL against it; what does not
add up is a ProtocolError. DataRow is not here: core.rows reads it in place.
"""

from __future__ import annotations

from howdah.errors import ProtocolError
from howdah.wire.bytes import probe
from howdah.wire.limits import MAX_ERROR_FIELD_BYTES


def _cut_string(body: bytes, at: int, what: str) -> tuple:
    end = body.find(b"\0", at)
    if end < 0:
        raise ProtocolError(f"{what} does not end within its message")
    try:
        return body[at:end].decode("utf-8"), end + 1
    except UnicodeDecodeError:
        # an error in the server's own encoding, before it knows ours: keep what can be read
        return body[at:end].decode("utf-8", "replace"), end + 1


def _end(body: bytes, at: int, what: str) -> None:
    if at != len(body):
        raise ProtocolError(f"{len(body) - at} bytes are left over behind {what}")


def _i16(body: bytes, at: int) -> int:
    return probe("i16", body, at, 2)


def _i32(body: bytes, at: int) -> int:
    return probe("i32", body, at, 4)


def _need(body: bytes, at: int, count: int, what: str) -> None:
    if len(body) - at < count:
        raise ProtocolError(f"{what} is cut short")


def read_row_description(body: bytes) -> tuple:
    """A tuple of (name, table OID, column number, type OID, type size, type modifier, format) a column."""
    _need(body, 0, 2, "RowDescription")
    count = probe("u16", body, 0, 2)
    if count > (len(body) - 2) // 19:
        raise ProtocolError(f"a RowDescription of {count} columns in {len(body)} bytes")
    at = 2
    columns = []
    for _ in range(count):
        name, at = _cut_string(body, at, "a column's name")
        _need(body, at, 18, "RowDescription")
        form = _i16(body, at + 16)
        if form != 0 and form != 1:
            raise ProtocolError(f"column {name!r} in format {form}")
        columns.append(
            (
                name,
                probe("u32", body, at, 4),
                _i16(body, at + 4),
                probe("u32", body, at + 6, 4),
                _i16(body, at + 10),
                _i32(body, at + 12),
                form,
            )
        )
        at += 18
    _end(body, at, "RowDescription")
    return tuple(columns)


def read_error_fields(body: bytes, max_field_bytes: int = MAX_ERROR_FIELD_BYTES) -> dict:
    """The fields of ErrorResponse and NoticeResponse, by letter; a longer one is cut and ends in "..."."""
    fields = {}
    at = 0
    while True:
        _need(body, at, 1, "an ErrorResponse")
        letter = body[at]
        at += 1
        if letter == 0:
            break
        end = body.find(b"\0", at)
        if end - at > max_field_bytes:
            fields[chr(letter)] = body[at : at + max_field_bytes].decode("utf-8", "ignore") + "..."
            at = end + 1
            continue
        fields[chr(letter)], at = _cut_string(body, at, "a field of an ErrorResponse")
    _end(body, at, "an ErrorResponse")
    return fields


def read_command_tag(body: bytes) -> str:
    tag, at = _cut_string(body, 0, "CommandComplete")
    _end(body, at, "CommandComplete")
    return tag


def read_copy_response(body: bytes) -> tuple:
    """(overall format, format of each column) of CopyIn-, CopyOut- and CopyBothResponse."""
    _need(body, 0, 3, "a CopyResponse")
    count = probe("u16", body, 1, 2)
    if len(body) != 3 + 2 * count:
        raise ProtocolError(f"a CopyResponse of {count} columns in {len(body)} bytes")
    return body[0], tuple(_i16(body, 3 + 2 * i) for i in range(count))


def read_parameter_status(body: bytes) -> tuple:
    name, at = _cut_string(body, 0, "ParameterStatus")
    value, at = _cut_string(body, at, "ParameterStatus")
    _end(body, at, "ParameterStatus")
    return name, value


def read_backend_key(body: bytes, version: int) -> tuple:
    """(process ID, cancel key). Protocol 3.0 has keys of exactly 4 bytes, 3.2 of 4 to 256."""
    _need(body, 0, 4, "BackendKeyData")
    key = body[4:]
    if len(key) < 4 or len(key) > 256 or (version == 196608 and len(key) != 4):
        raise ProtocolError(f"a cancel key of {len(key)} bytes")
    return probe("u32", body, 0, 4), key


def read_authentication(body: bytes) -> tuple:
    """(method code, the rest)."""
    _need(body, 0, 4, "an Authentication message")
    return _i32(body, 0), body[4:]


def read_sasl_mechanisms(body: bytes) -> list:
    mechanisms = []
    at = 0
    while True:
        name, at = _cut_string(body, at, "the list of SASL mechanisms")
        if not name:
            break
        mechanisms.append(name)
    _end(body, at, "the list of SASL mechanisms")
    return mechanisms


def read_notification(body: bytes) -> tuple:
    """(process ID, channel, payload)."""
    _need(body, 0, 4, "NotificationResponse")
    channel, at = _cut_string(body, 4, "NotificationResponse")
    payload, at = _cut_string(body, at, "NotificationResponse")
    _end(body, at, "NotificationResponse")
    return probe("u32", body, 0, 4), channel, payload


def read_parameter_description(body: bytes) -> tuple:
    """The OIDs of a statement's parameters."""
    _need(body, 0, 2, "ParameterDescription")
    count = probe("u16", body, 0, 2)
    if len(body) != 2 + 4 * count:
        raise ProtocolError(f"a ParameterDescription of {count} parameters in {len(body)} bytes")
    return tuple(probe("u32", body, 2 + 4 * i, 4) for i in range(count))


def read_negotiate_version(body: bytes) -> tuple:
    """(the protocol version that the server goes on with, as in a StartupMessage; the options that it does not know)."""
    _need(body, 0, 8, "NegotiateProtocolVersion")
    count = _i32(body, 4)
    if count < 0 or count > len(body) - 8:
        raise ProtocolError(f"{count} protocol options in {len(body)} bytes")
    options = []
    at = 8
    for _ in range(count):  # at least a byte each, so the count is bounded by what arrived
        name, at = _cut_string(body, at, "NegotiateProtocolVersion")
        options.append(name)
    _end(body, at, "NegotiateProtocolVersion")
    return _i32(body, 0), options
