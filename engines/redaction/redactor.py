"""
The redactor: finds what must not be stored, and puts a pseudonym in its place.

It looks into texts as they are and as they read once decoded (`views.py`), into JSON values field
by field (`walking.py`), and goes over its own work until nothing is found any more: redacting twice
changes nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

from engines.redaction.kinds import all_kinds
from engines.redaction.model import Detector, Hit
from engines.redaction.policy import JOURNAL, Action, Policy
from engines.redaction.pseudonyms import Pseudonyms
from engines.redaction.scanning import Scanner
from engines.redaction.spans import merged, outside
from engines.redaction.walking import Walk

if TYPE_CHECKING:
    from engines.redaction.escrow import Escrow

_ROUNDS = 16
_REMEMBERED, _SHORT = 8192, 128  # texts, and their longest


class Redactor:
    """
    Redacts by a policy.

    Args:
        policy: What is done with what; by default everything found is hashed.
        pseudonyms: Those of the workspace; without, kinds stand in place of values.
        detectors: More of them, beside ours.
        escrow: Where values are sealed that pseudonyms stand for; by default nowhere.
    """

    def __init__(
        self,
        policy: Policy | None = None,
        pseudonyms: Pseudonyms | None = None,
        detectors: Iterable[Detector] = (),
        escrow: Escrow | None = None,
    ) -> None:
        self.policy = policy or Policy()
        self.pseudonyms = pseudonyms
        self._escrow = escrow
        self.counts: Counter[str] = Counter()
        """How many values of each kind were taken out."""
        self._scanner = Scanner(self.policy.phone_regions, tuple(detectors))
        # Short texts come again and again: states, names, words.
        self._remembered = lru_cache(_REMEMBERED)(self._look)

    def find(self, text: str, *, field: str = "") -> list[Hit]:
        """
        What *text* holds, in order and without overlaps, whatever the policy does with it.

        Args:
            field: The name it stands under, which may say what it is.
        """
        return merged(self._all_hits(text, field))

    def redact(self, text: str, *, destination: str = JOURNAL, field: str = "") -> str:
        """*text* with a pseudonym, or what the policy says, in place of each value."""
        if len(text) <= _SHORT:
            if not self._remembered(text, field):
                return text
            return self._cleared(text, lambda t: self._all_hits(t, field), destination)
        text = self._cleared(text, self._block_hits, destination)
        lines = _lines(text)
        clean = [
            self._cleared(ln, lambda t: self._line_hits(t, field), destination) for ln in lines
        ]
        return text if clean == lines else "".join(clean)

    def redact_json(self, value: Any, *, destination: str = JOURNAL) -> Any:
        """
        A JSON value without what must not be stored, in its names, texts and numbers.

        A number that is taken out becomes a text.
        """
        return Walk(self, destination).value(value)

    def redact_dict(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """As `redact_json`, for what is sure to be a dict."""
        found: dict[str, Any] = self.redact_json(dict(data))
        return found

    def redact_bytes(self, data: bytes, *, destination: str = JOURNAL) -> bytes:
        """As `redact`, for UTF-8, UTF-16 with or without its mark, and what is neither."""
        encoding, errors = _encoding(data)
        try:
            text = data.decode(encoding, errors)
        except UnicodeDecodeError:  # what was cut off
            encoding, errors = "latin-1", "strict"
            text = data.decode(encoding)
        redacted = self.redact(text, destination=destination)
        return data if redacted == text else redacted.encode(encoding, errors)

    def is_done(self, value: Any) -> bool:
        """Whether *value* is nothing but what stands for one."""
        if not isinstance(value, str) or value[:1] != "<" or value[-1:] != ">":
            return False
        tokens = self.pseudonyms.spans(value) if self.pseudonyms else []
        return tokens == [(0, len(value))] or value[1:-1] in all_kinds()

    def stands_for(self, hit: Hit, text: str, action: Action) -> str:
        """What comes in place of *hit* in *text*."""
        return self.replacement(hit.kind, hit.value or text[hit.start : hit.end], action)

    def replacement(self, kind: str, value: str, action: Action) -> str:
        """What comes in place of *value*; counted."""
        self.counts[kind] += 1
        if action is Action.DROP:
            return ""
        if action is Action.HASH and self.pseudonyms:
            token = self.pseudonyms.token(kind, value)
            if self._escrow:
                self._escrow.keep(token, value)
            return token
        return f"<{kind}>"

    def _cleared(self, text: str, look: Callable[[str], Iterable[Hit]], destination: str) -> str:
        """*text* once nothing is found in it any more: what stands apart may come together."""
        for _ in range(_ROUNDS):
            hits = look(text)
            if not hits:
                return text
            found = merged(hits, partial(self._is_kept, destination=destination))
            if not found:
                return text
            out, here = [], 0
            for hit in found:
                action = self.policy.of_kind(hit.kind, destination)
                out += [text[here : hit.start], self.stands_for(hit, text, action)]
                here = hit.end
            text = "".join([*out, text[here:]])
        return text

    def _is_kept(self, kind: str, destination: str) -> bool:
        return self.policy.of_kind(kind, destination) is Action.KEEP

    def _all_hits(self, text: str, field: str) -> tuple[Hit, ...]:
        if len(text) <= _SHORT:
            return self._remembered(text, field)
        return self._look(text, field)

    def _look(self, text: str, field: str) -> tuple[Hit, ...]:
        found = list(self._block_hits(text))
        here = 0
        for line in _lines(text):
            found += (hit.moved(here) for hit in self._line_hits(line, field))
            here += len(line)
        return tuple(found)

    def _block_hits(self, text: str) -> tuple[Hit, ...]:
        return self._sure_enough(self._scanner.block_hits(text), text)

    def _line_hits(self, line: str, field: str) -> tuple[Hit, ...]:
        return self._sure_enough(self._scanner.line_hits(line, field), line)

    def _sure_enough(self, hits: Iterable[Hit], text: str) -> tuple[Hit, ...]:
        hits = [hit for hit in hits if hit.score >= self.policy.lowest_score]
        if not hits:
            return ()
        if self.pseudonyms:
            hits = outside(hits, self.pseudonyms.spans(text), text)
        return tuple(hits)


def _lines(text: str) -> list[str]:
    return text.splitlines(keepends=True) if "\n" in text else [text]


def _encoding(data: bytes) -> tuple[str, str]:
    if data[:2] in {b"\xff\xfe", b"\xfe\xff"}:
        return "utf-16", "surrogatepass"
    sample = data[:4096]
    if len(data) % 2 == 0 and sample.count(0) * 3 > len(sample):
        little = sample[1::2].count(0) >= sample[::2].count(0)
        return ("utf-16-le" if little else "utf-16-be"), "surrogatepass"
    return "utf-8", "surrogateescape"
