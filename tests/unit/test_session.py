"""core.session: recorded conversations, cut and disturbed in every way; every message in every step; re-entry."""

from __future__ import annotations

import datetime
import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.kit import messages as m
from tests.kit.properties import FULL
from tests.unit.playing import (
    Conversation,
    Facts,
    connected_session,
    feed,
    play,
    run,
    run_many,
    stream_length,
    with_answer,
)
from tests.unit.recorded import ASIDES, BY_NAME, CONVERSATIONS, RANDOM, SUM

from howdah import errors
from howdah.core import session as session_module
from howdah.core.execute import run_sql
from howdah.core.session import Session
from howdah.errors import Error, InterfaceError, OperationalError, ProtocolError
from howdah.types.registry import Registry

TIMESTAMPTZ = 1184

every_conversation = pytest.mark.parametrize("conversation", CONVERSATIONS, ids=lambda c: c.name)


@pytest.fixture(autouse=True)
def known_nonce(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.urandom", lambda count: RANDOM[:count])


@every_conversation
def test_gives_what_the_server_said(conversation: Conversation) -> None:
    facts = play(conversation)
    for (results, error, done), expected in zip(facts.operations, conversation.expected):
        assert [(result[0], result[4]) for result in results or []] == [
            (tag, [] if rows is None and results[i][4] == [] else rows)
            for i, (tag, rows) in enumerate(expected.results)
        ]
        assert (error and error[0]) == expected.error
        assert done
    assert len(facts.operations) == len(conversation.expected)
    assert facts.status == ord(conversation.status)
    assert facts.closed == conversation.closes
    assert facts.unread == 0 or facts.closed


def test_a_login_leaves_its_facts() -> None:
    for name in ("connect, trust", "connect, SCRAM"):
        facts = play(BY_NAME[name])
        assert facts.parameters == {"server_version": "18.1", "TimeZone": "UTC", "client_encoding": "UTF8"}
        assert facts.key == (4711, b"\1\2\3\4")


# -- cutting the stream


@every_conversation
def test_byte_by_byte(conversation: Conversation) -> None:
    assert play(conversation, every_byte=True) == play(conversation)


@every_conversation
def test_every_cut_in_two(conversation: Conversation) -> None:
    whole = play(conversation)
    for cut in range(1, stream_length(conversation)):
        assert play(conversation, [cut]) == whole, cut


@every_conversation
def test_random_cuts(conversation: Conversation) -> None:
    whole = play(conversation)
    length = stream_length(conversation)
    chance = random.Random(0)
    for _ in range(2000 if FULL else 200):
        cuts = chance.sample(range(1, length), min(chance.randrange(2, 12), length - 1))
        assert play(conversation, cuts) == whole, cuts


# -- what may come at any time


def disturbed(conversation: Conversation, aside: bytes) -> Iterator[Conversation]:
    for index, turn in enumerate(conversation.turns):
        for place in range(len(turn.answer) + 1):
            yield with_answer(conversation, index, [*turn.answer[:place], aside, *turn.answer[place:]])


@every_conversation
@pytest.mark.parametrize("aside", ASIDES, ids=["notice", "parameter", "notification"])
def test_an_aside_between_any_two_messages(conversation: Conversation, aside: bytes) -> None:
    whole = play(conversation)
    for one in disturbed(conversation, aside):
        facts = play(one)
        if aside is not ASIDES[0] and facts.failure and "before authentication was over" in facts.failure[1]:
            continue  # a server that nobody has authenticated tells no settings and sends no notifications
        if facts.closed:  # then what stood behind the end was not read
            assert facts.operations == whole.operations
            continue
        assert facts._replace(notices=[], notifications=[], parameters={}) == whole._replace(parameters={})
        if aside is ASIDES[0]:
            assert [notice["M"] for notice in facts.notices] == ["by the way"]
        elif aside is ASIDES[1]:
            assert facts.parameters == {**whole.parameters, "application_name": "x"}
        else:
            assert facts.notifications == [(77, "channel", "payload")]


# -- endings


def must_end_in_error(facts: Facts, whole: Facts, turn: int, what: object) -> None:
    """The stream broke in ``turn``: closed with a typed error; no request is left waiting; no row is untrue."""
    assert facts.closed, what
    assert facts.failure is not None and issubclass(getattr(errors, facts.failure[0]), Error), what
    for index, (results, error, done) in enumerate(facts.operations):
        assert done, what
        if whole.ended_in[index] < turn or error is None:
            assert (results, error) == whole.operations[index][:2], what
        else:
            assert issubclass(getattr(errors, error[0]), Error), what
            true_rows = [result[4] for result in whole.operations[index][0] or []]
            rows = [result[4] for result in results or []]
            assert rows == true_rows[: len(rows)], what


@every_conversation
def test_the_stream_ends_anywhere(conversation: Conversation) -> None:
    whole = play(conversation)
    begin = 0
    for index, turn in enumerate(conversation.turns):
        length = len(b"".join(turn.answer))
        for cut in range(begin, begin + length):
            facts = play(conversation, eof_at=cut)
            must_end_in_error(facts, whole, index, cut)
            unanswered = [error for _, error, _ in facts.operations if error == facts.failure]
            assert len(unanswered) <= 1, cut  # what was in flight behind it says so
        begin += length


@every_conversation
def test_the_server_ends_the_session_between_any_two_messages(conversation: Conversation) -> None:
    whole = play(conversation)
    end = m.error("terminating connection due to administrator command", "57P01", "FATAL")
    for index, turn in enumerate(conversation.turns):
        for place in range(len(turn.answer)):
            facts = play(with_answer(conversation, index, [*turn.answer[:place], end]))
            must_end_in_error(facts, whole, index, place)
            assert facts.failure is not None
            assert facts.failure[0] == "AdminShutdown"
            waiting = [
                error for _, error, _ in facts.operations if error is not None and error[0] == "OperationalError"
            ]
            assert all("lost with a request before this one" in error[1] for error in waiting)


# -- messages that lie about their length


def replaced(conversation: Conversation, turn: int, place: int, message: bytes) -> Conversation:
    answer = conversation.turns[turn].answer
    return with_answer(conversation, turn, [*answer[:place], message, *answer[place + 1 :]])


def must_lose_the_last(whole: Facts, facts: Facts, turn: int, what: object) -> None:
    """The request that the fault met did not end as if nothing had been."""
    if facts.operations and whole.ended_in[len(facts.operations) - 1] >= turn:
        assert facts.operations[-1][1] is not None, what


def checked_messages(conversation: Conversation) -> Iterator[tuple[int, int, bytes]]:
    for turn, (_, answer) in enumerate(conversation.turns):
        for place, message in enumerate(answer):
            # any bytes are CopyData, and rows that are only counted are not looked into
            if message[:1] != b"d" and (message[:1] != b"D" or not conversation.name.startswith("executemany")):
                yield turn, place, message


@every_conversation
def test_every_truncation_of_every_message(conversation: Conversation) -> None:
    whole = play(conversation)
    for turn, place, message in checked_messages(conversation):
        for cut in range(5, len(message)):
            what = (turn, place, message, cut)
            facts = play(replaced(conversation, turn, place, m.message(message[:1], message[5:cut])))
            must_end_in_error(facts, whole, turn, what)
            must_lose_the_last(whole, facts, turn, what)


@every_conversation
def test_every_truncation_under_a_header_that_tells_the_old_length(conversation: Conversation) -> None:
    whole = play(conversation)
    for turn, place, message in checked_messages(conversation):
        for cut in range(5, len(message)):
            what = (turn, place, message, cut)
            facts = play(replaced(conversation, turn, place, message[:cut]), eof=True)
            must_end_in_error(facts, whole, turn, what)
            must_lose_the_last(whole, facts, turn, what)


@every_conversation
def test_a_byte_too_much_in_every_message(conversation: Conversation) -> None:
    whole = play(conversation)
    for turn, place, message in checked_messages(conversation):
        if message[:1] == b"R" and message[5:9] == b"\0\0\0\x0b":  # an iteration count of 40960: also good SCRAM
            long = m.message("R", message[5:] + b",")
        else:
            long = m.message(message[:1], message[5:] + b"x")
        facts = play(replaced(conversation, turn, place, long))
        must_end_in_error(facts, whole, turn, long)
        must_lose_the_last(whole, facts, turn, long)


@pytest.mark.parametrize("length", [0, 3, -1, -(2**31), 2**31 - 1, 0x40000000])
@pytest.mark.parametrize("kind", ["C", "D", "Z", "N", "1"])
def test_impossible_lengths(kind: str, length: int) -> None:
    session = connected_session()
    (operation,) = run("SELECT 1")(session)
    feed(session, m.message("T", b"\0\0"))
    feed(session, m.message(kind, b"\0\0\0\0", length=length))
    assert isinstance(operation.error, ProtocolError)
    assert session.closed


def test_a_large_message_before_authentication_is_refused() -> None:
    session = Session()
    (operation,) = BY_NAME["connect, trust"].turns[0].ask(session)
    feed(session, m.message("N", b"", length=65537))
    assert isinstance(operation.error, ProtocolError)
    assert session.closed


def test_a_length_that_is_only_announced_takes_no_memory() -> None:
    session = connected_session()
    run("SELECT 1")(session)
    feed(session, m.message("N", b"", length=0x3FFFFFFF))
    assert not session.closed
    assert len(session.get_buffer()) < 1 << 20


# -- user code that runs while a result is read


class Meddler(datetime.tzinfo):
    """A time zone whose arithmetic calls back: what a user's code could do while timestamps are decoded."""

    def __init__(self, act: Callable[[], object]) -> None:
        self.act = act
        self.calls = 0

    def utcoffset(self, when: datetime.datetime | None) -> datetime.timedelta:
        return datetime.timedelta(0)

    def dst(self, when: datetime.datetime | None) -> None:
        return None

    def fromutc(self, when: datetime.datetime) -> datetime.datetime:
        self.calls += 1
        self.act()
        return when

    def __deepcopy__(self, memo: object) -> Meddler:
        return self


MIDNIGHT = datetime.datetime(2000, 1, 1)
ROW = {0: "2000-01-01 00:00:00+00", 1: bytes(8)}


def meddled(act: Callable[[Session, Any], object], form: int, rows: int = 3) -> tuple[Session, Any, Meddler, list[Any]]:
    """A session that reads ``rows`` timestamps and calls ``act`` at each; and what ``act`` raised."""
    session = connected_session()
    raised: list[Any] = []

    def call() -> None:
        try:
            act(session, operation)
        except BaseException as exc:
            raised.append(exc)
            raise

    zone = Meddler(call)
    session.registry = Registry(zone)
    (operation,) = run("SELECT now()", ())(session)
    answer = [m.parse_complete(), m.bind_complete(), m.row_description(m.Column("now", TIMESTAMPTZ, form))]
    answer += [m.data_row(ROW[form])] * rows + [m.command_complete(f"SELECT {rows}"), m.ready()]
    feed(session, b"".join(answer))
    return session, operation, zone, raised


REENTRIES: dict[str, Callable[[Session, Any], object]] = {
    "execute": lambda session, operation: run("SELECT 1")(session),
    "executemany": lambda session, operation: run_many("SELECT %s", [(1,)])(session),
    "run_sql": lambda session, operation: run_sql(session, b"COMMIT"),
    "get_buffer": lambda session, operation: session.get_buffer(),
    "received": lambda session, operation: session.received(0),
    "received more": lambda session, operation: session.received(1000),
}


@pytest.mark.parametrize("form", [0, 1], ids=["text", "binary"])
@pytest.mark.parametrize("name", REENTRIES)
def test_code_called_while_decoding_cannot_use_the_session(name: str, form: int) -> None:
    session, operation, zone, raised = meddled(REENTRIES[name], form)
    assert zone.calls >= 1
    assert raised and all(isinstance(exc, InterfaceError) for exc in raised)
    assert isinstance(operation.error, errors.DataError)  # the value could not be read, and the cause says why
    assert isinstance(operation.error.__cause__, InterfaceError)
    assert operation.done
    assert not session.closed
    assert session.data_to_send()[-5:] == m.sync()  # nothing but the first request
    (after,) = run("SELECT 1")(session)
    feed(session, b"".join([m.row_description("a"), m.data_row("x"), m.command_complete("SELECT 1"), m.ready()]))
    assert after.results[0].sink.taken() == [("x",)]


@pytest.mark.parametrize("form", [0, 1], ids=["text", "binary"])
@pytest.mark.parametrize("name", REENTRIES)
def test_code_called_while_decoding_may_catch_the_refusal(name: str, form: int) -> None:
    def act(session: Session, operation: Any) -> None:
        with pytest.raises(InterfaceError):
            REENTRIES[name](session, operation)

    session, operation, zone, raised = meddled(act, form)
    assert (raised, zone.calls, session.closed) == ([], 3, False)
    assert operation.error is None
    assert operation.results[0].sink.taken() == [(MIDNIGHT.replace(tzinfo=zone),)] * 3


@pytest.mark.parametrize("form", [0, 1], ids=["text", "binary"])
@pytest.mark.parametrize("ending", ["fail", "receive_eof"])
def test_code_called_while_decoding_may_close_the_session(ending: str, form: int) -> None:
    def act(session: Session, operation: Any) -> None:
        if ending == "fail":
            session.fail(InterfaceError("the connection is closed"))
        else:
            session.receive_eof()

    session, operation, _, _ = meddled(act, form)
    assert session.closed
    assert operation.done
    assert isinstance(operation.error, InterfaceError if ending == "fail" else OperationalError)
    assert not operation.results
    with pytest.raises(Error):
        session.check_usable()


@pytest.mark.parametrize("form", [0, 1], ids=["text", "binary"])
def test_code_called_while_decoding_may_raise(form: int) -> None:
    def act(session: Session, operation: Any) -> None:
        raise RuntimeError("mine")

    session, operation, _, _ = meddled(act, form)
    assert isinstance(operation.error, errors.DataError)
    assert "column 1 ('now')" in str(operation.error)
    assert isinstance(operation.error.__cause__, RuntimeError)
    assert not session.closed


@pytest.mark.parametrize("form", [0, 1], ids=["text", "binary"])
def test_an_interrupt_while_decoding_never_counts_rows_twice(form: int) -> None:
    """A Ctrl-C raises out of received(); whoever reads on gets each row once, or a closed session."""

    session = connected_session()
    zone = Meddler(lambda: None)
    session.registry = Registry(zone)
    (operation,) = run("SELECT now()", ())(session)
    answer = [m.parse_complete(), m.bind_complete(), m.row_description(m.Column("now", TIMESTAMPTZ, form))]
    answer += [m.data_row(ROW[form])] * 3 + [m.command_complete("SELECT 3"), m.ready()]

    def interrupt() -> None:
        if zone.calls == 2:
            raise KeyboardInterrupt

    zone.act = interrupt
    with pytest.raises(KeyboardInterrupt):
        feed(session, b"".join(answer))
    assert not session.decoding
    if not session.closed:
        session.received(0)
        rows = operation.results[0].sink.taken() if operation.results else []
        assert operation.error is not None or rows == [(MIDNIGHT.replace(tzinfo=zone),)] * 3


def test_a_new_time_zone_is_for_the_next_result() -> None:
    session = connected_session()
    (operation,) = run("SELECT now()", ())(session)
    column = m.row_description(m.Column("now", TIMESTAMPTZ, 0))
    answer = [m.parse_complete(), m.bind_complete(), column, m.data_row(ROW[0])]
    answer += [
        m.parameter_status("TimeZone", "Asia/Kolkata"),
        m.data_row(ROW[0]),
        m.command_complete("SELECT 2"),
        m.ready(),
    ]
    feed(session, b"".join(answer))
    first, second = (row[0] for row in operation.results[0].sink.taken())
    assert first == second == MIDNIGHT.replace(tzinfo=datetime.timezone.utc)
    assert str(session.registry.timezone) == "Asia/Kolkata"
    (operation,) = run("SELECT now()", prepare=False)(session)
    feed(session, b"".join([column, m.data_row(ROW[0]), m.command_complete("SELECT 1"), m.ready()]))
    assert operation.results[0].sink.taken()[0][0].isoformat() == "2000-01-01T05:30:00+05:30"


def test_a_setting_that_changes_before_the_rows_is_theirs() -> None:
    """The request was written by a plan that is remembered; when its rows come the setting is another."""
    session = connected_session()
    column = m.row_description(m.Column("now", TIMESTAMPTZ, 1))
    head = [m.close_complete(), m.parse_complete(), m.bind_complete(), column]
    end = [m.data_row(ROW[1]), m.command_complete("SELECT 1"), m.ready()]
    for _ in range(2):
        (operation,) = run("SELECT now()", (), prepare=True)(session)
        feed(session, b"".join([*(head if operation.script[0] == 2 else head[2:]), *end]))
        assert operation.error is None
    (operation,) = run("SELECT now()", (), prepare=True)(session)
    assert operation.plan is not None, "no Describe: the plan is the statement's"
    feed(session, b"".join([m.parameter_status("TimeZone", "Asia/Kolkata"), m.bind_complete(), *end]))
    assert operation.results[0].sink.taken()[0][0].isoformat() == "2000-01-01T05:30:00+05:30"
    (operation,) = run("SELECT now()", (), prepare=True)(session)
    assert operation.plan is None, "the statement's plan is of the old setting"


DATE = m.Column("day", 1082)


@pytest.mark.parametrize(
    ("tag", "is_read"),
    [
        ("SELECT 1", True),
        ("INSERT 0 1", True),
        ("BEGIN", True),
        ("SET", False),
        ("RESET", False),
        ("DISCARD ALL", False),
        ("DO", False),
        ("CALL", False),
        ("COMMIT", False),
        ("ROLLBACK", False),
    ],
)
def test_dates_behind_a_statement_that_may_have_changed_their_style(tag: str, is_read: bool) -> None:
    """Of a multi-statement text: the change is reported when the whole text is done."""
    session = connected_session()
    feed(session, m.parameter_status("DateStyle", "SQL, DMY"))
    (operation,) = run("whatever; SELECT day", None)(session)
    rows = [m.row_description(DATE), m.data_row("01/02/2024"), m.command_complete("SELECT 1"), m.ready()]
    feed(session, b"".join([m.command_complete(tag), *rows]))
    if is_read:
        assert operation.results[1].sink.taken() == [(datetime.date(2024, 2, 1),)]
    else:
        assert "no certain value" in str(operation.error)
    (operation,) = run("SELECT day", None)(session)
    feed(session, b"".join(rows))
    assert operation.results[0].sink.taken() == [(datetime.date(2024, 2, 1),)]


def test_settings_follow_in_any_order() -> None:
    for names in (("DateStyle", "TimeZone"), ("TimeZone", "DateStyle")):
        session = connected_session()
        for name in names:
            feed(session, m.parameter_status(name, {"DateStyle": "German, DMY", "TimeZone": "Asia/Kolkata"}[name]))
        assert (str(session.registry.timezone), session.registry.style) == ("Asia/Kolkata", "German")


@pytest.mark.parametrize(
    "name", ["Nowhere/Atlantis", "../../etc/passwd", "", "x" * 300, "<+03>", "EST5EDT,M3.2.0,M11.1.0"]
)
def test_a_time_zone_python_does_not_know_is_read_as_utc(name: str) -> None:
    assert session_module.timezone_of(name) is None
    session = connected_session()
    feed(session, m.parameter_status("TimeZone", name))
    assert session.registry.timezone is datetime.timezone.utc


@pytest.mark.parametrize(
    ("name", "shown", "seconds"),
    [
        ("<+03>-03", "+03", 10800),
        ("<-07:30>+07:30", "-07:30", -27000),
        ("<+05:53:28>-05:53:28", "+05:53:28", 21208),
        ("EST5", "EST", -18000),
        ("+05:30", "+05:30", -19800),
    ],
)
def test_time_zones_that_are_an_offset(name: str, shown: str, seconds: int) -> None:
    zone = session_module.timezone_of(name)
    assert zone is not None
    assert (zone.tzname(None), zone.utcoffset(None)) == (shown, datetime.timedelta(seconds=seconds))


def test_another_client_encoding_ends_the_session() -> None:
    session = connected_session()
    (operation,) = run("SET client_encoding = latin1")(session)
    feed(session, m.parameter_status("client_encoding", "LATIN1"))
    assert session.closed
    assert isinstance(operation.error, errors.InternalError)
    assert "LATIN1" in str(operation.error)


def test_a_closed_session_says_why() -> None:
    session = connected_session()
    session.receive_eof()
    with pytest.raises(OperationalError, match="closed the connection unexpectedly") as caught:
        run("SELECT 1")(session)
    assert caught.value.sent is False
    assert caught.value.retryable
    session = connected_session()
    session.terminate()
    assert session.data_to_send() == m.terminate()
    session.receive_eof()
    with pytest.raises(InterfaceError, match="the connection is closed"):
        run("SELECT 1")(session)


def test_a_request_that_was_never_sent_is_withdrawn() -> None:
    """Its caller was interrupted between writing and sending: the next request must not meet its answer."""
    session = connected_session()
    (first,) = run(SUM, (1, 2))(session)
    (second,) = run("SELECT 2")(session)
    assert first.done and isinstance(first.error, InterfaceError)
    assert session.head is second
    assert session.data_to_send() == m.query("SELECT 2")


def test_notices_are_kept_within_bounds() -> None:
    session = connected_session()
    feed(session, m.notice("n") * 2000 + m.notification(1, "c", "p") * 2000)
    assert len(session.notices) == len(session.notifications) == session_module.MAX_KEPT_NOTICES
    assert not session.closed
