"""
Secrets kept out of what models are told.

Before anything leaves, each value of the vault, in whatever spelling, and all that has the form of
a secret becomes a pseudonym of the workspace's own key, `<secret:k3vq7xw2mtn5ya4c>`.  A model can
pass it on, and in the arguments of a skill it becomes the secret again as the call is handed over:

- only where the secret stood in this very run; a pseudonym from elsewhere is a text like any other;
- a value of the vault only for a skill that asks for its key and was granted it, and recorded like
  every access to a key; for any other skill the pseudonym stays;
- what only had the form of a secret for every call that is made, which people have approved where
  the skill writes or talks to hosts and the run holds text that nobody vouches for.

Answers keep their pseudonyms.  What a parked run needs lies beside its messages, sealed with a key
of the vault; without the vault it is not kept, and a call that needs it fails and says so.

Limits: as those of `dino_os.redaction` and `engines.redaction`.  In pictures and sound nothing is
looked for.  A vault that cannot be opened stops everything: nobody could tell what its values are.
"""

from __future__ import annotations

import copy
import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar, cast

from dino_os.agent_core.vault_values import VaultValues
from dino_os.errors import SecurityError
from dino_os.provenance.detectors import guarded
from dino_os.provenance.policy import policy_of
from dino_os.provenance.redacting import pseudonyms_of
from dino_os.security_gateway.own_key import OwnKey
from engines.redaction import Action, Hit, Policy, Pseudonyms, Redactor, Rules

if TYPE_CHECKING:
    from dino_os.skill_index import Skill
    from dino_os.workspace import Workspace

T = TypeVar("T")
DESTINATION = "model"
"""What the rules of `provenance.redaction.destinations` call it."""
_KEY, _PART = "agent/secrets", "engine:agent_log"
_SECRET = "secret"  # noqa: S105  a kind
_LONGEST = 16_384  # characters of what has the form of a secret: a private key
_REMEMBERED = 1024  # texts: each request has those before it in it
# Names and numbers of messages and their parts, which are no content.
_AS_IT_IS = frozenset(
    {
        *("id", "run_id", "conversation_id", "provider_response_id", "tool_call_id", "timestamp"),
        *("kind", "part_kind", "tool_kind", "tool_name", "provider_name", "model_name"),
        *("signature", "usage", "state", "outcome", "finish_reason"),
    }
)
_secrets_only = Rules(Action.HASH, kinds={"personal": Action.KEEP, "network": Action.KEEP})


