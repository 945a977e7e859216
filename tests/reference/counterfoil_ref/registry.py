# SPDX-License-Identifier: Apache-2.0
"""Registry files ([Y1], [Y2]) and what they say of a session ([S2], [S12], [P3])."""

import json
from dataclasses import dataclass

from . import note, session

HEAD = b"counterfoil/registry/v1\n"


class RegistryError(ValueError):
    """Not a registry file, or not in canonical form."""


def canonical(value):
    """The one text of a registry: sorted keys, no spaces, ASCII."""
    line = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return HEAD + line.encode() + b"\n"


def only_text(value):
    if isinstance(value, dict):
        return all(only_text(v) for v in value.values())
    if isinstance(value, list):
        return all(only_text(v) for v in value)
    return isinstance(value, str)


def parse(data, public):
    """The JSON of a file that this key has signed."""
    parsed = note.parse(data, max_bytes=64 << 20)
    if not parsed.signed_by(note.registry_key(public)):
        raise RegistryError("not signed by the pinned key")
    if not parsed.text.startswith(HEAD):
        raise RegistryError("not a registry file of version 1")
    value = json.loads(parsed.text[len(HEAD):])
    if canonical(value) != parsed.text or not only_text(value):
        raise RegistryError("not in canonical form")
    tail = bytes.fromhex(value["network"]["tail"])
    if session.network_id(2, tail).hex() != value["network"]["id"]:
        raise RegistryError("the network id is not that of its tail")
    return value


def sign(value, seed):
    text = canonical(value)
    key = note.registry_key(note.public_of(seed))
    return text + b"\n" + note.signature_line(key, seed, text)


def as_of(entries, height, **subject):
    """The entry about a subject that counts at a height, or None."""
    found = [e for e in entries if int(e["height"]) <= height
             and all(e[name] == value for name, value in subject.items())]
    return max(found, key=lambda e: int(e["height"]), default=None)


@dataclass(frozen=True)
class Registry:
    value: dict

    def params(self, height):
        entry = as_of(self.value["parameters"], height)
        return {name: int(v) for name, v in {**entry, **self.value["fixed"]}.items()}

    def table(self, service, snapshot):
        p = self.params(snapshot)
        suppliers = []
        for key in {e["key"] for e in self.value["suppliers"]}:
            e = as_of(self.value["suppliers"], snapshot, key=key)
            if e and service in e["services"]:
                suppliers.append(session.Supplier(bytes.fromhex(key), bytes.fromhex(e["owner"]),
                                                  int(e["stake"]), int(e["price"])))
        return session.table(suppliers, p["stake_unit"], p["stake_cap"])

    def kept(self, height):
        """False in a pause of the keeper's."""
        return not any(int(e["height"]) - int(e["missed"]) <= height < int(e["height"])
                       for e in self.value.get("pauses", []))

    def leaves(self, withdrawn):
        """The height at which what was withdrawn at a height has left ([P6]): when the last claim
        is over of those with an earlier snapshot, by the parameters of each."""
        latest = 0
        for height in range(withdrawn):
            p = self.params(height)
            left = (session.claim_horizon(p) + 1) * p["session_blocks"]
            while left > 0:
                height += 1
                left -= self.kept(height)
            latest = max(latest, height + 1)
        return latest

    def purse(self, entries, standing, height):
        """Where the tokens of one supplier or application are ([P6]), unit by unit: a list of the
        heights at which those on their way out were withdrawn."""
        taken = {"stake": "burned", "escrow": "spent"}[standing]
        gone = {}
        out, state = [], {"in": 0, "standing": 0, "taken": 0, "taken_thaw": 0, "left": 0}

        def leave(now):
            for h in set(out) - set(gone):
                gone[h] = self.leaves(h)
            state["left"] += sum(1 for h in out if gone[h] <= now)
            out[:] = [h for h in out if gone[h] > now]

        for e in sorted(entries, key=lambda e: int(e["height"])):
            at = int(e["height"])
            if at > height:
                break
            change = (int(e[standing]) + int(e.get(taken, "0"))
                      - state["standing"] - state["taken"])
            state["in"] += max(change, 0)
            out += [at] * max(-change, 0)
            thaw = int(e.get(taken + "_thaw", "0"))
            if thaw > state["taken_thaw"]:
                leave(at)
                del out[:thaw - state["taken_thaw"]]
            state.update(standing=int(e[standing]), taken=int(e.get(taken, "0")), taken_thaw=thaw)
        leave(height)
        return {**state, "thawing": len(out)}

    def books(self, height):
        """All money as of a height ([P6])."""
        sums = dict.fromkeys(["deposits", "spent", "burned", "stakes", "escrow", "thawing_stakes",
                              "thawing_escrow", "left"], 0)
        for list_, standing, taken, name in [("suppliers", "stake", "burned", "stakes"),
                                             ("applications", "escrow", "spent", "escrow")]:
            for key in {e["key"] for e in self.value[list_]}:
                state = self.purse([e for e in self.value[list_] if e["key"] == key], standing,
                                   height)
                sums["deposits"] += state["in"]
                sums[taken] += state["taken"] + state["taken_thaw"]
                sums[name] += state["standing"]
                sums["thawing_" + name] += state["thawing"]
                sums["left"] += state["left"]
        return sums

    def seed(self, height):
        for e in self.value["seeds"]["values"]:
            if int(e["height"]) == height:
                return bytes.fromhex(e["seed"])
        return None

    def session(self, application, service, start):
        """(session id, keys of the members in the order of drawing), or None."""
        fixed = self.params(0)
        if start % fixed["session_blocks"] or start < fixed["snapshot_lag"]:
            return None
        snapshot = start - fixed["snapshot_lag"]
        seed = self.seed(start - fixed["seed_lag"])
        if seed is None or not as_of(self.value["services"], snapshot, name=service):
            return None
        identity = session.session_id(bytes.fromhex(self.value["network"]["id"]), application,
                                      service, start, seed)
        rows = self.table(service, snapshot)
        members = session.draw(identity, rows, fixed["session_suppliers"])
        return (identity, [rows[k].key for k, _ in members]) if members else None

    def escrow_needed(self, application, start):
        """[P3], height by height."""
        p = self.params(start - self.params(0)["snapshot_lag"])
        horizon = session.claim_horizon(p)
        grants = [g for g in self.value["grants"] if g["application"] == application.hex()]
        needed = 0
        for gateway, service in {(g["gateway"], g["service"]) for g in grants}:
            budgets = [0]
            for back in range(horizon):
                snapshot = start - back * p["session_blocks"] - p["snapshot_lag"]
                g = as_of(grants, snapshot, gateway=gateway, service=service)
                if snapshot >= 0 and g:
                    budgets.append(int(g["budget"]))
            needed += max(budgets)
        return needed * horizon

    def allowance(self, application, gateway, service, start):
        """None when the grant is not active."""
        p = self.params(0)
        snapshot = start - p["snapshot_lag"]
        grant = as_of(self.value["grants"], snapshot, application=application.hex(),
                      gateway=gateway.hex(), service=service)
        funds = as_of(self.value["applications"], snapshot, key=application.hex())
        escrow = int(funds["escrow"]) if funds else 0
        if not grant or grant["budget"] == "0" or escrow < self.escrow_needed(application, start):
            return None
        return session.allowance(int(grant["budget"]), p["session_suppliers"])
