"""How often a caller waits for the network, by the clock and by the messages: the numbers the driver promises."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.kit.wiretap import Wiretap

import howdah

DELAY_MS = 50  # each way; large against what an interpreted driver needs for a thousand rows


@pytest.fixture
def tap(pg18) -> Iterator[Wiretap]:
    with Wiretap((pg18.host, pg18.port), delay_ms=DELAY_MS) as tap:
        yield tap


def connect(tap: Wiretap, server, *, autocommit: bool, sslmode: str = "disable") -> howdah.Connection:
    where = {"host": tap.host, "port": tap.port, "sslmode": sslmode}
    return howdah.connect(**{**server.params, **where}, autocommit=autocommit)


def warmed_up(server) -> None:
    """The first connection of a process loads modules, which would count as time on the network."""
    howdah.connect(server.dsn).close()


def test_connect_with_scram(pg18, tap):
    warmed_up(pg18)
    with tap.watch() as seen:
        conn = connect(tap, pg18, autocommit=True)
    conn.close()
    # the proxy's own TCP handshake costs no delay; over a real line it is one more
    assert seen.flips == 3, seen.types
    assert seen.round_trips == 3
    assert seen.bursts == ["<startup>", "p", "p"]


def test_asking_for_tls_costs_one(pg18, tap):
    warmed_up(pg18)
    with tap.watch() as seen:
        connect(tap, pg18, autocommit=True, sslmode="prefer").close()
    assert seen.round_trips == 4, seen.types
    assert seen.bursts[:3] == ["<ssl>", "<startup>", "p"]


@pytest.mark.parametrize("params", [None, [1]])
def test_autocommit_query(pg18, tap, params):
    sql = "select 1" if params is None else "select %s::int4"
    with connect(tap, pg18, autocommit=True) as conn:
        for _use in range(3):
            with tap.watch() as seen:
                assert conn.execute(sql, params).fetchall() == [(1,)]
            assert seen.flips == 1, seen.types
            assert seen.round_trips == 1
        # the third use parses and describes nothing
        assert "P" not in seen.bursts[0] and "D" not in seen.bursts[0], seen.bursts


@pytest.mark.parametrize("params", [None, [1]])
def test_transaction(pg18, tap, params):
    sql = "select 1" if params is None else "select %s::int4"
    with connect(tap, pg18, autocommit=False) as conn:
        for _use in range(3):
            with tap.watch() as seen:
                assert conn.execute(sql, params).fetchall() == [(1,)]
                conn.commit()
            assert seen.flips == 2, seen.types
            assert seen.round_trips == 2


def test_executemany(pg18, tap):
    with connect(tap, pg18, autocommit=False) as conn:
        conn.execute("create temp table batch (a int4, b text)")
        conn.commit()
        cur = conn.cursor()
        rows = [(number, f"row {number}") for number in range(1000)]
        with tap.watch() as seen:
            cur.executemany("insert into batch values (%s, %s)", rows)
            conn.commit()
        assert seen.round_trips == 2
        assert cur.rowcount == 1000
        assert len(seen.sent("S")) == 1 and len(seen.sent("P")) == 2  # BEGIN's and the statement's
        assert conn.execute("select count(*) from batch").fetchone() == (1000,)


def test_close_waits_for_nothing(pg18, tap):
    conn = connect(tap, pg18, autocommit=True)
    with tap.watch() as seen:
        conn.close()
    assert seen.round_trips == 0
    assert [message.type for message in seen.sent()] == ["X"]


def test_parameters_that_cannot_be_sent_cost_nothing(pg18, tap):
    with connect(tap, pg18, autocommit=False) as conn:
        with tap.watch() as seen, pytest.raises(howdah.DataError):
            conn.execute("select %s", ["\0"])
        assert seen.records == [] and seen.round_trips == 0
