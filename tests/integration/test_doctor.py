"""`konsil doctor` on deployments that are well, and on ones with a fault each."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.integration.conftest import RedisServer
from tests.integration.served import Served, konsil
from tests.integration.test_turn_running import write_certificate
from tests.openid.issuer import issuing
from tests.ports import free_port

RELAY = {"ROLES": "signaling,turn", "DRAIN_SECONDS": 1}


def well(state_dir: Path, **more: object) -> dict[str, object]:
    """Settings of a deployment, the same for server and doctor."""
    return {
        "STATE_DIR": state_dir,
        "PORT": free_port(),
        "TURN_PORT": free_port(),
        "TURN_TLS_PORT": free_port(),
        **RELAY,
        **more,
    }


async def doctor(**settings: object) -> tuple[int, dict[str, tuple[str, str]]]:
    """Exit code, and verdict and text by subject."""
    code, out, err = await konsil("doctor", **settings)
    assert "Traceback" not in err
    told = {}
    for line in out.splitlines():
        verdict, subject, text = line[:6].strip(), line[7:24].strip(), line[24:].strip()
        told[subject] = (verdict, text)
    return code, told


@pytest.mark.parametrize("asked", ["as a host", "by settings"])
async def test_a_deployment_that_is_well(
    tmp_path: Path, asked: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    chain, key = write_certificate(tmp_path)
    settings = well(tmp_path / "state", TLS_CERT=chain, TLS_KEY=key)
    # write_certificate's are good for a day, which is too few for the doctor.
    monkeypatch.setenv("SSL_CERT_FILE", chain)
    if asked == "as a host":
        await konsil("provider", "add", "Dr. Ada", **settings)
    async with Served(**settings):
        code, told = await doctor(**settings)
    assert told.pop("certificate") == ("WRONG", told.pop("relay certificate")[1])
    assert code == 1
    if asked == "by settings":
        assert told.pop("relay access")[0] == "note"
    assert {verdict for verdict, _ in told.values()} == {"ok"}, told
    assert list(told) == [
        *("Redis", "public URL", "clock", "WebSocket"),
        *("relay over UDP", "relay over TCP", "relay over TLS"),
    ]


async def test_a_self_signed_trial_is_well(tmp_path: Path) -> None:
    settings = well(tmp_path, TLS_SELF_SIGNED="true", HOST="127.0.0.1")
    settings |= {"PUBLIC_URL": f"https://localhost:{settings['PORT']}"}
    async with Served(**settings):
        code, told = await doctor(**settings)
        assert code == 0, told
        assert told["certificate"] == ("ok", "good for 396 days more")
        assert told["relay over TLS"][0] == "ok"


async def test_a_local_trial_is_well_without_tls(tmp_path: Path) -> None:
    settings = well(tmp_path)
    async with Served(**settings):
        code, told = await doctor(**settings)
    assert code == 0, told
    assert told["certificate"][0] == told["relay over TLS"][0] == "note"


async def test_a_server_that_is_not_there(tmp_path: Path) -> None:
    code, told = await doctor(**well(tmp_path))
    assert code == 1
    assert told["public URL"][0] == "WRONG"
    assert "start the server" in told["public URL"][1]
    assert told["Redis"][0] == "?"
    assert "--state-dir" in told["Redis"][1]
    assert told["relay"][0] == "?"


async def test_a_redis_that_is_away(
    tmp_path: Path, start_redis: Callable[..., RedisServer]
) -> None:
    redis = start_redis()
    settings = well(tmp_path, REDIS_URL=redis.url)
    async with Served(**settings):
        code, told = await doctor(**settings)
        assert (code, told["Redis"][0]) == (0, "ok")
        redis.kill()
        code, told = await doctor(**settings)
    assert code == 1
    assert told["Redis"][0] == "WRONG"
    assert "KONSIL_REDIS_URL" in told["Redis"][1]
    assert told["public URL"][0] == "WRONG"
    assert "store_unavailable" in told["public URL"][1]


async def test_a_redis_that_would_throw_people_out_or_keep_them(
    tmp_path: Path, start_redis: Callable[..., RedisServer]
) -> None:
    redis = start_redis()
    settings = well(tmp_path, REDIS_URL=redis.url)
    async with Served(**settings):
        with redis.admin() as admin:
            admin.config_set("maxmemory-policy", "allkeys-lru")
            code, told = await doctor(**settings)
            assert (code, told["Redis memory"][0]) == (1, "WRONG")
            assert "maxmemory-policy noeviction" in told["Redis memory"][1]
            assert "Redis disk" not in told
            admin.config_set("maxmemory-policy", "noeviction")
            admin.config_set("appendonly", "yes")
        code, told = await doctor(**settings)
    assert (code, told["Redis disk"][0]) == (1, "WRONG")
    assert "appendonly" in told["Redis disk"][1]
    assert "Redis memory" not in told


async def test_a_redis_user_that_may_not_enough(
    tmp_path: Path, start_redis: Callable[..., RedisServer]
) -> None:
    redis = start_redis()
    with redis.admin() as admin:
        admin.execute_command(
            *("ACL", "SETUSER", "konsil", "on", ">right-4711", "~konsil:*", "resetchannels"),
            *("&konsil:*", "-@all", "+ping", "+select", "+info", "+get", "+set", "+del"),
        )
    settings = well(tmp_path, REDIS_URL=f"unix://konsil:right-4711@{redis.socket}")
    code, told = await doctor(**settings)
    assert (code, told["Redis"][0]) == (1, "WRONG")
    assert "lacks a permission" in told["Redis"][1]


async def test_a_certificate_that_nobody_trusts(tmp_path: Path) -> None:
    chain, key = write_certificate(tmp_path)
    settings = well(tmp_path / "state", TLS_CERT=chain, TLS_KEY=key)
    await konsil("provider", "add", "Dr. Ada", **settings)
    async with Served(**settings):
        code, told = await doctor(**settings)
    assert code == 1
    assert told["certificate"][0] == "WRONG"
    assert "is not believed: self-signed certificate" in told["certificate"][1]
    assert told["relay over TLS"][0] == "WRONG"


async def test_a_relay_with_another_secret_or_none_at_all(tmp_path: Path) -> None:
    port = free_port()
    relay = {"STATE_DIR": tmp_path / "relay", "ROLES": "turn", "TURN_PORT": port}
    external = f"turn:127.0.0.1:{port}?transport=udp,turn:127.0.0.1:{port}?transport=tcp"
    settings = well(tmp_path / "state", TURN_EXTERNAL=external, TURN_SECRET="one-4711")
    settings["ROLES"] = "signaling"
    await konsil("provider", "add", "Dr. Ada", **settings)
    async with Served(**settings):
        async with Served(**relay, TURN_SECRET="another-4712"):
            code, told = await doctor(**settings)
            assert code == 1
            for transport in ("UDP", "TCP"):
                verdict, text = told[f"relay over {transport}"]
                assert verdict == "WRONG"
                assert "KONSIL_TURN_SECRET must be the same" in text
                assert "471" not in text
        code, told = await doctor(**settings)
        assert code == 1
        assert f"let UDP port {port}" in told["relay over UDP"][1]
        assert f"let TCP port {port}" in told["relay over TCP"][1]
        async with Served(**relay, TURN_SECRET="one-4711"):
            code, told = await doctor(**settings)
            assert code == 0, told


async def test_a_relay_alone(tmp_path: Path) -> None:
    settings = well(tmp_path, ROLES="turn", DRAIN_SECONDS=0)
    async with Served(**settings):
        code, told = await doctor(**settings)
        assert code == 0, told
        assert told["relay over UDP"][0] == told["relay over TCP"][0] == "ok"
        assert "Redis" not in told


async def test_somebody_else_at_the_public_url(tmp_path: Path) -> None:
    async def other(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        date = (dt.datetime.now(dt.UTC) - dt.timedelta(minutes=3)).strftime(
            "%a, %d %b %Y %H:%M:%S GMT"
        )
        writer.write(
            f"HTTP/1.1 502 Bad Gateway\r\nDate: {date}\r\nConnection: close\r\n"
            "Content-Length: 5\r\n\r\nhello".encode()
        )
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(other, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    settings = well(tmp_path) | {"PORT": port}
    await konsil("provider", "add", "Dr. Ada", **settings)
    async with server:
        code, told = await doctor(**settings)
    assert code == 1
    assert "answers 502, not as Konsil does" in told["public URL"][1]
    assert told["clock"][0] == "WRONG"
    assert "NTP" in told["clock"][1]
    assert told["WebSocket"][0] == "WRONG"
    assert "upgrades of /ws" in told["WebSocket"][1]
    assert told["relay access"][0] == "WRONG"


async def test_settings_that_contradict_are_named_like_at_the_start(tmp_path: Path) -> None:
    code, out, err = await konsil("doctor", STATE_DIR=tmp_path, TLS_CERT="/x")
    assert (code, out) == (2, "")
    assert "KONSIL_TLS_KEY" in err


GROUPS = {"ROLES": "signaling,sfu", "SFU_HOST": "127.0.0.1"}


async def test_a_forwarder_is_tried_like_by_a_call(tmp_path: Path) -> None:
    settings = well(tmp_path, **GROUPS, SFU_PORT=free_port())
    async with Served(**settings):
        code, told = await doctor(**settings)
    assert code == 0, told
    assert told["forwarder"] == ("ok", "1 announced, 0 rooms, 0 participants")
    for subject in ("forwarder UDP", "forwarder TCP"):
        assert told[subject][0] == "ok"
        assert told[subject][1].startswith(f"127.0.0.1 port {settings['SFU_PORT']} answers in ")


async def test_a_forwarder_that_is_not_where_it_says(tmp_path: Path) -> None:
    settings = well(tmp_path, **GROUPS, SFU_PORT=free_port(), SFU_PUBLIC_IPV4="127.0.0.77")
    async with Served(**settings):
        code, told = await doctor(**settings)
    assert code == 1
    for subject, kind in (("forwarder UDP", "UDP"), ("forwarder TCP", "TCP")):
        verdict, text = told[subject]
        assert verdict == "WRONG"
        assert f"let {kind} port {settings['SFU_PORT']} through" in text
        assert "KONSIL_SFU_PUBLIC_IPV4" in text


async def test_no_forwarder_at_all(tmp_path: Path, start_redis: Callable[..., RedisServer]) -> None:
    settings = well(tmp_path, REDIS_URL=start_redis().url, ROLES="signaling")
    async with Served(**settings):
        code, told = await doctor(**settings)
        assert (code, told["forwarder"][0]) == (0, "note")
        code, told = await doctor(**{**settings, "ROLES": "signaling,sfu"})
        assert (code, told["forwarder"][0]) == (1, "WRONG")
        code, told = await doctor(**{**settings, "MEDIA_TOPOLOGY": "p2p"})
        assert "forwarder" not in told


async def test_a_public_server_without_imprint_and_privacy_notice_is_noted(tmp_path: Path) -> None:
    settings = well(tmp_path, ROLES="signaling", TRUSTED_PROXIES="127.0.0.1")
    public = settings | {"PUBLIC_URL": "http://konsil.invalid"}
    privacy = {"PRIVACY_URL": "https://clinic.example/privacy"}
    both = {**privacy, "IMPRINT_URL": "https://clinic.example/imprint"}
    _, told = await doctor(**public)
    verdict, text = told["legal notices"]
    assert verdict == "note"
    assert text.startswith("KONSIL_IMPRINT_URL and KONSIL_PRIVACY_URL not set")
    _, told = await doctor(**public, **privacy)
    assert told["legal notices"][1].startswith("KONSIL_IMPRINT_URL not set")
    _, told = await doctor(**public, **both)
    assert "legal notices" not in told
    _, told = await doctor(**settings)
    assert "legal notices" not in told


async def test_the_openid_provider_is_asked_for_its_keys(tmp_path: Path) -> None:
    settings = well(tmp_path, ROLES="signaling", OIDC_CLIENT_ID="konsil")
    async with issuing("http://localhost/provider") as issuer:
        _, told = await doctor(**settings, OIDC_ISSUER=issuer.url)
        verdict, text = told["OpenID"]
        assert verdict == "ok"
        assert f"http://localhost:{settings['PORT']}/provider" in text
        _, told = await doctor(**settings, OIDC_ISSUER=f"{issuer.url}/")
        assert told["OpenID"][0] == "WRONG"
        assert "another name" in told["OpenID"][1]
    code, told = await doctor(**settings, OIDC_ISSUER=issuer.url)
    assert code == 1
    assert told["OpenID"][0] == "WRONG"
