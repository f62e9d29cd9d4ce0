"""Which build is running, and is it the build of these sources?

A module with a ``.pxd`` beside its ``.py`` is compiled by ``setup.py``; the ``.so`` lies beside both. Python
prefers the ``.so``. Three things can go wrong, and this file, imported before every other module of the
package, settles them:

* ``HOWDAH_PURE=1`` asks for the ``.py`` files although the ``.so`` files are there. `prepare` installs a path
  hook, for the folders of this package only, whose finder knows nothing but source files.
* The ``.so`` files of a checkout are older than the sources. A build writes a *stamp*: for every file that
  went into it its SHA-256, and its time and size so that the usual check is one `os.stat` a file and reads
  nothing. `verify` refuses a mismatch. It does so only in a checkout (``pyproject.toml`` two levels above the
  package): an installed wheel has its ``.py`` files only to show source lines in tracebacks, and no stamp.
* Some of the modules are compiled and some are not. Compiled modules reach into each other's C structures, so
  `compiled_state` accepts all or none.

The stamp is plain text, not JSON: importing `json` would cost more than the whole check. One line a file::

    <sha256> <mtime in ns> <size in bytes> <path below the package, with slashes>

and for a compiled module, of which only presence and size are checked, ``-`` in place of the digest.
"""

from __future__ import annotations

import os
import sys
from importlib.machinery import (
    EXTENSION_SUFFIXES,
    SOURCE_SUFFIXES,
    ExtensionFileLoader,
    FileFinder,
    SourceFileLoader,
)

# Names the interpreter and platform that the .so files beside the sources were built for: one stamp for each.
ABI = EXTENSION_SUFFIXES[0].split(".")[1]
STAMP_HEADER = "howdah build stamp 1"
REMEDY = "run `make build` (or `python setup.py build_ext --inplace`), or set HOWDAH_PURE=1 to use the .py files"


def pure_wanted() -> bool:
    """True when ``HOWDAH_PURE=1`` is set. Raises ImportError for a value that is neither 1, 0 nor empty."""
    value = os.environ.get("HOWDAH_PURE", "")
    if value not in ("", "0", "1"):
        raise ImportError(f"HOWDAH_PURE must be 1 (use the .py files) or 0, not {value!r}")
    return value == "1"


def prepare(package_dir: str) -> None:
    """Make the coming imports of submodules use the right build.

    *package_dir* is the package's folder. With ``HOWDAH_PURE=1`` the ``.py`` files win over compiled ones;
    otherwise, in a checkout, the compiled modules are checked against their sources. Raises ImportError when
    they are stale.
    """
    package_dir = os.path.abspath(package_dir)
    if pure_wanted():
        _prefer_sources(package_dir)
        return
    root = checkout_root(package_dir)
    if root is not None:
        verify(package_dir, stamp_path(root))


def checkout_root(package_dir: str) -> str | None:
    """The folder of the checkout that *package_dir* is ``src/howdah`` of, or None when it is installed."""
    root = os.path.dirname(os.path.dirname(package_dir))
    return root if os.path.isfile(os.path.join(root, "pyproject.toml")) else None


def stamp_path(root: str, abi: str = ABI) -> str:
    """Where the build for *abi* of the checkout *root* keeps its stamp."""
    return os.path.join(root, "build", f"stamp.{abi}.txt")


def describe_file(package_dir: str, name: str) -> str:
    """The stamp's line for the file *name* (below *package_dir*, with slashes)."""
    path = os.path.join(package_dir, name)
    status = os.stat(path)
    return f"{file_digest(path)} {status.st_mtime_ns} {status.st_size} {name}"


def describe_output(package_dir: str, name: str) -> str:
    """The stamp's line for the compiled module file *name*."""
    status = os.stat(os.path.join(package_dir, name))
    return f"- {status.st_mtime_ns} {status.st_size} {name}"


def file_digest(path: str) -> str:
    """The SHA-256 of a file's content, in hexadecimal."""
    import hashlib  # late: an unchanged checkout needs no digest

    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def verify(package_dir: str, stamp: str) -> None:
    """Refuse, with an ImportError that says what to run, sources that differ from those in the *stamp*.

    Does nothing when there is no stamp: then nothing was compiled here, or `compiled_state` will say so.
    """
    try:
        with open(stamp, encoding="utf-8") as file:
            lines = file.read().splitlines()
    except FileNotFoundError:
        return
    if not lines or lines[0] != STAMP_HEADER:
        raise ImportError(f"howdah: {stamp} was not written by this version's setup.py: {REMEDY}")
    for line in lines[1:]:
        digest, mtime_ns, size, name = line.split(" ", 3)
        path = os.path.join(package_dir, name)
        try:
            status = os.stat(path)
        except FileNotFoundError:
            raise ImportError(f"howdah: {name} is gone since the compiled modules were built: {REMEDY}") from None
        if status.st_mtime_ns == int(mtime_ns) and status.st_size == int(size):
            continue
        if status.st_size != int(size) or (digest != "-" and file_digest(path) != digest):
            raise ImportError(f"howdah: {name} has changed since the compiled modules were built: {REMEDY}")


def compiled_state() -> bool:
    """True when the loaded modules that should be compiled are, False when they run from their ``.py`` files.

    Computed from the modules really loaded. Raises ImportError when some are compiled and some are not, and
    when compiled modules lie in a checkout without a stamp (nobody can tell what they were built from).
    """
    package = __name__.rpartition(".")[0]
    compiled: list[str] = []
    pure: list[str] = []
    for name, module in list(sys.modules.items()):
        spec = getattr(module, "__spec__", None)
        if not name.startswith(package + ".") or spec is None or not spec.origin:
            continue
        if isinstance(spec.loader, ExtensionFileLoader):
            compiled.append(name)
        elif os.path.isfile(os.path.splitext(spec.origin)[0] + ".pxd"):
            pure.append(name)
    if compiled and pure:
        raise ImportError(
            f"howdah: a mixed build: {', '.join(sorted(pure))} not compiled, {len(compiled)} others compiled "
            f"(such as {min(compiled)}): {REMEDY}"
        )
    if compiled:
        root = checkout_root(os.path.dirname(os.path.abspath(__file__)))
        if root is not None and not os.path.isfile(stamp_path(root)):
            raise ImportError(f"howdah: {min(compiled)} is compiled, but {stamp_path(root)} is missing: {REMEDY}")
    return bool(compiled)


def _prefer_sources(package_dir: str) -> None:
    """Make imports below *package_dir* find source files only."""
    below = package_dir + os.sep

    def source_finder(path: str) -> FileFinder:
        folder = os.path.abspath(path)
        if folder != package_dir and not folder.startswith(below):
            raise ImportError("not a folder of howdah", path=path)
        return FileFinder(folder, (SourceFileLoader, SOURCE_SUFFIXES))

    sys.path_hooks.insert(0, source_finder)
    # The import system remembers one finder a folder: forget those that were made before the hook.
    for path in list(sys.path_importer_cache):
        folder = os.path.abspath(path)
        if folder == package_dir or folder.startswith(below):
            del sys.path_importer_cache[path]
