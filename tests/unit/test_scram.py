"""auth.scram: RFC 7677's exchange, every fault of a server, and that the password is left nowhere."""

from __future__ import annotations

import base64
import gc
import pickle
from typing import Any

import pytest
from tests.kit import messages as m
from tests.unit.playing import feed
from tests.unit.recorded import (
    CLIENT_NONCE,
    ITERATIONS,
    PASSWORD,
    PROOF,
    RANDOM,
    SALT,
    SERVER_FIRST,
    SERVER_NONCE,
    SIGNATURE,
    WITHOUT_PROOF,
    log_in,
    resume,
    scram_proof,
)

from howdah.auth import MECHANISMS
from howdah.auth.scram import MAX_ITERATIONS, Scram
from howdah.core.session import Session
from howdah.errors import Error, NotSupportedError, OperationalError, ProtocolError

SALT64 = base64.b64encode(SALT).decode()


@pytest.fixture(autouse=True)
def known_nonce(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.urandom", lambda count: RANDOM[:count])


def challenged(server_first: str = SERVER_FIRST) -> Scram:
    exchange = Scram(PASSWORD)
    exchange.first()
    exchange.challenge(server_first.encode())
    return exchange


def test_the_exchange_of_rfc_7677() -> None:
    """RFC 7677, section 3: user "user", password "pencil"."""
    nonce, server = "rOprNGfwEbeRWgbNEkqO", "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
    first = f"r={nonce}{server},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
    proof, signature = scram_proof(
        f"n=user,r={nonce}",
        first,
        f"c=biws,r={nonce}{server}",
        "pencil",
        base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ=="),
        4096,
    )
    assert proof == "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
    assert signature == "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="
    # the driver leaves the user's name out, as PostgreSQL wants it; put in, its own code gives the RFC's messages
    exchange = Scram("pencil")
    exchange.nonce = nonce.encode()
    exchange._first_bare = b"n=user,r=" + nonce.encode()
    exchange.challenge(first.encode())
    assert exchange.final(exchange.work()) == f"c=biws,r={nonce}{server},p={proof}".encode()
    exchange.verify(f"v={signature}".encode())
    assert exchange.verified


def test_our_exchange() -> None:
    exchange = Scram(PASSWORD)
    assert exchange.first() == f"n,,n=,r={CLIENT_NONCE}".encode()
    exchange.challenge(SERVER_FIRST.encode())
    assert exchange.final(exchange.work()) == f"{WITHOUT_PROOF},p={PROOF}".encode()
    assert not exchange.verified
    exchange.verify(f"v={SIGNATURE}".encode())
    assert exchange.verified


def test_the_password_is_prepared() -> None:
    exchange = Scram("I\u00adX")
    exchange.challenge(SERVER_FIRST.encode())
    proof, _ = scram_proof(f"n=,r={CLIENT_NONCE}", SERVER_FIRST, WITHOUT_PROOF, "IX", SALT, ITERATIONS)
    assert exchange.final(exchange.work()).endswith(f"p={proof}".encode())


def test_nonces_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert len({Scram("x").nonce for _ in range(100)}) == 100
    assert len(base64.b64decode(Scram("x").nonce)) >= 18


@pytest.mark.parametrize("password", [None, ""])
def test_no_password(password: Any) -> None:
    with pytest.raises(OperationalError, match="none was given"):
        Scram(password)


FIRST_FAULTS = {
    "empty": "",
    "no attributes": "x",
    "no nonce": f"s={SALT64},i=4096",
    "our nonce and no more": f"r={CLIENT_NONCE},s={SALT64},i=4096",
    "another nonce": f"r=x{SERVER_NONCE},s={SALT64},i=4096",
    "half our nonce": f"r={CLIENT_NONCE[:12]},s={SALT64},i=4096",
    "an empty nonce": f"r=,s={SALT64},i=4096",
    "a nonce of 2 KiB": f"r={CLIENT_NONCE}{'x' * 2048},s={SALT64},i=4096",
    "a nonce with a space": f"r={CLIENT_NONCE} x,s={SALT64},i=4096",
    "a nonce beyond ASCII": f"r={CLIENT_NONCE}é,s={SALT64},i=4096",
    "a nonce with a control character": f"r={CLIENT_NONCE}\x07,s={SALT64},i=4096",
    "no salt": f"r={SERVER_NONCE},i=4096",
    "an empty salt": f"r={SERVER_NONCE},s=,i=4096",
    "a salt that is no base64": f"r={SERVER_NONCE},s=!!!!,i=4096",
    "a salt with a wrong padding": f"r={SERVER_NONCE},s=abc,i=4096",
    "no iterations": f"r={SERVER_NONCE},s={SALT64}",
    "an empty count": f"r={SERVER_NONCE},s={SALT64},i=",
    "another order": f"s={SALT64},r={SERVER_NONCE},i=4096",
    "a demanded extension in front": f"m=x,r={SERVER_NONCE},s={SALT64},i=4096",
    "a demanded extension behind": f"r={SERVER_NONCE},s={SALT64},i=4096,m=x",
    "a trailing comma": f"r={SERVER_NONCE},s={SALT64},i=4096,",
    "an error": "e=other-error",
    "8 KiB": f"r={SERVER_NONCE},s={SALT64},i=4096,x={'x' * 8192}",
}
for _count in (
    "0",
    "-1",
    "1e9",
    "1_000",
    "+4096",
    " 4096",
    "4096 ",
    "0x1000",
    "4096.0",
    "٤",
    "99999999999",
    "1000001",
    "4294967296",
    "nan",
):
    FIRST_FAULTS[f"iterations {_count!r}"] = f"r={SERVER_NONCE},s={SALT64},i={_count}"


@pytest.mark.parametrize("message", FIRST_FAULTS.values(), ids=FIRST_FAULTS)
def test_faults_in_the_servers_first_message(message: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        challenged(message)
    assert PASSWORD not in str(caught.value)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("count", [1, 4096, MAX_ITERATIONS])
def test_iterations_within_the_cap(count: int) -> None:
    assert challenged(f"r={SERVER_NONCE},s={SALT64},i={count}")._iterations == count


def test_an_optional_extension_is_passed_over() -> None:
    challenged(SERVER_FIRST + ",x=1")


FINAL_FAULTS = {
    "empty": ("", ProtocolError),
    "no attribute": ("x", ProtocolError),
    "another attribute": (f"s={SIGNATURE}", ProtocolError),
    "an error": ("e=invalid-proof", OperationalError),
    "a long error": ("e=" + "x" * 3000, OperationalError),
    "no base64": ("v=!", ProtocolError),
    "empty signature": ("v=", OperationalError),
    "a wrong signature": ("v=" + base64.b64encode(bytes(32)).decode(), OperationalError),
    "half a signature": ("v=" + base64.b64encode(base64.b64decode(SIGNATURE)[:16]).decode(), OperationalError),
    "a longer signature": ("v=" + base64.b64encode(base64.b64decode(SIGNATURE) + b"x").decode(), OperationalError),
    "our own proof": (f"v={PROOF}", OperationalError),
    "a demanded extension": (f"v={SIGNATURE},m=x", ProtocolError),
    "both": (f"e=other-error,v={SIGNATURE}", OperationalError),
}


@pytest.mark.parametrize(("message", "error"), FINAL_FAULTS.values(), ids=FINAL_FAULTS)
def test_faults_in_the_servers_final_message(message: str, error: type[Error]) -> None:
    exchange = challenged()
    exchange.final(exchange.work())
    with pytest.raises(error) as caught:
        exchange.verify(message.encode())
    assert not exchange.verified
    assert PASSWORD not in str(caught.value) and len(str(caught.value)) < 300


def test_a_signature_before_our_proof_is_refused() -> None:
    exchange = challenged()
    with pytest.raises(OperationalError):
        exchange.verify(b"v=")
    assert not exchange.verified


# -- within a session


def startup_after(*answers: bytes, password: str | None = PASSWORD) -> tuple[Session, Any]:
    session = Session()
    (startup,) = log_in(password)(session)
    for answer in answers:
        feed(session, answer)
        if not session.closed:
            resume(session)
    return session, startup


OFFER, CONTINUE = m.auth_sasl("SCRAM-SHA-256"), m.auth_sasl_continue(SERVER_FIRST)
FINAL = m.auth_sasl_final(f"v={SIGNATURE}")


def test_logged_in() -> None:
    session, startup = startup_after(OFFER, CONTINUE, FINAL, m.auth_ok(), m.backend_key_data(1, 2), m.ready())
    assert startup.done and startup.error is None and not session.closed


@pytest.mark.parametrize(
    ("answers", "error"),
    [
        ([OFFER, m.auth_ok()], OperationalError),  # proved nothing
        ([OFFER, CONTINUE, m.auth_ok()], OperationalError),
        ([CONTINUE], ProtocolError),
        ([FINAL], ProtocolError),
        ([OFFER, OFFER], ProtocolError),
        ([OFFER, FINAL], ProtocolError),
        ([OFFER, CONTINUE, CONTINUE], ProtocolError),
        ([OFFER, CONTINUE, FINAL, FINAL], ProtocolError),
        ([OFFER, CONTINUE, FINAL, m.auth_ok(), m.auth_ok()], ProtocolError),
        ([OFFER, CONTINUE, m.auth_sasl_final("e=invalid-proof")], OperationalError),
        ([OFFER, m.ready()], ProtocolError),
        ([OFFER, CONTINUE, FINAL, m.backend_key_data(1, 2)], ProtocolError),
        ([OFFER, m.auth_cleartext_password()], ProtocolError),
        ([OFFER, m.auth_md5_password(b"salt")], ProtocolError),
        ([m.auth_cleartext_password(), m.auth_cleartext_password()], ProtocolError),
        ([m.auth_cleartext_password(), OFFER], ProtocolError),
        ([m.auth_md5_password(b"salt"), m.auth_md5_password(b"salt")], ProtocolError),
        ([m.message("R", b"\0\0\0\3x")], ProtocolError),
        ([m.message("R", b"\0\0\0\5sal")], ProtocolError),
        ([m.auth_gss()], NotSupportedError),
        ([m.auth_sspi()], NotSupportedError),
        ([m.auth_kerberos_v5()], NotSupportedError),
        ([m.auth_sasl("SCRAM-SHA-1", "OAUTHBEARER")], NotSupportedError),
        ([m.auth_sasl("SCRAM-SHA-256-PLUS", "SCRAM-SHA-256")], ProtocolError),
        ([m.auth_sasl()], NotSupportedError),
        ([m.message("R", b"\0\0\0\x63")], ProtocolError),
        ([OFFER, CONTINUE, m.error("password authentication failed", "28P01", "FATAL")], OperationalError),
        ([m.auth_ok(), OFFER], ProtocolError),
        ([m.auth_ok(), m.ready("T")], ProtocolError),
    ],
)
def test_faults_in_the_order_of_messages(answers: list[bytes], error: type[Error]) -> None:
    session, startup = startup_after(*answers)
    assert session.closed and startup.done
    assert isinstance(startup.error, error), startup.error
    assert PASSWORD not in str(startup.error)


def test_a_server_that_asks_for_a_password_that_was_not_given() -> None:
    session, startup = startup_after(OFFER, password=None)
    assert session.closed
    assert isinstance(startup.error, OperationalError)
    assert "none was given" in str(startup.error)


def test_nothing_of_the_password_goes_out_or_stays() -> None:
    session = Session()
    (startup,) = log_in(PASSWORD)(session)
    out = session.data_to_send()
    for answer in (OFFER, CONTINUE, FINAL, m.auth_ok()):
        feed(session, answer)
        resume(session)
        out += session.data_to_send()
    assert PASSWORD.encode() not in out
    assert startup.password is None
    held: list[Any] = [startup, startup.scram]
    text = repr(held) + repr([getattr(startup.scram, name) for name in vars(startup.scram)])
    assert PASSWORD not in text and "pencil" not in text
    assert not any(
        PASSWORD in str(value) for value in gc.get_referents(startup.scram) if isinstance(value, (str, bytes))
    )
    with pytest.raises(TypeError):
        pickle.dumps(startup)


def test_the_table_of_mechanisms() -> None:
    assert list(MECHANISMS) == ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"]
