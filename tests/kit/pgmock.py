"""A scripted server that speaks, or misspeaks, the PostgreSQL protocol on loopback TCP.

A script is a list of steps; connection k of a `PgMock` runs script k in a thread of its own:

    with PgMock([Startup(), Send(login_tail()), Expect("Q"), Send(m.error()), ...]) as mock:
        client = socket.create_connection((mock.host, mock.port))

What the client sent is in `mock.received` (all connections) and `mock.sessions[k].received`. A script that
fails (another message than expected, the client gone, a wait past its bound) raises `MockError` when the
`with` block ends; it never replaces an exception of the block itself. Every wait is bounded by `timeout_s`.

When a script ends, the mock sends FIN and records what the client still says (append `Silent()` to keep the
connection open); it never closes over unread bytes, as that would send RST and may destroy what the client
has not read yet.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import os
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from . import messages as m

MAX_SLEEP_S = 5.0  # of one Sleep or Send step
DRAIN_S = 1.0  # for the client to close after us
IDLE_S = 60.0  # for a client that may do nothing


class MockError(AssertionError):
    """A script of the mock did not run as written."""


class ClientLeft(Exception):
    """The client closed or reset its connection."""


class Session:
    """One accepted connection: what a step acts on."""

    def __init__(self, number: int, sock: socket.socket, timeout_s: float):
        self.number = number
        self.sock = sock
        self.timeout_s = timeout_s
        self.received: list[m.Message] = []  # every whole message
        self.raw = bytearray()  # every byte
        self.sent = bytearray()
        self.startup: dict[str, str] = {}  # parameters of the StartupMessage, when a Startup step ran
        self.client_may_leave = False
        self.error: BaseException | None = None
        self.stopping = threading.Event()
        self.waiting_idle = False  # in a step that the mock's end may cut short
        self._splitter = m.Splitter(m.TO_SERVER)
        self._unread: list[m.Message] = []

    def read(self, limit_s: float | None = None) -> m.Message:
        """The next message. Raises ClientLeft at EOF and MockError after `limit_s` (default timeout_s)
        seconds."""
        deadline = time.monotonic() + (self.timeout_s if limit_s is None else limit_s)
        while not self._unread:
            messages = self._splitter.feed(self.read_bytes(deadline))
            self.received += messages
            self._unread += messages
        return self._unread.pop(0)

    def read_bytes(self, deadline: float) -> bytes:
        """At least one byte, unframed. Raises as `read`."""
        left = deadline - time.monotonic()
        try:
            if left <= 0:
                raise TimeoutError
            self.sock.settimeout(left)
            data = self.sock.recv(65536)
        except TimeoutError:
            raise MockError("nothing came in time") from None
        except OSError as exc:
            raise ClientLeft(f"the client's connection ended: {exc}") from None
        if not data:
            raise ClientLeft("the client closed the connection")
        self.raw += data
        return data

    def drain(self, limit_s: float) -> bool:
        """Record what comes until EOF. False when `limit_s` seconds were not enough.

        The mock's end is an EOF too, behind the bytes that have come before it: none is left unrecorded.
        """
        deadline = time.monotonic() + limit_s
        self.waiting_idle = True
        try:
            while True:
                data = self.read_bytes(deadline)
                with contextlib.suppress(m.FramingError):
                    self.received += self._splitter.feed(data)
        except ClientLeft:
            return True
        except MockError:
            return False
        finally:
            self.waiting_idle = False

    def send(self, data: bytes) -> None:
        """Send all of it, bounded by timeout_s. Raises ClientLeft when the client is gone."""
        self.sock.settimeout(self.timeout_s)
        try:
            self.sock.sendall(data)
        except TimeoutError:
            raise MockError(f"the client did not read within {self.timeout_s:g} s") from None
        except OSError as exc:
            raise ClientLeft(f"the client's connection ended: {exc}") from None
        self.sent += data

    def start_tls(self, context: ssl.SSLContext) -> None:
        """Server side of a TLS handshake."""
        self.sock.settimeout(self.timeout_s)
        try:
            self.sock = context.wrap_socket(self.sock, server_side=True)
        except OSError as exc:
            raise ClientLeft(f"TLS handshake failed: {exc}") from None

    def close(self, *, reset: bool = False) -> None:
        """Close the socket; `reset` sends RST and drops what was not delivered."""
        if self.sock.fileno() < 0:
            return
        if reset:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def half_close(self) -> None:
        """Send FIN, keep reading."""
        self.wake(socket.SHUT_WR)

    def wake(self, how: int) -> None:
        """Shut the plain socket down: SSLSocket.shutdown would drop the TLS object under its reader."""
        with contextlib.suppress(OSError):
            socket.socket.shutdown(self.sock, how)

    def run(self, script: Sequence[Step]) -> None:
        """Run the script, then end the connection in good order; the failure is kept in `error`."""
        done = 0
        try:
            for step in script:
                if self.sock.fileno() < 0:
                    raise MockError("the script goes on after it closed the connection")
                step.run(self)
                done += 1
            if self.sock.fileno() >= 0:
                self.half_close()
                self.drain(DRAIN_S)
        except ClientLeft as exc:
            if not self.client_may_leave:
                self.error = self._describe(script, done, exc)
        except Exception as exc:  # all kinds belong to the test that runs the mock
            self.error = self._describe(script, done, exc)
        finally:
            self.close()

    def _describe(self, script: Sequence[Step], done: int, exc: Exception) -> MockError:
        step = script[done] if done < len(script) else "end of script"
        error = MockError(
            f"connection {self.number}, step {done} ({step}): {exc or type(exc).__name__}; "
            f"received so far: {m.types(self.received) or 'nothing'}"
        )
        error.__cause__ = exc
        return error


# --- steps
# ------------------------------------------------------------------------------------------------------------


class Step:
    """One thing the server does."""

    def run(self, session: Session) -> None:
        raise NotImplementedError


@dataclass(frozen=True)
class Expect(Step):
    """The next messages have these types ("Q", "PBDES", "<startup>"); then `check(*messages)` holds.

    `check` fails by returning False or by raising; None counts as success.
    """

    types: str
    check: Callable[..., Any] | None = field(default=None, repr=False)

    def run(self, session: Session) -> None:
        found = []
        for wanted in m.split_types(self.types):
            message = session.read()
            if message.type != wanted:
                raise MockError(f"expected {wanted} ({m.FRONTEND_NAMES.get(wanted, 'unknown')}), got {message}")
            found.append(message)
        if self.check is not None and self.check(*found) is False:
            raise MockError(f"the check refused {found}")


@dataclass(frozen=True)
class Send(Step):
    """Send bytes, or what a callable makes of the session; `piece` bytes at a time, `gap_s` seconds
    between."""

    data: bytes | Callable[[Session], bytes] = field(repr=False)
    piece: int | None = None
    gap_s: float = 0.0

    def run(self, session: Session) -> None:
        data = self.data(session) if callable(self.data) else self.data
        size = self.piece or max(len(data), 1)
        deadline = time.monotonic() + MAX_SLEEP_S
        for at in range(0, len(data), size):
            if at and self.gap_s and time.monotonic() < deadline:
                session.stopping.wait(self.gap_s)
            session.send(data[at : at + size])


@dataclass(frozen=True)
class Sleep(Step):
    """Do nothing for `seconds`, at most MAX_SLEEP_S; ends early with the mock."""

    seconds: float

    def __post_init__(self) -> None:
        if not 0 <= self.seconds <= MAX_SLEEP_S:
            raise ValueError(f"a mock sleeps 0 to {MAX_SLEEP_S:g} s, not {self.seconds}")

    def run(self, session: Session) -> None:
        session.stopping.wait(self.seconds)


@dataclass(frozen=True)
class Close(Step):
    """FIN, then read to the client's end (at most DRAIN_S), then close."""

    def run(self, session: Session) -> None:
        session.half_close()
        session.drain(DRAIN_S)
        session.close()


