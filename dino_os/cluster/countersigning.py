"""
Nodes sign each other's checkpoints: nobody can then rewrite a node's journals, not even who has it.

Each asks the next few by name for a countersignature under each of its journals' last checkpoints,
and signs theirs if they extend what it saw before, as any witness does (`dino_os.witnessing`).
What does not extend it is refused, recorded and said on both sides.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from dino_os.auditing import PASSPHRASE_VARIABLE, Auditing, checkpoint_if_due
from dino_os.cluster.neighbours import Keys
from dino_os.cluster.notes import REFUSED, SIGNED, STALE, Answer, Ask, Board, Notes, Pair
from dino_os.witnessing import Witnessing, parse_request
from engines.audit import Checkpoint, NotSigned, StaleSize, is_sealed, read_verifier
from engines.errors import DinoError, InvalidInput

if TYPE_CHECKING:
    from dino_os.workspace import Workspace
    from engines.audit import Signed

NEIGHBOURS = 3
"""How many others each node asks."""

_ADDED_TO_BY_SIGNING = {"checkpoints", "witness"}


def say(text: str) -> None:
    print(f"dino: {text}", file=sys.stderr)  # noqa: T201


class Countersigning:
    """
    What *workspace*, a node of a cluster, does for checkpoints.

    Args:
        say: Is told, once each, what its operator has to know.
    """

    def __init__(self, workspace: Workspace, say: Callable[[str], None] = say) -> None:
        if workspace.cluster is None:
            raise InvalidInput("this workspace is no node of a cluster")
        self._workspace = workspace
        self._node = workspace.cluster.node
        self._notes = Notes(workspace.cluster)
        self._auditing = Auditing(workspace)
        self._witnessing = Witnessing(workspace)
        self._neighbours = workspace.neighbours
        self._say = say
        self._said: set[str] = set()

    def turn(self) -> None:
        """
        Sign what is due, ask for countersignatures, give them, and take what was given.

        Raises:
            ClusterUnavailable: The servers do not answer; what is asked, is asked the next time.
        """
        if not self._auditing.key_file.exists():
            self._say_once(
                "there is no signing key: no checkpoints, none countersigned; make one "
                "with `audit key new`"
            )
            return
        self._sign_what_is_due()
        board = self._notes.board()
        self._introduce(board)
        known = self._meet(board)
        self._notes.answer(dict(self._answers(board, known)))
        self._take(board, known)
        self._notes.ask(dict(self._asks(board, known)))

    # --- who is who --------------------------------------------------------------------------

    def _introduce(self, board: Board) -> None:
        keys = own_keys(self._workspace).as_dict()
        if board.keys.get(self._node) != keys:
            self._notes.introduce(keys)

    def _meet(self, board: Board) -> dict[str, Keys]:
        """The other nodes, as far as they come with the keys that are pinned."""
        self._neighbours.refresh()
        known = {}
        for node, said in board.keys.items():
            keys = Keys(**said)
            if node == self._node:
                continue
            try:
                fits = keys.verifier.name == keys.origin and keys.cosigner.name == keys.origin
            except DinoError:
                fits = False
            if fits and self._neighbours.meet(node, keys):
                rely_on(self._workspace, keys)
                known[node] = keys
            else:
                self._say_once(
                    f"node {node!r} comes with other keys than before: its checkpoints are not "
                    f"countersigned, nor its countersignatures taken; if that is right: "
                    f"`dino cluster trust {node}`"
                )
        return known

    # --- signing -----------------------------------------------------------------------------

    @property
    def _is_locked(self) -> bool:
        return is_sealed(self._auditing.key_file) and PASSPHRASE_VARIABLE not in os.environ

    def _sign_what_is_due(self) -> None:
        if self._is_locked:
            self._say_once(
                "the signing key is sealed: nothing is signed here, ours or others', unless "
                f"{PASSPHRASE_VARIABLE} is in the environment"
            )
            return
        for path in self._workspace.journals():
            if path.stem not in _ADDED_TO_BY_SIGNING:
                try:
                    checkpoint_if_due(self._workspace, [path])
                except DinoError as error:  # one that does not stand is no reason for the others
                    self._refused(self._node, path.stem, error.message, by_us=True)

    def _answers(self, board: Board, known: dict[str, Keys]) -> Iterator[tuple[Pair, Answer]]:
        """What is said to nodes that ask, of what was not answered yet, or is otherwise now."""
        if self._is_locked:
            return
        for (node, journal), ask in board.theirs.items():
            before = board.answered.get((node, journal))
            if before and before.ask == ask.revision and before.state != REFUSED:
                continue
            if node in known:
                answer = self._answer(node, known[node], ask)
            else:
                answer = Answer(ask.revision, REFUSED, f"the keys of {node!r} are not trusted here")
            if answer != before:
                yield (node, journal), answer

    def _answer(self, node: str, keys: Keys, ask: Ask) -> Answer:
        seen = self._workspace.witness.size_of(f"{keys.origin}/{ask.journal}")
        try:
            self._check_origin(keys, ask)
            signature = self._witnessing.cosign(ask.request)
        except StaleSize as stale:
            return Answer(ask.revision, STALE, str(stale.size))
        except NotSigned as error:
            return self._refuse(node, ask, error.message)
        except DinoError as error:
            is_cut = ask.old == seen > ask.size
            told = f"it has {ask.size} lines, of {seen} that were signed here: truncated"
            return self._refuse(node, ask, told if is_cut else error.message)
        self._neighbours.agree(node, ask.journal, by_us=True)
        return Answer(ask.revision, SIGNED, signature)

    def _check_origin(self, keys: Keys, ask: Ask) -> None:
        _, _, note = parse_request(ask.request)
        checkpoint = Checkpoint.parse(note.text)
        if checkpoint.origin != f"{keys.origin}/{ask.journal}" or checkpoint.size != ask.size:
            raise NotSigned("it is of another workspace or journal than it says")

    def _refuse(self, node: str, ask: Ask, why: str) -> Answer:
        self._refused(node, ask.journal, why, by_us=True)
        return Answer(ask.revision, REFUSED, why)

    # --- being signed ------------------------------------------------------------------------

    def _take(self, board: Board, known: dict[str, Keys]) -> None:
        """Keep the signatures that were given, and heed what was refused."""
        for (node, journal), ask in board.ours.items():
            answer = board.answers.get((node, journal))
            if answer is None or answer.ask != ask.revision or node not in known:
                continue
            if self._has_signed(known[node], journal, ask.size):
                continue
            if answer.state == REFUSED:
                self._refused(node, journal, answer.text, by_us=False)
            elif answer.state == SIGNED:
                try:
                    self._accept(journal, answer.text)
                    self._neighbours.agree(node, journal, by_us=False)
                except DinoError as error:
                    self._refused(node, journal, error.message, by_us=False)

    def _has_signed(self, keys: Keys, journal: str, size: int) -> bool:
        of_size = (s for s in self._auditing.log.of(journal) if s.checkpoint.size == size)
        return any(signed.note.is_signed_by(keys.cosigner) for signed in of_size)

    def _accept(self, journal: str, signatures: str) -> None:
        with contextlib.suppress(NotSigned):
            self._auditing.accept(journal, signatures)
            return
        # It is of a checkpoint that this log does not have (any more).
        raise InvalidInput("what it signed is no checkpoint of ours that is known")

    def _asks(self, board: Board, known: dict[str, Keys]) -> Iterator[tuple[Pair, Ask]]:
        """What the next nodes by name are asked, as far as they were not asked that yet."""
        log = self._auditing.log
        log.refresh()
        there = {path.stem for path in self._workspace.journals()}
        for node in next_by_name(self._node, known):
            for journal in log:
                signed = log.latest_or_raise(journal)
                if journal not in there or signed.note.is_signed_by(known[node].cosigner):
                    continue
                if (old := self._old(board, node, known[node], signed)) is None:
                    continue
                try:
                    yield (node, journal), self._ask(signed, old)
                except DinoError as error:
                    self._refused(self._node, journal, error.message, by_us=True)

    def _old(self, board: Board, node: str, keys: Keys, signed: Signed) -> int | None:
        """From which size on it is to be shown that *signed* extends what the node saw; None: no"""
        asked = board.ours.get((node, signed.journal))
        if asked is not None and _is_of(asked, signed):
            answer = board.answers.get((node, signed.journal))
            if answer is None or answer.ask != asked.revision or answer.state != STALE:
                return None
            seen = int(answer.text)
            return None if seen == asked.old else seen
        history = self._auditing.log.of(signed.journal)
        cosigned = (s for s in reversed(history) if s.note.is_signed_by(keys.cosigner))
        return next((s.checkpoint.size for s in cosigned), 0)

    def _ask(self, signed: Signed, old: int) -> Ask:
        size = signed.checkpoint.size
        if old > size:
            # It saw more lines than there are.  No proof leads back; that it is told anyway is how
            # both sides come to know, and to record it.
            return Ask(signed.journal, size, old, f"old {old}\n\n{signed.text}")
        request = self._auditing.prove_consistency(signed.journal, old, None)
        return Ask(signed.journal, size, old, request)

    # --- telling -----------------------------------------------------------------------------

    def _refused(self, node: str, journal: str, why: str, *, by_us: bool) -> None:
        if not self._neighbours.refuse(node, journal, why, by_us=by_us):
            return
        if node == self._node:
            text = f"our journal {journal!r} cannot be countersigned"
        elif by_us:
            text = f"node {node!r} shows another history of its journal {journal!r}: not signed"
        else:
            text = f"node {node!r} does not countersign our journal {journal!r}"
        self._say(f"{text}: {why}; `audit verify` and `audit witness forks` say more")

    def _say_once(self, text: str) -> None:
        if text not in self._said:
            self._said.add(text)
            self._say(text)


def trust(workspace: Workspace, node: str) -> Keys:
    """
    Rely on the keys with which that node came last, which are not those that were pinned.

    Raises:
        NotFound: It came with none that were refused.
    """
    keys = workspace.neighbours.trust(node)
    rely_on(workspace, keys)
    return keys


def own_keys(workspace: Workspace) -> Keys:
    """
    What this node says of itself.

    Raises:
        NotFound: It has no signing key.
    """
    verifier = read_verifier(workspace.signing_key)
    return Keys(workspace.origin(), str(verifier), str(verifier.as_witness()))


def rely_on(workspace: Workspace, keys: Keys) -> None:
    """Vouch for a node's checkpoints, and have its countersignatures count."""
    workspace.witness.trust(keys.origin, keys.verifier)
    workspace.checkpoints.trust_witness(keys.cosigner)


def next_by_name(node: str, others: dict[str, Keys]) -> list[str]:
    """The nodes that *node* asks: those that follow it, the first behind the last."""
    ahead = sorted(others, key=lambda other: (other < node, other))
    return ahead[:NEIGHBOURS]


def _is_of(ask: Ask, signed: Signed) -> bool:
    """Whether that checkpoint was asked for."""
    with contextlib.suppress(DinoError):
        return parse_request(ask.request)[2].text == signed.note.text
    return False
