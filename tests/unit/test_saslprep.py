"""auth.saslprep: RFC 4013's examples, and what PostgreSQL does with a password that cannot be prepared."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.kit.properties import examples

from howdah.auth.saslprep import saslprep


@pytest.mark.parametrize(
    ("password", "prepared"),
    [
        ("I\u00adX", "IX"),  # RFC 4013, section 3, one to five
        ("user", "user"),
        ("USER", "USER"),
        ("\u00aa", "a"),
        ("\u2168", "IX"),
        ("a\u00a0b", "a b"),
        ("a\u2003b", "a b"),
        ("pass\u200bword", "password"),  # zero width space maps to nothing
        ("\ufb01", "fi"),
        ("e\u0301", "é"),
        ("пароль", "пароль"),
        ("\u0627\u0031\u0627", "\u0627\u0031\u0627"),
        ("\u05d0\u05d1", "\u05d0\u05d1"),
        ("p\u1680q", "p q"),
        ("", ""),
        (" ", " "),
        ("a, =b", "a, =b"),
    ],
)
def test_prepared(password: str, prepared: str) -> None:
    assert saslprep(password) == prepared


@pytest.mark.parametrize(
    "password",
    [
        "\u0007",  # RFC 4013, section 3: prohibited
        "\u0627\u0031",  # RFC 4013, section 3: bidirectional check
        "a\u0627",
        "\u0627a\u0627",
        "tab\there",
        "\x7f",
        "\u00ad",  # nothing would be left
        "\ue000",
        "\ufdd0",
        "\ufffd",
        "\u2ff0",
        "\u0340\u200e",
        "\U000e0001",
        "\u0221",  # not assigned in Unicode 3.2
        "\U0001f600",
    ],
)
def test_used_as_it_is(password: str) -> None:
    assert saslprep(password) == password


@examples(300)
@given(st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=126)))
def test_printable_ascii_is_unchanged(password: str) -> None:
    assert saslprep(password) == password


@examples(300)
@given(st.text())
def test_preparing_twice_is_preparing_once(password: str) -> None:
    assert saslprep(saslprep(password)) == saslprep(password)
