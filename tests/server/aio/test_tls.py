# The sync twin of this file is generated from it by tools/unasync.py.
"""TLS and passwords against a real server: every mode, every method, every certificate."""

from __future__ import annotations

import os
import shutil
import ssl

import pytest
from tests.kit.certificates import KEY_PASSWORD
from tests.kit.tlsserver import METHODS, PASSWORD, install_certificate, settings_for

import howdah
from howdah import errors

MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
BINDINGS = ("disable", "prefer", "require")


async def opened(server, role, **more):
    return await howdah.AsyncConnection.connect(**settings_for(server, role, **more))


async def encrypted(conn):
    """What the server says of TLS, which info must agree with."""
    cur = await conn.execute("select ssl, version, cipher from pg_stat_ssl where pid = pg_backend_pid()")
    used, version, cipher = await cur.fetchone()
    assert conn.info.ssl_in_use == used
    assert conn.info.ssl_attribute("protocol") == version
    assert conn.info.ssl_attribute("cipher") == cipher
    return used


async def refused(server, role, error=errors.OperationalError, **more):
    """The text of the error of a connect that must fail."""
    with pytest.raises(error) as caught:
        await opened(server, role, **more)
    text = f"{caught.value} {caught.value!r} {caught.value.__cause__!r}"
    assert PASSWORD not in text and KEY_PASSWORD not in text
    return str(caught.value)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("method", METHODS)
async def test_every_mode_and_method(tls17, certificates, method, mode, no_leaks):
    role = f"r_{method}"
    more = {"sslmode": mode, "sslrootcert": certificates.path("root.crt")}
    if method == "cert":
        more |= {"sslcert": certificates.path("client.crt"), "sslkey": certificates.path("client.key")}
    # `allow` begins in clear, which pg_hba.conf takes from all but the certificate's role
    tls = mode not in ("disable", "allow") or (method == "cert" and mode == "allow")
    for binding in BINDINGS:
        possible = tls or method != "cert"
        if binding == "require":
            possible = tls and method == "scram"
        if possible:
            async with await opened(tls17, role, channel_binding=binding, **more) as conn:
                assert await encrypted(conn) == tls
        elif method == "cert" and not tls:
            text = await refused(tls17, role, errors.InvalidAuthorizationSpecification, channel_binding=binding, **more)
            assert "no encryption" in text
        else:
            assert "channel_binding=require" in await refused(tls17, role, channel_binding=binding, **more)


@pytest.mark.parametrize("mode", MODES)
async def test_server_that_takes_tls_alone(tls17, mode, no_leaks):
    if mode == "disable":
        assert "no encryption" in await refused(tls17, "only_tls", sslmode=mode)
        return
    if mode.startswith("verify"):
        # the system's authorities know nothing of ours
        assert "certificate" in await refused(tls17, "only_tls", sslmode=mode)
        return
    async with await opened(tls17, "only_tls", sslmode=mode) as conn:
        assert await encrypted(conn)


@pytest.mark.parametrize("mode", MODES)
async def test_server_that_takes_clear_alone(tls17, certificates, mode, no_leaks):
    more = {"sslmode": mode, "sslrootcert": certificates.path("root.crt")}
    if mode in ("disable", "allow", "prefer"):
        async with await opened(tls17, "only_clear", **more) as conn:
            assert not await encrypted(conn)
    else:
        text = await refused(tls17, "only_clear", errors.InvalidAuthorizationSpecification, **more)
        assert "SSL encryption" in text


@pytest.mark.parametrize("mode", MODES)
async def test_server_without_tls(pg18, mode, no_leaks):
    if mode in ("disable", "allow", "prefer"):
        async with await howdah.AsyncConnection.connect(pg18.dsn, sslmode=mode) as conn:
            assert conn.info.ssl_in_use is False
            assert conn.info.ssl_attribute_names == [] and conn.info.ssl_attribute("cipher") is None
    else:
        with pytest.raises(errors.OperationalError, match=f"does not offer TLS, and sslmode={mode} demands it"):
            await howdah.AsyncConnection.connect(pg18.dsn, sslmode=mode)


async def test_unix_sockets_have_no_tls(tls17, no_leaks):
    for mode in MODES:
        async with await howdah.AsyncConnection.connect(tls17.socket_dsn, sslmode=mode) as conn:
            assert not await encrypted(conn)
    with pytest.raises(errors.OperationalError, match="no TLS to bind to"):
        await howdah.AsyncConnection.connect(tls17.socket_dsn, channel_binding="require")


