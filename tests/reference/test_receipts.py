# SPDX-License-Identifier: Apache-2.0
"""The Python implementation reads back the vectors that the C tests read (protocol.md [R1]..[R5],
[T1]..[T3], [N1]..[N5], [G3]): whatever one of the two refuses the other refuses too."""

import base64
import dataclasses
import json
import pathlib

import pytest

from reference.counterfoil_ref import bundle, leaf, note, tree

VECTORS = pathlib.Path(__file__).resolve().parent.parent / "vectors"


def load(name):
    return json.loads((VECTORS / name).read_text())


def test_leaves_decode_and_encode_to_the_same_bytes():
    for row in load("leaf.json")["leaves"]:
        data = bytes.fromhex(row["bytes"])
        decoded = leaf.decode(data)
        assert decoded.encode() == data
        assert decoded.fault() is None
        assert tree.leaf_hash(data).hex() == row["hash"]
        for name, value in row["fields"].items():
            member = getattr(decoded, name)
            assert value == (member.hex() if isinstance(member, bytes) else str(member))


def test_each_broken_rule_of_a_leaf_is_named():
    for row in load("leaf.json")["checks"]:
        decoded = leaf.decode(bytes.fromhex(row["bytes"]))
        assert (decoded.fault(row["cu"], row["part_cu"]) or "fine") == row["fault"]


def test_hashes_of_requests_and_responses():
    vectors = load("leaf.json")
    lane, salt = bytes.fromhex(vectors["lane"]), bytes.fromhex(vectors["salt"])
    for row in vectors["requests"]:
        assert leaf.request_hash(lane, salt, bytes.fromhex(row["encoding"])).hex() == row["hash"]
    for row in vectors["responses"]:
        got = leaf.response_hash(lane, salt, bytes.fromhex(row["encoding"]), row["part"])
        assert got.hex() == row["hash"]


def test_proofs_verify_and_nothing_else_does():
    vectors = load("tree.json")
    hashes = [tree.leaf_hash(i.to_bytes(4, "big")) for i in range(70000)]
    roots = {row["size"]: bytes.fromhex(row["root"]) for row in vectors["sizes"] + vectors["large"]}
    for row in vectors["inclusion"]:
        index, size = row["index"], row["size"]
        path = [bytes.fromhex(h) for h in row["path"]]
        root = roots[size]
        assert tree.check_inclusion(hashes[index], index, size, path, root)
        assert not tree.check_inclusion(hashes[index], size, size, path, root)
        assert not tree.check_inclusion(hashes[index], index, size, path + [bytes(32)], root)
        assert not path or not tree.check_inclusion(hashes[index], index, size, path[:-1], root)
        assert not tree.check_inclusion(bytes(32), index, size, path, root)
    small = tree.Tree(hashes)
    for row in vectors["consistency"]:
        old, size = row["old"], row["size"]
        path = [bytes.fromhex(h) for h in row["path"]]
        old_root, root = small.root(old), small.root(size)
        assert tree.check_consistency(old, old_root, size, root, path)
        assert not tree.check_consistency(old, bytes(32), size, root, path)
        assert not tree.check_consistency(old, old_root, size, root, path + [bytes(32)])


def test_notes_open_or_are_refused():
    vectors = load("note.json")
    origin = note.Origin(
        bytes.fromhex(vectors["network"]), note.public_of(bytes.fromhex(vectors["gateway_seed"])),
        note.public_of(bytes.fromhex(vectors["supplier_seed"])), bytes.fromhex(vectors["lane"]))
    for row in vectors["checkpoints"]:
        data = base64.b64decode(row["note"])
        try:
            head = note.open_checkpoint(data)
        except note.NoteError:
            head = None
        if head is not None and head.origin != origin:
            head = None
        assert (head is not None) == (row["opened"] is not None), row["why"]
    for row in vectors["keys"]:
        assert str(note.parse_key(row["text"])) == row["text"]
    for text in vectors["bad_keys"]:
        with pytest.raises(ValueError):
            note.parse_key(text)


def test_bundles_show_what_is_wrong_with_them():
    for row in load("bundle.json")["cases"]:
        parsed = bundle.parse(row["json"].encode())
        assert parsed.check() == row["faults"], row["why"]
        assert parsed.json() == row["json"].encode()


def test_a_bundle_knows_its_own_request_and_response():
    receipt = bundle.parse(load("bundle.json")["cases"][0]["json"].encode())
    body = b'{"jsonrpc":"2.0","id":1,"method":"eth_chainId"}'
    assert receipt.matches_request("eth", body)
    assert not receipt.matches_request("eth", body.replace(b":1,", b":2,"))
    assert not receipt.matches_request("bitcoin", body)
    assert receipt.matches_response(b'{"jsonrpc":"2.0","id":1,"result":"0x1"}')
    assert not receipt.matches_response(b'{"jsonrpc":"2.0","id":1,"result":"0x2"}')


def test_the_receipt_header_of_a_batch_is_a_list_with_gaps():
    lane, salt = "00" * 16, "11" * 16
    assert bundle.parse_receipt_header(f"{lane}/5/{salt}, -,{lane}/6/{salt}") == [
        (bytes(16), 5, b"\x11" * 16), None, (bytes(16), 6, b"\x11" * 16)]


def test_a_changed_leaf_has_another_hash():
    base = leaf.Leaf()
    seen = {tree.leaf_hash(base.encode())}
    for f in dataclasses.fields(base):
        old = getattr(base, f.name)
        new = bytes([old[0] ^ 1]) + old[1:] if isinstance(old, bytes) else old ^ 1
        seen.add(tree.leaf_hash(dataclasses.replace(base, **{f.name: new}).encode()))
    assert len(seen) == 1 + len(dataclasses.fields(base))
