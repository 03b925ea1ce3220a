"""The servers under test: how each is started, and how a page gets its descriptions through.

Both listen on one address of this host and forward over the kernel's loopback.
"""

from __future__ import annotations

import contextlib
import http.client
import itertools
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Protocol

import msgspec

from bench.sfu.page import Page, Section, own_address
from sfu.control import Answer, Offer, Result, Source, SourceRef, Track

ROOM = 1234


@dataclass(frozen=True, slots=True)
class Process:
    """What the kernel says a server costs."""

    pid: int

    def cpu_seconds(self) -> float:
        """CPU time of all threads so far, in seconds with nanosecond grain."""
        tasks = Path(f"/proc/{self.pid}/task").iterdir()
        return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9

    def rss(self) -> int:
        """Resident memory in bytes."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        raise RuntimeError("the server has ended")


class Server(Protocol):
    """A server with one room."""

    name: str
    mid: str  # of the section that is sent on
    process: Process

    def join(self, ssrcs: list[int], publishes: set[int], profile: str) -> list[list[Page]]:
        """Bring participants in, one for each SSRC; those in `publishes` (by index) send, and
        everybody receives all others. Gives, for each, its pages: the one it sends on first."""


def _start(command: list[str], core: int | None, **options: Any) -> subprocess.Popen[str]:
    """A child that never runs on another core."""
    before = os.sched_getaffinity(0)
    try:
        if core is not None:
            os.sched_setaffinity(0, {core})
        return subprocess.Popen(command, text=True, **options)
    finally:
        os.sched_setaffinity(0, before)


# Konsil


class Konsil:
    """One page, one connection: it offers, and what it receives is added by another offer."""

    name = "konsil"
    mid = "s"

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self.process = Process(process.pid)
        self._requests: IO[str] = process.stdin
        self._results: IO[str] = process.stdout

    def _ask(self, offer: Offer) -> str:
        self._requests.write(msgspec.json.encode(offer).decode() + "\n")
        self._requests.flush()
        result = msgspec.json.decode(self._results.readline(), type=Result)
        match result:
            case Answer(sdp):
                return sdp
            case _:
                raise RuntimeError(f"the offer was refused: {result}")

    def join(self, ssrcs: list[int], publishes: set[int], profile: str) -> list[list[Page]]:
        pages = []
        for index, ssrc in enumerate(ssrcs):
            page = Page(profile)
            sections, tracks = [], []
            if index in publishes:
                sections.append(Section("s", ssrc))
                tracks.append(Track("s", send=Source.CAMERA))
            for other in sorted(publishes - {index}):
                sections.append(Section(f"r{other}"))
                wanted = SourceRef(f"p{other}", Source.CAMERA)
                tracks.append(Track(f"r{other}", receive=wanted))
            sdp = page.describe(sections, setup="actpass")
            page.connect(self._ask(Offer(str(ROOM), f"p{index}", 1, sdp, tracks)))
            pages.append([page])
        return pages


@contextlib.contextmanager
def konsil(core: int | None = None) -> Iterator[Server]:
    command = [sys.executable, "-m", "bench.sfu.serve", own_address()]
    process = _start(command, core, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        if process.stdout.readline() != "ready\n":
            raise RuntimeError("the forwarder did not start")
        yield Konsil(process)
    finally:
        process.terminate()
        process.wait(10)


# Janus

_JANUS = """
general: {
    configs_folder = "%(folder)s"
    plugins_folder = "%(library)s/plugins"
    transports_folder = "%(library)s/transports"
    events_folder = "%(library)s/events"
    loggers_folder = "%(library)s/loggers"
    debug_level = 3
}
nat: {
    ice_lite = true
    ice_enforce_list = "%(address)s"
}
plugins: { disable = "%(plugins)s" }
transports: { disable = "%(transports)s" }
events: { broadcast = false }
"""
_HTTP = """
general: { json = "plain", base_path = "/janus", http = true, port = %(port)d, ip = "127.0.0.1" }
"""
_VIDEO_ROOM = """
room-%(room)d: { publishers = 20, bitrate = 0, fir_freq = 0, videocodec = "vp8", audiocodec = "opus"
  notify_joining = false, playoutdelay_ext = false, videoorient_ext = false }
