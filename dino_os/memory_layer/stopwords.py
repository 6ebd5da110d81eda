"""
The words that a question has because it is a question.

English ones always count as such.  Those of another language do where a query has two of them:
`die` and `on` are words of more than one language, and a single one says nothing.
"""

from __future__ import annotations

from collections.abc import Iterable

_ENGLISH = """
    a about am an and any are as at be been but by can can't could did didn't do does doesn't don't
    doing for from had has have having he her hers him his how how's i i'd i'll i'm i've if in into
    is isn't it it's its just me might must my of on or our ours shall she should so some such than
    that that's the their theirs them then there there's these they they're this those to us was
    wasn't we we're were what what's when where where's which who who's whom whose why will with
    would you you're your yours
"""
_GERMAN = """
    aber als am an auch auf aus bei bis da das dass dem den der des die du ein eine einem einen
    einer es für gibt haben hatte ich ihr im in ist kann man mein mit nach nicht oder sein sich
    sie sind um und uns unser vom von war warum was wann welche welcher welches wem wen wer
    werden wie wir wird wo wurde zu zum zur
"""
_FRENCH = """
    a au aux avec ce ces comment dans de des du elle en est et il je la le les leur mais mon
    nous où ou par pas pour pourquoi qu'est-ce quand que quel quelle qui sa se ses son sont sur
    un une vous à
"""
_SPANISH = """
    a al como con cuál cuándo cómo de del dónde el ella en es esta este está ha la las lo los mi
    más no para pero por porque que quién qué se ser si sin su sus un una y yo
"""
_OTHERS = (_GERMAN, _FRENCH, _SPANISH)
_ENOUGH = 2


def languages_of(words: Iterable[str | None]) -> tuple[frozenset[str], ...]:
    """The stopwords of the languages that *words* seem to be of."""
    there = set(words)
    others = (frozenset(own.split()) for own in _OTHERS)
    return (frozenset(_ENGLISH.split()), *(own for own in others if len(own & there) >= _ENOUGH))


def is_stopword(word: str, spoken: tuple[frozenset[str], ...]) -> bool:
    return any(word in own for own in spoken)
