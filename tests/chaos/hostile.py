"""Payloads that are meant to do harm, by a seed: sound events of every family, and what may be made of them."""

import random
from datetime import timedelta

from schemas.contracts import event_types, required, schema
from tests.properties.test_hostile_payloads import RECORD_AT
from tests.wire import value

WORDS = ("", "a", "shop", "Ann", "\u00e9" * 6, "x" * 64, "\U0001f6d2", "'; DROP TABLE", "\x00", "1e999", "\n\r\t")
NUMBERS = (0, 1, -1, 7, 63, 64, 127, 128, 1 << 31, -(1 << 31), (1 << 53) + 1, (1 << 63) - 1, -(1 << 63))
TOO_MUCH = (b"\xff" * 9 + b"\x01", b"\xfe" * 9 + b"\x03", b"\x80" * 11 + b"\1", b"\xfe\xff\xff\xff\x0f", b"\x80" * 7, b"\1", b"\4")


def sound(dice: random.Random, family: str) -> bytes:
    """An event that says much or little; most are fit to be used."""
    event = {"event_type": dice.choice(event_types(family)), "event_at": _soon(dice)}
    for field in schema(family)["fields"]:
        name, kind = field["name"], field["type"]
        plain = kind[1] if isinstance(kind, list) else kind
        if name in event or (isinstance(kind, list) and dice.random() < 0.7):
            continue
        if isinstance(plain, dict):
            event[name] = _soon(dice)
        elif plain == "string":
            event[name] = f"{name}-{dice.randrange(1_000)}" if name in required(family) else dice.choice(WORDS)
        elif plain in {"int", "long"}:
            number = dice.choice(NUMBERS)
            event[name] = number if plain == "long" or abs(number + 0.5) < 1 << 31 else dice.randrange(100)
        else:
            event[name] = dice.random() < 0.5 if plain == "boolean" else dice.choice((0.0, 1.5, -1e308, float("nan"), float("inf")))
    return value(event, family)


def _soon(dice):
    return RECORD_AT + timedelta(milliseconds=dice.randint(-10_000, 500_000))


def hostile(dice: random.Random, good: bytes, other: bytes) -> bytes | None:  # noqa: PLR0911 - one way to harm it a line
    """What may become of a value on its way, or be made of it; `other` is one whose bytes it may borrow."""
    at = dice.randint(5, len(good) - 1)
    match dice.randrange(10):
        case 0:
            return good[: dice.randrange(len(good))]
        case 1:
            return good + dice.randbytes(dice.randint(1, 9))
        case 2 | 3:
            changed = bytearray(good)
            for _ in range(dice.randint(1, 3)):
                changed[dice.randrange(len(good))] ^= 1 << dice.randrange(8)
            return bytes(changed)
        case 4:
            return good[:at] + other[dice.randint(5, len(other) - 1) :]
        case 5:  # the same value in a longer varint
            return good[:at] + bytes([good[at] | 0x80]) + b"\x80" * dice.randint(0, 9) + b"\0" + good[at + 1 :]
        case 6:  # a length, an index or a number that asks for too much
            return good[:at] + dice.choice(TOO_MUCH) + good[at + 1 :]
        case 7:
            return good[:5] + dice.randbytes(dice.randint(0, 200))
        case 8:
            return dice.randbytes(dice.randint(0, 200))
        case _:
            return dice.choice((None, b"", b"\0", good[:5], good[:at] + good[at:] * 40, b"\0" * 5_000, good[:5] + good))
