"""PostgreSQL protocol 3.0/3.2 as bytes, written for tests and independent of the driver under test.

Three parts: builders for backend messages (what a server says), builders for frontend messages (what a client
says), and framers that cut a byte stream into messages.

A stream is not self-describing: the client's first messages have no type byte, and the server's answer to an
SSLRequest or GSSENCRequest is one bare byte. So a `Framer` knows its side and its phase, and a `Conversation`
couples the two sides. Messages without a type byte get a type in angle brackets (`<startup>`, `<ssl>`,
`<N>`), so that the types of a burst can be joined into one readable string: "PBDES", "<ssl>", "<startup>".
Once the session is encrypted nothing can be told apart any more: the framers turn `opaque` and yield nothing.

Source: PostgreSQL manual, "Frontend/Backend Protocol", "Message Formats".
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

PROTOCOL_3_0 = 196608
PROTOCOL_3_2 = 196610
CANCEL_CODE = 80877102
SSL_CODE = 80877103
GSSENC_CODE = 80877104

STARTUP = "<startup>"
SSL_REQUEST = "<ssl>"
GSSENC_REQUEST = "<gss>"
CANCEL_REQUEST = "<cancel>"

TO_SERVER = ">"
TO_CLIENT = "<"

FRONTEND_NAMES = {
    STARTUP: "StartupMessage",
    SSL_REQUEST: "SSLRequest",
    GSSENC_REQUEST: "GSSENCRequest",
    CANCEL_REQUEST: "CancelRequest",
    "B": "Bind",
    "C": "Close",
    "D": "Describe",
    "E": "Execute",
    "F": "FunctionCall",
    "H": "Flush",
    "P": "Parse",
    "Q": "Query",
    "S": "Sync",
    "X": "Terminate",
    "c": "CopyDone",
    "d": "CopyData",
    "f": "CopyFail",
    "p": "PasswordMessage",
}

BACKEND_NAMES = {
    "<S>": "SSLAccepted",
    "<G>": "GSSENCAccepted",
    "<N>": "EncryptionRefused",
    "1": "ParseComplete",
    "2": "BindComplete",
    "3": "CloseComplete",
    "A": "NotificationResponse",
    "C": "CommandComplete",
    "D": "DataRow",
    "E": "ErrorResponse",
    "G": "CopyInResponse",
    "H": "CopyOutResponse",
    "I": "EmptyQueryResponse",
    "K": "BackendKeyData",
    "N": "NoticeResponse",
    "R": "Authentication",
    "S": "ParameterStatus",
    "T": "RowDescription",
    "V": "FunctionCallResponse",
    "W": "CopyBothResponse",
    "Z": "ReadyForQuery",
    "c": "CopyDone",
    "d": "CopyData",
    "n": "NoData",
    "s": "PortalSuspended",
    "t": "ParameterDescription",
    "v": "NegotiateProtocolVersion",
}

_UNTYPED_CODES = {SSL_CODE: SSL_REQUEST, GSSENC_CODE: GSSENC_REQUEST, CANCEL_CODE: CANCEL_REQUEST}

# A TLS record begins with 0x16; as the first byte of a startup packet it would mean 369 MB.
_TLS_HANDSHAKE = 0x16

# The server itself refuses a startup packet above 10,000 bytes; twice that leaves room for hostile clients.
MAX_STARTUP_BYTES = 20_000


class FramingError(ValueError):
    """The bytes cannot be PostgreSQL messages (impossible length, unknown start)."""


# --- building blocks
# --------------------------------------------------------------------------------------------------


def message(type_: bytes | str, body: bytes = b"", *, length: int | None = None) -> bytes:
    """One typed message; `length` overrides the true length word, to lie."""
    kind = type_.encode("latin-1") if isinstance(type_, str) else type_
    return kind + struct.pack("!I", (len(body) + 4 if length is None else length) & 0xFFFFFFFF) + body


def untyped(code: int, body: bytes = b"", *, length: int | None = None) -> bytes:
    """One message of the startup family: length, code, body; `length` overrides the true length word."""
    return struct.pack("!II", len(body) + 8 if length is None else length, code) + body


def cstring(text: str | bytes) -> bytes:
    """Text as UTF-8 with its terminating NUL."""
    return _bytes(text) + b"\0"


def _bytes(value: str | bytes) -> bytes:
    return value.encode() if isinstance(value, str) else bytes(value)


def _counted(value: str | bytes | None) -> bytes:
    """Int32 length and bytes; -1 for NULL."""
    if value is None:
        return b"\xff\xff\xff\xff"
    data = _bytes(value)
    return struct.pack("!i", len(data)) + data


def _shorts(values: Sequence[int]) -> bytes:
    return struct.pack(f"!H{len(values)}h", len(values), *values)


# --- backend: connection phase
# ----------------------------------------------------------------------------------------


def _auth(code: int, body: bytes = b"") -> bytes:
    return message(b"R", struct.pack("!I", code) + body)


def auth_ok() -> bytes:
    return _auth(0)


def auth_kerberos_v5() -> bytes:
    return _auth(2)


def auth_cleartext_password() -> bytes:
    return _auth(3)


def auth_md5_password(salt: bytes) -> bytes:
    return _auth(5, salt)


def auth_gss() -> bytes:
    return _auth(7)


def auth_gss_continue(data: bytes) -> bytes:
    return _auth(8, data)


def auth_sspi() -> bytes:
    return _auth(9)


def auth_sasl(*mechanisms: str) -> bytes:
    return _auth(10, b"".join(map(cstring, mechanisms)) + b"\0")


def auth_sasl_continue(data: str | bytes) -> bytes:
    return _auth(11, _bytes(data))


def auth_sasl_final(data: str | bytes) -> bytes:
    return _auth(12, _bytes(data))


def _key(pid: int, key: int | bytes) -> bytes:
    return struct.pack("!i", pid) + (struct.pack("!I", key) if isinstance(key, int) else key)


def backend_key_data(pid: int, key: int | bytes) -> bytes:
    """`key` is an int of 4 bytes (protocol 3.0) or up to 256 bytes (3.2)."""
    return message(b"K", _key(pid, key))


def parameter_status(name: str, value: str | bytes) -> bytes:
    return message(b"S", cstring(name) + cstring(value))


def negotiate_protocol_version(version: int = PROTOCOL_3_0, *unrecognized: str) -> bytes:
    """`version` is the whole code (196608 = 3.0), as servers send it; `unrecognized` are option names."""
    return message(b"v", struct.pack("!II", version, len(unrecognized)) + b"".join(map(cstring, unrecognized)))


def ready(status: str | bytes = "I") -> bytes:
    """ReadyForQuery; status I (idle), T (in a transaction) or E (in a failed transaction)."""
    return message(b"Z", _bytes(status))


# --- backend: answers
# -------------------------------------------------------------------------------------------------


class Column(NamedTuple):
    """One column of a RowDescription."""

    name: str
    type_oid: int = 25
    format: int = 0
    type_size: int = -1
    type_modifier: int = -1
    table_oid: int = 0
    column_number: int = 0


def row_description(*columns: Column | tuple[Any, ...] | str) -> bytes:
    """Columns as `Column`, as a tuple of its leading fields, or as a bare name (text)."""
    body = struct.pack("!H", len(columns))
    for given in columns:
        c = Column(given) if isinstance(given, str) else Column(*given)
        body += cstring(c.name) + struct.pack(
            "!IhIhih", c.table_oid, c.column_number, c.type_oid, c.type_size, c.type_modifier, c.format
        )
    return message(b"T", body)


def data_row(*values: str | bytes | None) -> bytes:
    return message(b"D", struct.pack("!H", len(values)) + b"".join(map(_counted, values)))


def command_complete(tag: str) -> bytes:
    return message(b"C", cstring(tag))


def empty_query() -> bytes:
    return message(b"I")


def parse_complete() -> bytes:
    return message(b"1")


def bind_complete() -> bytes:
    return message(b"2")


def close_complete() -> bytes:
    return message(b"3")


def no_data() -> bytes:
    return message(b"n")


def portal_suspended() -> bytes:
    return message(b"s")


def parameter_description(*oids: int) -> bytes:
    return message(b"t", struct.pack(f"!H{len(oids)}I", len(oids), *oids))


def function_call_response(value: str | bytes | None) -> bytes:
    return message(b"V", _counted(value))


def notification(pid: int, channel: str, payload: str | bytes = "") -> bytes:
    return message(b"A", struct.pack("!i", pid) + cstring(channel) + cstring(payload))


# Field letters of ErrorResponse and NoticeResponse, under the names psycopg's Diagnostic gives them.
DIAGNOSTIC_FIELDS = {
    "severity": "S",
    "severity_nonlocalized": "V",
    "sqlstate": "C",
    "message_primary": "M",
    "message_detail": "D",
    "message_hint": "H",
    "statement_position": "P",
    "internal_position": "p",
    "internal_query": "q",
    "context": "W",
    "schema_name": "s",
    "table_name": "t",
    "column_name": "c",
    "datatype_name": "d",
    "constraint_name": "n",
    "source_file": "F",
    "source_line": "L",
    "source_function": "R",
}


def _diagnostic(type_: bytes, severity: str, sqlstate: str, text: str | bytes, more: dict[str, str]) -> bytes:
    fields: dict[str, str | bytes] = {"S": severity, "V": severity, "C": sqlstate, "M": text}
    fields.update({DIAGNOSTIC_FIELDS[name]: value for name, value in more.items()})
    return message(type_, b"".join(k.encode() + cstring(v) for k, v in fields.items()) + b"\0")


def error(text: str | bytes = "mock error", sqlstate: str = "XX000", severity: str = "ERROR", **more: str) -> bytes:
    """ErrorResponse; `more` takes the names of DIAGNOSTIC_FIELDS."""
    return _diagnostic(b"E", severity, sqlstate, text, more)


def notice(text: str | bytes = "mock notice", sqlstate: str = "00000", severity: str = "NOTICE", **more: str) -> bytes:
    """NoticeResponse; `more` takes the names of DIAGNOSTIC_FIELDS."""
    return _diagnostic(b"N", severity, sqlstate, text, more)


def _copy_response(type_: bytes, formats: Sequence[int], overall: int | None) -> bytes:
    return message(type_, struct.pack("!b", any(formats) if overall is None else overall) + _shorts(formats))


def copy_in_response(formats: Sequence[int] = (0,), overall: int | None = None) -> bytes:
    return _copy_response(b"G", formats, overall)


def copy_out_response(formats: Sequence[int] = (0,), overall: int | None = None) -> bytes:
    return _copy_response(b"H", formats, overall)


def copy_both_response(formats: Sequence[int] = (), overall: int | None = None) -> bytes:
    return _copy_response(b"W", formats, overall)


def copy_data(data: str | bytes) -> bytes:
    """The same in both directions."""
    return message(b"d", _bytes(data))


def copy_done() -> bytes:
    """The same in both directions."""
    return message(b"c")


def copy_fail(text: str = "") -> bytes:
    return message(b"f", cstring(text))


# --- frontend
# ---------------------------------------------------------------------------------------------------------


def startup(user: str = "mock", *, version: int = PROTOCOL_3_0, **parameters: str) -> bytes:
    pairs = {"user": user, **parameters}
    return untyped(version, b"".join(cstring(k) + cstring(v) for k, v in pairs.items()) + b"\0")


def ssl_request() -> bytes:
    return untyped(SSL_CODE)


def gssenc_request() -> bytes:
    return untyped(GSSENC_CODE)


def cancel_request(pid: int, key: int | bytes) -> bytes:
    return untyped(CANCEL_CODE, _key(pid, key))


def password(text: str | bytes) -> bytes:
    return message(b"p", cstring(text))


def sasl_initial_response(mechanism: str, data: str | bytes | None) -> bytes:
    return message(b"p", cstring(mechanism) + _counted(data))


def sasl_response(data: str | bytes) -> bytes:
    return message(b"p", _bytes(data))


def query(sql: str | bytes) -> bytes:
    return message(b"Q", cstring(sql))


def parse(name: str, sql: str | bytes, oids: Sequence[int] = ()) -> bytes:
    return message(b"P", cstring(name) + cstring(sql) + struct.pack(f"!H{len(oids)}I", len(oids), *oids))


def bind(
    portal: str,
    statement: str,
    values: Sequence[str | bytes | None] = (),
    *,
    formats: Sequence[int] = (),
    result_formats: Sequence[int] = (),
) -> bytes:
    body = cstring(portal) + cstring(statement) + _shorts(formats) + struct.pack("!H", len(values))
    return message(b"B", body + b"".join(map(_counted, values)) + _shorts(result_formats))


def describe(kind: str, name: str = "") -> bytes:
    """`kind` is S (statement) or P (portal)."""
    return message(b"D", kind.encode() + cstring(name))


def close(kind: str, name: str = "") -> bytes:
    """`kind` is S (statement) or P (portal)."""
    return message(b"C", kind.encode() + cstring(name))


def execute(portal: str = "", max_rows: int = 0) -> bytes:
    return message(b"E", cstring(portal) + struct.pack("!i", max_rows))


def function_call(
    oid: int,
    values: Sequence[str | bytes | None] = (),
    *,
    formats: Sequence[int] = (),
    result_format: int = 0,
) -> bytes:
    body = struct.pack("!I", oid) + _shorts(formats) + struct.pack("!H", len(values))
    return message(b"F", body + b"".join(map(_counted, values)) + struct.pack("!h", result_format))


def sync() -> bytes:
    return message(b"S")


def flush() -> bytes:
    return message(b"H")


def terminate() -> bytes:
    return message(b"X")


# --- messages read
# ----------------------------------------------------------------------------------------------------


class Message(NamedTuple):
    """One message as read: its type (a letter, or a name in angle brackets), its direction and its body."""

    type: str
    direction: str
    body: bytes

    @property
    def name(self) -> str:
        """PostgreSQL's name; every `p` is called PasswordMessage, since only the server's request tells them
        apart."""
        names = FRONTEND_NAMES if self.direction == TO_SERVER else BACKEND_NAMES
        return names.get(self.type, f"unknown {self.type!r}")

    @property
    def raw(self) -> bytes:
        """The message as it stood on the wire."""
        if self.type in _NEGOTIATION_BYTES:
            return self.body
        if self.type.startswith("<"):
            return struct.pack("!I", len(self.body) + 4) + self.body
        return message(self.type, self.body)

    def __repr__(self) -> str:
        # Passwords and SCRAM proofs travel in `p`, cancel keys in `K` and <cancel>: shown by length only.
        secret = self.type in ("p", "K", CANCEL_REQUEST)
        shown = f"{len(self.body)} bytes" if secret else repr(self.body[:200])
        return f"{self.direction} {self.type} {self.name}({shown})"


_NEGOTIATION_BYTES = ("<S>", "<G>", "<N>")


class _Reader:
    """Takes fields off a body, in order; running out of bytes raises FramingError."""

    def __init__(self, body: bytes):
        self.body = body
        self.at = 0

    def unpack(self, fmt: str) -> tuple[Any, ...]:
        size = struct.calcsize(fmt)
        return struct.unpack(fmt, self.take(size))

    def take(self, size: int) -> bytes:
        if size < 0 or self.at + size > len(self.body):
            raise FramingError(f"{size} bytes wanted at {self.at}, body has {len(self.body)}")
        self.at += size
        return self.body[self.at - size : self.at]

    def text(self) -> str:
        end = self.body.find(b"\0", self.at)
        if end < 0:
            raise FramingError(f"string at {self.at} has no NUL")
        found = self.body[self.at : end].decode("utf-8", "surrogateescape")
        self.at = end + 1
        return found

    def counted(self) -> bytes | None:
        (size,) = self.unpack("!i")
        return None if size == -1 else self.take(size)

    def shorts(self) -> list[int]:
        (count,) = self.unpack("!H")
        return list(self.unpack(f"!{count}h"))

    def values(self) -> list[bytes | None]:
        (count,) = self.unpack("!H")
        return [self.counted() for _ in range(count)]

    def rest(self) -> bytes:
        return self.take(len(self.body) - self.at)

    def end(self) -> None:
        if self.at != len(self.body):
            raise FramingError(f"{len(self.body) - self.at} bytes too many")


def decode_frontend(msg: Message) -> dict[str, Any]:
    """The fields of a frontend message by name, strictly: missing or surplus bytes raise FramingError.

    `p` gives its bytes as `data`: what they mean depends on the server's request.
    """
    r = _Reader(msg.body)
    fields: dict[str, Any] = {}
    match msg.type:
        case "<startup>":
            (fields["version"],) = r.unpack("!I")
            parameters = fields["parameters"] = {}
            while name := r.text():
                parameters[name] = r.text()
        case "<ssl>" | "<gss>":
            (fields["code"],) = r.unpack("!I")
        case "<cancel>":
            fields["code"], fields["pid"] = r.unpack("!Ii")
            fields["key"] = r.rest()
        case "Q":
            fields["sql"] = r.text()
        case "P":
            fields["name"], fields["sql"] = r.text(), r.text()
            (count,) = r.unpack("!H")
            fields["oids"] = list(r.unpack(f"!{count}I"))
        case "B":
            fields["portal"], fields["statement"] = r.text(), r.text()
            fields["formats"], fields["values"], fields["result_formats"] = r.shorts(), r.values(), r.shorts()
        case "D" | "C":
            fields["kind"] = r.take(1).decode("latin-1")
            fields["name"] = r.text()
        case "E":
            fields["portal"] = r.text()
            (fields["max_rows"],) = r.unpack("!i")
        case "F":
            (fields["oid"],) = r.unpack("!I")
            fields["formats"], fields["values"] = r.shorts(), r.values()
            (fields["result_format"],) = r.unpack("!h")
        case "d" | "p":
            fields["data"] = r.rest()
        case "f":
            fields["text"] = r.text()
        case "S" | "H" | "X" | "c":
            pass
        case _:
            raise FramingError(f"no frontend message has the type {msg.type!r}")
    r.end()
    return fields


def decode_sasl_initial(msg: Message) -> tuple[str, bytes | None]:
    """Mechanism and first data of a `p` message that answers AuthenticationSASL."""
    r = _Reader(msg.body)
    found = r.text(), r.counted()
    r.end()
    return found


def error_fields(msg: Message) -> dict[str, str]:
    """Field letter -> text of an ErrorResponse or NoticeResponse."""
    r = _Reader(msg.body)
    fields = {}
    while (letter := r.take(1)) != b"\0":
        fields[letter.decode("latin-1")] = r.text()
    r.end()
    return fields


# --- cutting streams
# --------------------------------------------------------------------------------------------------


class Span(NamedTuple):
    """Where a message lies in its stream: offsets in bytes from the stream's begin, `end` exclusive."""

    type: str
    start: int
    end: int


