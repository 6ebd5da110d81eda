"""What is found, and what is left: floors on a sample of the labelled corpus."""

from __future__ import annotations

import base64
import re
from collections import Counter

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from engines.redaction import Hit, Pseudonyms, Redactor, all_kinds, group_of, pairs
from engines.redaction import prefilter as cues
from tests.redaction import corpus
from tests.redaction.corpus import ENCODINGS, MADE
from tests.redaction.keys import KEYS, key
from tests.redaction.values import ALNUM, CONTEXT, Maker

SEED = 20261122
REDACTOR = Redactor(pseudonyms=Pseudonyms(b"k" * 32))
Outcomes = tuple[Counter[str], Counter[str], list[str]]
KEY_MAKERS = {kind: (lambda m, f=form: key(m, f)) for kind, form in KEYS.items()}


@pytest.fixture(scope="module")
def outcomes() -> Outcomes:
    """How many of each kind there were, how many were taken out, and the texts hit in error."""
    there, found = Counter[str](), Counter[str]()
    for sample in corpus.positives(SEED, 5):
        there[sample.kind] += 1
        hits = REDACTOR.find(sample.text)
        found[sample.kind] += sample.value not in REDACTOR.redact(sample.text) and any(
            hit.kind == sample.kind for hit in hits
        )
    wrong = [s.text for s in corpus.negatives(SEED, 30) if REDACTOR.find(s.text)]
    return there, found, wrong


def test_hardly_anything_is_missed(outcomes: Outcomes) -> None:
    """Over all kinds, and in each: the floors that `bench/redaction.py` is asked for on more."""
    there, found, _ = outcomes
    assert found.total() / there.total() >= 0.98
    assert {kind: found[kind] for kind in there if found[kind] < 0.8 * there[kind]} == {}


def test_hardly_anything_is_taken_out_in_error(outcomes: Outcomes) -> None:
    _, found, wrong = outcomes
    assert found.total() / (found.total() + len(wrong)) >= 0.97, wrong


def test_a_hundred_kinds_of_keys_are_known(outcomes: Outcomes) -> None:
    """The corpus has them by forms of its own; all that it has are listed."""
    there, _, _ = outcomes
    assert (
        len({kind for kind in all_kinds() if kind.endswith(("_key", "_token", "_secret"))}) >= 100
    )
    assert set(there) <= set(all_kinds())
    assert len(KEYS) >= 100
    assert {group_of("email"), group_of("ipv4"), group_of("github_token")} == {
        "personal",
        "network",
        "secret",
    }


@settings(max_examples=24)
@given(
    kind=st.sampled_from(sorted({**MADE, **KEY_MAKERS})),
    seed=st.integers(0, 10**6),
    ways=st.lists(st.sampled_from(sorted(ENCODINGS)), min_size=1, max_size=4, unique=True),
)
@example("card", 1, sorted(ENCODINGS))
@example("email", 2, sorted(ENCODINGS))
@example("github_token", 3, sorted(ENCODINGS))
@example("jwt", 4, sorted(ENCODINGS))
def test_no_value_leaks_in_any_encoding(kind: str, seed: int, ways: list[str]) -> None:
    """Whatever is found in clear is found in each encoding that is promised, and stays out."""
    maker = Maker(seed)
    value = {**MADE, **KEY_MAKERS}[kind](maker)
    said = f"{CONTEXT[kind]}: {value}" if kind in CONTEXT else value
    for way in ways:
        if "\n" in value and way in {"full-width", "zero-width", "combining"}:
            continue
        encoded = ENCODINGS[way](said)
        text = f"got {encoded} now"
        clean = REDACTOR.redact(text)
        assert value not in clean, way
        assert ENCODINGS[way](value) not in clean, way
        assert clean != text, way
        assert REDACTOR.redact(clean) == clean, way


