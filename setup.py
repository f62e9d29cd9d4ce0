"""Build: everything static is in pyproject.toml; this file finds and compiles the compiled modules.

A ``.pxd`` beside a ``.py`` declares that module to be compiled; nothing else lists them. (A ``.pxd`` on its
own declares external C names and is no module.) What is rebuilt is decided by content: a module's key is the
hash of its ``.py``, its ``.pxd``, every ``.pxd`` that these cimport, directly or not, and the settings below.
The keys of what was built lie beside the object files, so an unchanged module costs nothing, and a changed
one takes along exactly its dependants.

Environment:

    HOWDAH_BUILD=auto      compile; when that fails, say so and install pure Python (the default)
    HOWDAH_BUILD=require   compile; a failure fails the build
    HOWDAH_BUILD=pure      compile nothing; with ``build_ext --inplace``, also remove what was compiled
    HOWDAH_CFLAGS="..."    instead of "-O2 -g0"; nothing is stripped then
    HOWDAH_JOBS=n          how many processes compile (default: one a CPU)
    HOWDAH_DEBUG=1         index checks on
    HOWDAH_SANITIZE=1      with AddressSanitizer and UndefinedBehaviorSanitizer
    HOWDAH_ANNOTATE=1      write Cython's annotated HTML beside the C files, under build/
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shlex
import shutil
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import setuptools
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.command.build_py import build_py
from setuptools.errors import CompileError

ROOT = Path(__file__).resolve().parent
SRC = ROOT / "src"
PACKAGE = SRC / "howdah"
EXTENSION_GLOBS = ("*.so", "*.pyd")
LOCK_TIMEOUT_S = 1200

DIRECTIVES = {
    "language_level": 3,
    "annotation_typing": False,
    "binding": True,
    "boundscheck": False,
    "wraparound": False,
    "initializedcheck": False,
    "cdivision": False,
}


def switch(name: str) -> bool:
    """The value of an on/off environment variable."""
    value = os.environ.get(name, "")
    if value not in ("", "0", "1"):
        raise SystemExit(f"{name} must be 1 or 0, not {value!r}")
    return value == "1"


def build_mode() -> str:
    """The value of HOWDAH_BUILD."""
    mode = os.environ.get("HOWDAH_BUILD") or "auto"
    if mode not in ("auto", "require", "pure"):
        raise SystemExit(f"HOWDAH_BUILD must be auto, require or pure, not {mode!r}")
    return mode


MODE = build_mode()
DEBUG, SANITIZE, ANNOTATE = switch("HOWDAH_DEBUG"), switch("HOWDAH_SANITIZE"), switch("HOWDAH_ANNOTATE")
JOBS = int(os.environ.get("HOWDAH_JOBS") or os.cpu_count() or 1)


def compiler_settings() -> tuple[dict[str, object], list[str], list[str]]:
    """Cython's directives, the C compiler's and the linker's flags, as the environment asks for them."""
    directives = dict(DIRECTIVES, boundscheck=DEBUG)
    own_flags = os.environ.get("HOWDAH_CFLAGS")
    cflags = shlex.split(own_flags) if own_flags else ["/O2"] if os.name == "nt" else ["-O2", "-g0"]
    ldflags = []
    if SANITIZE:
        cflags += ["-g", "-fsanitize=address,undefined", "-fno-omit-frame-pointer"]
        ldflags += ["-fsanitize=address,undefined"]
    elif sys.platform == "linux" and not own_flags and not DEBUG:
        ldflags += ["-Wl,-s"]
    return directives, cflags, ldflags


def find_modules() -> list[Extension]:
    """One extension for each ``.py`` that has a ``.pxd`` beside it."""
    _, cflags, ldflags = compiler_settings()
    modules = []
    for pxd in sorted(PACKAGE.rglob("*.pxd")):
        source = pxd.with_suffix(".py")
        if pxd.stem == "__init__":
            raise SystemExit(f"{pxd.relative_to(ROOT)}: a package's __init__ is never compiled")
        if source.exists():
            name = ".".join(pxd.relative_to(SRC).with_suffix("").parts)
            path = source.relative_to(ROOT).as_posix()
            modules.append(Extension(name, [path], extra_compile_args=cflags, extra_link_args=ldflags))
    return modules


