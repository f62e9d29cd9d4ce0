"""The layers of the package hold, and tools/check_layers.py would notice if they did not."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]


def load_tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("check_layers", ROOT / "tools" / "check_layers.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


check_layers = load_tool()

# A small package with every kind of allowed import.
GOOD = {
    "__init__.py": "from howdah._async.connection import AsyncConnection\nfrom . import errors\n",
    "errors.py": "TYPE_CHECKING = False\nif TYPE_CHECKING:\n    from .core.session import Session\n",
    "wire/__init__.py": "",
    "wire/bytes.py": "from howdah.errors import Error\n",
    "wire/bytes.pxd": "cimport cython\nfrom libc.string cimport memcpy\n",
    "wire/inbuf.py": "import os.path, struct\nfrom . import bytes\nfrom ..errors import Error\n",
    "wire/inbuf.pxd": "from howdah.wire.bytes cimport (  # why\n    read_i32,\n    read_u32,\n)\n",
    "core/__init__.py": "",
    "core/session.py": "from howdah.wire import inbuf\nfrom howdah.core.state import State\n",
    "core/state.py": "def f():\n    from howdah.core.session import Session\n    return Session\n",
    "net/__init__.py": "",
    "net/blocking.py": "import socket\nimport howdah.core.session\n",
    "_async/__init__.py": "",
    "_async/connection.py": "import asyncio\nfrom ..net.blocking import dial\nfrom .. import errors\n",
    "observe/__init__.py": "import logging\nfrom howdah import errors, AsyncConnection\nfrom . import _own\n",
    "observe/_own.py": "",
}


def complaints(tmp_path: Path, changed: dict[str, str] | None = None) -> list[str]:
    """What the tool says of GOOD with some files changed or added."""
    package = tmp_path / "src" / "howdah"
    for name, text in {**GOOD, **(changed or {})}.items():
        file = package / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    found: list[str] = check_layers.check(package)
    return [line.removeprefix("src/howdah/") for line in found]


def test_the_package() -> None:
    assert check_layers.check(ROOT / "src" / "howdah") == []


def test_good(tmp_path: Path) -> None:
    assert complaints(tmp_path) == []


@pytest.mark.parametrize(
    "statement",
    [
        "from howdah.core.session import Session",
        "from howdah.core import session",
        "from howdah.core import *",
        "import howdah.core.session",
        "import os, howdah.core.session as s",
        "from ..core.session import Session",
        "from ..core import session",
        "def f():\n    from ..core import session",
        "if True:\n    import howdah.core.session",
        "if TYPE_CHECKING:\n    pass\nelse:\n    import howdah.core.session",
        "try:\n    import howdah.core.session\nexcept ImportError:\n    pass",
        "class A:\n    import howdah.core.session",
    ],
)
def test_upward_imports(tmp_path: Path, statement: str) -> None:
    found = complaints(tmp_path, {"wire/new.py": statement})
    line = next(number for number, text in enumerate(statement.split("\n"), 1) if "core" in text)
    assert len(found) == 1
    assert found[0].startswith(f"wire/new.py:{line}: howdah.wire.new (layer 0) must not import howdah.core")
    assert found[0].endswith("(layer 2)")


def test_the_public_package_is_above_the_core(tmp_path: Path) -> None:
    assert complaints(tmp_path, {"core/new.py": "from howdah import AsyncConnection"}) == [
        "core/new.py:1: howdah.core.new (layer 2) must not import howdah (layer 4)"
    ]
    assert complaints(tmp_path, {"core/new.py": "from howdah import errors"}) == []


@pytest.mark.parametrize(
    "statement",
    [
        "from howdah.core.session cimport Session",
        "from howdah.core cimport session",
        "cimport howdah.core.session",
        "from ..core.session cimport Session as S",
        "from howdah.core.session cimport (\n    Session,\n)",
    ],
)
def test_upward_cimports(tmp_path: Path, statement: str) -> None:
    text = f'cdef extern from *:\n    """\n    from howdah.net cimport x\n    """\n{statement}\n'
    assert complaints(tmp_path, {"wire/new.pxd": text}) == [
        "wire/new.pxd:5: howdah.wire.new (layer 0) must not import howdah.core.session (layer 2)"
    ]


def test_circles(tmp_path: Path) -> None:
    found = complaints(tmp_path, {"core/state.py": "import os\nfrom .session import Session\n"})
    circle = "howdah.core.session -> howdah.core.state -> howdah.core.session"
    assert found == [f"core/session.py:2: a circle of imports: {circle}"]


def test_circles_through_cimports(tmp_path: Path) -> None:
    found = complaints(tmp_path, {"wire/bytes.pxd": "from howdah.wire.inbuf cimport InBuf\n"})
    assert len(found) == 1
    assert "a circle of imports: howdah.wire.inbuf -> howdah.wire.bytes -> howdah.wire.inbuf" in found[0]


def test_circles_through_a_package(tmp_path: Path) -> None:
    files = {"core/__init__.py": "from .state import x", "core/state.py": "import howdah.core"}
    found = complaints(tmp_path, files)
    assert found == ["core/state.py:1: a circle of imports: howdah.core.state -> howdah.core -> howdah.core.state"]


@pytest.mark.parametrize("package", ["wire", "core"])
@pytest.mark.parametrize(
    "statement",
    [
        "import socket",
        "import asyncio.events",
        "from logging import getLogger",
        "def f():\n    from time import monotonic",
    ],
)
def test_no_io_and_no_clock_below(tmp_path: Path, package: str, statement: str) -> None:
    found = complaints(tmp_path, {f"{package}/new.py": statement})
    assert len(found) == 1
    assert f"{package} does no I/O and has no clock" in found[0]


@pytest.mark.parametrize(
    "statement",
    [
        "from howdah.core import session",
        "from howdah._async.connection import AsyncConnection",
        "import howdah.wire.bytes",
    ],
)
def test_observers_use_public_names(tmp_path: Path, statement: str) -> None:
    found = complaints(tmp_path, {"observe/log.py": statement})
    assert len(found) == 1
    assert "observe/log.py:1: observe uses public names only" in found[0]


def test_every_module_has_a_layer(tmp_path: Path) -> None:
    assert complaints(tmp_path, {"newcomer.py": ""}) == [
        "newcomer.py:1: newcomer has no layer: add it to LAYERS in tools/check_layers.py"
    ]
    (tmp_path / "src" / "howdah" / "newcomer.py").unlink()
    assert complaints(tmp_path, {"core/new.py": "import howdah.nowhere"}) == [
        "core/new.py:1: howdah.nowhere is no module with a layer"
    ]


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert complaints(tmp_path) == []
    package = str(tmp_path / "src" / "howdah")
    assert check_layers.main([package]) == 0
    (tmp_path / "src" / "howdah" / "errors.py").write_text("import howdah.net.blocking\n")
    assert check_layers.main([package]) == 1
    assert "src/howdah/errors.py:1: howdah.errors (layer 0) must not import" in capsys.readouterr().out
