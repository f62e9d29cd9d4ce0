"""Certificates for TLS tests, made at the start of a test run: two authorities, and what they signed.

Keys are elliptic, which are quick to make, but where a test is about another algorithm. `Certificates` knows the files by
name: `path("server.crt")`, `path("server.key")`.
"""

from __future__ import annotations

import datetime
import ipaddress
import os
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa
from cryptography.x509.oid import NameOID

HOST = "db.howdah.test"  # the name in the server's certificates, with the address 127.0.0.1 beside it
KEY_PASSWORD = "open-sesame-42"


def name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


class Authority:
    """A certificate authority with a key of its own."""

    def __init__(self, common: str) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = name(common)
        self.certificate = self._build(self.name, self.key.public_key(), (), authority=True)

    def sign(self, common: str, key: Any, hosts: tuple[str, ...] = (), **how: Any) -> x509.Certificate:
        """A certificate for `common`; `how` may hold `age_days`, `by` (another key to sign with), `hash`, `pss`."""
        return self._build(name(common), key.public_key(), hosts, **how)

    def _build(
        self,
        subject: x509.Name,
        public: Any,
        hosts: tuple[str, ...],
        *,
        authority: bool = False,
        age_days: int = 1,
        by: Any = None,
        hash: Any = hashes.SHA256,
        pss: bool = False,
    ) -> x509.Certificate:
        begin = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(days=age_days)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name if by is None else subject)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(begin)
            .not_valid_after(begin + datetime.timedelta(days=30))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        )
        if hosts:
            names: list[x509.GeneralName] = []
            for host in hosts:
                is_address = host[0].isdigit() or ":" in host
                names.append(x509.IPAddress(ipaddress.ip_address(host)) if is_address else x509.DNSName(host))
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        key = by or self.key
        if isinstance(key, (ed25519.Ed25519PrivateKey, ed448.Ed448PrivateKey)):
            return builder.sign(key, None)
        if pss:
            how = padding.PSS(mgf=padding.MGF1(hash()), salt_length=padding.PSS.DIGEST_LENGTH)
            return builder.sign(key, hash(), rsa_padding=how)
        return builder.sign(key, hash())


def der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.DER)


class Certificates:
    """The files of a test run in `folder`. Keys have mode 0600 and this user; `give` changes that for a server."""

    def __init__(self, folder: str, client: str = "r_cert") -> None:
        self.folder = folder
        self.authority = Authority("howdah test authority")
        self.stranger = Authority("another authority")
        hosts = (HOST, "127.0.0.1")
        self.write("root.crt", self.authority.certificate)
        self.write("other-root.crt", self.stranger.certificate)
        self.pair("server", self.authority, HOST, hosts)
        self.pair("expired", self.authority, HOST, hosts, age_days=60)
        self.pair("elsewhere", self.authority, "elsewhere.howdah.test", ("elsewhere.howdah.test",))
        self.pair("client", self.authority, client)
        self.pair("client-locked", self.authority, client, password=KEY_PASSWORD)
        self.pair("client-other", self.authority, "somebody_else")
        self.pair("client-strange", self.stranger, client)
        self.pair("ecdsa-sha512", self.authority, HOST, hosts, hash=hashes.SHA512)
        ed = ed25519.Ed25519PrivateKey.generate()
        self.pair("ed25519", self.authority, HOST, hosts, key=ed, by=ed)
        slow = rsa.generate_private_key(65537, 2048)
        self.pair("rsa-sha384", self.authority, HOST, hosts, key=slow, by=slow, hash=hashes.SHA384)
        self.pair("rsa-pss", self.authority, HOST, hosts, key=slow, by=slow, hash=hashes.SHA384, pss=True)

    def path(self, file: str) -> str:
        return os.path.join(self.folder, file)

    def pair(
        self,
        stem: str,
        authority: Authority,
        common: str,
        hosts: tuple[str, ...] = (),
        *,
        key: Any = None,
        password: str = "",
        **how: Any,
    ) -> None:
        key = key or ec.generate_private_key(ec.SECP256R1())
        self.write(f"{stem}.crt", authority.sign(common, key, hosts, **how))
        lock: Any = serialization.NoEncryption()
        if password:
            lock = serialization.BestAvailableEncryption(password.encode())
        text = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, lock)
        with open(os.open(self.path(f"{stem}.key"), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(text)

    def write(self, file: str, certificate: x509.Certificate) -> None:
        with open(self.path(file), "wb") as out:
            out.write(certificate.public_bytes(serialization.Encoding.PEM))
