"""MD5 passwords (PostgreSQL manual, "Password Authentication"): md5(md5(password + user) + salt), in hexadecimal.

Weak: what is sent, and what the server keeps, is as good as the password, and PostgreSQL gives it up. For old servers.
"""

from __future__ import annotations

import hashlib

from howdah.errors import OperationalError


def md5_response(password: str, user: str, salt: bytes) -> bytes:
    """What a PasswordMessage holds, without its NUL. Raises OperationalError where the system forbids MD5."""
    try:
        inner = hashlib.md5(password.encode("utf-8") + user.encode("utf-8"), usedforsecurity=False).hexdigest()
        outer = hashlib.md5(inner.encode("ascii") + salt, usedforsecurity=False).hexdigest()
    except ValueError as exc:
        raise OperationalError(
            f"the server asks for an MD5 password, which this system cannot compute: {exc}"
        ) from None
    return b"md5" + outer.encode("ascii")
