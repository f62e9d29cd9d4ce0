"""What is known of a server, shared by the connections to the same address, database and user.

- What statements return. A fresh connection that runs a statement which another one has described asks for binary
  results at once. That is all the memory decides: rows are read by the RowDescription of their own connection, and a
  memory that proves stale is forgotten (core/execute.py, ``guess_formats``).
- SCRAM's salted passwords, so that the second connect pays no PBKDF2. The key holds an HMAC of the password under a key
  of this process: another password, even for the same user, finds nothing.
- Whether a pooler stands in front of the server, and the server's version.

Everything is bounded, the least recently used going first. Locks are held for a few dict operations.
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from howdah.config.conninfo import Target

MAX_SERVERS = 64
MAX_STATEMENTS = 1000
MAX_STATEMENT_BYTES = 1 << 20
MAX_KEYS = 8
# what an entry costs beside its texts: tuples, dict slots; a column's facts
ENTRY_BYTES = 200
COLUMN_BYTES = 100

# passwords are told apart by an HMAC under this, which leaves the process nowhere
PROCESS_KEY = os.urandom(32)


class Secret:
    """Bytes as good as a password: shown by no repr, refused by pickle and copy."""

    __slots__ = ("_value",)

    def __init__(self, value: bytes) -> None:
        self._value = value

    def __repr__(self) -> str:
        return "***"

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise TypeError("a secret cannot be pickled or copied")

    def reveal(self) -> bytes:
        return self._value


class ServerMemory:
    """What is known of one server, for one database and one user. Safe to use from several threads."""

    __slots__ = (
        "_bytes",
        "_keys",
        "_lock",
        "_results",
        "max_bytes",
        "max_statements",
        "pooler_suspected",
        "server_version",
    )

    def __init__(self, max_statements: int = MAX_STATEMENTS, max_bytes: int = MAX_STATEMENT_BYTES) -> None:
        self.max_statements = max_statements
        self.max_bytes = max_bytes
        self.pooler_suspected = False
        self.server_version: str | None = None
        self._lock = threading.Lock()
        self._results: OrderedDict[tuple[bytes, tuple[int, ...]], tuple[Any, ...]] = OrderedDict()
        self._bytes = 0
        self._keys: OrderedDict[tuple[Any, ...], Secret] = OrderedDict()

    def __repr__(self) -> str:
        return f"<ServerMemory of {len(self._results)} statements, {len(self._keys)} keys>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a server memory cannot be pickled: it holds secrets")

    @property
    def statement_bytes(self) -> int:
        """About how much memory the statements take."""
        return self._bytes

    def __len__(self) -> int:
        return len(self._results)

    # -- what statements return

    def columns_of(self, sql: bytes, oids: tuple[int, ...]) -> tuple[Any, ...] | None:
        """The columns that the statement had when it was last described, None when that is not known."""
        key = (sql, oids)
        with self._lock:
            columns = self._results.get(key)
            if columns is not None:
                self._results.move_to_end(key)
            return columns

    def remember(self, sql: bytes, oids: tuple[int, ...], columns: tuple[Any, ...]) -> None:
        """The statement was described; one that is too large to keep is not kept."""
        size = _size(sql, columns)
        key = (sql, oids)
        with self._lock:
            self._drop(key)
            if size > self.max_bytes // 8:
                return
            self._results[key] = columns
            self._bytes += size
            while len(self._results) > self.max_statements or self._bytes > self.max_bytes:
                self._drop(next(iter(self._results)))

    def forget(self, sql: bytes, oids: tuple[int, ...]) -> None:
        """What was known of the statement has proved wrong."""
        with self._lock:
            self._drop((sql, oids))

    def _drop(self, key: tuple[bytes, tuple[int, ...]]) -> None:
        columns = self._results.pop(key, None)
        if columns is not None:
            self._bytes -= _size(key[0], columns)

    # -- SCRAM

    def salted_password(self, key: tuple[Any, ...]) -> bytes | None:
        """The result of the slow hash that was kept under ``key`` (auth.scram.Scram.key), None when there is none."""
        with self._lock:
            secret = self._keys.get(key)
            if secret is None:
                return None
            self._keys.move_to_end(key)
            return secret.reveal()

    def keep_salted_password(self, key: tuple[Any, ...], salted: bytes) -> None:
        """Only after the server has proved that it knows the password and has let the user in."""
        with self._lock:
            self._keys[key] = Secret(salted)
            self._keys.move_to_end(key)
            while len(self._keys) > MAX_KEYS:
                self._keys.popitem(last=False)

    def forget_salted_password(self, key: tuple[Any, ...]) -> None:
        with self._lock:
            self._keys.pop(key, None)

    # -- the greeting

    def greeted(self, server_version: str | None, pooler_suspected: bool) -> None:
        """A connection was made. Another version is another server: what its statements return is asked anew."""
        with self._lock:
            if pooler_suspected:
                self.pooler_suspected = True
            if server_version != self.server_version:
                if self.server_version is not None:
                    self._results.clear()
                    self._bytes = 0
                self.server_version = server_version


class Memories:
    """Server memories by address, database and user. Safe to use from several threads."""

    def __init__(self, max_servers: int = MAX_SERVERS) -> None:
        self.max_servers = max_servers
        self._lock = threading.Lock()
        self._memories: OrderedDict[tuple[Any, ...], ServerMemory] = OrderedDict()

    def __len__(self) -> int:
        return len(self._memories)

    def of(self, target: Target) -> ServerMemory:
        """The memory that connections to ``target`` share, made when it is new."""
        key = (target.host, target.hostaddr, target.port, target.dbname, target.user)
        with self._lock:
            memory = self._memories.get(key)
            if memory is None:
                memory = self._memories[key] = ServerMemory()
                while len(self._memories) > self.max_servers:
                    self._memories.popitem(last=False)
            self._memories.move_to_end(key)
            return memory

    def clear(self) -> None:
        """Forgets all servers; open connections keep what they have."""
        with self._lock:
            self._memories.clear()


# the one of the process
MEMORIES = Memories()


def _size(sql: bytes, columns: tuple[Any, ...]) -> int:
    return ENTRY_BYTES + len(sql) + sum(COLUMN_BYTES + len(column[0]) for column in columns)
