"""What a running server tells Prometheus is what docs/metrics.md lists."""

from __future__ import annotations

import re
import signal
from collections.abc import Callable
from pathlib import Path

import aiohttp
from cryptography import x509
from prometheus_client.parser import text_string_to_metric_families

from tests.integration.conftest import RedisServer, until
from tests.integration.served import Served
from tests.integration.test_turn_running import write_certificate

DOCUMENT = Path(__file__).parents[2] / "docs" / "metrics.md"


async def by_part(server: Served, name: str) -> dict[str, float]:
    async with aiohttp.ClientSession() as session, session.get(server.printed["metrics"]) as answer:
        text = await answer.text()
    return {
        sample.labels["part"]: sample.value
        for family in text_string_to_metric_families(text)
        if family.name == name
        for sample in family.samples
    }


async def ready(server: Served, expected: dict[str, float]) -> bool:
    """Whether konsil_part_ready has these, and no others."""
    return expected == await by_part(server, "konsil_part_ready")


async def test_a_server_with_all_roles_tells_all_that_is_listed(tmp_path: Path) -> None:
    settings = {"METRICS_PORT": 0, "TURN_PORT": 0, "SFU_PORT": 0, "ROLES": "signaling,turn,sfu"}
    async with Served(STATE_DIR=tmp_path, **settings) as server:
        # A forwarder is ready when signaling can find it, which is a moment after the start.
        await until(lambda: ready(server, {"relay": 1.0, "forwarder": 1.0, "redis": 1.0}))
        server.printed["open"] = server.printed["metrics"]
        status, text = await server.get("")
    assert status == 200
    families = {
        family.name + ("_total" if family.type == "counter" else ""): family
        for family in text_string_to_metric_families(text)
    }
    assert set(families) == set(re.findall(r"^\| `(\w+)` \|", DOCUMENT.read_text(), re.M))
    (memory,) = families["process_resident_memory_bytes"].samples
    assert memory.value > 10_000_000


async def test_a_redis_that_does_not_answer_is_seen_without_any_visitor(
    tmp_path: Path, start_redis: Callable[..., RedisServer]
) -> None:
    redis = start_redis()
    async with Served(STATE_DIR=tmp_path, METRICS_PORT=0, REDIS_URL=redis.url) as server:
        assert await ready(server, {"redis": 1.0})
        redis.stop()
        await until(lambda: ready(server, {"redis": 0.0}))
        assert (await server.get("/readyz"))[0] == 503
        redis.cont()
        await until(lambda: ready(server, {"redis": 1.0}))
        assert (await server.get("/readyz"))[0] == 200


async def test_a_forwarder_that_nobody_can_find_is_not_ready(
    tmp_path: Path, start_redis: Callable[..., RedisServer]
) -> None:
    redis = start_redis()
    settings = {"ROLES": "sfu", "SFU_PORT": 0, "SFU_HOST": "127.0.0.1", "METRICS_PORT": 0}
    async with Served(STATE_DIR=tmp_path, REDIS_URL=redis.url, **settings) as server:
        server.printed["open"] = server.printed["metrics"].removesuffix("/metrics")

        async def says(answer: tuple[int, str]) -> bool:
            return await server.get("/readyz") == answer

        await until(lambda: says((200, "ok\n")))
        redis.kill()
        await until(lambda: says((503, "missing: forwarder\n")))
        assert await ready(server, {"forwarder": 0.0})
        redis.restart_empty()
        await until(lambda: says((200, "ok\n")))
        assert await ready(server, {"forwarder": 1.0})


async def test_until_when_certificates_are_good_is_told_as_they_are_renewed(tmp_path: Path) -> None:
    chain, key = (Path(name) for name in write_certificate(tmp_path))

    def ends(path: Path) -> float:
        return x509.load_pem_x509_certificate(path.read_bytes()).not_valid_after_utc.timestamp()

    name = "konsil_certificate_not_after_timestamp_seconds"
    settings = {"ROLES": "signaling,turn", "TURN_PORT": 0, "TURN_TLS_PORT": 0, "METRICS_PORT": 0}
    async with Served(STATE_DIR=tmp_path / "s", TLS_CERT=chain, TLS_KEY=key, **settings) as server:
        first = ends(chain)
        assert await by_part(server, name) == {"https": first, "relay": first}
        # What is on the disk is not what is served.
        good = chain.read_bytes()
        chain.write_text("nothing")
        server.process.send_signal(signal.SIGHUP)
        await until(lambda: server.has_logged("relay_certificate_not_renewed"))
        (refused,) = server.logged("relay_certificate_not_renewed")
        assert refused["reason"] == "not_pem"
        assert await by_part(server, name) == {"https": first, "relay": first}
        chain.write_bytes(good)
        write_certificate(tmp_path, 2)
        second = ends(chain)
        assert second > first
        server.process.send_signal(signal.SIGHUP)
        await until(lambda: server.has_logged("certificate_renewed"))
        await until(lambda: server.has_logged("relay_certificate_renewed"))
        assert await by_part(server, name) == {"https": second, "relay": second}


async def test_without_tls_no_certificate_is_told(tmp_path: Path) -> None:
    async with Served(STATE_DIR=tmp_path, METRICS_PORT=0) as server:
        assert await by_part(server, "konsil_certificate_not_after_timestamp_seconds") == {}
