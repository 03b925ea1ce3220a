"""The roles of this build: name -> what starts it. A role is added by one line here."""

from typing import Final

from konsil import signaling_role, turn_role
from konsil.house import Starter

# In the order of starting: what signaling hands on (a relay's address) must be there before it.
STARTERS: Final[dict[str, Starter]] = {
    "turn": turn_role.running,
    "signaling": signaling_role.running,
}
