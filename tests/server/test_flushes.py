"""Which messages go out in one flush: the table in DESIGN.md, section 4, "Statements on the wire"."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.kit.wiretap import Wiretap

import howdah
from howdah import errors


@pytest.fixture
def tap(pg18: Any) -> Iterator[Wiretap]:
    with Wiretap((pg18.host, pg18.port)) as tap:
        yield tap


@pytest.fixture
def opened(pg18: Any, tap: Wiretap) -> Iterator[Callable[..., howdah.Connection]]:
    connections = []

    def connect(**options: Any) -> howdah.Connection:
        where = {"host": tap.host, "port": tap.port, "sslmode": "disable"}
        conn = howdah.connect(**{**pg18.params, **where}, **options)
        connections.append(conn)
        return conn

    yield connect
    for conn in connections:
        conn.close()


def sent_by(tap: Wiretap, action: Callable[[], Any]) -> list[str]:
    """The flushes of `action`; one string of message types each, and every flush is answered."""
    with tap.watch() as seen:
        action()
    assert seen.flips == len(seen.bursts)
    return seen.bursts


FIRST_WITH_PARAMETERS = "PBDES"
PREPARING = "CPBDES"  # Close of the name before its Parse
LATER = "BES"


def test_query_with_parameters(tap, opened):
    conn = opened(autocommit=True)
    uses = [sent_by(tap, lambda: conn.execute("select %s::int8", [7])) for _ in range(4)]
    assert uses == [[FIRST_WITH_PARAMETERS], [PREPARING], [LATER], [LATER]]


def test_query_without_parameters(tap, opened):
    conn = opened(autocommit=True)
    uses = [sent_by(tap, lambda: conn.execute("select 7")) for _ in range(4)]
    assert uses == [["Q"], [PREPARING], [LATER], [LATER]]


def test_statements_whose_columns_may_change_are_described_each_time(tap, opened):
    conn = opened(autocommit=True)
    conn.execute("prepare p as select 1")
    for sql in ("show work_mem", "explain select 1", "execute p"):
        for use in range(4):
            for flush in sent_by(tap, lambda sql=sql: conn.execute(sql, ())):
                assert "D" in flush, (sql, use)
        assert [flush for _ in range(2) for flush in sent_by(tap, lambda sql=sql: conn.execute(sql))] == ["Q", "Q"]


def test_statement_without_rows(tap, opened):
    conn = opened(autocommit=True)
    conn.execute("create temp table t (a int)")
    uses = [sent_by(tap, lambda: conn.execute("insert into t values (%s)", [1])) for _ in range(4)]
    assert uses == [[FIRST_WITH_PARAMETERS], [PREPARING], [LATER], [LATER]]
    uses = [sent_by(tap, lambda: conn.execute("create temp table if not exists t (a int)")) for _ in range(3)]
    assert uses == [["Q"], ["Q"], ["Q"]]


def test_transaction_begins_in_the_flush_of_its_first_statement(tap, opened):
    conn = opened()
    flushes = []
    for _ in range(3):
        flushes += sent_by(tap, lambda: conn.execute("select %s::int8", [7]))
        flushes += sent_by(tap, lambda: conn.execute("select 8"))
        flushes += sent_by(tap, conn.commit)
        assert sent_by(tap, conn.commit) == []
    assert flushes[:3] == ["PBE" + FIRST_WITH_PARAMETERS, "Q", "Q"]
    assert flushes[3:6] == ["PBE" + PREPARING, PREPARING, "Q"]
    assert flushes[6:] == ["PBE" + LATER, LATER, "Q"]
    assert sent_by(tap, lambda: conn.execute("select 9 as first_use")) == ["PBEQS"]


def test_binary_first_use(tap, opened):
    conn = opened(autocommit=True)
    cursor = conn.cursor(binary=True)
    assert sent_by(tap, lambda: cursor.execute("select 7")) == [FIRST_WITH_PARAMETERS]


def test_prepare_now_and_never(tap, opened):
    conn = opened(autocommit=True)
    now = [sent_by(tap, lambda: conn.execute("select %s::int8", [7], prepare=True)) for _ in range(3)]
    # its first answer told the columns: they are asked for in binary from the second use
    assert now == [[PREPARING], ["BDES"], [LATER]]
    never = [sent_by(tap, lambda: conn.execute("select %s::int4", [7], prepare=False)) for _ in range(3)]
    assert never == [[FIRST_WITH_PARAMETERS]] * 3


def test_an_evicted_statement_is_closed_in_the_flush_of_the_next_parse(tap, opened):
    conn = opened(autocommit=True)
    conn.prepared_max = 2
    for number in range(2):
        conn.execute(f"select %s::int8 + {number}", [1], prepare=True)
    assert sent_by(tap, lambda: conn.execute("select %s::int8 + 2", [1], prepare=True)) == ["CCPBDES"]


def test_executemany_is_one_pipeline(tap, opened):
    conn = opened()
    conn.execute("create temp table t (a int, b text)")
    conn.commit()
    cursor = conn.cursor()
    rows = [(number, "x") for number in range(3)]
    with tap.watch() as seen:
        cursor.executemany("insert into t values (%s, %s)", rows)
    assert "".join(message.type for message in seen.sent()) == "PBE" + "P" + "BE" * 3 + "S"


def test_an_error_costs_no_more(tap, opened):
    conn = opened(autocommit=True)

    def fail() -> None:
        with pytest.raises(errors.DivisionByZero):
            conn.execute("select 1 / %s", [0])

    assert [len(sent_by(tap, fail)) for _ in range(3)] == [1, 1, 1]


def test_nothing_goes_out_before_it_is_needed(tap, opened):
    with tap.watch() as seen:
        conn = opened()
        conn.cursor().close()
        conn.set_read_only(True)
        conn.rollback()
        conn.close()
    assert seen.bursts == ["<startup>", "p", "p", "X"]


def test_a_result_that_changed_is_described_again(tap, opened):
    """The typed error of a stale plan, then the statement heals: no third flush is wrong."""
    conn = opened(autocommit=True)
    conn.execute("create temp table t (a int)")
    conn.execute("insert into t values (1)")
    for _ in range(3):
        conn.execute("select * from t where %s", [True])
    conn.execute("alter table t add column b text default 'new'")
    outcomes = []
    for _ in range(4):
        try:
            outcomes.append(conn.execute("select * from t where %s", [True]).fetchall())
        except errors.FeatureNotSupported as exc:
            outcomes.append(exc.sqlstate)
    assert outcomes[0] in ("0A000", [(1, "new")]) and outcomes[1:] == [[(1, "new")]] * 3
