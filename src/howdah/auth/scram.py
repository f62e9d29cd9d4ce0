"""SCRAM-SHA-256 (RFC 5802, RFC 7677; PostgreSQL manual, "SASL Authentication"), the client's side.

    client-first    n,,n=,r=<nonce>
    server-first    r=<nonce + theirs>,s=<salt>,i=<iterations>
    client-final    c=biws,r=<nonce + theirs>,p=<proof>
    server-final    v=<signature>

SCRAM-SHA-256-PLUS has ``p=tls-server-end-point,,`` in place of ``n,,`` and, in ``c=``, the hash of the server's certificate
behind it: an exchange passed on from another TLS session does not fit. ``y,,`` says that the client could have done so.

The exchange is over only when the server's signature was verified: a server that says AuthenticationOk before it has
proved that it knows the password is refused. The password is never kept here longer than the hash takes.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from base64 import b64decode, b64encode
from binascii import Error as Base64Error

from howdah.auth.saslprep import saslprep
from howdah.errors import OperationalError, ProtocolError

# reliability rule R16: refused before any hashing; a million rounds take about a third of a second
MAX_ITERATIONS = 1_000_000
MAX_NONCE_BYTES = 1024
# the nonce's characters by RFC 5802: printable ASCII but the comma
PRINTABLE = frozenset(range(0x21, 0x7F)) - {0x2C}


class Scram:
    """One exchange. Call ``first``, then ``challenge``, ``final`` with ``work()``'s result, then ``verify``.

    ``header`` is the GS2 header (RFC 5802, section 7), ``binding`` the data that a ``p=`` in it announces.
    """

    def __init__(self, password: str | None, header: bytes = b"n,,", binding: bytes = b"") -> None:
        if not password:
            raise OperationalError("the server asks for a password (SCRAM-SHA-256) but none was given")
        self._password = saslprep(password).encode("utf-8")
        self.nonce = b64encode(os.urandom(18))
        self.verified = False
        self._header = header
        self._binding = b64encode(header + binding)
        self._first_bare = b"n=,r=" + self.nonce
        self._server_first = b""
        self._server_nonce = b""
        self._server_signature = b""
        self._salt = b""
        self._iterations = 0

    def first(self) -> bytes:
        """client-first-message."""
        return self._header + self._first_bare

    def challenge(self, message: bytes) -> None:
        """Reads server-first-message. Raises ProtocolError when it is none, or goes beyond the caps."""
        fields = _fields(message, b"rsi", "server-first-message")
        nonce = fields[b"r"]
        if not nonce.startswith(self.nonce) or len(nonce) == len(self.nonce):
            raise ProtocolError("SCRAM: the server's nonce does not extend ours")
        if len(nonce) > MAX_NONCE_BYTES or not PRINTABLE.issuperset(nonce):
            raise ProtocolError("SCRAM: the server's nonce is none")
        try:
            self._salt = b64decode(fields[b"s"], validate=True)
        except (Base64Error, ValueError):
            raise ProtocolError("SCRAM: the server's salt is not base64") from None
        if not self._salt:
            raise ProtocolError("SCRAM: the server's salt is empty")
        count = fields[b"i"]
        if not count.isdigit() or len(count) > 10 or int(count) < 1:
            raise ProtocolError("SCRAM: the server's iteration count is none")
        self._iterations = int(count)
        if self._iterations > MAX_ITERATIONS:
            raise ProtocolError(
                f"SCRAM: the server asks for {self._iterations} iterations, more than the {MAX_ITERATIONS} howdah computes"
            )
        self._server_first = message
        self._server_nonce = nonce

    def work(self) -> bytes:
        """The slow part, SaltedPassword: it releases the GIL and may run in a thread."""
        return hashlib.pbkdf2_hmac("sha256", self._password, self._salt, self._iterations)

    def key(self, process_key: bytes) -> tuple[bytes, int, bytes]:
        """All that ``work``'s result depends on, the password as its HMAC under ``process_key``."""
        return (self._salt, self._iterations, _hmac(process_key, self._password))

    def final(self, salted: bytes) -> bytes:
        """client-final-message from ``work``'s result."""
        self._password = b""
        without_proof = b"c=" + self._binding + b",r=" + self._server_nonce
        auth_message = b",".join((self._first_bare, self._server_first, without_proof))
        client_key = _hmac(salted, b"Client Key")
        signature = _hmac(hashlib.sha256(client_key).digest(), auth_message)
        proof = bytes(a ^ b for a, b in zip(client_key, signature))
        self._server_signature = _hmac(_hmac(salted, b"Server Key"), auth_message)
        return without_proof + b",p=" + b64encode(proof)

    def verify(self, message: bytes) -> None:
        """Reads server-final-message. Raises OperationalError unless the server proves that it knows the password."""
        if message.startswith(b"e="):
            reason = message[2:66].decode("ascii", "replace")
            raise OperationalError(f"SCRAM: the server refused the exchange: {reason!r}")
        fields = _fields(message, b"v", "server-final-message")
        try:
            signature = b64decode(fields[b"v"], validate=True)
        except (Base64Error, ValueError):
            raise ProtocolError("SCRAM: the server's signature is not base64") from None
        if not self._server_signature or not hmac.compare_digest(signature, self._server_signature):
            raise OperationalError(
                "SCRAM: the server's signature is wrong: it does not know the password, so it is not the server it claims to be"
            )
        self.verified = True


def _hmac(key: bytes, message: bytes) -> bytes:
    return hmac.digest(key, message, "sha256")


def _fields(message: bytes, wanted: bytes, what: str) -> dict[bytes, bytes]:
    """The attributes of a SCRAM message, which must be ``wanted`` in that order (extensions may follow)."""
    if len(message) > 4096:
        raise ProtocolError(f"SCRAM: a {what} of {len(message)} bytes")
    parts = message.split(b",")
    if len(parts) < len(wanted):
        raise ProtocolError(f"SCRAM: the {what} is cut short")
    fields = {}
    for index, part in enumerate(parts):
        if len(part) < 2 or part[1:2] != b"=":
            raise ProtocolError(f"SCRAM: the {what} has an attribute without a value")
        name = part[:1]
        if index < len(wanted):
            if name != wanted[index : index + 1]:
                raise ProtocolError(f"SCRAM: the {what} has {name!r} where {wanted[index : index + 1]!r} belongs")
            fields[name] = part[2:]
        elif name == b"m":
            raise ProtocolError("SCRAM: the server demands an extension that howdah does not know")
    return fields
