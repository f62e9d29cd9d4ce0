"""The .pxd files say the same as the .py files beside them, and both builds look the same from Python.

Read as text: attributes of `cdef class` against `__slots__`, and no raw pointer where Python could pass one.
Run, once for each build: no compiled class can be pickled (the fields of a C structure would be lost), and
functions and methods take the same parameters.
"""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
SRC = ROOT / "src"
PAIRS = sorted(path for path in (SRC / "howdah").rglob("*.pxd") if path.with_suffix(".py").exists())
IDS = [path.relative_to(SRC).with_suffix("").as_posix() for path in PAIRS]


@dataclass
class Declarations:
    """What a .pxd declares: attributes by class, names that only C sees, and raw pointers open to Python."""

    attributes: dict[str, set[str]] = field(default_factory=dict)
    hidden: set[str] = field(default_factory=set)
    exposed_pointers: list[str] = field(default_factory=list)


def logical_lines(text: str) -> list[str]:
    """The lines of a .pxd without comments and strings; what stands in brackets is joined to one line."""
    text = re.sub(r'""".*?"""', "", text, flags=re.DOTALL)
    text = re.sub(r'"[^"\n]*"', '""', text)
    text = re.sub(r"#[^\n]*", "", text)
    lines: list[str] = []
    depth = 0
    for line in text.split("\n"):
        if depth:
            lines[-1] += " " + line.strip()
        else:
            lines.append(line.rstrip())
        depth += line.count("(") + line.count("[") - line.count(")") - line.count("]")
    return [line for line in lines if line.strip()]


def read_pxd(text: str) -> Declarations:
    found = Declarations()
    owner: str | None = None  # the cdef class that the line belongs to
    skipped_from: int | None = None  # the indentation of a block that is not ours: cdef extern, struct, enum
    block = ""  # "cdef ", "cdef public " and so on, inside a `cdef:` block
    block_from = 0
    for line in logical_lines(text):
        indent = len(line) - len(line.lstrip())
        line = line.strip()
        if skipped_from is not None:
            if indent > skipped_from:
                function = re.match(r'[^()]*?(\w+)\s*(?:"")?\s*\(', line)
                if function:  # one of C, for which the .py file may have a twin of its own
                    found.hidden.add(function[1])
                continue
            skipped_from = None
        if block and indent <= block_from:
            block = ""
        if indent == 0:
            owner = None
        if re.match(r"c(p?def|typedef)\s.*\b(extern|struct|union|enum|fused)\b.*:$", line):
            skipped_from = indent
            continue
        header = re.match(r"cdef\s+(?:public\s+|api\s+)*class\s+(\w+)", line)
        if header:
            owner = header[1]
            found.attributes[owner] = set()
            continue
        if re.fullmatch(r"cdef(\s+(public|readonly|inline))?\s*:", line):
            block, block_from = line[:-1].strip() + " ", indent
            continue
        read_declaration(block + line, owner, found)
    return found


def read_declaration(line: str, owner: str | None, found: Declarations) -> None:
    """Note one declaration: an attribute, a method, a function or a variable."""
    match = re.match(r"(cp?def)\s+((?:public\s+|readonly\s+|inline\s+|api\s+)*)(.*)", line)
    if match is None:
        return
    keyword, modifiers, rest = match[1], match[2], match[3]
    # "=*" marks an optional parameter, "except *" an error check: neither is a pointer.
    bare = re.sub(r"=\s*\*|except\s*\*", "", rest)
    if "*" in bare and (keyword == "cpdef" or "public" in modifiers or "readonly" in modifiers):
        found.exposed_pointers.append(line)
    function_pointer = re.match(r"[^()]*\(\s*\*\s*(\w+)\s*\)", bare)
    if function_pointer:
        names = [function_pointer[1]]
    elif "(" in bare:
        if keyword == "cdef":
            name = re.search(r"(\w+)\s*\(", bare)
            assert name is not None, line
            found.hidden.add(f"{owner}.{name[1]}" if owner else name[1])
        return
    else:
        without_arrays = re.sub(r"\[[^\]]*\]", "", bare.partition("=")[0])
        names = [re.findall(r"\w+", part)[-1] for part in without_arrays.split(",")]
    if owner:
        found.attributes[owner].update(names)


def read_slots(text: str) -> dict[str, set[str] | None]:
    """The names in `__slots__` of each class at the top of a .py file; None for a class without them."""
    classes: dict[str, set[str] | None] = {}
    for node in ast.parse(text).body:
        if isinstance(node, ast.ClassDef):
            classes[node.name] = None
            for statement in node.body:
                if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "__slots__":
                    value = ast.literal_eval(statement.value)
                    classes[node.name] = {value} if isinstance(value, str) else set(value)
    return classes