@dataclass(frozen=True)
class HalfClose(Step):
    """FIN only: the script goes on reading."""

    def run(self, session: Session) -> None:
        session.half_close()


@dataclass(frozen=True)
class Reset(Step):
    """RST."""

    def run(self, session: Session) -> None:
        session.close(reset=True)


@dataclass(frozen=True)
class Silent(Step):
    """Say nothing and record, until the client leaves or the mock ends; longer than `limit_s` is an error."""

    limit_s: float = IDLE_S

    def run(self, session: Session) -> None:
        if not session.drain(self.limit_s):
            raise MockError(f"the client still waits after {self.limit_s:g} s")
        session.close()


@dataclass(frozen=True)
class ClientMayLeave(Step):
    """From here on the client closing the connection is a good end of the script."""

    def run(self, session: Session) -> None:
        session.client_may_leave = True


@dataclass(frozen=True)
class AwaitBytes(Step):
    """Any bytes at all, unframed."""

    def run(self, session: Session) -> None:
        session.read_bytes(time.monotonic() + session.timeout_s)


@dataclass(frozen=True)
class StartTls(Step):
    """TLS handshake now (after Startup answered S by hand, or as direct TLS)."""

    context: ssl.SSLContext = field(repr=False)

    def run(self, session: Session) -> None:
        session.start_tls(self.context)


