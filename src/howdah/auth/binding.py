"""tls-server-end-point (RFC 5929, section 4): the hash of the server's certificate that SCRAM-SHA-256-PLUS is bound to.

The hash is that of the certificate's own signature algorithm, SHA-256 in place of MD5 and SHA-1. So of the certificate
only its second part is read:

    Certificate ::= SEQUENCE { tbsCertificate SEQUENCE, signatureAlgorithm SEQUENCE { OID, parameters }, signature }

RSASSA-PSS names its hash in the parameters (RFC 4055). Algorithms with no hash of their own, Ed25519 and Ed448, have no
binding: PostgreSQL refuses -PLUS with them, and so does this.
"""

from __future__ import annotations

import hashlib

from howdah.errors import ProtocolError

# the DER bytes of object identifiers, without their header
_RSA = "2a864886f70d0101"  # 1.2.840.113549.1.1
_ECDSA = "2a8648ce3d04"  # 1.2.840.10045.4
_NIST_SIGNATURE = "6086480165030403"  # 2.16.840.1.101.3.4.3
_NIST_HASH = "6086480165030402"  # 2.16.840.1.101.3.4.2
SIGNATURE_HASHES = {
    _RSA + "04": "sha256",  # MD5
    _RSA + "05": "sha256",  # SHA-1
    _RSA + "0e": "sha224",
    _RSA + "0b": "sha256",
    _RSA + "0c": "sha384",
    _RSA + "0d": "sha512",
    _RSA + "0f": "sha512_224",
    _RSA + "10": "sha512_256",
    _ECDSA + "01": "sha256",  # SHA-1
    _ECDSA + "0301": "sha224",
    _ECDSA + "0302": "sha256",
    _ECDSA + "0303": "sha384",
    _ECDSA + "0304": "sha512",
    "2a8648ce380403": "sha256",  # DSA with SHA-1
    _NIST_SIGNATURE + "01": "sha224",  # DSA
    _NIST_SIGNATURE + "02": "sha256",
    _NIST_SIGNATURE + "03": "sha384",
    _NIST_SIGNATURE + "04": "sha512",
    _NIST_SIGNATURE + "09": "sha3_224",  # ECDSA
    _NIST_SIGNATURE + "0a": "sha3_256",
    _NIST_SIGNATURE + "0b": "sha3_384",
    _NIST_SIGNATURE + "0c": "sha3_512",
    _NIST_SIGNATURE + "0d": "sha3_224",  # RSA
    _NIST_SIGNATURE + "0e": "sha3_256",
    _NIST_SIGNATURE + "0f": "sha3_384",
    _NIST_SIGNATURE + "10": "sha3_512",
}
PSS = _RSA + "0a"
PSS_HASHES = {
    "2b0e03021a": "sha256",  # SHA-1
    _NIST_HASH + "04": "sha224",
    _NIST_HASH + "01": "sha256",
    _NIST_HASH + "02": "sha384",
    _NIST_HASH + "03": "sha512",
    _NIST_HASH + "05": "sha512_224",
    _NIST_HASH + "06": "sha512_256",
    _NIST_HASH + "07": "sha3_224",
    _NIST_HASH + "08": "sha3_256",
    _NIST_HASH + "09": "sha3_384",
    _NIST_HASH + "0a": "sha3_512",
}

SEQUENCE = 0x30
OBJECT_IDENTIFIER = 0x06
PSS_HASH_FIELD = 0xA0


def server_end_point(certificate: bytes) -> bytes | None:
    """The binding data of a certificate in DER; None where its signature algorithm has no hash. Raises ProtocolError."""
    name = signature_hash(certificate)
    if name is None or name not in hashlib.algorithms_available:
        return None
    return hashlib.new(name, certificate).digest()


def signature_hash(certificate: bytes) -> str | None:
    """The name of the hash that RFC 5929 wants for this certificate, None for an algorithm that has none."""
    start, end = _element(certificate, 0, len(certificate), SEQUENCE)
    _, at = _element(certificate, start, end, SEQUENCE)  # what is signed: not looked into
    start, end = _element(certificate, at, end, SEQUENCE)
    oid_start, at = _element(certificate, start, end, OBJECT_IDENTIFIER)
    oid = certificate[oid_start:at].hex()
    if oid != PSS:
        return SIGNATURE_HASHES.get(oid)
    start, end = _element(certificate, at, end, SEQUENCE)
    if start == end or certificate[start] != PSS_HASH_FIELD:
        return "sha256"  # the default is SHA-1
    start, end = _element(certificate, start, end, PSS_HASH_FIELD)
    start, end = _element(certificate, start, end, SEQUENCE)
    start, end = _element(certificate, start, end, OBJECT_IDENTIFIER)
    return PSS_HASHES.get(certificate[start:end].hex())


def _element(data: bytes, at: int, limit: int, tag: int) -> tuple[int, int]:
    """Where the content of the DER element at ``at`` begins and ends. Raises ProtocolError unless it fits."""
    if limit - at < 2 or data[at] != tag:
        raise ProtocolError("the server's certificate cannot be read")
    size = data[at + 1]
    start = at + 2
    if size >= 0x80:
        count = size & 0x7F
        if not 1 <= count <= 4 or limit - start < count:
            raise ProtocolError("the server's certificate cannot be read")
        size = int.from_bytes(data[start : start + count], "big")
        start += count
    if size > limit - start:
        raise ProtocolError("the server's certificate cannot be read")
    return start, start + size
