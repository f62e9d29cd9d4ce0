"""The build: what is compiled, rebuilt and refused. Uses setup.py and _build.py on a small package.

The small package has the shape of the real one: a leaf with a C-only branch, a class that calls it, a
subclass of that, and a .pxd of external names that is no module.
"""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import howdah
from howdah import _build, _cy

ROOT = Path(__file__).resolve().parents[2]
SUFFIX = _build.EXTENSION_SUFFIXES[0]

TOY = {
    "README.md": "A small package.\n",
    "src/howdah/py.typed": "",
    "src/howdah/wire/__init__.py": "",
    "src/howdah/types/__init__.py": "",
    "src/howdah/__init__.py": """
from howdah import _build
_build.prepare(__path__[0])
from howdah.types import _deep, _num
from howdah.wire import bytes as leaf
compiled = _build.compiled_state()
""",
    "src/howdah/_raw.pxd": '''
cdef extern from * nogil:
    """
    static inline int howdah_twice(int x) { return 2 * x; }
    """
    int howdah_twice(int x) noexcept
''',
    "src/howdah/wire/bytes.py": """
from __future__ import annotations
TYPE_CHECKING = False
if TYPE_CHECKING:
    import cython
else:
    from howdah import _cy as cython

if cython.compiled:
    from cython.cimports.howdah._raw import howdah_twice
    def twice(x: int) -> int:
        return howdah_twice(x)
    BODY = "compiled"
else:
    def twice(x: int) -> int:
        return 2 * x
    BODY = "pure"

def read_u8(data, pos: int) -> int:
    return data[pos]
""",
    "src/howdah/wire/bytes.pxd": "cpdef int read_u8(const unsigned char *data, Py_ssize_t pos) noexcept\n",
    "src/howdah/types/_num.py": """
from howdah.wire.bytes import read_u8

class Codec:
    def __init__(self, oid):
        self.oid = oid
    def decode_bytes(self, data):
        return read_u8(data, 0)
""",
    "src/howdah/types/_num.pxd": """
from howdah.wire.bytes cimport read_u8

cdef class Codec:
    cdef public int oid
""",
    "src/howdah/types/_deep.py": """
from howdah.types._num import Codec

class Deep(Codec):
    def answer(self, data):
        return 1 * self.decode_bytes(data)
""",
    "src/howdah/types/_deep.pxd": """
from howdah.types._num cimport Codec

cdef class Deep(Codec):
    pass
""",
}
MODULES = {"howdah.types._deep", "howdah.types._num", "howdah.wire.bytes"}

# Independent of the build that runs these tests: once is enough.
toy_build = pytest.mark.heavy


