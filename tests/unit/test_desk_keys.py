"""Every kind of key is known to the audit, and every language has a text to agree to."""

import re
from pathlib import Path
from typing import get_args

from konsil.audit import TYPES
from signaling.consent_texts import read_texts
from waiting_room.keyspace import ACL_COMMANDS, KeyKind, Keyspace

ROOM, ID = "R" * 22, "s" * 22
WEB = Path(__file__).parents[2] / "web"


def test_each_key_is_of_its_kind_and_a_near_miss_of_none() -> None:
    names = Keyspace("konsil")
    made = {
        "code": names.code_key(ROOM),
        "typed": names.typed_key("012345678"),
        "signed_out": names.signed_out_key(ID),
        "once": names.once_key(ID),
    }
    for kind, key in made.items():
        assert names.kind(key) == kind
        assert names.kind(key + "x") == "unknown"
        assert Keyspace("other").kind(key) == "unknown"
    assert names.kind("konsil:{code-12345678}:typed") == "unknown"
    assert set(TYPES) | {"unknown"} == set(get_args(KeyKind))


def test_all_keys_of_a_room_are_found_by_its_glob() -> None:
    names = Keyspace("konsil")
    beginning = names.all_keys_of(ROOM).removesuffix("*")
    for key in (names.session_key(ROOM), names.code_key(ROOM), names.mail_key(ROOM, ID)):
        assert key.startswith(beginning)


def test_every_language_has_a_text_to_agree_to() -> None:
    texts = read_texts(WEB)
    languages = {path.stem for path in (WEB / "i18n").glob("*.json")}
    assert {language for language, _ in texts} == languages
    assert len({digest for _, digest in texts}) == len(languages)
    assert all("\n" in text and len(text) > 100 for text in texts.values())
    assert read_texts(WEB / "js") == {}


def test_scripts_use_no_command_that_our_user_of_redis_may_not() -> None:
    scripts = (WEB.parent / "waiting_room").glob("*.lua")
    used = {
        name.lower() for one in scripts for name in re.findall(r"call\('(\w+)'", one.read_text())
    }
    assert used
    assert used <= set(ACL_COMMANDS)
