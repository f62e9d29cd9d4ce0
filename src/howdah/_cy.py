"""What ``cython.xxx`` means when a compiled module's ``.py`` file runs uncompiled.

The few modules that name Cython at all (the leaves that touch raw memory) begin with::

    TYPE_CHECKING = False
    if TYPE_CHECKING:
        import cython  # read by the Cython compiler and by type checkers, never run
    else:
        from howdah import _cy as cython

The Cython compiler takes the name ``cython`` from the ``import`` it reads, dead branch or not, and turns
``cython.compiled`` into a compile-time constant. What *runs* is always this file: Cython need not be
installed, and where it is installed its own (slow to import) stand-in is not loaded. Do not add ``from typing
import TYPE_CHECKING``: the plain assignment costs nothing and every type checker knows the name.

Only what the modules use is here. Nothing in this file converts, wraps or truncates: ``cast`` hands its
value back.
"""

from __future__ import annotations

compiled = False


def _unchanged(thing):
    return thing


def _decorator_with_options(*_args, **_options):
    return _unchanged


class _Type:
    """Stands for a C type: subscripted (array, pointer) or called (a conversion) it changes nothing."""

    __slots__ = ("name",)

    def __init__(self, name):
        self.name = name

    def __getitem__(self, _item):
        return self

    def __call__(self, value=0):
        return value

    def __repr__(self):
        return f"<C type {self.name}, not compiled>"


# Decorators without arguments.
cclass = ccall = cfunc = inline = final = nogil = internal = _unchanged

# Decorators with arguments.
locals = returns = exceptval = freelist = boundscheck = wraparound = initializedcheck = _decorator_with_options
cdivision = infer_types = _decorator_with_options


def cast(_type, value, **_options):
    """The value itself: uncompiled code has no C representation to reinterpret."""
    return value


def declare(_type=None, value=None, **_names):
    """The initial value, or None: uncompiled variables have no declared type."""
    return value


pointer = const = _Type("pointer")

char, uchar, schar, bint = _Type("char"), _Type("uchar"), _Type("schar"), _Type("bint")
short, ushort, int, uint = _Type("short"), _Type("ushort"), _Type("int"), _Type("uint")
long, ulong, longlong, ulonglong = _Type("long"), _Type("ulong"), _Type("longlong"), _Type("ulonglong")
float, double, void, size_t = _Type("float"), _Type("double"), _Type("void"), _Type("size_t")
Py_ssize_t, p_char, p_uchar, p_void = _Type("Py_ssize_t"), _Type("p_char"), _Type("p_uchar"), _Type("p_void")
int8_t, int16_t, int32_t, int64_t = _Type("int8_t"), _Type("int16_t"), _Type("int32_t"), _Type("int64_t")
uint8_t, uint16_t, uint32_t, uint64_t = (
    _Type("uint8_t"),
    _Type("uint16_t"),
    _Type("uint32_t"),
    _Type("uint64_t"),
)
