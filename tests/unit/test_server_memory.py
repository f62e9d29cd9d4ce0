"""core.server_memory without a server: bounds, threads, and that secrets stay where they are."""

from __future__ import annotations

import copy
import pickle
import sys
import threading

import pytest

from howdah.auth.scram import Scram
from howdah.config.conninfo import target_of
from howdah.core.server_memory import MAX_KEYS, PROCESS_KEY, Memories, Secret, ServerMemory
from howdah.core.session import Session
from howdah.core.startup import Startup
from howdah.errors import Error

COLUMNS = (("a", 0, 0, 23, 4, -1, 0),)


def test_entries_are_bounded_the_oldest_first() -> None:
    memory = ServerMemory(max_statements=3)
    for number in range(3):
        memory.remember(b"%d" % number, (), COLUMNS)
    assert memory.columns_of(b"0", ()) == COLUMNS  # now the last one to go
    memory.remember(b"3", (), COLUMNS)
    assert [memory.columns_of(b"%d" % number, ()) is None for number in range(4)] == [False, True, False, False]
    memory.forget(b"0", ())
    memory.forget(b"unknown", ())
    assert memory.columns_of(b"0", ()) is None and len(memory) == 2
    assert memory.columns_of(b"2", (23,)) is None  # other parameter types, another statement


def test_bytes_are_bounded() -> None:
    memory = ServerMemory(max_bytes=100_000)
    for number in range(1000):
        memory.remember(b"%05d" % number + b" " * 1000, (), COLUMNS)
        memory.remember(b"%05d" % number + b" " * 1000, (), COLUMNS)
        assert memory.statement_bytes <= 100_000
    assert 50 < len(memory) < 100
    memory.remember(b"x" * 50_000, (), COLUMNS)
    assert memory.columns_of(b"x" * 50_000, ()) is None and len(memory) > 50
    for number in range(1000):
        memory.forget(b"%05d" % number + b" " * 1000, ())
    assert memory.statement_bytes == len(memory) == 0


def test_keys_are_bounded() -> None:
    memory = ServerMemory()
    for number in range(3 * MAX_KEYS):
        memory.keep_salted_password((b"salt", number), b"salted")
    kept = [number for number in range(3 * MAX_KEYS) if memory.salted_password((b"salt", number)) is not None]
    assert kept == list(range(2 * MAX_KEYS, 3 * MAX_KEYS))
    memory.forget_salted_password((b"salt", kept[0]))
    assert memory.salted_password((b"salt", kept[0])) is None


def test_memories_by_address_database_and_user() -> None:
    memories = Memories(max_servers=3)
    one = memories.of(target_of("host=a user=u dbname=d", {}))
    assert memories.of(target_of("host=a user=u dbname=d password=x application_name=y", {})) is one
    for other in (
        "host=b user=u dbname=d",
        "host=a user=v dbname=d",
        "host=a user=u dbname=e",
        "host=a port=1 user=u dbname=d",
    ):
        assert memories.of(target_of(other, {})) is not one
        assert len(memories) <= 3
    memories.clear()
    assert len(memories) == 0


def test_another_version_is_another_server() -> None:
    memory = ServerMemory()
    memory.greeted("18.1", False)
    memory.remember(b"select", (), COLUMNS)
    memory.greeted("18.1", True)
    memory.greeted("18.1", False)
    assert memory.columns_of(b"select", ()) == COLUMNS and memory.pooler_suspected
    memory.greeted("18.2", False)
    assert memory.columns_of(b"select", ()) is None and memory.statement_bytes == 0


def test_secrets_are_not_shown() -> None:
    secret = Secret(b"canary")
    memory = ServerMemory()
    memory.keep_salted_password(("canary-key",), b"canary")
    for text in (repr(secret), str(secret), f"{secret}", repr(memory)):
        assert "canary" not in text
    for thing in (secret, memory):
        with pytest.raises(TypeError):
            pickle.dumps(thing)
        with pytest.raises(TypeError):
            copy.copy(thing)


def test_threads_at_once() -> None:
    memory = ServerMemory(max_statements=20, max_bytes=10_000)
    failures: list[BaseException] = []
    go = threading.Barrier(8)

    def work(seed: int) -> None:
        try:
            go.wait(10)
            for number in range(2000):
                sql = b"%d" % ((number * 7 + seed) % 60)
                memory.remember(sql, (), COLUMNS)
                assert memory.columns_of(sql, ()) in (COLUMNS, None)
                if number % 5 == 0:
                    memory.forget(sql, ())
                memory.keep_salted_password((number % 12,), b"salted")
                assert memory.salted_password((number % 12,)) in (b"salted", None)
        except BaseException as exc:
            failures.append(exc)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    finally:
        sys.setswitchinterval(interval)
    assert not failures
    assert len(memory) <= 20 and memory.statement_bytes <= 10_000
    size = memory.statement_bytes
    for number in range(60):
        memory.forget(b"%d" % number, ())
    assert size > 0 and memory.statement_bytes == 0  # the account is exact


def scram_key(password: str, salt: str = "c2FsdA==", rounds: int = 4096) -> tuple[bytes, int, bytes]:
    exchange = Scram(password)
    exchange.challenge(b"r=" + exchange.nonce + b"more,s=%b,i=%d" % (salt.encode(), rounds))
    return exchange.key(PROCESS_KEY)


def test_the_key_is_of_salt_rounds_and_password() -> None:
    assert scram_key("canary") == scram_key("canary")
    assert (
        len({scram_key("canary"), scram_key("other"), scram_key("canary", "b3RoZXI="), scram_key("canary", rounds=5)})
        == 4
    )
    assert b"canary" not in b"".join(part for part in scram_key("canary") if isinstance(part, bytes))
    assert scram_key("a\u00adb") == scram_key("ab")  # the prepared password counts


def test_a_failed_login_drops_its_key_alone() -> None:
    session = Session()
    session.memory = ServerMemory()
    session.memory.keep_salted_password(("mine",), b"salted")
    session.memory.keep_salted_password(("another",), b"salted")
    startup = Startup({"user": "u", "database": "d"}, "password")
    startup.begin(session)
    startup.key = ("mine",)
    startup.fail(Error("refused"))
    assert session.memory.salted_password(("mine",)) is None
    assert session.memory.salted_password(("another",)) == b"salted"
    assert startup.key is None and startup.salted == b""