def load_build_module():
    """The package's own _build module, without importing the package (nothing of it may be compiled yet)."""
    spec = importlib.util.spec_from_file_location("howdah_build", PACKAGE / "_build.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@contextmanager
def working_directory(path: Path):
    """Run from another folder, and come back."""
    before = os.getcwd()
    os.chdir(path)
    try:
        yield
    finally:
        os.chdir(before)


def announce(text: str) -> None:
    """A line of progress, written at once: several modules compile at a time."""
    sys.stdout.write(f"howdah: {text}\n")
    sys.stdout.flush()


@contextmanager
def one_build_at_a_time():
    """Hold the checkout's build lock (POSIX only); wait for another build at most LOCK_TIMEOUT_S."""
    try:
        import fcntl
    except ImportError:
        yield
        return
    Path("build").mkdir(exist_ok=True)
    give_up_at = time.monotonic() + LOCK_TIMEOUT_S
    with open("build/lock", "w") as lock:
        waiting = False
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > give_up_at:
                    raise SystemExit(f"another build of {ROOT} has been running for {LOCK_TIMEOUT_S} s") from None
                if not waiting:
                    announce("waiting for another build of this checkout")
                waiting = True
                time.sleep(0.2)
        yield


class CythonInput(Extension):
    """An extension that cythonize(exclude_failures=True) can keep in a set: setuptools' is not hashable."""

    __hash__ = object.__hash__


class Key:
    """What one module was, or would be, built from."""

    def __init__(self, extension: Extension, files: list[str], settings: str) -> None:
        digest = hashlib.sha256(settings.encode())
        for name in files:
            digest.update(f"\n{name}\n".encode())
            digest.update((PACKAGE / name).read_bytes())
        self.name = extension.name
        self.files = files
        self.value = digest.hexdigest()


class BuildCompiledModules(build_ext):
    """build_ext that runs Cython itself, rebuilds by content, and knows HOWDAH_BUILD."""

    def finalize_options(self):
        super().finalize_options()
        self.parallel = self.parallel or JOBS
        if self.inplace or self.editable_mode:
            # An editable install gives temporary folders: ours keep what was built for the next time.
            plat = f"{sys.platform}-{load_build_module().ABI}"
            self.build_temp = f"build/inplace.{plat}/temp"
            self.build_lib = f"build/inplace.{plat}/lib"

    def run(self):
        self.extensions = self.extensions or []
        with one_build_at_a_time():
            try:
                self._build()
            except Exception as error:
                # What did compile is kept for the next try; the package refuses it, having no stamp.
                if MODE != "auto":
                    raise
                self._remove_modules_not_in(set())
                self.extensions = []
                warn_of_pure_build(error)

    def build_extension(self, ext):
        announce(f"compiling {ext.name}")
        try:
            super().build_extension(ext)
        except Exception as error:
            reason = str(error)
            raise CompileError(f"{ext.name}: the C compiler failed: {reason[:60]} ... {reason[-60:]}") from error
        self._key_path(ext).write_text(self.keys[ext.name].value)

    def get_source_files(self):
        # For sdists: the C files are made anew by every build.
        return []

    def _build(self):
        wanted = {ext.name for ext in self.extensions}
        self._remove_modules_not_in(wanted)
        if not self.extensions:
            self._remove_stamp()
            return
        info = load_build_module()
        self.keys = self._keys()
        # Read before compiling: what changes meanwhile is then seen as changed.
        files = sorted({name for key in self.keys.values() for name in key.files})
        stamp = [info.STAMP_HEADER, *(info.describe_file(str(PACKAGE), name) for name in files)]

        every = self.extensions
        stale = [ext for ext in every if not self._is_current(ext)]
        if stale:
            announce(f"{len(stale)} of {len(every)} modules to compile ({JOBS} at a time)")
            self._remove_stamp()
            for ext in stale:
                self._key_path(ext).unlink(missing_ok=True)
            failed = self._run_cython(stale)
            self._run_c_compiler([ext for ext in stale if ext.name not in failed])
            if failed:
                raise CompileError(f"Cython could not translate {', '.join(failed)}: its messages are above")
        self.extensions = every
        if self.inplace or self.editable_mode:
            self._copy_to_source()
            stamp += (info.describe_output(str(PACKAGE), self._path_in_package(ext)) for ext in every)
            path = Path(info.stamp_path(str(ROOT)))
            path.parent.mkdir(exist_ok=True)
            draft = path.with_suffix(".new")
            draft.write_text("\n".join(stamp) + "\n", encoding="utf-8")
            draft.replace(path)
        announce(f"{len(every)} compiled modules are up to date")

    def _keys(self) -> dict[str, Key]:
        import Cython
        from Cython.Build.Dependencies import create_dependency_tree

        settings = repr((Cython.__version__, *compiler_settings(), ANNOTATE, self.compiler or os.environ.get("CC")))
        keys = {}
        with working_directory(SRC):
            tree = create_dependency_tree(quiet=True)
            for ext in self.extensions:
                found = tree.all_dependencies(os.path.relpath(ROOT / ext.sources[0], SRC))
                paths = {Path(path).resolve() for path in found}
                files = sorted(path.relative_to(PACKAGE).as_posix() for path in paths if PACKAGE in path.parents)
                keys[ext.name] = Key(ext, files, settings)
        return keys

    def _key_path(self, ext: Extension) -> Path:
        return Path(self.build_temp, "keys", ext.name)

    def _path_in_package(self, ext: Extension) -> str:
        return Path(self.get_ext_filename(ext.name)).relative_to("howdah").as_posix()

    def _is_current(self, ext: Extension) -> bool:
        path = self._key_path(ext)
        path.parent.mkdir(parents=True, exist_ok=True)
        built = Path(self.build_lib, self.get_ext_filename(ext.name))
        return not self.force and built.exists() and path.exists() and path.read_text() == self.keys[ext.name].value

    def _run_cython(self, extensions: list[Extension]) -> list[str]:
        """Translate to C; the extensions then name their C files. Returns the names of those that failed."""
        from Cython.Build import cythonize

        directives, _, _ = compiler_settings()
        c_dir = (ROOT / self.build_temp / "cython").resolve()
        # Source paths are recorded as howdah/...: tracebacks find those from any folder of sys.path.
        with working_directory(SRC):
            todo = [CythonInput(ext.name, [os.path.relpath(ROOT / ext.sources[0], SRC)]) for ext in extensions]
            translated = cythonize(
                todo,
                nthreads=JOBS if JOBS > 1 else 0,
                force=True,
                exclude_failures=True,
                build_dir=str(c_dir),
                annotate=ANNOTATE,
                compiler_directives=directives,
            )
            c_files = {ext.name: os.path.relpath(Path(ext.sources[0]).resolve(), ROOT) for ext in translated}
        for ext in extensions:
            ext.sources = [c_files.get(ext.name, *ext.sources)]
        return [ext.name for ext in extensions if ext.name not in c_files]

    def _run_c_compiler(self, extensions: list[Extension]):
        """Let setuptools compile and link these into build_lib, whatever their files' times say."""
        inplace, force = self.inplace, self.force
        self.inplace, self.force, self.extensions = False, True, extensions
        try:
            super().run()
        finally:
            self.inplace, self.force = inplace, force

    def _copy_to_source(self):
        """Put the compiled modules beside their sources; those that lie there already are left alone."""
        for ext in self.extensions:
            built, beside = (
                Path(self.build_lib, self.get_ext_filename(ext.name)),
                PACKAGE / self._path_in_package(ext),
            )
            new = built.stat()
            old = beside.stat() if beside.exists() else None
            if old is None or (old.st_mtime_ns, old.st_size) != (new.st_mtime_ns, new.st_size):
                beside.unlink(missing_ok=True)  # a running process keeps the file that it has mapped
                shutil.copy2(built, beside)

    def _remove_modules_not_in(self, wanted: set[str]):
        """Remove compiled modules that nothing builds any more: Python would prefer them to the .py files."""
        keep = {Path(self.get_ext_filename(name)) for name in wanted}
        suffix = self.get_ext_filename("x")[1:]
        for top in [Path(self.build_lib)] + ([SRC] if self.inplace or self.editable_mode else []):
            for pattern in EXTENSION_GLOBS:
                for path in (top / "howdah").rglob(pattern):
                    if path.name.endswith(suffix) and path.relative_to(top) not in keep:
                        path.unlink()

    def _remove_stamp(self):
        if self.inplace or self.editable_mode:
            Path(load_build_module().stamp_path(str(ROOT))).unlink(missing_ok=True)


class BuildPackage(build_py):
    """build_py into a folder that holds nothing of an earlier, different tree."""

    def run(self):
        if not self.editable_mode:
            for path in Path(self.build_lib, "howdah").rglob("*"):
                if path.suffix in (".py", ".pyi", ".pxd"):
                    path.unlink()
        super().run()


def warn_of_pure_build(error: BaseException) -> None:
    """Say loudly that the package will be slow, and how to change that."""
    reason = str(error).strip() or type(error).__name__
    lines = [
        "howdah could NOT compile its hot modules and is built as PURE PYTHON.",
        "It works the same, but decodes values 10 to 20 times slower.",
        "",
        "Reason: " + reason.splitlines()[0],
        "",
        "To compile, install a C compiler and Python's headers",
        "(Debian, Ubuntu: apt-get install gcc python3-dev) and install again.",
        "HOWDAH_BUILD=require makes this an error, HOWDAH_BUILD=pure says it is wanted.",
        "At run time, howdah.compiled tells which build is in use.",
    ]
    rule = "*" * 78
    print("\n".join(["", rule, *("* " + line for line in lines), rule, ""]), file=sys.stderr, flush=True)


if __name__ == "__main__":  # Cython's worker processes may import this file
    if int(setuptools.__version__.split(".")[0]) < 77:
        raise SystemExit(
            f"setuptools >= 77 is needed to build howdah, this is {setuptools.__version__}: "
            f"{sys.executable} -m pip install -U setuptools"
        )
    setup(
        ext_modules=[] if MODE == "pure" else find_modules(),
        cmdclass={"build_ext": BuildCompiledModules, "build_py": BuildPackage},
    )