async def test_neither_way_is_let_in(tls17, no_leaks):
    """The error is about TLS, which the program preferred."""
    with pytest.raises(errors.InvalidAuthorizationSpecification, match="SSL encryption"):
        await opened(tls17, "nobody_at_all", sslmode="prefer")


async def test_wrong_password_is_not_tried_in_clear(tls17, no_leaks):
    with pytest.raises(errors.InvalidPassword) as caught:
        await opened(tls17, "r_scram", sslmode="prefer", password="wrong")
    assert caught.value.__cause__ is None


# -- whom the client believes


@pytest.mark.parametrize("mode", ["require", "verify-ca", "verify-full"])
async def test_wrong_authority(tls17, certificates, mode, no_leaks):
    text = await refused(tls17, "r_scram", sslmode=mode, sslrootcert=certificates.path("other-root.crt"))
    assert "certificate" in text and "refused" in text and "sslrootcert" in text


async def test_wrong_host_name(tls17, certificates, no_leaks):
    more = {"sslrootcert": certificates.path("root.crt"), "host": "elsewhere.howdah.test"}
    text = await refused(tls17, "r_scram", sslmode="verify-full", **more)
    assert "elsewhere.howdah.test" in text
    for mode in ("require", "verify-ca"):
        async with await opened(tls17, "r_scram", sslmode=mode, **more) as conn:
            assert await encrypted(conn)


async def test_address_in_the_certificate(tls17, certificates, no_leaks):
    more = {"sslmode": "verify-full", "sslrootcert": certificates.path("root.crt")}
    async with await opened(tls17, "r_scram", host="127.0.0.1", hostaddr=None, **more) as conn:
        assert await encrypted(conn)


async def test_the_system_s_authorities(tls17, no_leaks):
    text = await refused(tls17, "r_scram", sslrootcert="system")
    assert "refused" in text
    with pytest.raises(errors.ProgrammingError, match="too weak"):
        await opened(tls17, "r_scram", sslrootcert="system", sslmode="require")


async def test_root_file_of_the_user(tls17, certificates, monkeypatch, tmp_path, no_leaks):
    """~/.postgresql/root.crt makes `require` verify, as libpq does."""
    folder = tmp_path / ".postgresql"
    folder.mkdir()
    monkeypatch.setenv("HOME", str(tmp_path))
    async with await opened(tls17, "r_scram", sslmode="require") as conn:
        assert await encrypted(conn)
    shutil.copy(certificates.path("other-root.crt"), folder / "root.crt")
    assert "refused" in await refused(tls17, "r_scram", sslmode="require")
    async with await opened(tls17, "r_scram", sslmode="prefer") as conn:
        assert await encrypted(conn)
    shutil.copy(certificates.path("root.crt"), folder / "root.crt")
    async with await opened(tls17, "r_scram", sslmode="verify-full") as conn:
        assert await encrypted(conn)


@pytest.mark.parametrize("file", ["sslrootcert", "sslcert"])
async def test_a_named_file_must_be_there(tls17, tmp_path, file, no_leaks):
    text = await refused(tls17, "r_scram", sslmode="require", **{file: str(tmp_path / "missing.crt")})
    assert "missing.crt" in text and "no such file" in text


async def test_a_file_that_is_no_certificate(tls17, tmp_path, no_leaks):
    path = tmp_path / "root.crt"
    path.write_text("not a certificate")
    assert "cannot be used" in await refused(tls17, "r_scram", sslmode="verify-ca", sslrootcert=str(path))


async def test_tls_versions(tls17, no_leaks):
    for version in ("TLSv1.2", "tlsv1.3"):
        more = {"ssl_min_protocol_version": version, "ssl_max_protocol_version": version}
        async with await opened(tls17, "r_scram", sslmode="require", **more) as conn:
            assert await encrypted(conn)
            assert conn.info.ssl_attribute("protocol").lower() == version.lower()
            assert conn.info.ssl_attribute("library") == "OpenSSL"


async def test_without_the_host_name_in_the_handshake(tls17, no_leaks):
    async with await opened(tls17, "r_scram", sslmode="require", sslsni="0") as conn:
        assert await encrypted(conn)


