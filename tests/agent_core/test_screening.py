"""Secrets become pseudonyms before anything leaves, and secrets again for those who may have them."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic_ai.messages import (
    BinaryContent,
    ModelMessagesTypeAdapter,
    ModelRequest,
    ModelResponse,
    RetryFeedbackPart,
    RetryInfo,
    SystemPromptPart,
    TextPart,
    ThinkingPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)

from dino_os.agent_core.screening import Screen
from dino_os.errors import SecurityError
from dino_os.redaction import spellings
from dino_os.security_gateway.model import VaultLocked
from dino_os.skill_index import Skill
from dino_os.workspace import Workspace
from engines import passphrase
from engines.redaction import Pseudonyms

CANARY = "tide/Canary+7'é\\q94f1 d2b8"  # nothing but the vault says that it is a secret
FOUND = "ghp_16C7e42F292c6912E7710c838347Ae178B4a"  # its form does
RUN = "0" * 32

Open = Callable[[], Workspace]


@pytest.fixture
def opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Open:
    """A workspace with a key in its vault, as one more process opens it."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))
    monkeypatch.setattr(passphrase, "_ARGON2ID", (8, 1, 1))
    home = tmp_path / "home"
    home.mkdir()
    (home / "config.yaml").write_text("system: {name: desk}\n")
    Workspace(home).security.set_key("tide", CANARY)
    return lambda: Workspace(home)


def skill(name: str = "mail", keys: tuple[str, ...] = ()) -> Skill:
    return Skill(name, Path("a.py"), 1, "a", "0" * 64, options={"keys": list(keys)})


def written(root: Path) -> str:
    """Everything that lies in the workspace."""
    return "\n".join(
        file.read_bytes().decode("latin-1") for file in root.rglob("*") if file.is_file()
    )


def test_no_spelling_of_a_vaults_value_leaves(opened: Open) -> None:
    """The same has the same pseudonym, in every process; nothing else is touched."""
    screen = Screen(opened())
    for form in spellings(CANARY):
        out = screen.outgoing(f"see {form} there")
        assert form not in out
        assert out.startswith("see ")
        assert out == Screen(opened()).outgoing(f"see {form} there")
        assert screen.outgoing(out) == out
    whole = base64.b64encode(b"ab" + CANARY.encode() + b"cd").decode()
    assert whole[8:-8] not in screen.outgoing(whole)
    plain = "The tide is at 2.5 m; 3 pumps run since 10:30."
    assert screen.outgoing(plain) == plain


def test_what_has_the_form_of_a_secret_leaves_nowhere(opened: Open) -> None:
    """In names, values, numbers and JSON within texts; personal data only where that is wanted."""
    value = {
        "log": f"token {FOUND}",
        FOUND: [CANARY, 7],
        "password": "hunter22",
        "inner": json.dumps({"password": "swordfish1"}),
        "mail": "ada@example.org",
    }
    out = json.dumps(Screen(opened()).outgoing(value))
    for secret in (FOUND, CANARY, "hunter22", "swordfish1"):
        assert secret not in out
    assert "ada@example.org" in out
    assert "ada@example.org" not in json.dumps(Screen(opened(), personal=True).outgoing(value))


@pytest.mark.parametrize("secret", [CANARY, FOUND])
@pytest.mark.parametrize("size", [3_000, 9_000])
def test_a_secret_is_not_cut_in_two_and_let_through(opened: Open, secret: str, size: int) -> None:
    """Wherever the text is cut, and however much shorter others became before that."""
    screen = Screen(opened())
    for before in (0, 980, 1_000, 1_020):
        text = ("word " * size)[:before] + f" {secret} " + "word " * size
        out = screen.beginning(text, 1_000)
        assert len(out) <= 1_000
        for length in range(6, len(secret)):
            assert secret[:length] not in out
    shrinking = f"{secret} " * size
    assert secret[:6] not in screen.beginning(shrinking, 1_000)


def test_every_part_of_every_message_is_screened(opened: Open) -> None:
    """And what holds messages together is as it was; the given ones too."""
    said = f"{CANARY} and {FOUND}"
    binary = BinaryContent(said.encode(), media_type="text/plain")
    messages = [
        ModelRequest(
            [
                SystemPromptPart(said),
                UserPromptPart([said, binary]),
                ToolReturnPart("read", {"rows": [said]}, tool_call_id="call_1"),
                ToolReturnPart("read", said, tool_call_id="call_2", outcome="retried"),
            ],
            instructions=said,
        ),
        ModelResponse(
            [
                TextPart(said),
                ThinkingPart(said, signature="c2lnbmF0dXJl" * 8),
                ToolCallPart("read", json.dumps({"a": said}), tool_call_id="call_8Hs9dk3Jsd92kQ1"),
                ToolCallPart("read", {"password": "hunter22"}, tool_call_id="call_4"),
            ]
        ),
    ]
    before = ModelMessagesTypeAdapter.dump_json(messages)
    screened = Screen(opened()).messages(messages)
    out = ModelMessagesTypeAdapter.dump_json(screened).decode()
    for secret in (*spellings(CANARY), FOUND, "hunter22"):
        assert secret not in out
    assert ModelMessagesTypeAdapter.dump_json(messages) == before
    again = ModelMessagesTypeAdapter.validate_json(out)
    assert [p.tool_call_id for p in again[1].parts if isinstance(p, ToolCallPart)] == [
        "call_8Hs9dk3Jsd92kQ1",
        "call_4",
    ]
    # What the record does to them besides changes nothing.
    kept = ModelMessagesTypeAdapter.dump_python(screened, mode="json")
    assert opened().known_secrets.blotted_out(kept) == kept