class Screen:
    """
    The screen of one run.

    Args:
        personal: Whether personal data becomes pseudonyms too.
        vault: Whether the vault's values are looked for, which needs the vault; in what is on
            record are none.

    Raises:
        InvalidInput: The settings of redaction do not fit.
    """

    def __init__(self, workspace: Workspace, *, personal: bool = False, vault: bool = True) -> None:
        self._pseudonyms = pseudonyms_of(workspace)
        self._vault = VaultValues(workspace if vault else None)
        self._typed = _typed(workspace, self._pseudonyms, self._saw, personal=personal)
        self._key = OwnKey(lambda: workspace.security, _KEY, _PART)
        self._seen: dict[str, str] = {}  # pseudonym → what stood in this run
        self._of_vault: set[str] = set()  # pseudonyms
        self._done: dict[str, str] = {}
        self._parked: tuple[str, Mapping[str, Any]] = "", {}

    # --- on the way out ----------------------------------------------------------------------

    def outgoing(self, value: T) -> T:
        """
        A text, or a JSON value, without secrets; the second time it changes nothing.

        Raises:
            VaultLocked: The vault cannot be opened.
        """
        self._refresh()
        found: Any = self._text(value) if isinstance(value, str) else self._json(value)
        return cast("T", found)

    def beginning(self, text: str, most: int) -> str:
        """
        The first *most* characters of a text of any length, screened: nothing is cut before it was
        looked for, and no more is looked into than it takes.
        """
        self._refresh()
        clean = self._without_vault(text)
        out = self._text(clean[: most + _LONGEST])
        # What was cut in two at the end of that was not found: it must not move up to the front.
        return (out if len(clean) <= most + _LONGEST else out[:-_LONGEST])[:most]

    def texts(self, value: T) -> T:
        """
        A JSON value with each of its texts screened by itself: for schemas, in which what stands
        under a name like "password" is no password.
        """
        self._refresh()
        found: T = _walked(value, self._text)
        return found

    def messages(self, messages: Sequence[Any]) -> list[Any]:
        """Messages of pydantic-ai as they may leave; the given ones stay as they are."""
        return [self._message(message) for message in messages]

    def parameters(self, params: Any) -> Any:
        """Likewise what goes beside the messages: instructions, tools, the form of the answer."""
        form = params.output_object
        return dataclasses.replace(
            params,
            function_tools=[self._described(tool) for tool in params.function_tools],
            output_tools=[self._described(tool) for tool in params.output_tools],
            output_object=form and self._described(form),
            prompted_output_template=self._message(params.prompted_output_template),
            instruction_parts=params.instruction_parts
            and [
                dataclasses.replace(one, content=self.outgoing(one.content))
                for one in params.instruction_parts
            ],
        )

    # --- on the way to a skill ---------------------------------------------------------------

    def restored(self, value: T, skill: Skill) -> T:
        """
        The arguments of a call of *skill*, with the secrets that it may have.

        Called in one place: where the call is handed to the runner.

        Raises:
            SecurityError: What it needs cannot be opened, or was not kept.
        """
        self._refresh()
        found: T = _walked(value, lambda text: self._opened(text, skill))
        return found

    # --- for a run that is parked ------------------------------------------------------------

    def kept(self, run: str) -> dict[str, Any]:
        """What goes beside the parked messages of *run* (JSON): no secret is in it in clear."""
        own = {token: value for token, value in self._seen.items() if token not in self._of_vault}
        told: dict[str, Any] = {"of_vault": sorted(self._of_vault), "own": sorted(own)}
        if own:
            from dino_os.security_gateway.sealing import seal  # noqa: PLC0415

            try:
                key = self._key.found_or_made()
            except SecurityError:  # the run goes on without them, as far as it gets
                return told
            told["sealed"] = seal(key, json.dumps(own).encode(), [_KEY, run])
        return told

    def take_up(self, run: str, kept: Mapping[str, Any] | None) -> None:
        """Go on with *run*, beside whose messages `kept` was."""
        self._parked = run, kept or {}
        wanted = {*self._parked[1].get("of_vault", ())}
        self._of_vault |= wanted
        if wanted:
            self._refresh()
            for form in self._vault.names:
                if (token := self._pseudonyms.token(_SECRET, form)) in wanted:
                    self._seen[token] = form

    # --- below the face ----------------------------------------------------------------------

    def _refresh(self) -> None:
        if self._vault.refresh():
            self._done.clear()

    def _described(self, part: Any) -> Any:
        """A tool, or a form of answers; what is a name to the library stays."""
        texts = ("description", "json_schema", "parameters_json_schema", "return_schema")
        told = {name: getattr(part, name) for name in texts if hasattr(part, name)}
        return dataclasses.replace(part, **self.texts(told))

    def _saw(self, token: str, value: str) -> None:
        self._seen[token] = value

    def _text(self, text: str) -> str:
        if (known := self._done.get(text)) is None:
            clean = self._without_vault(text)
            known = str(self._typed.redact_json(clean, destination=DESTINATION))
            if len(self._done) >= _REMEMBERED:
                self._done.clear()
            self._done[text] = known
        return known

    def _json(self, value: Any) -> Any:
        clean = _walked(value, self._without_vault, numbers=True)
        return self._typed.redact_json(clean, destination=DESTINATION)

    def _without_vault(self, text: str) -> str:
        return self._vault.pattern.sub(lambda found: self._stand_in(found[0]), text)

    def _stand_in(self, form: str) -> str:
        token = self._pseudonyms.token(_SECRET, form)
        self._of_vault.add(token)
        self._saw(token, form)
        return token

    def _message(self, part: Any) -> Any:
        """A message, or something in one, screened."""
        if isinstance(part, str):
            return self.outgoing(part)
        if isinstance(part, bytes):
            return _in_bytes(part, self.outgoing)
        if isinstance(part, Mapping | list | tuple):
            return self.outgoing(part) if _is_json(part) else self._each(part)
        return self._fields(part) if dataclasses.is_dataclass(part) else part

    def _each(self, parts: Mapping[Any, Any] | list[Any] | tuple[Any, ...]) -> Any:
        if isinstance(parts, Mapping):
            return {self._message(name): self._message(part) for name, part in parts.items()}
        return type(parts)(map(self._message, parts))

    def _fields(self, part: Any) -> Any:
        fresh = copy.copy(part)
        for field in dataclasses.fields(part):
            if field.name not in _AS_IT_IS and (old := getattr(part, field.name)) is not None:
                object.__setattr__(fresh, field.name, self._message(old))
        return fresh

    def _opened(self, text: str, skill: Skill) -> str:
        out, here = [], 0
        for start, end in self._pseudonyms.spans(text):
            out += [text[here:start], self._behind(text[start:end], skill)]
            here = end
        return "".join([*out, text[here:]])

    def _behind(self, token: str, skill: Skill) -> str:
        value = self._seen.get(token) or self._unsealed(token)
        if value is None:
            return token
        if token in self._of_vault or value in self._vault.names:
            keys = frozenset(skill.options.get("keys", ()))
            return value if self._vault.hand_out(value, skill.name, keys) else token
        return value

    def _unsealed(self, token: str) -> str | None:
        """What stood in the run before it was parked; None where it did not."""
        run, kept = self._parked
        if token not in kept.get("own", ()):
            return None
        from dino_os.security_gateway.sealing import Unopened, unseal  # noqa: PLC0415

        key = self._key.found() if kept.get("sealed") else None
        try:
            found = json.loads(unseal(key or b"", kept.get("sealed") or {}, [_KEY, run]))
        except Unopened:
            raise SecurityError(
                f"what {token} stands for was not kept when the run was parked: the vault did not "
                "open then, or has another key since",
                hint="begin a new run, or put the secret into the vault: `dino keys set`",
            ) from None
        self._seen |= found
        return self._seen[token]


