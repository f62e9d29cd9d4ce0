"""README.md and docs/ are true: their examples run, print what they say, and what they link to exists.

In a page, a block marked `python` is a whole program. It connects by the one URL that the pages use, DOCUMENTED_DSN,
for which the tests' server is put in; nothing else of it is changed. A block marked `output` right behind it is
what it prints. Lines of a block marked `conninfo` are connection strings.
"""

from __future__ import annotations

import contextlib
import gc
import io
import re
import warnings
from pathlib import Path
from typing import NamedTuple

import pytest
from tests.kit.cluster import Server

import howdah
from howdah.config.conninfo import KEYS, conninfo_to_dict
from howdah.core import session as session_module

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
DOCUMENTED_DSN = "postgresql://alice:secret@db.example.net/shop"
FENCE = re.compile(r"^```(?P<kind>\w*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\((?P<target>[^)\s]+)\)")
KINDS = {"python", "output", "conninfo", "sh", "text"}


class Block(NamedTuple):
    page: str
    line: int
    kind: str
    text: str
    output: str | None  # the text of the `output` block behind it


def blocks_of(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    found = list(FENCE.finditer(text))
    blocks = []
    for match, following in zip(found, [*found[1:], None]):
        output = None
        if (
            following is not None
            and following["kind"] == "output"
            and not text[match.end() : following.start()].strip()
        ):
            output = following["text"]
        line = text.count("\n", 0, match.start()) + 2
        blocks.append(Block(page.relative_to(ROOT).as_posix(), line, match["kind"], match["text"], output))
    return blocks


BLOCKS = [block for page in PAGES for block in blocks_of(page)]
PROGRAMS = [block for block in BLOCKS if block.kind == "python"]


@pytest.mark.parametrize("block", PROGRAMS, ids=lambda block: f"{block.page}:{block.line}")
def test_program(block: Block, server: Server, no_leaks: None) -> None:
    urls = set(re.findall(r"postgres(?:ql)?://[^\"'\s]+", block.text))
    assert urls <= {DOCUMENTED_DSN}, "the pages' programs connect by one URL only"
    source = block.text.replace(f'"{DOCUMENTED_DSN}"', repr(server.dsn))
    # line numbers of an error are those of the page
    code = compile("\n" * (block.line - 1) + source, str(ROOT / block.page), "exec")
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        exec(code, {"__name__": "__main__"})
        gc.collect()
    assert not caught, [str(each.message) for each in caught]
    assert printed.getvalue() == (block.output or "")


def test_there_are_programs_and_every_output_has_one() -> None:
    assert {"README.md", "docs/index.md", "docs/connecting.md", "docs/errors.md"} <= {block.page for block in PROGRAMS}
    assert {block.kind for block in BLOCKS} <= KINDS
    outputs = [block.text for block in BLOCKS if block.kind == "output"]
    assert outputs == [block.output for block in PROGRAMS if block.output is not None]


def test_connection_strings() -> None:
    strings = [line for block in BLOCKS if block.kind == "conninfo" for line in block.text.splitlines()]
    read = [conninfo_to_dict(string) for string in strings]
    assert len(strings) >= 5
    assert all(settings.get("host") for settings in read)


def test_every_setting_is_documented() -> None:
    page = (ROOT / "docs" / "connecting.md").read_text(encoding="utf-8")
    table = [line.split("|")[1] for line in page.splitlines() if line.startswith("| `")]
    assert set(re.findall(r"`(\w+)`", " ".join(table))) == set(KEYS)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for target in (match["target"] for match in LINK.finditer(text)):
        if target.startswith("https://"):
            continue
        name, _, anchor = target.partition("#")
        file = page.parent / name if name else page
        assert file.exists(), f"{page.name} links to {target}"
        if anchor:
            headings = re.findall(r"^#+ (.+)$", file.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in {re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_named_files_exist(page: Path) -> None:
    """A path in code quotes, from the root or from the package."""
    missing = [
        name
        for name in re.findall(r"`([\w./]+/[\w./]*)`", page.read_text(encoding="utf-8"))
        if not any((base / name).exists() for base in (ROOT, ROOT / "src", ROOT / "src" / "howdah", Path("/")))
        and not name.startswith("build/")
    ]
    assert missing == []


def test_the_way_of_one_execute() -> None:
    """docs/internals.md names the files that the head of core/session.py names, in that order."""
    head = (session_module.__doc__ or "").partition("The way of one ``execute()``")[2]
    named = re.findall(r"^    (\w+/\w+\.py) ", head, re.MULTILINE)
    page = (ROOT / "docs" / "internals.md").read_text(encoding="utf-8")
    assert named
    assert re.findall(r"^\| \d+ \| `(\w+/\w+\.py)` \|", page, re.MULTILINE) == named


def test_readme_leaves_room_for_the_measured_table() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert re.findall(r"<!-- /?bench -->", text) == ["<!-- bench -->", "<!-- /bench -->"]


# What the README says is not built; the day it is, the README has to change too.
ABSENT = {
    "howdah": ["retry", "copy"],
    "connection": ["transaction", "pipeline", "notifies", "xid", "adapters"],
    "cursor": ["copy"],
}


def test_what_is_not_built_is_not_there() -> None:
    things = {"howdah": howdah, "connection": howdah.Connection, "cursor": howdah.Cursor}
    there = [f"{owner}.{name}" for owner, names in ABSENT.items() for name in names if hasattr(things[owner], name)]
    assert there == [], 'README.md lists these under "What is not built yet"'


def test_environment_variables_stand_in(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("PGHOST", "192.0.2.1"), ("PGPORT", "1"), ("PGUSER", "nobody"), ("PGPASSWORD", "x")):
        monkeypatch.setenv(name, value)
    with howdah.connect(server.dsn) as conn:
        assert conn.info.port == server.params["port"]
    names = {"PGHOST": "host", "PGPORT": "port", "PGUSER": "user", "PGPASSWORD": "password", "PGDATABASE": "dbname"}
    for name, key in names.items():
        monkeypatch.setenv(name, str(server.params[key]))
    with howdah.connect() as conn:
        assert conn.info.port == server.params["port"]
    assert conninfo_to_dict("") == {}
