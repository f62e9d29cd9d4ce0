"""core.execute: which messages go out for a statement, and that nothing goes out for one that cannot be sent."""

from __future__ import annotations

import datetime
import decimal
import struct
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from tests.kit import messages as m
from tests.unit.playing import connected_session, feed, run, run_many
from tests.unit.recorded import BEGIN, LATER_USE, SECOND_USE, SUM, binary_int

from howdah.core.execute import execute, execute_many, run_sql
from howdah.core.session import Session
from howdah.errors import DataError, Error, InterfaceError, ProgrammingError
from howdah.types.json import Json, Jsonb

INT2, INT4, INT8, NUMERIC, TEXT = 21, 23, 20, 1700, 25


def sent(session: Session) -> list[m.Message]:
    return m.split(session.data_to_send(), started=True)


def fields(session: Session) -> list[dict[str, Any]]:
    return [m.decode_frontend(message) for message in sent(session)]


def types_sent(ask: Callable[[Session], list[Any]], session: Session | None = None) -> str:
    session = session or connected_session()
    ask(session)
    return m.types(sent(session))


def prepared_session() -> Session:
    """SUM was run twice: it is prepared, and binary."""
    session = connected_session()
    run(SUM, (1, 2), prepare=True)(session)
    session.data_to_send()
    feed(session, b"".join([*SECOND_USE, m.ready()]))
    return session


# -- which messages


def test_a_query_without_parameters_is_simple() -> None:
    session = connected_session()
    run("SELECT 1; SELECT 2")(session)
    assert session.data_to_send() == m.query("SELECT 1; SELECT 2")


def test_first_use_with_parameters() -> None:
    session = connected_session()
    run(SUM, (1, 70000))(session)
    assert session.data_to_send() == b"".join(
        [
            m.parse("", "SELECT $1 + $2 AS sum", (INT2, INT4)),
            m.bind("", "", [struct.pack("!h", 1), struct.pack("!i", 70000)], formats=(1, 1)),
            m.describe("P"),
            m.execute(),
            m.sync(),
        ]
    )


def test_second_use_is_named_and_later_ones_are_short() -> None:
    session = connected_session()
    run(SUM, (1, 2))(session)
    session.data_to_send()
    answer = [m.parse_complete(), m.bind_complete(), m.row_description(m.Column("sum", INT4)), m.data_row("3")]
    feed(session, b"".join([*answer, m.command_complete("SELECT 1"), m.ready()]))
    run(SUM, (1, 2))(session)
    close, parse, bind, describe, _, _ = fields(session)
    assert close["name"] == parse["name"] == bind["statement"] != ""
    assert bind["result_formats"] == [1]
    assert describe == {"kind": "P", "name": ""}
    feed(session, b"".join([*SECOND_USE, m.ready()]))
    assert types_sent(run(SUM, (3, 4)), session) == "BES"
    feed(session, b"".join([*LATER_USE, m.ready()]))


def test_another_magnitude_is_another_statement() -> None:
    assert types_sent(run(SUM, (1, 70000)), prepared_session()) == "PBDES"


def test_prepare_false_is_never_named() -> None:
    session = prepared_session()
    assert types_sent(run(SUM, (1, 2), prepare=False), session) == "PBDES"


@pytest.mark.parametrize(("threshold", "named_at"), [(0, 0), (1, 1), (3, 3), (None, None)])
def test_prepare_threshold(threshold: int | None, named_at: int | None) -> None:
    session = connected_session()
    session.prepare_threshold = threshold
    for use in range(6):
        if named_at is not None and use > named_at:
            break
        expected = "CPBDES" if use == named_at else "PBDES"
        assert types_sent(run(SUM, (1, 2)), session) == expected, use
        answer = [m.parse_complete(), m.bind_complete(), m.row_description(m.Column("sum", INT4)), m.data_row("3")]
        head = [m.close_complete()] if use == named_at else []
        feed(session, b"".join([*head, *answer, m.command_complete("SELECT 1"), m.ready()]))
        assert not session.closed


