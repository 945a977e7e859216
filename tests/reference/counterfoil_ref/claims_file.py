# SPDX-License-Identifier: Apache-2.0
"""Claims files ([Y4]): what a registry says of claims, as one canonical signed note."""

import base64
import json

from . import claim, note

HEAD = b"counterfoil/claims/v1\n"
ENTRY = {"burned", "burned_thaw", "claim", "due", "paid", "proof", "proof_signature", "reason",
         "recorded", "records", "settled", "signature", "state"}
FILE = {"claims", "from", "height", "network", "to"}


class ClaimsError(ValueError):
    """Not a claims file, or not in canonical form."""


def canonical(value):
    """The one text of it: sorted keys, no spaces, ASCII."""
    line = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return HEAD + line.encode() + b"\n"


def sign(value, seed):
    text = canonical(value)
    key = note.registry_key(note.public_of(seed))
    return text + b"\n" + note.signature_line(key, seed, text)


def entry(c, signature, records, recorded, due, state, settled=0, proof=b"",
          proof_signature=b"", paid=0, burned=0, burned_thaw=0, reason=""):
    """One claim and what became of it."""
    return {"burned": str(burned), "burned_thaw": str(burned_thaw), "claim": c.encode().hex(),
            "due": str(due), "paid": str(paid), "proof": base64.b64encode(proof).decode(),
            "proof_signature": proof_signature.hex(), "reason": reason, "recorded": str(recorded),
            "records": base64.b64encode(records).decode(), "settled": str(settled),
            "signature": signature.hex(), "state": state}


def claim_of(e):
    return claim.decode(bytes.fromhex(e["claim"]))


def order(e):
    return int(e["recorded"]), claim_of(e).id


def file_of(network, height, entries, start=0, end=None):
    """Those that were recorded at start <= height < end."""
    end = height + 1 if end is None else end
    return {"claims": sorted(entries, key=order), "from": str(start), "height": str(height),
            "network": network.hex(), "to": str(end)}


def parse(data, public):
    """The JSON of a file that this key has signed."""
    parsed = note.parse(data, max_bytes=64 << 20)
    if not parsed.signed_by(note.registry_key(public)):
        raise ClaimsError("not signed by the pinned key")
    if not parsed.text.startswith(HEAD):
        raise ClaimsError("not a claims file of version 1")
    value = json.loads(parsed.text[len(HEAD):])
    if canonical(value) != parsed.text:
        raise ClaimsError("not in canonical form")
    if set(value) != FILE or any(set(e) != ENTRY for e in value["claims"]):
        raise ClaimsError("other members than a claims file has")
    if any(claim_of(e) is None for e in value["claims"]):
        raise ClaimsError("what should be a claim is none")
    places = [order(e) for e in value["claims"]]
    if places != sorted(set(places)) or any(
            not int(value["from"]) <= place[0] < int(value["to"]) for place in places):
        raise ClaimsError("not in order, or out of range")
    return value
