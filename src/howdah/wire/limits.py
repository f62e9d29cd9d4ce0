"""Caps on messages, both ways."""

from __future__ import annotations

# PostgreSQL refuses messages of 1 GiB and more (PQ_LARGE_MESSAGE_LIMIT, MaxAllocSize).
MAX_MESSAGE_BYTES = 0x3FFFFFFF
# No honest server sends more than this in one message before authentication (libpq's own limit is 30000).
MAX_PRE_AUTH_BYTES = 64 * 1024
# What messages may have that hold neither data nor descriptions nor a server's words: names, settings, tags, keys.
MAX_SHORT_BYTES = 64 * 1024
# ErrorResponse, NoticeResponse, RowDescription, DataRow, CopyData, ParameterDescription
LONG_MESSAGES = frozenset(b"ENTDdt")
# An error may quote a value of any size; of each of its fields this much is kept.
MAX_ERROR_FIELD_BYTES = 1024 * 1024
# Notices that nobody has taken yet: how many are kept, and of a large one how much of each field.
MAX_KEPT_NOTICES = 1000
MAX_KEPT_NOTICES_PRE_AUTH = 20
MAX_NOTICE_FIELD_BYTES = 8 * 1024
# PostgreSQL reports about fifteen settings; an extension may add its own.
MAX_KEPT_PARAMETERS = 1000
