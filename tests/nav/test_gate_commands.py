"""`dino gate` and `dino nav`: what they say and how they exit."""

from __future__ import annotations

import json
import stat
from datetime import datetime
from pathlib import Path

import pytest

from dino_os.auditing import Auditing
from dino_os.retention import prune_journal
from dino_os.workspace import Workspace
from tests.nav.conftest import Door


def issued(door: Door, *more: str, domain: str = "info", user: str = "user_001") -> str:
    return door("gate", "issue", domain, user, *more).out.strip()


def test_nothing_is_there_at_first_and_looking_leaves_no_trace(door: Door, site: Path) -> None:
    for words in (["gate"], ["nav"], ["gate", "status"], ["nav", "status"], ["gate", "log"]):
        assert door(*words).out
    assert "no token was issued yet" in door("gate", name="execute").out
    assert door("nav", "--json", name="execute").json["total_navigations"] == 0
    assert door("nav", "anomalies").out == "nothing is odd\n"
    assert not (site / "memory" / "gate_log.jsonl").exists()
    assert not (site / "memory" / "vault").exists()


def test_a_token_is_issued_checked_and_revoked(door: Door, site: Path) -> None:
    """What it opens is said before and after; the token itself stands in no journal."""
    token = issued(door)
    check = ("gate", "check", "info", "user_001", "--json")
    said = door(*check, given=f"{token}\n").json
    assert said["allowed"]
    assert said["rule"] == "ok"
    assert door("gate", "check", "wealth", "user_001", given=token, code=3).out == (
        "invalid_token: issued for another domain (wrong_audience)\n"
    )
    assert "wrong_subject" in door("gate", "check", "info", "eve", given=token, code=3).out
    door("gate", "revoke", said["token_id"])
    assert door(*check, given=token, code=3).json["rule"] == "revoked"
    unknown = [("A" * 22,), ("--subject", "nobody"), ("--subject", "user_001", "--domain", "myth")]
    for whom in unknown:
        assert "no such token is on record" in door("gate", "revoke", *whom, code=1).out
    assert door("gate", "revoke", "--subject", "user_001", "--json").json["on_record"]
    for file in (site / "memory").rglob("*"):
        if file.is_file():
            assert token.split(".")[2].encode() not in file.read_bytes()
            assert b"user_001" not in file.read_bytes()


def test_a_token_goes_into_a_file_of_its_owners_alone(door: Door, site: Path) -> None:
    said = door("gate", "issue", "info", "ada", "--once", "--out", "ada.token", "--json").json
    assert "token" not in said
    assert said["single_use"]
    file = site / "ada.token"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert door("gate", "check", "info", "ada", "--token", "ada.token").code == 0
    refused = door("gate", "issue", "info", "ada", "--out", "ada.token", code=2)
    assert "is there already" in refused.err
    log = (site / "memory" / "gate_log.jsonl").read_bytes()
    refused = door("gate", "issue", "info", "ada", "--out", "none/ada.token", code=2)
    assert refused.err.startswith("dino: none/ada.token: no file can be made in none")
    assert (site / "memory" / "gate_log.jsonl").read_bytes() == log  # no token is live by now


def test_a_file_that_holds_no_text_is_no_token(door: Door, site: Path) -> None:
    (site / "t").write_bytes(bytes(range(256)))
    (site / "config.yaml").write_text("nav: {domains: {info: {primary: 'http://127.0.0.1:9'}}}\n")
    assert "malformed" in door("gate", "check", "info", "ada", "--token", "t", code=3).out
    assert "malformed" in door("gate", "check", "info", "ada", given=b"\xff\xfe.", code=3).out
    assert "malformed" in door("nav", "send", "info", "GET", "/", "--token", "t", code=3).err


