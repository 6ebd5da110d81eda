"""
Subjects: which channels a subscription hears.

As NATS has them: a channel's name is tokens between dots; in a subject the token `*` stands for any
one token, and `>`, at the end, for one or more.  Beyond NATS a token may have spaces and may be
empty, as channels always could.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Generic, TypeVar

from dino_os.errors import InvalidInput

T = TypeVar("T")

REPLIES = "_reply"
"""First token of the channels on which answers are waited for; no wildcard stands for it."""

_LONGEST = 255
_ONE, _REST = "*", ">"
_REMEMBERED = 4096  # channels whose values are known without walking the tree


def check_channel(channel: object) -> str:
    """
    *channel*, if messages can be published there.

    Raises:
        InvalidInput: Not text, blank, too long, with control characters or wildcards.
    """
    name = _checked(channel, "channel")
    if _ONE in name or _REST in name:
        raise InvalidInput(f"the channel {name!r}: * and > are kept for wildcards")
    return name


def check_subject(subject: object) -> str:
    """
    *subject*, if one can subscribe to it: a channel's name, or one with wildcards.

    Raises:
        InvalidInput: As for a channel; a wildcard is a part of a token, or `>` is not the last.
    """
    name = _checked(subject, "channel")
    if not is_pattern(name):
        return name
    *before, last = name.split(".")
    for token in [*before, last]:
        if len(token) > 1 and (_ONE in token or _REST in token):
            raise InvalidInput(
                f"the channel {name!r}: a wildcard is a whole token, and {token!r} is not",
                hint="orders.*.paid has any one token there, orders.> one or more at the end",
            )
    if _REST in before:
        raise InvalidInput(f"the channel {name!r}: > stands for the rest, so it is the last token")
    return name


def is_pattern(subject: str) -> bool:
    """Whether it has wildcards."""
    return _ONE in subject or _REST in subject


def is_reply(channel: str) -> bool:
    """Whether it is one on which an answer is waited for."""
    return channel.startswith(f"{REPLIES}.")


def matches(subject: str, channel: str) -> bool:
    """Whether who subscribed to *subject* hears *channel*.  Both are taken to be checked."""
    if not is_pattern(subject):
        return subject == channel
    wanted, there = subject.split("."), channel.split(".")
    if there[0] == REPLIES != wanted[0]:
        return False
    if wanted[-1] == _REST:
        wanted.pop()
        if len(there) <= len(wanted):
            return False
    elif len(there) != len(wanted):
        return False
    return all(w in (_ONE, t) for w, t in zip(wanted, there, strict=False))


def overlap(one: str, other: str) -> bool:
    """Whether there may be a channel that both subjects have."""
    tokens, others = one.split("."), other.split(".")
    for token, against in zip(tokens, others, strict=False):
        if _REST in (token, against):
            return True
        if _ONE not in (token, against) and token != against:
            return False
    return len(tokens) == len(others)


@dataclass(slots=True)
class _Node(Generic[T]):
    """What is subscribed with the tokens that lead here."""

    further: dict[str, _Node[T]] = field(default_factory=dict)
    values: dict[T, int] = field(default_factory=dict)  # each with when it came


class Interest(Generic[T]):
    """Subjects, each with the values that stand for who subscribed to it; not for threads."""

    def __init__(self) -> None:
        self._root: _Node[T] = _Node()
        self._came = 0
        self._known: dict[str, tuple[T, ...]] = {}
        self._subjects: dict[str, int] = {}

    def __bool__(self) -> bool:
        return bool(self._subjects)

    def subjects(self) -> list[str]:
        return sorted(self._subjects)

    def add(self, subject: str, value: T) -> None:
        node = self._root
        for token in subject.split("."):
            node = node.further.setdefault(token, _Node())
        if value not in node.values:
            self._came += 1
            node.values[value] = self._came
            self._subjects[subject] = self._subjects.get(subject, 0) + 1
        self._known.clear()

    def remove(self, subject: str, value: T) -> bool:
        """Whether it was there."""
        tokens = subject.split(".")
        path = [self._root]
        for token in tokens:
            further = path[-1].further.get(token)
            if further is None:
                return False
            path.append(further)
        if path[-1].values.pop(value, None) is None:
            return False
        self._subjects[subject] -= 1
        if not self._subjects[subject]:
            del self._subjects[subject]
        while tokens and not path[-1].values and not path[-1].further:
            path.pop()
            del path[-1].further[tokens.pop()]
        self._known.clear()
        return True

    def at(self, subject: str) -> tuple[T, ...]:
        """The values of exactly that subject."""
        node: _Node[T] | None = self._root
        for token in subject.split("."):
            node = node and node.further.get(token)
        return tuple(node.values) if node else ()

    def values(self) -> tuple[T, ...]:
        """The values of all subjects, in no order."""
        return tuple({v: None for subject in self._subjects for v in self.at(subject)})

    def find(self, channel: str) -> tuple[T, ...]:
        """The values of every subject that has *channel*, in the order in which they were added."""
        known = self._known.get(channel)
        if known is None:
            came: dict[T, int] = {}
            for node in self._nodes(channel.split(".")):
                for value, when in node.values.items():
                    came[value] = min(when, came.get(value, when))
            known = tuple(sorted(came, key=came.__getitem__))
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            self._known[channel] = known
        return known

    def _nodes(self, tokens: list[str]) -> list[_Node[T]]:
        found: list[_Node[T]] = []
        here = [self._root]
        if tokens[0] == REPLIES:
            here = [self._root.further[REPLIES]] if REPLIES in self._root.further else []
            tokens = tokens[1:]
        for token in tokens:
            found += [node.further[_REST] for node in here if _REST in node.further]
            here = [node.further[t] for node in here for t in (token, _ONE) if t in node.further]
        return found + here


def _checked(name: object, what: str) -> str:
    if not isinstance(name, str) or not name.strip():
        raise InvalidInput(f"a {what} must be text, and not blank, found {name!r}"[:200])
    if len(name) > _LONGEST:
        raise InvalidInput(f"a {what}'s name has at most {_LONGEST} characters")
    if not name.isprintable():
        raise InvalidInput(f"the {what} {name!r} has characters that cannot be printed")
    return name
