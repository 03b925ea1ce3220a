"""Settings: where they come from, what stops the start, and that secrets stay hidden."""

import argparse
import copy
import dataclasses
import errno
import json
import pickle
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from konsil import listen, setting_rules, settings
from konsil.errors import SettingsError
from konsil.secret import Secret
from konsil.setting_kinds import Kind
from konsil.settings import Settings, load

CANARY = "s3cr3t-canary-7781"


def given_settings(**environment: str) -> Settings:
    made, _ = load({}, {f"KONSIL_{name}": value for name, value in environment.items()})
    return made


def refusal(flags: dict[str, str | None] | None = None, **environment: str) -> str:
    variables = {f"KONSIL_{name}": value for name, value in environment.items()}
    with pytest.raises(SettingsError) as caught:
        setting_rules.check_serve(load(flags or {}, variables)[0])
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2
    return str(caught.value)


def test_a_flag_wins_over_the_environment_and_that_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "konsil.toml"
    file.write_text('port = 1001\ndrain_seconds = 1\nhost = "from-file"\n')
    environment = {"KONSIL_PORT": "1002", "KONSIL_DRAIN_SECONDS": "2", "KONSIL_CONFIG": str(file)}
    made, _ = load({"port": "1003"}, environment)
    assert (made.port, made.drain_seconds, made.host) == (1003, 2, "from-file")


def test_the_file_named_by_flag_wins_over_that_of_the_environment(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text("port = 1")
    (tmp_path / "b.toml").write_text("port = 2")
    made, _ = load(
        {"config": str(tmp_path / "b.toml")}, {"KONSIL_CONFIG": str(tmp_path / "a.toml")}
    )
    assert made.port == 2


def test_a_file_may_hold_every_kind_in_its_own_form(tmp_path: Path) -> None:
    file = tmp_path / "konsil.toml"
    file.write_text(
        'demo = true\nroles = ["turn", "signaling"]\ntrusted_proxies = ["10.0.0.0/8", "::1"]\n'
        'state_dir = "/srv/konsil"\nmetrics_port = 0\nredis_url = "redis://:pw@cache"\n'
    )
    made, _ = load({"config": str(file)}, {})
    assert made.demo is True
    assert made.roles == ("signaling", "turn")
    assert [str(network) for network in made.trusted_proxies] == ["10.0.0.0/8", "::1/128"]
    assert made.state_dir == Path("/srv/konsil")
    assert made.metrics_port == 0
    assert made.redis_url is not None
    assert made.redis_url.reveal() == "redis://:pw@cache"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("prot = 1", "did you mean 'port'"),
        ("port = 'x'", "port"),
        ("port = 1.5", "port"),
        ("port = true", "port"),
        ("demo = 1", "demo"),
        ("roles = [1]", "roles"),
        ("port = ", "not valid TOML"),
        ("[serve]\nport = 1", "no setting 'serve'"),
        ("\udcff", "not valid TOML"),
        (f"redis_url = '{CANARY}'", "redis_url"),
    ],
)
def test_a_wrong_file_stops_the_start(tmp_path: Path, content: str, words: str) -> None:
    file = tmp_path / "konsil.toml"
    file.write_bytes(content.encode(errors="surrogateescape"))
    message = refusal({"config": str(file)})
    assert words in message
    assert CANARY not in message


