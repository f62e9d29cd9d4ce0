"""Which codec reads an OID and which one writes a Python value.

``by_oid`` and ``by_type`` of a Registry never change once it is made: a session whose TimeZone or DateStyle changes
gets another registry, so a plan that was built from one stays true to it. (IntervalStyle and bytea_output need none: what
they write says by itself how it is to be read.)
"""

from __future__ import annotations

from datetime import timezone as _timezone
from datetime import tzinfo

from howdah.errors import DataError, ProgrammingError
from howdah.types import _array, _binary, _bool, _datetime, _interval, _json, _numeric, _string, _time, _uuid
from howdah.types.codec import _Codec

UTC = _timezone.utc

# The one list of the type families; a new family is registered here and nowhere else.
FAMILIES = (_bool, _binary, _numeric, _string, _uuid, _datetime, _time, _interval, _json)


class Registry:
    """Codecs by OID and by Python type.

    ``timezone`` is the session's, UTC where Python does not know it; ``style`` is what its DateStyle means for reading
    (types/_datestyle.py).
    """

    __slots__ = ("by_name", "by_oid", "by_type", "style", "timezone")

    def __init__(self, timezone: tzinfo | None, style: str = "ISO") -> None:
        self.timezone = timezone or UTC
        self.style = style
        self.by_oid: dict[int, _Codec] = {}
        self.by_name: dict[str, _Codec] = {}
        for family in FAMILIES:
            for codec in _datetime.session_codecs(timezone, style) if family is _datetime else family.CODECS:
                array = _array.ArrayCodec(codec)
                self.by_oid[codec.oid] = codec
                self.by_oid[codec.array_oid] = array
                self.by_name[codec.name] = codec
                self.by_name[array.name] = array
        self.by_type = _by_type(self.by_name)

    def codec_for(self, value: object) -> object:
        """The codec that writes ``value``. Raises ProgrammingError when there is none."""
        kind = type(value)
        codec = self.by_type.get(kind)
        if codec is not None:
            return codec.for_value(value)
        if isinstance(value, list):
            return self.array_for(value)
        if isinstance(value, tuple):
            raise ProgrammingError("a tuple cannot be sent: pass a list for an array (col = ANY(%s))")
        for base in kind.__mro__[1:]:
            codec = self.by_type.get(base)
            if codec is not None:
                return codec.for_value(value)
        if isinstance(value, dict):
            raise ProgrammingError("a dict cannot be sent as it is: wrap it in howdah.types.json.Jsonb or Json")
        raise ProgrammingError(
            f"a value of type {kind.__module__}.{kind.__qualname__} cannot be sent: howdah has no codec for it"
        )

    def array_for(self, items: list) -> object:
        """The array codec that takes every value of a (nested) list."""
        chosen = None
        for value in _every(items):
            if value is None:
                continue
            codec = self.codec_for(value)
            if codec is _string.UNKNOWN_TEXT:
                codec = self.by_name["text"]
            if chosen is None or codec is chosen:
                chosen = codec
                continue
            if codec in INT_WIDTHS and chosen in INT_WIDTHS:
                if INT_WIDTHS.index(codec) > INT_WIDTHS.index(chosen):
                    chosen = codec
                continue
            raise DataError(f"the list mixes {chosen.name} and {codec.name}: an array has one element type")
        if chosen is None:
            # nothing to tell the type by: text NULLs, or an empty array whose type the server infers
            return EMPTY_ARRAY if not any(True for _ in _every(items)) else self.by_name["text[]"]
        return self.by_oid[chosen.array_oid] if chosen.array_oid in self.by_oid else _array.ArrayCodec(chosen)


def _every(items, depth=1):
    """The values of nested lists, None among them. A list that holds itself ends here."""
    if depth > _array.DEPTH_LIMIT:
        raise DataError(
            f"a list nested more than {_array.DEPTH_LIMIT} deep: PostgreSQL's arrays have at most 6 dimensions"
        )
    for item in items:
        if isinstance(item, list):
            yield from _every(item, depth + 1)
        else:
            yield item


INT_WIDTHS = [codec for codec in _numeric.CODECS if codec.name in ("int2", "int4", "int8", "numeric")]
EMPTY_ARRAY = _string.EmptyArrayCodec("unknown", 0, 0, True, True, 0)


def _by_type(by_name: dict) -> dict:
    import datetime
    import decimal
    import uuid

    from howdah.types import numeric
    from howdah.types.json import Json, Jsonb

    wrapped = _numeric.WrappedIntCodec
    return {
        int: _numeric.PYTHON_INT,
        str: _string.UNKNOWN_TEXT,
        bool: by_name["bool"],
        float: by_name["float8"],
        bytes: by_name["bytea"],
        bytearray: by_name["bytea"],
        memoryview: by_name["bytea"],
        decimal.Decimal: by_name["numeric"],
        uuid.UUID: by_name["uuid"],
        datetime.date: by_name["date"],
        datetime.datetime: _datetime.PYTHON_DATETIME,
        datetime.time: _time.PYTHON_TIME,
        datetime.timedelta: by_name["interval"],
        numeric.Int2: wrapped(by_name["int2"], -(2**15), 2**15 - 1),
        numeric.Int4: wrapped(by_name["int4"], -(2**31), 2**31 - 1),
        numeric.Int8: wrapped(by_name["int8"], -(2**63), 2**63 - 1),
        numeric.IntNumeric: by_name["numeric"],
        numeric.Oid: wrapped(by_name["oid"], 0, 2**32 - 1),
        numeric.Float4: by_name["float4"],
        numeric.Float8: by_name["float8"],
        Json: by_name["json"],
        Jsonb: by_name["jsonb"],
    }


_registries: dict[tuple[object, ...], Registry] = {}


def registry_for(timezone: tzinfo | None, style: str = "ISO") -> Registry:
    """The registry of sessions in ``timezone`` (None: one that Python does not know) and DateStyle, made once."""
    key = (timezone, str(timezone), style)  # zones of one fixed offset are equal whatever their names
    registry = _registries.get(key)
    if registry is None:
        if len(_registries) > 256:
            _registries.clear()
        registry = _registries[key] = Registry(timezone, style)
    return registry
