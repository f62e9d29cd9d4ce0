"""Faults of a session that is under way: a clear typed error, a broken connection, nothing left behind."""

from __future__ import annotations

import inspect
import time
from collections.abc import Iterator
from typing import Any

import pytest
from tests.kit import messages as m
from tests.kit.pgmock import ClientMayLeave, Close, Do, PgMock, Reset, Send, Session, Silent, Step, trust_login

import howdah
from howdah import errors

CONNECT = {"sync": howdah.connect, "async": howdah.AsyncConnection.connect}
SLACK_S = 2.0
SQL = "select %s as x"
PARAMS = ["a"]  # with parameters a query goes by Parse, Bind, Describe, Execute, Sync

pytestmark = pytest.mark.usefixtures("no_leaks")


@pytest.fixture(params=CONNECT)
def face(request: pytest.FixtureRequest) -> str:
    """Which of the two shells connects."""
    return str(request.param)


async def done(result: Any) -> Any:
    """The value of a call, awaited when it came from the async shell."""
    return await result if inspect.isawaitable(result) else result


# --- The server's side


def right_answer(asked: list[m.Message]) -> bytes:
    """What a server says to the messages up to Sync."""
    described = m.row_description("x")
    said = b""
    for message in asked:
        if message.type == "D":
            said += (m.parameter_description() if message.body[:1] == b"S" else b"") + described
        else:
            said += {
                "P": m.parse_complete(),
                "B": m.bind_complete(),
                "E": m.data_row("a") + m.command_complete("SELECT 1"),
                "C": m.close_complete(),
                "S": m.ready(),
            }[message.type]
    return said


def read_question(session: Session) -> list[m.Message]:
    asked = [session.read()]
    while asked[-1].type != "S":
        asked.append(session.read())
    return asked


ANSWER = Do(lambda session: session.send(right_answer(read_question(session))))
QUESTION = Do(read_question)


def part_of_answer(count: int) -> Step:
    """The first ``count`` bytes of the right answer."""
    return Do(lambda session: session.send(right_answer(read_question(session))[:count]))


# --- The client's side


async def broken_by(face: str, *steps: Step) -> howdah.Error:
    """The error of a query that meets ``steps``; then the connection is broken and says so."""
    with PgMock([*trust_login(), ANSWER, ClientMayLeave(), *steps]) as mock:
        conn = await done(CONNECT[face](mock.dsn, autocommit=True, prepare_threshold=None))
        assert await done((await done(conn.execute(SQL, PARAMS))).fetchall()) == [("a",)]
        cursor = conn.cursor()
        began = time.monotonic()
        with pytest.raises(howdah.Error) as caught:
            await done(cursor.execute(SQL, PARAMS))
        assert time.monotonic() - began < SLACK_S
        assert conn.broken and conn.closed
        await check_dead(conn, cursor)
        assert conn.closed and not conn.broken
    return caught.value


async def check_dead(conn: Any, cursor: Any) -> None:
    """Each use of a broken connection fails with its reason; close() is no error."""
    for use in (
        lambda: conn.execute(SQL, PARAMS),
        lambda: cursor.execute(SQL, PARAMS),
        conn.commit,
        conn.rollback,
        conn.cursor,
    ):
        with pytest.raises(howdah.OperationalError, match="the connection is closed: it was lost earlier") as again:
            await done(use())
        assert again.value.sent is False
    await done(conn.close())
    await done(conn.close())
    with pytest.raises(howdah.InterfaceError, match="closed"):
        await done(conn.execute(SQL, PARAMS))


# --- The server goes away


@pytest.mark.parametrize("how", [Close(), Reset()], ids=["fin", "rst"])
async def test_server_goes_instead_of_answering(face: str, how: Step) -> None:
    error = await broken_by(face, QUESTION, how)
    assert type(error) is errors.OperationalError
    assert "closed the connection" in str(error) or "connection to the server was lost" in str(error)
    assert error.sent is True


