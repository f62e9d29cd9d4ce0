"""Makes inputs: seeds, changed in the ways parsers are wrong about.

All chance comes from the ``random.Random`` that is handed in, so an input is known by (seed, target, number). Changes are
cheap on purpose: a million inputs a target are only worth their time if making one costs less than reading it.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from random import Random

# numbers at which counts and lengths go wrong
NUMBERS = sorted(
    {0, 1, 2, 3, 4, 5, 7, 8, 9, 16, 255, 256, 1600, 1664, 4096, 9999, 10000, 30000}
    | {base + step for base in (2**15, 2**16, 2**30, 2**31, 2**32, 2**63) for step in (-2, -1, 0, 1)}
    | {-1, -2, -(2**15), -(2**31), -(2**63), 0x3FFFFFFF, 0x40000000}
)
WORDS = [(number % 256**width).to_bytes(width, "big") for width in (1, 2, 4, 8) for number in NUMBERS]
# pieces of text: digits that are none of ASCII's, bytes that are no UTF-8, what separates and quotes
PIECES = [
    *(c.encode() for c in "²٣①०−–\u00a0\u2028\ufeff\U0001d7d8ẞı\u0301"),
    *(b"\0", b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x82", b"\x1b[31m", b"\r\n"),
    *(bytes([c]) for c in b"{}[](),;:'\"\\%$=?&@/#+-. \t\n_eETZ"),
    *(b"NULL", b"NaN", b"-Infinity", b"infinity", b"-0", b"1e999999999", b"0x1F", b"1_0", b"9" * 30, b"9" * 5000, b" BC"),
    *(b"%s", b"%(a)s", b"%%", b"$1", b"$$", b"$a$", b"E'", b"U&'", b"--", b"/*", b"*/", b"::", b"%2", b"%00", b"\\x", b"\\000"),
    *(b"24:00:00", b"23:59:60", b"+99:99:99", b"9999-12-31", b"0000-00-00", b"[0:0]=", b"{}", b"\\u0000", b"\\ud800"),
]  # fmt: skip


class Mutator:
    """Changes ``seeds``, all bytes; ``pieces`` are what to insert besides numbers and noise."""

    def __init__(self, seeds: Sequence[bytes], pieces: Sequence[bytes] = (), max_bytes: int = 4096) -> None:
        self.seeds = list(dict.fromkeys(seeds)) or [b""]
        self.pieces = [*PIECES, *pieces]
        self.max_bytes = max_bytes
        self.edits: list[Callable[[Random, bytearray], None]] = [
            self.flip, self.set_byte, self.number, self.number, self.insert_piece, self.insert_piece, self.insert_noise,
            self.delete, self.double, self.splice, self.cut, self.repeat, self.swap,
        ]  # fmt: skip

    def make(self, rng: Random) -> bytes:
        """The next input."""
        rnd = rng.random
        luck = rnd()
        if luck < 0.02:
            return rng.randbytes(int(rnd() * 64))
        seeds = self.seeds
        seed = seeds[int(rnd() * len(seeds))]
        if luck < 0.03:
            return seed
        return self.change(rng, seed)

    def change(self, rng: Random, seed: bytes) -> bytes:
        rnd = rng.random
        data = bytearray(seed)
        edits = self.edits
        while True:
            edits[int(rnd() * len(edits))](rng, data)
            if rnd() < 0.55:
                break
        return bytes(data[: self.max_bytes])

    def place(self, rng: Random, data: bytearray) -> int:
        return int(rng.random() * (len(data) + 1))

    def flip(self, rng: Random, data: bytearray) -> None:
        if data:
            data[int(rng.random() * len(data))] ^= 1 << int(rng.random() * 8)

    def set_byte(self, rng: Random, data: bytearray) -> None:
        if data:
            data[int(rng.random() * len(data))] = int(rng.random() * 256)

    def number(self, rng: Random, data: bytearray) -> None:
        word = WORDS[int(rng.random() * len(WORDS))]
        at = self.place(rng, data)
        data[at : at + len(word)] = word

    def insert_piece(self, rng: Random, data: bytearray) -> None:
        piece = self.pieces[int(rng.random() * len(self.pieces))]
        at = self.place(rng, data)
        data[at : at + (len(piece) if rng.random() < 0.3 else 0)] = piece

    def insert_noise(self, rng: Random, data: bytearray) -> None:
        at = self.place(rng, data)
        data[at:at] = rng.randbytes(1 + int(rng.random() * 6))

    def delete(self, rng: Random, data: bytearray) -> None:
        at = self.place(rng, data)
        del data[at : at + 1 + int(rng.random() * 6)]

    def double(self, rng: Random, data: bytearray) -> None:
        at = self.place(rng, data)
        data[at:at] = data[at : at + 1 + int(rng.random() * 16)]

    def splice(self, rng: Random, data: bytearray) -> None:
        other = self.seeds[int(rng.random() * len(self.seeds))]
        data[self.place(rng, data) :] = other[int(rng.random() * (len(other) + 1)) :]

    def cut(self, rng: Random, data: bytearray) -> None:
        del data[self.place(rng, data) :]

    def swap(self, rng: Random, data: bytearray) -> None:
        if data:
            a, b = int(rng.random() * len(data)), int(rng.random() * len(data))
            data[a], data[b] = data[b], data[a]

    def repeat(self, rng: Random, data: bytearray) -> None:
        if rng.random() < 0.2:
            at = self.place(rng, data)
            data[at:at] = data[at : at + 1 + int(rng.random() * 3)] * int(rng.random() * 400)


class StreamMutator(Mutator):
    """Changes streams of messages; an input is a byte, a 16-bit number and for each turn 16-bit length and messages.

    The byte is which conversation, the number where the stream is cut in two. Messages are dropped, doubled, moved,
    replaced by others and changed inside, mostly under a length that is true, so that what is behind the framing is met.
    """

    def __init__(self, turns: Sequence[tuple[int, Sequence[Sequence[bytes]]]], pieces: Sequence[bytes] = ()) -> None:
        super().__init__([], pieces)
        self.conversations = [(number, [list(turn) for turn in answer]) for number, answer in turns]
        self.messages = list(dict.fromkeys(msg for _, answer in self.conversations for turn in answer for msg in turn))
        self.seeds = self.messages

    def make(self, rng: Random) -> bytes:
        rnd = rng.random
        number, answer = self.conversations[int(rnd() * len(self.conversations))]
        turns = [list(turn) for turn in answer]
        while True:
            self.edit(rng, turns[int(rnd() * len(turns))])
            if rnd() < 0.6:
                break
        return pack(number, int(rnd() * 65536), [b"".join(turn) for turn in turns])

    def edit(self, rng: Random, turn: list[bytes]) -> None:
        rnd = rng.random
        what = int(rnd() * 10)
        at = int(rnd() * (len(turn) + 1))
        if what == 0:
            del turn[at : at + 1]
        elif what == 1:
            turn[at:at] = turn[at : at + 1]
        elif what == 2:
            turn.insert(at, self.messages[int(rnd() * len(self.messages))])
        elif what == 3 and turn:
            turn.insert(at, turn.pop(int(rnd() * len(turn))))
        elif what == 4:
            turn[at : at + 1] = [self.messages[int(rnd() * len(self.messages))]]
        elif what == 5:
            del turn[at:]
        elif at < len(turn):
            message = turn[at]
            if what == 6:  # the header, or a body under its old length
                turn[at] = self.change(rng, message)
            else:
                body = self.change(rng, message[5:])
                turn[at] = message[:1] + struct.pack("!I", len(body) + 4) + body


def pack(number: int, cut: int, turns: Sequence[bytes]) -> bytes:
    return struct.pack("!BH", number, cut) + b"".join(struct.pack("!H", len(turn) & 0xFFFF) + turn for turn in turns)


def unpack(data: bytes) -> tuple[int, int, list[bytes]]:
    """The inverse of ``pack``, of any bytes."""
    number, cut = struct.unpack("!BH", data[:3].ljust(3, b"\0"))
    turns = []
    at = 3
    while at + 2 <= len(data):
        size = struct.unpack_from("!H", data, at)[0]
        turns.append(data[at + 2 : at + 2 + size])
        at += 2 + size
    return number, cut, turns
