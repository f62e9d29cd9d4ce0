"""The test kit itself: messages, scripted server, fault proxy, wiretap. Raw sockets only, no real server."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import socket
import ssl
import struct
import threading
import time
from collections.abc import Iterator

import pytest
from tests.kit import messages as m
from tests.kit import pgmock as pm
from tests.kit.faultproxy import FaultProxy
from tests.kit.messages import TO_CLIENT, TO_SERVER
from tests.kit.pgmock import MockError, PgMock
from tests.kit.wiretap import Record, Seen, Wiretap

pytestmark = pytest.mark.usefixtures("no_leaks")

LIMIT_S = 5.0
QUIET_S = 0.1  # how long a socket is watched when nothing must come


class Client:
    """A raw client: sends bytes, reads backend messages; every wait is bounded."""

    def __init__(self, server: PgMock | FaultProxy):
        if server.host.startswith("/"):
            self.sock = socket.socket(socket.AF_UNIX)
            self.sock.settimeout(LIMIT_S)
            self.sock.connect(f"{server.host}/.s.PGSQL.{server.port}")
        else:
            self.sock = socket.create_connection((server.host, server.port), timeout=LIMIT_S)
        self.splitter = m.Splitter(TO_CLIENT)
        self.waiting: list[m.Message] = []

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *args: object) -> None:
        self.sock.close()

    def send(self, *data: bytes) -> None:
        self.sock.sendall(b"".join(data))

    def read(self) -> m.Message:
        while not self.waiting:
            data = self.sock.recv(65536)
            if not data:
                raise EOFError
            self.waiting += self.splitter.feed(data)
        return self.waiting.pop(0)

    def read_until(self, type_: str) -> str:
        """The types up to and with `type_`."""
        seen = [self.read()]
        while seen[-1].type != type_:
            seen.append(self.read())
        return m.types(seen)

    def read_all(self) -> bytes:
        """Bytes up to EOF; RST counts as one."""
        out = bytearray()
        with contextlib.suppress(ConnectionResetError):
            while data := self.sock.recv(65536):
                out += data
        return bytes(out)

    def read_exactly(self, n: int) -> bytes:
        out = b""
        while len(out) < n:
            data = self.sock.recv(n - len(out))
            if not data:
                raise EOFError
            out += data
        return out

    def is_quiet(self) -> bool:
        """Nothing comes for a moment."""
        self.sock.settimeout(QUIET_S)
        try:
            self.sock.recv(1)
        except TimeoutError:
            return True
        finally:
            self.sock.settimeout(LIMIT_S)
        return False

    def login(self) -> str:
        self.send(m.startup("mock"))
        return self.read_until("Z")


ROW_REPLY = m.row_description(("x", 23)) + m.data_row("1") + m.command_complete("SELECT 1") + m.ready()
BIG = bytes(range(256)) * 4096 * 20  # 20 MiB, more than sockets and a line hold


def answer(message: m.Message, session: pm.Session) -> bytes | None:
    """A tiny database: every Query gets a row, every Sync a ReadyForQuery, "big" a long CopyData."""
    if message.type == "Q":
        return m.copy_data(BIG) + m.ready() if message.body == b"big\0" else ROW_REPLY
    return {
        "S": m.ready(),
        "P": m.parse_complete(),
        "B": m.bind_complete(),
        "E": m.command_complete("SELECT 0"),
    }.get(message.type)


def database() -> PgMock:
    return PgMock([pm.ClientMayLeave(), *pm.trust_login(), pm.Serve(answer)], repeat=True, allow_unused=True)


@pytest.fixture
def db() -> Iterator[PgMock]:
    with database() as mock:
        yield mock


@pytest.fixture
def proxy(db: PgMock) -> Iterator[FaultProxy]:
    with FaultProxy((db.host, db.port)) as proxy:
        yield proxy


@pytest.fixture
def tap(db: PgMock) -> Iterator[Wiretap]:
    with Wiretap((db.host, db.port)) as tap:
        yield tap


def eventually(condition: object, limit_s: float = LIMIT_S) -> None:
    """Poll until the callable is true."""
    assert callable(condition)
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline, "did not become true in time"
        time.sleep(0.002)


def anonymous_tls() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Contexts for server and client that need no certificate: anonymous key exchange, TLS 1.2."""
    contexts = []
    for protocol in (ssl.PROTOCOL_TLS_SERVER, ssl.PROTOCOL_TLS_CLIENT):
        context = ssl.SSLContext(protocol)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers("AECDH:@SECLEVEL=0")
        contexts.append(context)
    return contexts[0], contexts[1]


# --- messages

# Recorded from PostgreSQL 18.6: the answer to the simple query `select 1`.
RECORDED_ANSWER = (
    b"T\x00\x00\x00!\x00\x01?column?\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x17\x00\x04\xff\xff\xff\xff\x00\x00"
    b"D\x00\x00\x00\x0b\x00\x01\x00\x00\x00\x011C\x00\x00\x00\rSELECT 1\x00Z\x00\x00\x00\x05I"
)

BACKEND = {
    "1": m.parse_complete(),
    "2": m.bind_complete(),
    "3": m.close_complete(),
    "A": m.notification(7, "channel", "payload"),
    "C": m.command_complete("INSERT 0 1"),
    "D": m.data_row("text", b"\0\xff", None, ""),
    "E": m.error("no", "42601", message_detail="detail", statement_position="3"),
    "G": m.copy_in_response([0, 0]),
    "H": m.copy_out_response([1]),
    "I": m.empty_query(),
    "K": m.backend_key_data(7, b"k" * 32),
    "N": m.notice("hm", message_hint="hint"),
    "R": m.auth_md5_password(b"salt"),
    "S": m.parameter_status("TimeZone", "UTC"),
    "T": m.row_description("a", ("b", 23), m.Column("c", 17, format=1)),
    "V": m.function_call_response(None),
    "W": m.copy_both_response(),
    "Z": m.ready("T"),
    "c": m.copy_done(),
    "d": m.copy_data(b"\0data"),
    "n": m.no_data(),
    "s": m.portal_suspended(),
    "t": m.parameter_description(23, 4294967295),
    "v": m.negotiate_protocol_version(m.PROTOCOL_3_0, "_pq_.x"),
}