@dataclass(frozen=True)
class Do(Step):
    """Call `action(session)`: whatever no other step does."""

    action: Callable[[Session], Any]

    def run(self, session: Session) -> None:
        self.action(session)


@dataclass(frozen=True)
class Startup(Step):
    """Read up to the StartupMessage; answer encryption requests before it.

    `ssl_answer` and `gss_answer` are the answers (b"N" refuses; None: such a request is an error). With
    `tls`, an SSLRequest is accepted. `check(parameters)` as in Expect.
    """

    ssl_answer: bytes | None = b"N"
    gss_answer: bytes | None = b"N"
    tls: ssl.SSLContext | None = field(default=None, repr=False)
    check: Callable[[dict[str, str]], Any] | None = field(default=None, repr=False)

    def run(self, session: Session) -> None:
        answers = {m.SSL_REQUEST: b"S" if self.tls else self.ssl_answer, m.GSSENC_REQUEST: self.gss_answer}
        while (message := session.read()).type != m.STARTUP:
            answer = answers.get(message.type)
            if answer is None:
                raise MockError(f"expected {m.STARTUP}, got {message}")
            session.send(answer)
            if message.type == m.SSL_REQUEST and self.tls:
                session.start_tls(self.tls)
        session.startup = m.decode_frontend(message)["parameters"]
        if self.check is not None and self.check(session.startup) is False:
            raise MockError(f"the check refused {session.startup}")


@dataclass(frozen=True)
class Serve(Step):
    """Answer each message by `answer(message, session)` (None: nothing) until Terminate, EOF or the mock's
    end."""

    answer: Callable[[m.Message, Session], bytes | None]

    def run(self, session: Session) -> None:
        session.client_may_leave = True
        session.waiting_idle = True
        try:
            while (message := session.read(IDLE_S)).type != "X":
                reply = self.answer(message, session)
                if reply:
                    session.send(reply)
        finally:
            session.waiting_idle = False


# --- SCRAM-SHA-256, the server's side
# ---------------------------------------------------------------------------------


