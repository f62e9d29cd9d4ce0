"""The first operation of a session: StartupMessage, authentication, and the server's greeting up to ReadyForQuery.

The server decides what is asked for; what is answered is decided here. A password is sent only through SCRAM, whose
other half is checked: AuthenticationOk counts only when nothing was asked (trust) or when the server's proof was
verified. The slow hash is handed to the driver as ``work`` so that an event loop need not wait for it.
"""

from __future__ import annotations

from howdah.core.operation import STARTUP, Operation
from howdah.core.session import MAX_PROCESS_ID
from howdah.errors import NotSupportedError, OperationalError, ProtocolError
from howdah.wire import backend
from howdah.wire.frontend import PROTOCOL_3_0, write_password, write_sasl_initial, write_startup
from howdah.wire.limits import MAX_MESSAGE_BYTES

AUTH_OK = 0
AUTH_SASL = 10
AUTH_SASL_CONTINUE = 11
AUTH_SASL_FINAL = 12

OTHER_METHODS = {
    2: "Kerberos V5",
    3: "a cleartext password",
    5: "an MD5 password",
    6: "SCM credentials",
    7: "GSSAPI",
    9: "SSPI",
}


class Startup(Operation):
    """``work`` is set while a hash is to be computed: call it, then ``resume`` with its result.

    ``versions`` are the oldest protocol version that will do and the one to ask for.
    """

    __slots__ = ("challenged", "mechanism", "negotiated", "parameters", "password", "scram", "versions", "work")

    def __init__(
        self, parameters: dict, password: str | None, versions: tuple[int, int] = (PROTOCOL_3_0, PROTOCOL_3_0)
    ) -> None:
        super().__init__(bytes((STARTUP,)))
        self.parameters = parameters
        self.password = password
        self.versions = versions
        self.negotiated = False
        self.scram = None
        self.mechanism = None
        self.work = None
        self.challenged = False

    def begin(self, session) -> None:
        """Writes the StartupMessage and queues the operation."""
        mark = session.outbuf.pos
        session.protocol_version = self.versions[1]
        try:
            write_startup(session.outbuf, session.protocol_version, self.parameters)
        except BaseException:
            session.outbuf.rewind(mark)
            raise
        session.submit(self)

    def take(self, session, kind: int, body: bytes) -> bool:
        if kind == 82:  # 'R'
            self.on_authentication(session, *backend.read_authentication(body))
            return False
        if kind == 118:  # 'v'
            if session.authenticated or self.scram is not None or self.negotiated:
                raise ProtocolError("the server negotiates the protocol version out of place")
            self.on_negotiation(session, *backend.read_negotiate_version(body))
            return False
        if not session.authenticated:
            raise ProtocolError(f"the server sent a message of type {chr(kind)!r} before authentication was over")
        if kind == 75:  # 'K'
            session.backend_pid, session.backend_key = backend.read_backend_key(body, session.protocol_version)
            session.pooler_suspected = not 1 <= session.backend_pid <= MAX_PROCESS_ID
            return False
        # ReadyForQuery
        if body != b"I":
            raise ProtocolError("the first ReadyForQuery of the session names a transaction")
        session.transaction_status = body[0]
        return True

    def on_negotiation(self, session, version: int, options: list) -> None:
        """The server knows an older version than it was asked for; what it answers is checked as libpq 18 does."""
        oldest, asked = self.versions
        if version > asked:
            raise ProtocolError(f"the server negotiates protocol {shown_version(version)}, newer than it was asked for")
        if version < PROTOCOL_3_0:
            raise NotSupportedError(f"the server speaks protocol {shown_version(version)} only, howdah 3.0 and 3.2")
        if version == PROTOCOL_3_0 + 1:
            raise ProtocolError("the server negotiates protocol 3.1, which there is not")
        if options:
            raise ProtocolError(f"the server refuses the protocol option {options[0]!r}, which was not sent")
        if version == asked:
            raise ProtocolError("the server negotiates the protocol version but changes nothing")
        if version < oldest:
            raise NotSupportedError(
                f"the server speaks protocol {shown_version(version)} only, "
                f"and min_protocol_version={shown_version(oldest)} was asked for"
            )
        self.negotiated = True
        session.protocol_version = version

    def on_authentication(self, session, code: int, rest: bytes) -> None:
        if session.authenticated:
            raise ProtocolError("the server asks for authentication after it was over")
        if code == AUTH_OK:
            if rest:
                raise ProtocolError(f"{len(rest)} bytes are left over behind AuthenticationOk")
            if self.scram is not None and not self.scram.verified:
                raise OperationalError(
                    "the server said that authentication is over before it proved that it knows the password: "
                    "it may not be the server it claims to be"
                )
            session.authenticated = True
            self.password = None
            session.max_message_bytes = MAX_MESSAGE_BYTES
        elif code == AUTH_SASL and self.scram is None:
            from howdah.auth import MECHANISMS  # hashlib and OpenSSL behind it load when a server asks for them

            offered = backend.read_sasl_mechanisms(rest)
            chosen = next((name for name in MECHANISMS if name in offered), None)
            if chosen is None:
                raise NotSupportedError(
                    f"the server offers the SASL mechanisms {', '.join(offered) or 'none'}; howdah speaks {', '.join(MECHANISMS)}"
                )
            self.mechanism = chosen
            self.scram = MECHANISMS[chosen](self.password)
            self.password = None
            write_sasl_initial(session.outbuf, chosen, self.scram.first())
        elif code == AUTH_SASL_CONTINUE and self.scram is not None and self.work is None and not self.challenged:
            self.scram.challenge(rest)
            self.work = self.scram.work
        elif code == AUTH_SASL_FINAL and self.challenged and not self.scram.verified:
            self.scram.verify(rest)
        elif code in OTHER_METHODS:
            raise NotSupportedError(
                f"the server asks for {OTHER_METHODS[code]}, which howdah does not send; "
                "set scram-sha-256 for this user in pg_hba.conf"
            )
        else:
            raise ProtocolError(f"the server sent authentication request {code} out of place")

    def resume(self, session, salted: bytes) -> None:
        """Goes on with the result of ``work``."""
        self.work = None
        self.challenged = True
        write_password(session.outbuf, self.scram.final(salted))


def shown_version(version: int) -> str:
    """A protocol version for people: "3.2"."""
    return f"{version >> 16}.{version & 0xFFFF}"