def test_behind_a_pooler_nothing_is_named() -> None:
    session = connected_session()
    session.pooler_suspected = True
    assert types_sent(run(SUM, (1, 2), prepare=True), session) == "PBDES"


@pytest.mark.parametrize(
    ("text", "params"),
    [
        ("FETCH 1 FROM c", None),
        ("SHOW x", None),
        ("EXPLAIN SELECT %s", (1,)),
        ("CALL p(%s)", (1,)),
        ("EXECUTE p", None),
        ("FETCH %s FROM c", (1,)),
    ],
)
def test_statements_whose_columns_may_change_are_always_described(text: str, params: Any) -> None:
    session = connected_session()
    for _ in range(3):
        assert types_sent(run(text, params, prepare=True, binary=True), session) == "PBDES"
        answer = [m.parse_complete(), m.bind_complete(), m.no_data(), m.command_complete("OK"), m.ready()]
        feed(session, b"".join(answer))


def test_binary_asks_for_binary_at_once() -> None:
    session = connected_session()
    run("SELECT 1", binary=True)(session)
    assert fields(session)[1]["result_formats"] == [1]


def test_a_change_of_format_is_described() -> None:
    session = prepared_session()
    assert types_sent(run(SUM, (1, 2), binary=True), session) == "BDES"


def test_dropped_statements_are_closed_before_the_next_parse() -> None:
    session = prepared_session()
    session.statements.max_entries = 1
    run("SELECT %s", (1,), prepare=True)(session)
    found = sent(session)
    assert m.types(found) == "CCPBDES"
    names = [m.decode_frontend(message)["name"] for message in found[:3]]
    assert names[1] == names[2] != names[0]


def test_a_statement_that_cannot_be_sent_does_not_forget_what_is_to_be_closed() -> None:
    session = prepared_session()
    session.statements.max_entries = 1
    with pytest.raises(DataError):
        run("SELECT %s", ("\0",), prepare=True)(session)
    assert session.data_to_send() == b""
    assert types_sent(run("SELECT %s + 1", (1,), prepare=True), session) == "CCPBDES"


def test_null_parameters() -> None:
    session = connected_session()
    run("SELECT %s, %s", (None, "x"))(session)
    parse, bind, *_ = fields(session)
    assert parse["oids"] == [0, 0]
    assert (bind["values"], bind["formats"]) == ([None, b"x"], [0, 0])


def test_the_most_parameters_there_can_be() -> None:
    session = connected_session()
    run(",".join(["%s"] * 65535), [1] * 65535)(session)
    assert len(fields(session)[1]["values"]) == 65535
    with pytest.raises(ProgrammingError, match="at most 65535"):
        run(",".join(["%s"] * 65536), [1] * 65536)(session)
    assert session.outbuf.pos == 0


# -- BEGIN in front


@pytest.mark.parametrize(
    ("ask", "types"),
    [
        (run("SELECT 1", begin=BEGIN), "PBEQS"),
        (run(SUM, (1, 2), begin=BEGIN), "PBEPBDES"),
        (run(SUM, (1, 2), begin=BEGIN, prepare=True), "PBECPBDES"),
        (run_many("INSERT INTO t VALUES (%s)", [(1,), (2,)], begin=BEGIN), "PBEPBEBES"),
    ],
)
def test_begin_has_no_sync_of_its_own(ask: Callable[[Session], list[Any]], types: str) -> None:
    session = connected_session()
    ask(session)
    found = sent(session)
    assert m.types(found) == types
    assert m.decode_frontend(found[0]) == {"name": "", "sql": "BEGIN", "oids": []}


@pytest.mark.parametrize("status", ["T", "E"])
def test_no_begin_inside_a_transaction(status: str) -> None:
    session = connected_session()
    session.transaction_status = ord(status)
    assert types_sent(run("SELECT 1", begin=BEGIN), session) == "Q"
    assert types_sent(run_many("SELECT %s", [(1,)], begin=BEGIN), session) == "PBES"


