"""tools/unasync.py: what it changes, leaves alone and refuses; and that its results are up to date."""

from __future__ import annotations

import ast
import importlib.util
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOOL = ROOT / "tools" / "unasync.py"


def load_tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("unasync", TOOL)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


unasync = load_tool()
HEADER = unasync.SOURCE_HEADER + "\n"

# Uses every rule once, and what must stay as it is.
SAMPLE = (
    HEADER
    + '''\
"""The face of `AsyncThing`: callers await the answer, an async world; 世界.

    async with AsyncThing() as thing:
        async for row in thing:
            await thing.close(await thing.read())
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

from .._async import _pair
from ._pair import Lock, spawn

__all__ = ["AsyncThing", "_AsyncPart", 'howdah._async.thing', "AsyncThing[Row]"]

LEFT_ALONE = ["an AsyncThing is closed", "await it()", r"async\\d+", b"await", "MyAsyncThing", "世界 Async"]
TEXTS = {name: f"{name!r:>{2 + 3}} 世界 {'x'}" for name in x}; after = "AsyncThing"  # AsyncThing, await f()


class AsyncThing(_AsyncPart[Row]):
    size: int = 3
    """How many AsyncThing there are."""

    async def __aenter__(self) -> AsyncThing:  # `async with` begins
        """Await `AsyncThing` and async with care."""
        return self

    async def __aexit__(self, *_: object) -> None: await self.close(); self.x = await self.read(1)

    def __aiter__(self) -> AsyncIterator[int]:
        return self

    async def __anext__(self) -> int:
        async with self._lock, AsyncThing() as (
            thing
        ):
            rows = [row async for row in thing if await row.good]
        return (
            await thing.read(
                await other.read(),
            )
            or await   super().more()
        )
        raise StopAsyncIteration

    async def close(self) -> None:
        await spawn(self.read, 1)
        await self.inner.aclose()

        async def inner() -> None:
            yield_ = lambda: (yield)
            return await f()
'''
)

RESULT = '''\
"""The face of `Thing`: callers await the answer, an async world; 世界.

    with Thing() as thing:
        for row in thing:
            thing.close(thing.read())
"""

from __future__ import annotations

from collections.abc import Iterator, Iterator

from .._sync import _pair
from ._pair import Lock, spawn

__all__ = ["Thing", "_Part", 'howdah._sync.thing', "Thing[Row]"]

LEFT_ALONE = ["an AsyncThing is closed", "await it()", r"async\\d+", b"await", "MyAsyncThing", "世界 Async"]
TEXTS = {name: f"{name!r:>{2 + 3}} 世界 {'x'}" for name in x}; after = "Thing"  # Thing, f()


class Thing(_Part[Row]):
    size: int = 3
    """How many Thing there are."""

    def __enter__(self) -> Thing:  # `with` begins
        """Await `Thing` and with care."""
        return self

    def __exit__(self, *_: object) -> None: self.close(); self.x = self.read(1)

    def __iter__(self) -> Iterator[int]:
        return self

    def __next__(self) -> int:
        with self._lock, Thing() as (
            thing
        ):
            rows = [row for row in thing if row.good]
        return (
            thing.read(
                other.read(),
            )
            or super().more()
        )
        raise StopIteration

    def close(self) -> None:
        spawn(self.read, 1)
        self.inner.close()

        def inner() -> None:
            yield_ = lambda: (yield)
            return f()
'''


def translate(body: str, is_shell: bool = True) -> str:
    """The result for a source with this body, without the header."""
    result: str = unasync.Translator().translate(HEADER + body, "a.py", "a.py", is_shell)
    return result.partition("\n")[2]


def refusal(body: str, is_shell: bool = True) -> str:
    """Why a source with this body is refused, without the file."""
    with pytest.raises(unasync.SourceError) as caught:
        translate(body, is_shell)
    return str(caught.value).removeprefix("a.py:")


