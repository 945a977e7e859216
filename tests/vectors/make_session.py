#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes session.json and registry.json from the Python implementation.

Run it after a change of docs/protocol.md sections 2 to 4 or 12; the C tests then say whether they
agree.
"""

import json
import pathlib
import random
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "reference"))
from counterfoil_ref import note, registry, session  # noqa: E402

RANDOM = random.Random(20261123)


def write(name, value):
    (HERE / name).write_text(json.dumps(value, indent=1) + "\n")


def some(n):
    return RANDOM.randbytes(n)


def ids():
    rows = []
    for service in ["eth", "0", "a" * 32]:
        for start in [0, 60, 2**64 - 1]:
            network, application, seed = some(32), some(32), some(32)
            rows.append({"network": network.hex(), "application": application.hex(),
                         "service": service, "start": str(start), "seed": seed.hex(),
                         "id": session.session_id(network, application, service, start, seed).hex()})
    return rows


def grants():
    rows = []
    for budget, nonce in [(0, 1), (2**96 - 1, 2**64 - 1), (123456789, 7)]:
        seed, network, gateway = some(32), some(32), some(32)
        application = note.public_of(seed)
        message = session.grant_bytes(network, application, gateway, "eth", budget, nonce)
        rows.append({"network": network.hex(), "application": application.hex(),
                     "gateway": gateway.hex(), "service": "eth", "budget": str(budget),
                     "nonce": str(nonce), "bytes": message.hex(),
                     "signature": note.sign(seed, message).hex()})
    return rows


def a_table(n, owners, top, unit, cap):
    names = [some(20) for _ in range(owners)]
    suppliers = [session.Supplier(some(32), RANDOM.choice(names), RANDOM.randrange(top),
                                  RANDOM.choice([0, 1, 5, 2**64 - 1])) for _ in range(n)]
    rows = session.table(suppliers, unit, cap)
    draws = []
    for want in [1, 2, 5, 64]:
        for _ in range(4):
            identity = some(32)
            members = session.draw(identity, rows, want)
            draws.append({"id": identity.hex(), "want": want,
                          "members": [{"row": k, "t": t} for k, t in members]})
    return {"unit": str(unit), "cap": str(cap), "total": str(session.total(rows)),
            "root": session.table_root(rows).hex(),
            "suppliers": [{"key": s.key.hex(), "owner": s.owner.hex(), "stake": str(s.stake),
                           "price": str(s.price)} for s in suppliers],
            "rows": [{"bytes": row.encode().hex()} for row in rows], "draws": draws}


def tables():
    return [a_table(1, 1, 100, 1, 1000), a_table(3, 3, 10, 1, 5), a_table(9, 3, 1000, 7, 800),
            a_table(40, 40, 2**90, 2**40, 2**90), a_table(200, 70, 10**6, 10**3, 10**6),
            a_table(4, 2, 5, 10, 1000)]


def one_pick(by_price):
    count = RANDOM.randrange(1, 8)
    members = [session.Member(RANDOM.choice([1, 2, 7, 1000, 2**62]),
                              RANDOM.choice([0, 1, 3, 10**6, 2**64 - 1]),
                              RANDOM.choice([0, 1, 128, 256, 256]), RANDOM.random() < 0.25)
               for _ in range(count)]
    identity, gateway = some(32), some(32)
    worker, n = RANDOM.randrange(2**32), RANDOM.randrange(2**64)
    got = session.pick(identity, gateway, worker, n, members, by_price)
    row = {"id": identity.hex(), "gateway": gateway.hex(), "worker": str(worker), "n": str(n),
           "by_price": by_price,
           "members": [{"weight": str(m.weight), "price": str(m.price), "health": m.health,
                        "asked": m.asked} for m in members]}
    if got:
        row.update({"member": got[0], "r": str(got[1]), "w": str(got[2]), "fallback": got[3]})
    return row


def penalties(suppliers):
    """Burns a part of the stake of whoever has two entries, and of what it unstaked."""
    for before, after in zip(suppliers, suppliers[1:]):
        if before["key"] == after["key"]:
            stake = int(before["stake"]), int(after["stake"])
            burned = max(1, stake[0] // 3)
            after["burned"] = str(int(before.get("burned", "0")) + burned)
            if stake[0] - stake[1] > burned + 2:
                after["burned_thaw"] = str(int(before.get("burned_thaw", "0")) + 2)


def a_registry():
    """A network with changes of everything, and what follows from it."""
    seeds = {name: some(32) for name in ["registry", "app", "poor"]}
    app, poor = note.public_of(seeds["app"]), note.public_of(seeds["poor"])
    gateways = [some(32), some(32)]
    tail = some(32)
    network = session.network_id(2, tail)
    suppliers = []
    for i in range(7):
        key = some(32)
        for height in sorted({0, *RANDOM.sample(range(1, 100), i % 3)}):
            suppliers.append({
                "endpoint": f"127.0.0.1:{9000 + i}", "height": str(height), "key": key.hex(),
                "owner": session.owner_default(key).hex(), "price": str(i),
                "services": ["btc", "eth"] if i % 2 else ["eth"],
                "stake": str(RANDOM.choice([0, 5, 10, 30, 1000]))})
    grants = []
    for key, seed in [(app, seeds["app"]), (poor, seeds["poor"])]:
        for gateway in gateways:
            for nonce, height in enumerate([0, 25, 61], 1):
                budget = RANDOM.choice([0, 10, 100, 300])
                grants.append({
                    "application": key.hex(), "budget": str(budget), "gateway": gateway.hex(),
                    "height": str(height), "nonce": str(nonce), "service": "eth",
                    "signature": note.sign(seed, session.grant_bytes(
                        network, key, gateway, "eth", budget, nonce)).hex()})
    parameters = [{"challenge_lag": "1", "claim_window": str(window), "grace_blocks": "1",
                   "height": str(height), "price_max": "100", "proof_window": "5",
                   "stake_cap": "100", "stake_unit": "5"} for height, window in [(0, 10), (40, 20)]]
    value = {
        "applications": sorted([{"escrow": "100000", "height": "0", "key": app.hex()},
                                {"escrow": "50", "height": "30", "key": app.hex()},
                                {"escrow": "99000", "height": "50", "key": app.hex(),
                                 "spent": "1000", "spent_thaw": "7"},
                                {"escrow": "98999", "height": "60", "key": app.hex(),
                                 "spent": "1001", "spent_thaw": "9"},
                                {"escrow": "400", "height": "0", "key": poor.hex()}],
                               key=lambda e: (e["key"], int(e["height"]))),
        "clock": {"block_ms": "1000", "genesis_ms": "1795442000000"},
        "fixed": {"seed_lag": "2", "session_blocks": "10", "session_suppliers": "3",
                  "snapshot_lag": "4"},
        "grants": sorted(grants, key=lambda g: (g["application"], g["gateway"], g["service"],
                                                int(g["height"]))),
        "height": "111", "network": {"id": network.hex(), "kind": "2", "tail": tail.hex()},
        "parameters": parameters,
        "pauses": [{"height": "58", "missed": "3"}, {"height": "80", "missed": "10"}],
        "seeds": {"from": "0", "to": "112",
                  "values": [{"height": str(h), "seed": some(32).hex()} for h in range(112)
                             if not 70 <= h < 80]},
        "services": [{"height": "12", "name": "btc", "table": some(32).hex()},
                     {"height": "0", "name": "eth", "table": some(32).hex()}],
        "suppliers": sorted(suppliers, key=lambda e: (e["key"], int(e["height"]))),
        "tables": [],
    }
    penalties(value["suppliers"])
    known = registry.Registry(value)
    for service, start in [("btc", 50), ("eth", 20), ("eth", 110)]:
        rows = known.table(service, start - 4)
        value["tables"].append({"root": session.table_root(rows).hex(), "rows": str(len(rows)),
                                "service": service, "start": str(start),
                                "total": str(session.total(rows))})
    sessions, allowances = [], []
    for start in range(0, 130, 10):
        for service in ["btc", "eth", "sol"]:
            got = known.session(app, service, start)
            sessions.append({"service": service, "start": str(start),
                             "id": got[0].hex() if got else "",
                             "members": [k.hex() for k in got[1]] if got else []})
        for key in [app, poor]:
            for gateway in gateways:
                if start >= 10:
                    got = known.allowance(key, gateway, "eth", start)
                    allowances.append({"application": key.hex(), "gateway": gateway.hex(),
                                       "start": str(start),
                                       "needed": str(known.escrow_needed(key, start)),
                                       "allowance": "" if got is None else str(got)})
    heights = [0, 29, 30, 49, 50, 56, 69, 70, 82, 83, 111, 112, 113, 500]
    books = [{"height": str(h), **{k: str(v) for k, v in known.books(h).items()}}
             for h in heights]
    return {"books": books, "key": note.public_of(seeds["registry"]).hex(), "secret": seeds["registry"].hex(),
            "file": registry.sign(value, seeds["registry"]).decode(), "application": app.hex(),
            "sessions": sessions, "allowances": allowances}


if __name__ == "__main__":
    write("session.json", {
        "networks": [{"kind": kind, "tail": tail.hex(), "id": session.network_id(kind, tail).hex()}
                     for kind, tail in [(1, some(28)), (2, some(32))]],
        "owners": [{"key": key.hex(), "owner": session.owner_default(key).hex()}
                   for key in [some(32)]],
        "ids": ids(), "grants": grants(), "tables": tables(),
        "picks": [one_pick(i % 2 == 1) for i in range(60)],
    })
    write("registry.json", a_registry())