def test_our_own_statements() -> None:
    session = connected_session()
    session.begin = BEGIN
    operation = run_sql(session, b"ROLLBACK")
    assert session.data_to_send() == m.query("ROLLBACK")
    feed(session, m.command_complete("ROLLBACK") + m.ready())
    assert operation.done and operation.error is None


# -- executemany


def many(rows: list[Any]) -> list[dict[str, Any]]:
    session = connected_session()
    run_many("INSERT INTO t VALUES (%s, %s)", rows)(session)
    return fields(session)


def test_integers_take_the_widest_type_of_their_column() -> None:
    parse, first, _, second, _, third, _, _ = many([(1, "a"), (70000, "b"), (None, None)])
    assert parse["oids"] == [INT4, 0]
    assert [one["values"] for one in (first, second, third)] == [
        [binary_int(1), b"a"],
        [binary_int(70000), b"b"],
        [None, None],
    ]
    parse, first, *_ = many([(1, "a"), (2**40, "b")])
    assert (parse["oids"], first["values"][0]) == ([INT8, 0], struct.pack("!q", 1))
    assert many([(1, "a"), (decimal.Decimal("1.5"), "b"), (2**80, "c")])[0]["oids"] == [NUMERIC, 0]


def test_a_column_of_other_types_is_parsed_again() -> None:
    session = connected_session()
    assert types_sent(run_many("SELECT %s", [(1,), ("x",), ("y",), (None,), (2.5,)]), session) == "PBEPBEBEBEPBES"


def test_a_first_row_of_nulls_is_parsed_again_once() -> None:
    assert types_sent(run_many("SELECT %s", [(None,), (1,), (None,), (2,)])) == "PBEPBEBEBES"


def test_an_error_in_a_row_names_it_and_sends_nothing() -> None:
    session = connected_session()
    session.outbuf.put_bytes(b"kept")
    with pytest.raises(DataError, match="row 2"):
        run_many("SELECT %s", [("fine",), ("NUL\0",), ("fine",)])(session)
    with pytest.raises(ProgrammingError, match="row 3"):
        run_many("SELECT %s", [(1,), (2,), (object(),)])(session)
    with pytest.raises(ProgrammingError, match="row 2"):
        run_many("SELECT %s", [(1,), (2, 3)])(session)
    assert session.data_to_send() == b"kept"
    assert not session.queue


def test_several_statements_take_no_parameters() -> None:
    session = connected_session()
    for ask in (
        run("SELECT %s; SELECT 2", (1,)),
        run("SELECT 1; SELECT 2", binary=True),
        run_many("SELECT %s; x", [(1,)]),
    ):
        with pytest.raises(ProgrammingError, match="several statements"):
            ask(session)
    assert (session.outbuf.pos, len(session.queue)) == (0, 0)


# -- values that cannot be sent


class Odd:
    pass


UNSENDABLE: dict[str, tuple[Any, type[Error], str]] = {
    "NUL in text": ("a\0b", DataError, "NUL"),
    "lone surrogate": ("a\ud800", DataError, "surrogate"),
    "NUL in a list": (["a", "b\0"], DataError, "NUL"),
    "not rectangular": ([[1, 2], [3]], DataError, "rectangular"),
    "lists and values": ([[1], 2], DataError, "rectangular"),
    "values and lists": ([1, [2]], DataError, "rectangular"),
    "too deep": ([[[[[[[1]]]]]]], DataError, "6 dimensions"),
    "mixed": ([1, "x"], DataError, "mixes"),
    "tuple": ((1, 2), ProgrammingError, "list for an array"),
    "tuple in a list": ([(1, 2)], ProgrammingError, "list for an array"),
    "dict": ({"a": 1}, ProgrammingError, "Jsonb"),
    "unknown class": (Odd(), ProgrammingError, "Odd"),
    "unknown class in a list": ([Odd()], ProgrammingError, "Odd"),
    "not JSON": (Jsonb({"a": Odd()}), DataError, "JSON"),
    "surrogate in JSON": (Json("x", dumps=lambda value: '"\ud800"'), DataError, "surrogate"),
    "beyond numeric": (decimal.Decimal("1E131072"), DataError, "numeric"),
    "too fine for numeric": (decimal.Decimal("1E-16384"), DataError, "numeric"),
    "integer beyond numeric": (10**131072, DataError, "numeric"),
}


