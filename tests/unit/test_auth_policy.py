"""What the client agrees to in authentication, MD5's answer, and the hash that a session is bound to."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from hypothesis import given
from hypothesis import strategies as st
from tests.kit.certificates import HOST, Authority, der

from howdah.auth.binding import server_end_point, signature_hash
from howdah.auth.md5 import md5_response
from howdah.config.auth import (
    LOCAL,
    METHODS,
    PRIVATE,
    PUBLIC,
    SCRAM,
    SCRAM_PLUS,
    AuthPolicy,
    AuthSettings,
    read_require_auth,
)
from howdah.errors import NotSupportedError, OperationalError, ProgrammingError, ProtocolError

BOTH = [SCRAM_PLUS, SCRAM]


@pytest.mark.parametrize(
    ("text", "allowed"),
    [
        ("", None),
        ("scram-sha-256", {"scram-sha-256"}),
        ("password, md5", {"password", "md5"}),
        ("none", {"none"}),
        ("!password", set(METHODS) - {"password"}),
        ("!password,!md5", set(METHODS) - {"password", "md5"}),
        ("!none", set(METHODS) - {"none"}),
    ],
)
def test_require_auth(text: str, allowed: set[str] | None) -> None:
    assert read_require_auth(text)[0] == allowed


@pytest.mark.parametrize("text", ["x", "md5,md5", "md5,!md5", "!md5,password", ",", "md5,", "!", "scram"])
def test_require_auth_that_cannot_be_read(text: str) -> None:
    with pytest.raises(ProgrammingError, match="require_auth"):
        read_require_auth(text)
    with pytest.raises(ProgrammingError, match="channel_binding must be"):
        AuthSettings(channel_binding="on")


@pytest.mark.parametrize("method", ["password", "md5"])
def test_where_a_secret_is_sent(method: str) -> None:
    for policy in (AuthPolicy(tls=True, reach=PUBLIC), AuthPolicy(reach=LOCAL)):
        policy.permit_secret(method)
        assert policy.insecure == ""
    private = AuthPolicy(reach=PRIVATE)
    private.permit_secret(method)
    assert private.insecure
    for settings in (AuthSettings(), AuthSettings("!none")):
        with pytest.raises(OperationalError, match="sslmode=verify-full"):
            AuthPolicy(settings, reach=PUBLIC).permit_secret(method)
    AuthPolicy(AuthSettings(method), reach=PUBLIC).permit_secret(method)


def bound(settings: AuthSettings | None = None) -> AuthPolicy:
    return AuthPolicy(settings, tls=True, end_point=lambda: b"hash")


def test_choice_of_a_mechanism() -> None:
    plus = (SCRAM_PLUS, b"p=tls-server-end-point,,", b"hash")
    assert bound().choose_sasl(BOTH) == plus
    assert bound().choose_sasl([SCRAM, SCRAM_PLUS]) == plus
    assert bound().choose_sasl([SCRAM]) == (SCRAM, b"y,,", b"")
    assert bound(AuthSettings(channel_binding="disable")).choose_sasl(BOTH) == (SCRAM, b"n,,", b"")
    assert AuthPolicy().choose_sasl([SCRAM]) == (SCRAM, b"n,,", b"")
    assert bound(AuthSettings(channel_binding="require")).choose_sasl(BOTH) == plus
    with pytest.raises(OperationalError, match="does not offer"):
        bound(AuthSettings(channel_binding="require")).choose_sasl([SCRAM])
    with pytest.raises(OperationalError, match="no TLS"):
        AuthPolicy(AuthSettings(channel_binding="require")).choose_sasl([SCRAM])
    with pytest.raises(ProtocolError, match="no TLS"):
        AuthPolicy().choose_sasl(BOTH)
    for offered in ([], ["OAUTHBEARER"]):
        with pytest.raises(NotSupportedError):
            bound().choose_sasl(offered)


@pytest.mark.parametrize("wanted", ["prefer", "require"])
def test_a_certificate_without_a_hash_is_no_way_round_the_binding(wanted: str) -> None:
    policy = AuthPolicy(AuthSettings(channel_binding=wanted), tls=True, end_point=lambda: None)
    with pytest.raises(OperationalError, match="channel_binding=disable"):
        policy.choose_sasl(BOTH)


def test_the_end_of_authentication() -> None:
    demanding = AuthPolicy(AuthSettings(channel_binding="require"), tls=True)
    demanding.finish("scram-sha-256", SCRAM_PLUS)
    for method, mechanism in (("none", None), ("password", None), ("scram-sha-256", SCRAM)):
        with pytest.raises(OperationalError, match="channel_binding=require"):
            demanding.finish(method, mechanism)
    with pytest.raises(OperationalError, match="require_auth"):
        AuthPolicy(AuthSettings("scram-sha-256")).finish("none", None)
    AuthPolicy(AuthSettings("none,md5")).finish("none", None)
    AuthPolicy().finish("none", None)


def test_md5() -> None:
    # by md5sum: of "sesamealice", then of that in hexadecimal with the salt behind it
    assert md5_response("sesame", "alice", b"\x01\xfe\x7f\x80") == b"md5446361dfa2e2632d5b3a24e999bf58b0"


# -- tls-server-end-point


AUTHORITY = Authority("an authority")
RSA_KEY = rsa.generate_private_key(65537, 2048)


@pytest.mark.parametrize(
    ("key", "how", "expected"),
    [
        (RSA_KEY, {"hash": hashes.SHA224}, "sha224"),
        (RSA_KEY, {"hash": hashes.SHA256}, "sha256"),
        (RSA_KEY, {"hash": hashes.SHA384}, "sha384"),
        (RSA_KEY, {"hash": hashes.SHA512}, "sha512"),
        (RSA_KEY, {"hash": hashes.SHA3_256}, "sha3_256"),
        (RSA_KEY, {"hash": hashes.SHA256, "pss": True}, "sha256"),
        (RSA_KEY, {"hash": hashes.SHA384, "pss": True}, "sha384"),
        (RSA_KEY, {"hash": hashes.SHA512, "pss": True}, "sha512"),
        (ec.generate_private_key(ec.SECP256R1()), {"hash": hashes.SHA256}, "sha256"),
        (ec.generate_private_key(ec.SECP384R1()), {"hash": hashes.SHA384}, "sha384"),
        (ec.generate_private_key(ec.SECP256R1()), {"hash": hashes.SHA512}, "sha512"),
        (ed25519.Ed25519PrivateKey.generate(), {}, None),
        (ed448.Ed448PrivateKey.generate(), {}, None),
    ],
)
def test_hash_of_a_certificate(key: Any, how: dict[str, Any], expected: str | None) -> None:
    certificate = der(AUTHORITY.sign(HOST, key, (HOST,), by=key, **how))
    assert signature_hash(certificate) == expected
    wanted = hashlib.new(expected, certificate).digest() if expected else None
    assert server_end_point(certificate) == wanted


@pytest.mark.parametrize("oid", ["2a864886f70d010104", "2a864886f70d010105", "2a8648ce3d0401"])
def test_md5_and_sha1_are_hashed_with_sha256(oid: str) -> None:
    algorithm = bytes.fromhex(oid)
    inner = b"\x30\x00" + b"\x30" + bytes([len(algorithm) + 2]) + b"\x06" + bytes([len(algorithm)]) + algorithm
    certificate = b"\x30" + bytes([len(inner)]) + inner
    assert server_end_point(certificate) == hashlib.sha256(certificate).digest()


def test_pss_without_parameters_has_sha1() -> None:
    oid = bytes.fromhex("2a864886f70d01010a")
    algorithm = b"\x06" + bytes([len(oid)]) + oid + b"\x30\x00"
    inner = b"\x30\x00" + b"\x30" + bytes([len(algorithm)]) + algorithm
    assert signature_hash(b"\x30" + bytes([len(inner)]) + inner) == "sha256"


WHOLE = der(AUTHORITY.sign(HOST, RSA_KEY, (HOST,), by=RSA_KEY, hash=hashes.SHA384, pss=True))


@given(st.binary(max_size=200) | st.integers(0, len(WHOLE) - 1).map(lambda end: WHOLE[:end]))
def test_what_is_no_certificate(data: bytes) -> None:
    try:
        signature_hash(data)
    except ProtocolError:
        return
    assert data[:1] == b"\x30"


@given(st.integers(0, len(WHOLE) - 1), st.integers(0, 255))
def test_a_certificate_with_a_wrong_byte(at: int, byte: int) -> None:
    changed = WHOLE[:at] + bytes([byte]) + WHOLE[at + 1 :]
    try:
        found = signature_hash(changed)
    except ProtocolError:
        return
    assert found is None or found in hashlib.algorithms_available
