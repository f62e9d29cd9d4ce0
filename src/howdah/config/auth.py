"""What the client agrees to in authentication: the server asks, and this decides what it gets.

``require_auth`` names the methods that may be used (libpq's list: ``scram-sha-256,md5``, or ``!password`` to exclude).
``channel_binding`` says whether SCRAM is tied to the TLS session, so that nobody in the middle can pass it on.

Without ``require_auth`` a secret that could be read or replayed on its way is kept back from networks that strangers
share: a cleartext password goes out under TLS, over a Unix socket, and to loopback; also to a private network, with a
warning; an MD5 password the same. Naming the method in ``require_auth`` lifts that.
"""

from __future__ import annotations

from collections.abc import Callable

from howdah.errors import NotSupportedError, OperationalError, ProgrammingError, ProtocolError

SCRAM = "SCRAM-SHA-256"
SCRAM_PLUS = "SCRAM-SHA-256-PLUS"
METHODS = ("none", "password", "md5", "gss", "sspi", "scram-sha-256", "oauth")
BINDINGS = ("disable", "prefer", "require")

# who may listen between us and the server
LOCAL = "local"  # a Unix socket or loopback
PRIVATE = "private"
PUBLIC = "public"

WORDS = {"password": "a cleartext password", "md5": "an MD5 password"}


class AuthSettings:
    """``require_auth`` and ``channel_binding``, read. ``allowed`` is None where any method is."""

    __slots__ = ("allowed", "channel_binding", "named")

    def __init__(self, require_auth: str | None = None, channel_binding: str | None = None) -> None:
        if channel_binding and channel_binding not in BINDINGS:
            raise ProgrammingError(f"channel_binding must be one of {', '.join(BINDINGS)}")
        self.channel_binding = channel_binding or "prefer"
        self.allowed, self.named = read_require_auth(require_auth or "")


def read_require_auth(text: str) -> tuple[frozenset[str] | None, frozenset[str]]:
    """(methods that may be used, None for any; those that were named as wanted). Raises ProgrammingError."""
    if not text:
        return None, frozenset()
    words = [word.strip() for word in text.split(",")]
    negated = {word.startswith("!") for word in words}
    methods = [word[1:] if word.startswith("!") else word for word in words]
    for method in methods:
        if method not in METHODS:
            raise ProgrammingError(
                f"require_auth takes the methods {', '.join(METHODS)}, each with a ! in front or none"
            )
        if methods.count(method) > 1:
            raise ProgrammingError(f"require_auth names the method {method} twice")
    if len(negated) > 1:
        raise ProgrammingError("require_auth cannot mix methods with and without a !")
    if True in negated:
        return frozenset(METHODS) - frozenset(methods), frozenset()
    return frozenset(methods), frozenset(methods)


class AuthPolicy:
    """The settings applied to one session: ``tls``, and who may listen (``reach``), are known now.

    ``end_point`` gives the binding data of the server's certificate, None when there is none. ``insecure`` names the
    secret that was sent where others might read it.
    """

    __slots__ = ("end_point", "insecure", "reach", "settings", "tls")

    def __init__(
        self,
        settings: AuthSettings | None = None,
        *,
        tls: bool = False,
        reach: str = LOCAL,
        end_point: Callable[[], bytes | None] | None = None,
    ) -> None:
        self.settings = settings or AuthSettings()
        self.tls = tls
        self.reach = reach
        self.end_point = end_point
        self.insecure = ""

    def permit(self, method: str) -> None:
        """Raises OperationalError unless ``method`` may be used."""
        allowed = self.settings.allowed
        if allowed is not None and method not in allowed:
            asked = (
                f"the server asks for {WORDS.get(method, method)}"
                if method != "none"
                else "the server asks for nothing"
            )
            raise OperationalError(f"require_auth does not allow this: {asked}")
        if self.settings.channel_binding == "require" and method != "scram-sha-256":
            raise OperationalError("channel_binding=require, but the server does not ask for SCRAM, which alone has it")

    def permit_secret(self, method: str) -> None:
        """Raises OperationalError unless a cleartext or MD5 password may be sent here."""
        self.permit(method)
        if self.tls or self.reach == LOCAL or method in self.settings.named:
            return
        if self.reach == PUBLIC:
            raise OperationalError(
                f"the server asks for {WORDS[method]} over a connection without TLS: it was not sent. Set "
                f"sslmode=verify-full (or require), or require_auth={method} to send it all the same"
            )
        self.insecure = WORDS[method]

    def choose_sasl(self, offered: list[str]) -> tuple[str, bytes, bytes]:
        """(mechanism, GS2 header, binding data) for what the server offers. Raises when there is none that may be used."""
        self.permit("scram-sha-256")
        wanted = self.settings.channel_binding
        if SCRAM_PLUS in offered and not self.tls:
            raise ProtocolError("the server offers SCRAM-SHA-256-PLUS over a connection that has no TLS")
        if SCRAM_PLUS in offered and wanted != "disable":
            data = self.end_point() if self.end_point is not None else None
            if data is None:
                raise OperationalError(
                    "the server's certificate is signed by an algorithm that has no hash for channel binding (Ed25519 "
                    "is one): set channel_binding=disable, and sslmode=verify-full, or give it another certificate"
                )
            return SCRAM_PLUS, b"p=tls-server-end-point,,", data
        if wanted == "require":
            raise OperationalError("channel_binding=require, but " + self.why_unbound())
        if SCRAM not in offered:
            raise NotSupportedError(
                f"the server offers the SASL mechanisms {', '.join(offered) or 'none'}; howdah speaks {SCRAM_PLUS}, {SCRAM}"
            )
        # y: we could bind, but were told that the server cannot; a server that can sees that the list was tampered with
        return SCRAM, b"y,," if self.tls and wanted != "disable" else b"n,,", b""

    def why_unbound(self) -> str:
        return "the server does not offer SCRAM-SHA-256-PLUS" if self.tls else "the connection has no TLS to bind to"

    def finish(self, method: str, mechanism: str | None) -> None:
        """The server says that authentication is over: was it what the settings demand? Raises OperationalError."""
        if self.settings.channel_binding == "require" and mechanism != SCRAM_PLUS:
            raise OperationalError("channel_binding=require, but the server ended authentication without it")
        if method == "none":
            self.permit("none")