def test_a_token_is_narrowed_on_its_way(door: Door) -> None:
    token = issued(door, "--path", "/tides")
    narrowed = ("gate", "narrow", "--path", "/tides/elbe", "--flow", "step", "--life", "1m")
    child = door(*narrowed, given=token).out.strip()
    asked = ("gate", "check", "info", "user_001", "--flow", "step", "--path")
    assert door(*asked, "/tides/elbe/3?x", given=child).code == 0
    assert "wrong_path" in door(*asked, "/tides", given=child, code=3).out
    wider = door("gate", "narrow", "--path", "/", given=child, code=2)
    assert "does not lie below it" in wider.err
    assert door("gate", "narrow", given="rubbish", code=3).err.startswith("dino: the gate refuses")
    assert "unknown" in door("gate").out
    assert "malformed" in door("gate", "log", "--denied").out
    (line,) = door("gate", "log", "--denied", "--json").json["decisions"]
    assert "not in the record" in door("gate", "explain", line["seq"]).out


def test_a_token_is_for_a_cell(door: Door) -> None:
    token = issued(door, "--cell", "desk")
    assert door("gate", "check", "info", "user_001", "--cell", "desk", given=token).code == 0
    assert "wrong_cell" in door("gate", "check", "info", "user_001", given=token, code=3).out
    child = door("gate", "narrow", "--cell", "desk", given=issued(door)).out.strip()
    assert door("gate", "check", "info", "user_001", "--cell", "desk", given=child).code == 0


def test_a_key_is_rotated_in_the_vault(door: Door, site: Path) -> None:
    token = issued(door)
    old = door("gate", "status", "--json").json["gates"][1]["key"]
    said = door("gate", "rotate", "info", "--json").json
    assert said["key"] != old
    assert door("gate", "check", "info", "user_001", given=token).code == 0
    door("gate", "rotate", "info", "--now")
    assert door("gate", "check", "info", "user_001", given=token, code=3)
    keys = door("keys", "list", "--json").out
    assert "gate/info" in keys
    accessed = (site / "memory" / "security_log.jsonl").read_text()
    assert '"entity":"engine:nav_mesh"' in accessed


def test_decisions_are_listed_and_explained(door: Door, site: Path) -> None:
    token = issued(door)
    nav = Workspace(site).nav
    for user in ("user_001", "user_001", "eve"):
        nav.decide("info", token, user)
    listed = door("gate", "log", "--json").json["decisions"]
    assert [one["result"] for one in listed] == ["allowed", "allowed", "denied"]
    assert len(door("gate", "log", "--user", "user_001", "--json").json["decisions"]) == 2
    (denied,) = door("gate", "log", "--denied", "--domain", "info", "--json").json["decisions"]
    assert denied["rule"] == "wrong_subject"
    for one in listed:
        said = door("gate", "explain", one["seq"], "--json").json
        assert said["agrees"]
        assert "the same" in door("gate", "explain", one["seq"]).out
    assert "wrong_subject" in door("gate", "log").out
    assert "no decision" in door("gate", "explain", 2, code=2).err
    (site / "config.yaml").write_text("nav: {domains: {info: {token_s: 60}}}\n")
    assert "ANOTHER ANSWER" in door("gate", "explain", listed[0]["seq"], code=1).out


def test_what_was_pruned_is_not_decided_again_the_rest_is(door: Door, site: Path) -> None:
    """And the gates go on as they were: with what was used, revoked and counted before."""
    (site / "config.yaml").write_text(
        "memory: {rotate_bytes: 3000, compress: false}\nsecurity: {signing_key: w.key}\n"
    )
    Auditing(Workspace(site)).new_key(None)
    once, token = issued(door, "--once"), issued(door)
    nav = Workspace(site).nav
    for _ in range(30):
        nav.decide("info", token, "user_001")
    nav.decide("info", once, "user_001")
    Auditing(Workspace(site)).checkpoint()
    prune_journal(Workspace(site), "gate_log", before=25)
    again = Workspace(site).nav
    assert again.decide("info", once, "user_001").rule == "used"
    assert again.decide("info", again.issue_token("info", "user_001"), "user_001").allowed
    last = door("gate", "log", "--json").json["decisions"][-1]["seq"]
    assert door("gate", "explain", last, "--json").json["agrees"]
    assert "was pruned" in door("gate", "explain", 6, code=2).err
    assert Auditing(Workspace(site)).audit(site / "memory" / "gate_log.jsonl").ok


