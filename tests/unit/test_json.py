"""json and jsonb mean what json.loads says, whichever parser reads them: equal values, or an error of the same class."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.kit.properties import examples, scaled

from howdah.types._json import CODECS

CODEC = next(codec for codec in CODECS if codec.name == "json")


def outcome(read: Any, document: bytes) -> str:
    """What comes of a document: the value's repr tells 1 from 1.0 and True, and shows the order of the keys."""
    try:
        return repr(read(document))
    except Exception as exc:
        return f"raises {type(exc).__name__}"


def same(document: bytes) -> None:
    expected = outcome(lambda data: json.loads(data.decode()), document)
    assert outcome(lambda data: CODEC.decode_bytes(data, 0), document) == expected


DOCUMENTS = [
    "", " ", "1", "-1", "-", "--1", "+1", "01", "-01", "-0", "-0.0", "0.0", "1.", ".5", "-.5", "1.5.5", "1e5", "1E+5",
    "1e-5", "1e", "1e+", "1ee5", "1e5.5", "0e0", "00", "1_0", "0x10", "1e400", "-1e400", "1e-400", "4.9e-324",
    "2.2250738585072014e-308", "123456789012345678", "-999999999999999999", "1000000000000000000",
    "9223372036854775808", "-9223372036854775809", "9" * 400, "0.123456789012345", "123456789012345.6",
    "1234567890123456.7", "0.1234567890123456789", "9007199254740993.0", "0." + "1" * 80, "true", "false", "null",
    "tru", "truee", "nul", "True", "NaN", "Infinity", "-Infinity", "[NaN]", '{"a": Infinity}', "[]", "[ ]", "[1]",
    "[1,]", "[,]", "[1 2]", "[1", "[", "]", "[[]]", "[[1], [2, [3]]]", "[1]x", "[1] []", " \t\r\n[ 1 , 2 ]\n ", "{}",
    "{ }", '{"a": 1}', '{"a":1,}', '{"a"}', '{"a":}', "{1: 2}", '{"a": 1 "b": 2}', '{"a" : 1 , "b":[ ]}',
    '{"a": 1, "a": 2}', '{"": ""}', '{"a', '{"a"', '{"a":', '{"a": 1', "{'a': 1}", '{"b": 1, "a": {"b": null}}',
    '{"%s": 1}' % ("k" * 48), '{"%s": 1}' % ("k" * 49), '""', '"a', '"a"b', '"\\n\\u0041\\ud83d\\ude00"', '"\\ud800"',
    '"\\x"', '"\t"', '"\x00"', '"\x7f"', '"é"', '"ÿ"', '"€"', '"😀"', '{"é": "€"}', "[" * 40 + "]" * 40,
    "[" * 63 + "]" * 63, "[" * 200 + "]" * 200, "[" * 64, '{"a":' * 70, "1\x0b", "\x0c1", "\u00a01", "\ufeff1", "1\x00",
    "/* */ 1",
]  # fmt: skip


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda words: words[:24].encode("unicode_escape").decode())
def test_documents(document: str) -> None:
    same(document.encode())


@pytest.mark.parametrize(
    "raw", [b'"\xff"', b'"\xc3"', b'"\xed\xa0\x80"', b'{"\xff": 1}', b"\xff", b'["a", "\xc3\xa9\xc3"]']
)
def test_bytes_that_are_no_utf8(raw: bytes) -> None:
    same(raw)


def test_the_document_ends_where_its_value_ends() -> None:
    """The bytes behind it in the receive buffer are another value's: jsonb's version byte in front, nothing behind."""
    jsonb = next(codec for codec in CODECS if codec.name == "jsonb")
    for document in (b"12", b"1.5", b"tru", b'"ab', b"[1, 2", b'{"a": 1', b"-"):
        for size in range(1, len(document) + 1):
            same(document[:size])
            expected = outcome(lambda data: json.loads(data.decode()), document[:size])
            assert outcome(lambda data: jsonb.decode_bytes(b"\1" + data, 1), document[:size]) == expected


def test_keys_that_share_a_place_in_the_table() -> None:
    """More keys than the table has places, twice each, so that each one meets another's."""
    words = [f"key{number}" for number in range(3000)]
    for _ in range(2):
        for word in words:
            assert CODEC.decode_bytes(b'{"%s": 1}' % word.encode(), 0) == {word: 1}


def test_numbers() -> None:
    source = random.Random(20)
    for _ in range(scaled(20_000)):
        value = source.random() * 10.0 ** source.randint(-20, 25) * source.choice((1, -1))
        same(repr(value).encode())
        same(f"{value:.{source.randint(0, 17)}{source.choice('fe')}}".encode())


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=8), inner, max_size=5),
    max_leaves=20,
)


@examples(1000)
@given(VALUES, st.booleans(), st.sampled_from([None, 0, 2]), st.randoms(use_true_random=False))
def test_values_and_broken_ones(value: Any, ascii_only: bool, indent: int | None, source: random.Random) -> None:
    document = json.dumps(value, ensure_ascii=ascii_only, indent=indent).encode("utf-8", "replace")
    same(document)
    same(document[: source.randrange(len(document))])
    broken = bytearray(document)
    broken[source.randrange(len(broken))] = source.randrange(256)
    same(bytes(broken))