class _Exact(Redactor):
    """Tells what each pseudonym stands for: the very text that stood there."""

    saw: Callable[[str, str], None]

    def stands_for(self, hit: Hit, text: str, action: Action) -> str:
        return self.replacement(hit.kind, text[hit.start : hit.end], action)

    def replacement(self, kind: str, value: str, action: Action) -> str:
        token = super().replacement(kind, value, action)
        if action is Action.HASH:
            self.saw(token, value)
        return token


def _typed(
    workspace: Workspace,
    pseudonyms: Pseudonyms,
    saw: Callable[[str, str], None],
    *,
    personal: bool,
) -> Redactor:
    """Finds what has the form of a secret; by the rules for models, where there are some."""
    plugins, settings = workspace.plugins, workspace.config.settings.provenance.redaction
    detectors = plugins.detectors()
    more = {kind for one in detectors.values() for kind in getattr(one, "kinds", ())}
    general = policy_of(settings, workspace.root, more)
    usual = Rules(Action.HASH) if personal else _secrets_only
    rules = general.destinations.get(DESTINATION, usual)
    policy = Policy(
        usual, {DESTINATION: rules}, general.phone_regions, lowest_score=general.lowest_score
    )
    typed = _Exact(policy, pseudonyms, guarded(detectors, plugins.set_aside))
    typed.saw = saw
    return typed


def _walked(value: Any, change: Callable[[str], str], *, numbers: bool = False) -> Any:
    """A JSON value with *change* made to its texts and names, and to numbers that it changes."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, Mapping):
        return {change(str(k)): _walked(v, change, numbers=numbers) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_walked(item, change, numbers=numbers) for item in value]
    if numbers and isinstance(value, int | float) and not isinstance(value, bool):
        text = str(value)
        return value if (changed := change(text)) == text else changed
    return value


def _is_json(value: Any) -> bool:
    """Whether it is, as it stands: a tuple is none, and the library tells it from a list."""
    if isinstance(value, Mapping):
        return all(isinstance(key, str) and _is_json(item) for key, item in value.items())
    if isinstance(value, list):
        return all(map(_is_json, value))
    return value is None or isinstance(value, str | int | float)


def _in_bytes(data: bytes, change: Callable[[str], str]) -> bytes:
    """*data* with *change* made to it where it is a text."""
    try:
        return change(data.decode()).encode()
    except UnicodeDecodeError:
        return data
