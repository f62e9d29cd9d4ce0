"""TLS and passwords against servers that lie, hang or go: nothing is believed, nothing secret is sent, all end in time."""

from __future__ import annotations

import asyncio
import inspect
import os
import socket
import ssl
import struct
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any

import pytest
from tests.kit import messages as m
from tests.kit.certificates import HOST, Certificates
from tests.kit.pgmock import (
    ClientMayLeave,
    Close,
    Do,
    PgMock,
    Reset,
    Send,
    Session,
    Silent,
    StartTls,
    Startup,
    Step,
    login_tail,
    md5_login,
    password_login,
    scram_login,
    trust_login,
)

import howdah
from howdah import errors
from howdah.auth.binding import server_end_point

CONNECT = {"sync": howdah.connect, "async": howdah.AsyncConnection.connect}
PASSWORD = "correct-horse-battery"
SLACK_S = 2.0
VERIFIED = ("verify-ca", "verify-full")

pytestmark = pytest.mark.usefixtures("no_leaks")


@pytest.fixture(params=CONNECT)
def face(request: pytest.FixtureRequest) -> str:
    """Which of the two shells connects."""
    return str(request.param)


async def done(result: Any) -> Any:
    return await result if inspect.isawaitable(result) else result


def context_of(certificates: Certificates, stem: str = "server") -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.path(f"{stem}.crt"), certificates.path(f"{stem}.key"))
    return context


def binding_of(certificates: Certificates, stem: str = "server") -> bytes:
    with open(certificates.path(f"{stem}.crt"), encoding="ascii") as file:
        binding = server_end_point(ssl.PEM_cert_to_DER_cert(file.read()))
    assert binding is not None
    return binding


async def connect(face: str, mock: PgMock, **settings: Any) -> Any:
    where = {"host": HOST, "hostaddr": mock.host, "port": mock.port, "user": "u", "dbname": "d", "password": PASSWORD}
    return await done(CONNECT[face](**{**where, "connect_timeout": 5, **settings}))


async def failure(
    face: str, scripts: Sequence[Any], *, within_s: float = SLACK_S, **settings: Any
) -> tuple[howdah.Error, PgMock]:
    """The error of a connect that must fail in time; the password must not have left, nor stand in the error."""
    began = time.monotonic()
    with PgMock(*scripts) as mock:
        with pytest.raises(howdah.Error) as caught:
            await connect(face, mock, **settings)
        assert time.monotonic() - began < within_s
    error = caught.value
    assert PASSWORD not in f"{error} {error!r} {error.__cause__!r}"
    for session in mock.sessions:
        assert PASSWORD.encode() not in session.raw
    return error, mock


# --- In the middle, before TLS


@pytest.mark.parametrize("extra", [1, 100, 8000])
@pytest.mark.parametrize("mode", ["prefer", "require", "verify-full"])
async def test_bytes_put_in_behind_the_consent(face: str, certificates: Certificates, mode: str, extra: int) -> None:
    """CVE-2021-23222: what follows S in clear must not become part of the session."""
    lie = (m.auth_ok() + login_tail() * 100)[:extra]
    script = [ClientMayLeave(), Startup(tls=None, ssl_answer=b"S" + lie)]
    error, mock = await failure(face, [script], sslmode=mode, sslrootcert=certificates.path("root.crt"))
    assert isinstance(error, errors.ProtocolError) and "follow the server's consent" in str(error)
    assert len(mock.sessions) == 1, "no second attempt in clear"
    assert mock.received_types == "<ssl>"


async def test_bytes_put_in_later(face: str, certificates: Certificates) -> None:
    """Those that come after the look are read as TLS, which they are not."""

    def late(session: Session) -> None:
        session.client_may_leave = True
        session.read()
        session.send(b"S")
        session.read_bytes(time.monotonic() + 5)  # the ClientHello is out: the look was before
        session.send(m.auth_ok() + login_tail())

    for mode in ("prefer", "require"):
        error, mock = await failure(face, [[Do(late)]], sslmode=mode)
        assert type(error) is errors.OperationalError and "TLS handshake" in str(error)
        assert len(mock.sessions) == 1


@pytest.mark.parametrize("mode", ["require", "verify-ca", "verify-full"])
async def test_a_proxy_that_strips_tls(face: str, certificates: Certificates, mode: str) -> None:
    script = [ClientMayLeave(), *trust_login(ssl_answer=b"N")]
    error, mock = await failure(face, [script], sslmode=mode, sslrootcert=certificates.path("root.crt"))
    assert "does not offer TLS" in str(error) and mode in str(error)
    assert mock.received_types == "<ssl>"


