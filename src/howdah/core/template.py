"""t-strings as queries (PEP 750, Python 3.14): ``t"SELECT * FROM item WHERE id = {id}"``.

Each value becomes a parameter, unless its format says otherwise:

    {x}  {x:s} {x:b} {x:t}   a parameter
    {x:i}                    a name, quoted; a sequence of strings is a qualified one
    {x:l}                    a literal
    {x:q}                    a part of a query: of ``sql``, or another t-string; these two need no format

Templates are known by their attributes, so nothing here needs Python 3.14.
"""

from __future__ import annotations

from howdah.core.literal import literal, quoted_name
from howdah.errors import ProgrammingError

PARAMETER_FORMATS = ("", "s", "b", "t")


def is_template(query: object) -> bool:
    """Whether ``query`` is a t-string."""
    return hasattr(query, "interpolations") and hasattr(query, "strings")


def read_template(template: object, values: list) -> str:
    """The text with ``%s`` where parameters stand, which are added to ``values``."""
    return "".join(_parts(template, values, None))


def template_text(template: object, registry: object = None) -> str:
    """The text with every value written into it."""
    return "".join(_parts(template, None, registry))


def _parts(template, values, registry):
    bound = values is not None
    yield _escaped(template.strings[0], bound)
    for interpolation, text in zip(template.interpolations, template.strings[1:]):
        yield _part(interpolation, values, registry)
        yield _escaped(text, bound)


def _escaped(text: str, bound: bool) -> str:
    return text.replace("%", "%%") if bound else text


def _part(interpolation, values, registry) -> str:
    value = interpolation.value
    form = interpolation.format_spec
    if interpolation.conversion:
        raise ProgrammingError(
            f"{{{interpolation.expression}!{interpolation.conversion}}}: conversions are not allowed in a query"
        )
    bound = values is not None
    if form in ("", "q") and is_template(value):
        return "".join(_parts(value, values, registry))
    if form in ("", "q") and hasattr(value, "_query_text"):
        text = value._query_text(bound)
        if bound and "%" in text.replace("%%", ""):
            raise ProgrammingError(f"{{{interpolation.expression}}}: a part of a t-string cannot have placeholders")
        return text
    if form in PARAMETER_FORMATS:
        if not bound:
            return literal(value, registry)
        values.append(value)
        return "%" + (form or "s")
    if form == "l":
        return _escaped(literal(value, registry), bound)
    if form == "i":
        if hasattr(value, "_query_text"):
            return value._query_text(bound)
        names = [value] if isinstance(value, str) else list(value) if isinstance(value, (list, tuple)) else None
        if not names or not all(isinstance(name, str) for name in names):
            raise ProgrammingError(f"{{{interpolation.expression}:i}}: a name is a str or a sequence of them")
        return _escaped(".".join([quoted_name(name) for name in names]), bound)
    if form == "q":
        raise ProgrammingError(f"{{{interpolation.expression}:q}}: not an sql object or a t-string")
    raise ProgrammingError(f"{{{interpolation.expression}:{form}}}: formats are s, b, t, i, l and q")
