"""The targets: one a parser. Each takes any bytes, and may only give a value or one of the errors it allows.

``Target.run`` raises what it must not: a foreign exception, an error of the wrong class, or ``Finding`` where an answer
is wrong without an exception. Readers of messages, codecs and type families are found by looking, so new ones are covered
when they are registered.
"""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from tests.kit import messages as m
from tests.unit.playing import Conversation, Turn, connected_session, facts_of, feed, run_many
from tests.unit.recorded import (
    ASIDES,
    CLIENT_NONCE,
    CONVERSATIONS,
    GREETING,
    PASSWORD,
    RANDOM,
    SALT,
    SERVER_NONCE,
    WITHOUT_PROOF,
    log_in,
    resume,
    scram_proof,
)

import howdah
from fuzz.mutate import Mutator, StreamMutator, pack, unpack
from howdah import errors
from howdah.auth.saslprep import saslprep
from howdah.auth.scram import Scram
from howdah.config.conninfo import Target as Address
from howdah.config.conninfo import conninfo_to_dict, make_conninfo
from howdah.core.query import read_query
from howdah.core.rows import TupleSink, decode_rows, make_plan
from howdah.core.session import RAW, Session
from howdah.errors import DataError, Error, OperationalError, ProgrammingError, ProtocolError
from howdah.types._datetime import style_of
from howdah.types.registry import UTC, registry_for
from howdah.wire import backend
from howdah.wire.tags import rows_affected

CORPUS = Path(__file__).resolve().parent / "corpus"
PROTOCOLS = (196608, 196610)
# an iteration count that a fuzzer's patience allows; the cap itself has a test of its own
MAX_ROUNDS = 16


class Finding(Exception):
    """A wrong answer, or an error of a kind that is not allowed."""


class Target(NamedTuple):
    """``seeds`` are inputs that are read well, or failed once; ``make`` gives the next input."""

    name: str
    seeds: list[bytes]
    make: Callable[[Random], bytes]
    run: Callable[[bytes], None]


def target(name: str, seeds: Sequence[bytes], run: Callable[[bytes], None], pieces: Sequence[bytes] = ()) -> Target:
    seeds = [*seeds, *found_before(name)]
    return Target(name, seeds, Mutator(seeds, pieces).make, run)


def found_before(name: str) -> list[bytes]:
    """Inputs that once failed, in fuzz/corpus/<target>/."""
    folder = CORPUS / name
    return [path.read_bytes() for path in sorted(folder.glob("*.bin"))] if folder.is_dir() else []


def allowing(*allowed: type[BaseException]) -> Callable[[Callable[[bytes], Any]], Callable[[bytes], None]]:
    """A run that swallows these errors, and hands on all others."""

    def decorate(read: Callable[[bytes], Any]) -> Callable[[bytes], None]:
        def run(data: bytes) -> None:
            try:
                read(data)
            except allowed:
                pass

        return run

    return decorate


def need(fact: bool, what: str) -> None:
    if not fact:
        raise Finding(what)


# -- messages from the server

SAMPLES = {
    "read_row_description": [
        m.row_description(m.Column("id", 23, 1, 4, -1, 16384, 1), m.Column("имя", 25)), m.row_description(),
    ],
    "read_error_fields": [m.error("no", "42601", statement_position="7", constraint_name="c"), m.message("E", b"\0")],
    "read_command_tag": [m.command_complete("INSERT 0 5")],
    "read_copy_response": [m.copy_in_response((0, 1)), m.copy_both_response()],
    "read_parameter_status": [m.parameter_status("TimeZone", "Europe/Paris")],
    "read_backend_key": [m.backend_key_data(4711, b"\1\2\3\4"), m.backend_key_data(-1, b"k" * 256)],
    "read_authentication": [m.auth_ok(), m.auth_md5_password(b"salt")],
    "read_sasl_mechanisms": [m.message("R", m.auth_sasl("SCRAM-SHA-256-PLUS", "SCRAM-SHA-256")[9:])],
    "read_notification": [m.notification(77, "канал", "payload")],
    "read_parameter_description": [m.parameter_description(23, 2**32 - 1), m.parameter_description()],
    "read_negotiate_version": [m.negotiate_protocol_version(196608, "_pq_.a", "_pq_.b"), m.negotiate_protocol_version()],
}  # fmt: skip