def test_the_prefilter_stops_nothing_that_would_be_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without it the same is found, also in texts that are little but a value."""
    samples = [s.text for s in corpus.positives(SEED + 1, 1)] + [
        s.value for s in corpus.positives(SEED + 2, 1)
    ]
    before = [REDACTOR.find(text) for text in samples]
    monkeypatch.setattr("engines.redaction.scanning.may_hold", lambda text: True)
    assert [Redactor(pseudonyms=REDACTOR.pseudonyms).find(text) for text in samples] == before
    assert not cues.may_hold("ok done")


FORMS = ("password={}", "Passwort: {}", "DB_PASSWORD='{}'", "--password {}", "<password>{}</password>", "token={}&x=1", "my password is {} ok")  # fmt: skip


def test_no_password_leaks_whatever_is_in_it() -> None:
    """Brackets, signs, dashes in front: not five characters of it stay."""
    maker = Maker(SEED)
    alphabet = ALNUM + "0123456789" + "!@#$%^*()_+-=[]{}|:.?/~"
    for _ in range(100):
        value = maker.of(alphabet, 12) + "a1"
        for form in FORMS:
            clean = REDACTOR.redact(form.format(value))
            assert not any(value[at : at + 5] in clean for at in range(len(value) - 4)), form


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("Mr. and Mrs Smith", {"name"}),
        ("curl -u admin:s3cr3t! https://x.example", {"password"}),
        ("Authorization: Basic YWRtaW46aHVudGVyMg==", {"password"}),
        ("Cookie: sid=abcdef123456; theme=dark", {"secret"}),
        ("amqp://svc:p@ss/w0rd@mq:5672", {"url_credentials"}),
        ("https://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@github.com/x", {"github_token"}),
        ('{"password": "with \\"quotes\\" in it"}', {"password"}),
        ("password=a,b;c&next=1", {"password"}),
        ("def login(password: str = 'hunter22'):", {"password"}),
        ("40°26′46″N 79°58′56″W", {"geo"}),
        ("lat=52.5200 lon=13.4050", {"geo"}),
        ("née le 12/03/1985", {"birth_date"}),
        ("生年月日：1990年1月31日", {"birth_date"}),
        ("0011.2233.4455 is its hardware address", {"mac"}),
        ("tel. 020 7946 0958", {"phone"}),
        ("cvv: 123", {"card_code"}),
        ("call me at (415) 555-2671 or mail a.b@c.de", {"phone", "email"}),
        ("MIIEvgIBADANBgkqhkiG9w0BAQEFAASCBKgwggSkAgEAAoIBAQC7VJTUt9Us8cKj", {"private_key"}),
        ("ghp_zQWBuTSOoRi4A9spHcVY5ncnsDkxkJ0mLq18", {"github_token"}),  # its check does not fit
    ],
)  # fmt: skip
def test_by_hand(text: str, kinds: set[str]) -> None:
    assert {hit.kind for hit in REDACTOR.find(text)} == kinds


STUCK = base64.b64encode(b"mail zelda.canary@example.org now").decode()


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("inv_4111111111111111_2", "inv_<card>_2"),
        ("x4111111111111111y", "x<card>y"),
        ("inv_4111-1111-1111-1111_2", "inv_<card>_2"),
        ("user_zelda.canary@example.org_x", "<email>_x"),
        ("4111 1111\n1111 1111", "<card>"),
        ("mysql -u root -phunter22 shop", "mysql -u root -p<password> shop"),
        ("prefix" + STUCK, "<email>"),
        ("clave_secreta=hunter22x", "clave_secreta=<password>"),
    ],
)
def test_what_is_stuck_to_something_is_found(text: str, left: str) -> None:
    assert Redactor().redact(text) == left


@pytest.mark.parametrize(
    "text",
    [
        *("sha a4111111111111111deadbeef0123", "id_4111111111111112_x", "tar -pxzf shop.tgz"),
        *("4821 5533 1\n6011 7432", "mysql -P 3306 shop", "app@host.local_settings"),
    ],
)
def test_what_only_looks_stuck_is_left(text: str) -> None:
    assert Redactor().redact(text) == text


def test_a_name_in_a_value_that_goes_is_not_looked_at_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looked = []
    judge = pairs._accepted
    monkeypatch.setattr(pairs, "_accepted", lambda *given: looked.append(1) or judge(*given))
    assert Redactor().redact("password=" * 2000 + "hunter22 end") == "password=<password> end"
    assert len(looked) < 50


def test_a_check_that_fits_makes_a_key_surer() -> None:
    """GitHub's: the CRC-32 of thirty characters, in base 62."""
    right, wrong = (
        REDACTOR.find(f"ghp_zQWBuTSOoRi4A9spHcVY5ncnsDkxkJ0mLq1{last}")[0] for last in "78"
    )
    assert right.score == 1.0 > wrong.score
    assert "check digits" in right.why


def test_what_is_told_of_a_hit_holds_no_value() -> None:
    """Neither in its rule, nor in its reason, nor in how it is printed."""
    for sample in corpus.positives(SEED + 3, 1):
        for hit in REDACTOR.find(sample.text):
            assert isinstance(hit, Hit)
            told = f"{hit!r} {hit.rule} {hit.why}"
            shown = sample.text[hit.start : hit.end]
            assert len(shown) < 4 or shown not in told
            assert 0 < hit.score <= 1
            assert re.fullmatch("[a-z][a-z0-9_]+", hit.kind)
