"""Alertmanager's payloads: what fires becomes a record once, in whatever order it is told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dino_os.errors import InvalidInput
from dino_os.planning.alertmanager import Alert, News, news, read_file, read_payload
from tests.cycles.conftest import Run
from tests.cycles.duty import ALERTS, alert, payload

ages = st.tuples(st.sampled_from([1.0, 2.0, 3.0]), st.booleans())
told = st.lists(st.tuples(st.sampled_from("abc"), ages), max_size=12)
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
alerts = st.dictionaries(
    st.sampled_from(["status", "labels", "annotations", "startsAt", "endsAt", "fingerprint", "x"]),
    json_values | st.sampled_from(["firing", "resolved", "2027-01-15T10:00:00.123456789Z"]),
)


def as_alerts(told: list[tuple[str, tuple[float, bool]]]) -> list[Alert]:
    return [Alert(n, name, began, over, {}) for n, (name, (began, over)) in enumerate(told)]


@given(told=told, data=st.data())
def test_the_order_in_which_alerts_are_told_changes_nothing(told: Any, data: Any) -> None:
    """Of each fingerprint the latest counts."""
    found = news(as_alerts(told), {})
    other = news(as_alerts(data.draw(st.permutations(told))), {})
    assert fired(found) == fired(other)
    assert (found.marks, found.repeated) == (other.marks, other.repeated)
    assert found.resolved == other.resolved


def fired(found: News) -> set[tuple[str, float]]:
    return {(alert.fingerprint, alert.began) for alert in found.firing}


@given(told=told, at=st.integers(0, 12))
def test_what_is_known_never_fires_again(told: Any, at: int) -> None:
    """Split over two cycles, each fingerprint fires at most once for each time it began."""
    first = news(as_alerts(told[:at]), {})
    second = news(as_alerts(told[at:]), first.marks)
    fired = [(a.fingerprint, a.began) for a in (*first.firing, *second.firing)]
    assert len(set(fired)) == len(fired)
    whole = news(as_alerts(told), {})
    assert {(a.fingerprint, a.began) for a in whole.firing} <= set(fired)
    assert {**first.marks, **second.marks} == whole.marks


@given(
    found=st.lists(alerts | json_values, max_size=5),
    more=st.dictionaries(st.text(), json_values, max_size=3),
)
@settings(max_examples=18)
def test_whatever_is_sent_each_alert_is_read_or_rejected(found: list[Any], more: Any) -> None:
    """Never an error that is not about the payload as a whole, never an alert that vanishes."""
    text = json.dumps({**more, "version": "4", "alerts": found})
    read, rejected = read_payload(text, "payload")
    assert len(read) + len(rejected) == len(found)
    assert all(row.reason for row in rejected)
    for item in read:
        json.dumps(item.row, ensure_ascii=False).encode()
        assert all(isinstance(value, str) for value in item.row.values())
        assert item.row["status"] in {"firing", "resolved"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[]", "payload: not what Alertmanager sends: no list of alerts"),
        ('{"alerts": {}}', "payload: not what Alertmanager sends: no list of alerts"),
        ('{"alerts": [], "version": "5"}', "payload: version '5' of the payload is not known"),
        ('{"alerts": [', "payload:1: not JSON"),
        ('{"alerts": [], "alerts": []}', "payload:1: the key 'alerts' stands twice"),
    ],
)
def test_what_is_no_payload_is_said(text: str, said: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        read_payload(text, "payload")
    assert caught.value.message.startswith(said)


def test_an_alert_is_a_record(tmp_path: Path) -> None:
    """Its labels and annotations are columns, and so is what the group says."""
    file = tmp_path / "one.json"
    file.write_text(json.dumps(json.loads(payload(alert("a", skills="pump"))), indent=1))
    (found,), rejected = read_file(file)
    assert rejected == []
    assert found.row.items() >= {
        ("labels.severity", "critical"),
        ("labels.skills", "pump"),
        ("annotations.summary", "a is up"),
        ("startsAt", "2027-01-15T10:00:00Z"),
        ("endsAt", ""),
        ("fingerprint", "a"),
        ("groupLabels.zone", "Mole"),
        ("receiver", "dino"),
    }
    assert file.read_text().splitlines()[found.line - 1].strip() == "{"
    assert found.line > 10


def test_alerts_without_fingerprints_are_told_apart_by_their_labels() -> None:
    """As Alertmanager before 0.19 sends them."""
    plain = [{**alert(name), "fingerprint": None} for name in "ab"]
    other = {**plain[0], "labels": {"zone": "Quay"}}
    found, _ = read_payload(payload(*plain, other), "payload")
    assert found[0].fingerprint == found[1].fingerprint != found[2].fingerprint


def test_an_alert_becomes_one_task_for_as_long_as_it_fires(duty: Path, run: Run) -> None:
    """Told again it is no news; resolved it is none; when it fires anew it is."""
    folder = duty / "alerts"
    folder.mkdir()
    (folder / "1.json").write_text(payload(alert("a"), alert("b"), alert("b", "resolved")))
    first = run(sources=[ALERTS])
    assert [signal.task_identifier for signal in first.intake.signals] == ["a"]
    assert [signal.severity for signal in first.intake.signals] == [0.9]
    assert first.as_dict()["sources"][0]["resolved"] == 1
    (folder / "2.json").write_text(payload(alert("a")))
    second = run()
    assert (second.outcome, second.as_dict()["sources"][0]["repeated"]) == ("ok_no_action", 1)
    (folder / "3.json").write_text(payload(alert("a", "resolved")))
    assert run().outcome == "ok_no_action"
    (folder / "4.jsonl").write_text(
        payload(alert("a")) + "\n" + payload(alert("a", began="11:00:00"))
    )
    third = run()
    assert [s.task_identifier for s in third.intake.signals] == ["a"]
    assert third.plan.cycle == 2


def test_a_payload_is_also_read_from_standard_input(duty: Path, run: Run) -> None:
    """Whether or not the folder is there; rejected alerts are told with their line."""
    text = payload(alert("a"), {**alert("x"), "status": "odd"}, alert("n", zone="Nowhere"))
    report = run(payload=text, sources=[ALERTS]).as_dict()
    assert report["counts"]["signals"] == 1
    assert [(row["source"], row["file"], row["line"]) for row in report["rejected"]] == [
        ("alerts", "-", 1),
        ("alerts", "-", 1),
    ]
    assert "status must be firing or resolved" in report["rejected"][0]["reason"]
    assert run(payload=text).outcome == "ok_no_action"
    with pytest.raises(InvalidInput, match="no source of alerts"):
        run(payload=text, sources=[{"file": "calls.csv", "map": "map.yaml"}])
