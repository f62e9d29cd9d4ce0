"""Caps on messages, both ways."""

from __future__ import annotations

# PostgreSQL refuses messages of 1 GiB and more (PQ_LARGE_MESSAGE_LIMIT, MaxAllocSize).
MAX_MESSAGE_BYTES = 0x3FFFFFFF
# No honest server sends more than this in one message before authentication (libpq's own limit is 30000).
MAX_PRE_AUTH_BYTES = 64 * 1024
