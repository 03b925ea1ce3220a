"""HTTP as the outside sees it: malformed requests, headers, pages, limits."""

from __future__ import annotations

import asyncio
import gzip
from pathlib import Path

import pytest

from signaling.door import UNREAD_DEADLINE_S, Door
from signaling.guard import IDLE_DEADLINE, REQUEST_DEADLINE, Output, RequestGuard
from signaling.pages import MAX_FILE_BYTES, Pages, PagesError
from tests.integration.conftest import RedisServer, until
from tests.integration.signaling.conftest import StartNode
from tests.integration.signaling.house import Deployment, Node
from tests.integration.signaling.raw import Answer, Raw

WEB = Path(__file__).parents[3] / "web"
GET = b"GET / HTTP/1.1\r\nHost: konsil.test\r\n"


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> bytearray:
    """All bytes that have come to a guard."""
    seen = bytearray()
    receive_data = RequestGuard.receive_data

    def note(self: RequestGuard, data: bytes, now: float) -> list[Output]:
        seen.extend(data)
        return receive_data(self, data, now)

    monkeypatch.setattr(RequestGuard, "receive_data", note)
    return seen


async def get(node: Node, target: str, **headers: str) -> Answer:
    async with await Raw.connect(node) as raw:
        return await raw.request(target, **headers)


MALFORMED = {
    "TE and CL": GET + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
    "TE alone": GET + b"Transfer-Encoding: chunked\r\n\r\n",
    "packed body": GET + b"Content-Encoding: gzip\r\nContent-Length: 1\r\n\r\nx",
    "two lengths": GET + b"Content-Length: 0\r\nContent-Length: 5\r\n\r\n",
    "two hosts": GET + b"Host: other.test\r\n\r\n",
    "no host": b"GET / HTTP/1.1\r\n\r\n",
    "bare line feed": b"GET / HTTP/1.1\nHost: konsil.test\n\n",
    "9 kB header": GET + b"X: " + b"x" * 9000 + b"\r\n\r\n",
    "endless request line": b"GET /" + b"x" * 9000,
    "NUL in the path": b"GET /\x00 HTTP/1.1\r\nHost: konsil.test\r\n\r\n",
    "encoded NUL": b"GET /%00 HTTP/1.1\r\nHost: konsil.test\r\n\r\n",
    "dots": b"GET /static/../keys HTTP/1.1\r\nHost: konsil.test\r\n\r\n",
    "encoded dots": b"GET /static/%2e%2e/keys HTTP/1.1\r\nHost: konsil.test\r\n\r\n",
    "encoded slash": b"GET /static%2fjs HTTP/1.1\r\nHost: konsil.test\r\n\r\n",
    "backslash": b"GET /static%5cjs HTTP/1.1\r\nHost: konsil.test\r\n\r\n",
    "absolute form": b"GET http://konsil.test/ HTTP/1.1\r\nHost: konsil.test\r\n\r\n",
    "authority form": b"CONNECT konsil.test:80 HTTP/1.1\r\nHost: konsil.test\r\n\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "line folding": GET + b"X: a\r\n b\r\n\r\n",
    "space before colon": GET + b"X : a\r\n\r\n",
    "control character": GET + b"X: a\x01\r\n\r\n",
}


@pytest.mark.parametrize("data", MALFORMED.values(), ids=MALFORMED)
async def test_malformed_requests_end_the_connection(node: Node, data: bytes) -> None:
    async with await Raw.connect(node) as raw:
        raw.write(data)
        answer = await raw.answer()
        assert (answer.status, answer.json["code"]) == (400, "bad_request")
        assert answer.headers["connection"] == "close"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert await raw.closed() == b""
    assert node.metric("konsil_malformed_requests_total") == 1


