"""`dino nav routes|send|eject|return`: what an operator sees of the routes, and does to them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dino_os.config import Config
from dino_os.errors import ConfigError
from dino_os.nav.duty import ReplayDuty, replay_in
from dino_os.nav.health import HealthDuty
from dino_os.nav.ways import ways_of
from dino_os.workspace import Workspace
from engines.nav_mesh import Outcome, Receipt, Request
from engines.resource_engine import Task
from tests.conftest import Dino
from tests.nav.service import Service


def configure(workspace: Path, nav: object) -> None:
    (workspace / "config.yaml").write_text(json.dumps({"nav": nav}))


def test_an_operator_sends_and_sees_which_way_it_went(
    dino: Dino, workspace: Path, service: Service, keys: dict[str, str]
) -> None:
    """200 by the failover exits 0, a refusal 1, what is queued 75, what nobody answers 4."""
    dead = "http://127.0.0.1:9"
    info = {"primary": dead, "failover": [service.url]}
    configure(workspace, {"domains": {"info": info}})
    send = ["nav", "send", "info"]
    found = dino(*send, "post", "/v1", "--data", "low", "--key", "k-1", "--json", env=keys).json
    assert (found["status"], found["route"], found["target"]) == (201, "failover", service.url)
    assert service.heard == [("POST", "/v1", "k-1", b"low")]
    service.fault = lambda: "404"
    assert dino(*send, "GET", "/nowhere", code=1, env=keys).err.startswith("404 by failover")
    service.cut()
    receipt = dino(*send, "POST", "/v1", "--header", "X-A: b", "--json", code=75, env=keys).json
    assert receipt["queued"]
    of_cell = [*send, "POST", "/v1", "--cell", "desk", "--json"]
    queued = dino(*of_cell, code=75, env=keys).json["queued"]
    waiting = dino("offline", "queue", "--json", env=keys).json["requests"]
    assert {one["id"]: one["cell"] for one in waiting}[queued] == "desk"
    assert "Connection refused" in dino(*send, "GET", "/v1", code=4, env=keys).err
    assert dino("nav", "eject", "info", "failover", "--json", env=keys).json == {"ejected": True}
    shown = dino("nav", "routes", env=keys).out
    assert "info is offline" in shown
    assert "left out by hand" in shown
    assert dead in shown


def test_a_health_check_brings_a_route_back(
    workspace: Path, service: Service, keys: dict[str, str]
) -> None:
    """Asked beside the turn; the one that fails counts as a failure."""
    info = {
        "primary": service.url,
        "failover": ["http://127.0.0.1:9"],
        "health_path": "/healthz",
    }
    rules = {"consecutive_local_origin_failure": 1}
    configure(workspace, {"domains": {"info": info}, "routes": rules})
    here = Workspace(workspace)
    primary = here.nav.ways.of("info").routes[0]
    here.nav.note(primary, Outcome(None), probing=False)
    assert [route["circuit"] for route in here.nav.routes()] == ["open", "closed"]
    duty = HealthDuty(here)
    assert duty.turn() is not None
    assert [check.route.name for check in duty._under_way] == ["primary", "failover"]
    duty.finish()
    assert [route["circuit"] for route in here.nav.routes()] == ["closed", "open"]
    assert service.heard == [("GET", "/healthz", None, b"")]
    later = duty.turn()
    assert later is not None
    assert duty._under_way == []


def test_order_holds_while_one_waits(
    workspace: Path, service: Service, keys: dict[str, str]
) -> None:
    configure(workspace, {"domains": {"info": {"primary": service.url}}})
    here = Workspace(workspace)
    token = here.nav.issue_token("info", "ada")
    service.cut()
    first = here.nav.send("info", token, "ada", Request("POST", "/1", ordered_by="notes"))
    service.connect()
    second = here.nav.send("info", token, "ada", Request("POST", "/2", ordered_by="notes"))
    assert (type(first), type(second)) == (Receipt, Receipt)
    assert replay_in(here).as_dict()["delivered"] == 2
    assert [path for _, path, _, _ in service.heard] == ["/1", "/2"]


def test_a_pass_is_one_task_at_a_time(workspace: Path, keys: dict[str, str]) -> None:
    configure(workspace, {"domains": {"info": {"primary": "http://127.0.0.1:9"}}})
    here = Workspace(workspace)
    duty = ReplayDuty(here)
    here.nav.send("info", here.nav.issue_token("info", "ada"), "ada", Request("POST", "/v1"))
    assert duty.turn() is None
    assert duty.turn() is None
    [task] = here.resources.tasks(source="offline_queue")
    assert task.payload == {"call": "dino_os.nav.duty:replay"}


def test_passes_of_an_outage_become_rarer_until_a_route_is_well(
    workspace: Path, keys: dict[str, str]
) -> None:
    """A day offline is no day of attempts; and no waiting once something answers."""
    configure(workspace, {"domains": {"info": {"primary": "http://127.0.0.1:9"}}})
    here = Workspace(workspace)
    duty = ReplayDuty(here)
    now = here.nav.clock()
    here.nav.clock = lambda: now
    ended = [Task(f"t{n}", started_at=now - 1, finished_at=now) for n in range(9)]
    for task in ended:
        task.result = {"delivered": 0, "later": 3}
    pauses = [duty._next_pass(ended[: n + 1]) - now for n in range(9)]
    assert pauses == [10, 20, 40, 80, 160, 300, 300, 300, 300]
    ended[-1].result = {"delivered": 1}
    assert duty._next_pass(ended) == now + 5
    ended[-1].result = None
    here.nav.eject_route("info", "primary")
    here.nav.return_route("info", "primary")
    assert duty._next_pass(ended) == now + 5


@pytest.mark.parametrize(
    ("nav", "told"),
    [
        ({"info": {"primary": "api.test"}}, "nav.domains.info: not an address: 'api.test'"),
        ({"info": {"primary": "https://a.test/?q"}}, "it has a query"),
        ({"info": {"failover": ["https://a.test"]}}, "no primary to fail over from"),
        ({"info": {"primary": "https://a.test", "failover": ["https://a.test"]}}, "same address"),
        ({"info": {"primary": "https://a.test", "hosts": ["*"]}}, "nav.domains.info.hosts"),
        (
            {"info": {"primary": "https://a.test"}, "myth": {"primary": "http://A.test/x"}},
            "'a.test' belongs to 'info' and to 'myth'",
        ),
        (
            {"wealth": {"hosts": ["*.a.test"]}, "info": {"primary": "https://api.a.test"}},
            "'api.a.test' belongs to 'wealth' and to 'info'",
        ),
        (
            {"wealth": {"primary": "https://api.a.test"}, "info": {"hosts": ["*.a.test"]}},
            "'api.a.test' belongs to 'wealth' and to 'info'",
        ),
        (
            {"wealth": {"hosts": ["*.a.test"]}, "info": {"hosts": ["*.b.a.test"]}},
            "belongs to 'wealth' and to 'info'",
        ),
    ],
)
def test_routes_that_cannot_be_are_told(workspace: Path, nav: object, told: str) -> None:
    configure(workspace, {"domains": nav})
    settings = Config(workspace / "config.yaml", environ={}).settings.nav
    with pytest.raises(ConfigError, match=r"nav\.domains") as wrong:
        ways_of(settings, workspace, None)
    assert told in str(wrong.value)


def test_hosts_beside_each_other_are_of_several_domains(workspace: Path) -> None:
    """The domain above its subdomains, and another port of the same host."""
    wealth = {"hosts": ["*.a.test", "b.test"]}
    configure(
        workspace, {"domains": {"wealth": wealth, "info": {"hosts": ["a.test", "b.test:8443"]}}}
    )
    settings = Config(workspace / "config.yaml", environ={}).settings.nav
    assert ways_of(settings, workspace, None).domains.keys() == {"wealth", "info"}


def test_without_routes_there_is_nothing_to_carry(workspace: Path) -> None:
    here = Workspace(workspace)
    assert here.carrier("note") is None
    assert "nav" not in vars(here)  # and nothing was opened to find out
