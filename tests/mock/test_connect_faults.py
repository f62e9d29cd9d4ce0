"""Faults while connecting: each gives its own clear error in time, sends no secret and leaves nothing behind."""

from __future__ import annotations

import inspect
import socket
import time
from collections.abc import Sequence
from typing import Any

import pytest
from tests.kit import messages as m
from tests.kit import pgmock
from tests.kit.pgmock import (
    SCRAM_FAULTS,
    ClientMayLeave,
    Close,
    Do,
    PgMock,
    Reset,
    ScramServer,
    Send,
    Session,
    Silent,
    Startup,
    Step,
    login_tail,
    scram_login,
)

import howdah
from howdah import errors

CONNECT = {"sync": howdah.connect, "async": howdah.AsyncConnection.connect}
PASSWORD = "correct-horse-battery"
SLACK_S = 2.0

pytestmark = pytest.mark.usefixtures("no_leaks")


@pytest.fixture(params=CONNECT)
def face(request: pytest.FixtureRequest) -> str:
    """Which of the two shells connects."""
    return str(request.param)


async def done(result: Any) -> Any:
    """The value of a call, awaited when it came from the async shell."""
    return await result if inspect.isawaitable(result) else result


async def failure(face: str, dsn: str, *, within_s: float = SLACK_S, **settings: Any) -> howdah.Error:
    """The error of a connect, which must come in time, be clear and hold no password."""
    began = time.monotonic()
    with pytest.raises(howdah.Error) as caught:
        await done(CONNECT[face](dsn, password=PASSWORD, **settings))
    assert time.monotonic() - began < within_s
    error = caught.value
    assert len(str(error)) > 15
    assert PASSWORD not in f"{error} {error!r} {error.__cause__!r}"
    return error


async def mock_failure(face: str, script: Sequence[Step], **settings: Any) -> tuple[howdah.Error, PgMock]:
    with PgMock(script) as mock:
        error = await failure(face, mock.dsn, **settings)
    assert PASSWORD.encode() not in mock.sessions[0].raw
    return error, mock


def test_the_kit_logs_in_when_nothing_is_wrong() -> None:
    with PgMock(scram_login(PASSWORD)) as mock, howdah.connect(mock.dsn, password=PASSWORD) as conn:
        assert not conn.closed
        assert conn.info.backend_pid == 4242


# --- Nobody, or somebody else, is there