class Framer:
    """Finds the messages in one direction of a connection; keeps headers only, never bodies.

    A span comes out as soon as its header is known, so before its body has arrived.
    """

    def __init__(self, direction: str):
        self.direction = direction
        self.offset = 0  # bytes seen
        self.opaque = False  # encrypted, or not ours: no more spans
        self.untyped = direction == TO_SERVER  # the startup family is still expected
        self.negotiating = False  # the next byte answers an encryption request
        self._next = 0  # offset of the next message's begin
        self._header = b""

    def feed(self, data: bytes) -> list[Span]:
        """The spans whose header ends in `data`. Raises FramingError, and stays opaque, when it cannot go
        on."""
        base = self.offset
        self.offset += len(data)
        spans = []
        while not self.opaque and self._next < self.offset:
            wanted = 1 if self.negotiating else 8 if self.untyped else 5
            have = self._next + len(self._header) - base
            self._header += data[have : have + wanted - len(self._header)]
            if self.untyped and self._header[0] == _TLS_HANDSHAKE:
                self.opaque = True
                break
            if len(self._header) < wanted:
                break
            try:
                span = self._read_header()
            except FramingError:
                self.opaque = True
                raise
            if span is not None:
                self._header = b""
                self._next = span.end
                spans.append(span)
        return spans

    def _read_header(self) -> Span | None:
        start = self._next
        if self.negotiating:
            self.negotiating = False
            letter = chr(self._header[0])
            if letter == "E":
                return None  # an old server's ErrorResponse, a typed message: its length is still to come
            if f"<{letter}>" not in _NEGOTIATION_BYTES:
                raise FramingError(f"encryption request answered by {letter!r}")
            self.opaque = letter != "N"
            return Span(f"<{letter}>", start, start + 1)
        if self.untyped:
            length, code = struct.unpack("!II", self._header)
            if not 8 <= length <= MAX_STARTUP_BYTES:
                raise FramingError(f"startup packet of {length} bytes")
            kind = _UNTYPED_CODES.get(code, STARTUP)
            self.untyped = kind != STARTUP
            return Span(kind, start, start + length)
        length = int.from_bytes(self._header[1:], "big")
        if not 4 <= length < 2**31:
            raise FramingError(f"message {self._header[:1]!r} of {length} bytes")
        return Span(chr(self._header[0]), start, start + 1 + length)


