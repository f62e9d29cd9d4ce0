"""Conversations with a server as tables: what the client asks, the bytes that come back, the facts that must result.

The bytes are built by tests.kit.messages, which shares nothing with the driver; they are what PostgreSQL sends.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import struct
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from tests.kit import messages as m
from tests.unit.playing import Conversation, Expected, Turn, both, run, run_many

from howdah.core.session import Session
from howdah.core.startup import Startup

INT4, TEXT, NUMERIC = 23, 25, 1700

# -- logging in

USER, PASSWORD = "alice", "pencil-canary"
# what os.urandom is made to return, so that a SCRAM exchange can be written down
RANDOM = bytes(range(18))
CLIENT_NONCE = base64.b64encode(RANDOM).decode()
SERVER_NONCE = CLIENT_NONCE + "3rfcNHYJY1ZVvWVs7j"
SALT = b"saltSALTsaltSALT"
ITERATIONS = 4096
PARAMETERS = {"user": USER, "database": "db", "client_encoding": "UTF8"}

GREETING = [
    m.parameter_status("server_version", "18.1"),
    m.parameter_status("TimeZone", "UTC"),
    m.parameter_status("client_encoding", "UTF8"),
    m.backend_key_data(4711, b"\1\2\3\4"),
    m.ready("I"),
]
SERVER_FIRST = f"r={SERVER_NONCE},s={base64.b64encode(SALT).decode()},i={ITERATIONS}"


def _hmac(key: bytes, text: bytes) -> bytes:
    return hmac.new(key, text, hashlib.sha256).digest()


def scram_proof(
    first_bare: str, server_first: str, without_proof: str, password: str, salt: bytes, rounds: int
) -> tuple[str, str]:
    """RFC 5802, section 3, by the letter: (the client's proof, the server's signature), both in base64."""
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, rounds)
    client_key = _hmac(salted, b"Client Key")
    auth_message = ",".join((first_bare, server_first, without_proof)).encode()
    signature = _hmac(hashlib.sha256(client_key).digest(), auth_message)
    proof = (int.from_bytes(client_key, "big") ^ int.from_bytes(signature, "big")).to_bytes(32, "big")
    server = _hmac(_hmac(salted, b"Server Key"), auth_message)
    return base64.b64encode(proof).decode(), base64.b64encode(server).decode()


WITHOUT_PROOF = f"c=biws,r={SERVER_NONCE}"
PROOF, SIGNATURE = scram_proof(f"n=,r={CLIENT_NONCE}", SERVER_FIRST, WITHOUT_PROOF, PASSWORD, SALT, ITERATIONS)


PROTOCOL_3_0, PROTOCOL_3_2 = 0x30000, 0x30002


def log_in(
    password: str | None = None, versions: tuple[int, int] = (PROTOCOL_3_0, PROTOCOL_3_0)
) -> Callable[[Session], list[Any]]:
    def ask(session: Session) -> list[Any]:
        startup = Startup(PARAMETERS, password, versions=versions)
        startup.begin(session)
        return [startup]

    return ask


def resume(session: Session) -> list[Any]:
    """The driver's part in SCRAM: the hash, computed outside of the session."""
    startup = session.head
    if startup is not None and startup.work is not None:
        startup.resume(session, startup.work())
    return []


# -- the conversations

BEGIN = b"BEGIN"
SUM = "SELECT %s + %s AS sum"
SUM_COLUMN = m.row_description(m.Column("sum", INT4, type_size=4))
SUM_COLUMN_BINARY = m.row_description(m.Column("sum", INT4, 1, type_size=4))


def binary_int(value: int) -> bytes:
    return struct.pack("!i", value)


FIRST_USE = [m.parse_complete(), m.bind_complete(), SUM_COLUMN, m.data_row("3"), m.command_complete("SELECT 1")]
SECOND_USE = [
    m.close_complete(),
    m.parse_complete(),
    m.bind_complete(),
    SUM_COLUMN_BINARY,
    m.data_row(binary_int(7)),
    m.command_complete("SELECT 1"),
]
LATER_USE = [m.bind_complete(), m.data_row(binary_int(11)), m.command_complete("SELECT 1")]
BEGUN = [m.parse_complete(), m.bind_complete(), m.command_complete("BEGIN")]
SYNTAX_ERROR = m.error("syntax error", "42601", statement_position="1")
ROWS = [
    m.row_description(m.Column("n", INT4), m.Column("word", TEXT), m.Column("price", NUMERIC)),
    m.data_row("1", "one", "1.50"),
    m.data_row(None, "", None),
    m.data_row("-3", "дрі\nтри", "Infinity"),
    m.command_complete("SELECT 3"),
]