async def test_refused_port(face: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    error = await failure(face, f"host=127.0.0.1 port={port} user=u dbname=d")
    assert isinstance(error, errors.OperationalError)
    assert f"127.0.0.1:{port}" in str(error) and "refused" in str(error)
    assert error.sent is False


async def test_no_unix_socket(face: str, tmp_path: Any) -> None:
    error = await failure(face, "", host=str(tmp_path), user="u", dbname="d")
    assert isinstance(error, errors.OperationalError)
    assert str(tmp_path) in str(error) and "no such socket" in str(error)
    assert error.sent is False


async def test_unknown_host(face: str) -> None:
    error = await failure(face, "host=x.invalid user=u dbname=d connect_timeout=5", within_s=5 + SLACK_S)
    assert isinstance(error, errors.OperationalError)
    assert "x.invalid" in str(error) and "resolve" in str(error)
    assert error.sent is False


async def test_a_host_name_that_cannot_be_one(face: str) -> None:
    error = await failure(face, "", host="a" * 64 + ".invalid", user="u", dbname="d")
    assert isinstance(error, errors.OperationalError)
    assert "cannot be resolved" in str(error)


async def test_silent_server(face: str) -> None:
    began = time.monotonic()
    error, _ = await mock_failure(face, pgmock.says_nothing(), connect_timeout=0.5)
    assert isinstance(error, errors.ConnectionTimeout)
    assert time.monotonic() - began >= 0.45
    assert "connect_timeout=0.5 s" in str(error) and "127.0.0.1" in str(error)


@pytest.mark.parametrize("what", ["http", "ssh", "mysql"])
async def test_another_protocol(face: str, what: str) -> None:
    error, _ = await mock_failure(face, getattr(pgmock, f"speaks_{what}")(), connect_timeout=1)
    assert isinstance(error, errors.ProtocolError)


# --- Authentication


@pytest.mark.parametrize("fault", SCRAM_FAULTS)
async def test_scram_fault(face: str, fault: str) -> None:
    error, mock = await mock_failure(face, scram_login(PASSWORD, fault=fault), connect_timeout=5)
    assert isinstance(error, (errors.OperationalError, errors.NotSupportedError))
    assert not isinstance(error, errors.ConnectionTimeout)
    if fault == "refused":
        assert isinstance(error, errors.InvalidPassword)
    if fault in ("no_mechanism", "unknown_mechanism", "plus_without_tls"):
        assert isinstance(error, errors.ProtocolError if fault == "plus_without_tls" else errors.NotSupportedError)
        assert mock.received_types == "<startup>"
    assert "Q" not in mock.received_types and "P" not in mock.received_types


@pytest.mark.parametrize(
    ("request_", "word"),
    [
        (m.auth_kerberos_v5(), "Kerberos"),
        (m.auth_gss(), "GSSAPI"),
        (m.auth_sspi(), "SSPI"),
    ],
    ids=["kerberos", "gss", "sspi"],
)
async def test_method_that_is_refused(face: str, request_: bytes, word: str) -> None:
    error, mock = await mock_failure(face, [Startup(), ClientMayLeave(), Send(request_), Silent()])
    assert isinstance(error, errors.NotSupportedError)
    assert word in str(error) and "scram-sha-256" in str(error)
    assert mock.received_types == "<startup>"


async def test_scram_without_a_password(face: str) -> None:
    script = [Startup(), ClientMayLeave(), Send(m.auth_sasl("SCRAM-SHA-256")), Silent()]
    with PgMock(script) as mock, pytest.raises(howdah.Error, match="password") as caught:
        await done(CONNECT[face](mock.dsn))
    assert isinstance(caught.value, errors.OperationalError)
    assert mock.received_types == "<startup>"


# --- The server goes away


def scram_until(stage: str) -> Step:
    """SCRAM, given up by the server before it sends the stage's message."""

    def act(session: Session) -> None:
        session.client_may_leave = True
        server = ScramServer(PASSWORD)
        session.send(m.auth_sasl("SCRAM-SHA-256"))
        first = server.first(m.decode_sasl_initial(session.read())[1] or b"")
        if stage == "continue":
            return
        session.send(m.auth_sasl_continue(first))
        session.read()
        assert stage == "final"

    return Do(act)


def stages() -> dict[str, list[Step]]:
    """What the server does before it goes, by name."""
    greeting = m.auth_ok() + login_tail()
    found: dict[str, list[Step]] = {
        "at once": [],
        "startup read": [Startup()],
        "before SASLContinue": [Startup(), scram_until("continue")],
        "before SASLFinal": [Startup(), scram_until("final")],
    }
    ends = [message.raw for message in m.split(greeting, m.TO_CLIENT)]
    at = 0
    for number, raw in enumerate(ends):
        at += len(raw)
        if number in (0, 1, len(ends) - 2):
            found[f"after message {number} of the greeting"] = [Startup(), Send(greeting[:at])]
            found[f"inside message {number} of the greeting"] = [Startup(), Send(greeting[: at - 2])]
    return found


@pytest.mark.parametrize("how", [Close(), Reset()], ids=["fin", "rst"])
@pytest.mark.parametrize("stage", stages())
async def test_server_goes(face: str, stage: str, how: Step) -> None:
    error, _ = await mock_failure(face, [ClientMayLeave(), *stages()[stage], how], connect_timeout=5)
    assert type(error) is errors.OperationalError
    # a reset can come so early that the dial itself sees it
    assert any(
        words in str(error) for words in ("closed the connection", "connection to the server was lost", "reset by")
    )


# --- Time


@pytest.mark.parametrize("unit", ["byte", "message"])
async def test_slow_loris(face: str, unit: str) -> None:
    """Something comes all the time, and the deadline holds for the whole all the same."""
    if unit == "byte":
        drip = Send(m.auth_ok() + login_tail(), piece=1, gap_s=0.05)
    else:
        status = m.parameter_status("application_name", "slow")
        drip = Send(status * 100, piece=len(status), gap_s=0.05)
    script = [Startup(), ClientMayLeave(), Send(m.auth_ok()), drip, Silent()]
    if unit == "byte":
        del script[2]
    began = time.monotonic()
    error, _ = await mock_failure(face, script, connect_timeout=0.6, within_s=0.6 + SLACK_S)
    assert isinstance(error, errors.ConnectionTimeout)
    assert time.monotonic() - began >= 0.55
    assert "connect_timeout=0.6 s" in str(error)


# --- What the server says


@pytest.mark.parametrize("text", ["\x1b[31mred\x1b[0m", "bell\x07 back\x08", "over\u202eride"])
async def test_fatal_before_authentication(face: str, text: str) -> None:
    said = m.error(text, "28000", "FATAL")
    error, _ = await mock_failure(face, [Startup(), ClientMayLeave(), Send(said), Close()])
    assert isinstance(error, errors.InvalidAuthorizationSpecification)
    assert error.sqlstate == "28000"
    assert "before authentication" in str(error)
    assert not any(sign in f"{error} {error!r}" for sign in "\x1b\x07\x08\u202e")


async def test_a_text_without_end_before_authentication(face: str) -> None:
    said = m.error("long " * 100_000, "28000", "FATAL")
    error, _ = await mock_failure(face, [Startup(), ClientMayLeave(), Send(said), Close()])
    assert isinstance(error, errors.OperationalError)
    assert len(str(error)) < 10_000


async def test_fatal_after_authentication(face: str) -> None:
    said = m.error("sorry, too many clients already", "53300", "FATAL")
    error, _ = await mock_failure(face, [Startup(), ClientMayLeave(), Send(m.auth_ok() + said), Close()])
    assert isinstance(error, errors.TooManyConnections)
    assert str(error).startswith("sorry, too many clients already")


async def test_notice_before_authentication_is_no_answer(face: str) -> None:
    script = [Startup(), Send(m.notice("hello") + m.auth_ok() + login_tail()), Silent()]
    with PgMock(script) as mock:
        conn = await done(CONNECT[face](mock.dsn))
        assert not conn.closed
        await done(conn.close())


@pytest.mark.parametrize(
    "said",
    [
        m.ready(),
        m.parameter_status("server_version", "18.0"),
        m.backend_key_data(1, 2),
        m.data_row("1"),
        m.command_complete("SELECT 1"),
        m.auth_sasl_final("v=AAAA"),
        m.auth_sasl_continue("r=a,s=b,i=1"),
        m.message("R", b"\0\0"),
        m.message("R", b"\0\0\0\0extra"),
        m.message("~", b""),
        m.message("R", b"", length=3),
        m.message("R", b"", length=2**31 - 1),
    ],
    ids=["ready", "status", "key", "row", "complete", "final", "continue", "short", "long", "type", "len3", "huge"],
)
async def test_message_out_of_place(face: str, said: bytes) -> None:
    error, _ = await mock_failure(face, [Startup(), ClientMayLeave(), Send(said), Silent()], connect_timeout=5)
    assert isinstance(error, errors.ProtocolError)


async def test_second_authentication_is_refused(face: str) -> None:
    script = [Startup(), ClientMayLeave(), Send(m.auth_ok() + m.auth_cleartext_password()), Silent()]
    error, mock = await mock_failure(face, script)
    assert isinstance(error, errors.ProtocolError)
    assert mock.received_types == "<startup>"


async def test_newer_protocol_asked_back(face: str) -> None:
    script = [Startup(), ClientMayLeave(), Send(m.negotiate_protocol_version(m.PROTOCOL_3_0 - 65536)), Silent()]
    error, _ = await mock_failure(face, script)
    assert isinstance(error, errors.NotSupportedError)


async def test_a_pooler_that_refuses_3_2(face: str) -> None:
    """PgBouncer 1.18 answers 3.2 with this and closes; it does not negotiate."""
    script = [Startup(), ClientMayLeave(), Send(m.error("bad packet header", "08P01", "FATAL")), Close()]
    error, _ = await mock_failure(face, script, max_protocol_version="latest")
    assert "bad packet header" in str(error)
    assert "max_protocol_version=3.0" in str(error)


async def test_3_2_demanded_of_a_server_that_negotiates_down(face: str) -> None:
    script = [Startup(), ClientMayLeave(), Send(m.negotiate_protocol_version(m.PROTOCOL_3_0)), Silent()]
    error, mock = await mock_failure(face, script, min_protocol_version="3.2")
    assert isinstance(error, errors.NotSupportedError)
    assert mock.received_types == "<startup>"


async def test_negotiated_down_and_then_logged_in(face: str) -> None:
    script = [Startup(), Send(m.negotiate_protocol_version(m.PROTOCOL_3_0) + m.auth_ok() + login_tail()), Silent()]
    with PgMock(script) as mock:
        conn = await done(CONNECT[face](mock.dsn, max_protocol_version="3.2"))
        try:
            assert conn.info.full_protocol_version == 30000
        finally:
            await done(conn.close())
