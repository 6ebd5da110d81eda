"""The policy of redaction that a workspace has set, in its settings or in a file they name."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from dino_os.config.provenance import Redaction
from dino_os.errors import InvalidInput
from dino_os.typed_files import load
from engines.checks import did_you_mean
from engines.redaction import Action, Policy, Rules, all_kinds

if TYPE_CHECKING:
    from dino_os.config import provenance as form


def policy_of(settings: Redaction, root: Path, more_kinds: Collection[str] = ()) -> Policy:
    """
    The policy that *settings* spell out, or the file that they name.

    Args:
        root: Where that file's name begins.
        more_kinds: Those that plug-ins find.

    Raises:
        InvalidInput: The file does not fit, or a kind is unknown.
    """
    if settings.file:
        settings, _ = load(root / settings.file, Redaction)
    ours = all_kinds()
    known = {*ours, *ours.values(), *more_kinds}
    for kind in _kinds(settings):
        if kind not in known:
            raise InvalidInput(
                f"provenance.redaction: no kind {kind!r}{did_you_mean(kind, known)}",
                hint="`dino provenance redact --kinds` lists them",
            )
    return Policy(
        rules=_rules(settings),
        destinations={name: _rules(rules) for name, rules in settings.destinations.items()},
        phone_regions=tuple(settings.phone_regions),
        lowest_score=settings.lowest_score,
    )


def _kinds(settings: Redaction) -> Iterator[str]:
    yield from settings.kinds
    for rules in settings.destinations.values():
        yield from rules.kinds


def _rules(rules: Redaction | form.Rules) -> Rules:
    return Rules(
        default=Action(rules.default) if rules.default else None,
        kinds=_actions(rules.kinds),
        fields=_actions(rules.fields),
    )


def _actions(words: Mapping[str, str]) -> dict[str, Action]:
    return {name: Action(word) for name, word in words.items()}