def make_checkout(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def run_tool(root: Path, *options: str, python: str = sys.executable) -> tuple[int, str]:
    done = subprocess.run(
        [python, "-B", str(TOOL), "--root", str(root), *options], capture_output=True, text=True, timeout=120
    )
    return done.returncode, done.stdout + done.stderr


def pythons() -> list[str]:
    """The interpreters of supported versions that are here: this one, those on the path, pyenv's."""
    found = {f"{sys.version_info[0]}.{sys.version_info[1]}": sys.executable}
    for minor in range(10, 15):
        version = f"3.{minor}"
        candidates = [shutil.which(f"python{version}")]
        candidates += map(str, Path.home().glob(f".pyenv/versions/{version}.*/bin/python"))
        for candidate in filter(None, candidates):
            probe = [candidate, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
            done = subprocess.run(probe, capture_output=True, text=True, timeout=60)
            if done.stdout.strip() == version:
                found.setdefault(version, candidate)
    return list(found.values())


def test_results_are_up_to_date() -> None:
    code, output = run_tool(ROOT, "--check")
    assert (code, output) == (0, "")


def test_sample() -> None:
    translator = unasync.Translator()
    result = translator.translate(SAMPLE, "a.py", "src/howdah/_async/a.py", True)
    header, _, body = result.partition("\n")
    assert header == "# Generated by tools/unasync.py from src/howdah/_async/a.py: edit that file."
    assert body == RESULT
    assert translator.unused() == []


def test_every_python_gives_the_same_bytes(tmp_path: Path) -> None:
    results = {}
    for python in pythons():
        root = tmp_path / str(len(results))
        make_checkout(root, {"src/howdah/_async/a.py": SAMPLE, "tests/server/aio/test_a.py": SAMPLE})
        assert run_tool(root, python=python) == (0, "")
        results[python] = [
            (root / "src/howdah/_sync/a.py").read_bytes().partition(b"\n")[2],
            (root / "tests/server/sync/test_a.py").read_bytes().partition(b"\n")[2],
        ]
    assert set(map(tuple, results.values())) == {(RESULT.encode(), RESULT.encode())}


def test_a_no_async_generators_in_the_shell() -> None:
    body = "async def rows(self):\n    yield 1\n"
    assert refusal(body) == "2: rows is an async generator: write a class with __anext__ and aclose"
    assert translate(body, is_shell=False) == "def rows(self):\n    yield 1\n"
    assert "generator expression" in refusal("async def f():\n    return (x async for x in y)\n")
    assert translate("async def f():\n    return [x async for x in y]\n") == "def f():\n    return [x for x in y]\n"
    nested = "async def f():\n    def g():\n        yield 1\n    return g\n"
    assert translate(nested) == nested.replace("async ", "")


@pytest.mark.parametrize("quote", ['"', "'''"])
@pytest.mark.parametrize(
    "code", ["{await f()}", "{AsyncThing}", "{[x async for x in y]}", "{x.__anext__}", "AsyncThing"]
)
@pytest.mark.parametrize("prefix", ["f", "rF", "Rf"])
def test_b_nothing_to_translate_inside_fstrings(prefix: str, quote: str, code: str) -> None:
    body = f"async def f(x, y):\n    return {prefix}{quote}a {code} b{quote}\n"
    assert re.fullmatch(r"3: no \w+ inside an f-string: put the value in a variable first", refusal(body))


def test_b_other_fstrings_are_left_alone() -> None:
    body = 'async def f():\n    return f"{x!r:>{y}} {{AsynCThing}} {\'x\' + z}" f"asynchronous"\n'
    assert translate(body) == body.replace("async def", "def")


def test_c_await_stands_directly_before_its_call() -> None:
    assert translate("async def f():\n    x = await a.b[0].c(await d())\n") == "def f():\n    x = a.b[0].c(d())\n"
    assert translate("async def f():\n    await a.b\n") == "def f():\n    a.b\n"
    assert "never store an awaitable" in refusal("async def f(task):\n    await task\n")
    assert "never store an awaitable" in refusal("async def f(tasks):\n    await tasks[0]\n")
    assert "3: await must stand directly before a name" in refusal("async def f(g):\n    await (g())\n")
    assert "3: await must stand on the line" in refusal("async def f(g):\n    return (await\n        g())\n")
    assert "3: await must stand on the line" in refusal("async def f(g):\n    return (await  # why\n        g())\n")
    assert "2: async must stand on the line" in refusal("async \\\ndef f():\n    pass\n")


@pytest.mark.parametrize("name", ["spawn", "gather", "_pair.spawn"])
def test_c_spawn_takes_the_function(name: str) -> None:
    assert "takes the function" in refusal(f"async def f(g):\n    {name}(g())\n")
    for good in (f"{name}(g, int(1))", f"{name}(partial(g, 1))", f"{name}()"):
        assert translate(f"async def f(g):\n    {good}\n") == f"def f(g):\n    {good}\n"


@pytest.mark.parametrize("name", ["Awaitable", "Coroutine", "AsyncGenerator"])
def test_d_results_of_callbacks_are_typed_by_pair(name: str) -> None:
    assert refusal(f"from collections.abc import {name}\n").startswith(f"2: no {name} here: ")
    assert refusal(f"x: abc.{name}[int]\n").startswith(f"2: no {name} here: ")


def test_e_docstrings_and_strings_that_are_names() -> None:
    assert translate('"""See `await f(x)`; we await f."""\n') == '"""See `f(x)`; we await f."""\n'
    assert translate('x = 1\n"""An AsyncThing."""\n') == 'x = 1\n"""An Thing."""\n'
    assert translate('x = """An AsyncThing."""\n') == 'x = """An AsyncThing."""\n'
    assert translate('x = cast("AsyncThing[a.Row | None]", y)\n') == 'x = cast("Thing[a.Row | None]", y)\n'
    assert translate('x = "_async", "__aenter__"\n') == 'x = "_sync", "__enter__"\n'


def test_e_a_name_with_and_without_async() -> None:
    assert refusal("from a import Thing, AsyncThing\n") == (
        "2: both AsyncThing and Thing occur: they would become the same name"
    )
    assert refusal("x: AbstractAsyncContextManager\n").startswith("2: no rule covers AbstractAsyncContextManager")


def test_f_no_line_moves() -> None:
    result = unasync.Translator().translate(SAMPLE, "a.py", "a.py", True)
    assert result.count("\n") == SAMPLE.count("\n")
    before = [node.lineno for node in ast.walk(ast.parse(SAMPLE)) if isinstance(node, ast.stmt)]
    after = [node.lineno for node in ast.walk(ast.parse(result)) if isinstance(node, ast.stmt)]
    assert before == after


@pytest.mark.parametrize("text", ["", "x = 1\n", '"""Text."""\n', "\n" + HEADER])
def test_f_every_source_has_the_header(text: str) -> None:
    with pytest.raises(unasync.SourceError, match=re.escape(f"a.py:1: the first line must be: {HEADER[:-1]}")):
        unasync.Translator().translate(text, "a.py", "a.py", True)


def test_f_formatters_and_linters_skip_the_results() -> None:
    excluded = re.search(
        r"^extend-exclude = \[(.*?)\]", (ROOT / "pyproject.toml").read_text(), re.DOTALL | re.MULTILINE
    )
    assert excluded is not None
    for tree in unasync.TREES:
        assert f'"{tree.target}"' in excluded[1]


@pytest.mark.parametrize(
    "body",
    [
        "import asyncio\n",
        "from asyncio import timeout\n",
        "import threading\n",
        "import a, time\n",
        "from time import sleep\n",
        "import socket\n",
        "from concurrent.futures import Future\n",
        "x = TaskGroup()\n",
        "task.uncancel()\n",
        "async def f(lock):\n\n    await lock.acquire()\n",
    ],
)
def test_g_what_differs_comes_from_pair(body: str) -> None:
    assert re.match(r"[24]: .*(_pair)", refusal(body))


def test_h_tests_have_no_marks() -> None:
    body = "@pytest.mark.asyncio\nasync def test_x():\n    pass\n"
    assert refusal(body, is_shell=False).startswith("2: no asyncio here: ")
    assert refusal(body.replace("asyncio", "anyio"), is_shell=False).startswith("2: no anyio here: ")
    body = "async def test_x(dsn):\n    conn = await howdah.AsyncConnection.connect(dsn)\n    time.sleep(1)\n"
    assert translate(body, is_shell=False) == (
        "def test_x(dsn):\n    conn = howdah.Connection.connect(dsn)\n    time.sleep(1)\n"
    )


def test_syntax_errors_have_a_place() -> None:
    assert re.match(r"3: ", refusal("x = 1\ny = = 2\n"))
    assert refusal("x = 1\r\n") == "1: lines must end in \\n alone, and no form feeds"


def test_whole_run(tmp_path: Path) -> None:
    make_checkout(
        tmp_path,
        {
            "src/howdah/_async/a.py": SAMPLE,
            "src/howdah/_async/deep/b.py": HEADER + "x = 1\n",
            "src/howdah/_async/_pair.py": "import asyncio\n",
            "src/howdah/_sync/_pair.py": "import threading\n",
        },
    )
    code, output = run_tool(tmp_path, "--check")
    assert code == 1
    assert output.splitlines() == [
        "src/howdah/_sync/a.py:1: out of date: run tools/unasync.py",
        "src/howdah/_sync/deep/b.py:1: out of date: run tools/unasync.py",
    ]
    assert not (tmp_path / "src/howdah/_sync/a.py").exists()
    assert run_tool(tmp_path) == (0, "")
    assert run_tool(tmp_path, "--check") == (0, "")
    assert (tmp_path / "src/howdah/_sync/_pair.py").read_text() == "import threading\n"

    # A source goes: its result is stale, then removed; a hand-written file in its place is not.
    (tmp_path / "src/howdah/_async/deep/b.py").unlink()
    code, output = run_tool(tmp_path, "--check")
    assert (code, output) == (1, "src/howdah/_sync/deep/b.py:1: has no source src/howdah/_async/deep/b.py\n")
    assert run_tool(tmp_path) == (0, "")
    assert not (tmp_path / "src/howdah/_sync/deep/b.py").exists()
    make_checkout(tmp_path, {"src/howdah/_sync/mine.py": "x = 1\n"})
    assert run_tool(tmp_path) == (1, "src/howdah/_sync/mine.py:1: has no source src/howdah/_async/mine.py\n")
    make_checkout(tmp_path, {"src/howdah/_async/mine.py": HEADER + "x = 2\n"})
    code, output = run_tool(tmp_path)
    assert (code, "written by hand?" in output) == (1, True)
    assert (tmp_path / "src/howdah/_sync/mine.py").read_text() == "x = 1\n"


def test_a_refused_source_is_not_written(tmp_path: Path) -> None:
    make_checkout(tmp_path, {"src/howdah/_async/a.py": SAMPLE, "src/howdah/_async/b.py": "x = 1\n"})
    code, output = run_tool(tmp_path)
    assert (code, output.startswith("src/howdah/_async/b.py:1: the first line must be: #")) == (1, True)
    assert not (tmp_path / "src/howdah/_sync/b.py").exists()


def test_an_unused_rule_is_an_error(tmp_path: Path) -> None:
    make_checkout(tmp_path, {"src/howdah/_async/a.py": SAMPLE.replace("StopAsyncIteration", "StopIteration")})
    code, output = run_tool(tmp_path)
    assert code == 1
    assert output == "tools/unasync.py:1: no source needs the rule StopAsyncIteration: remove it\n"