class Assembler:
    """Cuts whole messages out of a stream whose spans are known."""

    def __init__(self, direction: str):
        self.direction = direction
        self._store = bytearray()
        self._begin = 0  # stream offset of _store[0]
        self._pending: list[Span] = []

    def add(self, data: bytes, spans: Iterable[Span]) -> list[Message]:
        self._store += data
        self._pending += spans
        received = self._begin + len(self._store)
        out = []
        for span in self._pending:
            if span.end > received:
                break
            if span.type in _NEGOTIATION_BYTES:
                header = 0
            else:
                header = 4 if span.type.startswith("<") else 5
            body = bytes(self._store[span.start + header - self._begin : span.end - self._begin])
            out.append(Message(span.type, self.direction, body))
        if out:
            del self._store[: self._pending[len(out) - 1].end - self._begin]
            self._begin = self._pending[len(out) - 1].end
            del self._pending[: len(out)]
        return out


class Splitter:
    """A stream of one direction into whole messages: `feed(data) -> [Message, ...]`."""

    def __init__(self, direction: str):
        self.framer = Framer(direction)
        self._assembler = Assembler(direction)

    def feed(self, data: bytes) -> list[Message]:
        return self._assembler.add(data, self.framer.feed(data))


class Conversation:
    """The two framers of one connection, coupled: an encryption request tells the other side what comes
    next."""

    def __init__(self) -> None:
        self.framers = {TO_SERVER: Framer(TO_SERVER), TO_CLIENT: Framer(TO_CLIENT)}

    @property
    def opaque(self) -> bool:
        return any(framer.opaque for framer in self.framers.values())

    def feed(self, direction: str, data: bytes) -> list[Span]:
        """Spans as Framer.feed; bytes that are not PostgreSQL's make the conversation opaque, they raise
        nothing."""
        if self.opaque:
            return []
        try:
            spans = self.framers[direction].feed(data)
        except FramingError:
            return []
        if direction == TO_SERVER and any(span.type in (SSL_REQUEST, GSSENC_REQUEST) for span in spans):
            self.framers[TO_CLIENT].negotiating = True
        return spans


def split(data: bytes, direction: str = TO_SERVER, *, started: bool = False) -> list[Message]:
    """All messages of `data`; `started` says the startup packet came earlier. Left-over bytes raise
    FramingError."""
    splitter = Splitter(direction)
    if started:
        splitter.framer.untyped = False
    found = splitter.feed(data)
    if sum(len(m.raw) for m in found) != len(data):
        raise FramingError("the data ends inside a message")
    return found


def types(found: Iterable[Message | Span]) -> str:
    """The types joined: "PBDES"."""
    return "".join(m.type for m in found)


def split_types(joined: str) -> list[str]:
    """The inverse of `types`: "<ssl>PB" -> ["<ssl>", "P", "B"]."""
    out: list[str] = []
    at = 0
    while at < len(joined):
        end = joined.index(">", at) + 1 if joined[at] == "<" else at + 1
        out.append(joined[at:end])
        at = end
    return out