THREE_ROWS = [(1, "one", Decimal("1.50")), (None, "", None), (-3, "дрі\nтри", Decimal("Infinity"))]
ONE = Expected([("SELECT 1", [(3,)])])

CONVERSATIONS = [
    Conversation(
        "connect, trust",
        [Turn(log_in(), [m.auth_ok(), *GREETING])],
        [Expected([])],
        connected=False,
    ),
    Conversation(
        "connect, SCRAM",
        [
            Turn(log_in(PASSWORD), [m.auth_sasl("SCRAM-SHA-512", "SCRAM-SHA-256")]),
            Turn(lambda session: [], [m.auth_sasl_continue(SERVER_FIRST)]),
            Turn(resume, [m.auth_sasl_final("v=" + SIGNATURE), m.auth_ok(), *GREETING]),
        ],
        [Expected([])],
        connected=False,
    ),
    Conversation(
        "connect, refused",
        [Turn(log_in(), [m.error("no such role", "28000", "FATAL")])],
        [Expected([], "InvalidAuthorizationSpecification")],
        status="\0",
        connected=False,
        closes=True,
    ),
    Conversation(
        "connect, 3.2 asked for and 3.0 negotiated",
        [
            Turn(
                log_in(None, (PROTOCOL_3_0, PROTOCOL_3_2)),
                [m.negotiate_protocol_version(PROTOCOL_3_0), m.auth_ok(), *GREETING],
            )
        ],
        [Expected([])],
        connected=False,
    ),
    Conversation(
        "connect, too old a protocol",
        [Turn(log_in(None, (PROTOCOL_3_2, PROTOCOL_3_2)), [m.negotiate_protocol_version(PROTOCOL_3_0)])],
        [Expected([], "NotSupportedError")],
        status="\0",
        connected=False,
        closes=True,
    ),
    Conversation(
        "simple query",
        [Turn(run("SELECT * FROM three"), [*ROWS, m.ready()])],
        [Expected([("SELECT 3", THREE_ROWS)])],
    ),
    Conversation(
        "several statements",
        [
            Turn(
                run("CREATE TABLE t (); ; SELECT 1 + 2 AS sum; SELECT FROM t"),
                [
                    m.command_complete("CREATE TABLE"),
                    m.empty_query(),
                    SUM_COLUMN,
                    m.data_row("3"),
                    m.command_complete("SELECT 1"),
                    m.row_description(),
                    m.command_complete("SELECT 0"),
                    m.ready(),
                ],
            )
        ],
        [Expected([("CREATE TABLE", None), (None, None), ("SELECT 1", [(3,)]), ("SELECT 0", [])])],
    ),
    Conversation(
        "simple query fails",
        [Turn(run("SELEKT"), [SYNTAX_ERROR, m.ready()])],
        [Expected([], "SyntaxError")],
    ),
    Conversation(
        "the second of several statements fails",
        [
            Turn(
                run("SELECT 1 + 2 AS sum; SELEKT"),
                [SUM_COLUMN, m.data_row("3"), m.command_complete("SELECT 1"), SYNTAX_ERROR, m.ready()],
            )
        ],
        [Expected([("SELECT 1", [(3,)])], "SyntaxError")],
    ),
    Conversation(
        "first, second and third use",
        [
            Turn(run(SUM, (1, 2)), [*FIRST_USE, m.ready()]),
            Turn(run(SUM, (3, 4)), [*SECOND_USE, m.ready()]),
            Turn(run(SUM, (5, 6)), [*LATER_USE, m.ready()]),
        ],
        [ONE, Expected([("SELECT 1", [(7,)])]), Expected([("SELECT 1", [(11,)])])],
    ),
    Conversation(
        "a statement without rows, twice",
        [
            Turn(
                run("UPDATE t SET a = %s", (1,)),
                [m.parse_complete(), m.bind_complete(), m.no_data(), m.command_complete("UPDATE 5"), m.ready()],
            ),
            Turn(
                run("UPDATE t SET a = %s", (2,)),
                [
                    m.close_complete(),
                    m.parse_complete(),
                    m.bind_complete(),
                    m.no_data(),
                    m.command_complete("UPDATE 0"),
                    m.ready(),
                ],
            ),
            Turn(run("UPDATE t SET a = %s", (3,)), [m.bind_complete(), m.command_complete("UPDATE 7"), m.ready()]),
        ],
        [Expected([("UPDATE 5", None)]), Expected([("UPDATE 0", None)]), Expected([("UPDATE 7", None)])],
    ),
    Conversation(
        "Parse fails",
        [Turn(run("SELEKT %s", (1,)), [SYNTAX_ERROR, m.ready()])],
        [Expected([], "SyntaxError")],
    ),
    Conversation(
        "Bind fails, in a transaction",
        [
            Turn(
                run("SELECT %s::date", ("x",)),
                [m.parse_complete(), m.error("invalid input", "22007"), m.ready("E")],
            )
        ],
        [Expected([], "InvalidDatetimeFormat")],
        status="E",
    ),
    Conversation(
        "Execute fails behind rows",
        [
            Turn(
                run("SELECT 1 / (2 - %s)", (1,)),
                [
                    m.parse_complete(),
                    m.bind_complete(),
                    SUM_COLUMN,
                    m.data_row("1"),
                    m.error("division by zero", "22012"),
                    m.ready(),
                ],
            )
        ],
        [Expected([], "DivisionByZero")],
    ),
    Conversation(
        "a prepared statement that vanished, then again",
        [
            Turn(run(SUM, (1, 2), prepare=True), [*SECOND_USE, m.ready()]),
            Turn(run(SUM, (1, 2)), [m.error("no such statement", "26000"), m.ready()]),
            Turn(run(SUM, (1, 2)), [*FIRST_USE, m.ready()]),
        ],
        [Expected([("SELECT 1", [(7,)])]), Expected([], "InvalidSqlStatementName"), ONE],
    ),
    Conversation(
        "BEGIN in front of parameters",
        [Turn(run(SUM, (1, 2), begin=BEGIN), [*BEGUN, *FIRST_USE, m.ready("T")])],
        [ONE],
        status="T",
    ),
    Conversation(
        "BEGIN in front of a simple query: two ReadyForQuery",
        [
            Turn(
                run("SELECT 1 + 2 AS sum", begin=BEGIN),
                [*BEGUN, SUM_COLUMN, m.data_row("3"), m.command_complete("SELECT 1"), m.ready("T"), m.ready("T")],
            )
        ],
        [ONE],
        status="T",
    ),
    Conversation(
        "BEGIN fails in front of parameters: nothing behind it ran",
        [Turn(run(SUM, (1, 2), begin=BEGIN), [m.error("hot standby", "0A000"), m.ready()])],
        [Expected([], "FeatureNotSupported")],
    ),
    Conversation(
        "BEGIN fails in front of a simple query: one ReadyForQuery",
        [
            Turn(
                run("DELETE FROM t", begin=BEGIN),
                [m.parse_complete(), m.bind_complete(), m.error("canceled", "57014"), m.ready()],
            )
        ],
        [Expected([], "QueryCanceled")],
    ),
    Conversation(
        "BEGIN works, the simple query behind it fails",
        [Turn(run("SELEKT", begin=BEGIN), [*BEGUN, SYNTAX_ERROR, m.ready("E"), m.ready("E")])],
        [Expected([], "SyntaxError")],
        status="E",
    ),
    Conversation(
        "executemany",
        [
            Turn(
                run_many("INSERT INTO t VALUES (%s)", [(1,), (70000,), (None,)], begin=BEGIN),
                [
                    *BEGUN,
                    m.parse_complete(),
                    m.bind_complete(),
                    m.command_complete("INSERT 0 1"),
                    m.bind_complete(),
                    m.data_row("7"),
                    m.data_row("8"),
                    m.command_complete("INSERT 0 2"),
                    m.bind_complete(),
                    m.command_complete("INSERT 0 0"),
                    m.ready("T"),
                ],
            )
        ],
        [Expected([("INSERT 0 1", None), ("INSERT 0 2", None), ("INSERT 0 0", None)])],
        status="T",
    ),
    Conversation(
        "executemany, the second row fails",
        [
            Turn(
                run_many("INSERT INTO t VALUES (%s)", [("a",), ("b",), ("c",)]),
                [
                    m.parse_complete(),
                    m.bind_complete(),
                    m.command_complete("INSERT 0 1"),
                    m.bind_complete(),
                    m.error("duplicate key", "23505", constraint_name="t_pkey"),
                    m.ready(),
                ],
            )
        ],
        [Expected([("INSERT 0 1", None)], "UniqueViolation")],
    ),
    Conversation(
        "COPY FROM STDIN is refused",
        [
            Turn(run("COPY t FROM STDIN"), [m.copy_in_response()]),
            Turn(lambda session: [], [m.error("COPY from stdin failed", "57014"), m.ready()]),
        ],
        [Expected([], "ProgrammingError")],
    ),
    Conversation(
        "COPY FROM STDIN behind a BEGIN is refused",
        [
            Turn(run("COPY t FROM STDIN", begin=BEGIN), [*BEGUN, m.copy_in_response()]),
            Turn(lambda session: [], [m.error("COPY from stdin failed", "57014"), m.ready("E"), m.ready("E")]),
        ],
        [Expected([], "ProgrammingError")],
        status="E",
    ),
    Conversation(
        "COPY FROM STDIN in the extended protocol is refused",
        [
            Turn(
                run("COPY t FROM STDIN", ()),
                [m.parse_complete(), m.bind_complete(), m.no_data(), m.copy_in_response((0, 0))],
            ),
            Turn(lambda session: [], [m.error("COPY from stdin failed", "57014"), m.ready()]),
        ],
        [Expected([], "ProgrammingError")],
    ),
    Conversation(
        "COPY TO STDOUT is read past",
        [
            Turn(
                run("COPY t TO STDOUT"),
                [
                    m.copy_out_response(),
                    m.copy_data("1\n"),
                    m.copy_data("2\n"),
                    m.copy_done(),
                    m.command_complete("COPY 2"),
                    m.ready(),
                ],
            )
        ],
        [Expected([("COPY 2", None)], "ProgrammingError")],
    ),
    Conversation(
        "COPY TO STDOUT fails half way",
        [
            Turn(
                run("COPY t TO STDOUT"),
                [m.copy_out_response(), m.copy_data("1\n"), m.error("canceled", "57014"), m.ready()],
            ),
            Turn(run("SELECT 1 + 2"), [SUM_COLUMN, m.data_row("3"), m.command_complete("SELECT 1"), m.ready()]),
        ],
        [Expected([], "ProgrammingError"), ONE],
    ),
    Conversation(
        "COPY TO STDOUT behind a BEGIN fails half way",
        [
            Turn(
                run("COPY t TO STDOUT", begin=BEGIN),
                [*BEGUN, m.copy_out_response(), m.error("canceled", "57014"), m.ready("E"), m.ready("E")],
            )
        ],
        [Expected([], "ProgrammingError")],
        status="E",
    ),
    Conversation(
        "COPY TO STDOUT in the extended protocol is read past",
        [
            Turn(
                run("COPY t TO STDOUT", ()),
                [
                    m.parse_complete(),
                    m.bind_complete(),
                    m.no_data(),
                    m.copy_out_response(),
                    m.copy_data("1\n"),
                    m.copy_done(),
                    m.command_complete("COPY 1"),
                    m.ready(),
                ],
            )
        ],
        [Expected([("COPY 1", None)], "ProgrammingError")],
    ),
    Conversation(
        "two requests in flight",
        [
            Turn(
                both(run(SUM, (1, 2)), run("SELECT * FROM three")),
                [*FIRST_USE, m.ready(), *ROWS, m.ready()],
            )
        ],
        [ONE, Expected([("SELECT 3", THREE_ROWS)])],
    ),
    Conversation(
        "two requests in flight, the first fails",
        [
            Turn(
                both(run("SELEKT %s", (1,)), run("SELECT * FROM three")),
                [SYNTAX_ERROR, m.ready(), *ROWS, m.ready()],
            )
        ],
        [Expected([], "SyntaxError"), Expected([("SELECT 3", THREE_ROWS)])],
    ),
    Conversation(
        "DISCARD ALL forgets the statements",
        [
            Turn(run(SUM, (1, 2), prepare=True), [*SECOND_USE, m.ready()]),
            Turn(run("DISCARD ALL"), [m.command_complete("DISCARD ALL"), m.ready()]),
            Turn(run(SUM, (1, 2)), [*FIRST_USE, m.ready()]),
        ],
        [Expected([("SELECT 1", [(7,)])]), Expected([("DISCARD ALL", None)]), ONE],
    ),
    Conversation(
        "the server ends the session",
        [
            Turn(
                both(run(SUM, (1, 2)), run("SELECT 1")),
                [m.parse_complete(), m.error("terminating connection", "57P01", "FATAL")],
            )
        ],
        [Expected([], "AdminShutdown"), Expected([], "OperationalError")],
        closes=True,
    ),
]
BY_NAME = {conversation.name: conversation for conversation in CONVERSATIONS}

# what may come between any two messages
ASIDES = [
    m.notice("by the way"),
    m.parameter_status("application_name", "x"),
    m.notification(77, "channel", "payload"),
]
