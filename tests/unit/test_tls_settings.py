"""TLS and socket settings, read without a server; how a mode follows from an address."""

from __future__ import annotations

import os
import pickle
import ssl
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from howdah.config.auth import LOCAL, PRIVATE, PUBLIC
from howdah.config.conninfo import target_of
from howdah.config.tls import SSLMODES, TlsSettings
from howdah.core.session import Session
from howdah.errors import InsecureConnectionWarning, OperationalError, ProgrammingError
from howdah.net.attempt import Attempt, reach_of
from howdah.net.tls import make_context, server_name

CANARY = "hunter2canary"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("HOWDAH_SSLMODE_DEFAULT", raising=False)
    return tmp_path


@pytest.mark.parametrize(
    ("values", "error"),
    [
        ({"sslmode": "on"}, "sslmode must be"),
        ({"sslmode": "Require"}, "sslmode must be"),
        ({"sslnegotiation": "x"}, "sslnegotiation must be"),
        ({"sslsni": "2"}, "sslsni must be"),
        ({"ssl_min_protocol_version": "TLSv2"}, "ssl_min_protocol_version must be"),
        ({"ssl_max_protocol_version": "1.3"}, "ssl_max_protocol_version must be"),
        ({"ssl_min_protocol_version": "TLSv1.3", "ssl_max_protocol_version": "TLSv1.2"}, "no TLS version is left"),
        ({"ssl_max_protocol_version": "TLSv1.1"}, "no TLS version is left"),
        ({"sslrootcert": "system", "sslmode": "verify-ca"}, "too weak"),
        ({"sslrootcert": "system", "sslmode": "prefer"}, "too weak"),
        ({"sslnegotiation": "direct", "sslmode": "prefer"}, "too weak"),
        ({"sslnegotiation": "direct", "sslmode": "disable"}, "too weak"),
    ],
)
def test_what_is_refused(values: dict[str, str], error: str) -> None:
    with pytest.raises(ProgrammingError, match=error):
        TlsSettings(values)


def test_defaults(home: Path) -> None:
    settings = TlsSettings({})
    assert settings.mode is None and settings.min_protocol == "TLSv1.2" and settings.max_protocol == ""
    assert (settings.root_file, settings.cert_file, settings.key_file) == ("", "", "")
    assert settings.send_name and not settings.direct and not settings.system_roots
    assert TlsSettings({"sslrootcert": "system"}).mode == "verify-full"
    assert TlsSettings({"sslnegotiation": "direct"}).mode == "require"


def test_files_of_the_user(home: Path) -> None:
    folder = home / ".postgresql"
    folder.mkdir()
    for name in ("root.crt", "postgresql.crt", "postgresql.key"):
        (folder / name).write_text("x")
    settings = TlsSettings({})
    assert settings.root_file == str(folder / "root.crt")
    assert (settings.cert_file, settings.key_file) == (str(folder / "postgresql.crt"), str(folder / "postgresql.key"))
    settings = TlsSettings({"sslrootcert": "/r", "sslcert": "/c", "sslkey": "/k"})
    assert (settings.root_file, settings.cert_file, settings.key_file) == ("/r", "/c", "/k")
    assert TlsSettings({"sslrootcert": "system"}).root_file == ""


def test_the_key_s_password_shows_nowhere() -> None:
    settings = TlsSettings({"sslpassword": CANARY})
    assert settings.key_password == CANARY and CANARY not in repr(settings)
    with pytest.raises(TypeError):
        pickle.dumps(settings)


def test_own_context() -> None:
    good = ssl.create_default_context()
    assert TlsSettings({}, good).mode == "require"
    assert TlsSettings({"sslmode": "verify-full"}, good).mode == "verify-full"
    loose = ssl.create_default_context()
    loose.check_hostname = False
    with pytest.raises(ProgrammingError, match="host name"):
        TlsSettings({"sslmode": "verify-full"}, loose)
    loose.verify_mode = ssl.CERT_NONE
    with pytest.raises(ProgrammingError, match="does not verify"):
        TlsSettings({"sslmode": "verify-ca"}, loose)
    with pytest.raises(ProgrammingError, match="disable"):
        TlsSettings({"sslmode": "disable"}, good)
    with pytest.raises(ProgrammingError, match="sslcert and ssl_context"):
        TlsSettings({"sslcert": "/c"}, good)
    wrong: Any = "context"
    with pytest.raises(ProgrammingError, match="must be an ssl.SSLContext, not str"):
        TlsSettings({}, wrong)
    target = target_of("host=h user=u", {"ssl_context": good})
    assert make_context(target.tls, "require") is good


@pytest.mark.parametrize("mode", ["require", "verify-ca", "verify-full"])
@pytest.mark.parametrize("root", [False, True])
def test_contexts(certificates: Any, mode: str, root: bool) -> None:
    settings = TlsSettings({"sslmode": mode, **({"sslrootcert": certificates.path("root.crt")} if root else {})})
    context = make_context(settings, mode)
    verifies = root or mode != "require"
    assert context.verify_mode == (ssl.CERT_REQUIRED if verifies else ssl.CERT_NONE)
    assert context.check_hostname is (mode == "verify-full")
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    if root:
        assert len(context.get_ca_certs()) == 1