# Prints what Python sees of the modules given: {"origins": [], "picklable": [], "signatures": {}}.
DUMP = """
import copy, importlib, inspect, json, pickle, sys
import howdah

def parameters(thing):
    try:
        signature = inspect.signature(thing)
    except (TypeError, ValueError) as error:
        return str(error)
    found = signature.parameters.values()
    return [(p.name, p.kind.name, None if p.default is p.empty else repr(p.default)) for p in found]

def fails(action, thing):
    try:
        action(thing)
    except TypeError:
        return True
    except Exception:
        return False
    return False

picklable, signatures, origins = [], {}, []
for name, c_classes in json.loads(sys.argv[1]).items():
    module = importlib.import_module(name)
    origins.append(module.__spec__.origin)
    for key, value in vars(module).items():
        if getattr(value, "__module__", None) != name or key.startswith("__"):
            continue
        if isinstance(value, type):
            for member in vars(value):
                if not member.startswith("__") and callable(getattr(value, member)):
                    signatures[f"{name}:{key}.{member}"] = parameters(getattr(value, member))
        elif callable(value) and hasattr(value, "__name__"):
            signatures[f"{name}:{key}"] = parameters(value)
    for key in c_classes:
        thing = getattr(module, key).__new__(getattr(module, key))
        for action in (pickle.dumps, copy.copy, lambda thing: thing.__reduce__()):
            if not fails(action, thing):
                picklable.append(f"{name}:{key}")
print(json.dumps({"origins": origins, "picklable": picklable, "signatures": signatures}))
"""


def module_name(pxd: Path) -> str:
    return ".".join(pxd.relative_to(SRC).with_suffix("").parts)


@lru_cache
def dump(pure: bool) -> dict[str, Any]:
    """What Python sees of one build, asked of another process."""
    c_classes = {module_name(pxd): sorted(read_pxd(pxd.read_text()).attributes) for pxd in PAIRS}
    environment = {**os.environ, "HOWDAH_PURE": "1" if pure else "0", "PYTHONPATH": str(SRC)}
    done = subprocess.run(
        [sys.executable, "-c", DUMP, json.dumps(c_classes)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    suffixes = (".py",) if pure else tuple(EXTENSION_SUFFIXES)
    assert all(origin.endswith(suffixes) for origin in answer["origins"])
    return answer


def is_compiled() -> bool:
    """Whether compiled modules for this Python lie beside the sources."""
    return any(pxd.with_suffix(suffix).exists() for pxd in PAIRS for suffix in EXTENSION_SUFFIXES)


BUILDS = [pytest.param(True, id="pure")]
if is_compiled():
    BUILDS.append(pytest.param(False, id="compiled"))


@pytest.mark.parametrize("pxd", PAIRS, ids=IDS)
def test_attributes_are_the_slots(pxd: Path) -> None:
    declared = read_pxd(pxd.read_text()).attributes
    slots = read_slots(pxd.with_suffix(".py").read_text())
    assert {name: slots.get(name) for name in declared} == declared


@pytest.mark.parametrize("pxd", PAIRS, ids=IDS)
def test_no_raw_pointer_is_open_to_python(pxd: Path) -> None:
    assert read_pxd(pxd.read_text()).exposed_pointers == []


@pytest.mark.parametrize("pure", BUILDS)
def test_no_compiled_class_can_be_pickled_or_copied(pure: bool) -> None:
    assert dump(pure)["picklable"] == []


@pytest.mark.skipif(not is_compiled(), reason="nothing is compiled for this Python")
def test_both_builds_take_the_same_parameters() -> None:
    pure, compiled = dump(True)["signatures"], dump(False)["signatures"]
    for pxd in PAIRS:
        for hidden in read_pxd(pxd.read_text()).hidden:
            pure.pop(f"{module_name(pxd)}:{hidden}", None)
    assert len(compiled) > 20
    assert compiled == pure


def test_reader_of_declarations() -> None:
    """The reader itself, on every form it has to know."""
    found = read_pxd(
        '''
cimport cython
from a cimport (
    b, c,
)

cdef extern from *:
    """
    cdef class NotMine:
    """
    int length(char *text)
    object make "c_make"(int x)
    cdef class Nor_This:
        cdef int x

cdef enum Kind:
    ONE, TWO

cdef struct Pair:
    char *first

cdef int LIMIT = 3
cdef object FIRST, SECOND
ctypedef int (*compare_t)(const void *, const void *)

@cython.final
cdef class Point(Base):  # with a base
    cdef readonly object x, y
    cdef public Py_ssize_t size
    cdef const unsigned char *data
    cdef int table[4]
    cdef object (*call)(char *, int)
    cdef dict __dict__
    cdef:
        int a
        bint b, c

    @cython.locals(i=int, p="char *")
    cpdef object get(self, Py_ssize_t at, bint strict=*) except *
    cdef object peek(
        self, const unsigned char *data,
    )
    cdef inline int fast(self) noexcept

cdef class Empty:
    pass

cdef inline int helper(char *p)
cpdef int open(object p)
'''
    )
    assert found.attributes == {
        "Point": {"x", "y", "size", "data", "table", "call", "__dict__", "a", "b", "c"},
        "Empty": set(),
    }
    assert found.hidden == {"Point.peek", "Point.fast", "helper", "length", "make"}
    assert found.exposed_pointers == []


@pytest.mark.parametrize(
    "declaration",
    [
        "cpdef int f(const unsigned char *data, int pos)",
        "cpdef char *f(self)",
        "cdef public char *data",
        "cdef readonly unsigned char * data",
        "cpdef object f(\n        self,\n        char *data,\n    )",
    ],
)
def test_reader_finds_raw_pointers(declaration: str) -> None:
    assert len(read_pxd(f"cdef class A:\n    {declaration}\n").exposed_pointers) == 1