FRONTEND = [
    (m.gssenc_request(), "<gss>", {"code": m.GSSENC_CODE}),
    (m.ssl_request(), "<ssl>", {"code": m.SSL_CODE}),
    (
        m.startup("joe", database="db"),
        "<startup>",
        {"version": m.PROTOCOL_3_0, "parameters": {"user": "joe", "database": "db"}},
    ),
    (m.password("pw"), "p", {"data": b"pw\0"}),
    (m.sasl_initial_response("X", "n,,"), "p", {"data": b"X\0\0\0\0\x03n,,"}),
    (m.sasl_response(b"c=biws"), "p", {"data": b"c=biws"}),
    (m.query("select 'é'"), "Q", {"sql": "select 'é'"}),
    (m.parse("s1", "select $1", [23, 0]), "P", {"name": "s1", "sql": "select $1", "oids": [23, 0]}),
    (
        m.bind("c", "s1", ["1", None, b"\0"], formats=[0, 0, 1], result_formats=[1]),
        "B",
        {
            "portal": "c",
            "statement": "s1",
            "formats": [0, 0, 1],
            "values": [b"1", None, b"\0"],
            "result_formats": [1],
        },
    ),
    (m.describe("S", "s1"), "D", {"kind": "S", "name": "s1"}),
    (m.execute("c", 10), "E", {"portal": "c", "max_rows": 10}),
    (m.close("P", "c"), "C", {"kind": "P", "name": "c"}),
    (
        m.function_call(7, [None], formats=[1], result_format=1),
        "F",
        {"oid": 7, "formats": [1], "values": [None], "result_format": 1},
    ),
    (m.sync(), "S", {}),
    (m.flush(), "H", {}),
    (m.copy_data("row\n"), "d", {"data": b"row\n"}),
    (m.copy_done(), "c", {}),
    (m.copy_fail("why"), "f", {"text": "why"}),
    (m.terminate(), "X", {}),
]


def test_backend_builders_make_what_a_server_sent() -> None:
    built = m.row_description(("?column?", 23, 0, 4)) + m.data_row("1") + m.command_complete("SELECT 1") + m.ready()
    assert built == RECORDED_ANSWER


def test_every_backend_message_has_a_builder_and_a_name() -> None:
    assert {t for t in m.BACKEND_NAMES if len(t) == 1} == BACKEND.keys()
    for type_, raw in BACKEND.items():
        (found,) = m.split(raw, TO_CLIENT)
        assert (found.type, found.raw) == (type_, raw)
        assert not found.name.startswith("unknown")


@pytest.mark.parametrize(
    ("raw", "code", "body"),
    [
        (m.auth_ok(), 0, b""),
        (m.auth_kerberos_v5(), 2, b""),
        (m.auth_cleartext_password(), 3, b""),
        (m.auth_md5_password(b"abcd"), 5, b"abcd"),
        (m.auth_gss(), 7, b""),
        (m.auth_gss_continue(b"x"), 8, b"x"),
        (m.auth_sspi(), 9, b""),
        (m.auth_sasl("A", "B"), 10, b"A\0B\0\0"),
        (m.auth_sasl_continue("r="), 11, b"r="),
        (m.auth_sasl_final(b"v="), 12, b"v="),
    ],
    ids=[
        "ok",
        "kerberos",
        "password",
        "md5",
        "gss",
        "gss_continue",
        "sspi",
        "sasl",
        "sasl_continue",
        "sasl_final",
    ],
)
def test_authentication_requests(raw: bytes, code: int, body: bytes) -> None:
    assert raw == b"R" + struct.pack("!II", len(body) + 8, code) + body


def test_error_fields() -> None:
    (found,) = m.split(BACKEND["E"], TO_CLIENT)
    assert m.error_fields(found) == {
        "S": "ERROR",
        "V": "ERROR",
        "C": "42601",
        "M": "no",
        "D": "detail",
        "P": "3",
    }


@pytest.mark.parametrize(("raw", "type_", "fields"), FRONTEND, ids=[case[1] for case in FRONTEND])
def test_frontend_fields_are_read_strictly(raw: bytes, type_: str, fields: dict[str, object]) -> None:
    (found,) = m.split(raw, started=not type_.startswith("<"))
    assert (found.type, found.raw, m.decode_frontend(found)) == (type_, raw, fields)
    if type_ not in ("d", "p"):  # these take any bytes
        for cut in range(len(found.body)):
            with pytest.raises(m.FramingError):
                m.decode_frontend(found._replace(body=found.body[:cut]))
        with pytest.raises(m.FramingError):
            m.decode_frontend(found._replace(body=found.body + b"\0"))


def test_cancel_request() -> None:
    (found,) = m.split(m.cancel_request(-5, b"0123456789"))
    assert m.decode_frontend(found) == {"code": m.CANCEL_CODE, "pid": -5, "key": b"0123456789"}
    assert "0123456789" not in repr(found)


def test_secrets_are_not_in_repr() -> None:
    (found,) = m.split(m.password("sesame"), started=True)
    assert "sesame" not in repr(found)
    (found,) = m.split(m.backend_key_data(1, b"sesame"), TO_CLIENT)
    assert "sesame" not in repr(found)


