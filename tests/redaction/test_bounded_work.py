"""No text makes a pattern try again and again: by what the patterns are, and by adversarial lines."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Iterator
from re import _constants as words
from re import _parser as parser
from typing import Any

import pytest

import engines.redaction
from engines.redaction import Pseudonyms, Redactor, api_key_table, api_keys

_REPEATS = {words.MAX_REPEAT, words.MIN_REPEAT}
_ONE_CHARACTER = {words.LITERAL, words.NOT_LITERAL, words.IN, words.ANY, words.CATEGORY}


def patterns() -> Iterator[tuple[str, re.Pattern[str]]]:
    for found in pkgutil.iter_modules(engines.redaction.__path__):
        module = importlib.import_module(f"engines.redaction.{found.name}")
        for name, value in vars(module).items():
            if isinstance(value, re.Pattern):
                yield f"{found.name}.{name}", value
    for form in (*api_key_table.prefixed(), *api_key_table.marked(), *api_key_table.named()):
        yield form.kind, api_keys._compiled(form.pattern)


def repeats(tree: Any, inside: int = 0) -> Iterator[tuple[int, bool]]:
    """Of each repeat its upper bound, times those around it, and whether it is of one character."""
    for operation, given in tree:
        if operation in _REPEATS:
            _, most, body = given
            simple = len(body) == 1 and body[0][0] in _ONE_CHARACTER
            yield (int(most) * max(inside, 1) if most != words.MAXREPEAT else -1), simple
            yield from repeats(body, int(most) * max(inside, 1))
        elif isinstance(given, tuple | list):
            for part in given:
                if isinstance(part, parser.SubPattern):
                    yield from repeats(part, inside)
                elif isinstance(part, list):
                    for one in part:
                        if isinstance(one, parser.SubPattern):
                            yield from repeats(one, inside)


def test_every_repeat_is_of_one_character_or_bounded() -> None:
    """And repeats within repeats are bounded together: nothing grows with a power of the text."""
    seen = 0
    for name, pattern in patterns():
        for most, simple in repeats(parser.parse(pattern.pattern, pattern.flags)):
            seen += 1
            assert simple or 0 <= most <= 1 << 20, (name, most)
    assert seen > 400


HOSTILE = [
    "a", "1", "1 ", "1-", "12.34.", "a@", "a@a.", "=", "password=", "password: ", "pass", "key is ", "eyJ",
    "eyJa.", "://", "://a:", "%41", "%", "\\u0041", "\\", "&#65;", "Mr. A ", "born 1", "+1 ", "(212) ", "7a",
    "fe80:", "::", "aa:bb:", "sk_live_", "AKIA", "Bearer ", "-u a:", "-----BEGIN PRIVATE KEY-----",
    "PuTTY-User-Key-File-3: Private-Lines: 1 ", "MIIEa", "AB12 ", "X1234567", "\u200b1", "１", "e\u0301",
    "52.5200, 13.4049 ", "a1" * 10 + " ", '"', "{[", "Q~", "x=y;", "4111 1111 1111 1111 ", "secret " + "a1B" * 9 + " ",
]  # fmt: skip


@pytest.mark.parametrize("length", [5_000])
def test_hostile_lines_are_gone_through_like_others(length: int) -> None:
    """
    One after the other; `bench/redaction.py` has them with a million characters, and its times.

    What is counted is not time but how much text is looked at: each line once, and again only as
    far as something was taken out of it.
    """
    one = Redactor(pseudonyms=Pseudonyms(b"k" * 32))
    looked = 0
    scan = one._scanner.line_hits

    def counted(line: str, field: str = "") -> Any:
        nonlocal looked
        looked += len(line)
        return scan(line, field)

    one._scanner.line_hits = counted
    for seed in HOSTILE:
        line = (seed * (length // len(seed) + 1))[:length]
        looked = 0
        one.redact(line)
        assert looked <= 6 * length, seed