@pytest.mark.parametrize(
    "begun",
    [b"", b"GET", GET, b"POST / HTTP/1.1\r\nHost: konsil.test\r\nContent-Length: 5\r\n\r\nabc"],
)
async def test_what_is_not_complete_in_ten_seconds_is_closed(
    node: Node, deployment: Deployment, read: bytearray, begun: bytes
) -> None:
    async with await Raw.connect(node) as raw:
        await until(lambda: node.server.seats.open >= 1)
        sent = bytearray(begun)
        raw.write(begun)
        await until(lambda: read == sent)
        for _ in range(3):  # a byte now and then does not help
            deployment.clock.advance(3)
            node.tick()
            if begun == GET:
                raw.write(b"X")
                sent.extend(b"X")
                await until(lambda: read == sent)
        deployment.clock.advance(REQUEST_DEADLINE - 9 + 2.5)
        node.tick()
        rest = await raw.closed(5)
        assert rest.startswith(b"HTTP/1.1 408 ") if begun else rest == b""


async def test_a_connection_is_kept_for_a_while(node: Node, deployment: Deployment) -> None:
    async with await Raw.connect(node) as raw:
        for _ in range(3):
            assert (await raw.request("/healthz")).status == 200
            deployment.clock.advance(30)
            node.tick()
        deployment.clock.advance(IDLE_DEADLINE + 2)
        node.tick()
        assert await raw.closed() == b""


@pytest.mark.parametrize("last", [False, True])
async def test_who_does_not_read_the_answers_is_cut(
    deployment: Deployment, start: StartNode, monkeypatch: pytest.MonkeyPatch, last: bool
) -> None:
    full = asyncio.Event()
    pause_writing = Door.pause_writing

    def note(self: Door) -> None:
        pause_writing(self)
        full.set()

    monkeypatch.setattr(Door, "pause_writing", note)
    (deployment.web_root / "js" / "large.js").write_bytes(bytes(1_500_000))
    node = await start()
    wanted = b"GET /static/js/large.js HTTP/1.1\r\nHost: konsil.test\r\n"
    async with await Raw.connect(node, receive_buffer=4096) as raw:
        # Far more than the system's own buffers take.
        raw.write((wanted + b"\r\n") * 5 + wanted + b"Connection: close\r\n" * last + b"\r\n")
        async with asyncio.timeout(10):
            await full.wait()
        deployment.clock.advance(UNREAD_DEADLINE_S + 3)
        node.tick()
        await until(lambda: node.server.seats.open == 0)


async def test_pipelined_requests_are_answered_in_order(node: Node) -> None:
    async with await Raw.connect(node) as raw:
        for target in (b"/healthz", b"/nowhere", b"/"):
            raw.write(b"GET " + target + b" HTTP/1.1\r\nHost: konsil.test\r\n\r\n")
        assert [(await raw.answer()).status for _ in range(3)] == [200, 404, 200]


async def test_connections_are_bounded(start: StartNode) -> None:
    node = await start("a", max_connections=3)
    kept = [await Raw.connect(node) for _ in range(3)]
    try:
        for raw in kept:
            assert (await raw.request("/healthz")).status == 200
        async with await Raw.connect(node) as one_more:
            assert await one_more.closed() == b""
        gone = kept.pop()
        gone.writer.transport.abort()
        await until(lambda: node.server.seats.open == 2)
        assert (await get(node, "/healthz")).status == 200
    finally:
        for raw in kept:
            raw.writer.transport.abort()


async def test_a_body_that_is_too_large(node: Node) -> None:
    async with await Raw.connect(node) as raw:
        answer = await raw.request(
            "/api/v1/consultations", method="POST", body=b"x" * 70_000, Authorization="Bearer x"
        )
        assert (answer.status, answer.json["code"]) == (413, "too_large")


# --- headers ---

EVERYWHERE = ["/", "/join", "/static/js/join.js", "/nowhere", "/healthz", "/api/v1/link", "/ws"]


@pytest.mark.parametrize("target", EVERYWHERE)
async def test_security_headers_are_everywhere(node: Node, target: str) -> None:
    answer = await get(node, target)
    policy = dict(
        part.split(" ", 1) for part in answer.headers["content-security-policy"].split("; ")
    )
    assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == "'self'"
    assert policy["connect-src"] == "'self' ws://localhost"
    assert "unsafe" not in answer.headers["content-security-policy"]
    permissions = answer.headers["permissions-policy"].split(", ")
    assert {"camera=(self)", "microphone=(self)", "geolocation=()"} <= set(permissions)
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cross-origin-opener-policy"] == "same-origin"
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "cache-control" in answer.headers
    assert "server" not in answer.headers
    assert "set-cookie" not in answer.headers
    assert "access-control-allow-origin" not in answer.headers
    assert "strict-transport-security" not in answer.headers


