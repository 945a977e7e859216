# SPDX-License-Identifier: Apache-2.0
"""Watches a contract with web3.py: python watch_web3py.py URL ADDRESS COUNT.  One line an event."""

import json
import pathlib
import sys
import time

from web3 import HTTPProvider, Web3

TILL = json.loads((pathlib.Path(__file__).parent / "contract/Till.json").read_text())


def main(url, address, count):
    """Polls a filter until so many events came."""
    w3 = Web3(HTTPProvider(url))
    watched = w3.eth.contract(address=Web3.to_checksum_address(address), abi=TILL["abi"])
    changes = watched.events.Changed.create_filter(from_block="latest")
    seen = 0
    while seen < int(count):
        for event in changes.get_new_entries():
            print(f"event {event['blockNumber']} 0x{event['transactionHash'].hex().removeprefix('0x')}",
                  flush=True)
            seen += 1
        time.sleep(0.1)
    assert w3.eth.uninstall_filter(changes.filter_id)


main(*sys.argv[1:])
