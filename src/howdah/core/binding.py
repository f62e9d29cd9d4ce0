"""Values written into a statement's text: for ``mogrify`` and for statements that take no parameters on the server.

The statements are a closed list by their first keyword (core.query.CLIENT_BOUND). They take str, int, bool, None and objects
of ``sql``, since that is what PostgreSQL's grammar has there. The placeholder behind PASSWORD in CREATE or ALTER ROLE
becomes a SCRAM verifier made here (RFC 5803's values in PostgreSQL's form): neither the server's log nor anybody else sees
the password.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from base64 import b64encode

from howdah.auth.saslprep import saslprep
from howdah.core.literal import literal, quoted
from howdah.core.query import Query, first_words, read_query, write_values
from howdah.errors import ProgrammingError

ITERATIONS = 4096
SALT_BYTES = 16


def bind_on_client(session, query: Query, values: list) -> Query:
    """The Query of a utility statement with its values in the text. Raises ProgrammingError for other kinds of values."""
    text = query.sql.decode("utf-8")
    words = first_words(text, session.backslashes)
    if query.kind == "DO" or "FUNCTION" in words or "PROCEDURE" in words:
        raise ProgrammingError(
            f"{query.kind} takes no parameters in a program's text: pass them to the statements that use it"
        )
    has_password = sets_role(words)

    def written(number: int, word: str) -> str:
        value = values[number - 1]
        if has_password and word == "PASSWORD":
            return password_literal(value)
        return utility_literal(value, number)

    return read_query(write_values(text, session.backslashes, written), False, session.backslashes)


def sets_role(words: list) -> bool:
    """Whether a statement that begins with these words may give a role its password."""
    return (
        words[:1] in (["CREATE"], ["ALTER"])
        and words[1:2] in (["ROLE"], ["USER"], ["GROUP"])
        and "MAPPING" not in words
    )


def password_literal(value: object) -> str:
    """The value behind PASSWORD. Only a text or None: what is text already could not be made a verifier."""
    if value is None:
        return "NULL"
    if not isinstance(value, str):
        raise ProgrammingError(f"a role's password is a str or None, not {type(value).__name__}")
    return quoted(password_verifier(str.__str__(value)))


def utility_literal(value: object, number: int) -> str:
    """A value as a utility statement takes it."""
    compose = getattr(value, "_query_text", None)
    if compose is not None:
        text: str = compose(False)
        return text
    if value is not None and not isinstance(value, (str, int)):
        raise ProgrammingError(
            f"parameter {number}: a statement of this kind takes str, int, bool, None and objects of howdah.sql, "
            f"not {type(value).__name__}"
        )
    return literal(value)


def password_verifier(password: str) -> str:
    """What PostgreSQL stores of a password (pg_authid.rolpassword); one that is a verifier already stays as it is."""
    if password.startswith("SCRAM-SHA-256$") or not password:
        return password
    salt = os.urandom(SALT_BYTES)
    salted = hashlib.pbkdf2_hmac("sha256", saslprep(password).encode("utf-8"), salt, ITERATIONS)
    client_key = hmac.digest(salted, b"Client Key", "sha256")
    stored = b64encode(hashlib.sha256(client_key).digest()).decode()
    server = b64encode(hmac.digest(salted, b"Server Key", "sha256")).decode()
    return f"SCRAM-SHA-256${ITERATIONS}:{b64encode(salt).decode()}${stored}:{server}"


def mogrify(session, query: object, params: object) -> str:
    """The text of a query with its parameters written into it."""
    read = read_query(query, params is not None, session.backslashes)
    if params is None:
        params = read.bound
    text = read.sql.decode("utf-8")
    if params is None:
        return text
    values = read.values(params)
    has_password = sets_role(first_words(text, session.backslashes))

    def written(number: int, word: str) -> str:
        value = values[number - 1]
        if has_password and word == "PASSWORD":
            return password_literal(value)
        compose = getattr(value, "_query_text", None)
        return literal(value, session.registry) if compose is None else str(compose(False))

    return write_values(text, session.backslashes, written)
