"""Headers that let somebody in lie sealed while they wait, and are sent as they were."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dino_os.errors import InvalidInput
from dino_os.nav.duty import replay_in
from dino_os.nav.sealing import HeaderSeals, SealingQueue
from dino_os.security_gateway.model import VaultLocked
from dino_os.workspace import Workspace
from engines.nav_mesh import Receipt, Request
from tests.nav_mesh.waiting import PRIMARY, Network

HEADERS = {
    "Authorization": "Bearer s3cret-1",
    "cookie": "session=s3cret-2",
    "X-Api-Key": "dino-sealed:s3cret-3",
    "X-Station": "Elbe",
}
NOTE = Request("POST", "/v1/notes", HEADERS, b"low tide")


@pytest.fixture
def network() -> Network:
    return Network({PRIMARY: "refused"})


@pytest.fixture
def here(workspace: Path, keys: dict[str, str], network: Network) -> Workspace:
    form = {"nav": {"domains": {"info": {"primary": PRIMARY}}}}
    (workspace / "config.yaml").write_text(json.dumps(form))
    return opened(workspace, network)


def opened(folder: Path, network: Network) -> Workspace:
    """The workspace as another process finds it, on that network."""
    found = Workspace(folder)
    queue = SealingQueue(found.requests, HeaderSeals(lambda: found.security))
    more = {"transport": network, "outgoing": lambda: queue, "sleep": lambda _: None}
    found.nav.ways = replace(found.nav.ways, **more)
    return found


def queued(here: Workspace, request: Request = NOTE) -> Receipt:
    found = here.nav.send("info", here.nav.issue_token("info", "ada"), "ada", request)
    assert isinstance(found, Receipt)
    return found


def on_disk(here: Workspace) -> bytes:
    return b"".join(file.read_bytes() for file in here.root.rglob("*") if file.is_file())


def headers_sent(here: Workspace, network: Network) -> Any:
    network.answers.clear()
    network.asked.clear()
    assert replay_in(here).delivered == 1
    return network.asked[0][1].headers


def test_what_lets_somebody_in_lies_sealed_until_it_is_sent(
    here: Workspace, network: Network
) -> None:
    receipt = queued(here)
    assert b"s3cret" not in on_disk(here)
    assert here.requests.find(receipt.id).request.headers["X-Station"] == "Elbe"
    assert headers_sent(opened(here.root, network), network) == HEADERS
    assert "queue/headers" in here.security.list_keys()


def test_a_request_without_secrets_needs_no_key(here: Workspace, network: Network) -> None:
    headers = {"Accept": "text/plain", "Idempotency-Key": "k-1"}
    receipt = queued(here, replace(NOTE, headers=headers))
    assert here.requests.find(receipt.id).request.headers == headers
    assert here.security.list_keys() == ["gate/info"]


def test_behind_a_locked_vault_it_waits_as_it_is(
    here: Workspace, network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request is not lost for that; and what was sealed waits until the vault is open."""
    token = here.nav.issue_token("info", "ada")
    sealed = queued(here)
    monkeypatch.setenv("DINO_VAULT_PASSPHRASE_NEW", "open sesame")
    here.security.relock("passphrase")
    monkeypatch.delenv("DINO_VAULT_PASSPHRASE_NEW")
    locked = opened(here.root, network)
    plain = locked.nav.send("info", token, "ada", replace(NOTE, path="/v1/2"))
    assert isinstance(plain, Receipt)
    assert here.requests.find(plain.id).request.headers == HEADERS
    with pytest.raises(VaultLocked):
        HeaderSeals(lambda: locked.security).opened(
            "info", "ada", here.requests.find(sealed.id).request
        )
    assert replay_in(locked).later == 2


def test_where_the_key_is_gone_somebody_has_to_look(here: Workspace, network: Network) -> None:
    receipt = queued(here)
    assert here.security.delete_key("queue/headers")
    network.answers.clear()
    assert replay_in(opened(here.root, network)).held == 1
    assert "is not in the vault any more" in here.requests.find(receipt.id).reason


def test_a_sealed_header_is_good_where_it_was_sealed_and_nowhere_else(
    here: Workspace, network: Network
) -> None:
    """Another subject's, or of another name: it does not open."""
    seals = HeaderSeals(lambda: here.security)
    sealed = seals.sealed("info", "ada", NOTE)
    assert seals.opened("info", "ada", sealed).headers == HEADERS
    moved = replace(NOTE, headers={"Cookie": sealed.headers["Authorization"]})
    for domain, subject, request in [
        ("myth", "ada", sealed),
        ("info", "eve", sealed),
        ("info", "ada", moved),
    ]:
        with pytest.raises(InvalidInput, match="sealed with a key that is not in the vault"):
            seals.opened(domain, subject, request)