async def test_a_broken_connection_has_no_descriptor(face: str) -> None:
    with PgMock([*trust_login(), ClientMayLeave(), QUESTION, Close()]) as mock:
        conn = await done(CONNECT[face](mock.dsn, autocommit=True, prepare_threshold=None))
        with pytest.raises(howdah.OperationalError):
            await done(conn.execute(SQL, PARAMS))
        with pytest.raises(howdah.InterfaceError, match="closed"):
            conn.fileno()
        await done(conn.close())


async def test_server_went_before_the_question(face: str) -> None:
    """FIN came while the connection was idle: the next use is a clear error."""
    with PgMock([*trust_login(), ClientMayLeave(), Close()]) as mock:
        conn = await done(CONNECT[face](mock.dsn, autocommit=True, prepare_threshold=None))
        mock.wait()
        with pytest.raises(errors.OperationalError, match=r"clos|lost"):
            await done(conn.execute(SQL, PARAMS))
        assert conn.broken
        await done(conn.close())


async def test_cut_anywhere_in_the_answer(face: str) -> None:
    parts = (m.row_description("x"), m.data_row("a"), m.command_complete("SELECT 1"), m.ready())
    length = len(m.parse_complete() + m.bind_complete() + b"".join(parts))
    for count in range(0, length, 3):
        error = await broken_by(face, part_of_answer(count), Close())
        assert type(error) is errors.OperationalError, f"after {count} bytes"
        assert "closed the connection unexpectedly" in str(error)


# --- The server says that it ends


@pytest.mark.parametrize(
    ("sqlstate", "kind"),
    [("57P01", errors.AdminShutdown), ("57P02", errors.CrashShutdown), ("58030", errors.IoError)],
)
async def test_fatal_instead_of_an_answer(face: str, sqlstate: str, kind: type[howdah.Error]) -> None:
    said = Send(m.error("terminating connection", sqlstate, "FATAL"))
    error = await broken_by(face, QUESTION, said, Close())
    assert type(error) is kind
    assert error.sqlstate == sqlstate
    assert "terminating connection" in str(error)


async def test_fatal_while_idle(face: str) -> None:
    """What the server said before it closed comes with the next use, also when the send already fails."""
    for end in (Close(), Reset()):
        said = Send(m.error("terminating connection", "57P01", "FATAL"))
        with PgMock([*trust_login(), ClientMayLeave(), said, end]) as mock:
            conn = await done(CONNECT[face](mock.dsn, autocommit=True, prepare_threshold=None))
            cursor = None if conn.closed else conn.cursor()
            if isinstance(end, Close):
                mock.wait()
            with pytest.raises(howdah.OperationalError) as caught:
                await done(conn.execute(SQL, PARAMS))
            assert conn.broken
            if isinstance(end, Close):
                assert "terminating connection" in str(caught.value)
            if cursor is not None:
                await check_dead(conn, cursor)
            else:
                await done(conn.close())


async def test_control_characters_in_an_error(face: str) -> None:
    said = Send(m.error("\x1b]0;title\x07 evil", "57P01", "FATAL"))
    error = await broken_by(face, QUESTION, said, Close())
    assert not any(sign in f"{error} {error!r}" for sign in "\x1b\x07")


# --- The server breaks the protocol


def wrong_answers() -> Iterator[tuple[str, bytes]]:
    good = m.parse_complete() + m.bind_complete()
    yield "unknown type", m.message("~", b"")
    yield "length 3", m.message("1", b"", length=3)
    yield "length negative", m.message("1", b"", length=-1)
    yield "body in ParseComplete", m.message("1", b"x")
    yield "authentication", m.auth_cleartext_password()
    yield "row before its description", m.data_row("a")
    yield "complete before bind", m.parse_complete() + m.command_complete("SELECT 1")
    yield "ready too early", good + m.ready()
    ended = good + m.row_description("x") + m.command_complete("SELECT 0")
    yield "status unknown", ended + m.ready("X")
    yield "long ready", ended + m.message("Z", b"II")
    yield "row too wide", good + m.row_description("x") + m.data_row("a", "b")
    yield "row past its end", good + m.row_description("x") + m.message("D", b"\0\1\0\0\0\x09abc")
    yield "row with bytes over", good + m.row_description("x") + m.message("D", b"\0\1\0\0\0\x01abc")
    yield "row with a bad length", good + m.row_description("x") + m.message("D", b"\0\1\xff\xff\xff\xfe")
    yield "description cut", good + m.message("T", b"\0\1x\0\0\0")
    yield "tag without end", good + m.row_description("x") + m.message("C", b"SELECT 1")
    yield "error without end", m.message("E", b"SERROR\0")
    yield "http", b"HTTP/1.1 400 Bad Request\r\n\r\n"