async def test_prefer_goes_on_in_clear_on_the_same_socket(face: str) -> None:
    with PgMock(trust_login(ssl_answer=b"N")) as mock:
        conn = await connect(face, mock, sslmode="prefer")
        assert conn.info.ssl_in_use is False
        await done(conn.close())
    assert len(mock.sessions) == 1


@pytest.mark.parametrize("mode", ["prefer", "require"])
async def test_an_error_instead_of_an_answer(face: str, mode: str) -> None:
    """Its text is nobody's: it is not shown."""
    said = m.error("visit http://evil.example to reset your password", "28P01", "FATAL")
    error, mock = await failure(face, [[ClientMayLeave(), Startup(ssl_answer=said), Close()]], sslmode=mode)
    assert type(error) is errors.OperationalError
    assert "evil" not in str(error) and "with an error" in str(error)
    assert len(mock.sessions) == 1 and mock.received_types == "<ssl>"


@pytest.mark.parametrize("answer", [b"X", b"\0", b"s", b"1"])
async def test_another_answer(face: str, answer: bytes) -> None:
    error, mock = await failure(face, [[ClientMayLeave(), Startup(ssl_answer=answer), Silent()]], sslmode="prefer")
    assert isinstance(error, errors.ProtocolError)
    assert mock.received_types == "<ssl>"


# --- Hanging and going


def stages(certificates: Certificates) -> dict[str, list[Step]]:
    def ask(session: Session) -> None:
        session.client_may_leave = True
        session.read()

    def hello(session: Session) -> None:
        ask(session)
        session.send(b"S")
        session.read_bytes(time.monotonic() + 5)

    def half(session: Session) -> None:
        hello(session)
        session.send(b"\x16\x03\x03\x10\x00\x02")  # the beginning of a handshake record

    return {"asked": [Do(ask)], "hello": [Do(hello)], "half": [Do(half)]}


@pytest.mark.parametrize("stage", ["asked", "hello", "half"])
@pytest.mark.parametrize("mode", ["prefer", "require"])
async def test_a_server_that_hangs(face: str, certificates: Certificates, mode: str, stage: str) -> None:
    began = time.monotonic()
    script = [*stages(certificates)[stage], Silent()]
    error, mock = await failure(face, [script], sslmode=mode, connect_timeout=0.4, within_s=0.4 + SLACK_S)
    assert isinstance(error, errors.ConnectionTimeout)
    assert time.monotonic() - began >= 0.35
    assert "connect_timeout=0.4 s (starting TLS)" in str(error)
    assert len(mock.sessions) == 1


@pytest.mark.parametrize("how", [Close(), Reset()], ids=["fin", "rst"])
@pytest.mark.parametrize("stage", ["asked", "hello", "half"])
@pytest.mark.parametrize("mode", ["prefer", "require"])
async def test_a_server_that_goes(face: str, certificates: Certificates, mode: str, stage: str, how: Step) -> None:
    error, mock = await failure(face, [[*stages(certificates)[stage], how]], sslmode=mode)
    assert type(error) is errors.OperationalError
    assert any(words in str(error) for words in ("closed the connection", "was lost", "handshake")), error
    assert len(mock.sessions) == 1


async def test_cancelled_in_the_handshake(certificates: Certificates) -> None:
    with PgMock([*stages(certificates)["hello"], Silent()]) as mock:
        task = asyncio.ensure_future(connect("async", mock, sslmode="require"))
        while not (mock.sessions and mock.sessions[0].raw[8:]):
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_no_connect_timeout(face: str, certificates: Certificates) -> None:
    with PgMock(trust_login(tls=context_of(certificates))) as mock:
        conn = await connect(face, mock, sslmode="require", connect_timeout=0)
        assert conn.info.ssl_in_use
        await done(conn.close())


async def test_a_client_killed_in_the_handshake_leaves_the_server_alone(certificates: Certificates) -> None:
    program = "import howdah, sys; howdah.connect(sys.argv[1], sslmode='require')"
    with PgMock([*stages(certificates)["hello"], Silent()]) as mock:
        path = os.path.dirname(os.path.dirname(howdah.__file__))
        child = subprocess.Popen(
            [sys.executable, "-c", program, mock.dsn],
            env={**os.environ, "PYTHONPATH": path},
            stderr=subprocess.DEVNULL,
        )
        try:
            while not (mock.sessions and mock.sessions[0].raw[8:]):
                assert child.poll() is None
                await asyncio.sleep(0.01)
        finally:
            child.kill()
            child.wait()


# --- Certificates


@pytest.mark.parametrize("mode", VERIFIED)
async def test_expired_certificate(face: str, certificates: Certificates, mode: str) -> None:
    script = [ClientMayLeave(), Startup(tls=context_of(certificates, "expired"))]
    error, mock = await failure(face, [script], sslmode=mode, sslrootcert=certificates.path("root.crt"))
    assert type(error) is errors.OperationalError and "expired" in str(error)
    assert mock.received_types == "<ssl>"


