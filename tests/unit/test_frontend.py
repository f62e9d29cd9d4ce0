"""wire.frontend: what goes out is what the kit's independent builders make, and what cannot go out is refused."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.kit import messages as m
from tests.kit.properties import examples

from howdah.errors import DataError, ProgrammingError
from howdah.wire import frontend
from howdah.wire.outbuf import OutBuf


def written(write: Callable[..., object], *arguments: object) -> bytes:
    out = OutBuf(1)
    write(out, *arguments)
    return out.take()


def test_messages() -> None:
    assert written(frontend.write_query, b"SELECT 1") == m.query("SELECT 1")
    assert written(frontend.write_parse, b"", b"SELECT $1", (23, 2**32 - 1)) == m.parse(
        "", "SELECT $1", (23, 2**32 - 1)
    )
    assert written(frontend.write_parse, b"name", b"", ()) == m.parse("name", "")
    assert written(frontend.write_describe_portal) == m.describe("P")
    assert written(frontend.write_execute, 0) == m.execute()
    assert written(frontend.write_execute, 2**31 - 1) == m.execute("", 2**31 - 1)
    assert written(frontend.write_close_statement, b"name") == m.close("S", "name")
    assert written(frontend.write_sync) == m.sync()
    assert written(frontend.write_terminate) == m.terminate()
    assert written(frontend.write_copy_fail, b"no") == m.copy_fail("no")
    assert written(frontend.write_password, b"p=1") == m.sasl_response("p=1")
    assert written(frontend.write_sasl_initial, "SCRAM-SHA-256", b"n,,") == m.sasl_initial_response(
        "SCRAM-SHA-256", "n,,"
    )
    assert frontend.cancel_request(4711, b"\1\2\3\4") == m.cancel_request(4711, b"\1\2\3\4")
    assert frontend.cancel_request(2**32 - 1, b"k" * 256) == m.cancel_request(-1, b"k" * 256)


def test_startup() -> None:
    parameters = {"user": "alice", "database": "бд", "options": ""}
    assert written(frontend.write_startup, frontend.PROTOCOL_3_0, parameters) == m.startup(
        "alice", database="бд", options=""
    )


@examples(200)
@given(st.binary(max_size=50).filter(lambda sql: 0 not in sql), st.lists(st.integers(0, 2**32 - 1), max_size=20))
def test_parse(sql: bytes, oids: list[int]) -> None:
    assert written(frontend.write_parse, b"n", sql, tuple(oids)) == m.parse("n", sql, oids)


@pytest.mark.parametrize("name", ["user", "us\0er"])
@pytest.mark.parametrize("value", ["a\0b", "\0", "a\ud800"])
def test_startup_parameters_that_would_end_early(name: str, value: str) -> None:
    out = OutBuf()
    with pytest.raises(DataError if value == "a\ud800" and name == "user" else ProgrammingError) as caught:
        frontend.write_startup(out, frontend.PROTOCOL_3_0, {name: value})
    assert "startup parameter" in str(caught.value)


@pytest.mark.parametrize("count", [0, 1, 0x7FFF, 0x8000, 0xFFFF])
def test_counts_are_unsigned(count: int) -> None:
    assert written(frontend.put_count, count) == count.to_bytes(2, "big")


def test_too_many_parameters() -> None:
    out = OutBuf()
    with pytest.raises(ProgrammingError, match="at most 65535"):
        frontend.put_count(out, 65536)
    assert out.pos == 0


@examples(200)
@given(st.text(alphabet=st.characters(exclude_characters="\0", exclude_categories=("Cs",))))
def test_cstring_is_utf8(text: str) -> None:
    assert frontend.cstring(text, "it") == text.encode()


def test_cstring_refuses() -> None:
    with pytest.raises(ProgrammingError, match="the query holds a NUL"):
        frontend.cstring("a\0", "the query")
    with pytest.raises(DataError, match="the query holds a lone surrogate at position 1"):
        frontend.cstring("a\udfff", "the query")