def backend_targets() -> list[Target]:
    found = []
    for name in sorted(vars(backend)):
        if not name.startswith("read_"):
            continue
        read = getattr(backend, name)
        if name == "read_backend_key":
            run = allowing(ProtocolError)(lambda data: [backend.read_backend_key(data, v) for v in PROTOCOLS])
        else:
            run = allowing(ProtocolError)(read)
        found.append(target("backend." + name[5:], [one[5:] for one in SAMPLES.get(name, [b""])], run))
    return found


# -- whole sessions

SCRAM_FIRST = f"r={SERVER_NONCE},s={base64.b64encode(SALT).decode()},i=1"
_, SIGNATURE = scram_proof(f"n=,r={CLIENT_NONCE}", SCRAM_FIRST, WITHOUT_PROOF, PASSWORD, SALT, 1)
NEW_TYPES = [
    m.row_description(m.Column("j", 3802, 1), m.Column("a", 1007, 1), m.Column("t", 1184, 0), m.Column("n", 1700, 1)),
    m.data_row(b'\1{"a": [1, 2]}', struct.pack("!5iii", 1, 0, 23, 1, 1, 4, 7), "2000-01-01 00:00:00+00", bytes(8)),
]
SESSIONS = [c for c in CONVERSATIONS if c.connected] + [
    Conversation(
        "rows of many types",
        [Turn(lambda session: [howdah_execute(session, "SELECT 1")], [*NEW_TYPES, m.command_complete("SELECT 1"), m.ready()])],
        [],
    ),
    Conversation(
        "a long pipeline",
        [
            Turn(
                run_many("INSERT INTO t VALUES (%s)", [(1,)] * 5),
                [m.parse_complete(), *[m.bind_complete(), m.command_complete("INSERT 0 1")] * 5, m.ready()],
            ),
            Turn(lambda session: [], ASIDES),
        ],
        [],
    ),
]  # fmt: skip
LOGINS = [c for c in CONVERSATIONS if not c.connected and c.name != "connect, SCRAM"] + [
    Conversation(
        "connect, SCRAM of one round",
        [
            Turn(log_in(PASSWORD), [m.auth_sasl("SCRAM-SHA-256-PLUS", "SCRAM-SHA-256")]),
            Turn(lambda session: [], [m.auth_sasl_continue(SCRAM_FIRST)]),
            Turn(resume, [m.auth_sasl_final("v=" + SIGNATURE), m.auth_ok(), *GREETING]),
        ],
        [],
        connected=False,
    ),
    Conversation(
        "3.2, taken",
        [Turn(log_in(None, PROTOCOLS), [m.auth_ok(), *GREETING[:3], m.backend_key_data(4711, b"k" * 32), m.ready("I")])],
        [],
        connected=False,
    ),
]  # fmt: skip


def howdah_execute(session: Session, sql: str) -> Any:
    from howdah.core.execute import execute

    return execute(session, sql, None, False, None)


def converse(conversation: Conversation, streams: Sequence[bytes], cut: int) -> tuple[Any, ...]:
    """What can be seen of a conversation with these bytes; ``cut`` is where each turn's bytes are cut in two, or 0."""
    session = connected_session() if conversation.connected else Session()
    operations: list[Any] = []
    sent: list[bytes] = []
    for index, turn in enumerate(conversation.turns):
        if session.closed:
            break
        head = session.head
        if conversation.connected or getattr(head, "work", None) is None or head.scram._iterations <= MAX_ROUNDS:
            operations += turn.ask(session)
        for operation in operations:
            operation.sent = True
        stream = streams[index] if index < len(streams) else b""
        sent.append(session.data_to_send())
        at = cut % len(stream) if stream else 0
        feed(session, stream[:at])
        feed(session, stream[at:])
        sent[-1] += session.data_to_send()
        if not session.closed:
            check_open(session)
    if not session.closed:
        session.receive_eof()
    check_ended(session, operations)
    return repr(facts_of(session, operations, [], sent)._replace(unread=0))