@pytest.mark.parametrize("prepare", [None, True], ids=["unnamed", "named"])
@pytest.mark.parametrize(("value", "error", "words"), UNSENDABLE.values(), ids=UNSENDABLE)
def test_what_cannot_be_sent_is_named_and_leaves_nothing(
    value: Any, error: type[Error], words: str, prepare: Any
) -> None:
    session = connected_session()
    session.outbuf.put_bytes(b"kept")
    with pytest.raises(error) as caught:
        run("SELECT %s, %s", (1, value), prepare=prepare, begin=BEGIN)(session)
    assert words in str(caught.value)
    assert str(caught.value).startswith("parameter 2: ")
    assert session.data_to_send() == b"kept"
    assert not session.queue and session.head is None
    session.check_usable()


def test_named_placeholders_are_named_in_errors_by_their_number() -> None:
    with pytest.raises(DataError, match="parameter 1: "):
        run("SELECT %(a)s", {"a": "\0"})(connected_session())


Pair = __import__("collections").namedtuple("Pair", "a b")


class Numbers(list):  # type: ignore[type-arg]
    pass


def test_a_named_tuple_is_refused_as_a_tuple_is() -> None:
    session = connected_session()
    with pytest.raises(ProgrammingError, match="list for an array"):
        run("SELECT %s", (Pair(1, 2),))(session)
    assert session.outbuf.pos == 0


def test_subclasses_are_sent_as_what_they_are() -> None:
    import enum

    class Colour(enum.IntEnum):
        RED = 7

    class Name(str):
        pass

    class Moment(datetime.datetime):
        pass

    class Amount(decimal.Decimal):
        pass

    class Key(uuid.UUID):
        pass

    values = [Colour.RED, Name("x"), Moment(2000, 1, 1), Amount("1"), Key(int=5), Numbers([1, 2]), Numbers([[1], [2]])]
    plain = [7, "x", datetime.datetime(2000, 1, 1), decimal.Decimal("1"), uuid.UUID(int=5), [1, 2], [[1], [2]]]
    for value, same in zip(values, plain):
        session, other = connected_session(), connected_session()
        run("SELECT %s", (value,))(session)
        run("SELECT %s", (same,))(other)
        assert session.data_to_send() == other.data_to_send(), value


# -- user code that runs while a statement is written


@pytest.mark.parametrize("many", [False, True], ids=["execute", "executemany"])
@pytest.mark.parametrize("act", ["execute", "executemany", "run_sql", "data_to_send"])
def test_code_called_while_encoding_cannot_use_the_session(act: str, many: bool) -> None:
    session = connected_session()
    acts: dict[str, Callable[[], object]] = {
        "execute": lambda: execute(session, "SELECT 1", None, False, None),
        "executemany": lambda: execute_many(session, "SELECT %s", [(1,)]),
        "run_sql": lambda: run_sql(session, b"COMMIT"),
        "data_to_send": session.data_to_send,
    }
    raised: list[BaseException] = []

    def dumps(value: object) -> str:
        try:
            acts[act]()
        except InterfaceError as exc:
            raised.append(exc)
        return "{}"

    ask = run_many("SELECT %s", [(Json(1, dumps),)]) if many else run("SELECT %s", (Json(1, dumps),))
    ask(session)
    assert len(raised) == 1
    found = fields(session)  # well formed: nothing of another request lies within
    assert found[1]["values"] == [b"{}"]
    assert len(session.queue) == 1


def test_an_error_of_user_code_leaves_nothing() -> None:
    def dumps(value: object) -> str:
        raise RuntimeError("mine")

    session = connected_session()
    with pytest.raises(RuntimeError, match="mine"):
        run("SELECT %s", (Json(1, dumps),), begin=BEGIN)(session)
    assert session.outbuf.pos == 0
    assert types_sent(run("SELECT 1"), session) == "Q"
