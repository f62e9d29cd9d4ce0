"""wire.backend: every reader on what servers send, on every truncation of it, and on numbers that lie."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.kit import messages as m
from tests.kit.properties import examples

from howdah.errors import ProtocolError
from howdah.wire import backend, tags

PROTOCOL_3_0, PROTOCOL_3_2 = 196608, 196610


class Case(NamedTuple):
    reader: Callable[[bytes], Any]
    message: bytes
    value: Any


def key_of(version: int) -> Callable[[bytes], Any]:
    return lambda body: backend.read_backend_key(body, version)


CASES = {
    "RowDescription": Case(
        backend.read_row_description,
        m.row_description(
            m.Column("id", 23, 1, 4, -1, 16384, 1),
            m.Column("имя", 25, 0),
            m.Column("", 4294967295, 0, -2, 2**31 - 1, 2**32 - 1, -3),
        ),
        (
            ("id", 16384, 1, 23, 4, -1, 1),
            ("имя", 0, 0, 25, -1, -1, 0),
            ("", 2**32 - 1, -3, 2**32 - 1, -2, 2**31 - 1, 0),
        ),
    ),
    "RowDescription, no columns": Case(backend.read_row_description, m.row_description(), ()),
    "ErrorResponse": Case(
        backend.read_error_fields,
        m.error("no", "42601", "ERROR", statement_position="7", constraint_name=""),
        {"S": "ERROR", "V": "ERROR", "C": "42601", "M": "no", "P": "7", "n": ""},
    ),
    "ErrorResponse, no fields": Case(backend.read_error_fields, m.message("E", b"\0"), {}),
    "ErrorResponse, not UTF-8": Case(
        backend.read_error_fields, m.message("E", b"M\xe9t\xe9\0\0"), {"M": "\ufffdt\ufffd"}
    ),
    "ParameterStatus": Case(
        backend.read_parameter_status, m.parameter_status("TimeZone", "Europe/Paris"), ("TimeZone", "Europe/Paris")
    ),
    "BackendKeyData 3.0": Case(key_of(PROTOCOL_3_0), m.backend_key_data(4711, 0xFFFFFFFE), (4711, b"\xff\xff\xff\xfe")),
    "BackendKeyData 3.2": Case(key_of(PROTOCOL_3_2), m.backend_key_data(-1, b"k" * 256), (2**32 - 1, b"k" * 256)),
    "Authentication": Case(backend.read_authentication, m.auth_md5_password(b"salt"), (5, b"salt")),
    "SASL mechanisms": Case(
        lambda body: backend.read_sasl_mechanisms(body[4:]),
        m.auth_sasl("SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"),
        ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"],
    ),
    "NotificationResponse": Case(backend.read_notification, m.notification(77, "канал", ""), (77, "канал", "")),
    "ParameterDescription": Case(
        backend.read_parameter_description, m.message("t", struct.pack("!H2I", 2, 23, 2**32 - 1)), (23, 2**32 - 1)
    ),
    "NegotiateProtocolVersion": Case(
        backend.read_negotiate_version,
        m.negotiate_protocol_version(PROTOCOL_3_0, "_pq_.a", "_pq_.b"),
        (PROTOCOL_3_0, ["_pq_.a", "_pq_.b"]),
    ),
}
every_case = pytest.mark.parametrize("case", CASES.values(), ids=CASES)


@every_case
def test_reads(case: Case) -> None:
    assert case.reader(case.message[5:]) == case.value


@every_case
def test_every_truncation_is_an_error(case: Case) -> None:
    body = case.message[5:]
    prefix = 4 if case.message[0:1] == b"R" else 0  # the caller has read the method's code
    for cut in range(prefix, len(body)):
        if case.message[:1] == b"R" and case.value[0] == 5:
            break  # what follows the code is for the mechanism to judge
        if case.message[:1] == b"K" and cut >= 8 and len(case.value[1]) > 4:
            continue  # a shorter cancel key is a cancel key
        with pytest.raises(ProtocolError):
            case.reader(body[:cut])


@every_case
def test_a_byte_too_much_is_an_error(case: Case) -> None:
    if case.value == (5, b"salt"):
        assert case.reader(case.message[5:] + b"x") == (5, b"saltx")
        return
    with pytest.raises(ProtocolError):
        case.reader(case.message[5:] + b"x")


@pytest.mark.parametrize("reader", [case.reader for case in CASES.values()], ids=list(CASES))
@examples(150)
@given(st.binary(max_size=60))
def test_noise_is_read_or_refused(reader: Callable[[bytes], Any], body: bytes) -> None:
    try:
        reader(body if reader is not CASES["SASL mechanisms"].reader else bytes(4) + body)
    except ProtocolError:
        pass


@pytest.mark.parametrize("count", [0, 1, 3, 0x7FFF, 0x8000, 0xFFFF])
def test_a_column_count_that_lies(count: int) -> None:
    body = m.row_description("a", "b")[5:]
    with pytest.raises(ProtocolError):
        backend.read_row_description(struct.pack("!H", count) + body[2:])


@pytest.mark.parametrize("form", [2, -1, 0x7FFF])
def test_an_unknown_format(form: int) -> None:
    with pytest.raises(ProtocolError, match="format"):
        backend.read_row_description(m.row_description(m.Column("a", 25, form))[5:])


@pytest.mark.parametrize("count", [1, 3, 0xFFFF])
def test_a_parameter_count_that_lies(count: int) -> None:
    with pytest.raises(ProtocolError):
        backend.read_parameter_description(struct.pack("!H2I", count, 1, 2))


@pytest.mark.parametrize("count", [0, 1, 3, -1, -(2**31), 2**31 - 1])
def test_an_option_count_that_lies(count: int) -> None:
    with pytest.raises(ProtocolError):
        backend.read_negotiate_version(struct.pack("!ii", 196608, count) + b"a\0b\0")


@pytest.mark.parametrize("length", [0, 3, 5, 8, 257])
def test_cancel_keys_of_the_wrong_length(length: int) -> None:
    with pytest.raises(ProtocolError, match="cancel key"):
        backend.read_backend_key(bytes(4 + length), PROTOCOL_3_0)


@pytest.mark.parametrize(
    ("tag", "count"),
    [
        ("SELECT 100", 100),
        ("INSERT 0 5", 5),
        ("INSERT 0 0", 0),
        ("UPDATE 18446744073709551615", 2**64 - 1),
        ("COPY 3", 3),
        ("MERGE 2", 2),
        ("FETCH 1", 1),
        ("CREATE TABLE", -1),
        ("BEGIN", -1),
        ("", -1),
        ("SELECT ", -1),
        ("SELECT -1", -1),
        ("CREATE TABLE AS", -1),
    ],
)
def test_command_tags(tag: str, count: int) -> None:
    assert tags.rows_affected(tag) == count