def check_open(session: Session) -> None:
    need(not session.decoding and not session.writing, "the session thinks that it still decodes")
    need((session.head is None) == (not session.queue), "head and queue disagree")


def check_ended(session: Session, operations: list[Any]) -> None:
    failure = session.failure
    need(isinstance(failure, Error), f"the session ended with {failure!r}")
    causes = [failure, *(operation.error for operation in operations if operation.error is not None)]
    for error in causes:
        need(isinstance(error, Error), f"an operation ended with {error!r}")
        cause = error.__cause__
        # session.broken_by wraps an exception that nobody foresaw: here it is a finding
        unforeseen = str(error).startswith("reading the server's answer failed")
        if cause is not None and (unforeseen or not isinstance(cause, (Error, ValueError, RecursionError))):
            raise cause
    need(all(operation.done for operation in operations), "an operation is left waiting")
    need(not session.queue and session.head is None, "the queue is not empty")


def play(conversations: Sequence[Conversation]) -> Callable[[bytes], None]:
    def run(data: bytes) -> None:
        number, cut, streams = unpack(data)
        conversation = conversations[number % len(conversations)]
        whole = converse(conversation, streams, 0)
        if cut & 3 == 0:  # cutting the same bytes changes nothing
            need(converse(conversation, streams, cut >> 2) == whole, "the answer depends on how it was cut")

    return run


def session_target(name: str, conversations: Sequence[Conversation]) -> Target:
    turns = [(number, [turn.answer for turn in conv.turns]) for number, conv in enumerate(conversations)]
    seeds = [pack(number, 4, [b"".join(turn) for turn in answer]) for number, answer in turns]
    mutator = StreamMutator(turns)
    mutator.messages += [
        *ASIDES, m.parameter_status("client_encoding", "LATIN1"), m.parameter_status("TimeZone", "../etc/x"),
        m.error("bye", "57P01", "FATAL"), m.ready("E"), m.message("V", b"\xff\xff\xff\xff"), m.copy_both_response(),
        m.copy_data("x"), m.portal_suspended(), m.parameter_description(23), m.auth_ok(), m.backend_key_data(1, b"k" * 32),
        m.negotiate_protocol_version(196608, "_pq_.x"), m.row_description(), m.data_row(),
    ]  # fmt: skip
    return Target(name, [*seeds, *found_before(name)], mutator.make, play(conversations))


# -- rows and values

STYLES = ("ISO", "SQL", "Postgres", "German")
# what dates and times look like in the styles that are not ISO
STYLED = (b"31.12.2024", b"12/31/2024", b"12-31-2024", b"31.12.2024 12:34:56.789 CET", b"31/12/2024 12:34:56 UTC",
          b"Tue Dec 31 12:34:56.789 2024 UTC", b"Tue 31 Dec 12:34:56 2024", b"Sat Jan 01 00:00:00 0044 BC")  # fmt: skip


def value_samples() -> dict[str, list[tuple[bytes, bytes]]]:
    """(text, binary) by type, as a server sent them: fuzz/record_values.py."""
    samples: dict[str, list[tuple[bytes, bytes]]] = {}
    for line in (CORPUS / "values.txt").read_text("ascii").splitlines():
        name, text, binary = line.split("\t")
        samples.setdefault(name, []).append((bytes.fromhex(text), bytes.fromhex(binary)))
    return samples


def families() -> dict[str, list[Any]]:
    """The codecs by the module that holds them."""
    found: dict[str, list[Any]] = {}
    for oid, codec in sorted(registry_for(UTC).by_oid.items()):
        if oid:
            found.setdefault(type(codec).__module__.rpartition(".")[2].strip("_"), []).append((oid, codec))
    return found


