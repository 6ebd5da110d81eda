"""Keys of cloud services, by the table of their forms."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Iterator
from functools import cache, lru_cache

from engines.any_of import any_of
from engines.redaction import api_key_table as table
from engines.redaction.api_key_table import Form
from engines.redaction.model import LIKELY, POSSIBLE, SURE, Hit
from engines.redaction.placeholders import is_monotonous
from engines.redaction.views import Text

_BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
# What a prefix of so few characters must not stand behind: it is found within names too.
_WITHIN = {2: "_-./", 3: "_-./", 4: "."}
_FEWEST, _FEWEST_OF_A_CASE = 6, 10  # different characters
_parted = re.compile(r"[-_.]")
_REACH = 60
_SHORTEST_MARKED = 36
_secret_word = re.compile(r"key|token|secret|auth|passw|credential|api|login|sid\b|bearer")


_secret_stems = (
    "key", "token", "secret", "auth", "passw", "credential", "api", "sid", "bearer", "webhook",
    "passphrase",
    "signing", "hmac", "session",
)  # fmt: skip


def named_cue(scanned: Text) -> bool:
    return bool(scanned.long) and scanned.holds(_secret_stems)


def service_cue(scanned: Text) -> bool:
    return bool(scanned.long) and scanned.says(_services())


def find_prefixed(scanned: Text) -> Iterator[Hit]:
    starts, candidates = _prefixes()
    for begin, end in scanned.long:
        for start in starts.finditer(scanned.text, begin, end):
            if hit := _behind(scanned.text, start.start(), candidates[start[0]]):
                yield hit


def _behind(text: str, at: int, forms: list[Form]) -> Hit | None:
    before = text[at - 1 : at]
    for form in forms:
        if before and before in _WITHIN.get(len(form.sign), ""):
            continue
        found = _compiled(form.pattern).match(text, at + len(form.sign))
        if found and _is_varied(found[0]):
            score, why = _judged(form, found[0])
            return Hit(form.kind, at, found.end(), form.kind, score, why)
    return None


def find_marked(scanned: Text) -> Iterator[Hit]:
    text = scanned.text
    for begin, end in scanned.long:
        if end - begin < _SHORTEST_MARKED:
            continue
        word = text[begin:end]
        for form in _marked():
            if form.sign in word:
                for found in _compiled(form.pattern).finditer(text, begin, end):
                    if _is_varied(found[0]):
                        yield Hit(form.kind, *found.span(), form.kind, SURE, f"around {form.sign}")


def find_named(scanned: Text) -> Iterator[Hit]:
    names, candidates = _named()
    for name in names.finditer(scanned.low):
        for form in candidates[name[0]]:
            for found in _compiled(form.pattern).finditer(
                scanned.text, name.end(), name.end() + _REACH * 2
            ):
                start = found.start()
                if start - name.end() > _REACH or not _starts(scanned.text, start):
                    continue
                between = scanned.low[name.start() : start]
                if "\n" not in between and _secret_word.search(between) and _is_varied(found[0]):
                    why = "its length, beside its service and a word for secrets"
                    yield Hit(form.kind, *found.span(), form.kind, LIKELY, why)


def kinds() -> dict[str, int]:
    """Each kind of key with its number of forms."""
    found: dict[str, int] = {}
    for form in (*table.prefixed(), *table.marked(), *table.named()):
        found[form.kind] = found.get(form.kind, 0) + 1
    return found


def _judged(form: Form, rest: str) -> tuple[float, str]:
    if not form.check:
        return SURE, f"behind {form.sign}"
    if _checks[form.check](rest):
        return SURE, f"behind {form.sign}, check digits"
    return POSSIBLE, f"behind {form.sign}, though its check digits do not fit"


def _base62_crc(rest: str) -> bool:
    # GitHub: the last six are the CRC-32 of what stands between them and the prefix.
    number, digits = zlib.crc32(rest[:-6].encode()), ""
    while number:
        number, digit = divmod(number, len(_BASE62))
        digits = _BASE62[digit] + digits
    return digits.rjust(6, "0") == rest[-6:]


def _hex_crc(rest: str) -> bool:
    # Grafana: the last eight are the CRC-32 of the token before them.
    body, _, crc = rest.rpartition("_")
    return (
        f"{zlib.crc32(body.encode()):08x}" == crc
        or f"{zlib.crc32(f'glsa_{body}'.encode()):08x}" == crc
    )


_checks: dict[str, Callable[[str], bool]] = {"crc": _base62_crc, "hex_crc": _hex_crc}


def _is_varied(value: str) -> bool:
    """Not a word, nor a placeholder: `xxxxxxxx`, `your-key-goes-here`."""
    mixed = any(map(str.isdigit, value)) or (value.lower() != value and value.upper() != value)
    enough = _FEWEST if mixed else _FEWEST_OF_A_CASE
    worded = not mixed and _parted.search(value) is not None
    return len(set(value)) >= enough and not worded and not is_monotonous(value)


def _starts(text: str, at: int) -> bool:
    return not (text[at - 1 : at].isalnum() or text[at - 1 : at] in {"_", "-", "/", "+"})


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(f"(?:{pattern})(?![A-Za-z0-9])")


@cache
def _prefixes() -> tuple[re.Pattern[str], dict[str, list[Form]]]:
    """A pattern of all prefixes, and to each the forms of it and of those that it begins with."""
    forms = list(table.prefixed())
    signs = sorted({form.sign for form in forms})
    candidates = {
        sign: sorted((f for f in forms if sign.startswith(f.sign)), key=lambda f: -len(f.sign))
        for sign in signs
    }
    return re.compile(f"(?<![A-Za-z0-9])(?:{any_of(signs)})"), candidates


@cache
def _marked() -> list[Form]:
    return list(table.marked())


@cache
def _named() -> tuple[re.Pattern[str], dict[str, list[Form]]]:
    candidates: dict[str, list[Form]] = {}
    for form in table.named():
        for name in form.sign.split("|"):
            candidates.setdefault(name, []).append(form)
    return re.compile(any_of(sorted(candidates))), candidates


@cache
def _services() -> frozenset[str]:
    """One word of each name."""
    return frozenset(re.split("[_-]", name.strip("_"))[-1] for name in _named()[1])
