"""Protocols 3.0 and 3.2: what is asked for, what a server may negotiate, and keys of every length."""

from __future__ import annotations

from typing import Any

import pytest
from tests.kit import messages as m
from tests.unit.playing import feed
from tests.unit.recorded import GREETING, PROTOCOL_3_0, PROTOCOL_3_2, log_in

from howdah.config.conninfo import target_of
from howdah.core.session import Session
from howdah.errors import NotSupportedError, ProgrammingError, ProtocolError
from howdah.wire.frontend import cancel_request

VERSIONS = {"3.0": PROTOCOL_3_0, "3.2": PROTOCOL_3_2}
BOTH = (PROTOCOL_3_0, PROTOCOL_3_2)


def asked(versions: tuple[int, int]) -> tuple[Session, Any, m.Message]:
    session = Session()
    (operation,) = log_in(None, versions)(session)
    (message,) = m.split(session.data_to_send())
    return session, operation, message


@pytest.mark.parametrize(
    ("oldest", "newest", "versions"),
    [
        ("", "", "3.0 3.0"),
        ("3.0", "", "3.0 3.0"),
        ("", "3.0", "3.0 3.0"),
        ("", "3.2", "3.0 3.2"),
        ("", "latest", "3.0 3.2"),
        ("3.0", "latest", "3.0 3.2"),
        ("3.2", "", "3.2 3.2"),
        ("latest", "", "3.2 3.2"),
        ("3.2", "latest", "3.2 3.2"),
    ],
)
def test_the_settings_mean_what_they_mean_to_libpq(oldest: str, newest: str, versions: str) -> None:
    target = target_of("host=h user=u", {"min_protocol_version": oldest, "max_protocol_version": newest})
    assert target.protocol_versions == tuple(VERSIONS[word] for word in versions.split())


@pytest.mark.parametrize("value", ["3", "3.1", "3.3", "4.0", "Latest", "196610"])
@pytest.mark.parametrize("key", ["min_protocol_version", "max_protocol_version"])
def test_other_versions_are_refused(key: str, value: str) -> None:
    with pytest.raises(ProgrammingError, match=key):
        target_of("host=h user=u", {key: value})


@pytest.mark.parametrize("oldest", ["3.2", "latest"])
def test_the_oldest_must_not_be_newer_than_the_newest(oldest: str) -> None:
    with pytest.raises(ProgrammingError, match="newer than max_protocol_version"):
        target_of("host=h user=u", {"min_protocol_version": oldest, "max_protocol_version": "3.0"})


@pytest.mark.parametrize("newest", [PROTOCOL_3_0, PROTOCOL_3_2])
def test_the_startup_message_asks_for_the_newest(newest: int) -> None:
    session, _, message = asked((PROTOCOL_3_0, newest))
    assert m.decode_frontend(message)["version"] == newest
    assert session.protocol_version == newest


@pytest.mark.parametrize("size", [4, 5, 32, 255, 256])
def test_protocol_3_2_has_cancel_keys_of_4_to_256_bytes(size: int) -> None:
    session, operation, _ = asked(BOTH)
    key = bytes(range(256))[:size]
    feed(session, b"".join([m.auth_ok(), m.backend_key_data(4711, key), m.ready()]))
    assert (operation.done, operation.error, session.protocol_version) == (True, None, PROTOCOL_3_2)
    assert (session.backend_pid, session.backend_key) == (4711, key)
    assert cancel_request(4711, key) == m.cancel_request(4711, key)


@pytest.mark.parametrize("size", [0, 1, 3, 257, 300])
def test_cancel_keys_of_other_lengths_are_a_violation_in_3_2(size: int) -> None:
    session, operation, _ = asked(BOTH)
    feed(session, m.auth_ok() + m.message("K", bytes(4 + size)))
    assert isinstance(operation.error, ProtocolError) and session.closed


@pytest.mark.parametrize("negotiated", [False, True])
@pytest.mark.parametrize("size", [3, 5, 32, 256])
def test_protocol_3_0_has_cancel_keys_of_4_bytes(size: int, negotiated: bool) -> None:
    session, operation, _ = asked(BOTH if negotiated else (PROTOCOL_3_0, PROTOCOL_3_0))
    if negotiated:
        feed(session, m.negotiate_protocol_version(PROTOCOL_3_0))
    feed(session, m.auth_ok() + m.message("K", bytes(4 + size)))
    assert isinstance(operation.error, ProtocolError) and session.closed


def test_a_server_may_negotiate_down_once() -> None:
    session, operation, _ = asked(BOTH)
    feed(session, b"".join([m.negotiate_protocol_version(PROTOCOL_3_0), m.auth_ok(), *GREETING]))
    assert (operation.done, operation.error, session.protocol_version) == (True, None, PROTOCOL_3_0)


NEGOTIATIONS: dict[str, tuple[tuple[int, int], bytes, type, str]] = {
    "upward": (BOTH, m.negotiate_protocol_version(PROTOCOL_3_2 + 1), ProtocolError, "newer than"),
    "upward from 3.0": (
        (PROTOCOL_3_0, PROTOCOL_3_0), m.negotiate_protocol_version(PROTOCOL_3_2), ProtocolError, "newer than",
    ),
    "to 4.0": (BOTH, m.negotiate_protocol_version(4 << 16), ProtocolError, "newer than"),
    "to 3.1": (BOTH, m.negotiate_protocol_version(PROTOCOL_3_0 + 1), ProtocolError, "3.1"),
    "to 2.0": (BOTH, m.negotiate_protocol_version(2 << 16), NotSupportedError, "2.0"),
    "to 0": (BOTH, m.negotiate_protocol_version(0), NotSupportedError, "0.0"),
    "to less than the oldest that will do": (
        (PROTOCOL_3_2, PROTOCOL_3_2), m.negotiate_protocol_version(PROTOCOL_3_0), NotSupportedError, "min_protocol_version=3.2",
    ),
    "to nothing else": (BOTH, m.negotiate_protocol_version(PROTOCOL_3_2), ProtocolError, "changes nothing"),
    "an option that was not sent": (
        BOTH, m.negotiate_protocol_version(PROTOCOL_3_0, "_pq_.x"), ProtocolError, "_pq_.x",
    ),
    "a negative count of options": (
        BOTH, m.message("v", PROTOCOL_3_0.to_bytes(4, "big") + b"\xff\xff\xff\xff"), ProtocolError, "-1",
    ),
    "twice": (BOTH, m.negotiate_protocol_version(PROTOCOL_3_0) * 2, ProtocolError, "out of place"),
    "behind authentication": (
        BOTH, m.auth_ok() + m.negotiate_protocol_version(PROTOCOL_3_0), ProtocolError, "out of place",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", NEGOTIATIONS)
def test_a_negotiation_that_is_none_is_refused(name: str) -> None:
    versions, answer, kind, words = NEGOTIATIONS[name]
    session, operation, _ = asked(versions)
    feed(session, answer)
    assert session.closed and operation.done
    assert type(operation.error) is kind, operation.error
    assert words in str(operation.error)


@pytest.mark.parametrize(("newest", "hinted"), [(PROTOCOL_3_0, False), (PROTOCOL_3_2, True)])
def test_a_pooler_that_refuses_3_2_is_answered_with_what_to_do(newest: int, hinted: bool) -> None:
    session, operation, _ = asked((PROTOCOL_3_0, newest))
    feed(session, m.error("bad packet header", "08P01", "FATAL"))
    assert "bad packet header" in str(operation.error)
    assert ("max_protocol_version=3.0" in str(operation.error)) is hinted
