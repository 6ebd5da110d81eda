"""Webhooks: believed where the signature stands, and nowhere else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dino_os.errors import Denied, InvalidInput
from dino_os.payments.webhook import LARGEST, accept, sign, verify
from dino_os.secret import Secret
from dino_os.workspace import Workspace
from tests.conftest import Dino

KEY, OTHER = Secret("whsec_0123456789"), Secret("whsec_9876543210")
NOW = 1_800_000_000.0
BODY = b'{"id": "evt_1", "type": "payment.confirmed", "data": {}}'


def refuse(body: bytes, signature: str, *, now: float = NOW, key: Secret = KEY) -> str:
    with pytest.raises(Denied) as refused:
        verify(body, signature, key, now=now, tolerance_s=300)
    return refused.value.message


def test_a_signature_stands_for_these_bytes_this_key_and_this_time() -> None:
    good = sign(BODY, KEY, now=NOW)
    verify(BODY, good, KEY, now=NOW + 299, tolerance_s=300)
    verify(BODY, good, KEY, now=NOW - 299, tolerance_s=300)
    assert "does not fit" in refuse(BODY + b" ", good)
    assert "does not fit" in refuse(BODY, good, key=OTHER)
    assert "301 s from now" in refuse(BODY, good, now=NOW + 301)
    assert "301 s from now" in refuse(BODY, good, now=NOW - 301)


def test_the_time_is_signed_too() -> None:
    """An old one with a new time on it does not stand."""
    old = sign(BODY, KEY, now=NOW - 5000)
    assert "does not fit" in refuse(BODY, old.replace(str(int(NOW - 5000)), str(int(NOW))))


def test_while_a_key_changes_one_good_signature_of_several_is_enough() -> None:
    time, _, mac = sign(BODY, KEY, now=NOW).partition(",")
    _, _, other = sign(BODY, OTHER, now=NOW).partition(",")
    verify(BODY, f"{time},{other},{mac},v0=old", KEY, now=NOW, tolerance_s=300)


@pytest.mark.parametrize(
    "signature",
    [
        "",
        "v1=",
        "t=1800000000",
        "t=1800000000,v1=",
        "t=1800000000,v1=" + "0" * 63,
        "t=1800000000,v1=" + "G" * 64,
        "t=-1,v1=" + "0" * 64,
        "t=1800000000,t=1800000001,v1=" + "0" * 64,
        "v1=" + "0" * 64,
        "t=1800000000,v0=" + "0" * 64,
        "t=" + "9" * 400 + ",v1=" + "0" * 64,
        ",".join(["t=1800000000", *["v1=" + "0" * 64] * 100]),
    ],
)
def test_what_is_no_signature_is_refused(signature: str) -> None:
    assert "not a signature" in refuse(BODY, signature)


@given(st.text(max_size=200), st.binary(max_size=50))
@settings(max_examples=18)
def test_nobody_guesses_one(signature: str, body: bytes) -> None:
    assert refuse(body, signature)


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b"\xff", b'{"id":1,"data":{}}', b"[" * 99999])
def test_what_is_signed_but_no_notice_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidInput, match="not a notice"):
        accept(body, sign(body, KEY, now=NOW), KEY, now=NOW, tolerance_s=300)
    with pytest.raises(InvalidInput, match="more than"):
        accept(b" " * (LARGEST + 1), "", KEY, now=NOW, tolerance_s=300)


def test_a_notice_confirms_the_payment_it_speaks_of(workspace: Path, dino: Dino) -> None:
    """From a file or standard input; twice is once; a forged or foreign one changes nothing."""
    site = Workspace(workspace)
    site.security.set_key("payments_webhook", KEY.reveal())
    order = site.orders.create(1250, "EUR")
    payment = site.orders.want_payment(order.id, "http", live=True)
    notice: dict[str, Any] = {
        "id": "pay_1",
        "status": "confirmed",
        "amount": 1250,
        "currency": "EUR",
        "reference": payment.key,
    }

    def send(change: dict[str, Any], *, key: Secret = KEY, code: int = 0) -> Any:
        body = json.dumps({"id": "evt", "data": {**notice, **change}}).encode()
        (workspace / "body").write_bytes(body)
        header = sign(body, key, now=site.orders.clock())
        outcome = dino("orders", "webhook", "body", "--signature", header, "--json", code=code)
        return outcome.json if code == 0 else outcome.error

    assert send({}, key=OTHER, code=3)["code"] == "denied"
    assert send({"reference": "dino-x-payment-1", "id": "pay_7"}, code=2)["code"] == "not_found"
    site.orders.refresh()
    assert site.orders.order(order.id).paid == 0
    assert send({})["state"] == "confirmed"
    assert send({})["problems"] == []
    assert "says declined now" in send({"status": "declined"})["problems"][0]
    assert dino("orders", "show", order.id, "--json").json["paid_minor"] == 1250