async def test_only_the_worker_that_needs_it_may_compile_webassembly(
    deployment: Deployment, start: StartNode
) -> None:
    for name in ("blurworker.js", "another.js"):
        (deployment.web_root / "js" / name).write_text("")
    node = await start("a")
    allowed = {}
    for target in ("/static/js/blurworker.js", "/static/js/another.js", "/join"):
        policy = (await get(node, target)).headers["content-security-policy"]
        allowed[target] = "script-src 'self' 'wasm-unsafe-eval';" in policy
        assert "'unsafe-" not in policy
    assert allowed == {
        "/static/js/blurworker.js": True,
        "/static/js/another.js": False,
        "/join": False,
    }


async def test_https_is_demanded_where_it_is_the_public_url(start: StartNode) -> None:
    node = await start("a", public_url="https://konsil.test")
    answer = await get(node, "/")
    assert answer.headers["strict-transport-security"].startswith("max-age=")
    assert "wss://konsil.test" in answer.headers["content-security-policy"]


# --- pages ---


async def test_pages_and_static_files(node: Node) -> None:
    page = await get(node, "/join")
    assert page.status == 200
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.headers["cache-control"] == "no-store"
    german = await get(node, "/join", Accept_Language="de-CH, fr;q=0.5")
    assert b"/static/i18n/de.json" in german.body
    assert b"/static/i18n/en.json" not in german.body
    assert german.headers["vary"] == "Accept-Language, Accept-Encoding"
    script = await get(node, "/static/js/join.js")
    assert script.headers["content-type"] == "text/javascript; charset=utf-8"
    assert script.headers["cache-control"] == "no-cache"

    again = await get(node, "/static/js/join.js", If_None_Match=script.headers["etag"])
    assert (again.status, again.body) == (304, b"")
    packed = await get(node, "/static/js/join.js", Accept_Encoding="br, gzip")
    assert packed.headers["content-encoding"] == "gzip"
    assert gzip.decompress(packed.body) == script.body
    plain = await get(node, "/static/js/join.js", Accept_Encoding="gzip;q=0")
    assert plain.body == script.body
    async with await Raw.connect(node) as raw:
        head = await raw.request("/join", method="HEAD")
        assert head.headers["content-length"] == str(len(page.body))


PAGES = ["/", "/join", "/host", "/provider", "/reception", "/help", "/jion"]


async def test_every_page_links_to_the_operators_pages(start: StartNode) -> None:
    imprint, privacy = "https://clinic.example/imprint?a=1&b=2", "https://clinic.example/privacy"
    plain = await start("a", web_root=WEB)
    linked = await start("b", web_root=WEB, imprint_url=imprint, privacy_url=privacy)
    for target in PAGES:
        wanted = {"Accept": "text/html", "Accept_Language": "de"}
        page = await get(linked, target, **wanted)
        assert page.body.count(b'href="https://clinic.example/imprint?a=1&amp;b=2"') == 1, target
        assert page.body.count(b'href="https://clinic.example/privacy"') == 1, target
        assert page.body.count(b"<footer") == 1, target
        without = await get(plain, target, **wanted)
        assert b"<footer" not in without.body
        assert b"clinic.example" not in without.body
        packed = await get(linked, target, Accept_Encoding="gzip", **wanted)
        if "content-encoding" in packed.headers:
            assert gzip.decompress(packed.body) == page.body
        if page.status == 200:
            assert page.headers["etag"] != without.headers["etag"]
            assert page.headers["vary"] == without.headers["vary"]
            known = {"If_None_Match": page.headers["etag"]}
            assert (await get(linked, target, **known, **wanted)).status == 304
    script = "/static/js/page.js"
    assert (await get(linked, script)).body == (await get(plain, script)).body


