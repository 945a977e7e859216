// SPDX-License-Identifier: Apache-2.0
// A dApp that no single gateway can shut out: node two_gateways.mjs URL URL ADDRESS
// The first gateway is asked; what it refuses, or does not answer in time, the second one is asked.
import { createPublicClient, fallback, http } from 'viem';

const [first, second, address] = process.argv.slice(2);
const gateway = (url) => http(url, { retryCount: 0, timeout: 3_000 });
const client = createPublicClient({ transport: fallback([gateway(first), gateway(second)], { retryCount: 0 }) });

console.log(String(await client.getBalance({ address })));