def test_a_missing_file_stops_the_start(tmp_path: Path) -> None:
    assert "cannot read" in refusal({"config": str(tmp_path / "none.toml")})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "65536"),
        ("PORT", "-1"),
        ("PORT", "8_0"),
        ("PORT", "\u0661"),
        ("PORT", ""),
        ("PORT", "tcp://10.0.0.1:80"),
        ("HOST", "a b"),
        ("HOST", "-x"),
        ("PUBLIC_URL", "ftp://x"),
        ("PUBLIC_URL", "https://x/path"),
        ("PUBLIC_URL", "https://user:pw@x"),
        ("PUBLIC_URL", "https://x?y"),
        ("PUBLIC_URL", "https://x:99999"),
        ("PUBLIC_URL", "https://[::1"),
        ("TRUSTED_PROXIES", "10.0.0.1/8"),
        ("TRUSTED_PROXIES", "proxy"),
        ("STATE_DIR", ""),
        ("STATE_DIR", "a\0b"),
        ("ROLES", "signalling"),
        ("ROLES", "turn,turn"),
        ("ROLES", ""),
        ("DEMO", "maybe"),
        ("REDIS_URL", "http://x"),
        ("REDIS_URL", "redis://"),
        ("REDIS_URL", "redis://x:port"),
        ("REDIS_PREFIX", "a*"),
        ("REDIS_PREFIX", "a b"),
        ("ICE_TRANSPORT_POLICY", "none"),
        ("MEDIA_TOPOLOGY", "mesh"),
        ("TURN_EXTERNAL", "https://x"),
        ("TURN_EXTERNAL", "turn://x"),
        ("TURN_SECRET", " "),
        ("LOG_FORMAT", "xml"),
        ("OIDC_ISSUER", "http://login.example"),
        ("OIDC_ISSUER", "https://user:pw@login.example"),
        ("OIDC_ISSUER", "https://login.example?x"),
        ("OIDC_ISSUER", "login.example"),
        ("OIDC_CLAIM", "a b"),
        ("IMPRINT_URL", ""),
        ("IMPRINT_URL", "/imprint"),
        ("IMPRINT_URL", "//clinic.example/imprint"),
        ("IMPRINT_URL", "https:///imprint"),
        ("IMPRINT_URL", "http://clinic.example/imprint"),
        ("IMPRINT_URL", "javascript:alert(1)"),
        ("PRIVACY_URL", "java\nscript:alert(1)"),
        ("PRIVACY_URL", "data:text/html,x"),
        ("PRIVACY_URL", "https://user:pw@clinic.example/"),
        ("PRIVACY_URL", "https://clinic.example:99999/"),
        ("PRIVACY_URL", 'https://clinic.example/"onclick="x'),
        ("PRIVACY_URL", "https://clinic.example/'onclick='x"),
        ("PRIVACY_URL", "https://clinic.example/><script>"),
        ("PRIVACY_URL", "https://clinic.example/a b"),
        ("PRIVACY_URL", "https://clinic.example/a\nb"),
        ("PRIVACY_URL", "https://clinic.example/%zz"),
        ("PRIVACY_URL", "https://clinic.example/\u202efdp"),
        ("PRIVACY_URL", "https://clin\u0456c.example/"),
    ],
)
def test_a_bad_value_names_the_variable(name: str, value: str) -> None:
    assert refusal(**{name: value}).startswith(f"KONSIL_{name}")


@pytest.mark.parametrize(
    "url",
    [
        "https://clinic.example",
        "https://clinic.example:8443/legal/imprint.html?lang=de&x=1#top",
        "https://xn--klnik-gra.example/Datenschutz-%C3%BCber(uns)",
        "http://localhost:8080/imprint",
        "http://[::1]/imprint",
    ],
)
def test_where_imprint_and_privacy_notice_are_is_kept_as_it_is(url: str) -> None:
    made = given_settings(IMPRINT_URL=f" {url} ", PRIVACY_URL=url)
    assert (made.imprint_url, made.privacy_url) == (url, url)


