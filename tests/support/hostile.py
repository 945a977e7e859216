# SPDX-License-Identifier: Apache-2.0
"""The table of cases in which a peer breaks a rule (tests/hostile.toml), and what must come of each.

`then` of a case is one of
    close REASON [ERROR]  the link ends: metric and log say REASON, an ERROR frame says ERROR
                          (REASON when it is not given; - when there can be none)
    error NAME            an ERROR frame; the link goes on
    refuse NAME           a leaf of kind 3; the link goes on
    ignored               nothing; the link goes on
    fault WEIGHT NAME     of a supplier: gateway.fault, local or provable, and the link is closed
    retry NAME            of a supplier: the call goes to another, the link stays
    http STATUS [CODE]    of a client: the answer's status and JSON-RPC error code
    refused NAME          of a claim: the registry's answer; nothing is recorded
    forfeit NAME          of a claim that is recorded: its proof is refused, and its supplier's stake burned
"""

import tomllib

from support import paths

TABLE = tomllib.loads((paths.ROOT / "tests/hostile.toml").read_text())
SIDES = {"node": "a gateway against a node", "gateway": "a supplier against a gateway",
         "client": "a client against a gateway", "registry": "a supplier against the registry"}


def cases(side):
    """The cases in which this side is attacked, by name, in the order of the table."""
    return {case["name"]: case for case in TABLE["case"] if case["side"] == side}