def read_value(registry: Any, oid: int, form: int, value: bytes) -> None:
    """One value, as it comes: a column of a row."""
    plan = make_plan((("c", 0, 0, oid, -1, -1, form),), registry, RAW)
    codec = registry.by_oid[oid]
    sink = TupleSink()
    message = struct.pack("!cIHi", b"D", len(value) + 10, 1, len(value)) + value
    try:
        used = decode_rows(sink, plan, message)
    except ProtocolError:
        return
    need(used == len(message) and sink.count == 1, "the row was not read to its end")
    if sink.error is not None:
        check_value_error(sink.error)
    elif codec.name in ("json", "jsonb"):
        check_json(value[1:] if form and codec.name == "jsonb" else value, sink.taken()[0][0])


def check_value_error(error: Any) -> None:
    need(isinstance(error, DataError), f"a value that cannot be read gave {error!r}")
    need(len(str(error)) < 700, "the error shows more than a piece of the value")
    cause = error.__cause__
    # what a codec may raise: its own DataError, or the ValueError of a Python type that refused the text
    if cause is not None and not isinstance(cause, (Error, ValueError, RecursionError)):
        raise cause


def check_json(document: bytes, value: object) -> None:
    need(repr(json.loads(document)) == repr(value), "json.loads gives another value")


