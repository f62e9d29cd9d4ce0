"""Private servers for tests, made fast: initdb runs once for each (version, options), a server starts from a
copy.

    with cluster("17", auth="md5", settings={"max_connections": 20}) as server:
        howdah.connect(server.dsn)

The launcher is howdah.embedded; its watchdog removes the templates too, however the test run ends.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping

from howdah.embedded import Server
from howdah.embedded.binaries import choose_account
from howdah.embedded.running import Running

_holder: Running | None = None


def templates_folder() -> str:
    """A folder for templates that the servers' user can read; removed by `remove_templates` or with this
    process."""
    global _holder
    if _holder is None:
        _holder = Running(choose_account())
        _holder.hand_over()
    return _holder.folder


def server_folder(name: str, files: Mapping[str, bytes]) -> str:
    """A folder beside the templates with `files` that only the servers' user can read; returns its path."""
    account = choose_account()
    folder = os.path.join(templates_folder(), name)
    os.mkdir(folder, 0o700)
    for file, content in files.items():
        path = os.path.join(folder, file)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
            out.write(content)
            if account is not None:
                os.chown(out.fileno(), account.uid, account.gid)
    if account is not None:
        os.chown(folder, account.uid, account.gid)
    return folder


def remove_templates() -> None:
    """Forget all templates; the servers made from them are not touched."""
    global _holder
    if _holder is not None:
        _holder.stop()
        _holder = None


def cluster(
    version: str = "18",
    *,
    auth: str = "scram-sha-256",
    hba: Iterable[str] | None = None,
    settings: Mapping[str, str | int | float | bool] | None = None,
    initdb_options: Iterable[str] = (),
    password: str | None = None,
    dbname: str = "postgres",
    port: int = 0,
    listen: bool = True,
    timeout_s: float = 60.0,
) -> Server:
    """A server of that major version, to be started with `with` or `start()`; the arguments are Server's.

    Raises EmbeddedServerError when that version is not installed.
    """
    options = tuple(initdb_options)
    name = "-".join([version, *(option.strip("-").replace("/", "_") for option in options)])
    template = os.path.join(templates_folder(), name)
    if not os.path.exists(os.path.join(template, "PG_VERSION")):
        # Started once and stopped: what initdb alone leaves needs no recovery, but this proves that it can be
        # used.
        with Server(template, version=version, initdb_options=options):
            pass
    return Server(
        template=template,
        version=version,
        auth=auth,
        hba=hba,
        settings=settings,
        password=password,
        dbname=dbname,
        port=port,
        listen=listen,
        timeout_s=timeout_s,
    )
