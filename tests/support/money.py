# SPDX-License-Identifier: Apache-2.0
"""Who was entitled to what, worked out from exported ledgers and the registry by the reference alone."""

from collections import Counter

from reference.counterfoil_ref import leaf as leaf_
from reference.counterfoil_ref import registry as registry_
from support.network import run
from support.peer_lane import SERVICE


def whole_registry(network):
    """The registry of a network with the seeds of all sessions that there were [Y2]."""
    path = network.folder / "whole-registry"
    run("registry", "export", "--key", network.folder / "registry.db.key", "--from", 0, "--output",
        path, network.registry)
    return registry_.Registry(registry_.parse(path.read_bytes(), bytes.fromhex(network.registry_key)))


def unpaid(export):
    """{(application, gateway): CU of leaves under no cosigned head} of a node's export [P5]."""
    found = Counter()
    for lane in export.lanes.values():
        for data in lane.leaves[lane.final_size():]:
            one = leaf_.decode(data)
            if one.cu:
                found[lane.sessions[one.session.hex()]["application"], lane.gateway] += one.cu
    return found


def paid(export):
    """The same of leaves under one."""
    found = Counter()
    for lane in export.lanes.values():
        for data in lane.leaves[:lane.final_size()]:
            one = leaf_.decode(data)
            if one.cu:
                found[lane.sessions[one.session.hex()]["application"], lane.gateway] += one.cu
    return found


def not_claimable(export, known):
    """What a node served that no claim could hold [S2] [S5] [P1] [P3] [P4]: lines of text."""
    served, bad, entitled = Counter(), [], {}
    for lane in export.lanes.values():
        for data in lane.leaves:
            one = leaf_.decode(data)
            if one.cu:
                served[one.session.hex(), lane.gateway, lane.supplier] += one.cu
                entitled[one.session.hex()] = lane.sessions[one.session.hex()]
    for (session, gateway, supplier), cu in served.items():
        about = entitled[session]
        application, start = bytes.fromhex(about["application"]), int(about["start"])
        found = known.session(application, SERVICE, start)
        if not found or found[0].hex() != session:
            bad.append(f"{session} at {start}: no such session")
        elif bytes.fromhex(supplier) not in found[1]:
            bad.append(f"{session}: {supplier} is no member")
        else:
            allowance = known.allowance(application, bytes.fromhex(gateway), SERVICE, start)
            stake = registry_.as_of(known.value["suppliers"],
                                    start - known.params(0)["snapshot_lag"], key=supplier)
            if allowance is None or cu * int(stake["price"]) > allowance:
                bad.append(f"{session}: {cu} CU at {stake['price']} of {allowance} for {gateway}")
    return bad
