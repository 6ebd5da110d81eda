"""
What of a value can be searched for, and what a user's query asks for.

A query is words, "quoted phrases", beginnings* and -words that an entry must not have.  Nothing in
it is ever syntax of FTS5: each part becomes a quoted phrase, which ends only at a quotation mark
that is not doubled; NUL, which ends any query, parts words as a space does.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from string import punctuation
from typing import Any

from dino_os.memory_layer.stopwords import is_stopword, languages_of

TOKENIZER = "porter unicode61 remove_diacritics 2"  # of the table `words`
_MOST_TERMS = 32
_LONGEST_TERM = 200
_READ = 2**16  # characters of a query; nobody types more
_SHORTEST_BEGINNING = 2  # one letter begins a tenth of all words
_PART = re.compile(r'(?P<minus>(?<!\S)-)?"(?P<phrase>[^"]+)"|(?P<word>[^\s"]+)')
_WITHOUT = re.compile(r"-[^\W\d_]{2}")  # `-5` and `-x` are what they say; nothing is excluded
_APOSTROPHE = "\u2019"
_SIGNS = punctuation + _APOSTROPHE + "\u2018\u201c\u201d\u201e\u2026\u2013\u2014«»¿¡"
_IDENTIFIER = re.compile(r"\d|\w[_./:\\@#]\w|[^\W\d_A-Z][A-Z]|[A-Z]{2}")


@dataclass(frozen=True, slots=True)
class Term:
    """
    One thing that a query asks for.

    Attributes:
        text: As the user wrote it.
        match: In FTS5's language.
        exact: Quoted, or more of a name than a word: found as it is written or not at all.
    """

    text: str
    match: str
    exact: bool = False


@dataclass(frozen=True, slots=True)
class Query:
    """
    What a query asks for.

    Attributes:
        terms: Each counts; none has to be there.
        without: None may be there.
        text: All of it, for search by meaning.
    """

    terms: tuple[Term, ...]
    without: tuple[Term, ...]
    text: str

    @property
    def exactness(self) -> float:
        """The share of its terms that are names, numbers or quoted."""
        return sum(term.exact for term in self.terms) / len(self.terms) if self.terms else 0.0


def text_of(value: Any) -> str:
    """All names, texts and numbers in *value*, a line each."""
    lines: list[str] = []
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            lines += item
            waiting += reversed(item.values())
        elif isinstance(item, list):
            waiting += reversed(item)
        elif item is not None:
            lines.append(str(item))
    return "\n".join(lines)


def read(query: str) -> Query:
    """What *query* asks for; its stopwords only where there is nothing else."""
    text = query[:_READ].replace("\0", " ").encode(errors="replace").decode()
    wanted: dict[str, Term] = {}
    without: dict[str, Term] = {}
    for part in _PART.finditer(text):
        term, excluded = _term(part)
        if any(map(str.isalnum, term.text)):
            (without if excluded else wanted).setdefault(term.match.lower(), term)
    if not wanted:  # `-word` by itself can only be meant as a word
        wanted, without = without, {}
    terms = _telling([*wanted.values()])[:_MOST_TERMS]
    return Query(tuple(terms), tuple(without.values())[:_MOST_TERMS], " ".join(text.split()))


def quoted(text: str) -> str:
    """*text* as a phrase of FTS5's language."""
    return '"' + text.replace('"', '""') + '"'


def _term(part: re.Match[str]) -> tuple[Term, bool]:
    """What a part of a query asks for, and whether it must not be there."""
    phrase = part["phrase"]
    if phrase is not None:
        text = phrase[:_LONGEST_TERM]
        return Term(text, quoted(text), exact=True), bool(part["minus"])
    word = part["word"]
    excluded = bool(_WITHOUT.match(word)) and not part.string[: part.start()][-1:].strip()
    text = word[:_LONGEST_TERM].strip(_SIGNS)
    exact = bool(_IDENTIFIER.search(text))
    if word.endswith("*") and sum(map(str.isalnum, text)) >= _SHORTEST_BEGINNING:
        return Term(text + "*", quoted(text) + " *", exact), excluded
    return Term(text, quoted(text), exact), excluded


def _telling(terms: list[Term]) -> list[Term]:
    """*terms* without those that every question has, where that leaves any."""
    words = [_plain(term) for term in terms]
    spoken = languages_of(words)
    left = [
        term
        for term, word in zip(terms, words, strict=True)
        if word is None or not is_stopword(word, spoken)
    ]
    return left or terms


def _plain(term: Term) -> str | None:
    """The word that *term* is; None where it is more than one, or meant exactly."""
    if term.exact or term.match.endswith("*"):
        return None
    return term.text.lower().replace(_APOSTROPHE, "'")
