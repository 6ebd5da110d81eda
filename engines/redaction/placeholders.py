"""
What stands where a secret would, and is none: blanks, variables, calls, types, words of a sentence.

A form with a digit or a sign that people put into passwords is taken for a secret: better one
variable too many than a password too few.
"""

from __future__ import annotations

import re

from engines.redaction.context import word_set

_forms = re.compile(
    r"[xX*.\-_#?•●]{2,}|…"
    r"|<[A-Za-z_ :.-]{1,40}>|<[a-z][a-z0-9_]{1,47}:[a-z2-7]{16}>"  # and what stands for another
    r"|\[[A-Za-z_ -]{0,40}\]|(?!\{[A-Z0-9-]{2,12}\})[{\[(][^0-9!@#$%^&*]{0,80}"  # {SSHA} is a hash
    r"|\$\{[^{}]{0,60}\}|\$[A-Z][A-Z0-9_]{1,60}|\{\{?[A-Za-z_ .|-]{0,60}\}?\}|\{\{[A-Za-z_.]{0,60}"
    r"|\$(?:db_?)?(?:pass|pwd|token|secret|key)\w{0,20}|%[sdr]|%\(\w{1,40}\)[sdr]|%[A-Za-z_]{1,40}%"
    r"|(?:os|process|env|config|settings|self|this|args|var|local|secrets|data|options|server)\."
    r"[\w.\[\]'\"()]{1,80}"
    r"|[A-Za-z_][A-Za-z_.]{0,60}\((?:[A-Za-z_\s.,'\"=:/-]{0,80}\)(?:\.[A-Za-z_.()]{0,40})?|[A-Za-z_.]{0,60});?"
    r"|[A-Za-z_.]{1,40}\[[\[A-Za-z_., ]{0,60}\]{0,2}"
    r"|(?:[Yy]our|YOUR|my|the|some|example|sample|dummy)[-_ ][A-Za-z_-]{0,40}"
)
_words = word_set(
    "null nil none undefined true false yes no on off nan n/a empty redacted hidden masked removed "
    "string str int integer bool boolean bytes text object any float number char varchar optional "
    "required missing invalid expired incorrect wrong unset unknown default placeholder password "
    "passwd secret token key bearer basic digest oauth oauth2 enabled disabled failed ok changed "
    "reset updated rotated revoked accepted rejected denied valid set not must should is was has "
    "for and or of to in from with by that this it which who what why when where if then else only "
    "also never always one two a an so as but all each every name names without"
)
_path = re.compile(r"(?:[~.]?/[\w.-]{1,80}){2,40}/?|[~.]?/[a-z]{2,20}/?")


def is_placeholder(value: str) -> bool:
    """Whether *value*, without space around it, is none that anybody would use."""
    return value.lower() in _words or _forms.fullmatch(value) is not None


def is_path(value: str) -> bool:
    """As the shell's PWD has one."""
    return _path.fullmatch(value) is not None


def is_monotonous(value: str) -> bool:
    """Whether one character makes up half of it."""
    return max(map(value.count, set(value))) * 2 > len(value)
