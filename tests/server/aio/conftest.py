# The sync twin of this file is generated from it by tools/unasync.py.
"""The fixtures of these tests: the servers that types are held to."""

from __future__ import annotations

import pytest


@pytest.fixture(params=["18", "17"])
def each_dsn(request: pytest.FixtureRequest) -> str:
    """The URI of a PostgreSQL 18, then of a PostgreSQL 17."""
    return str(request.getfixturevalue("pg" + request.param).dsn)
