"""The TLS settings of a connection, read and checked before anything is sent; the module ``ssl`` is not needed for it.

The names and their meaning are libpq's (PostgreSQL manual, "SSL Support" and "Parameter Key Words"). Three things are
stricter. Where ``sslmode`` is not given, a server at a public address must speak TLS (``HOWDAH_SSLMODE_DEFAULT=libpq``
makes it ``prefer`` everywhere). A handshake that failed is never followed by an attempt in clear. And ``verify-ca`` and
``verify-full`` without a root file use the system's store, where libpq fails.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from howdah.errors import ProgrammingError

if TYPE_CHECKING:
    import ssl

DISABLE = "disable"
ALLOW = "allow"
PREFER = "prefer"
REQUIRE = "require"
VERIFY_CA = "verify-ca"
VERIFY_FULL = "verify-full"
SSLMODES = (DISABLE, ALLOW, PREFER, REQUIRE, VERIFY_CA, VERIFY_FULL)
# these never speak in clear
ENCRYPTED = frozenset((REQUIRE, VERIFY_CA, VERIFY_FULL))

SYSTEM_ROOTS = "system"
PROTOCOLS = ("TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3")
DEFAULT_MIN_PROTOCOL = "TLSv1.2"
# settings that say what an SSLContext says already
CONTEXT_SETTINGS = (
    "sslrootcert",
    "sslcert",
    "sslkey",
    "sslpassword",
    "ssl_min_protocol_version",
    "ssl_max_protocol_version",
)


class TlsSettings:
    """What the settings say of TLS. ``mode`` is None where nothing does: it then follows from the server's address.

    Files that stand at their default place are named only if they exist; those the user named are given as they are.
    """

    __slots__ = (
        "_key_password",
        "cert_file",
        "context",
        "direct",
        "key_file",
        "max_protocol",
        "min_protocol",
        "mode",
        "root_file",
        "send_name",
        "system_roots",
    )

    def __init__(self, values: dict[str, str], context: ssl.SSLContext | None = None) -> None:
        self.context = context
        self.mode = _one_of("sslmode", values.get("sslmode"), SSLMODES)
        self.direct = _one_of("sslnegotiation", values.get("sslnegotiation"), ("postgres", "direct")) == "direct"
        self.send_name = (values.get("sslsni") or "1") != "0"
        if values.get("sslsni") not in (None, "", "0", "1"):
            raise ProgrammingError("sslsni must be 0 or 1")
        self.min_protocol = _protocol("ssl_min_protocol_version", values) or DEFAULT_MIN_PROTOCOL
        self.max_protocol = _protocol("ssl_max_protocol_version", values)
        if self.max_protocol and PROTOCOLS.index(self.max_protocol) < PROTOCOLS.index(self.min_protocol):
            raise ProgrammingError(
                f"no TLS version is left: at least {self.min_protocol} and at most {self.max_protocol} were asked for"
            )
        self._key_password = values.get("sslpassword") or ""
        root = values.get("sslrootcert") or ""
        self.system_roots = root == SYSTEM_ROOTS
        self.root_file = "" if self.system_roots else root or default_file("root.crt")
        self.cert_file = values.get("sslcert") or default_file("postgresql.crt")
        self.key_file = values.get("sslkey") or (default_file("postgresql.key") if self.cert_file else "")
        if self.system_roots:
            self._demand("sslrootcert=system", VERIFY_FULL, (VERIFY_FULL,))
        if self.direct:
            self._demand("sslnegotiation=direct", REQUIRE, ENCRYPTED)
        if context is not None:
            self._check_context(context, values)

    def __reduce__(self) -> str:
        raise TypeError("TLS settings cannot be pickled: they hold a key's password")

    def __repr__(self) -> str:
        return f"<TlsSettings sslmode={self.mode}>"

    @property
    def key_password(self) -> str:
        return self._key_password

    def _demand(self, setting: str, default: str, allowed: Any) -> None:
        """A setting that is worthless, or worse, under a weaker mode."""
        if self.mode is None:
            self.mode = default
        elif self.mode not in allowed:
            raise ProgrammingError(f"sslmode={self.mode} is too weak for {setting}: use {default} or leave it out")

    def _check_context(self, context: Any, values: dict[str, str]) -> None:
        import ssl

        if not isinstance(context, ssl.SSLContext):
            raise ProgrammingError(f"ssl_context must be an ssl.SSLContext, not {type(context).__name__}")
        if self.mode is None:
            self.mode = REQUIRE
        if self.mode == DISABLE:
            raise ProgrammingError("ssl_context was given together with sslmode=disable")
        for key in CONTEXT_SETTINGS:
            if values.get(key):
                raise ProgrammingError(f"{key} and ssl_context were both given: set it on the context instead")
        if self.mode in (VERIFY_CA, VERIFY_FULL) and context.verify_mode != ssl.CERT_REQUIRED:
            raise ProgrammingError(f"sslmode={self.mode}, but the ssl_context does not verify certificates")
        if self.mode == VERIFY_FULL and not context.check_hostname:
            raise ProgrammingError("sslmode=verify-full, but the ssl_context does not check the host name")

    def mode_for(self, public: bool) -> str:
        """The mode to use with a server at a public, or another, address."""
        if self.mode is not None:
            return self.mode
        if public and os.environ.get("HOWDAH_SSLMODE_DEFAULT") != "libpq":
            return REQUIRE
        return PREFER


def default_file(name: str) -> str:
    """The path of a file in ~/.postgresql, empty when it is not there or may not be read (a home of somebody else)."""
    path = os.path.join(os.path.expanduser("~"), ".postgresql", name)
    return path if os.access(path, os.R_OK) else ""


def _one_of(key: str, value: str | None, allowed: tuple[str, ...]) -> str | None:
    if not value:
        return None
    if value not in allowed:
        raise ProgrammingError(f"{key} must be one of {', '.join(allowed)}")
    return value


def _protocol(key: str, values: dict[str, str]) -> str:
    """A TLS version under its one name; libpq takes them in any case."""
    value = values.get(key)
    if not value:
        return ""
    for name in PROTOCOLS:
        if value.lower() == name.lower():
            return name
    raise ProgrammingError(f"{key} must be one of {', '.join(PROTOCOLS)}")
