// SPDX-License-Identifier: Apache-2.0
// Watches a contract with viem: node watch_viem.mjs URL ADDRESS COUNT.  One line an event.
import fs from 'node:fs';
import { createPublicClient, http } from 'viem';
import { foundry } from 'viem/chains';

const till = JSON.parse(fs.readFileSync(new URL('contract/Till.json', import.meta.url)));
const [url, address, count] = process.argv.slice(2);
const client = createPublicClient({ chain: foundry, transport: http(url, { retryCount: 0 }), pollingInterval: 100 });
let seen = 0;

const stop = client.watchContractEvent({
  address,
  abi: till.abi,
  eventName: 'Changed',
  onError: (error) => { console.log(`error ${error}`); process.exit(1); },
  onLogs: (logs) => {
    for (const log of logs) {
      console.log(`event ${log.blockNumber} ${log.transactionHash}`);
      seen += 1;
    }
    if (seen >= Number(count)) {
      stop();
      setTimeout(() => process.exit(0), 500); // it uninstalls its filter
    }
  },
});