def family_targets() -> list[Target]:
    samples = value_samples()
    registries = [registry_for(UTC, style_of(f"{name}, {order}")) for name in STYLES for order in ("MDY", "DMY")]
    found = []
    for family, codecs in families().items():
        for form in (0, 1):

            def run(data: bytes, codecs: list[Any] = codecs, form: int = form) -> None:
                first = data[0] if data else 0
                oid, _ = codecs[first % len(codecs)]
                read_value(registries[first // len(codecs) % len(registries)], oid, form, data[1:])

            seeds = [
                bytes([number % 256]) + pair[form]
                for number, (_, codec) in enumerate(codecs)
                for pair in samples.get(codec.name, [(b"1", bytes(4)), (b"{1,2}", bytes(8))])
            ]
            if family == "datetime" and form == 0:
                width = len(codecs) * len(registries)
                seeds += [bytes([number]) + value for number in range(width) for value in STYLED]
            found.append(target(f"types.{family}.{'binary' if form else 'text'}", seeds, run))
    return found


def row_target() -> Target:
    """DataRow messages of several columns, under plans that mix types and formats."""
    registry = registry_for(UTC)
    oids = (23, 25, 1700, 1007, 3802, 1184, 17, 2950, 1231, 701)
    plans = [
        make_plan(
            tuple((f"c{i}", 0, 0, oid, -1, -1, form[i % len(form)]) for i, oid in enumerate(chosen)), registry, RAW
        )
        for chosen in (oids, oids[:1], oids[2:5], (), (23, 23, 20, 99999))
        for form in ((0,), (1,), (0, 1))
    ]

    @allowing(ProtocolError)
    def run(data: bytes) -> None:
        sink = TupleSink()
        used = decode_rows(sink, plans[data[0] % len(plans)] if data else plans[0], data[1:])
        need(0 <= used <= len(data), "more was read than there is")
        if sink.error is not None:
            check_value_error(sink.error)

    samples = value_samples()
    names = {23: "int4", 25: "text", 1700: "numeric", 1007: "int4[]", 3802: "jsonb", 1184: "timestamptz", 17: "bytea",
             2950: "uuid", 1231: "numeric[]", 701: "float8", 20: "int8", 99999: "text"}  # fmt: skip
    seeds = []
    for number, plan in enumerate(plans):
        for sample in (0, 1):
            row = [
                samples[names[column[3]]][sample % len(samples[names[column[3]]])][column[6]] for column in plan.columns
            ]
            seeds.append(bytes([number]) + m.data_row(*row) * (1 + sample))
        seeds.append(bytes([number]) + m.data_row(*[None] * plan.width))
    return target("rows", seeds, run)


# -- authentication


def scram_first_target() -> Target:
    @allowing(ProtocolError)
    def run(data: bytes) -> None:
        scram = Scram(PASSWORD)
        scram.challenge(data)
        need(1 <= scram._iterations <= 1_000_000 and len(data) <= 4096, "a challenge beyond the caps")

    pieces = [b",m=x", b",i=", b"i=1000001", b"i=0", b"=", CLIENT_NONCE.encode()]
    return target("scram.first", [SCRAM_FIRST.encode(), SCRAM_FIRST.encode() + b",x=y"], run, pieces)


def scram_final_target() -> Target:
    good = b"v=" + SIGNATURE.encode()

    def run(data: bytes) -> None:
        scram = Scram(PASSWORD)
        scram.challenge(SCRAM_FIRST.encode())
        scram.final(bytes(32))
        try:
            scram.verify(data)
        except OperationalError:  # ProtocolError among them
            need(not scram.verified, "refused and verified")
            return
        raise Finding("a server that does not know the password was verified")

    return target("scram.final", [good, b"e=invalid-proof", b"v="], run, [b",x=y", good])


def saslprep_target() -> Target:
    def run(data: bytes) -> None:
        password = data.decode("utf-8", "replace")
        prepared = saslprep(password)
        need(isinstance(prepared, str), "no text came back")
        if prepared != password:
            need(bool(prepared), "a password became empty")

    seeds = ["I\u00adX", "user", "USER", "\u00aa", "\u2168", "\u0007", "\u0627\u0031", "пароль", "\u00a0x"]
    return target("saslprep", [seed.encode() for seed in seeds], run)


# -- what the user and the environment give


def text_of(data: bytes) -> str:
    """Any bytes as text; what is no UTF-8 becomes lone surrogates, as in the arguments of a program."""
    return data.decode("utf-8", "surrogateescape")


def read_conninfo(data: bytes) -> None:
    text = text_of(data)
    values = conninfo_to_dict(text)
    need(all(isinstance(value, str) and "\0" not in value for value in values.values()), "a value that is no setting")
    need(conninfo_to_dict(make_conninfo(text)) == values, "make_conninfo gives another meaning")
    address = Address({"user": "u", "host": "h", **values})
    need(isinstance(address.address, str), "no address")


CANARY = "canary-7f3a"


def check_no_secret(read: Callable[[bytes], None]) -> Callable[[bytes], None]:
    def run(data: bytes) -> None:
        try:
            read(data)
        except (ProgrammingError, howdah.NotSupportedError, DataError) as exc:
            need(CANARY not in str(exc), "the password stands in the error")

    return run


def conninfo_targets() -> list[Target]:
    pairs = [
        f"host=db.example.net port=5433 dbname=shop user=alice password={CANARY}",
        f"password='{CANARY} \\' x' host=/tmp sslmode=prefer connect_timeout=3 options='-c a=b'",
        "dbname = 'a b'  user= x",
    ]
    uris = [
        f"postgresql://alice:{CANARY}@db.example.net:5433/shop?sslmode=prefer&application_name=x%20y",
        f"postgres://u:{CANARY}@[::1]:1/d?host=%2Ftmp", "postgresql://", "postgresql:///?user=x&port=1",
    ]  # fmt: skip
    pieces = [b"sslmode=", b"password=", b"host=", b"%2F", b"[::1]", b"port=", b"postgresql://", b"connect_timeout=nan"]
    run = check_no_secret(read_conninfo)
    return [
        target("conninfo.pairs", [one.encode() for one in pairs], run, pieces),
        target("conninfo.uri", [one.encode() for one in uris], run, pieces),
    ]


def query_target() -> Target:
    @allowing(ProgrammingError, DataError)
    def run(data: bytes) -> None:
        text = text_of(data)
        for has_params, backslashes in ((False, False), (True, False), (False, True), (True, True)):
            query = read_query(text, has_params, backslashes)
            need(b"\0" not in query.sql, "a NUL in the query's bytes")
            need(has_params or query.sql == text.encode(), "a query without parameters was changed")
            if has_params and query.names is not None:
                need(query.count == len(query.names), "names and count disagree")
                query.values(dict.fromkeys(query.names, 1))

    seeds = [
        "SELECT %s, %(a)s", "SELECT %s + %s", "SELECT %(a)s, %(b)s, %(a)s", "SELECT '%%', $$ ; $$, $a$ %s $a$; SELECT 1",
        "/* a /* b */ c */ SELECT e'\\';' -- x\n; SELECT \"a\"\"b;\"", "WITH x AS (SELECT 1) INSERT INTO t SELECT * FROM x",
        "UPDATE t SET a = a::int % 2; ;", "SELECT 'O''Hara' || U&'d\\0061t'", "((SELECT 1))", ";;;", "",
    ]  # fmt: skip
    return target("query", [seed.encode() for seed in seeds], run, [b"%(", b")s", b"%%", b"$tag$", b"/*", b"*/", b";"])


def tag_target() -> Target:
    def run(data: bytes) -> None:
        need(rows_affected(data.decode("utf-8", "replace")) >= -1, "a negative count of rows")

    seeds = [
        "SELECT 100",
        "INSERT 0 5",
        "CREATE TABLE",
        "COPY 18446744073709551615",
        "UPDATE ²",
        "SELECT " + "9" * 5000,
    ]
    return target("tags", [seed.encode() for seed in seeds], run)


def error_target() -> Target:
    @allowing(ProtocolError)
    def run(data: bytes) -> None:
        fields = backend.read_error_fields(data)
        for pre_auth in (False, True):
            error = errors.error_from_fields(
                fields, query="SELECT\tx\r\nFROM 世界 \u202e", sent=True, pre_auth=pre_auth
            )
            text = str(error)
            need(not any(char in text for char in "\x1b\x9b\u202e"), "control characters in an error's text")
            need(not pre_auth or len(text.encode("utf-8", "replace")) <= 4096, "a long text before authentication")
            need(isinstance(error, Error) and repr(error) != "", "no error of ours")

    seeds = [
        m.error("no", "42601", statement_position="7", message_detail="d", message_hint="h")[5:],
        m.error("x" * 3000, "23505", "FATAL", constraint_name="c", internal_position="2", internal_query="q", context="w")[5:],
        m.error("\x1b[31m", "ZZZZZ", statement_position="99999999999")[5:],
    ]  # fmt: skip
    return target("error_fields", seeds, run, [b"P9\0", b"P0\0", b"M\0", b"C23505\0", b"VFATAL\0"])


def parameter_target() -> Target:
    """ParameterStatus into a session, and what is read from it there."""
    from howdah._base.info import ConnectionInfo

    class Holder:
        _session: Session

    def run(data: bytes) -> None:
        session = connected_session()
        feed(session, m.message("S", data))
        if session.closed:
            need(isinstance(session.failure, Error) and session.failure.__cause__ is None, repr(session.failure))
            return
        holder: Any = Holder()
        holder._session = session
        info = ConnectionInfo(holder)
        need(info.server_version >= 0 and info.timezone is not None and info.encoding != "", "no facts")

    seeds = [b"server_version\x0018.6 (Debian)\0", b"server_version\x009.6.24\0", b"TimeZone\0Europe/Paris\0",
             b"TimeZone\0<+03>-03\0", b"client_encoding\0UTF8\0", b"standard_conforming_strings\0off\0",
             b"DateStyle\0SQL, DMY\0", b"IntervalStyle\0iso_8601\0", b"in_hot_standby\0on\0"]  # fmt: skip
    pieces = [*seeds, b"server_version\0", b"TimeZone\0", b"../", b"/etc/passwd", b"posixrules"]
    return target("parameters", seeds, run, pieces)


def known_random(count: int) -> bytes:
    """In the place of os.urandom, so that a SCRAM exchange can be written down."""
    return RANDOM[:count].ljust(count, b"\7")


def all_targets() -> list[Target]:
    """Every target. Whoever runs them puts ``known_random`` in the place of os.urandom."""
    return [
        session_target("session", SESSIONS),
        session_target("startup", LOGINS),
        row_target(),
        *family_targets(),
        *backend_targets(),
        error_target(),
        scram_first_target(),
        scram_final_target(),
        saslprep_target(),
        *conninfo_targets(),
        query_target(),
        tag_target(),
        parameter_target(),
    ]