async def test_direct_tls(tls17, certificates, no_leaks):
    more = {"sslnegotiation": "direct", "sslrootcert": certificates.path("root.crt"), "channel_binding": "require"}
    async with await opened(tls17, "r_scram", sslmode="verify-full", **more) as conn:
        assert await encrypted(conn)
        assert conn.info.ssl_attribute("alpn") == "postgresql"
    with pytest.raises(errors.ProgrammingError, match="too weak"):
        await opened(tls17, "r_scram", sslmode="prefer", sslnegotiation="direct")


# -- a context of one's own


async def test_own_context(tls17, certificates, no_leaks):
    context = ssl.create_default_context(cafile=certificates.path("root.crt"))
    context.verify_flags &= ~getattr(ssl, "VERIFY_X509_STRICT", 0)
    async with await opened(tls17, "r_scram", ssl_context=context) as conn:
        assert await encrypted(conn)
    async with await opened(tls17, "r_scram", ssl_context=context, sslmode="verify-full") as conn:
        assert await encrypted(conn)
    assert "elsewhere" in await refused(tls17, "r_scram", ssl_context=context, host="elsewhere.howdah.test")
    stranger = ssl.create_default_context(cafile=certificates.path("other-root.crt"))
    assert "refused" in await refused(tls17, "r_scram", ssl_context=stranger)


async def test_own_context_demands_tls(pg18, no_leaks):
    context = ssl.create_default_context()
    with pytest.raises(errors.OperationalError, match="does not offer TLS"):
        await howdah.AsyncConnection.connect(pg18.dsn, ssl_context=context)


# -- certificates of the client


async def test_certificate_and_password(tls17, certificates, no_leaks):
    more = {"sslcert": certificates.path("client.crt"), "sslkey": certificates.path("client.key")}
    async with await opened(tls17, "r_both", sslmode="require", **more) as conn:
        assert await encrypted(conn)
    text = await refused(tls17, "r_both", errors.InvalidAuthorizationSpecification, sslmode="require")
    assert "client certificate" in text


@pytest.mark.parametrize("stem", ["", "client-other", "client-strange"])
async def test_certificate_that_does_not_let_in(tls17, certificates, stem, no_leaks):
    more = {}
    if stem:
        more = {"sslcert": certificates.path(f"{stem}.crt"), "sslkey": certificates.path(f"{stem}.key")}
    await refused(tls17, "r_cert", sslmode="require", **more)


async def test_certificate_of_the_user(tls17, certificates, monkeypatch, tmp_path, no_leaks):
    folder = tmp_path / ".postgresql"
    folder.mkdir()
    for kind in ("crt", "key"):
        shutil.copy(certificates.path(f"client.{kind}"), folder / f"postgresql.{kind}")
    monkeypatch.setenv("HOME", str(tmp_path))
    async with await opened(tls17, "r_cert", sslmode="require", password=None) as conn:
        assert await encrypted(conn)


async def test_encrypted_key(tls17, certificates, no_leaks):
    more = {
        "sslmode": "require",
        "sslcert": certificates.path("client-locked.crt"),
        "sslkey": certificates.path("client-locked.key"),
    }
    async with await opened(tls17, "r_cert", sslpassword=KEY_PASSWORD, **more) as conn:
        assert await encrypted(conn)
        assert KEY_PASSWORD not in f"{conn!r} {conn.info!r} {conn.info.dsn} {conn._target!r} {conn._target.tls!r}"
    assert "sslpassword is wrong" in await refused(tls17, "r_cert", sslpassword="no", **more)
    assert "set sslpassword" in await refused(tls17, "r_cert", **more)


async def test_key_that_others_may_read(tls17, certificates, tmp_path, no_leaks):
    key = tmp_path / "client.key"
    shutil.copy(certificates.path("client.key"), key)
    os.chmod(key, 0o644)
    more = {"sslmode": "require", "sslcert": certificates.path("client.crt"), "sslkey": str(key)}
    assert "0600" in await refused(tls17, "r_cert", **more)


# -- channel binding


