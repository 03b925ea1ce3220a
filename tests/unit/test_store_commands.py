"""What the store's scripts ask of Redis is what its user may do."""

import re
from importlib import resources

from waiting_room.keyspace import ACL_COMMANDS


def test_every_command_of_a_script_is_allowed() -> None:
    scripts = [one for one in resources.files("waiting_room").iterdir() if one.name.endswith("lua")]
    assert len(scripts) >= 6
    for script in scripts:
        asked = set(re.findall(r"redis\.call\('([A-Za-z]+)'", script.read_text()))
        assert asked, script.name
        assert {command.lower() for command in asked} <= set(ACL_COMMANDS), script.name