class Tree:
    """A checkout of the small package."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.package = root / "src" / "howdah"

    def run(self, *command: str, **env: str) -> subprocess.CompletedProcess[str]:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("HOWDAH_")}
        clean.pop("PYTHONPATH", None)
        return subprocess.run(
            [sys.executable, *command],
            cwd=self.root,
            env={**clean, **env},
            capture_output=True,
            text=True,
            timeout=240,
        )

    def build(self, *, ok: bool = True, mode: str = "require", **env: str) -> subprocess.CompletedProcess[str]:
        done = self.run("setup.py", "-q", "build_ext", "--inplace", HOWDAH_BUILD=mode, **env)
        assert (done.returncode == 0) is ok, done.stdout + done.stderr
        return done

    def compiled_by(self, done: subprocess.CompletedProcess[str]) -> set[str]:
        return {line.split()[-1] for line in done.stdout.splitlines() if line.startswith("howdah: compiling ")}

    def evaluate(self, expression: str, src: Path | None = None, **env: str) -> str:
        """What *expression* prints after importing the small howdah, or the last line of the error."""
        path = str(src or self.root / "src")
        code = f"import sys; sys.path.insert(0, {path!r}); import howdah; print({expression})"
        done = self.run("-c", code, **env)
        return (done.stdout if done.returncode == 0 else done.stderr).strip().splitlines()[-1]

    def outputs(self) -> set[str]:
        found = self.package.rglob(f"*{SUFFIX}")
        return {".".join(path.relative_to(self.root / "src").parts).removesuffix(SUFFIX) for path in found}

    def edit(self, name: str, old: str, new: str) -> None:
        path = self.package / name
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))


@pytest.fixture(scope="module")
def built_once(tmp_path_factory):
    tree = Tree(tmp_path_factory.mktemp("toy"))
    for name, text in TOY.items():
        path = tree.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    for name in (
        "setup.py",
        "pyproject.toml",
        "MANIFEST.in",
        "LICENSE",
        "src/howdah/_build.py",
        "src/howdah/_cy.py",
    ):
        shutil.copy(ROOT / name, tree.root / name)
    done = tree.build()
    assert tree.compiled_by(done) == MODULES
    return tree


@pytest.fixture
def tree(built_once, tmp_path):
    shutil.copytree(built_once.root, tmp_path / "checkout")
    return Tree(tmp_path / "checkout")


# --- the build that runs these tests --------------------------------------------------------------


def test_howdah_compiled_tells_the_build_that_was_asked_for():
    if os.environ.get("HOWDAH_PURE") == "1":
        assert howdah.compiled is False
    elif os.environ.get("HOWDAH_BUILD") == "require":
        assert howdah.compiled is True
    else:
        assert howdah.compiled is _build.compiled_state()


def test_every_pair_lies_as_its_pxd_says():
    package = ROOT / "src" / "howdah"
    pairs = [pxd for pxd in package.rglob("*.pxd") if pxd.with_suffix(".py").exists()]
    missing = [pxd.name for pxd in pairs if not pxd.with_name(pxd.stem + SUFFIX).exists()]
    assert pairs
    assert missing in ([], [pxd.name for pxd in pairs]), "compiled modules are all there or all absent"
    assert not howdah.compiled or not missing


def test_the_shim_has_every_name_that_type_checkers_see():
    stub = ast.parse((ROOT / "stubs" / "cython" / "__init__.pyi").read_text())
    names = {node.name for node in stub.body if isinstance(node, ast.FunctionDef)}
    for node in stub.body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names.add(node.target.id)
    assert {"compiled", "cast", "cclass", "Py_ssize_t"} <= names
    assert sorted(name for name in names if not hasattr(_cy, name)) == []


def test_the_shim_changes_nothing():
    def function(x):
        return x

    assert _cy.compiled is False
    assert _cy.cfunc(function) is function
    assert _cy.locals(x=_cy.int)(function) is function
    assert _cy.exceptval(-1, check=True)(function) is function
    assert _cy.cast(_cy.uint, -1) == -1
    assert _cy.declare(_cy.pointer[_cy.const[_cy.uchar]], 7) == 7
    assert _cy.int[4](3) == 3


def test_modules_that_name_cython_use_the_documented_form():
    form = "TYPE_CHECKING = False\nif TYPE_CHECKING:\n    import cython"
    checked = 0
    for path in (ROOT / "src" / "howdah").rglob("*.py"):
        text = path.read_text()
        if path.name != "_cy.py" and "import cython\n" in text:
            assert form in text and "from howdah import _cy as cython" in text, path
            checked += 1
    assert checked >= 1


# --- a small package, built for real --------------------------------------------------------------


@toy_build
def test_compiled_and_pure_beside_each_other(tree):
    assert tree.outputs() == MODULES
    facts = "howdah.compiled, howdah.leaf.BODY, howdah.leaf.twice(4), howdah._deep.Deep(1).answer(b'A')"
    assert tree.evaluate(facts) == "True compiled 8 65"
    assert tree.evaluate(facts, HOWDAH_PURE="1") == "False pure 8 65"
    assert tree.evaluate("howdah", HOWDAH_PURE="yes").startswith("ImportError: HOWDAH_PURE must be 1")


@toy_build
@pytest.mark.parametrize("pure", ["0", "1"])
def test_cython_itself_is_never_imported_at_run_time(tree, pure):
    assert tree.evaluate("'cython' in sys.modules, 'Cython' in sys.modules", HOWDAH_PURE=pure) == "False False"


@toy_build
def test_generated_c_stays_out_of_the_sources(tree):
    assert list((tree.root / "src").rglob("*.c")) == []
    assert len(list((tree.root / "build").rglob("*.c"))) == len(MODULES)


@toy_build
def test_nothing_is_compiled_twice(tree):
    for path in tree.package.rglob("*.p*"):
        os.utime(path)
    assert tree.compiled_by(tree.build()) == set()


@toy_build
def test_an_unchanged_checkout_is_verified_without_reading_it(tree):
    tree.build()  # the copy's times are not the stamp's: this writes them
    assert tree.evaluate("howdah.compiled, 'hashlib' in sys.modules, 'json' in sys.modules") == "True False False"


@toy_build
def test_a_changed_source_is_refused_until_it_is_built(tree):
    tree.edit("types/_deep.py", "1 *", "3 *")
    error = tree.evaluate("howdah")
    assert error.startswith("ImportError: howdah: types/_deep.py has changed") and "make build" in error
    assert tree.evaluate("howdah._deep.Deep(1).answer(b'A')", HOWDAH_PURE="1") == "195"
    assert tree.compiled_by(tree.build()) == {"howdah.types._deep"}
    assert tree.evaluate("howdah._deep.Deep(1).answer(b'A')") == "195"


@toy_build
@pytest.mark.parametrize(
    ("pxd", "rebuilt"),
    [
        ("types/_deep.pxd", {"howdah.types._deep"}),
        ("types/_num.pxd", {"howdah.types._deep", "howdah.types._num"}),
        ("_raw.pxd", {"howdah.wire.bytes"}),
        ("wire/bytes.pxd", MODULES),
    ],
)
def test_a_changed_pxd_takes_its_dependants_along(tree, pxd, rebuilt):
    path = tree.package / pxd
    path.write_text(path.read_text() + "\n# changed\n")
    assert f"howdah: {pxd} has changed" in tree.evaluate("howdah")
    assert tree.compiled_by(tree.build()) == rebuilt
    assert tree.evaluate("howdah.compiled") == "True"


@toy_build
def test_other_flags_are_another_build(tree):
    assert tree.compiled_by(tree.build(HOWDAH_DEBUG="1")) == MODULES
    assert tree.compiled_by(tree.build(HOWDAH_DEBUG="1")) == set()


@toy_build
def test_annotated_html_lies_under_build(tree):
    tree.build(HOWDAH_ANNOTATE="1")
    pages = {path.stem for path in (tree.root / "build").rglob("*.html")}
    assert pages == {"_deep", "_num", "bytes"}


@toy_build
def test_without_a_compiler_auto_falls_back_aloud(tree):
    tree.edit("types/_deep.py", "1 *", "3 *")
    done = tree.build(mode="auto", CC="/bin/false")
    assert "PURE PYTHON" in done.stderr and "apt-get install gcc python3-dev" in done.stderr
    assert "the C compiler failed" in done.stderr
    assert tree.outputs() == set()
    assert tree.evaluate("howdah.compiled, howdah._deep.Deep(1).answer(b'A')") == "False 195"


@toy_build
def test_without_a_compiler_require_fails_and_names_the_module(tree):
    tree.edit("types/_deep.py", "1 *", "3 *")
    done = tree.build(ok=False, CC="/bin/false")
    assert "error: howdah." in done.stderr and "the C compiler failed" in done.stderr
    error = tree.evaluate("howdah")
    assert error.startswith("ImportError") and "is missing" in error and "make build" in error


@toy_build
def test_pure_builds_nothing_and_removes_what_was_built(tree):
    tree.build(mode="pure")
    assert tree.outputs() == set()
    assert tree.evaluate("howdah.compiled") == "False"


@toy_build
def test_a_cython_error_names_the_module_and_spares_the_others(tree):
    tree.edit("types/_deep.py", "1 *", "1 * (")
    tree.edit("wire/bytes.py", "return 2 * x", "return x * 2")
    done = tree.build(ok=False)
    assert "error: Cython could not translate howdah.types._deep" in done.stderr
    assert "howdah/types/_deep.py:" in done.stdout + done.stderr
    assert tree.compiled_by(done) == {"howdah.wire.bytes"}
    tree.edit("types/_deep.py", "1 * (", "2 *")
    assert tree.compiled_by(tree.build()) == {"howdah.types._deep"}
    assert tree.evaluate("howdah._deep.Deep(1).answer(b'A')") == "130"


@toy_build
def test_a_module_no_longer_declared_loses_its_compiled_file(tree):
    (tree.package / "types" / "_deep.pxd").unlink()
    assert "types/_deep.pxd is gone" in tree.evaluate("howdah")
    tree.build()
    assert tree.outputs() == MODULES - {"howdah.types._deep"}


@toy_build
def test_a_mixed_build_is_refused(tree):
    (tree.package / "types" / f"_deep{SUFFIX}").unlink()
    assert "types/_deep" in tree.evaluate("howdah") and "is gone" in tree.evaluate("howdah")
    # A pair that no build has seen yet: the stamp knows nothing of it.
    tree.build()
    (tree.package / "wire" / "late.py").write_text("x = 1\n")
    (tree.package / "wire" / "late.pxd").write_text("cdef object x\n")
    tree.edit("__init__.py", "compiled = ", "from howdah.wire import late\ncompiled = ")
    error = tree.evaluate("howdah")
    assert error.startswith("ImportError: howdah: a mixed build: howdah.wire.late not compiled")
    assert tree.compiled_by(tree.build()) == {"howdah.wire.late"}
    assert tree.evaluate("howdah.compiled") == "True"


@toy_build
def test_a_package_itself_is_never_compiled(tree):
    (tree.package / "wire" / "__init__.pxd").write_text("")
    done = tree.build(ok=False)
    assert "src/howdah/wire/__init__.pxd: a package's __init__ is never compiled" in done.stderr


@toy_build
def test_an_installed_package_is_not_verified(tree, tmp_path):
    shutil.copytree(tree.package, tmp_path / "site" / "lib" / "howdah")
    installed = tmp_path / "site" / "lib" / "howdah" / "types" / "_deep.py"
    installed.write_text(installed.read_text() + "# edited\n")
    assert tree.evaluate("howdah.compiled", src=tmp_path / "site" / "lib") == "True"


@toy_build
def test_what_a_wheel_holds(tree):
    for mode, tag, expected in (("require", _build.ABI.split("-")[1], MODULES), ("pure", "none-any", set())):
        done = tree.run("setup.py", "-q", "bdist_wheel", "-d", mode, HOWDAH_BUILD=mode)
        assert done.returncode == 0, done.stdout + done.stderr
        [wheel] = (tree.root / mode).glob("*.whl")
        names = zipfile.ZipFile(wheel).namelist()
        assert tag in wheel.name
        assert {name.replace("/", ".").removesuffix(SUFFIX) for name in names if name.endswith(SUFFIX)} == expected
        assert {"howdah/py.typed", "howdah/_raw.pxd", "howdah/wire/bytes.pxd", "howdah/wire/bytes.py"} <= set(names)
        assert not [name for name in names if name.endswith((".c", ".o")) or "stamp" in name]


@pytest.mark.parametrize(("name", "value"), [("HOWDAH_BUILD", "maybe"), ("HOWDAH_DEBUG", "on")])
def test_a_misspelt_setting_is_refused(name, value):
    done = subprocess.run(
        [sys.executable, "setup.py", "--version"],
        cwd=ROOT,
        env={**os.environ, name: value},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode != 0 and f"{name} must be" in done.stderr
