"""IPv4 and IPv6 addresses (RFC 791, 4291) and MAC addresses (IEEE 802)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from ipaddress import AddressValueError, IPv6Address

from engines.redaction.context import stands_before, words
from engines.redaction.model import LIKELY, SURE, Hit
from engines.redaction.views import Text

_octet = r"(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"
_ipv4 = re.compile(rf"(?<![\w.])(?:{_octet}\.){{3}}{_octet}(?!\w|\.\d|-\w)")
# `Chrome/120.0.0.0`, `v1.2.3.4`, `==1.2.3.4`: a version, as masks and the machine itself are none.
_version = re.compile(
    r"(?:[A-Za-z]/|==|[~^]=?|\bversions?\b[ :=v\"']{0,4}|\bver\.? ?|\brelease[ :=]{0,2}"
    r"|\bbuild[ :=]{0,2}|_version[\"']?[ :=]{1,2}[\"']?)$",
    re.IGNORECASE,
)
_no_host = re.compile(r"127\.|0\.|255\.|224\.0\.0\.")
_ipv6 = re.compile(
    r"(?<![\w:.])(?:[0-9A-Fa-f]{1,4}(?::[0-9A-Fa-f]{1,4}){7}"
    r"|(?=[0-9A-Fa-f:]{0,36}::)[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,8}(?:(?:\.\d{1,3}){3})?)"
    r"(?![\w:]|\.\d)"
)
_mac = re.compile(
    r"(?<![\w:.-])(?:[0-9A-Fa-f]{2}([:-])(?:[0-9A-Fa-f]{2}\1){4}[0-9A-Fa-f]{2}"
    r"|[0-9A-Fa-f]{4}\.[0-9A-Fa-f]{4}\.[0-9A-Fa-f]{4})(?![\w]|[:-][0-9A-Fa-f]{2}|\.[0-9A-Fa-f])"
)
_dotted = re.compile(r"\.\d{1,3}\.\d{1,3}\.\d")
_cisco = re.compile(r"\.[0-9A-Fa-f]{4}\.")
_bare_mac = re.compile(r"(?<![\w])[0-9A-Fa-f]{12}(?![\w])")
_mac_context = words("mac\\b", "mac_?addr", "hwaddr", "ether\\b", "hardware addr", "bssid")
_REACH = 24

_mac_words = frozenset({"mac", "macaddr", "macaddress", "hwaddr", "ether", "hardware", "bssid"})
_COLONS, _PAIRS = 7, 5


def ipv4_cue(scanned: Text) -> object:
    return _dotted.search(scanned.text)


def ipv6_cue(scanned: Text) -> bool:
    return "::" in scanned.text or scanned.text.count(":") >= _COLONS


def mac_cue(scanned: Text) -> object:
    text = scanned.text
    return text.count(":") >= _PAIRS or text.count("-") >= _PAIRS or _cisco.search(text)


def bare_mac_cue(scanned: Text) -> bool:
    return scanned.says(_mac_words)


def find_ipv4(scanned: Text) -> Iterator[Hit]:
    text = scanned.text
    for found in _ipv4.finditer(text):
        start = found.start()
        if not _no_host.match(found[0]) and not _version.search(text[max(0, start - 20) : start]):
            yield Hit("ipv4", *found.span(), "ipv4", SURE, "four octets", found[0])


def find_ipv6(scanned: Text) -> Iterator[Hit]:
    for found in _ipv6.finditer(scanned.text):
        run = found[0]
        # `dead::beef` may be a name in a program.
        if run.count(":") < 2 or not any(map(str.isdigit, run)):  # noqa: PLR2004
            continue
        try:
            address = IPv6Address(run)
        except (AddressValueError, ValueError):
            continue
        if not (address.is_loopback or address.is_unspecified):
            yield Hit("ipv6", *found.span(), "ipv6", SURE, "groups of an address", str(address))


def find_macs(scanned: Text) -> Iterator[Hit]:
    for found in _mac.finditer(scanned.text):
        plain = re.sub(r"[:.-]", "", found[0]).lower()
        if len(set(plain)) > 1:
            yield Hit("mac", *found.span(), "mac", SURE, "six octets", plain)


def find_bare_macs(scanned: Text) -> Iterator[Hit]:
    for found in _bare_mac.finditer(scanned.text):
        if stands_before(_mac_context, scanned, found.start(), _REACH):
            plain = found[0].lower()
            yield Hit("mac", *found.span(), "mac", LIKELY, "words that name it", plain)