class ScramServer:
    """RFC 5802/7677 with SHA-256; `binding` is the channel binding data of the -PLUS mechanism."""

    def __init__(
        self,
        password: str,
        *,
        iterations: int = 4096,
        salt: bytes = b"sixteen byte salt",
        nonce: str = "",
        binding: bytes = b"",
    ):
        self.iterations = iterations
        self.salt = salt
        self.nonce = nonce or base64.b64encode(os.urandom(18)).decode()
        self.binding = binding
        salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, iterations)
        client_key = hmac.digest(salted, b"Client Key", "sha256")
        self._stored_key = hashlib.sha256(client_key).digest()
        self._server_key = hmac.digest(salted, b"Server Key", "sha256")
        self.client_nonce = ""
        self._gs2_header = ""
        self._client_first_bare = ""
        self._server_first = ""

    def first(self, client_first: bytes) -> bytes:
        """server-first-message. Raises ValueError on a malformed client-first."""
        text = client_first.decode()
        flag, authzid, bare = text.split(",", 2)
        attributes = dict(part.split("=", 1) for part in bare.split(","))
        if flag not in ("n", "y", "p=tls-server-end-point") or authzid or not {"n", "r"} <= attributes.keys():
            raise ValueError(f"malformed client-first-message {text!r}")
        self._gs2_header = f"{flag},{authzid},"
        self._client_first_bare = bare
        self.client_nonce = attributes["r"]
        salt = base64.b64encode(self.salt).decode()
        self._server_first = f"r={self.client_nonce}{self.nonce},s={salt},i={self.iterations}"
        return self._server_first.encode()

    def final(self, client_final: bytes) -> bytes:
        """The server's signature, once the client's proof holds. Raises ValueError when anything is wrong."""
        without_proof, _, proof = client_final.decode().rpartition(",p=")
        attributes = dict(part.split("=", 1) for part in without_proof.split(","))
        binding = self._gs2_header.encode() + (self.binding if self._gs2_header.startswith("p=") else b"")
        if attributes["c"] != base64.b64encode(binding).decode():
            raise ValueError("channel binding differs")
        if attributes["r"] != self.client_nonce + self.nonce:
            raise ValueError("the nonce differs")
        auth = f"{self._client_first_bare},{self._server_first},{without_proof}".encode()
        signature = hmac.digest(self._stored_key, auth, "sha256")
        client_key = bytes(a ^ b for a, b in zip(base64.b64decode(proof), signature, strict=True))
        if hashlib.sha256(client_key).digest() != self._stored_key:
            raise ValueError("the client's proof is wrong")
        return hmac.digest(self._server_key, auth, "sha256")


def _first_with(**changes: str | None) -> Callable[[ScramServer, bytes], bytes]:
    """Server-first with attributes replaced, or left out where None."""

    def change(server: ScramServer, first: bytes) -> bytes:
        attributes = dict(part.split("=", 1) for part in first.decode().split(",")) | changes
        return ",".join(f"{k}={v}" for k, v in attributes.items() if v is not None).encode()

    return change


