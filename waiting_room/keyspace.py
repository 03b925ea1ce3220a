"""The one place where names in Redis are made, and what a Redis user must be allowed to do.

The braces are Redis Cluster's hash tag: all keys of a room live in one slot, so that a script may
touch them together.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal

PREFIX_DEFAULT: Final = "konsil"

# For `ACL SETUSER … ~{prefix}:* resetchannels &{prefix}:* -@all +{command}…`; Redis 6.2 and later.
ACL_COMMANDS: Final[tuple[str, ...]] = (
    # by connections
    "ping",
    "select",
    "info",  # run_id: has Redis been restarted, or only our connection?
    # by the store
    "eval",
    "evalsha",
    "get",
    "set",
    "del",
    "pexpire",
    "pttl",
    "xadd",
    "xrange",
    # between the nodes
    "publish",
    "subscribe",
    "pubsub",  # NUMSUB: which nodes are listening
    # by privacy-audit only
    "scan",
    "type",
)

# For a machine that has nothing but a forwarder: `~{prefix}:sfu:* resetchannels &{prefix}:sfu:*`.
SFU_ACL_COMMANDS: Final[tuple[str, ...]] = ("ping", "select", "set", "del", "publish", "subscribe")

KeyKind = Literal[
    "session", "mail", "probe", "code", "typed", "signed_out", "once", "sfu", "unknown"
]


@dataclass(frozen=True, slots=True)
class Keyspace:
    """Names under one prefix; several deployments can share a Redis under different ones."""

    prefix: str = PREFIX_DEFAULT

    def __post_init__(self) -> None:
        if re.fullmatch(r"[A-Za-z0-9_.-]{1,32}", self.prefix) is None:
            raise ValueError("a key prefix has 1 to 32 letters, digits and _ . -")

    def session_key(self, room: str) -> str:
        """A string: the session as `codec` writes it."""
        return f"{self.prefix}:{{{room}}}:session"

    def mail_key(self, room: str, participant: str) -> str:
        """A stream: signals for one who is on another node, or away."""
        return f"{self.prefix}:{{{room}}}:mail:{participant}"

    def code_key(self, room: str) -> str:
        """A string: the code that leads to this room at present."""
        return f"{self.prefix}:{{{room}}}:code"

    def typed_key(self, code: str) -> str:
        """A string: what the one who types this code is given; empty once it has been used."""
        return f"{self.prefix}:{{code-{code}}}:typed"

    def signed_out_key(self, sign_in: str) -> str:
        """A string: this sign-in was ended; there as long as a cookie of it might be good."""
        return f"{self.prefix}:{{sign-in-{sign_in}}}:signed_out"

    def once_key(self, statement: str) -> str:
        """A string: this statement of ours has been used; there as long as it might be good."""
        return f"{self.prefix}:{{once-{statement}}}:once"

    def probe_key(self) -> str:
        """A string that the start-up check writes and deletes."""
        return f"{self.prefix}:{{probe}}:probe"

    def node_channel(self, node: str) -> str:
        return f"{self.node_channels}{node}"

    @property
    def node_channels(self) -> str:
        """What every node's channel begins with."""
        return f"{self.prefix}:node:"

    @property
    def everybody_channel(self) -> str:
        """What every node listens to besides its own."""
        return f"{self.prefix}:nodes"

    def sfu_key(self, node: str) -> str:
        """A string: what a forwarder has announced of itself last."""
        return f"{self.prefix}:sfu:{node}"

    def sfu_questions(self, node: str) -> str:
        """The channel on which a forwarder listens."""
        return f"{self.prefix}:sfu:ask:{node}"

    def sfu_answers(self, node: str) -> str:
        """The channel on which a signaling node hears what forwarders say."""
        return f"{self.prefix}:sfu:tell:{node}"

    @property
    def sfu_announcements(self) -> str:
        """The channel on which all signaling nodes hear which forwarders there are."""
        return f"{self.prefix}:sfu:nodes"

    @property
    def all_keys(self) -> str:
        """A glob over all of ours, for privacy-audit only."""
        return f"{self.prefix}:*"

    def all_keys_of(self, room: str) -> str:
        """A glob over all keys of a room; its id has no character that means anything in one."""
        return f"{self.prefix}:{{{room}}}:*"

    def kind(self, key: str) -> KeyKind:
        """What a key under the prefix is; anything not made here is `unknown`."""
        rest = key.removeprefix(f"{self.prefix}:")
        if re.fullmatch(r"\{[A-Za-z0-9_-]{22}\}:session", rest):
            return "session"
        if re.fullmatch(r"\{[A-Za-z0-9_-]{22}\}:mail:[A-Za-z0-9_-]{22}", rest):
            return "mail"
        if re.fullmatch(r"\{[A-Za-z0-9_-]{22}\}:code", rest):
            return "code"
        if re.fullmatch(r"\{code-[0-9]{9}\}:typed", rest):
            return "typed"
        if re.fullmatch(r"sfu:[A-Za-z0-9]+", rest):
            return "sfu"
        if re.fullmatch(r"\{sign-in-[A-Za-z0-9_-]{22}\}:signed_out", rest):
            return "signed_out"
        if re.fullmatch(r"\{once-[A-Za-z0-9_-]{22}\}:once", rest):
            return "once"
        return "probe" if key == self.probe_key() else "unknown"