async def test_the_links_stay_where_a_page_is_changed(
    start: StartNode, deployment: Deployment
) -> None:
    words = deployment.web_root / "i18n" / "en.json"
    words.parent.mkdir()
    words.write_text('{"shell.imprint": "Imprint", "shell.privacy": "Privacy"}')
    (deployment.web_root / "join.html").write_text("<!doctype html><title>Old</title>")
    node = await start("a", reload_pages=True, privacy_url="https://clinic.example/privacy")
    (deployment.web_root / "join.html").write_text("<!doctype html><title>New</title>")
    body = (await get(node, "/join")).body
    assert b"New" in body
    assert b">Privacy</a></footer>" in body


@pytest.mark.parametrize(
    "target",
    ["/__init__.py", "/static/__init__.py", "/static/js/.hidden.js", "/join.html", "/static/",
     "/static/js", "/index", "/JOIN", "/join/", "/etc/passwd"],
)  # fmt: skip
async def test_nothing_else_is_served(node: Node, target: str) -> None:
    answer = await get(node, target)
    assert (answer.status, answer.json["code"]) == (404, "not_found")


async def test_a_person_with_a_mistyped_link_gets_a_page_of_words(
    start: StartNode, deployment: Deployment
) -> None:
    (deployment.web_root / "404.html").write_text("<!doctype html><title>Missing</title>")
    answer = await get(
        await start("a"), "/jion", Accept="text/html,application/xhtml+xml,*/*;q=0.8"
    )
    assert answer.status == 404
    assert answer.headers["content-type"].startswith("text/html")
    assert b"Missing" in answer.body


async def test_changed_files_are_seen_where_that_is_wished(
    start: StartNode, deployment: Deployment
) -> None:
    still, live = await start("a"), await start("b", reload_pages=True)
    (deployment.web_root / "join.html").write_text("<!doctype html><title>New</title>")
    assert b"New" in (await get(live, "/join")).body
    assert b"New" not in (await get(still, "/join")).body


def test_too_large_files_stop_the_start(tmp_path: Path) -> None:
    (tmp_path / "big.html").write_bytes(b"x" * (MAX_FILE_BYTES + 1))
    with pytest.raises(PagesError, match=r"big\.html"):
        Pages(tmp_path)


async def test_the_wrong_method(node: Node) -> None:
    async with await Raw.connect(node) as raw:
        answer = await raw.request("/api/v1/link", method="POST")
        assert (answer.status, answer.json["code"]) == (405, "bad_request")
        assert answer.headers["allow"] == "GET, HEAD"


# --- health ---


async def test_a_node_is_ready_when_redis_answers_and_all_else_is_there(
    start: StartNode, redis_server: RedisServer
) -> None:
    missing: list[str] = []
    node = await start("a", ready=lambda: missing)
    assert (await get(node, "/readyz")).status == 200
    missing.append("relay")
    answer = await get(node, "/readyz")
    assert (answer.status, answer.json["code"]) == (503, "not_ready")
    assert "relay" in answer.json["detail"]
    redis_server.stop()
    try:
        answer = await get(node, "/readyz")
        assert (answer.status, answer.json["code"]) == (503, "store_unavailable")
        assert (await get(node, "/healthz")).status == 200
    finally:
        redis_server.cont()
    missing.clear()

    async def ready() -> bool:
        return (await get(node, "/readyz")).status == 200

    await until(ready)
    node.server.hub.arrivals.draining = True
    assert (await get(node, "/readyz")).json["code"] == "going_away"


async def test_a_websocket_that_ends_makes_room_for_another_connection(start: StartNode) -> None:
    node = await start("a", max_connections=2)
    for _ in range(4):
        async with (
            await Raw.websocket(node),
            await Raw.websocket(node),
            await Raw.connect(node) as one_more,
        ):
            assert await one_more.closed() == b""
        await until(lambda: node.server.seats.open == 0)


async def test_a_connection_that_has_served_http_may_become_a_websocket(node: Node) -> None:
    async with await Raw.connect(node) as raw:
        assert (await raw.request("/healthz")).status == 200
        assert (await raw.upgrade()).status == 101
        raw.text({"type": "ping"})
        assert await raw.close_code() == (4401, "hello_expected")
    await until(lambda: not node.server.hub.sockets)
