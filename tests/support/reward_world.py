# SPDX-License-Identifier: Apache-2.0
"""A network in which somebody tries to be paid for nothing: a real registry, gateway and node, and a supplier in
Python that serves the gateway as it should, holds keys of gateways of its own, and claims what it likes."""

import functools
import hashlib
from types import SimpleNamespace

from reference.counterfoil_ref import leaf
from support import net
from support.attacks_on_registry import PROOFS, invented
from support.backend import Backend
from support.bad_payers import PAYERS, Payer
from support.claiming import Claiming, note_of
from support.desk import Desk
from support.network import LAGS, TOKEN, Network, run
from support.peer import Identity
from support.peer_lane import Book
from support.peer_supplier import Supplier, listening
from support.process import wait_for
from support.rewards import PROMPT

BLOCKS, GRACE, WINDOW, PRICE = 10, 10, 120, 10
MEMBERS = 3
LAG, HEIGHT_END = LAGS["snapshot_lag"], 2**62
WEIGHT = 1000
PARAMS = {"grace_blocks": GRACE, "claim_window": WINDOW, "challenge_lag": 1, "proof_window": 100}
BUDGET = 3 * 10**7  # of a gateway of the crook's own: 1,000,000 CU for each member
PAIR_BUDGET = 3 * 60000 + 2  # 6,000 CU
PAIR_LEAVES = 17  # that would be worth 8,500
AT_ONCE = 8  # claims that are open before they are proved
PAIR_PAID = 4  # sessions that the pair claims


def named(text):
    """A key that every run has."""
    return Identity(hashlib.sha256(text.encode()).digest())


