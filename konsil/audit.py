"""`konsil privacy-audit`: proves on the running system that everything held expires by itself.

The promise: each key has a TTL of at most 3600 s and is of a kind that Konsil makes. What is
printed are kinds, counts and times; never a key's name or what it holds.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from redis.exceptions import RedisError

from konsil.redis_child import RedisChild, redis_url
from konsil.settings import Settings
from waiting_room.connection import connect
from waiting_room.errors import StoreUnavailable
from waiting_room.inventory import HeldKey, inventory
from waiting_room.keyspace import Keyspace
from waiting_room.store import SessionStore

LONGEST_MS: Final = 3_600_000
TYPES: Final = {
    "session": "string",
    "mail": "stream",
    "probe": "string",
    "code": "string",
    "typed": "string",
    "signed_out": "string",
    "once": "string",
    "sfu": "string",
}

HOLDS: Final = 0
VIOLATED: Final = 1
UNKNOWN: Final = 2


@dataclass(frozen=True, slots=True)
class Finding:
    """One kind of key: how many there are and the range of their TTLs in ms."""

    kind: str
    count: int
    shortest_ms: int
    longest_ms: int


def findings(held: Sequence[HeldKey]) -> list[Finding]:
    """What is held, by kind, in a fixed order."""
    kinds = sorted({key.kind for key in held})
    made = []
    for kind in kinds:
        ttls = [key.ttl_ms for key in held if key.kind == kind]
        made.append(Finding(kind, len(ttls), min(ttls), max(ttls)))
    return made


def violations(held: Sequence[HeldKey]) -> list[str]:
    """What contradicts the promise, as counts in words; empty when it holds."""
    unknown = sum(key.kind == "unknown" for key in held)
    for_ever = sum(key.ttl_ms == -1 for key in held)
    too_long = sum(key.ttl_ms > LONGEST_MS for key in held)
    other_type = sum(key.type != TYPES.get(key.kind, key.type) for key in held)
    return [
        f"{count} {words}"
        for count, words in (
            (for_ever, "without any TTL"),
            (too_long, f"with a TTL above {LONGEST_MS // 1000} s"),
            (unknown, "of a name that Konsil does not make"),
            (other_type, "of another Redis type than Konsil makes"),
        )
        if count
    ]


def on_disk(persistence: Mapping[str, object]) -> list[str]:
    """What Redis' own words on persistence (INFO) tell of sessions that reach a disk."""
    wrong = []
    if persistence.get("aof_enabled"):
        wrong.append("Redis setting: appendonly is on, so sessions are written to a disk")
    if persistence.get("rdb_last_bgsave_time_sec", -1) != -1 or persistence.get(
        "rdb_bgsave_in_progress"
    ):
        wrong.append('Redis has written a snapshot to a disk: set save "" there')
    return wrong


def report(held: Sequence[HeldKey], source: str, disk: Sequence[str]) -> tuple[str, int]:
    """The text to print and the exit code. `disk`: what `on_disk` found."""
    lines = [f"Redis: {source}", f"keys:  {len(held)}"]
    lines += [
        f"  {found.kind:10} {found.count:6}   "
        f"ttl {_seconds(found.shortest_ms)} to {_seconds(found.longest_ms)}"
        for found in findings(held)
    ]
    wrong = [*violations(held), *disk]
    if not wrong:
        lines.append("P1 holds: every key expires by itself within 3600 s")
        return "\n".join(lines), HOLDS
    lines += [f"VIOLATION: {one}" for one in wrong]
    return "\n".join(lines), VIOLATED


def _seconds(milliseconds: int) -> str:
    return "never" if milliseconds < 0 else f"{milliseconds / 1000:.0f} s"


async def run(settings: Settings, state_dir: Path) -> int:
    """Prints the report; gives 0 when the promise holds, 1 when not, 2 when that cannot be told."""
    prefix = settings.redis_prefix
    if settings.redis_url is not None:
        url, source = settings.redis_url.reveal(), "KONSIL_REDIS_URL"
    else:
        found = embedded(state_dir)
        if found is None:
            print(
                f"no server runs on {state_dir}: start konsil serve, or name what it uses with "
                "--state-dir or KONSIL_REDIS_URL"
            )
            return UNKNOWN
        url, prefix = found
        source = "private, of the server that uses this state directory"
    client = connect(url)
    try:
        held = await inventory(SessionStore(client, Keyspace(prefix), "audit").shared)
        persistence = await client.info("persistence")
    except (StoreUnavailable, RedisError, OSError) as error:
        reason = error.detail if isinstance(error, StoreUnavailable) else "Redis does not answer"
        print(f"cannot tell: {reason}")
        return UNKNOWN
    finally:
        await client.aclose()
    text, code = report(held, source, on_disk(persistence))
    print(text)
    return code


def embedded(state_dir: Path) -> tuple[str, str] | None:
    """URL and key prefix of the private Redis of a running server."""
    try:
        found = json.loads(RedisChild.credentials_file(state_dir).read_text("utf-8"))
        url = redis_url(Path(found["socket"]), found["user"], found["password"])
        return url, str(found["prefix"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