@pytest.mark.parametrize("mode", VERIFIED)
async def test_self_signed_certificate(face: str, certificates: Certificates, mode: str) -> None:
    script = [ClientMayLeave(), Startup(tls=context_of(certificates, "rsa-sha384"))]
    error, _ = await failure(face, [script], sslmode=mode, sslrootcert=certificates.path("root.crt"))
    assert "refused" in str(error)


async def test_certificate_for_another_host(face: str, certificates: Certificates) -> None:
    root = certificates.path("root.crt")
    script = [ClientMayLeave(), Startup(tls=context_of(certificates, "elsewhere"))]
    error, _ = await failure(face, [script], sslmode="verify-full", sslrootcert=root)
    assert HOST in str(error)
    with PgMock(trust_login(tls=context_of(certificates, "elsewhere"))) as mock:
        conn = await connect(face, mock, sslmode="verify-ca", sslrootcert=root)
        await done(conn.close())


async def test_a_server_with_old_tls_alone(face: str, certificates: Certificates) -> None:
    context = context_of(certificates)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    for mode in ("prefer", "require"):
        script = [ClientMayLeave(), Startup(tls=context)]
        error, mock = await failure(face, [script], sslmode=mode, ssl_min_protocol_version="TLSv1.3")
        assert "TLS handshake" in str(error)
        assert len(mock.sessions) == 1, "a failed handshake is not followed by an attempt in clear"


async def test_direct_tls_without_the_application_protocol(face: str, certificates: Certificates) -> None:
    script = [ClientMayLeave(), StartTls(context_of(certificates))]
    error, mock = await failure(face, [script], sslnegotiation="direct")
    assert "application protocol" in str(error)
    assert mock.received_types == ""


@pytest.mark.parametrize("sni", ["1", "0"])
async def test_the_host_name_in_the_handshake(face: str, certificates: Certificates, sni: str) -> None:
    seen: list[str | None] = []
    context = context_of(certificates)
    context.sni_callback = lambda _sock, name, _context: seen.append(name)
    with PgMock(trust_login(tls=context)) as mock:
        conn = await connect(face, mock, sslmode="require", sslsni=sni)
        await done(conn.close())
    assert seen == [HOST if sni == "1" else None]


# --- The two ways in turn


async def test_allow_tries_tls_when_clear_is_rejected(face: str, certificates: Certificates) -> None:
    reject = m.error('no pg_hba.conf entry for host "x", no encryption', "28000", "FATAL")
    scripts = [[Startup(), Send(reject), Close()], [*trust_login(tls=context_of(certificates)), Silent()]]
    with PgMock(*scripts) as mock:
        conn = await connect(face, mock, sslmode="allow")
        assert conn.info.ssl_in_use
        assert not conn.closed and conn.info.backend_pid == 4242
        await done(conn.close())


@pytest.mark.parametrize("state", ["28P01", "3D000", "53300", "57P03"])
async def test_prefer_stays_with_tls(face: str, certificates: Certificates, state: str) -> None:
    """What has nothing to do with TLS is no reason to try without."""
    said = m.error("no", state, "FATAL")
    error, mock = await failure(
        face, [[ClientMayLeave(), Startup(tls=context_of(certificates)), Send(said), Close()]], sslmode="prefer"
    )
    assert error.sqlstate == state and len(mock.sessions) == 1


async def test_a_login_that_failed_is_not_repeated_in_clear(face: str, certificates: Certificates) -> None:
    """Also when the server names the reason for which `prefer` tries again: it had asked for a password by then."""
    said = m.error("pg_hba.conf rejects connection", "28000", "FATAL")
    script = [
        ClientMayLeave(),
        Startup(tls=context_of(certificates)),
        Send(m.auth_sasl("SCRAM-SHA-256")),
        Do(lambda session: session.read()),
        Send(said),
        Close(),
    ]
    _, mock = await failure(face, [script], sslmode="prefer")
    assert len(mock.sessions) == 1


# --- SCRAM-SHA-256-PLUS and its downgrades


BOTH = ("SCRAM-SHA-256-PLUS", "SCRAM-SHA-256")


@pytest.mark.parametrize("stem", ["server", "ecdsa-sha512", "rsa-sha384", "rsa-pss"])
async def test_binding(face: str, certificates: Certificates, stem: str) -> None:
    script = scram_login(
        PASSWORD, mechanisms=BOTH, binding=binding_of(certificates, stem), tls=context_of(certificates, stem)
    )
    with PgMock(script) as mock:
        conn = await connect(face, mock, channel_binding="require", sslmode="require")
        await done(conn.close())


