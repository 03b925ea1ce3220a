"""The roles of this build: name -> what starts it. A role is added by one line here."""

from typing import Final

from konsil import sfu_role, signaling_role, turn_role
from konsil.house import Starter

# In the order of starting: what a relay lets through (a forwarder's address) and what signaling
# hands on (a relay's) must be there before it.
STARTERS: Final[dict[str, Starter]] = {
    "sfu": sfu_role.running,
    "turn": turn_role.running,
    "signaling": signaling_role.running,
}
