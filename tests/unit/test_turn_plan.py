"""Where the relay listens and what browsers are told of it, for each kind of deployment."""

from pathlib import Path

import pytest

from konsil import relay_check, turn_plan
from konsil.errors import SettingsError
from konsil.settings import load
from turn.five_tuple import Transport

CHAIN = (Path("/srv/chain.pem"), Path("/srv/key.pem"))


@pytest.fixture(autouse=True)
def _machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that has IPv6 on loopback, and a private address towards the network."""
    monkeypatch.setattr(turn_plan, "_can_bind", lambda host: True)
    monkeypatch.setattr(turn_plan, "host_addresses", lambda family: ["::1"])
    monkeypatch.setattr(turn_plan.tls, "lan_address", lambda: "192.168.1.5")


def planned(chain: tuple[Path, Path] | None = None, **environment: str) -> turn_plan.Plan:
    settings, _ = load({}, {f"KONSIL_{name}": value for name, value in environment.items()})
    return turn_plan.plan(settings, chain, None)


def test_a_trial_stays_on_this_machine() -> None:
    made = planned()
    assert made.local
    assert made.name == "127.0.0.1"
    assert made.hosts == ("127.0.0.1", "::1")
    assert made.ports.tls == ()
    settings, _ = load({}, {})
    assert turn_plan.relay_config(settings, made, made.ports, ["s"]).allow_loopback_peers


def test_a_public_server_listens_everywhere_and_keeps_itself_to_itself() -> None:
    made = planned(CHAIN, PUBLIC_URL="https://consult.example")
    assert not made.local
    assert made.hosts == ("0.0.0.0",)
    assert made.urls(made.ports) == (
        "turn:consult.example:3478?transport=udp",
        "turn:consult.example:3478?transport=tcp",
        "turns:consult.example:5349?transport=tcp",
        "stun:consult.example:3478",
    )
    settings, _ = load({}, {"KONSIL_PUBLIC_URL": "https://consult.example"})
    assert not turn_plan.relay_config(settings, made, made.ports, ["s"]).allow_loopback_peers


@pytest.mark.parametrize(
    ("environment", "name"),
    [
        ({"PUBLIC_URL": "https://a.example", "TURN_NAME": "turn.example"}, "turn.example"),
        ({"TURN_HOST": "203.0.113.7"}, "203.0.113.7"),
        ({"TURN_HOST": "0.0.0.0", "TURN_PUBLIC_IPV4": "203.0.113.9"}, "203.0.113.9"),
        ({"PUBLIC_URL": "https://[2001:db8::7]"}, "2001:db8::7"),
        ({"TURN_HOST": "0.0.0.0"}, "192.168.1.5"),
    ],
)
def test_the_name_that_browsers_are_told(environment: dict[str, str], name: str) -> None:
    made = planned(**environment)
    assert made.name == name
    assert not made.local
    shown = f"[{name}]" if ":" in name else name
    assert made.urls(made.ports)[0] == f"turn:{shown}:3478?transport=udp"


@pytest.mark.parametrize("name", ["TURN_PUBLIC_IPV4", "TURN_PUBLIC_IPV6"])
@pytest.mark.parametrize("value", ["auto", "AUTO", "relay.example", "8.8.8.8.8", "fe80::zz"])
def test_what_a_nat_shows_cannot_be_found_out(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=rf"KONSIL_{name} .*must be an IPv. address or off$"):
        load({}, {f"KONSIL_{name}": value})
    assert load({}, {f"KONSIL_{name}": "off"})[0] == load({}, {})[0]


def test_the_address_to_relay_from_is_found_out() -> None:
    assert load({}, {"KONSIL_TURN_RELAY_IPV4": "auto"})[0].turn_relay_ipv4 == "auto"


def test_a_wildcard_is_never_a_trial() -> None:
    """Whoever lets others in has not asked for loopback to be open to them."""
    assert not planned(TURN_HOST="0.0.0.0").local
    assert not planned(TURN_HOST="::").local
    assert planned(PUBLIC_URL="https://a.example", TURN_HOST="127.0.0.1").local


def test_the_fallback_port_comes_first_and_needs_a_certificate() -> None:
    made = planned(CHAIN, TURN_FALLBACK_PORT="443")
    assert made.ports.tls == (443, 5349)
    with pytest.raises(SettingsError, match="needs a certificate"):
        planned(TURN_FALLBACK_PORT="443")


def test_a_certificate_of_its_own_wins() -> None:
    own = {"TURN_TLS_CERT": "/srv/turn.pem", "TURN_TLS_KEY": "/srv/turn.key"}
    assert planned(CHAIN, **own).chain == (Path("/srv/turn.pem"), Path("/srv/turn.key"))


@pytest.mark.parametrize(
    ("url", "transport", "host", "port"),
    [
        ("turn:a.example", Transport.UDP, "a.example", 3478),
        ("turn:a.example:81", Transport.UDP, "a.example", 81),
        ("turn:a.example:81?transport=tcp", Transport.TCP, "a.example", 81),
        ("turns:a.example", Transport.TLS, "a.example", 5349),
        ("turns:[2001:db8::1]:443?transport=tcp", Transport.TLS, "2001:db8::1", 443),
        ("turn:[2001:db8::1]", Transport.UDP, "2001:db8::1", 3478),
    ],
)
def test_what_a_turn_uri_names(url: str, transport: Transport, host: str, port: int) -> None:
    found = relay_check.target_of(url)
    assert found is not None
    assert (found.transport, found.host, found.port) == (transport, host, port)


@pytest.mark.parametrize(
    "url", ["turns:a?transport=udp", "turn:", "turn:a:b", "turn:a?transport=sctp", "http:a"]
)
def test_what_names_no_server_that_can_be_checked(url: str) -> None:
    assert relay_check.target_of(url) is None


@pytest.mark.parametrize(
    "url",
    [
        "turn:relay.example:3478?transport=udp",
        "turns:[2001:db8::1]:443?transport=tcp",
        "stun:relay.example:3478,turn:10.0.0.1",
    ],
)
def test_urls_of_another_relay(url: str) -> None:
    assert load({}, {"KONSIL_TURN_EXTERNAL": url})[0].turn_external == tuple(url.split(","))


@pytest.mark.parametrize(
    "url",
    [
        *("relay.example", "http:relay.example", "turn:", "turn://relay.example", "turn:a b"),
        *("turn:a?transport=tls", "stun:a?transport=udp", "turn:a:0", "turn:a:65536", "turn:a:x"),
        "turn:good.example,turn:bad:",
    ],
)
def test_urls_that_a_browser_would_choke_on(url: str) -> None:
    with pytest.raises(SettingsError, match="must be URLs like"):
        load({}, {"KONSIL_TURN_EXTERNAL": url})
