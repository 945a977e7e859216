# SPDX-License-Identifier: Apache-2.0
"""A registry's desk over HTTP ([Y5]), asked in Python: claims and proofs go in, signed answers come out."""

import json
import time

from reference.counterfoil_ref import note
from reference.counterfoil_ref.session import u
from support import net

HEAD = b"counterfoil/desk/v1\n"
TRIES = 600


class Desk:
    """One connection at a time; every answer is checked against the registry's key."""

    def __init__(self, url, key):
        self.url, self.key = url, bytes.fromhex(key)

    def claim(self, c, signature, records):
        """(name of the fault or None, what became of the claim or None)."""
        data = c.encode()
        return self._verdict("POST", "/claims", signature + u(len(data), 4) + data + records, c.id)

    def prove(self, claim_id, proof, signature):
        """The same of a proof."""
        return self._verdict("POST", f"/claims/{claim_id.hex()}/proof", signature + proof, claim_id)

    def look(self, claim_id):
        """What became of a claim."""
        fault, state = self._verdict("GET", f"/claims/{claim_id.hex()}", None, claim_id)
        assert fault is None
        return state

    def list(self, supplier, since=0):
        """All claims of a supplier that fit into one answer."""
        said = self._said("GET", f"/claims?supplier={supplier.hex()}&since={since}", None)
        assert said["kind"] == "list" and said["more"] == "0"
        return said["claims"]

    def claims_file(self, start, end):
        """The bytes of the claims file [Y4]."""
        return self.ask("GET", f"/claims.note?from={start}&to={end}", None)[1]

    def ask(self, method, path, body):
        """(status, bytes); asks again while others take the desk's time."""
        for _ in range(TRIES):
            one = net.Http(self.url)
            try:
                status, _, data = one.request(method, path, body)
            finally:
                one.close()
            if status != 503:
                return status, data
            time.sleep(0.1)
        raise AssertionError(f"{path}: always busy")

    def _said(self, method, path, body):
        status, data = self.ask(method, path, body)
        assert status in (200, 409), (path, status, data)
        parsed = note.parse(data, max_bytes=64 << 20)
        assert parsed.signed_by(note.registry_key(self.key)) and parsed.text.startswith(HEAD)
        said = json.loads(parsed.text[len(HEAD):])
        assert (said["kind"] == "refusal") == (status == 409)
        return said

    def _verdict(self, method, path, body, claim_id):
        said = self._said(method, path, body)
        if said["kind"] == "refusal":
            assert said["id"] == claim_id.hex()
            return said["error"].split(":")[0], None
        assert said["kind"] == "state" and said["claim"]["id"] == claim_id.hex()
        return None, said["claim"]