def test_any_split_gives_the_same_messages() -> None:
    for direction, stream in (
        (TO_SERVER, b"".join(raw for raw, _, _ in FRONTEND)),
        (TO_CLIENT, b"".join(BACKEND.values())),
    ):
        whole = m.split(stream, direction)
        for cut in range(len(stream) + 1):
            splitter = m.Splitter(direction)
            assert splitter.feed(stream[:cut]) + splitter.feed(stream[cut:]) == whole
        splitter = m.Splitter(direction)
        assert [msg for byte in stream for msg in splitter.feed(bytes([byte]))] == whole


def test_a_span_is_known_before_the_body_has_come() -> None:
    framer = m.Framer(TO_CLIENT)
    raw = m.copy_data(bytes(1000))
    assert framer.feed(raw[:4]) == []
    assert framer.feed(raw[4:5]) == [m.Span("d", 0, 1005)]
    assert framer.feed(raw[5:] + m.ready()) == [m.Span("Z", 1005, 1011)]


def test_split_refuses_a_torn_end() -> None:
    with pytest.raises(m.FramingError, match="inside a message"):
        m.split(m.sync() + m.query("select")[:-1], started=True)


@pytest.mark.parametrize(
    ("data", "started"),
    [
        (m.message(b"Q", b"x", length=3), True),
        (m.message(b"Q", b"x", length=-1), True),
        (m.untyped(m.PROTOCOL_3_0, length=7), False),
        (m.untyped(m.PROTOCOL_3_0, length=m.MAX_STARTUP_BYTES + 1), False),
        (b"GET / HTTP/1.1\r\n", False),
    ],
    ids=["short", "negative", "short startup", "long startup", "http"],
)
def test_impossible_lengths_are_refused(data: bytes, started: bool) -> None:
    with pytest.raises(m.FramingError):
        m.split(data, started=started)


@pytest.mark.parametrize("byte", ["S", "G"])
def test_a_conversation_turns_opaque_with_encryption(byte: str) -> None:
    talk = m.Conversation()
    request = m.ssl_request() if byte == "S" else m.gssenc_request()
    assert m.types(talk.feed(TO_SERVER, request)) == ("<ssl>" if byte == "S" else "<gss>")
    assert m.types(talk.feed(TO_CLIENT, byte.encode())) == f"<{byte}>"
    assert talk.opaque
    assert talk.feed(TO_SERVER, m.query("hidden")) == []


def test_a_conversation_goes_on_when_encryption_is_refused() -> None:
    talk = m.Conversation()
    for request in (m.gssenc_request(), m.ssl_request()):
        talk.feed(TO_SERVER, request)
        assert m.types(talk.feed(TO_CLIENT, b"N")) == "<N>"
    assert m.types(talk.feed(TO_SERVER, m.startup() + m.query("x"))) == "<startup>Q"
    assert m.types(talk.feed(TO_CLIENT, m.auth_ok() + m.notice())) == "RN"


def test_an_error_may_answer_an_encryption_request() -> None:
    talk = m.Conversation()
    talk.feed(TO_SERVER, m.ssl_request())
    raw = m.error()
    assert talk.feed(TO_CLIENT, raw[:1]) == []
    assert talk.feed(TO_CLIENT, raw[1:]) == [m.Span("E", 0, len(raw))]


def test_direct_tls_and_foreign_bytes_make_a_conversation_opaque() -> None:
    for first in (b"\x16\x03\x01\x02\x00", b"GET / HTTP/1.1\r\n"):
        talk = m.Conversation()
        assert talk.feed(TO_SERVER, first) == []
        assert talk.opaque


def test_split_types() -> None:
    assert m.split_types("<ssl>PB<startup>") == ["<ssl>", "P", "B", "<startup>"]
    assert m.split_types("") == []


# --- pgmock


def test_a_script_runs_and_records() -> None:
    script = [
        *pm.trust_login(check=lambda parameters: parameters["user"] == "mock"),
        pm.Expect("PBDES", lambda parse, *rest: m.decode_frontend(parse)["sql"] == "select 1"),
        pm.Send(ROW_REPLY),
    ]
    burst = m.parse("", "select 1") + m.bind("", "") + m.describe("P") + m.execute() + m.sync()
    with PgMock(script) as mock, Client(mock) as client:
        client.send(m.gssenc_request())
        assert client.sock.recv(10) == b"N"
        client.send(m.ssl_request())
        assert client.sock.recv(10) == b"N"
        assert client.login() == "R" + "S" * len(pm.PARAMETERS) + "KZ"
        client.send(burst)
        assert client.read_until("Z") == "TDCZ"
        client.send(m.terminate())
        assert client.read_all() == b""
    assert mock.received_types == "<gss><ssl><startup>PBDESX"
    assert mock.sessions[0].raw.endswith(burst + m.terminate())
    assert bytes(mock.sessions[0].sent).endswith(ROW_REPLY)


def test_pieces_arrive_whole() -> None:
    with PgMock([pm.Send(ROW_REPLY, piece=1, gap_s=0.0005)]) as mock, Client(mock) as client:
        assert client.read_all() == ROW_REPLY


def test_data_may_be_made_from_the_session() -> None:
    script = [pm.Expect("<startup>"), pm.Send(lambda session: m.command_complete(session.received[0].type))]
    with PgMock(script) as mock, Client(mock) as client:
        client.send(m.startup())
        assert client.read().body == b"<startup>\0"


def test_reset_is_seen_as_reset() -> None:
    with PgMock([pm.Expect("<startup>"), pm.Reset()]) as mock, Client(mock) as client:
        client.send(m.startup())
        with pytest.raises(ConnectionResetError):
            client.sock.recv(1)