@pytest.mark.parametrize("name", dict(wrong_answers()))
async def test_wrong_answer(face: str, name: str) -> None:
    error = await broken_by(face, QUESTION, Send(dict(wrong_answers())[name]), Silent())
    assert isinstance(error, errors.ProtocolError)


async def test_message_that_announces_two_gigabytes(face: str) -> None:
    """It is refused or waited for, without memory being taken for it: the server's end ends the wait."""
    error = await broken_by(face, QUESTION, Send(m.message("1", b"", length=2**31 - 1)), Close())
    assert isinstance(error, errors.OperationalError)


async def test_error_that_answers_nothing(face: str) -> None:
    """An ERROR nobody asked for is a breach of the protocol, noticed with the next use at the latest."""
    with PgMock([*trust_login(), ANSWER, ClientMayLeave(), Send(m.error("stray"))]) as mock:
        conn = await done(CONNECT[face](mock.dsn, autocommit=True, prepare_threshold=None))
        await done(conn.execute(SQL, PARAMS))
        time.sleep(0.05)
        with pytest.raises(howdah.Error, match="stray"):
            await done(conn.execute(SQL, PARAMS))
        await done(conn.close())


async def test_client_encoding_changed(face: str) -> None:
    said = Send(m.parameter_status("client_encoding", "LATIN1"))
    error = await broken_by(face, QUESTION, said, Silent())
    assert isinstance(error, errors.InternalError)
    assert "client_encoding" in str(error)


# --- What is no fault


async def test_messages_that_may_come_at_any_time(face: str) -> None:
    """Notices, notifications and parameters between any two messages of the answer change nothing."""
    asides = m.notice("by the way") + m.notification(7, "channel", "load") + m.parameter_status("application_name", "z")

    def interleave(session: Session) -> None:
        answer = m.split(right_answer(read_question(session)), m.TO_CLIENT)
        session.send(asides + asides.join(message.raw for message in answer))

    with PgMock([*trust_login(), Do(interleave), ANSWER, ClientMayLeave(), Silent()]) as mock:
        conn = await done(CONNECT[face](mock.dsn, autocommit=True, prepare_threshold=None))
        for _ in range(2):
            assert await done((await done(conn.execute(SQL, PARAMS))).fetchall()) == [("a",)]
        assert not conn.closed
        await done(conn.close())


async def test_answer_in_single_bytes(face: str) -> None:
    def dribble(session: Session) -> None:
        answer = right_answer(read_question(session))
        for at in range(len(answer)):
            session.send(answer[at : at + 1])
            time.sleep(0.0005)

    with PgMock([*trust_login(), Do(dribble), ClientMayLeave(), Silent()]) as mock:
        conn = await done(CONNECT[face](mock.dsn, autocommit=True, prepare_threshold=None))
        assert await done((await done(conn.execute(SQL, PARAMS))).fetchall()) == [("a",)]
        await done(conn.close())


async def test_close_does_not_wait_for_a_server_that_does_not_read(face: str) -> None:
    with PgMock([*trust_login(), Silent()]) as mock:
        conn = await done(CONNECT[face](mock.dsn, autocommit=True, prepare_threshold=None))
        began = time.monotonic()
        await done(conn.close())
        assert time.monotonic() - began < 1
    assert mock.received_types == "<startup>X"
