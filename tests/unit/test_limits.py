"""The caps, both ways: what is refused, before memory is taken for it and before a byte of it leaves."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from tests.kit import messages as m
from tests.unit.playing import connected_session, feed, run
from tests.unit.recorded import PASSWORD, log_in

from howdah.auth.scram import MAX_ITERATIONS, MAX_NONCE_BYTES, Scram
from howdah.core.session import Session
from howdah.errors import DataError, Error, ProgrammingError, ProtocolError
from howdah.wire import limits
from howdah.wire.inbuf import DEFAULT_CAPACITY, InBuf
from howdah.wire.outbuf import OutBuf

GIB = 1 << 30
MAX_PARAMETERS = 65535
MAX_IDLE_CAPACITY = 256 * 1024


def asking(sql: str = "SELECT 1") -> tuple[Session, Any]:
    session = connected_session()
    (operation,) = run(sql)(session)
    operation.sent = True
    session.data_to_send()
    return session, operation


def refused(session: Session, operation: Any) -> None:
    assert session.closed and operation.done
    assert isinstance(operation.error, ProtocolError), operation.error


# -- from the server


@pytest.mark.parametrize("kind", "CZ123nsISKRVGHWcA")
def test_only_messages_that_hold_data_may_be_long(kind: str) -> None:
    session, operation = asking()
    feed(session, m.message(kind, b"", length=limits.MAX_SHORT_BYTES + 1))
    refused(session, operation)


@pytest.mark.parametrize("kind", "TDdEN")
@pytest.mark.parametrize("size", [limits.MAX_SHORT_BYTES + 1, limits.MAX_MESSAGE_BYTES])
def test_a_length_alone_takes_no_memory(kind: str, size: int) -> None:
    session, _ = asking()
    feed(session, m.message(kind, b"", length=size))
    assert not session.closed
    assert len(session.inbuf.store) <= DEFAULT_CAPACITY
    feed(session, bytes(100_000))
    assert session.closed or len(session.inbuf.store) <= 4 * 100_000


@pytest.mark.parametrize("kind", "TDdEN")
def test_a_message_of_a_gibibyte_is_refused_at_its_header(kind: str) -> None:
    session, operation = asking()
    feed(session, m.message(kind, b"", length=limits.MAX_MESSAGE_BYTES + 1))
    refused(session, operation)


@pytest.mark.parametrize("kind", "RENv")
def test_a_long_message_before_authentication_is_refused_at_its_header(kind: str) -> None:
    session = Session()
    (operation,) = log_in()(session)
    feed(session, m.message(kind, b"", length=limits.MAX_PRE_AUTH_BYTES + 1))
    refused(session, operation)


def test_the_buffer_shrinks_again_behind_a_large_message() -> None:
    inbuf = InBuf()
    inbuf.feed(bytes(8 << 20))
    assert len(inbuf.store) >= 8 << 20
    inbuf.start = inbuf.end
    for _ in range(12):
        inbuf.feed(b"small")
        inbuf.start = inbuf.end
    inbuf.get_buffer()
    assert len(inbuf.store) == MAX_IDLE_CAPACITY


def test_the_buffer_does_not_shrink_while_large_messages_come() -> None:
    inbuf = InBuf()
    inbuf.feed(bytes(4 << 20))
    for _ in range(3):
        inbuf.start = inbuf.end
        store = inbuf.store
        inbuf.feed(bytes(3 << 20))
        assert inbuf.store is store


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("T", b"\xff\xff"),
        ("T", b"\x00\x02" + m.row_description("a")[7:]),
        ("D", b"\xff\xff" + b"\xff\xff\xff\xff" * 3),
        ("D", b"\x00\x01\xff\xff\xff\xfe"),
        ("D", b"\x00\x01\x80\x00\x00\x00"),
        ("D", b"\x00\x01\x7f\xff\xff\xff"),
        ("D", b"\x00\x01\x00\x00\x00\x01xy"),
        ("G", b"\0\xff\xff"),
        ("H", b"\0\x00\x01"),
    ],
)
def test_counts_and_lengths_are_held_to_their_message(kind: str, body: bytes) -> None:
    session, operation = asking()
    if kind == "D":
        feed(session, m.row_description("a"))
    feed(session, m.message(kind, body))
    refused(session, operation)


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("C", b"SELECT 1"), ("C", b"SELECT\x00 1\0"), ("S", b"a\0b"), ("S", b"a"), ("A", b"\0\0\0\1c\0p"),
        ("E", b"Mno\0"), ("N", b"Mno"),
    ],
)  # fmt: skip
def test_a_string_ends_within_its_message_and_nothing_is_left_over(kind: str, body: bytes) -> None:
    session, operation = asking()
    feed(session, m.message(kind, body))
    refused(session, operation)
    session, operation = asking()
    feed(session, m.message(kind, body + b"\0\0x"))
    refused(session, operation)


def test_a_tag_that_is_no_utf_8_is_a_violation() -> None:
    session, operation = asking()
    feed(session, m.message("C", b"SELECT \xff\0"))
    refused(session, operation)


def test_settings_are_kept_up_to_a_number() -> None:
    session, operation = asking()
    for number in range(limits.MAX_KEPT_PARAMETERS):
        feed(session, m.parameter_status(f"ext.{number}", "x"))
    feed(session, m.parameter_status("ext.0", "y"))
    assert not session.closed and session.parameters["ext.0"] == "y"
    feed(session, m.parameter_status("one.more", "x"))
    refused(session, operation)


def test_the_newest_notices_are_kept() -> None:
    session, _ = asking()
    for number in range(limits.MAX_KEPT_NOTICES + 5):
        feed(session, m.notice(str(number)))
    assert session.notices[0]["M"] == "5"
    assert len(session.notices) == limits.MAX_KEPT_NOTICES


def test_few_notices_are_kept_before_authentication() -> None:
    session = Session()
    log_in()(session)
    for _ in range(limits.MAX_KEPT_NOTICES):
        feed(session, m.notice("x"))
    assert len(session.notices) == limits.MAX_KEPT_NOTICES_PRE_AUTH


def test_of_a_large_notice_the_beginning_is_kept() -> None:
    session, _ = asking()
    feed(session, m.notice("ä" * 1_000_000, message_detail="d"))
    (notice,) = session.notices
    assert notice["M"] == "ä" * (limits.MAX_NOTICE_FIELD_BYTES // 2) + "..."
    assert notice["D"] == "d"


def test_of_a_large_field_of_an_error_the_beginning_is_kept() -> None:
    session, operation = asking()
    feed(session, m.error("x" * (3 << 20), "22P02", message_hint="h") + m.ready())
    assert operation.done and not session.closed
    assert operation.error.sqlstate == "22P02"
    assert operation.error.diag.message_hint == "h"
    assert len(operation.error.diag.message_primary) == limits.MAX_ERROR_FIELD_BYTES + 3


def test_an_error_before_authentication_is_short_and_marked() -> None:
    session = Session()
    (operation,) = log_in()(session)
    feed(session, m.error("\x1b[31m" + "x" * 50_000, "28000", "FATAL", message_detail="y" * 10_000))
    text = str(operation.error)
    assert "before authentication" in text and "\x1b" not in text
    assert len(text) <= 4096


@pytest.mark.parametrize("payload", ["", "p" * 7999])
def test_a_notification_of_any_size_that_a_server_sends_is_taken(payload: str) -> None:
    session, _ = asking()
    feed(session, m.notification(1, "c" * 63, payload))
    assert list(session.notifications) == [(1, "c" * 63, payload)]


# -- SCRAM


def first(**changes: str) -> bytes:
    return ",".join(f"{name}={value}" for name, value in changes.items()).encode()


def challenged(message: bytes) -> None:
    scram = Scram(PASSWORD)
    scram.challenge(message.replace(b"NONCE", scram.nonce))


def test_the_iteration_count_is_capped_before_any_hashing() -> None:
    challenged(first(r="NONCEx", s="c2FsdA==", i=str(MAX_ITERATIONS)))
    for count in (MAX_ITERATIONS + 1, 2**31, 2**63, 10**20):
        with pytest.raises(ProtocolError, match="iteration"):
            challenged(first(r="NONCEx", s="c2FsdA==", i=str(count)))


@pytest.mark.parametrize("count", ["0", "-1", "+1", " 1", "1 ", "1e3", "", "\u0661"])
def test_an_iteration_count_that_is_none(count: str) -> None:
    with pytest.raises(ProtocolError):
        challenged(first(r="NONCEx", s="c2FsdA==", i=count))


def test_the_nonce_is_capped() -> None:
    with pytest.raises(ProtocolError, match="nonce"):
        challenged(first(r="NONCE" + "x" * MAX_NONCE_BYTES, s="c2FsdA==", i="4096"))


def test_the_challenge_is_capped() -> None:
    with pytest.raises(ProtocolError):
        challenged(first(r="NONCEx", s="AAAA" * 2000, i="4096"))


# -- to the server


class Vast:
    """A buffer that is far larger than memory, made of pages that nobody touches."""

    def __init__(self, size: int) -> None:
        import mmap

        flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | getattr(mmap, "MAP_NORESERVE", 0)
        self.view = memoryview(mmap.mmap(-1, size, flags=flags))


def resident_kib() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4


@pytest.mark.skipif(sys.platform != "linux", reason="asks for 4 GiB of address space that it does not use")
@pytest.mark.parametrize("size", [GIB - 1, GIB, (1 << 31) - 1, (1 << 31) + 1, (1 << 32) + 64])
def test_a_parameter_larger_than_a_message_is_refused_before_it_is_copied(size: int) -> None:
    session = connected_session()
    vast = Vast(size)
    before = resident_kib()
    with pytest.raises(DataError):
        run("SELECT %s", [vast.view])(session)
    assert resident_kib() - before < 64 * 1024
    assert session.data_to_send() == b""
    session.check_usable()


def test_parameters_that_are_too_large_together_are_refused_before_they_are_copied() -> None:
    out = OutBuf()
    at = out.begin(66)
    vast = Vast(GIB)
    before = resident_kib() if sys.platform == "linux" else 0
    out.put_buffer(vast.view[:1000])
    with pytest.raises(DataError):
        out.put_buffer(vast.view[: GIB - 1000])
    if sys.platform == "linux":
        assert resident_kib() - before < 64 * 1024
    out.rewind(at - 1)
    assert out.take() == b""


def test_a_message_of_the_largest_size_is_counted_from_its_own_begin() -> None:
    out = OutBuf()
    for _ in range(3):
        at = out.begin(66)
        out.put_bytes(bytes(1000))
        out.finish(at)
        assert out.message_at == out.pos
    out.rewind(100)
    assert out.message_at == 100
    assert len(out.take()) == 100
    assert out.message_at == 0


@pytest.mark.parametrize("count", [MAX_PARAMETERS + 1, MAX_PARAMETERS + 2, 2 * MAX_PARAMETERS])
def test_more_parameters_than_the_protocol_counts_are_refused(count: int) -> None:
    session = connected_session()
    with pytest.raises(ProgrammingError, match="65535"):
        run("SELECT " + ",".join(["%s"] * count), [None] * count)(session)
    assert session.data_to_send() == b""
    session.check_usable()


def test_as_many_parameters_as_the_protocol_counts_are_sent() -> None:
    session = connected_session()
    run("SELECT " + ",".join(["%s"] * MAX_PARAMETERS), [None] * MAX_PARAMETERS)(session)
    (parse, bind, *_) = m.split(session.data_to_send(), started=True)
    assert m.decode_frontend(parse)["oids"] == [0] * MAX_PARAMETERS
    assert len(m.decode_frontend(bind)["values"]) == MAX_PARAMETERS


@pytest.mark.parametrize("params", [None, (1,)])
def test_a_nul_in_the_query_is_refused(params: Any) -> None:
    session = connected_session()
    with pytest.raises(ProgrammingError, match="NUL"):
        run("SELECT 1\0; DROP TABLE t -- %s" if params else "SELECT\0 1", params)(session)
    assert session.data_to_send() == b""


@pytest.mark.parametrize("value", ["a\0b", ["a\0b"]])
def test_a_nul_in_a_text_parameter_is_refused(value: Any) -> None:
    session = connected_session()
    with pytest.raises(DataError, match="NUL"):
        run("SELECT %s", [value])(session)
    assert session.data_to_send() == b""


@pytest.mark.parametrize("name", ["user", "database", "a\0b"])
def test_a_nul_in_a_startup_parameter_is_refused(name: str) -> None:
    from howdah.core.startup import Startup

    session = Session()
    with pytest.raises(Error, match="NUL"):
        Startup({"user": "u", name: "x\0user\0postgres" if "\0" not in name else "x"}, None).begin(session)
    assert session.data_to_send() == b""
