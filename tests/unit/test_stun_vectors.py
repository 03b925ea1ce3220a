"""The codec against the published test vectors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from turn.address import Address
from turn.attributes import Attribute, MessageClass
from turn.credentials import PasswordAlgorithm, long_term_key
from turn.message import (
    Digest,
    Malformed,
    Message,
    encode_message,
    pack_xor_address,
    parse_message,
    unpack_xor_address,
)

VECTORS = json.loads((Path(__file__).parent.parent / "vectors" / "stun_rfc5769.json").read_text())[
    "vectors"
]


def _bytes(vector: dict[str, Any]) -> bytes:
    return bytes.fromhex(vector["hex"])


def _key(vector: dict[str, Any]) -> bytes:
    if "key_utf8" in vector:
        return vector["key_utf8"].encode()
    username, realm, password, algorithm = vector["long_term"]
    return long_term_key(
        username.encode(), realm.encode(), password.encode(), PasswordAlgorithm(algorithm)
    )


@pytest.fixture(params=VECTORS, ids=[vector["name"] for vector in VECTORS])
def vector(request: pytest.FixtureRequest) -> dict[str, Any]:
    return request.param


def test_parses_and_verifies(vector: dict[str, Any]) -> None:
    message = parse_message(_bytes(vector))
    assert isinstance(message, Message)
    assert message.method == vector["method"]
    assert message.message_class is MessageClass[vector["class"]]
    assert message.fingerprint is vector["fingerprint"]
    digest = Digest(vector["digest"])
    assert message.digest is digest
    assert message.signed_with(_key(vector), digest)
    assert not message.signed_with(_key(vector) + b"x", digest)
    if "username" in vector:
        assert message.get(Attribute.USERNAME) == vector["username"].encode()
    if "mapped" in vector:
        value = message.get(Attribute.XOR_MAPPED_ADDRESS)
        assert value is not None
        address = Address(*vector["mapped"])
        assert unpack_xor_address(value, message.transaction_id) == address
        assert pack_xor_address(address, message.transaction_id) == value


def test_any_flipped_bit_under_the_integrity_is_noticed(vector: dict[str, Any]) -> None:
    data = _bytes(vector)
    key, digest = _key(vector), Digest(vector["digest"])
    whole = parse_message(data)
    assert isinstance(whole, Message)
    end = max(whole.integrity, whole.integrity_sha256) + 4 + digest.size
    for position in range(end):
        damaged = bytearray(data)
        damaged[position] ^= 0x10
        message = parse_message(bytes(damaged))
        assert isinstance(message, Malformed) or not message.signed_with(key, digest)


def test_encodes_the_long_term_vector_again() -> None:
    vector = next(v for v in VECTORS if v["name"].startswith("2.4"))
    data = _bytes(vector)
    message = parse_message(data)
    assert isinstance(message, Message)
    again = encode_message(
        message.method,
        message.message_class,
        message.transaction_id,
        message.attributes,
        key=_key(vector),
    )
    assert again == data