"""
_LIBRARIES = sorted(Path("/usr/lib").glob("*/janus"))


class Janus:
    """A connection to publish on, and another one that receives all the others."""

    name = "janus"
    mid = "0"

    def __init__(self, process: subprocess.Popen[str], port: int) -> None:
        self.process = Process(process.pid)
        self._port = port
        self._numbers = itertools.count()
        self._feeds: dict[int, int] = {}

    def _post(self, path: str, **body: Any) -> dict[str, Any]:
        body["transaction"] = str(next(self._numbers))
        answer = self._request("POST", path, json.dumps(body))
        if answer["janus"] == "error":
            raise RuntimeError(str(answer["error"]))
        return answer

    def _request(self, method: str, path: str, body: str | None = None) -> dict[str, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        try:
            connection.request(method, f"/janus{path}", body, {"Content-Type": "application/json"})
            answer: dict[str, Any] = json.load(connection.getresponse())
        finally:
            connection.close()
        return answer

    def handle(self) -> tuple[str, str]:
        """Path of a new session, and of a handle of the video room on it."""
        session = f"/{self._post('', janus='create')['data']['id']}"
        plugin = "janus.plugin.videoroom"
        handle = self._post(session, janus="attach", plugin=plugin)["data"]["id"]
        return session, f"{session}/{handle}"

    def message(self, handle: tuple[str, str], body: Any, jsep: Any = None) -> dict[str, Any]:
        """Send a message to the plugin; gives the event that answers it."""
        extra = {"jsep": jsep} if jsep is not None else {}
        accepted = self._post(handle[1], janus="message", body=body, **extra)
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            event = self._request("GET", handle[0])
            if event.get("transaction") != accepted["transaction"]:
                continue  # news of others
            data = event.get("plugindata", {}).get("data", {})
            if "error" in data:
                raise RuntimeError(str(data["error"]))
            return event
        raise TimeoutError("janus does not answer")

    def join(self, ssrcs: list[int], publishes: set[int], profile: str) -> list[list[Page]]:
        joined: list[list[Page]] = [[] for _ in ssrcs]
        for index in sorted(publishes):
            handle = self.handle()
            event = self.message(handle, {"request": "join", "ptype": "publisher", "room": ROOM})
            self._feeds[index] = event["plugindata"]["data"]["id"]
            page = Page(profile)
            sdp = page.describe([Section("0", ssrcs[index])], setup="active")
            answer = self.message(handle, {"request": "publish"}, {"type": "offer", "sdp": sdp})
            page.connect(answer["jsep"]["sdp"])
            joined[index].append(page)
        for index in range(len(ssrcs)):
            others = sorted(publishes - {index})
            if not others:
                continue
            handle = self.handle()
            offer = self.message(
                handle,
                {
                    "request": "join",
                    "ptype": "subscriber",
                    "room": ROOM,
                    "streams": [{"feed": self._feeds[other]} for other in others],
                },
            )
            page = Page(profile)
            description = offer["jsep"]["sdp"]
            mids = [line[6:] for line in description.split("\r\n") if line.startswith("a=mid:")]
            sdp = page.describe([Section(mid) for mid in mids], setup="active")
            self.message(handle, {"request": "start"}, {"type": "answer", "sdp": sdp})
            page.connect(description)
            joined[index].append(page)
        return joined


@contextlib.contextmanager
def janus(core: int | None = None) -> Iterator[Server]:
    library = _LIBRARIES[0]
    with socket.socket() as sock, tempfile.TemporaryDirectory() as folder:
        sock.bind(("127.0.0.1", 0))
        port = int(sock.getsockname()[1])
        sock.close()

        def others(kind: str, but: str) -> str:
            names = (path.name for path in (library / kind).glob("*.so"))
            return ",".join(name for name in names if but not in name)

        values = {
            "folder": folder,
            "library": library,
            "address": own_address(),
            "plugins": others("plugins", "videoroom"),
            "transports": others("transports", "_http"),
            "port": port,
            "room": ROOM,
        }
        for name, text in (
            ("janus.jcfg", _JANUS),
            ("janus.transport.http.jcfg", _HTTP),
            ("janus.plugin.videoroom.jcfg", _VIDEO_ROOM),
        ):
            (Path(folder) / name).write_text(text % values)
        log = (Path(folder) / "log").open("w")
        process = _start(
            ["janus", "-F", folder, "-C", f"{folder}/janus.jcfg", "--disable-colors"],
            core,
            stdout=log,
            stderr=log,
        )
        server = Janus(process, port)
        try:
            deadline = time.monotonic() + 15
            while True:
                with contextlib.suppress(OSError):
                    server._post("", janus="ping")
                    break
                if process.poll() is not None or time.monotonic() > deadline:
                    text = (Path(folder) / "log").read_text()[-1500:]
                    raise RuntimeError(f"janus did not start: {text}")
                time.sleep(0.05)
            yield server
        finally:
            process.terminate()
            process.wait(20)
            log.close()
