"""A PostgreSQL 17 with TLS, and what a test needs to connect to it in every way.

Roles, each with PASSWORD: r_trust, r_password, r_md5, r_scram (over TLS and in clear), r_cert (a client certificate of
that name), r_both (a certificate and SCRAM), only_tls and only_clear (SCRAM, on one of the two alone).
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import Any

from tests.kit.certificates import HOST, Certificates
from tests.kit.cluster import cluster, server_folder

import howdah
from howdah.embedded import Server

PASSWORD = "canary-8f14e45f"
METHODS = ("trust", "password", "md5", "scram", "cert")
HBA = [
    "host all r_trust 127.0.0.1/32 trust",
    "host all r_password 127.0.0.1/32 password",
    "host all r_md5 127.0.0.1/32 md5",
    "host all r_scram 127.0.0.1/32 scram-sha-256",
    "hostssl all r_cert 127.0.0.1/32 cert",
    "hostssl all r_both 127.0.0.1/32 scram-sha-256 clientcert=verify-ca",
    "hostssl all only_tls 127.0.0.1/32 scram-sha-256",
    "hostnossl all only_clear 127.0.0.1/32 scram-sha-256",
    "host all howdah 127.0.0.1/32 scram-sha-256",
]


@contextlib.contextmanager
def tls_cluster(certificates: Certificates) -> Iterator[Server]:
    stems = ("server", "ecdsa-sha512", "ed25519", "rsa-sha384", "rsa-pss")
    files = {}
    for file in ("root.crt", *(f"{stem}.{kind}" for stem in stems for kind in ("crt", "key"))):
        with open(certificates.path(file), "rb") as content:
            files[file] = content.read()
    files |= {f"live.{kind}": files[f"server.{kind}"] for kind in ("crt", "key")}
    folder = server_folder("tls", files)
    settings = {
        "ssl": True,
        "ssl_ca_file": os.path.join(folder, "root.crt"),
        "ssl_cert_file": os.path.join(folder, "live.crt"),
        "ssl_key_file": os.path.join(folder, "live.key"),
    }
    with cluster("17", hba=HBA, settings=settings) as server:
        with howdah.connect(server.socket_dsn, autocommit=True) as conn:
            for role in ("r_trust", "r_password", "r_scram", "r_cert", "r_both", "only_tls", "only_clear"):
                conn.execute(f"create role {role} login password '{PASSWORD}'")
            conn.execute("set password_encryption = 'md5'")
            conn.execute(f"create role r_md5 login password '{PASSWORD}'")
        server.certificates_folder = folder  # type: ignore[attr-defined]
        yield server


def install_certificate(server: Server, stem: str) -> str:
    """Puts another certificate, and its key, where the server reads them at its next reload; the certificate as PEM."""
    folder = server.certificates_folder  # type: ignore[attr-defined]
    text = ""
    for kind in ("key", "crt"):
        with open(os.path.join(folder, f"{stem}.{kind}"), encoding="ascii") as file:
            text = file.read()
        with open(os.path.join(folder, f"live.{kind}"), "w", encoding="ascii") as file:
            file.write(text)
    return text


def settings_for(server: Server, role: str, **more: Any) -> dict[str, Any]:
    """Keyword arguments for a connect as `role` by the name in the server's certificate; None leaves one out."""
    settings = {
        "host": HOST,
        "hostaddr": "127.0.0.1",
        "port": server.port,
        "dbname": server.dbname,
        "user": role,
        "password": PASSWORD,
        **more,
    }
    return {key: value for key, value in settings.items() if value is not None}
