// SPDX-License-Identifier: Apache-2.0
// Watches a contract with ethers: node watch_ethers.mjs URL ADDRESS COUNT.  One line an event.
import fs from 'node:fs';
import { Contract, JsonRpcProvider } from 'ethers';

const till = JSON.parse(fs.readFileSync(new URL('contract/Till.json', import.meta.url)));
const [url, address, count] = process.argv.slice(2);
const provider = new JsonRpcProvider(url, undefined, { pollingInterval: 100 });
const contract = new Contract(address, till.abi, provider);
let seen = 0;

await contract.on('Changed', (...args) => {
  const { log } = args[args.length - 1];
  console.log(`event ${log.blockNumber} ${log.transactionHash}`);
  seen += 1;
  if (seen >= Number(count)) {
    contract.off('Changed');
    setTimeout(() => process.exit(0), 500);
  }
});