@pytest.mark.parametrize("stem", ["ecdsa-sha512", "rsa-sha384", "rsa-pss", "ed25519"])
async def test_binding_to_other_certificates(tls17, stem, no_leaks):
    """The server computes the same hash of the same certificate, or the login fails. Ed25519 has none."""
    admin = await howdah.AsyncConnection.connect(tls17.socket_dsn, autocommit=True)
    try:
        await use_certificate(admin, tls17, stem)
        more = {"sslmode": "require", "sslrootcert": None}
        if stem == "ed25519":
            for binding in ("prefer", "require"):
                text = await refused(tls17, "r_scram", channel_binding=binding, **more)
                assert "channel_binding=disable" in text
            async with await opened(tls17, "r_scram", channel_binding="disable", **more) as conn:
                assert await encrypted(conn)
        else:
            async with await opened(tls17, "r_scram", channel_binding="require", **more) as conn:
                assert await encrypted(conn)
    finally:
        await use_certificate(admin, tls17, "server")
        await admin.close()


async def use_certificate(admin, server, stem):
    """Has the server use another certificate, and waits until new connections are shown it."""
    wanted = ssl.PEM_cert_to_DER_cert(install_certificate(server, stem))
    await admin.execute("select pg_reload_conf()")
    for _ in range(200):
        async with await opened(server, "r_trust", sslmode="require") as conn:
            if conn._driver.tls.certificate == wanted:
                return
        await admin.execute("select pg_sleep(0.01)")
    pytest.fail("the server did not take its new certificate")


# -- what the client agrees to


@pytest.mark.parametrize("method", ["trust", "password", "md5", "scram"])
@pytest.mark.parametrize(
    "wanted", ["none", "password", "md5", "scram-sha-256", "!none", "!password", "md5,scram-sha-256"]
)
async def test_require_auth(tls17, method, wanted, no_leaks):
    name = {"trust": "none", "scram": "scram-sha-256"}.get(method, method)
    allowed = name not in wanted if wanted.startswith("!") else name in wanted.split(",")
    if allowed:
        async with await opened(tls17, f"r_{method}", require_auth=wanted) as conn:
            assert await encrypted(conn)
    else:
        assert "require_auth" in await refused(tls17, f"r_{method}", require_auth=wanted)


@pytest.mark.parametrize("method", ["password", "md5", "scram"])
async def test_a_password_that_is_missing_or_wrong(tls17, method, no_leaks):
    assert "password" in await refused(tls17, f"r_{method}", password=None)
    await refused(tls17, f"r_{method}", errors.InvalidPassword, password="wrong")


# -- much data, both ways at once


@pytest.mark.limit_s(60)
async def test_large_answers_and_large_requests(tls17, no_leaks):
    async with await opened(tls17, "r_scram", sslmode="require") as conn:
        cur = await conn.execute("select n, repeat('x', 100) from generate_series(1, 60000) n")
        rows = await cur.fetchall()
        assert len(rows) == 60000 and rows[-1] == (60000, "x" * 100)
        data = os.urandom(1 << 20) * 12
        for _ in range(2):  # the second time in binary
            cur = await conn.execute("select %s::bytea, length(%s::bytea)", [data, data])
            assert await cur.fetchone() == (data, len(data))


@pytest.mark.limit_s(60)
async def test_the_server_answers_while_we_still_send(tls17, no_leaks):
    """A batch whose answers fill every buffer between here and there, and it still reads."""
    async with await opened(tls17, "r_scram", sslmode="require") as conn:
        await conn.execute("create temp table wide (n int, t text)")
        cur = conn.cursor()
        notice = "do $$ begin for i in 1..3000 loop raise notice '%%', repeat('n', 1000); end loop; end $$"
        seen = []
        conn.add_notice_handler(lambda diagnostic: seen.append(1))
        await cur.execute(notice.replace("%%", "%"))
        await cur.executemany("insert into wide values (%s, %s)", [(n, "y" * 500) for n in range(8000)])
        cur = await conn.execute("select count(*), sum(length(t)) from wide")
        assert await cur.fetchone() == (8000, 8000 * 500)
        assert seen


async def test_a_backend_that_ends(tls17, no_leaks):
    conn = await opened(tls17, "r_scram", sslmode="require", autocommit=True)
    with pytest.raises(errors.AdminShutdown):
        await conn.execute("select pg_terminate_backend(pg_backend_pid())")
    assert conn.broken
    await conn.close()


async def test_close_is_quick_and_twice(tls17, no_leaks):
    conn = await opened(tls17, "r_scram", sslmode="require")
    await conn.close()
    await conn.close()
    assert conn.closed and not conn.broken