def test_a_bad_flag_is_named_as_a_flag() -> None:
    assert refusal({"trusted_proxies": "x"}).startswith("--trusted-proxies 'x'")


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"TLS_CERT": "/c"}, "KONSIL_TLS_KEY"),
        ({"TLS_KEY": "/k"}, "KONSIL_TLS_CERT"),
        ({"TLS_CERT": "/c", "TLS_KEY": "/k", "TLS_SELF_SIGNED": "1"}, "keep one"),
        ({"PUBLIC_URL": "http://clinic.example"}, "must be https"),
        ({"PUBLIC_URL": "http://192.168.1.2:8080"}, "must be https"),
        ({"PUBLIC_URL": "http://localhost", "TLS_SELF_SIGNED": "1"}, "https://"),
        ({"OIDC_ISSUER": "https://login.example"}, "KONSIL_OIDC_CLIENT_ID"),
        ({"OIDC_CLIENT_ID": "konsil"}, "KONSIL_OIDC_ISSUER"),
        ({"OIDC_CLIENT_SECRET": "s"}, "KONSIL_OIDC_ISSUER"),
        ({"OIDC_SCOPE": "email"}, "must hold openid"),
        ({"PUBLIC_URL": "https://[2001:db8::1]", "PASSKEYS": "1"}, "host name"),
        ({"REDIS_URL": "redis://x", "REDIS_SERVER": "/r"}, "exclude"),
        ({"TURN_EXTERNAL": "turn:x"}, "KONSIL_TURN_SECRET"),
        ({"ICE_TRANSPORT_POLICY": "relay", "ROLES": "signaling"}, "needs a relay"),
        ({"MEDIA_TOPOLOGY": "sfu", "ROLES": "signaling"}, "KONSIL_ROLES"),
        ({"PORT": "3478"}, "must differ"),
        ({"PORT": "8080", "METRICS_PORT": "8080"}, "must differ"),
    ],
)
def test_contradictions_stop_the_start(environment: dict[str, str], words: str) -> None:
    assert words in refusal(**environment)


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"PUBLIC_URL": "http://127.0.0.1:9"},
        {"PUBLIC_URL": "http://konsil.localhost"},
        {"PUBLIC_URL": "http://[::1]:8080"},
        {"PUBLIC_URL": "http://10.1.2.3", "TRUSTED_PROXIES": "10.0.0.0/8"},
        {"PUBLIC_URL": "https://clinic.example", "TRUSTED_PROXIES": "10.0.0.0/8"},
        {"PUBLIC_URL": "http://localhost:1", "PASSKEYS": "true"},
        {"PASSKEYS": "true"},
        {"OIDC_ISSUER": "https://login.example/realm/", "OIDC_CLIENT_ID": "konsil"},
        {"OIDC_ISSUER": "http://127.0.0.1:9000", "OIDC_CLIENT_ID": "konsil"},
        {"TURN_EXTERNAL": "stun:x:3478"},
        {"PORT": "3478", "ROLES": "signaling"},
        {"PORT": "0", "METRICS_PORT": "0"},
        # No visitor's requests come to a relay or forwarder by a reverse proxy.
        {"PUBLIC_URL": "https://clinic.example", "ROLES": "turn,sfu", "REDIS_URL": "unix:///r"},
    ],
)
def test_sound_settings_pass_without_remarks(environment: dict[str, str]) -> None:
    assert setting_rules.check_serve(given_settings(**environment)) == ()


def test_https_in_front_without_a_named_proxy_is_remarked() -> None:
    (remark,) = setting_rules.check_serve(given_settings(PUBLIC_URL="https://clinic.example"))
    assert "KONSIL_TRUSTED_PROXIES" in remark


CERTIFICATE = {"TLS_CERT": "/c", "TLS_KEY": "/k", "PUBLIC_URL": "https://clinic.example"}


@pytest.mark.parametrize("host", [None, "localhost", "127.0.0.1", "::1"])
def test_a_certificate_that_nobody_else_could_reach_is_remarked(host: str | None) -> None:
    set_too = {"HOST": host} if host else {}
    (remark,) = setting_rules.check_serve(given_settings(**CERTIFICATE, **set_too))
    assert "KONSIL_HOST" in remark
    assert "only this machine" in remark


@pytest.mark.parametrize(
    "others",
    [
        {"HOST": "::"},
        {"HOST": "192.0.2.7"},
        {"TRUSTED_PROXIES": "127.0.0.1"},  # one that speaks TLS to us
        {"PUBLIC_URL": "https://localhost:8080"},
        {"ROLES": "turn"},
    ],
    ids=str,
)
def test_a_certificate_that_is_of_use_is_not_remarked(others: dict[str, str]) -> None:
    assert setting_rules.check_serve(given_settings(**{**CERTIFICATE, **others})) == ()


def test_a_low_port_that_is_not_allowed_is_told_with_what_allows_it() -> None:
    message = listen._explained(PermissionError(errno.EACCES, ""), "::", 443, "KONSIL_PORT")
    assert "CAP_NET_BIND_SERVICE" in message
    assert "KONSIL_PORT" in message