def test_what_is_odd_is_shown_and_whom_it_keeps_out(door: Door, site: Path) -> None:
    (site / "config.yaml").write_text("nav: {anomalies: {block_s: 600}}\n")
    token = issued(door, "--once")
    nav = Workspace(site).nav
    for _ in range(7):
        nav.decide("info", token, "user_001")
    assert "used" in door("nav", "anomalies").out
    (found,) = door("nav", "anomalies", "--json").json["anomalies"]
    assert found["type"] == "token_misuse"
    assert "is kept out of info until" in door("nav").out
    assert "may pass again" in door("nav", "release", "info", "user_001").out
    assert "was not kept out" in door("nav", "release", "info", "user_001").out
    before = nav.clock()
    said = door("nav", "block", "info", "user_001", "--for", "1h").out.strip()
    until = datetime.fromisoformat(said.partition("is kept out of info until ")[2]).timestamp()
    assert before <= until - 3600 <= nav.clock()
    assert len(door("nav", "--json").json["blocked"]) == 1


def test_the_metrics_show_how_well_the_gates_hold(door: Door, site: Path) -> None:
    """Breaches that were blocked, of those that there were: also of those that were found later."""
    token = issued(door)
    nav = Workspace(site).nav
    nav.decide("info", token, "user_001")
    for number in range(3):
        nav.decide("info", "rubbish", f"eve-{number}")
    gauge = door("metrics", "--json").json["gauges"]["threshold_lock"]
    assert (gauge["current_value"], gauge["of"]) == (100.0, 3)
    door("gate", "revoke", "--subject", "user_001", "--since", "1h")
    gauge = door("metrics", "--json").json["gauges"]["threshold_lock"]
    assert (gauge["current_value"], gauge["of"]) == (75.0, 4)
    assert "dino_gate_breach_attempts_total" in door("metrics", "--prometheus").out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("gate", "issue", "welth", "ada"), "welth"),
        (("gate", "issue", "info", "Ada"), "not a name of a user"),
        (("gate", "issue", "info", "ada", "--life", "2h"), "allows tokens of 3600 s"),
        (("gate", "revoke"), "name what to revoke"),
        (("gate", "revoke", "x"), "not a token's id"),
        (("gate", "check", "info", "ada", "--token", "no-such-file"), "no-such-file"),
        (("gate", "explain", "0"), "no line 0"),
        (("nav", "block", "info", "ada", "--for", "0s"), "expected a time such as"),
        (("nav", "block", "info", "ada", "--for", "99999999d"), "at most 100 years"),
        (("nav", "block", "info", "Ada X", "--for", "1h"), "not a name of a user"),
    ],
)
def test_what_cannot_be_done_is_said(door: Door, words: tuple[str, ...], said: str) -> None:
    outcome = door(*words, code=None)
    assert outcome.code in {1, 2}
    assert said in outcome.err
    assert "Traceback" not in outcome.err


def test_settings_reach_the_gates(door: Door, site: Path) -> None:
    (site / "config.yaml").write_text(
        "nav: {domains: {info: {rate_per_minute: 2, token_s: 60, subjects: ['desk/*']}}}\n"
    )
    assert "not admitted" in door("gate", "issue", "info", "eve", code=2).err
    token = issued(door, user="desk/ada")
    nav = Workspace(site).nav
    assert [nav.decide("info", token, "desk/ada").allowed for _ in range(3)] == [True, True, False]
    waits = door("gate", "check", "info", "desk/ada", "--json", given=token, code=4).json
    assert waits["retry_after_s"] > 0
    assert json.loads(door("gate", "--json").out)["gates"][1]["rate_per_minute"] == 2


def test_as_processes_of_their_own_they_find_the_same(site: Path, dino: Door) -> None:
    """Through the pipe and the vault, as it is used."""
    env = {"XDG_CONFIG_HOME": str(site / "xdg")}
    dino("gate", "issue", "info", "ada", "--out", "t", env=env)
    assert dino("gate", "check", "info", "ada", "--token", "t", env=env).out.startswith("allowed")
    assert dino("gate", "check", "info", "ada", code=3, env=env).out.startswith("invalid_token")