async def test_an_exchange_passed_on_from_another_session(face: str, certificates: Certificates) -> None:
    """Somebody in the middle has a certificate of his own, and passes our messages to the real server."""
    script = scram_login(
        PASSWORD, mechanisms=BOTH, binding=binding_of(certificates, "server"), tls=context_of(certificates, "elsewhere")
    )
    with PgMock(script) as mock:
        with pytest.raises(howdah.Error):
            await connect(face, mock, sslmode="require")
        assert "binding differs" in str(mock.sessions[0].error)
        mock.sessions[0].error = None


@pytest.mark.parametrize(
    ("binding", "tls", "flag"),
    [("prefer", True, b"y,,"), ("disable", True, b"n,,"), ("prefer", False, b"n,,"), ("disable", False, b"n,,")],
)
async def test_flag_that_shows_a_list_that_was_cut(
    face: str, certificates: Certificates, binding: str, tls: bool, flag: bytes
) -> None:
    """`y`: a server that offered -PLUS, and sees that we did not get to hear of it, ends the login."""
    context = context_of(certificates) if tls else None
    with PgMock(scram_login(PASSWORD, tls=context)) as mock:
        conn = await connect(face, mock, channel_binding=binding)
        await done(conn.close())
    first = m.decode_sasl_initial(next(each for each in mock.sessions[0].received if each.type == "p"))[1] or b""
    assert first.startswith(flag)


@pytest.mark.parametrize("answer", ["trust", "cleartext", "md5", "unbound"])
async def test_binding_that_is_demanded(face: str, certificates: Certificates, answer: str) -> None:
    said = {
        "trust": m.auth_ok() + login_tail(),
        "cleartext": m.auth_cleartext_password(),
        "md5": m.auth_md5_password(b"salt"),
        "unbound": m.auth_sasl("SCRAM-SHA-256"),
    }[answer]
    script = [ClientMayLeave(), Startup(tls=context_of(certificates)), Send(said), Silent()]
    error, mock = await failure(face, [script], channel_binding="require")
    assert type(error) is errors.OperationalError and "channel_binding=require" in str(error)
    assert mock.received_types == "<ssl><startup>"


@pytest.mark.parametrize("tls", [True, False])
async def test_require_auth(face: str, certificates: Certificates, tls: bool) -> None:
    context = context_of(certificates) if tls else None
    asked = {
        "none": m.auth_ok() + login_tail(),
        "password": m.auth_cleartext_password(),
        "md5": m.auth_md5_password(b"salt"),
        "scram-sha-256": m.auth_sasl("SCRAM-SHA-256"),
    }
    for method, said in asked.items():
        others = ",".join(each for each in asked if each != method)
        for wanted in (others, f"!{method}"):
            script = [ClientMayLeave(), Startup(tls=context), Send(said), Silent()]
            error, mock = await failure(face, [script], require_auth=wanted)
            assert "require_auth" in str(error)
            assert mock.received_types == "<ssl><startup>"


@pytest.mark.parametrize("login", [password_login, md5_login])
async def test_passwords_without_scram(face: str, certificates: Certificates, login: Any) -> None:
    for context in (None, context_of(certificates)):
        with PgMock(login(PASSWORD, tls=context)) as mock:
            conn = await connect(face, mock)
            assert conn.info.ssl_in_use is (context is not None)
            await done(conn.close())


async def test_password_that_was_not_given(face: str) -> None:
    for said in (m.auth_cleartext_password(), m.auth_md5_password(b"salt")):
        script = [ClientMayLeave(), Startup(), Send(said), Silent()]
        error, mock = await failure(face, [script], password=None)
        assert "none was given" in str(error)
        assert mock.received_types == "<ssl><startup>"


# --- The session under TLS


async def test_the_stream_ends_within_a_message(face: str, certificates: Certificates) -> None:
    """No good-bye of TLS, in the middle of an answer: an error, never a shorter answer."""

    def cut(session: Session) -> None:
        session.read()
        session.send(m.data_row("1")[:5])
        session.client_may_leave = True
        session.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    with PgMock([*trust_login(tls=context_of(certificates)), Do(cut), Reset()]) as mock:
        conn = await connect(face, mock, sslmode="require", autocommit=True)
        with pytest.raises(errors.OperationalError, match="lost|closed"):
            await done(conn.execute("select 1"))
        assert conn.broken
        await done(conn.close())


async def test_close_does_not_wait_for_a_server_that_does_not_read(face: str, certificates: Certificates) -> None:
    with PgMock([*trust_login(tls=context_of(certificates)), Silent()]) as mock:
        conn = await connect(face, mock, sslmode="require")
        began = time.monotonic()
        await done(conn.close())
        assert time.monotonic() - began < SLACK_S
        assert mock.sessions[0].error is None