@pytest.mark.parametrize(
    ("environment", "lan", "expected"),
    [
        ({}, None, "http://localhost:8080"),
        ({"HOST": "0.0.0.0"}, "192.168.1.2", "http://localhost:8080"),
        ({"TLS_SELF_SIGNED": "yes"}, "192.168.1.2", "https://192.168.1.2:8080"),
        ({"TLS_SELF_SIGNED": "yes"}, "2001:db8::5", "https://[2001:db8::5]:8080"),
        ({"TLS_SELF_SIGNED": "yes"}, None, "https://localhost:8080"),
        ({"TLS_SELF_SIGNED": "yes", "HOST": "localhost"}, "10.0.0.1", "https://localhost:8080"),
        ({"TLS_CERT": "/c", "TLS_KEY": "/k", "HOST": "box.example"}, None,
         "https://box.example:8080"),
        ({"PUBLIC_URL": "https://Clinic.Example:443/"}, None, "https://clinic.example"),
    ],
)  # fmt: skip
def test_the_public_url_follows_from_the_rest(
    environment: dict[str, str], lan: str | None, expected: str
) -> None:
    assert setting_rules.origin(given_settings(**environment), 8080, lan) == expected


def test_a_mistyped_variable_is_remarked_but_not_those_of_kubernetes() -> None:
    _, remarks = load(
        {},
        {
            "KONSIL_PUBLIC_ULR": "x",
            "KONSIL_SERVICE_HOST": "10.0.0.1",
            "KONSIL_PORT_8080_TCP_ADDR": "10.0.0.1",
        },
    )
    assert len(remarks) == 1
    assert "KONSIL_PUBLIC_URL" in remarks[0]


def test_the_help_of_serve_names_every_setting_in_every_form() -> None:
    parser = argparse.ArgumentParser()
    settings.add_flags(parser, settings.SERVE)
    shown = parser.format_help()
    for name, spec in settings.table().items():
        assert settings.flag_name(name) in shown
        assert settings.environment_name(name) in shown
        assert len(spec["help"]) > 8


def test_the_names_others_rely_on_are_there() -> None:
    names = {settings.environment_name(name) for name in settings.table()}
    assert names >= {
        "KONSIL_HOST", "KONSIL_PORT", "KONSIL_PUBLIC_URL", "KONSIL_STATE_DIR", "KONSIL_REDIS_URL",
        "KONSIL_ROLES", "KONSIL_METRICS_PORT", "KONSIL_TURN_PORT", "KONSIL_TURN_TLS_PORT",
        "KONSIL_TURN_SECRET", "KONSIL_TURN_REALM", "KONSIL_TURN_ALLOW_LOOPBACK_PEERS",
        "KONSIL_TURN_EXTERNAL", "KONSIL_SFU_PORT", "KONSIL_ICE_TRANSPORT_POLICY",
        "KONSIL_MEDIA_TOPOLOGY",
    }  # fmt: skip


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        given_settings().port = 1  # type: ignore[misc]
    assert not hasattr(given_settings(), "__dict__")


def test_a_secret_shows_in_no_representation() -> None:
    made = given_settings(REDIS_URL=f"redis://:{CANARY}@host", TURN_SECRET=CANARY)
    secret = made.turn_secret
    assert secret is not None
    shown = [
        repr(made), str(made), f"{secret} {secret!r} {secret:>20}", "%s %r" % (secret, secret),  # noqa: UP031 - an old way out, too
        repr(dataclasses.asdict(made)), repr(dataclasses.astuple(made)),
        json.dumps(dataclasses.asdict(made), default=str), repr(copy.deepcopy(made)),
        repr([secret]), repr(dir(secret)),
    ]  # fmt: skip
    for text in shown:
        assert CANARY not in text
    assert copy.deepcopy(secret).reveal() == secret.reveal() == CANARY
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        with pytest.raises(TypeError):
            pickle.dumps(secret, protocol)
    with pytest.raises(TypeError):
        json.dumps(dataclasses.asdict(made))
    with pytest.raises(TypeError):
        msgspec.json.encode(secret)
    with pytest.raises(TypeError):
        vars(secret)


def test_secrets_compare_by_value() -> None:
    assert Secret("a") == Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert len({Secret("a"), Secret("a")}) == 1
    assert not Secret("")


@given(st.sampled_from(sorted(settings.table())), st.text())
def test_any_text_is_taken_or_refused_in_one_line(name: str, text: str) -> None:
    kind: Kind = settings.table()[name]["kind"]
    message = ""
    try:
        load({name: text}, {})
    except SettingsError as error:
        message = str(error)
    assert len(message.splitlines()) <= 1
    assert not kind.secret or len(text) < 4 or text not in message
