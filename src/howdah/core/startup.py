"""The first operation of a session: StartupMessage, authentication, and the server's greeting up to ReadyForQuery.

The server decides what is asked for; what is answered is decided by the policy (config.auth). SCRAM's other half is always
checked: once begun, AuthenticationOk counts only when the server's proof was verified. The slow hash is handed to the
driver as ``work`` so that an event loop need not wait for it.
"""

from __future__ import annotations

from howdah.config.auth import AuthPolicy
from howdah.core.operation import STARTUP, Operation
from howdah.core.server_memory import PROCESS_KEY
from howdah.core.session import MAX_PROCESS_ID
from howdah.errors import Error, NotSupportedError, OperationalError, ProtocolError
from howdah.wire import backend
from howdah.wire.frontend import PROTOCOL_3_0, cstring, write_password, write_sasl_initial, write_startup
from howdah.wire.limits import MAX_MESSAGE_BYTES

AUTH_OK = 0
AUTH_CLEARTEXT = 3
AUTH_MD5 = 5
AUTH_SASL = 10
AUTH_SASL_CONTINUE = 11
AUTH_SASL_FINAL = 12

SALT_BYTES = 4

OTHER_METHODS = {
    2: "Kerberos V5",
    6: "SCM credentials",
    7: "GSSAPI",
    9: "SSPI",
}


class Startup(Operation):
    """``work`` is set while a hash is to be computed: call it, then ``resume`` with its result.

    ``policy`` says which methods may be used; ``versions`` are the oldest protocol version that will do and the one to ask for.
    """

    __slots__ = (
        "challenged",
        "key",
        "mechanism",
        "memory",
        "method",
        "negotiated",
        "parameters",
        "password",
        "policy",
        "salted",
        "scram",
        "versions",
        "work",
    )

    def __init__(
        self,
        parameters: dict,
        password: str | None,
        policy: AuthPolicy | None = None,
        versions: tuple[int, int] = (PROTOCOL_3_0, PROTOCOL_3_0),
    ) -> None:
        super().__init__(bytes((STARTUP,)))
        self.parameters = parameters
        self.password = password
        self.policy = policy or AuthPolicy()
        self.versions = versions
        self.negotiated = False
        # what the server asked for, "" while it has asked for nothing
        self.method = ""
        self.scram = None
        self.mechanism = None
        self.work = None
        self.challenged = False
        # what is known of the server, and what SCRAM's slow hash is kept there under
        self.memory = None
        self.key = None
        self.salted = b""

    def begin(self, session) -> None:
        """Writes the StartupMessage and queues the operation."""
        self.memory = session.memory
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
        if self.memory is not None:
            self.memory.greeted(session.parameters.get("server_version"), session.pooler_suspected)
            session.pooler_suspected = self.memory.pooler_suspected
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
            self.policy.finish(self.method or "none", self.mechanism)
            if self.key is not None:
                self.memory.keep_salted_password(self.key, self.salted)
                self.key = None
                self.salted = b""
            session.authenticated = True
            self.password = None
            session.max_message_bytes = MAX_MESSAGE_BYTES
        elif code == AUTH_SASL and not self.method:
            from howdah.auth import MECHANISMS  # hashlib and OpenSSL behind it load when a server asks for them

            self.method = "scram-sha-256"
            self.mechanism, header, binding = self.policy.choose_sasl(backend.read_sasl_mechanisms(rest))
            self.scram = MECHANISMS[self.mechanism](self.password, header, binding)
            self.password = None
            write_sasl_initial(session.outbuf, self.mechanism, self.scram.first())
        elif code in (AUTH_CLEARTEXT, AUTH_MD5) and not self.method:
            self.send_secret(session, "password" if code == AUTH_CLEARTEXT else "md5", rest)
        elif code == AUTH_SASL_CONTINUE and self.scram is not None and self.work is None and not self.challenged:
            self.scram.challenge(rest)
            salted = None
            if self.memory is not None:
                self.key = self.scram.key(PROCESS_KEY)
                salted = self.memory.salted_password(self.key)
            if salted is None:
                self.work = self.scram.work
            else:
                self.resume(session, salted)
        elif code == AUTH_SASL_FINAL and self.challenged and not self.scram.verified:
            try:
                self.scram.verify(rest)
            except Error:
                self.forget_key()
                raise
        elif code in OTHER_METHODS:
            raise NotSupportedError(
                f"the server asks for {OTHER_METHODS[code]}, which howdah does not send; "
                "set scram-sha-256 for this user in pg_hba.conf"
            )
        else:
            raise ProtocolError(f"the server sent authentication request {code} out of place")

    def send_secret(self, session, method: str, rest: bytes) -> None:
        """Answers a request for a cleartext or an MD5 password, if the policy lets it."""
        if len(rest) != (SALT_BYTES if method == "md5" else 0):
            raise ProtocolError(f"an authentication request with {len(rest)} bytes behind its code")
        self.method = method
        self.policy.permit_secret(method)
        if not self.password:
            raise OperationalError("the server asks for a password but none was given")
        if method == "md5":
            from howdah.auth.md5 import md5_response

            answer = md5_response(self.password, self.parameters["user"], rest)
        else:
            answer = cstring(self.password, "the password")
        self.password = None
        write_password(session.outbuf, answer + b"\0")

    def resume(self, session, salted: bytes) -> None:
        """Goes on with the result of ``work``."""
        self.work = None
        self.challenged = True
        self.salted = salted
        write_password(session.outbuf, self.scram.final(salted))

    def fail(self, error: object) -> None:
        self.forget_key()
        super().fail(error)

    def forget_key(self) -> None:
        """The login failed: what was kept for it is not used again."""
        if self.key is not None:
            self.memory.forget_salted_password(self.key)
            self.key = None
            self.salted = b""


def shown_version(version: int) -> str:
    """A protocol version for people: "3.2"."""
    return f"{version >> 16}.{version & 0xFFFF}"