def test_prefer_never_verifies(certificates: Any) -> None:
    """It would go on in clear otherwise, which protects less than TLS without a check."""
    context = make_context(TlsSettings({"sslrootcert": certificates.path("other-root.crt")}), "prefer")
    assert context.verify_mode == ssl.CERT_NONE


def test_name_for_the_handshake() -> None:
    for sni, checks, name in (("1", False, "h"), ("0", False, None), ("0", True, "h"), ("1", True, "h")):
        context = ssl.create_default_context()
        context.check_hostname = checks
        assert server_name(target_of("host=h user=u", {"sslsni": sni}), context) == name


# -- the address


@pytest.mark.parametrize(
    ("host", "peer", "reach"),
    [
        ("localhost", "127.0.0.1", LOCAL),
        ("x.example.net", "127.8.9.1", LOCAL),
        ("::1", "::1", LOCAL),
        ("h.example.net", "::ffff:127.0.0.1", LOCAL),
        ("db.example.net", "10.1.2.3", PRIVATE),
        ("192.168.0.5", "192.168.0.5", PRIVATE),
        ("db", "172.17.0.2", PRIVATE),
        ("db", "8.8.8.8", PRIVATE),
        ("h.example.net", "fe80::1%eth0", PRIVATE),
        ("h.example.net", "fd00::1", PRIVATE),
        ("h.example.net", "100.64.1.1", PRIVATE),
        ("db.example.net", "8.8.8.8", PUBLIC),
        ("8.8.8.8", "8.8.8.8", PUBLIC),
        ("2001:4860:4860::8888", "2001:4860:4860::8888", PUBLIC),
    ],
)
def test_reach(host: str, peer: str, reach: str) -> None:
    assert reach_of(host, peer) == reach


class Peer:
    """What Attempt asks of a socket."""

    def __init__(self, address: str) -> None:
        self.address = address

    def getpeername(self) -> tuple[str, int]:
        return self.address, 5432


def met(address: str, **settings: Any) -> Attempt:
    attempt = Attempt(target_of(f"host={address} user=u", settings))
    peer: Any = Peer(address)
    attempt.meet(peer)
    return attempt


def test_the_mode_that_was_not_given(monkeypatch: pytest.MonkeyPatch) -> None:
    assert met("127.0.0.1").mode == "prefer"
    assert met("10.0.0.1").mode == "prefer"
    public = met("8.8.8.8")
    assert public.mode == "require" and public.secure
    with pytest.raises(OperationalError, match="set sslmode=prefer"):
        public.accepts(b"N")
    monkeypatch.setenv("HOWDAH_SSLMODE_DEFAULT", "libpq")
    assert met("8.8.8.8").mode == "prefer"


@pytest.mark.parametrize("mode", SSLMODES)
def test_the_mode_that_was_given(mode: str) -> None:
    for address in ("127.0.0.1", "10.0.0.1", "8.8.8.8"):
        attempt = met(address, sslmode=mode)
        assert attempt.mode == mode
        assert attempt.secure is (mode not in ("disable", "allow"))
        if mode == "prefer":
            assert attempt.accepts(b"N") is False
        elif attempt.secure:
            with pytest.raises(OperationalError, match=mode):
                attempt.accepts(b"N")


def test_warning_of_a_private_network_in_clear() -> None:
    attempt = met("10.0.0.1")
    with pytest.warns(InsecureConnectionWarning, match="no TLS"):
        attempt.warn(None)
    attempt.warn(SimpleNamespace())
    met("10.0.0.1", sslmode="prefer").warn(None)
    met("127.0.0.1").warn(None)


@pytest.mark.parametrize("mode", SSLMODES)
def test_no_error_without_a_server_s_word_leads_to_another_attempt(mode: str) -> None:
    attempt = met("127.0.0.1", sslmode=mode)
    session = Session()
    for error in (OperationalError("the handshake failed"), OperationalError("closed")):
        with pytest.raises(OperationalError) as caught:
            attempt.fall_back(error, session)
        assert caught.value is error


# -- sockets


def test_socket_options() -> None:
    def options(text: str) -> dict[str, int]:
        return target_of(f"host=h user=u {text}", {}).socket_options

    assert options("") == {"SO_KEEPALIVE": 1}
    assert options("keepalives=0 keepalives_idle=5") == {}
    assert options("keepalives_idle=60 keepalives_interval=10 keepalives_count=3 tcp_user_timeout=30000") == {
        "SO_KEEPALIVE": 1,
        "TCP_KEEPIDLE": 60,
        "TCP_KEEPINTVL": 10,
        "TCP_KEEPCNT": 3,
        "TCP_USER_TIMEOUT": 30000,
    }
    assert options("keepalives_idle=0 keepalives_count=-1") == {"SO_KEEPALIVE": 1}
    for key in ("keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count", "tcp_user_timeout"):
        for value in ("x", "1.5", str(2**31)):
            with pytest.raises(ProgrammingError, match=f"{key} must be a whole number"):
                options(f"{key}={value}")


def test_an_unreadable_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/proc/1/nothing")
    target = target_of("host=h user=u", {})
    assert target.tls.root_file == "" and target.password is None
    assert os.path.expanduser("~") == "/proc/1/nothing"
