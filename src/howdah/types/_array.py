"""Arrays of any type that has a codec.

Binary (src/backend/utils/adt/arrayfuncs.c, array_send): int32 dimensions, a has-nulls flag, the element's OID,
then for each dimension its length and lower bound, then the elements as length and bytes. Text: ``{1,NULL,"a b"}``,
preceded by ``[l:u]=`` where a lower bound is not 1. Python's value is a list of lists; lower bounds are dropped.
"""

from __future__ import annotations

import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    import cython
else:
    from howdah import _cy as cython

from howdah._oids import INT4, INT8
from howdah.errors import DataError, ProtocolError
from howdah.types.codec import _Codec

if not cython.compiled:
    from howdah.wire.bytes import read_bytes, read_i32, read_u32

MAX_DIMENSIONS = 6  # MAXDIM in src/include/utils/array.h
DEPTH_LIMIT = 32  # deeper than any array, and far from Python's recursion limit: a list may hold itself
BOUNDS = re.compile(rb"(?:\[[+-]?\d+:[+-]?\d+\])+=")


class ArrayCodec(_Codec):
    """list, nested once for each dimension."""

    __slots__ = ("delimiter", "element", "kind")

    def __init__(self, element: _Codec, delimiter: str = ",") -> None:
        self.name = element.name + "[]"
        self.oid = element.array_oid
        self.array_oid = 0
        self.binary_equal = element.binary_equal
        self.atomic = False
        self.encode_format = 1
        self.element = element
        self.kind = element.oid
        self.delimiter = ord(delimiter)

    # -- from the server

    def decode_binary(self, data, pos, size):
        if size < 12:
            return self.wrong_size(size)
        end = pos + size
        dimensions = read_i32(data, pos)
        if dimensions == 0:
            if size != 12:
                return self.wrong_size(size)
            return []
        if dimensions < 0 or dimensions > MAX_DIMENSIONS or size < 12 + 8 * dimensions:
            raise ProtocolError(f"an array of {dimensions} dimensions in {size} bytes")
        if read_u32(data, pos + 8) != self.element.oid:
            raise DataError(f"an array of elements with OID {read_u32(data, pos + 8)} arrived as {self.name}")
        if dimensions == 1:
            count = read_i32(data, pos + 12)
            at = pos + 20
            # an element takes at least its length word: a lying count ends here, before any allocation
            if count < 0 or count > (end - at) // 4:
                raise ProtocolError(f"an array of {count} elements in {size} bytes")
            element = self.element
            first = 0
            if cython.compiled:
                items = PyList_New(count)
                if self.kind == INT4 or self.kind == INT8:
                    # integers without NULLs among them need no call each; the loop below takes over where one is met
                    width = 4 if self.kind == INT4 else 8
                    first = fill_integers(items, count, width, data, at, end)
                    at += first * (4 + width)
            else:
                items = [None] * count
            for i in range(first, count):
                if end - at < 4:
                    raise ProtocolError("an array ends before its last element")
                length = read_i32(data, at)
                at += 4
                if length == -1:
                    value = None
                else:
                    if length < 0 or length > end - at:
                        raise ProtocolError(f"an array element of {length} bytes does not fit its array")
                    value = element.decode_binary(data, at, length)
                    at += length
                if cython.compiled:
                    Py_INCREF(value)
                    PyList_SET_ITEM(items, i, value)
                else:
                    items[i] = value
            if at != end:
                raise ProtocolError(f"{end - at} bytes are left over behind an array")
            return items
        return self.decode_nested(data, pos, size, dimensions)

    def decode_nested(self, data, pos, size, dimensions):
        end = pos + size
        at = pos + 12 + 8 * dimensions
        total = 1
        lengths = []
        for index in range(dimensions):
            length = read_i32(data, pos + 12 + 8 * index)
            if length < 0 or length > (end - at) // 4:
                raise ProtocolError(f"an array dimension of {length} in {size} bytes")
            total *= length
            if total > (end - at) // 4:
                raise ProtocolError(f"an array of {total} elements in {size} bytes")
            lengths.append(length)
        flat = []
        for _ in range(total):
            if end - at < 4:
                raise ProtocolError("an array ends before its last element")
            length = read_i32(data, at)
            at += 4
            if length == -1:
                flat.append(None)
                continue
            if length < 0 or length > end - at:
                raise ProtocolError(f"an array element of {length} bytes does not fit its array")
            flat.append(self.element.decode_binary(data, at, length))
            at += length
        if at != end:
            raise ProtocolError(f"{end - at} bytes are left over behind an array")
        for length in reversed(lengths[1:]):
            flat = [flat[i : i + length] for i in range(0, len(flat), length)] if length else []
        return flat

    def decode_text(self, data, pos, size):
        text = read_bytes(data, pos, size)
        return self.parse(text)

    def parse(self, text: bytes) -> list:
        """The list of an array in text format: every level is closed and nothing is left over."""
        at = 0
        if text[:1] == b"[":
            bounds = BOUNDS.match(text)
            if bounds is None:
                return self.no_array(text)
            at = bounds.end()
        delimiter = self.delimiter
        end = len(text)
        stack: list = []
        result = None
        # after an opening brace a value or the closing one, after a comma a value, after a value a comma or the closing
        want_value = True
        may_close = False
        while at < end and (result is None or stack):
            char = text[at]
            if char == 123 and want_value:  # {
                level: list = []
                if result is None:
                    result = level
                else:
                    stack[len(stack) - 1].append(level)
                stack.append(level)
                if len(stack) > MAX_DIMENSIONS:
                    return self.no_array(text)
                at += 1
                may_close = True
            elif result is None:
                return self.no_array(text)
            elif char == 125 and may_close:  # }
                stack.pop()
                at += 1
                want_value = False
                may_close = True
            elif char == delimiter and not want_value:
                at += 1
                want_value = True
                may_close = False
            elif not want_value or char == 125 or char == delimiter:
                return self.no_array(text)
            elif char == 34:  # a quoted element
                start = at + 1
                at = start
                escaped = False
                while at < end and text[at] != 34:
                    if text[at] == 92:
                        escaped = True
                        at += 1
                    at += 1
                if at >= end:
                    return self.no_array(text)
                item = text[start:at]
                at += 1
                stack[len(stack) - 1].append(self.element.decode_bytes(_unescape(item) if escaped else item, 0))
                want_value = False
                may_close = True
            else:
                start = at
                while at < end and text[at] != delimiter and text[at] != 125 and text[at] != 123 and text[at] != 34:
                    at += 1
                item = text[start:at]
                stack[len(stack) - 1].append(None if item == b"NULL" else self.element.decode_bytes(item, 0))
                want_value = False
                may_close = True
        if result is None or stack or at != end:
            return self.no_array(text)
        return result

    def no_array(self, text: bytes) -> list:
        """Raises for a text that is no array."""
        raise DataError(f"{text[:48]!r} is no {self.name}")

    # -- to the server

    def encode(self, out, value) -> None:
        lengths = self.measure(value)
        at = out.pos
        out.put_i32(0)
        out.put_i32(len(lengths))
        flags = out.pos
        out.put_i32(0)
        oid = self.element.oid
        out.put_i32(oid if oid < 0x80000000 else oid - 0x100000000)
        for length in lengths:
            out.put_i32(length)
            out.put_i32(1)
        has_nulls = self.encode_level(out, value, 0, lengths)
        end = out.pos
        out.pos = at
        out.put_i32(end - at - 4)
        if has_nulls:
            out.pos = flags
            out.put_i32(1)
        out.pos = end

    def measure(self, value: list) -> list:
        """The lengths of the dimensions, from the first element of each level."""
        lengths = []
        level = value
        while isinstance(level, list) and len(lengths) < DEPTH_LIMIT:
            if not level:
                if holds_values(value):
                    raise DataError("the list is not rectangular: an empty list stands beside one that is not")
                return []  # {} and {{}} are the same empty array to PostgreSQL
            lengths.append(len(level))
            level = level[0]
        if len(lengths) > MAX_DIMENSIONS:
            raise DataError(
                f"a list nested {len(lengths)} deep: PostgreSQL's arrays have at most {MAX_DIMENSIONS} dimensions"
            )
        return lengths

    def encode_level(self, out, value, depth, lengths) -> bool:
        has_nulls = False
        if depth == len(lengths):  # an empty array
            return False
        if len(value) != lengths[depth]:
            raise DataError("the list is not rectangular: all lists of one level need the same length")
        last = depth + 1 == len(lengths)
        for item in value:
            if last:
                if item is None:
                    has_nulls = True
                    out.put_i32(-1)
                elif isinstance(item, list):
                    raise DataError("the list is not rectangular: lists and values are mixed in one level")
                else:
                    self.element.encode(out, item)
            elif not isinstance(item, list):
                raise DataError("the list is not rectangular: lists and values are mixed in one level")
            elif self.encode_level(out, item, depth + 1, lengths):
                has_nulls = True
        return has_nulls


def holds_values(value: object) -> bool:
    """Whether a nested list holds anything but lists."""
    if not isinstance(value, list):
        return True
    for item in value:
        if holds_values(item):
            return True
    return False


def _unescape(item: bytes) -> bytes:
    out = bytearray()
    at = 0
    while at < len(item):
        if item[at] == 92:
            at += 1
        if at < len(item):
            out.append(item[at])
        at += 1
    return bytes(out)