def test_close_and_half_close_are_seen_as_eof() -> None:
    script = [pm.Expect("<startup>"), pm.HalfClose(), pm.Expect("Q"), pm.Close()]
    with PgMock(script) as mock, Client(mock) as client:
        client.send(m.startup())
        assert client.sock.recv(1) == b""
        client.send(m.query("still heard"))
    assert mock.received_types == "<startup>Q"


def test_silence_lasts_until_the_client_leaves_or_the_mock_ends() -> None:
    with PgMock(pm.says_nothing(), pm.says_nothing()) as mock:
        with Client(mock) as leaving:
            leaving.send(m.startup())
            assert leaving.is_quiet()
        eventually(lambda: mock.sessions[0].sock.fileno() < 0)
        staying = Client(mock)
        eventually(lambda: len(mock.sessions) == 2)
    staying.sock.close()
    assert mock.received_types == "<startup>"


def test_silence_has_a_bound() -> None:
    with pytest.raises(MockError, match="still waits"), PgMock([pm.Silent(0.05)]) as mock, Client(mock):
        eventually(lambda: mock.sessions and mock.sessions[0].error)


def test_sleep_is_bounded_and_ends_with_the_mock() -> None:
    with pytest.raises(ValueError, match="0 to 5 s"):
        pm.Sleep(60)
    with PgMock([pm.Sleep(5.0)]) as mock, Client(mock):
        eventually(lambda: mock.sessions)
        begin = time.monotonic()
    assert time.monotonic() - begin < 3.0


def test_connections_run_at_the_same_time() -> None:
    gate = threading.Event()
    first = [pm.Do(lambda session: gate.wait(LIMIT_S)), pm.Send(m.notice("first"))]
    second = [pm.Send(m.notice("second")), pm.Do(lambda session: gate.set())]
    with PgMock(first, second) as mock, Client(mock) as one, Client(mock) as two:
        assert b"second" in two.read_all()
        assert b"first" in one.read_all()


def test_serve_ends_with_terminate(db: PgMock) -> None:
    with Client(db) as client:
        client.login()
        for _ in range(3):
            client.send(m.query("select 1"))
            assert client.read_until("Z") == "TDCZ"
        client.send(m.terminate())
        assert client.read_all() == b""


@pytest.mark.parametrize(
    ("script", "sent", "text"),
    [
        ([pm.Expect("Q")], m.startup(), "expected Q .Query., got > <startup> StartupMessage"),
        ([pm.Expect("<startup>", lambda message: False)], m.startup(), "the check refused"),
        ([pm.Expect("<startup>", lambda message: message.nothing)], m.startup(), "no attribute 'nothing'"),
        (
            [pm.Startup(), pm.Expect("Q")],
            m.startup(),
            "step 1 .*closed the connection; received so far: <startup>$",
        ),
        ([pm.Startup(ssl_answer=None)], m.ssl_request(), "expected <startup>, got > <ssl> SSLRequest"),
        ([pm.Startup(check=lambda p: p["user"] == "root")], m.startup(), "the check refused"),
        ([pm.Expect("<startup>")], b"GET / HTTP/1.1", "startup packet of"),
        ([pm.Startup(), pm.Close(), pm.Expect("Q")], m.startup(), "after it closed the connection"),
    ],
    ids=["type", "false", "raises", "client left", "ssl refused", "parameters", "framing", "closed"],
)
def test_a_failed_script_fails_the_test(script: list[pm.Step], sent: bytes, text: str) -> None:
    with pytest.raises(MockError, match=text), PgMock(script) as mock, Client(mock) as client:
        client.send(sent)
        client.sock.shutdown(socket.SHUT_WR)
        client.read_all()


def test_a_wait_is_bounded() -> None:
    mock = PgMock([pm.Expect("<startup>")], timeout_s=0.05)
    with pytest.raises(MockError, match="nothing came in time"), mock, Client(mock) as client:
        client.read_all()


def test_missing_and_surplus_connections_fail_the_test() -> None:
    mock = PgMock(pm.says_nothing(), pm.says_nothing())
    with pytest.raises(MockError, match="2 connections expected, 1 came"), mock:
        Client(mock).sock.close()
    mock = PgMock(pm.says_nothing())
    with pytest.raises(MockError, match="connection 1 came, there are 1 scripts"), mock:
        Client(mock).sock.close()
        with Client(mock) as surplus:
            assert surplus.read_all() == b""
    with PgMock(pm.says_nothing(), allow_unused=True):
        pass
    with pytest.raises(ValueError, match="at least one script"):
        PgMock()


def test_the_exception_of_the_block_is_kept() -> None:
    with pytest.raises(KeyError), PgMock([pm.Expect("Q")]) as mock, Client(mock):
        eventually(lambda: mock.sessions)
        raise KeyError


def test_tls() -> None:
    server, client_context = anonymous_tls()
    with PgMock(pm.trust_login(tls=server), [pm.StartTls(server), *pm.trust_login()]) as mock:
        for direct in (False, True):
            with Client(mock) as client:
                if not direct:
                    client.send(m.ssl_request())
                    assert client.sock.recv(1) == b"S"
                client.sock = client_context.wrap_socket(client.sock)
                assert client.login().endswith("KZ")
                assert client.read_all() == b""
    assert mock.received_types == "<ssl><startup><startup>"


@pytest.mark.parametrize(
    ("script", "first"),
    [
        (pm.speaks_http(), b"HTTP/1.1 400"),
        (pm.speaks_ssh(), b"SSH-2.0-"),
        (pm.speaks_mysql(), b"\x4a\0\0\0\x0a8.0"),
    ],
    ids=["http", "ssh", "mysql"],
)
def test_other_protocols(script: list[pm.Step], first: bytes) -> None:
    with PgMock(script) as mock, Client(mock) as client:
        client.send(m.startup())
        assert client.sock.recv(4096).startswith(first)
    assert mock.sessions[0].raw == m.startup()


