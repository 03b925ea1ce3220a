"""What is typed and negotiated stays between two people: not on the server, not elsewhere."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from tests.e2e.chromium import FAKE_DEVICES
from tests.e2e.konsil_server import Consultation, KonsilServer
from tests.e2e.patience import until
from tests.e2e.people import Person
from tests.e2e.redis_server import RedisServer
from tests.e2e.stage import Launch, Stage, StartKonsil

CANARY = "Zwitscher Kanarienvogel"


def _files(*places: Path) -> Iterator[tuple[Path, bytes]]:
    for place in places:
        for path in place.rglob("*"):
            if path.is_file():
                yield path, path.read_bytes()


def _secrets_of(consultation: Consultation) -> dict[str, str]:
    """Parts of the links that no server may keep, by what they are."""
    found = {}
    for who, url in (("host", consultation.host_url), ("client", consultation.client_url)):
        token, _, secret = urlsplit(url).fragment.partition("~")
        found[f"token of the {who}"] = token
        found[f"signature of the {who}"] = token.rpartition(".")[2]
        found["link secret"] = secret
    return found


async def test_a_canary_is_found_nowhere_on_the_server(
    stage: Stage, start_konsil: StartKonsil, redis_server: RedisServer
) -> None:
    konsil = await start_konsil(redis_url=redis_server.url)
    consultation = await konsil.invite()
    host, client = await stage.call(consultation, CANARY)
    sought = {"name": CANARY, **_secrets_of(consultation)}
    for number, secret in enumerate(await _participant_secrets(host, client)):
        sought[f"participant secret {number}"] = secret

    during = await redis_server.memory()
    assert CANARY.encode() in during, "the search finds nothing at all"
    for what, text in sought.items():
        if what != "name":
            assert text.encode() not in during, f"{what} lies in Redis"
    metrics = await konsil.metrics()
    assert "konsil" in metrics
    await host.ends()
    await client.told("call-ended", "ended")

    async def forgotten() -> bool:
        return CANARY.encode() not in await redis_server.memory()

    await until(forgotten, "Redis has forgotten the name", seconds=3)
    metrics += await konsil.metrics()
    await konsil.stop()
    log = konsil.log()
    assert "{" in log, "nothing was logged, so nothing was searched"
    for what, text in sought.items():
        assert text not in log, f"{what} was logged"
        assert text not in metrics, f"{what} is in the metrics"
        for path, content in _files(konsil.state_dir, konsil.temp_dir):
            assert text.encode() not in content, f"{what} is in {path}"
    for word in ("candidate:", "a=fingerprint", "c=IN IP4"):
        assert word not in log
        assert word.encode() not in during, "a description has reached Redis unsealed"


async def _participant_secrets(*people: Person) -> list[str]:
    """What the pages keep in the tab's storage to be known again."""
    found = []
    for person in people:
        kept = await person.page.evaluate("Object.values(sessionStorage)")
        for entry in kept:
            try:
                value = json.loads(entry)
            except ValueError:
                continue
            if isinstance(value, dict) and "secret" in value:
                found.append(str(value["secret"]))
    assert len(found) == len(people)
    return found


async def test_pages_ask_no_other_origin_and_set_no_cookie(
    stage: Stage, launch: Launch, konsil: KonsilServer, tmp_path: Path
) -> None:
    """By the network log that the browser itself writes, below everything a page could hide."""
    net_log = tmp_path / "net-log.json"
    browser = await launch(
        *FAKE_DEVICES, f"--log-net-log={net_log}", "--net-log-capture-mode=Everything"
    )
    host, client = await stage.host(browser=browser), await stage.client(browser=browser)
    consultation = await konsil.invite()
    await host.enter(consultation.host_url)
    await client.knocks(consultation.client_url, "Charlie")
    await host.admits("Charlie")
    await client.sees_more_frames()
    await host.ends()
    await client.told("call-ended", "ended")

    for person in (host, client):
        assert await person.foreign_requests() == []
        assert await person.context.cookies() == []
        assert await person.page.evaluate("document.cookie + localStorage.length") == "0"
        await person.context.close()
    await browser.close()

    asked = _urls_in(net_log)
    own = urlsplit(konsil.url).netloc
    assert {urlsplit(url).netloc for url in asked} == {own}, asked
    assert not any(consultation.client_url.partition("#")[2] in url for url in asked)


def _urls_in(net_log: Path) -> set[str]:
    """Every URL that a page's frame has made the browser ask for."""
    log = json.loads(net_log.read_text())
    start = log["constants"]["logEventTypes"]["URL_REQUEST_START_JOB"]
    return {
        event["params"]["url"]
        for event in log["events"]
        if event["type"] == start
        and "url" in event.get("params", {})
        # The browser's own upkeep (component updates and the like) is nobody's page.
        and event["params"].get("initiator", "not an origin") != "not an origin"
    }
