# SPDX-License-Identifier: Apache-2.0
"""From the raw bytes that ethers sent and got, a test recomputes the hashes of its own receipts.

The hashes, trees and notes are those of tests/reference, which shares nothing with the programs.
"""

import base64
import json
import re

import pytest

from reference.counterfoil_ref import bundle, leaf
from support import net
from support.export import audit, audit_json
from support.recorded import run_client

PART_BYTES = 65536  # [R8]


@pytest.fixture(scope="module")
def network(network_factory, anvil):
    """One network in front of one chain, which would call the second copy of a transaction known
    already: that answer, and not what the client is told instead, is what its receipt is of ([G10])."""
    return network_factory(upstreams=[anvil.url], gateway={"copies": 1})


@pytest.fixture(scope="module")
def exchanges(network):
    """Everything that the ethers script sent and got: (request, response, receipts)."""
    steps = run_client("ethers", network.url)
    return [(base64.b64decode(e["request"]), base64.b64decode(e["response"]),
             bundle.parse_receipt_header(e["headers"]["counterfoil-receipt"]))
            for step in steps for e in step["exchanges"]]


def receipt_url(network, receipt):
    """Where a receipt is fetched."""
    lane, seq, salt = receipt
    return f"{network.url}.counterfoil/receipts/{lane.hex()}/{seq}?salt={salt.hex()}"


def fetch(network, receipt):
    """The bundle of one receipt."""
    status, headers, data = net.get(receipt_url(network, receipt))
    assert status == 200 and headers["content-type"] == "application/json", (status, data)
    return bundle.parse(data)


def with_id_one(body):
    """The body with its id token replaced by 1 [E3]: ethers' ids are numbers, and last but one."""
    return re.sub(rb'"id":\d+', b'"id":1', body, count=1)


def with_pin(body, receipt):
    """The call as it was relayed: `latest` gives way to the block of a pinned receipt [F14] [G11]."""
    if not receipt.flags & leaf.PINNED:
        return body
    by_hash = b'{"blockHash":"0x%s","requireCanonical":true}' % receipt.block_hash.hex().encode()
    by_number = b'"0x%x"' % receipt.block
    pin = by_number if b"ByNumber" in body or not any(receipt.block_hash) else by_hash
    if b'"latest"' in body:
        assert body.count(b'"latest"') == 1
        return body.replace(b'"latest"', pin)
    return body.replace(b'],"id"', b"," + pin + b'],"id"')  # it was left out


def elements(body):
    """The bytes of each element of a JSON array of objects, from { to }."""
    text, at, found = body.decode(), 0, []
    decoder = json.JSONDecoder()
    while (at := text.find("{", at)) >= 0:
        _, end = decoder.raw_decode(text, at)
        found.append(text[at:end].encode())
        at = end
    return found


def test_hashes_of_ethers_own_bytes_are_those_of_its_receipts(network, exchanges):
    """[R3] [E1] [E2] [E3] [E4] [E6] [G2] [G3]"""
    checked = 0
    for request, response, receipts in exchanges:
        pairs = [(request, response)]
        if request.startswith(b"["):
            pairs = list(zip(elements(request), elements(response)))
        assert len(pairs) == len(receipts)
        for (sent, got), receipt in zip(pairs, receipts):
            if len(got) > PART_BYTES:
                continue
            one = fetch(network, receipt)
            assert one.check() == []
            sent = with_pin(sent, one.leaf)
            assert one.matches_request("eth", with_id_one(sent)), sent
            assert one.matches_response(with_id_one(got)), got
            assert not one.matches_request("eth", sent.replace(b"eth_", b"eth-"))
            assert one.leaf.seq == one.index == receipt[1] and one.salt == receipt[2]
            checked += 1
    assert checked > 50


def test_an_answer_over_64_kib_is_a_run_of_parts_that_join_to_it(network, exchanges):
    """[R8]"""
    request, response, (receipt,) = next(e for e in exchanges if len(e[1]) > 3 * PART_BYTES)
    body, number = b"", 0
    one = fetch(network, receipt)
    assert one.matches_request("eth", with_id_one(with_pin(request, one.leaf)))
    while True:
        assert one.check() == [] and one.leaf.kind == leaf.PART and one.leaf.part == number
        part = one.response.split(b"application/json", 1)[1][8:]
        assert len(part) == PART_BYTES or one.next is None
        body += part
        number += 1
        if one.next is None:
            break
        one = fetch(network, (*one.next, receipt[2]))
    assert one.leaf.flags & leaf.LAST
    assert body == with_id_one(response)


def test_the_auditors_program_says_the_same_of_a_bundle(network, exchanges, tmp_path):
    _, _, (receipt,) = exchanges[0]
    path = tmp_path / "bundle.json"
    data = net.get(receipt_url(network, receipt))[2]
    path.write_bytes(data)
    assert audit("check", path)[0] == 0
    status, said = audit_json("check", path)
    assert status == 0 and isinstance(said, dict)
    members = json.loads(data)
    answer = bytearray(base64.b64decode(members["response"]))
    answer[-3] ^= 1
    path.write_text(json.dumps({**members, "response": base64.b64encode(answer).decode()}))
    assert audit("check", path)[0] == 2, "bytes unlike the hash are one party's word"
    path.write_text("{")
    assert audit("check", path)[0] in (3, 4)


def test_a_forged_bundle_convicts_nobody(network, exchanges, tmp_path):
    _, _, (receipt,) = exchanges[0]
    members = json.loads(net.get(receipt_url(network, receipt))[2])
    changed = bytearray.fromhex(members["leaf"])
    changed[59] ^= 0xff  # its compute units
    path = tmp_path / "forged.json"
    path.write_text(json.dumps({**members, "leaf": changed.hex()}))
    assert audit("check", path)[0] == 2


def test_nothing_is_found_without_the_salt(network, exchanges):
    lane, seq, _ = exchanges[0][2][0]
    for query in ("", "?salt=", f"?salt={'00' * 16}", "?salt=zz", f"?salt={'00' * 15}"):
        url = f"{network.url}.counterfoil/receipts/{lane.hex()}/{seq}{query}"
        assert net.get(url)[0] == 404, query