def test_password_and_md5_login() -> None:
    salt = b"\x00\x01\xfe\xff"
    inner = hashlib.md5(b"sesame" + b"mock").hexdigest()
    md5 = "md5" + hashlib.md5(inner.encode() + salt).hexdigest()
    for script, right in ((pm.password_login("sesame"), "sesame"), (pm.md5_login("sesame", salt), md5)):
        with PgMock(script) as mock, Client(mock) as client:
            client.send(m.startup("mock"), m.password(right))
            assert client.read_until("Z").startswith("RRS")
        with pytest.raises(MockError) as caught, PgMock(script) as mock, Client(mock) as client:
            client.send(m.startup("mock"), m.password("wrong"))
            client.read_all()
        assert "sesame" not in str(caught.value)


# --- pgmock: SCRAM


def test_scram_server_follows_rfc_7677() -> None:
    server = pm.ScramServer(
        "pencil",
        salt=base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ=="),
        nonce="%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
    )
    nonce = "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
    first = server.first(b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO")
    assert first.decode() == f"r={nonce},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
    proof = "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
    signature = server.final(f"c=biws,r={nonce},p={proof}".encode())
    assert base64.b64encode(signature) == b"6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="
    wrong = base64.b64encode(bytes(32)).decode()
    for final in (f"c=biws,r={nonce},p={wrong}", f"c=eSws,r={nonce},p={proof}", f"c=biws,r=x,p={proof}"):
        with pytest.raises(ValueError, match=r"proof|binding|nonce"):
            server.final(final.encode())


def scram_transcript(client: Client, password: str) -> list[tuple[str, bytes]]:
    """Play an honest but credulous client to the end; what the server sent, and the signature it owed us."""
    seen: list[tuple[str, bytes]] = []

    def read() -> m.Message:
        message = client.read()
        seen.append((message.type, message.body))
        return message

    bare = "n=,r=clientnonce"
    owed = b""
    with contextlib.suppress(EOFError, ConnectionError):
        client.send(m.startup("mock"))
        offered = read().body[4:].split(b"\0")[0].decode()
        if not offered:
            client.sock.shutdown(socket.SHUT_WR)
            read()
        client.send(m.sasl_initial_response(offered, "n,," + bare))
        answer = read()
        first = answer.body[4:]
        attributes = dict(part.split("=", 1) for part in first.decode("latin-1").split(",") if "=" in part)
        with contextlib.suppress(KeyError, ValueError):
            rounds = min(int(attributes["i"]), 10_000)  # the huge count is not worked off here
            salted = hashlib.pbkdf2_hmac("sha256", password.encode(), base64.b64decode(attributes["s"]), rounds)
            without_proof = f"c=biws,r={attributes['r']}"
            auth = f"{bare},{first.decode()},{without_proof}".encode()
            key = hmac.digest(salted, b"Client Key", "sha256")
            signed = hmac.digest(hashlib.sha256(key).digest(), auth, "sha256")
            proof = base64.b64encode(bytes(a ^ b for a, b in zip(key, signed, strict=True))).decode()
            owed = hmac.digest(hmac.digest(salted, b"Server Key", "sha256"), auth, "sha256")
            if answer.type == "R" and answer.body[:4] == b"\0\0\0\x0b":
                client.send(m.sasl_response(f"{without_proof},p={proof}"))
        client.sock.shutdown(socket.SHUT_WR)
        while True:
            read()
    return [*seen, ("owed", owed)]


def is_honest(transcript: list[tuple[str, bytes]]) -> bool:
    """The server's side of RFC 5802 in PostgreSQL's messages, checked in full."""
    *seen, (_, owed) = transcript
    if [type_ for type_, _ in seen[:4]] != ["R"] * 4 or seen[-1] != ("Z", b"I"):
        return False
    bodies = [body for _, body in seen]
    if [int.from_bytes(body[:4], "big") for body in bodies[:4]] != [10, 11, 12, 0]:
        return False
    try:
        parts = [part.split("=", 1) for part in bodies[1][4:].decode().split(",")]
        values = dict(parts)
        salt = base64.b64decode(values["s"], validate=True)
        return (
            bodies[0][4:] == b"SCRAM-SHA-256\0\0"
            and [key for key, _ in parts] == ["r", "s", "i"]
            and values["r"].startswith("clientnonce")
            and len(values["r"]) > len("clientnonce") + 15
            and len(salt) > 0
            and 4096 <= int(values["i"]) <= 1_000_000
            and bodies[2][4:] == b"v=" + base64.b64encode(owed)
        )
    except (ValueError, KeyError):
        return False


@pytest.mark.parametrize("fault", [None, *pm.SCRAM_FAULTS])
def test_scram_faults_are_lies_and_nothing_else_is(fault: str | None) -> None:
    with PgMock(pm.scram_login("sesame", fault=fault)) as mock, Client(mock) as client:
        transcript = scram_transcript(client, "sesame")
    assert is_honest(transcript) == (fault is None), transcript
    assert len(transcript) > 1  # it lied, it did not just fall silent


def test_scram_refuses_a_wrong_password_and_unknown_faults() -> None:
    mock = PgMock(pm.scram_login("sesame"))
    with pytest.raises(MockError, match="proof is wrong") as caught, mock, Client(mock) as client:
        scram_transcript(client, "other")
    assert "sesame" not in str(caught.value)
    with PgMock(pm.scram_login("sesame", fault="refused")) as mock, Client(mock) as client:
        assert scram_transcript(client, "other")[-2][0] == "E"
    with pytest.raises(ValueError, match=r"unknown SCRAM fault .x.; known: nonce_not_ours"):
        pm.scram_login("sesame", fault="x")


# --- faultproxy


def test_the_proxy_changes_nothing_by_itself(db: PgMock, proxy: FaultProxy) -> None:
    with Client(proxy) as client:
        assert client.login().endswith("KZ")
        client.send(m.query("big"))
        eventually(lambda: all(line.received for link in proxy.links for line in link.lines.values()))
        time.sleep(QUIET_S)  # a slow reader: the proxy must hold back, and lose nothing
        assert client.read() == m.Message("d", TO_CLIENT, BIG)
        client.send(m.terminate())
    eventually(lambda: not proxy.links)
    assert db.received_types == "<startup>QX"


def test_unix_sockets_on_both_sides(proxy: FaultProxy) -> None:
    with FaultProxy((proxy.host, proxy.port), unix=True) as listening:
        with FaultProxy(listening.host, target_port=listening.port) as reaching, Client(reaching) as client:
            assert client.login().endswith("KZ")
        with Client(listening) as client:
            assert client.login().endswith("KZ")
            listening.drop_all("rst")
            assert client.read_all() == b""


def test_half_closed_clients_get_their_answers(proxy: FaultProxy) -> None:
    with Client(proxy) as client:
        client.send(m.startup(), m.query("select 1"))
        client.sock.shutdown(socket.SHUT_WR)
        assert client.read_all().endswith(ROW_REPLY)


def test_last_words_come_before_a_late_reset() -> None:
    script = [*pm.trust_login(), pm.Send(m.error("bye", "57P01", "FATAL")), pm.Reset()]
    with (
        PgMock(script) as mock,
        FaultProxy((mock.host, mock.port), delay_ms=30) as far,
        Client(far) as client,
    ):
        client.send(m.startup())
        assert client.read_until("E").endswith("KZE")
        with pytest.raises((EOFError, ConnectionResetError)):
            client.read()


def test_an_unreachable_server_is_a_reset() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        with (
            FaultProxy(unused.getsockname()) as proxy,
            pytest.raises((EOFError, ConnectionResetError)),
            Client(proxy) as client,  # the reset may come while it still connects
        ):
            client.read_exactly(1)


def test_latency_delays_each_direction_and_pipelines(proxy: FaultProxy) -> None:
    with Client(proxy) as client:
        client.login()
        proxy.set(TO_SERVER, latency_s=0.05)
        proxy.set(TO_CLIENT, latency_s=0.1)
        assert proxy.rtt_s == pytest.approx(0.15)
        begin = time.monotonic()
        for _ in range(20):
            client.send(m.query("select 1"))
        for _ in range(20):
            client.read_until("Z")
        took = time.monotonic() - begin
    assert 0.15 <= took < 20 * 0.15  # one delay for all, not one each


def test_rate(proxy: FaultProxy) -> None:
    with Client(proxy) as client:
        client.login()
        proxy.set(TO_SERVER, rate=100_000)
        begin = time.monotonic()
        client.send(m.query("x" * 20_000))
        assert client.read_until("Z") == "TDCZ"
        assert time.monotonic() - begin >= 0.19


def test_slices_arrive_one_by_one(proxy: FaultProxy) -> None:
    proxy.set(TO_CLIENT, slice_bytes=1, slice_gap_s=0.002)
    with Client(proxy) as client:
        begin = time.monotonic()
        client.send(m.startup())
        pieces = []
        while not b"".join(pieces).endswith(m.ready()):
            pieces.append(client.sock.recv(65536))
        length = len(b"".join(pieces))
        assert b"".join(pieces) == m.auth_ok() + pm.login_tail()
        assert time.monotonic() - begin >= (length - 1) * 0.002
        assert len(pieces) > 10
        proxy.heal()
        client.send(m.query("select 1"))
        assert client.read_until("Z") == "TDCZ"


@pytest.mark.parametrize("action", ["fin", "half", "rst", "blackhole", "freeze"])
def test_the_client_gets_exactly_so_many_bytes(proxy: FaultProxy, action: str) -> None:
    silent = action in ("blackhole", "freeze")
    for n in range(0, len(ROW_REPLY) + 1, 17 if silent else 1):
        with Client(proxy) as client:
            client.login()
            rule = proxy.cut_after(TO_CLIENT, n, action)
            with contextlib.suppress(ConnectionError):  # n = 0 cuts at once
                client.send(m.query("select 1"))
            if silent:
                assert client.read_exactly(n) == ROW_REPLY[:n]
                assert client.is_quiet()
            else:
                assert client.read_all() == ROW_REPLY[:n]
            assert rule.fired == 1
            if action == "freeze":
                proxy.thaw()
                assert client.read_exactly(len(ROW_REPLY) - n) == ROW_REPLY[n:]
        proxy.drop_all("rst")


@pytest.mark.parametrize("action", ["fin", "half", "rst", "blackhole"])
def test_the_server_gets_exactly_so_many_bytes(db: PgMock, proxy: FaultProxy, action: str) -> None:
    raw = m.startup() + m.query("select 1")
    for k, n in enumerate(range(len(m.startup()), len(raw) + 1)):
        rule = proxy.cut_after(TO_SERVER, n, action)
        with Client(proxy) as client:
            with contextlib.suppress(ConnectionError):
                client.send(raw)
            rule.wait()
            eventually(lambda k=k, n=n: len(db.sessions) > k and len(db.sessions[k].raw) >= n)
        proxy.drop_all("rst")
        eventually(lambda k=k: db.sessions[k].sock.fileno() < 0)
        assert bytes(db.sessions[k].raw) == raw[:n]


def test_a_reset_after_many_bytes_loses_none_of_them(proxy: FaultProxy) -> None:
    with Client(proxy) as client:
        client.login()
        n = 1_000_003
        proxy.cut_after(TO_CLIENT, n, "rst")
        client.send(m.query("big"))
        assert client.read_all() == m.copy_data(BIG)[:n]


def test_reset_and_fin_look_different(proxy: FaultProxy) -> None:
    with Client(proxy) as client:
        client.login()
        proxy.drop_all("fin")
        assert client.sock.recv(1) == b""
    with Client(proxy) as client:
        client.login()
        proxy.drop_all("rst")
        with pytest.raises(ConnectionResetError):
            client.sock.recv(1)
    with pytest.raises(ValueError, match="fin, rst or blackhole"):
        proxy.drop_all("half")


def test_a_blackhole_passes_no_close_either(db: PgMock, proxy: FaultProxy) -> None:
    with Client(proxy) as client:
        client.login()
        assert proxy.drop_all("blackhole") == 1
        client.send(m.query("lost"))
        assert client.is_quiet()
    time.sleep(QUIET_S)
    assert db.sessions[0].sock.fileno() >= 0  # the server still believes in its client
    assert db.received_types == "<startup>"


def test_freeze_holds_everything_and_thaw_loses_nothing(db: PgMock, proxy: FaultProxy) -> None:
    with Client(proxy) as client:
        client.login()
        proxy.freeze()
        client.send(m.query("select 1"))
        with Client(proxy) as new:
            new.send(m.startup())
            assert new.is_quiet()
            assert client.is_quiet()
            assert db.received_types == "<startup>"
            proxy.thaw()
            assert client.read_until("Z") == "TDCZ"
            assert new.read_until("Z").endswith("KZ")


@pytest.mark.parametrize(("when", "arrived"), [("before", "PBES" * 2 + "PBE"), ("after", "PBES" * 3)])
def test_the_kth_message_of_a_type_triggers(db: PgMock, proxy: FaultProxy, when: str, arrived: str) -> None:
    group = m.parse("", "select 1") + m.bind("", "") + m.execute() + m.sync()
    with Client(proxy) as client:
        client.send(m.startup(), group)
        assert client.read_until("Z").endswith("KZ")
        assert client.read_until("Z") == "12CZ"
        rule = proxy.on_message(TO_SERVER, "S", 2, "rst", when=when)  # counts from here
        with contextlib.suppress(ConnectionError):
            client.send(group * 3)
        rule.wait()
        client.read_all()
    eventually(lambda: db.sessions[0].sock.fileno() < 0)
    assert db.received_types == "<startup>" + arrived


def test_a_trigger_in_the_other_direction_and_in_the_startup_family(db: PgMock, proxy: FaultProxy) -> None:
    proxy.on_message(TO_SERVER, m.STARTUP, 1, "fin", when="before")
    with Client(proxy) as client:
        client.send(m.startup())
        assert client.read_all() == b""
    proxy.on_message(TO_CLIENT, "C", 1, "half", when="before")
    with Client(proxy) as client:
        client.login()
        client.send(m.query("select 1"))
        assert client.read_all() == ROW_REPLY[: -len(m.command_complete("SELECT 1") + m.ready())]
    assert [m.types(session.received) for session in db.sessions] == ["", "<startup>Q"]


def test_a_callable_runs_while_the_line_stands_still(db: PgMock, proxy: FaultProxy) -> None:
    seen: list[str] = []
    with Client(proxy) as client:
        client.login()
        proxy.on_message(TO_SERVER, "Q", 1, lambda: seen.append(db.received_types), when="before")
        client.send(m.query("select 1"))
        assert client.read_until("Z") == "TDCZ"
    assert seen == ["<startup>"]
    assert db.received_types == "<startup>Q"


def test_a_rule_is_spent_unless_it_is_for_every_connection(proxy: FaultProxy) -> None:
    once = proxy.on_message(TO_SERVER, "Q", action="fin")
    for expected in (b"", ROW_REPLY):
        with Client(proxy) as client:
            client.login()
            client.send(m.query("select 1"), m.terminate())
            assert client.read_all() == expected
    assert once.fired == 1
    always = proxy.cut_after(TO_CLIENT, 9, "fin", every_connection=True)
    for _ in range(3):
        with Client(proxy) as client:
            client.send(m.startup())
            assert client.read_all() == m.auth_ok()
    assert always.fired == 3
    proxy.disarm(always)
    with Client(proxy) as client:
        assert client.login().endswith("KZ")
    with pytest.raises(TimeoutError, match="has not fired"):
        proxy.cut_after(TO_SERVER, 10**6).wait(0.01)


def test_bad_orders_are_refused(proxy: FaultProxy) -> None:
    with pytest.raises(ValueError, match="negative: -1"):
        proxy.cut_after(TO_SERVER, -1)
    with pytest.raises(ValueError, match="nth >= 1"):
        proxy.on_message(TO_SERVER, "Q", 0)
    with pytest.raises(ValueError, match="one type"):
        proxy.on_message(TO_SERVER, "QQ")
    with pytest.raises(ValueError, match="unknown action 'explode'"):
        proxy.cut_after(TO_SERVER, 1, "explode")
    with pytest.raises(ValueError, match="TO_SERVER or TO_CLIENT"):
        proxy.freeze("up")
    with pytest.raises(TypeError, match="speed"):
        proxy.set(speed=1)


def test_down_and_up_again_at_the_same_address(proxy: FaultProxy) -> None:
    with Client(proxy) as client:
        client.login()
        proxy.go_down()
        assert client.read_all() == b""
        with pytest.raises(ConnectionRefusedError):
            Client(proxy)
    proxy.come_up()
    with Client(proxy) as client:
        assert client.login().endswith("KZ")


def test_close_ends_connections_and_control(proxy: FaultProxy) -> None:
    with Client(proxy) as client:
        client.login()
        proxy.close()
        assert client.read_all() == b""
    with pytest.raises(RuntimeError, match="the proxy is closed"):
        proxy.freeze()


def test_a_failing_callable_fails_the_test(db: PgMock) -> None:
    def fail() -> None:
        raise KeyError("mine")

    proxy = FaultProxy((db.host, db.port))
    with pytest.raises(KeyError, match="mine"), proxy, Client(proxy) as client:
        client.login()
        proxy.on_message(TO_SERVER, "Q", action=fail)
        client.send(m.query("select 1"))
        assert client.read_all() == b""


def test_encrypted_connections_pass() -> None:
    server, client_context = anonymous_tls()
    with (
        PgMock([*pm.trust_login(tls=server), pm.Serve(answer)]) as mock,
        Wiretap((mock.host, mock.port)) as tap,
    ):
        with Client(tap) as client:
            client.send(m.ssl_request())
            assert client.sock.recv(1) == b"S"
            client.sock = client_context.wrap_socket(client.sock)
            assert client.login().endswith("KZ")
            read = dict(tap.bytes_read)
            rule = tap.cut_after(TO_SERVER, 5, "rst")  # bytes still count
            client.send(m.query("select 1"))
            rule.wait()
        assert tap.seen.types == "><ssl><<S>"
        assert read[TO_SERVER] > 100


# --- wiretap


def test_the_tap_records_in_order(tap: Wiretap) -> None:
    with tap.watch() as login, Client(tap) as client:
        client.login()
        with tap.watch() as seen:
            client.send(m.parse("", "select 1"), m.bind("", ""), m.execute(), m.sync())
            client.read_until("Z")
            client.send(m.query("select 1"))
            client.read_until("Z")
        client.send(m.terminate())
        client.read_all()
    assert seen.types == ">PBES<12CZ>Q<TDCZ"
    assert (seen.bursts, seen.replies, seen.flips) == (["PBES", "Q"], ["12CZ", "TDCZ"], 2)
    assert [m.decode_frontend(message)["sql"] for message in seen.sent("P")] == ["select 1"]
    assert len(seen.answered("Z")) == 2
    assert len(seen.sent()) == 5
    assert login.bursts == ["<startup>", "PBES", "Q", "X"]
    assert login.flips == 3
    assert login.streams(0)[TO_CLIENT].endswith(ROW_REPLY)
    assert login.streams(0)[TO_SERVER].startswith(m.startup("mock"))
    times = [record.at_s for record in login.records]
    assert times == sorted(times)
    assert tap.seen.records == login.records


def test_the_tap_sees_what_was_written_and_not_waited_for(tap: Wiretap) -> None:
    with Client(tap) as client:
        client.login()
        for _ in range(50):
            with tap.watch() as seen:
                client.send(m.sync())
            assert len(seen.sent("S")) == 1
            client.read_until("Z")


def test_connections_are_counted_one_by_one(tap: Wiretap) -> None:
    with Client(tap) as one, Client(tap) as two:
        one.login()
        two.login()
        with tap.watch() as seen:
            one.send(m.parse("", ""))
            two.send(m.sync())
            two.read_until("Z")
            one.send(m.sync())
            one.read_until("Z")
    assert sorted(seen.bursts) in (["PS", "S"], ["P", "S", "S"])
    assert {record.connection for record in seen.records} == {0, 1}
    assert seen.flips >= 2


def test_flips_and_bursts_of_given_records() -> None:
    def record(connection: int, direction: str, type_: str) -> Record:
        return Record(0.0, connection, m.Message(type_, direction, b""))

    seen = Seen(
        [
            record(0, TO_CLIENT, "N"),  # unasked: no flip
            record(0, TO_SERVER, "P"),
            record(1, TO_SERVER, "Q"),
            record(0, TO_SERVER, "S"),
            record(1, TO_CLIENT, "Z"),
            record(0, TO_CLIENT, "1"),
            record(0, TO_CLIENT, "Z"),
            record(0, TO_SERVER, "X"),
        ]
    )
    assert (seen.bursts, seen.replies, seen.flips) == (["PS", "Q", "X"], ["N", "Z", "1Z"], 2)
    assert seen.types == "<N>PQS<Z1Z>X"


def test_round_trips_are_wall_time_by_delay(db: PgMock) -> None:
    for wall_s, trips in ((0.001, 0), (0.041, 1), (0.079, 2), (0.1, 2), (0.101, 3)):
        assert Seen(wall_s=wall_s, rtt_s=0.04).round_trips == trips
    with pytest.raises(ValueError, match="delay_ms"):
        _ = Seen(wall_s=1.0).round_trips
    with Wiretap((db.host, db.port), delay_ms=60) as tap, Client(tap) as client:
        client.login()
        with tap.watch() as seen:
            for _ in range(2):
                client.send(m.query("select 1") * 3)
                for _ in range(3):
                    client.read_until("Z")
        assert seen.wall_s >= 2 * tap.rtt_s
        assert (seen.round_trips, seen.flips) == (2, 2)
        with tap.watch() as unawaited:
            client.send(m.query("select 1"))
        assert unawaited.round_trips == 0
        client.read_until("Z")


def test_a_cancel_request_is_a_connection_of_its_own() -> None:
    mock = PgMock([*pm.trust_login(), pm.Silent()], [pm.Expect("<cancel>")])
    with mock, Wiretap((mock.host, mock.port)) as tap, Client(tap) as client:
        client.login()
        with tap.watch() as seen, Client(tap) as canceller:
            canceller.send(m.cancel_request(4242, 0x1234ABCD))
            assert canceller.read_all() == b""
    assert seen.bursts == ["<cancel>"]
    assert [record.connection for record in seen.records] == [1]
