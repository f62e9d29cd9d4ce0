"""Conversations with a session, without a server: how they are written down and played (tests.unit.recorded has them).

A conversation is a list of turns. A turn asks (queues operations, as the shells do) and then gets the server's bytes
for that; a server cannot answer before it is asked, so a stream may be cut anywhere within a turn and is always cut
between two. ``play`` runs a conversation with any cuts; what it returns are facts that compare equal.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from howdah.core.execute import execute, execute_many
from howdah.core.session import STATUS_IDLE, Session
from howdah.wire.limits import MAX_MESSAGE_BYTES


class Turn(NamedTuple):
    """``ask`` queues operations and returns them; ``answer`` are the server's messages."""

    ask: Callable[[Session], list[Any]]
    answer: list[bytes]


class Expected(NamedTuple):
    """What one operation must give: (tag, rows or None) a result, and the class name of its error or None."""

    results: list[tuple[str | None, list[tuple[Any, ...]] | None]]
    error: str | None = None


class Conversation(NamedTuple):
    name: str
    turns: list[Turn]
    expected: list[Expected]
    status: str = "I"
    connected: bool = True
    closes: bool = False


class Facts(NamedTuple):
    """All that can be seen of a conversation from outside; ``ended_in`` says in which turn each operation ended."""

    operations: list[tuple[Any, ...]]
    ended_in: list[int]
    status: int
    parameters: dict[str, str]
    key: tuple[int, bytes]
    closed: bool
    failure: tuple[Any, ...] | None
    notices: list[dict[str, str]]
    notifications: list[tuple[Any, ...]]
    statements: list[tuple[Any, ...]]
    sent: list[bytes]
    unread: int


def connected_session() -> Session:
    """A session that has logged in, as the trust conversation leaves it."""
    session = Session()
    session.transaction_status = STATUS_IDLE
    session.max_message_bytes = MAX_MESSAGE_BYTES
    session.authenticated = True
    return session


def feed(session: Session, data: bytes) -> None:
    """As a driver does: bytes into the session's buffer, then the count."""
    view = memoryview(data)
    while view and not session.closed:
        room = session.get_buffer()
        count = min(len(room), len(view))
        room[:count] = view[:count]
        session.received(count)
        view = view[count:]


def error_facts(error: BaseException | None) -> tuple[Any, ...] | None:
    if error is None:
        return None
    return (type(error).__name__, str(error), getattr(error, "sqlstate", None), getattr(error, "sent", None))


def operation_facts(operation: Any) -> tuple[Any, ...]:
    results = None
    if operation.results is not None:
        results = [
            (
                result.tag,
                result.suspended,
                None if result.plan is None else result.plan.columns,
                result.sink.count,
                result.sink.taken(),
            )
            for result in operation.results
        ]
    return (results, error_facts(operation.error), operation.done)


def facts_of(session: Session, operations: Sequence[Any], ended_in: list[int], sent: list[bytes]) -> Facts:
    return Facts(
        [operation_facts(operation) for operation in operations],
        ended_in,
        session.transaction_status,
        dict(session.parameters),
        (session.backend_pid, session.backend_key),
        session.closed,
        error_facts(session.failure),
        list(session.notices),
        list(session.notifications),
        [
            (
                entry.sql,
                entry.oids,
                entry.name,
                entry.uses,
                entry.prepared,
                entry.described,
                entry.columns,
                entry.formats,
            )
            for entry in session.statements.entries.values()
        ],
        sent,
        session.inbuf.end - session.inbuf.start,
    )


def play(
    conversation: Conversation,
    cuts: Iterable[int] = (),
    *,
    every_byte: bool = False,
    eof_at: int | None = None,
    eof: bool = False,
) -> Facts:
    """The facts of a conversation whose server bytes are cut at the offsets ``cuts``, counted over all turns.

    ``eof_at``: the stream ends at that offset, within a turn; ``eof``: at the end. A closed session ends all.
    """
    session = connected_session() if conversation.connected else Session()
    operations: list[Any] = []
    ended: dict[int, int] = {}
    sent = []
    marks = sorted(cuts)
    begin = 0
    for index, turn in enumerate(conversation.turns):
        if session.closed:
            break
        operations += turn.ask(session)
        for operation in operations:
            operation.sent = True
        data = b"".join(turn.answer)
        end = begin + len(data)
        if eof_at is not None and eof_at < end:
            data = data[: max(eof_at - begin, 0)]
        if every_byte:
            pieces = [data[i : i + 1] for i in range(len(data))]
        else:
            places = [0, *(mark - begin for mark in marks if begin < mark < end), len(data)]
            pieces = [data[a:b] for a, b in itertools.pairwise(places)]
        out = [session.data_to_send()]
        for piece in pieces:
            feed(session, piece)
            out.append(session.data_to_send())
        sent.append(b"".join(out))
        if eof_at is not None and eof_at < end:
            session.receive_eof()
        begin = end
        for number, operation in enumerate(operations):
            if operation.done:
                ended.setdefault(number, index)
    if eof and not session.closed:
        session.receive_eof()
    return facts_of(session, operations, [ended.get(i, index) for i in range(len(operations))], sent)


def stream_length(conversation: Conversation) -> int:
    return sum(len(message) for turn in conversation.turns for message in turn.answer)


def with_answer(conversation: Conversation, index: int, answer: list[bytes]) -> Conversation:
    """The conversation with another answer in one turn."""
    turns = list(conversation.turns)
    turns[index] = turns[index]._replace(answer=answer)
    return conversation._replace(turns=turns)


# -- asking


def run(
    sql: str, params: Any = None, *, begin: bytes | None = None, binary: bool = False, prepare: bool | None = None
) -> Callable[[Session], list[Any]]:
    """``begin`` is the BEGIN of a session that is not in autocommit."""

    def ask(session: Session) -> list[Any]:
        session.begin = begin
        return [execute(session, sql, params, binary, prepare)]

    return ask


def run_many(sql: str, rows: list[Any], begin: bytes | None = None) -> Callable[[Session], list[Any]]:
    def ask(session: Session) -> list[Any]:
        session.begin = begin
        return [execute_many(session, sql, rows)]

    return ask


def both(*asks: Callable[[Session], list[Any]]) -> Callable[[Session], list[Any]]:
    """Several requests in flight at once."""

    def ask(session: Session) -> list[Any]:
        operations = []
        for one in asks:
            operations += one(session)
            operations[-1].sent = True
        return operations

    return ask