def _final_of(make: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
    return lambda signature: b"v=" + base64.b64encode(make(signature))


# Faults in server-first-message.
FIRST_FAULTS: dict[str, Callable[[ScramServer, bytes], bytes]] = {
    "nonce_not_ours": _first_with(r="AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"),
    "nonce_not_longer": lambda server, first: _first_with(r=server.client_nonce)(server, first),
    "nonce_missing": _first_with(r=None),
    "salt_not_base64": _first_with(s="!not base64!"),
    "salt_empty": _first_with(s=""),
    "salt_missing": _first_with(s=None),
    "iterations_missing": _first_with(i=None),
    "iterations_zero": _first_with(i="0"),
    "iterations_negative": _first_with(i="-1"),
    "iterations_not_a_number": _first_with(i="4096x"),
    "iterations_huge": _first_with(i="2147483647"),
    "mandatory_extension": lambda server, first: b"m=unknown," + first,
    "first_is_error": lambda server, first: b"e=other-error",
    "first_not_utf8": lambda server, first: b"\xff\xfe" + first,
    "first_empty": lambda server, first: b"",
}

# Faults in server-final-message.
FINAL_FAULTS: dict[str, Callable[[bytes], bytes]] = {
    "wrong_signature": _final_of(lambda signature: bytes([signature[0] ^ 1]) + signature[1:]),
    "short_signature": _final_of(lambda signature: signature[:16]),
    "long_signature": _final_of(lambda signature: signature + b"\0"),
    "empty_signature": lambda signature: b"v=",
    "signature_not_base64": lambda signature: b"v=!not base64!",
    "final_is_error": lambda signature: b"e=other-error",
    "final_empty": lambda signature: b"",
}

# Faults in the order of messages.
ORDER_FAULTS = {
    "no_mechanism": "the list of mechanisms is empty",
    "unknown_mechanism": "only a mechanism nobody knows is offered",
    "plus_without_tls": "only SCRAM-SHA-256-PLUS is offered, on a plain connection",
    "ok_instead_of_first": "AuthenticationOk in place of SASLContinue",
    "final_instead_of_first": "SASLFinal in place of SASLContinue",
    "first_twice": "a second SASLContinue in place of SASLFinal",
    "ok_instead_of_final": "AuthenticationOk without SASLFinal: no proof that the server knows the password",
    "ready_instead_of_ok": "SASLFinal is right, but ReadyForQuery comes without AuthenticationOk",
    "password_instead_of_first": "a request for the password in clear in place of SASLContinue",
    "refused": "FATAL 28P01 after the proof, as for a wrong password",
}

SCRAM_FAULTS = (*FIRST_FAULTS, *FINAL_FAULTS, *ORDER_FAULTS)


@dataclass(frozen=True)
class Scram(Step):
    """SCRAM from AuthenticationSASL to AuthenticationOk; with a `fault`, up to the lie, and the client may
    leave."""

    password: str = field(repr=False)
    fault: str | None = None
    iterations: int = 4096
    mechanisms: tuple[str, ...] = ("SCRAM-SHA-256",)
    binding: bytes = field(default=b"", repr=False)

    def __post_init__(self) -> None:
        if self.fault is not None and self.fault not in SCRAM_FAULTS:
            raise ValueError(f"unknown SCRAM fault {self.fault!r}; known: {', '.join(SCRAM_FAULTS)}")

    def run(self, session: Session) -> None:
        fault = self.fault
        session.client_may_leave = session.client_may_leave or fault is not None
        server = ScramServer(self.password, iterations=self.iterations, binding=self.binding)
        offers = {
            "no_mechanism": (),
            "unknown_mechanism": ("SCRAM-MOCK-1",),
            "plus_without_tls": ("SCRAM-SHA-256-PLUS",),
        }
        offered = self.mechanisms if fault is None else offers.get(fault, self.mechanisms)
        session.send(m.auth_sasl(*offered))

        mechanism, client_first = m.decode_sasl_initial(self._read(session))
        if mechanism not in offered:
            raise MockError(f"the client chose {mechanism!r}, offered were {offered}")
        first = server.first(client_first or b"")
        replacement = {
            "ok_instead_of_first": m.auth_ok(),
            "final_instead_of_first": m.auth_sasl_final("v=" + base64.b64encode(bytes(32)).decode()),
            "password_instead_of_first": m.auth_cleartext_password(),
        }.get(fault or "")
        if replacement:
            session.send(replacement)
            return
        if fault in FIRST_FAULTS:
            session.send(m.auth_sasl_continue(FIRST_FAULTS[fault](server, first)))
            return
        session.send(m.auth_sasl_continue(first))

        response = self._read(session).body
        if fault == "refused":  # the proof may be wrong here: this is what a wrong password meets
            session.send(m.error("password authentication failed", "28P01", "FATAL"))
            session.half_close()
            return
        signature = server.final(response)
        right = m.auth_sasl_final("v=" + base64.b64encode(signature).decode())
        if fault in FINAL_FAULTS:
            session.send(m.auth_sasl_final(FINAL_FAULTS[fault](signature)) + m.auth_ok())
        elif fault == "first_twice":
            session.send(m.auth_sasl_continue(first))
        elif fault == "ok_instead_of_final":
            session.send(m.auth_ok())
        elif fault == "ready_instead_of_ok":
            session.send(right)
        else:
            session.send(right + m.auth_ok())

    @staticmethod
    def _read(session: Session) -> m.Message:
        message = session.read()
        if message.type != "p":
            raise MockError(f"expected a SASL response, got {message}")
        return message


# --- ready-made scripts
# -----------------------------------------------------------------------------------------------

PARAMETERS = {
    "server_version": "18.0",
    "server_encoding": "UTF8",
    "client_encoding": "UTF8",
    "application_name": "",
    "DateStyle": "ISO, MDY",
    "IntervalStyle": "postgres",
    "TimeZone": "UTC",
    "integer_datetimes": "on",
    "standard_conforming_strings": "on",
    "is_superuser": "off",
    "session_authorization": "mock",
    "in_hot_standby": "off",
    "default_transaction_read_only": "off",
}


def login_tail(*, pid: int = 4242, key: int | bytes = 0x1234ABCD, **parameters: str) -> bytes:
    """What follows AuthenticationOk: ParameterStatus (defaults overridden by `parameters`), key,
    ReadyForQuery."""
    statuses = b"".join(m.parameter_status(k, v) for k, v in (PARAMETERS | parameters).items())
    return statuses + m.backend_key_data(pid, key) + m.ready()


def trust_login(**startup: Any) -> list[Step]:
    """Login without a question, up to ReadyForQuery; `startup` goes to the Startup step."""
    return [Startup(**startup), Send(m.auth_ok() + login_tail())]


def password_login(password: str, **startup: Any) -> list[Step]:
    """Login with the password in clear; another password fails the script."""
    wanted = m.password(password)
    return [
        Startup(**startup),
        Send(m.auth_cleartext_password()),
        Expect("p", lambda message: message.raw == wanted),
        Send(m.auth_ok() + login_tail()),
    ]


def md5_login(password: str, salt: bytes = b"\x01\xfe\x7f\x80", **startup: Any) -> list[Step]:
    """Login by md5(md5(password + user) + salt)."""

    def check(session: Session) -> None:
        inner = hashlib.md5((password + session.startup["user"]).encode()).hexdigest()
        wanted = "md5" + hashlib.md5(inner.encode() + salt).hexdigest()
        message = session.read()
        if message.raw != m.password(wanted):
            raise MockError("the md5 answer is wrong")

    return [Startup(**startup), Send(m.auth_md5_password(salt)), Do(check), Send(m.auth_ok() + login_tail())]


def scram_login(
    password: str,
    *,
    fault: str | None = None,
    iterations: int = 4096,
    mechanisms: tuple[str, ...] = ("SCRAM-SHA-256",),
    binding: bytes = b"",
    **startup: Any,
) -> list[Step]:
    """Login by SCRAM; with a `fault` of SCRAM_FAULTS the server lies once and then acts as if all were
    well."""
    steps: list[Step] = [
        Startup(**startup),
        Scram(password, fault, iterations, mechanisms, binding),
    ]
    if fault == "refused":
        return [*steps, Silent()]
    steps.append(Send(login_tail()))
    return steps if fault is None else [*steps, Silent()]


def speaks_http() -> list[Step]:
    """A web server: waits for bytes, answers 400, closes."""
    page = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    return [ClientMayLeave(), AwaitBytes(), Send(page), Close()]


def speaks_ssh() -> list[Step]:
    """An SSH server: its banner first, then it waits."""
    return [ClientMayLeave(), Send(b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n"), Silent()]


def speaks_mysql() -> list[Step]:
    """A MySQL server: its handshake packet first, then it waits."""
    body = b"\x0a8.0.36\0" + struct.pack("<I", 11) + b"\x01" * 8 + b"\0" + b"\xff\xff\xff\x02\0\xff\xdf\x15" + bytes(10)
    body += b"\x02" * 12 + b"\0caching_sha2_password\0"
    return [ClientMayLeave(), Send(struct.pack("<I", len(body))[:3] + b"\0" + body), Silent()]


def says_nothing() -> list[Step]:
    """Accepts and stays silent until the client leaves."""
    return [Silent()]


# --- the server
# -------------------------------------------------------------------------------------------------------


class PgMock:
    """The scripted server: a context manager; connection k runs `scripts[k]`.

    Parameters: `repeat` runs the last script for every later connection too; otherwise one connection too
    many is an error. `allow_unused`: scripts that no client came for are no error. `timeout_s` bounds each
    single wait.
    """

    host = "127.0.0.1"

    def __init__(
        self,
        *scripts: Sequence[Step],
        repeat: bool = False,
        allow_unused: bool = False,
        timeout_s: float = 5.0,
    ):
        if not scripts:
            raise ValueError("PgMock needs at least one script")
        self.scripts = scripts
        self.repeat = repeat
        self.allow_unused = allow_unused
        self.timeout_s = timeout_s
        self.sessions: list[Session] = []
        self.errors: list[BaseException] = []
        self.port = 0
        self._threads: list[threading.Thread] = []
        self._goodbye: Any = None  # address of our own connection that ends the accept loop

    @property
    def dsn(self) -> str:
        """Conninfo string, without TLS; append to it to override."""
        return f"host={self.host} port={self.port} user=mock dbname=mock sslmode=disable"

    @property
    def received(self) -> list[m.Message]:
        """All messages of all connections, in the order of the connections."""
        return [message for session in self.sessions for message in session.received]

    @property
    def received_types(self) -> str:
        """Their types joined: "<startup>QX"."""
        return m.types(self.received)

    def __enter__(self) -> PgMock:
        self._listener = socket.create_server((self.host, 0), backlog=64)
        self.port = self._listener.getsockname()[1]
        self._acceptor = threading.Thread(target=self._accept, name="pgmock-accept", daemon=True)
        self._acceptor.start()
        return self

    def _accept(self) -> None:
        with self._listener:
            while True:
                sock, peer = self._listener.accept()
                if peer == self._goodbye:
                    sock.close()
                    return
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                number = len(self.sessions)
                if number >= len(self.scripts) and not self.repeat:
                    self.errors.append(MockError(f"connection {number} came, there are {len(self.scripts)} scripts"))
                    sock.close()
                    continue
                session = Session(number, sock, self.timeout_s)
                script = self.scripts[min(number, len(self.scripts) - 1)]
                thread = threading.Thread(target=session.run, args=(script,), name=f"pgmock-{number}", daemon=True)
                self.sessions.append(session)
                self._threads.append(thread)
                thread.start()

    def wait(self) -> None:
        """Wait for every running script to end by itself, at most timeout_s in all."""
        deadline = time.monotonic() + self.timeout_s
        for thread in list(self._threads):
            thread.join(max(0.0, deadline - time.monotonic()))

    def __exit__(self, exc_type: Any, exc: BaseException | None, tb: Any) -> None:
        self._stop_accepting()
        self._end_sessions(0.0 if exc is not None else self.timeout_s)
        self.errors += [session.error for session in self.sessions if session.error is not None]
        if not self.allow_unused and len(self.sessions) < len(self.scripts):
            self.errors.append(MockError(f"{len(self.scripts)} connections expected, {len(self.sessions)} came"))
        if not self.errors:
            return
        text = "; ".join(map(str, self.errors))
        if exc is None:
            raise MockError(text) from self.errors[0]
        if hasattr(exc, "add_note"):  # Python 3.11
            exc.add_note(f"pgmock: {text}")

    def _stop_accepting(self) -> None:
        # The backlog is first in, first out: clients that came before our own connection are still served.
        with socket.socket() as goodbye:
            goodbye.bind((self.host, 0))
            self._goodbye = goodbye.getsockname()
            goodbye.settimeout(self.timeout_s)
            with contextlib.suppress(OSError):
                goodbye.connect((self.host, self.port))
        self._acceptor.join(self.timeout_s)
        if self._acceptor.is_alive():
            self.errors.append(MockError("the accept thread does not end"))

    def _end_sessions(self, grace_s: float) -> None:
        """Let scripts end by themselves for `grace_s`; idle ones are woken at once, late ones are cut."""
        for session in self.sessions:
            session.stopping.set()
        deadline = time.monotonic() + grace_s
        while any(thread.is_alive() for thread in self._threads):
            late = time.monotonic() >= deadline
            for session, thread in zip(self.sessions, self._threads, strict=True):
                if thread.is_alive() and (session.waiting_idle or late):
                    session.wake(socket.SHUT_RDWR if late else socket.SHUT_RD)
            for thread in self._threads:
                thread.join(0.005)
                if late:
                    thread.join(1.0)
            if late and time.monotonic() > deadline + 5.0:
                self.errors.append(MockError("a script's thread does not end"))
                return
