"""The public API is what tests/meta/api_snapshot.txt says: it changes only on purpose."""

from __future__ import annotations

import difflib
import importlib.util
import sys
from enum import IntEnum
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parents[2]


def load_tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("api_snapshot", ROOT / "tools" / "api_snapshot.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


api_snapshot = load_tool()


def test_snapshot() -> None:
    kept = api_snapshot.SNAPSHOT.read_text(encoding="utf-8").splitlines()
    now = api_snapshot.render().splitlines()
    changes = [
        line
        for line in difflib.unified_diff(kept, now, "api_snapshot.txt", "the code", lineterm="", n=0)
        if not line.startswith("@@")
    ]
    assert changes == [], "if this is meant, run tools/api_snapshot.py --write and say it in CHANGELOG.md"


def test_every_public_name_exists_and_has_a_docstring() -> None:
    undocumented = [
        f"{module.__name__}.{name}"
        for module in api_snapshot.public_modules()
        for name in module.__all__
        if (value := getattr(module, name)) is not None
        and (isinstance(value, type) or callable(value))
        and api_snapshot.is_ours(value)
        and not value.__doc__
    ]
    assert undocumented == []


class Colour(IntEnum):
    RED = 1


class Base:
    def inherited(self, x: int = 3) -> int:
        return x


class Sample(Base):
    LIMIT = 5

    def __init__(self, a: int, *, b: str = "x") -> None:
        self.a = a

    @property
    def fixed(self) -> int:
        return 1

    @property
    def free(self) -> int:
        return 1

    @free.setter
    def free(self, value: int) -> None:
        pass

    @classmethod
    def make(cls, *args: int) -> Sample:
        return cls(1)

    @staticmethod
    def helper(y: int) -> int:
        return y

    async def run(self, sentinel: object = object()) -> None:
        pass

    def _private(self) -> None:
        pass


def test_what_is_written() -> None:
    for thing in (Colour, Base, Sample):
        thing.__module__ = "howdah.sample"
    assert list(api_snapshot.describe("Sample", Sample)) == [
        "class Sample(a, *, b='x'): Base",
        "    attribute LIMIT",
        "    property fixed",
        "    property free (can be set)",
        "    staticmethod def helper(y)",
        "    def inherited(self, x=3)",
        "    classmethod def make(cls, *args)",
        "    async def run(self, sentinel=<object object>)",
    ]
    own = list(api_snapshot.describe("Sample", Sample, frozenset({Base, Sample})))
    assert "    def inherited(self, x=3)" not in own
    assert "    property fixed" in own
    assert list(api_snapshot.describe("Colour", Colour)) == ["class Colour: IntEnum", "    RED = 1"]
    assert list(api_snapshot.describe("apilevel", "2.0")) == ["apilevel = '2.0'"]
    assert list(api_snapshot.describe("TABLE", {})) == ["TABLE: dict"]
    assert list(api_snapshot.describe("load", load_tool)) == ["def load()"]
    assert list(api_snapshot.describe("sys", sys)) == ["module sys"]


def test_the_snapshot_can_be_rewritten(tmp_path: Path) -> None:
    path = tmp_path / "tests" / "snapshot.txt"
    path.parent.mkdir()
    tool = load_tool()
    tool.ROOT, tool.SNAPSHOT = tmp_path, path
    before = list(sys.path)
    try:
        assert tool.main(["--write"]) == 0
    finally:
        sys.path[:] = before
    assert path.read_text(encoding="utf-8") == tool.render()
    assert "[howdah.errors]" in path.read_text(encoding="utf-8")