class World:
    """The programs, the keys, and what was tried."""

    def __init__(self, folder):
        self.folder = folder
        self.backend = Backend(folder, "backend", {"default": {"result": "0x1"}}).start()
        self.crook = Supplier(hashlib.sha256(b"crook").digest())
        self.keys = {"crook": self.crook.me, **{name: named(name) for name in ("free", "runner", "other")}}
        self.pals = {name: named("pal " + name)
                     for name in [*PROOFS, *PAYERS, "refused", "pair", "leaving", "revoked", "runner"]}
        self.network = Network(
            folder / "network", [self.backend.url], stakes=(WEIGHT,), prices=(PRICE,), block_ms=100,
            session_blocks=BLOCKS, session_suppliers=MEMBERS, applications=2, by_url=True, params=PARAMS,
            entries=list(self._entries()), node=PROMPT,
            gateway={"head_interval": "0 s", "cosign_interval": "200 ms"})
        self.keys["node"] = SimpleNamespace(public=bytes.fromhex(self.network.node_keys[0]))
        self.applications = [bytes.fromhex(key) for key in self.network.applications]
        self.desk = Desk(self.network.registry_url, self.network.registry_key)
        self.used = set()  # (gateway, start) that were claimed
        self.said = {}     # name of a proof: (Claiming, name of the fault or None)
        self.network.start_keeper()
        self.book = Book(self.network)
        self.crook.start(self.book)
        self.network.start()

    def _entries(self):
        for name, price, port in (("crook", PRICE, self.crook.port), ("free", 0, net.free_port()),
                                  ("runner", PRICE, net.free_port()), ("other", PRICE, net.free_port())):
            yield f"supplier {self.keys[name].hex} 127.0.0.1:{port} {WEIGHT * TOKEN} {price}"
        for name, pal in self.pals.items():
            budget = PAIR_BUDGET if name == "pair" else BUDGET
            yield f"grant {{folder}}/app{int(name == 'leaving')}.key {pal.hex} {budget}"

    def end(self):
        """Stops all."""
        self.network.end()
        self.crook.stop()
        self.backend.end()

    # -- sessions

    def find(self, who, when="over", drawn=True, application=0, wanted=lambda session: True):
        """(registry, session): the newest that may be claimed, may not yet, or may not any more, and into which
        somebody was drawn or not."""
        def look():
            known, now = self.book.read(), self.book.height()
            end = {"running": now + BLOCKS, "over": now - GRACE, "late": now - WINDOW}[when]
            newest = end // BLOCKS * BLOCKS - BLOCKS
            for start in range(newest, max(newest - WINDOW, 0), -BLOCKS):
                session = self.book.session(self.network.applications[application], start, known)
                if session and (self.keys[who].public in session.members) == drawn and wanted(session):
                    return known, session
                if when == "running":
                    break
            return None
        return wait_for(f"a session for {who}", look, interval=0.05)

    def claiming(self, pal, who="crook", application=0, before=HEIGHT_END, after=-1, **words):
        """A claim that is to be made, by a gateway of the crook's own, of a session that it has not claimed yet
        and whose snapshot was before a height, or behind it."""
        pal = self.pals[pal]
        known, session = self.find(who, application=application, wanted=lambda s: (
            (pal.hex, s.start) not in self.used and after + 1 < s.start - LAG < before), **words)
        x = Claiming(known, self.applications[application], pal.public, self.keys[who], session)
        x.pal = pal
        return x

    def claim(self, x):
        """What the registry says to the claim as it stands; its session counts as used."""
        self.used.add((x.gateway.hex(), x.session.start))
        return self.desk.claim(x.claim, x.signature(), x.bytes())

    def seed(self, x):
        """The challenge, once it is drawn."""
        return bytes.fromhex(wait_for("a challenge", lambda: self.desk.look(x.claim.id)["seed"]))

    def prove(self, x, data, signature):
        """(name of the fault or None, what became of the claim); `late` where it is forfeited already."""
        fault, state = self.desk.prove(x.claim.id, data, signature)
        return ("late", None) if state and state["state"] == "forfeited" else (fault, state)

    def paid(self, make):
        """(claim, what became of it) of the claim that make() makes, proved as it should be; with the next one
        where this machine was too slow for its time."""
        def once():
            x = make()
            fault, state = self.claim(x)
            if fault is None:
                data = x.proof(self.seed(x)).encode()
                fault, state = self.prove(x, data, x.proof_signature(data))
            assert fault in (None, "late"), fault
            return None if fault else (x, state)
        return wait_for("a payment", once)

    def ended(self, x):
        """What became of a claim, once it is settled."""
        return wait_for("an end", lambda: next(
            (s for s in [self.desk.look(x.claim.id)] if s["settled"] != "0"), None), interval=0.1)

    # -- what is tried

    def take_answers(self):
        """Of the real node, by each of PAYERS, and what they do much later: when their sessions are over, and
        before there is no more time for a claim."""
        self.payers = {name: Payer(self, self.pals[name]) for name in PAYERS}
        ways = [PAYERS[name](x) for name, x in self.payers.items()]
        for way in ways:
            next(way)
        self.book.at(max(x.last for x in self.payers.values()) + BLOCKS + GRACE)
        for way in reversed(ways):  # the last one has the most to lose
            assert next(way, None) is None

    def invent(self, pal, who="crook", leaves=2, **words):
        """A right claim over relays that never were."""
        x = self.claiming(pal, who, **words)
        return x.over([x.record(invented(x, *[{}] * leaves))])

    def try_proofs(self):
        """All of PROOFS, each by a gateway of its own; again where this machine was too slow for it."""
        def round_of():
            going = {}
            for name in [name for name in PROOFS if name not in self.said][:AT_ONCE]:
                x = self.claiming(name)
                way = PROOFS[name](x)
                next(way)
                fault, _ = self.claim(x)
                assert fault in (None, "late"), (name, fault)
                if fault is None:
                    going[name] = x, way
            for name, (x, way) in going.items():
                proof = way.send(self.seed(x))
                fault, _ = self.prove(x, *proof) if proof else (None, None)
                if fault != "late":
                    self.said[name] = x, fault
            return len(self.said) == len(PROOFS)
        wait_for("all proofs to be tried", round_of)

    @functools.cached_property
    def pair(self):
        """What a gateway and a supplier of one hand got in the sessions that it was drawn for: (claim, state) of
        each; and what they were told where it was not."""
        paid, refused = [], set()

        def more():
            while len(paid) < PAIR_PAID:
                paid.append(self.paid(lambda: self.invent("pair", leaves=PAIR_LEAVES)))
            x = self.claiming("pair", drawn=False)
            x.over([x.record(invented(x))])
            refused.add(self.claim(x)[0])
            return "not_drawn" in refused
        wait_for("sessions of both kinds", more)
        return paid, refused

    def served(self, whole=False):
        """A claim of what the crook has served for the real gateway in a session, under a head that this has
        cosigned; or of the whole allowance over that."""
        gateway = bytes.fromhex(self.network.gateway_key)

        def lane_of(session):
            if (gateway.hex(), session.start) in self.used:
                return None
            for lane in list(self.crook.lanes.values()):
                done = [at for at, data in enumerate(list(lane.leaves)) if leaf.decode(data).session == session.id]
                if done and max(lane.cosigned, default=0) > done[-1]:
                    return lane
            return None

        known, session = self.find("crook", wanted=lane_of)
        x = Claiming(known, self.applications[0], gateway, self.crook.me, session)
        lane = lane_of(session)
        size, checkpoint = note_of(lane)
        x.add(lane, checkpoint, size)
        return x.over([x.record(lane, **{"cu": x.whole} if whole else {})])

    def overstate(self):
        """(claim, name of the fault): the whole allowance is claimed for a few relays of the real gateway.  A
        challenge that falls on those by chance is no test."""
        def tried():
            x = self.served(whole=True)
            fault, _ = self.claim(x)
            if fault or x.leaf_at(self.seed(x)):
                return None
            data = x.proof(self.seed(x)).encode()
            fault, _ = self.prove(x, data, x.proof_signature(data))
            return (x, fault) if fault != "late" else None
        self.overstated = wait_for("a challenge", tried)

    def run_away(self):
        """A supplier claims what it cannot prove, and takes its stake back at once."""
        def tried():
            x = self.invent("runner", "runner")
            return x if self.claim(x)[0] is None else None
        self.runaway = wait_for("a claim", tried)
        run("unstake", "--registry", self.network.registry, self.keys["runner"].hex)

    # -- what came of it

    def registry_files(self):
        """(claims file, registry file) up to now."""
        paths = self.folder / "claims.note", self.folder / "registry.note"
        key = self.network.folder / "registry.db.key"
        run("registry", "export", "--key", key, "--claims", paths[0], self.network.registry)
        run("registry", "export", "--key", key, "--from", 0, "--output", paths[1], self.network.registry)
        return paths