def test_what_did_not_fit_is_told_as_the_library_tells_it(opened: Open) -> None:
    """It tells tuples from lists, and would complain on the terminal."""
    wrong: Any = {"type": "missing", "loc": ("tide", 0), "msg": "x", "input": {FOUND: [CANARY]}}
    part = RetryFeedbackPart([wrong], retry=RetryInfo("validation_error"))
    screened = Screen(opened()).messages([ModelRequest([part])])
    said = str(ModelMessagesTypeAdapter.dump_python(screened))
    assert "('tide', 0)" in said
    assert CANARY not in said
    assert FOUND not in said


def test_a_skill_gets_back_what_stood_in_its_run_and_it_may_have(opened: Open) -> None:
    """In the very spelling that stood there: a vault's value by its key, others as they are."""
    screen = Screen(opened())
    text = json.dumps({"a": CANARY})[1:-1]
    out = screen.outgoing({"text": f"{text} {FOUND}", "all": [CANARY.encode().hex()]})
    keyed, other = skill(keys=("tide",)), skill("post", keys=("weather",))
    assert screen.restored(out, keyed) == {
        "text": f"{text} {FOUND}",
        "all": [CANARY.encode().hex()],
    }
    left = json.dumps(screen.restored(out, other))
    assert FOUND in left
    assert not any(form in left for form in spellings(CANARY))
    entries = opened().security.get_audit_log()
    assert {e["entity"] for e in entries if e["action"] == "key_accessed"} == {"skill:mail"}


def test_a_pseudonym_from_elsewhere_is_a_text(opened: Open) -> None:
    """One that another run made, that nobody made, or that was made up."""
    elsewhere = Screen(opened()).outgoing([CANARY, FOUND])
    screen = Screen(opened())
    screen.outgoing("nothing of interest")
    made_up = Pseudonyms(b"k" * 16).token("secret", CANARY)
    for token in (*elsewhere, made_up, "<secret:aaaaaaaaaaaaaaaa>"):
        assert screen.restored({"x": token}, skill(keys=("tide",))) == {"x": token}


def test_a_key_that_is_gone_or_renewed_is_not_handed_out(opened: Open) -> None:
    screen = Screen(opened())
    out = screen.outgoing(CANARY)
    opened().security.set_key("tide", "another value")
    assert screen.restored(out, skill(keys=("tide",))) == out
    assert "another value" not in screen.outgoing("with another value")
    opened().security.delete_key("tide")
    assert screen.restored(out, skill(keys=("tide",))) == out


def test_a_parked_run_goes_on_in_another_process(opened: Open) -> None:
    """What it needs lies sealed, and in clear nowhere; it is of use for that run alone."""
    screen = Screen(opened())
    out = screen.outgoing({"a": CANARY, "b": FOUND})
    kept = json.loads(json.dumps(screen.kept(RUN)))
    log = opened().agent_log
    run = log.begin("run", "go", actor="a", door="b")
    log.park(run, [out], sealed=kept)
    assert FOUND not in written(opened().root)
    assert CANARY not in written(opened().root)

    again = Screen(opened())
    again.take_up(RUN, opened().agent_log.sealed(run))
    assert again.restored(out, skill(keys=("tide",))) == {"a": CANARY, "b": FOUND}
    assert again.restored(out, skill()) == {"a": out["a"], "b": FOUND}
    assert again.kept(RUN)["own"] == kept["own"]  # parked once more

    other = Screen(opened())
    other.take_up("1" * 32, kept)
    with pytest.raises(SecurityError, match="was not kept"):
        other.restored(out, skill())


def test_what_could_not_be_sealed_fails_and_says_so(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run parks all the same; nothing lies in clear, and no pseudonym goes out in its place."""
    screen = Screen(opened())
    out = screen.outgoing([FOUND, "plain"])

    def locked(*_: Any) -> bytes:
        raise VaultLocked("locked")

    with monkeypatch.context() as patch:
        patch.setattr("dino_os.security_gateway.own_key.OwnKey.found_or_made", locked)
        kept = screen.kept(RUN)
    assert FOUND not in json.dumps(kept)
    again = Screen(opened())
    again.take_up(RUN, kept)
    with pytest.raises(SecurityError, match="was not kept") as caught:
        again.restored(out, skill())
    assert FOUND not in f"{caught.value} {caught.value.hint}"
    assert again.restored(["plain"], skill()) == ["plain"]


def test_with_a_vault_that_does_not_open_nothing_leaves(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody could tell what its values are."""
    monkeypatch.setenv("DINO_VAULT_PASSPHRASE", "long enough to be one")
    opened().security.relock("passphrase")
    monkeypatch.delenv("DINO_VAULT_PASSPHRASE")
    with pytest.raises(VaultLocked):
        Screen(opened()).outgoing("hello")


def test_without_a_vault_there_is_less_to_look_for(opened: Open, tmp_path: Path) -> None:
    """And none is made, save where something is to be sealed."""
    root = tmp_path / "bare"
    root.mkdir()
    screen = Screen(Workspace(root))
    assert screen.outgoing(CANARY) == CANARY
    assert screen.kept(RUN) == {"of_vault": [], "own": []}
    assert not (root / "memory" / "vault").exists()
    out = screen.outgoing(FOUND)
    kept = screen.kept(RUN)
    again = Screen(Workspace(root))
    again.take_up(RUN, kept)
    assert again.restored(out, skill()) == FOUND


def test_the_settings_may_want_more_hidden(opened: Open) -> None:
    workspace = opened()
    rules = "provenance: {redaction: {destinations: {model: {kinds: {email: mask}}}}}\n"
    (workspace.root / "config.yaml").write_text(rules)
    screen = Screen(opened())
    assert screen.outgoing("ada@example.org, +44 20 7946 0958") == "<email>, +44 20 7946 0958"
    assert FOUND not in screen.outgoing(FOUND)
