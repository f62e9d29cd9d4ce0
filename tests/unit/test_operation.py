"""core.operation: the script of replies, and every message type in every step of it."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
from tests.kit import messages as m
from tests.unit.playing import connected_session, feed
from tests.unit.recorded import PARAMETERS

from howdah.core import operation as op
from howdah.core.operation import Operation, Result
from howdah.core.session import Session
from howdah.core.startup import Startup
from howdah.errors import Error, NotSupportedError, OperationalError, ProgrammingError, ProtocolError

# What ends a step, by the manual's "Message Flow"; written down here once more, without looking at TRANSITIONS.
ENDS, STAYS, REFUSED = "ends", "stays", "refused"
EXPECTED: dict[int, dict[str, str]] = {
    op.PARSE: {"1": ENDS},
    op.BIND: {"2": ENDS},
    op.CLOSE: {"3": ENDS},
    op.DESCRIBE: {"T": ENDS, "n": ENDS},
    op.EXECUTE: {"C": ENDS, "I": ENDS, "s": ENDS, "G": STAYS, "H": STAYS, "W": REFUSED},
    op.QUIET: {"C": ENDS},
    op.SIMPLE: {"T": STAYS, "C": STAYS, "I": STAYS, "Z": ENDS, "G": STAYS, "H": STAYS, "W": REFUSED},
    op.SYNC: {"Z": ENDS},
    op.COPY_IN: {},
    op.COPY_OUT: {"d": STAYS, "c": STAYS},
    op.COPY_BOTH: {"d": STAYS, "c": STAYS},
}
ANY_TIME = ("A", "N", "S")
BODIES: dict[str, bytes] = {
    "A": m.notification(1, "c", "p"),
    "C": m.command_complete("SELECT 0"),
    "D": m.data_row(),
    "E": m.error("no", "42601"),
    "G": m.copy_in_response(),
    "H": m.copy_out_response(),
    "K": m.backend_key_data(1, 2),
    "N": m.notice("n"),
    "R": m.auth_ok(),
    "S": m.parameter_status("a", "b"),
    "T": m.row_description(),
    "V": m.function_call_response(None),
    "W": m.copy_both_response(),
    "Z": m.ready("T"),
    "d": m.copy_data("x"),
    "t": m.message("t", b"\0\0"),
    "v": m.negotiate_protocol_version(),
}


def message_of(kind: int) -> bytes:
    return BODIES.get(chr(kind)) or m.message(bytes([kind]))


def at_step(step: int) -> tuple[Session, Operation]:
    """A session whose only request is at ``step``; another step stands behind, so that an end can be told."""
    session = connected_session()
    first = {op.COPY_IN: op.EXECUTE, op.COPY_OUT: op.EXECUTE, op.COPY_BOTH: op.EXECUTE}.get(step, step)
    operation = Operation(bytes((first, op.SYNC)))
    operation.step = step
    session.submit(operation)
    return session, operation


@pytest.mark.parametrize("step", EXPECTED, ids=lambda step: op.STEP_NAMES[step])
def test_every_message_in_every_step(step: int) -> None:
    for kind in range(256):
        session, operation = at_step(step)
        letter = chr(kind)
        feed(session, message_of(kind))
        outcome = EXPECTED[step].get(letter)
        if letter == "E":
            assert not session.closed
            assert operation.error is not None and operation.error.sqlstate == "42601"
            assert operation.step == (op.SIMPLE if step == op.SIMPLE else op.SYNC)
        elif letter in ANY_TIME:
            assert not session.closed and operation.error is None and operation.at == 0, letter
        elif outcome is None:
            assert isinstance(session.failure, ProtocolError), letter
            assert operation.error is session.failure and operation.done
            assert session.closed
        elif outcome is REFUSED:
            assert isinstance(session.failure, NotSupportedError)
            assert operation.done and session.closed
        else:
            assert not session.closed, (letter, session.failure)
            assert operation.at == (1 if outcome is ENDS else 0), letter
            assert not operation.done


@pytest.mark.parametrize("kind", range(256))
def test_every_message_with_no_request_under_way(kind: int) -> None:
    session = connected_session()
    feed(session, message_of(kind))
    if chr(kind) in ANY_TIME:
        assert not session.closed
    else:
        assert isinstance(session.failure, ProtocolError)
        assert session.closed


@pytest.mark.parametrize("step", EXPECTED, ids=lambda step: op.STEP_NAMES[step])
@pytest.mark.parametrize("ending", ["FATAL", "PANIC", "two FATALs", "EOF", "notice, then EOF"])
def test_the_session_may_end_at_every_step(step: int, ending: str) -> None:
    session, operation = at_step(step)
    fatal = m.error("going down", "57P01", "PANIC" if ending == "PANIC" else "FATAL")
    if ending == "two FATALs":
        feed(session, fatal + fatal)
    elif "EOF" not in ending:
        feed(session, fatal)
    elif ending != "EOF":
        feed(session, m.notice("n"))
    session.receive_eof()
    assert session.closed and operation.done
    assert isinstance(operation.error, OperationalError)
    assert operation.error.sqlstate == (None if "EOF" in ending else "57P01")


def test_a_fatal_error_with_no_request_under_way_is_the_reason() -> None:
    session = connected_session()
    feed(session, m.error("going down", "57P01", "FATAL"))
    assert session.closed
    assert isinstance(session.failure, OperationalError)
    assert session.failure.sqlstate == "57P01"


@pytest.mark.parametrize("authenticated", [False, True])
def test_every_message_while_logging_in(authenticated: bool) -> None:
    for kind in range(256):
        session = Session()
        startup = Startup(PARAMETERS, None)
        startup.begin(session)
        if authenticated:
            feed(session, m.auth_ok())
        letter = chr(kind)
        feed(session, m.ready("I") if letter == "Z" else message_of(kind))
        if letter in ANY_TIME:
            # settings and notifications come from a server that has authenticated us
            assert session.closed == (letter in "SA" and not authenticated)
        elif letter == "R" and not authenticated:
            assert session.authenticated and not session.closed
        elif letter == "K" and authenticated:
            assert (session.backend_pid, session.backend_key) == (1, b"\0\0\0\2")
            assert not session.closed
        elif letter == "Z" and authenticated:
            assert startup.done and startup.error is None
        else:
            assert session.closed and startup.done
            assert isinstance(startup.error, Error), letter
            expected: Any = {"E": ProgrammingError}.get(letter, ProtocolError)
            assert isinstance(startup.error, expected), letter


def test_the_table_says_the_same() -> None:
    known = {step: set(row) - {"D"} for step, row in op.TRANSITIONS.items() if step != op.STARTUP}
    assert known == {step: set(row) for step, row in EXPECTED.items()}
    assert len(op.ACTIONS) == op.STEPS * 128
    assert len(op.STEP_NAMES) == op.STEPS
    for step, row in op.TRANSITIONS.items():
        for kind in range(128):
            assert op.ACTIONS[step * 128 + kind] == row.get(chr(kind), op.VIOLATION)


@pytest.mark.parametrize("status", range(256))
def test_transaction_statuses(status: int) -> None:
    session, _operation = at_step(op.SIMPLE)
    feed(session, m.ready(bytes([status])))
    if status in b"ITE":
        assert session.transaction_status == status
    else:
        assert isinstance(session.failure, ProtocolError)
        assert session.transaction_status == ord("I")


def test_a_script_is_followed_to_its_end() -> None:
    operation = Operation(bytes((op.PARSE, op.BIND, op.SYNC)))
    assert (operation.step, operation.done) == (op.PARSE, False)
    assert not operation.advance()
    assert not operation.advance()
    assert (operation.step, operation.done) == (op.SYNC, False)
    assert operation.advance()
    assert operation.done


@pytest.mark.parametrize(
    ("script", "at", "left"),
    [
        ((op.PARSE, op.BIND, op.EXECUTE, op.SYNC), 0, 3),
        ((op.PARSE, op.BIND, op.QUIET, op.SIMPLE, op.SYNC), 2, 4),
        ((op.BIND, op.EXECUTE, op.BIND, op.EXECUTE, op.SYNC), 1, 4),
    ],
)
def test_an_error_skips_to_the_sync(script: tuple[int, ...], at: int, left: int) -> None:
    operation = Operation(bytes(script))
    for _ in range(at):
        operation.advance()
    operation.skip_to_sync()
    assert (operation.at, operation.step) == (left, op.SYNC)


@pytest.mark.parametrize("script", [(op.SIMPLE,), (op.SIMPLE, op.SYNC)])
@pytest.mark.parametrize("step", [op.SIMPLE, op.COPY_OUT])
def test_an_error_in_a_simple_query_is_followed_by_its_own_ready(script: tuple[int, ...], step: int) -> None:
    operation = Operation(bytes(script))
    operation.step = step
    operation.skip_to_sync()
    assert (operation.at, operation.step) == (0, op.SIMPLE)


def test_the_first_error_is_the_callers() -> None:
    operation = Operation(bytes((op.SIMPLE,)))
    first = ProgrammingError("first")
    operation.fail(first)
    operation.fail(ProgrammingError("second"))
    assert operation.error is first


def test_a_suspended_portal_is_a_result() -> None:
    session, operation = at_step(op.EXECUTE)
    feed(session, m.message("s"))
    assert [(result.tag, result.suspended) for result in operation.results] == [(None, True)]


def test_cannot_be_pickled() -> None:
    operation = Operation(bytes((op.SIMPLE,)))
    operation.begin_result(None)
    assert isinstance(operation.result, Result)
    for thing in (operation, operation.result):
        with pytest.raises(TypeError):
            pickle.dumps(thing)
