# SPDX-License-Identifier: Apache-2.0
"""What an auditor says of a network in which rewards are claimed: from the registry's two files and
everybody's folders, compared with what the registry itself has."""

import sqlite3

from support import paths
from support.export import audit_json
from support.network import run
from support.rewards import number

PAID = 2


def files(network, name="audit"):
    """(claims file, registry file with all seeds) of the registry as it is now."""
    claims, registry = (network.folder / f"{name}.{what}.note" for what in ("claims", "registry"))
    key = network.folder / "registry.db.key"
    run("registry", "export", "--key", key, "--claims", claims, network.registry)
    run("registry", "export", "--key", key, "--from", "0", "--output", registry, network.registry)
    return claims, registry


def folders(network):
    """Everybody's folder."""
    second = [network.second] if network.second else []
    return [network.export(p).folder for p in [network.gateway, *second, *network.nodes]]


def audited(network):
    """What `claims` says, which must agree with the registry's own tables to the token."""
    claims, registry = files(network)
    status, said = audit_json("claims", claims, *folders(network), "--registry", registry,
                              "--registry-key", network.registry_key)
    rows = network.claims()
    kinds = {(f["weight"], f["kind"]) for f in said["report"]["findings"]}
    assert kinds <= {("note", "due_later"), ("open", "short")}, said["report"]
    assert status in (0, 2), said["report"]
    money, counters = said["money"], said["report"]["counters"]
    assert counters["claims"] == counters["claims_right"] == len(rows)
    assert counters["proofs_right"] == sum(row["state"] == PAID for row in rows)
    assert counters["records_compared"] >= counters["records"]
    assert int(money["deposits"]) == sum(
        int(money[part]) for part in ("paid", "burned", "stakes", "escrow", "thawing", "left"))
    db = sqlite3.connect(f"file:{network.registry}?mode=ro", uri=True, timeout=60)
    try:
        income = {owner.hex(): number(amount)
                  for owner, amount in db.execute("SELECT owner, income FROM owners")}
    finally:
        db.close()
    assert {o["owner"]: int(o["paid"]) for o in said["owners"]} == income
    return said


def fates(said):
    """{what became of it: CU} over all suppliers."""
    sums = {}
    for row in said["cu"]:
        sums[row["fate"]] = sums.get(row["fate"], 0) + int(row["cu"])
    return sums
