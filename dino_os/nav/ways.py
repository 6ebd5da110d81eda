"""The routes of the settings, as the mesh understands them, and whose hosts lie behind a gate."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from dino_os.config import Gate, Nav
from dino_os.errors import ConfigError, InvalidInput
from dino_os.nav.transport import WebTransport, checked_address
from dino_os.tool_sandbox.egress.hosts import Rule, canonical
from engines.nav_mesh import (
    DomainRoutes,
    Outgoing,
    Route,
    RouteRules,
    ThresholdDomain,
    Ways,
    in_order,
)

_PORTS = {"http": 80, "https": 443}


def ways_of(settings: Nav, root: Path, outgoing: Callable[[], Outgoing] | None) -> Ways:
    """
    What a mesh sends with, by *settings*.

    Args:
        root: What the name of a file in them starts from.
        outgoing: Opens the offline queue.

    Raises:
        ConfigError: An address is none, or a host belongs to two domains.
    """
    domains = {}
    for domain in ThresholdDomain:
        found = getattr(settings.domains, domain.value)
        if found.primary or found.failover or found.hosts:
            domains[domain.value] = _routes_of(domain.value, found)
    hosts_behind(domains)
    names = RouteRules.__dataclass_fields__
    transport = WebTransport(
        private_hosts=settings.private_hosts,
        ca_file=root / Path(settings.ca_file).expanduser() if settings.ca_file else None,
        most_bytes=settings.answer_bytes,
        connect_s=settings.connect_s,
    )
    return Ways(
        domains=domains,
        rules=RouteRules(**{name: getattr(settings.routes, name) for name in names}),
        transport=transport,
        outgoing=outgoing,
    )


def hosts_behind(domains: Mapping[str, DomainRoutes]) -> list[tuple[Rule, str]]:
    """
    Hosts of which requests take a domain's routes: those named, and those of its addresses.

    Raises:
        ConfigError: One is none, or belongs to two domains.
    """
    found: dict[Rule, str] = {}
    for domain, ways in domains.items():
        try:
            rules = [Rule.parse(host) for host in ways.hosts]
        except InvalidInput as error:
            raise ConfigError(f"nav.domains.{domain}.hosts: {error}", hint=error.hint) from None
        for rule in [*rules, *map(_host_of, ways.routes)]:
            for other, whose in found.items():
                if whose != domain and _share_a_host(rule, other):
                    narrow = other if rule.subdomains else rule
                    raise ConfigError(
                        f"nav.domains: {_named(narrow)!r} belongs to {whose!r} and to {domain!r}"
                    )
            found[rule] = domain
    return list(found.items())


def _routes_of(domain: str, found: Gate) -> DomainRoutes:
    try:
        for address in [*filter(None, [found.primary]), *found.failover]:
            checked_address(address)
        routes = in_order(domain, found.primary, found.failover)
    except InvalidInput as error:
        raise ConfigError(f"nav.domains.{domain}: {error}", hint=error.hint) from None
    return DomainRoutes(
        routes=routes,
        hosts=tuple(found.hosts),
        timeout_s=found.timeout_s,
        attempt_s=found.attempt_s,
        retries=found.retries,
        takes_keys=found.takes_keys,
        offline=found.offline,
        keep_s=found.keep_s or None,
        health_path=found.health_path,
    )


def _host_of(route: Route) -> Rule:
    parts = urlsplit(route.address)
    host = canonical(parts.hostname or "")
    usual = parts.port in {None, _PORTS[parts.scheme]}
    return Rule(host) if usual else Rule(host, frozenset({parts.port or 0}))


def _share_a_host(one: Rule, other: Rule) -> bool:
    """Whether some host, on some port, is meant by both."""
    if not one.ports & other.ports:
        return False
    if one.subdomains and other.subdomains:
        return one.host == other.host or one.names(other.host) or other.names(one.host)
    return other.names(one.host) if other.subdomains else one.names(other.host)


def _named(rule: Rule) -> str:
    return f"*.{rule.host}" if rule.subdomains else rule.host
