// SPDX-License-Identifier: Apache-2.0
// A dApp with viem: node viem.mjs URL
import fs from 'node:fs';
import { BaseError, createPublicClient, createWalletClient, http, parseEther } from 'viem';
import { privateKeyToAccount } from 'viem/accounts';
import { foundry } from 'viem/chains';
import { OTHER, Recorder, TEST_KEY, url } from './record.mjs';

const till = JSON.parse(fs.readFileSync(new URL('contract/Till.json', import.meta.url)));
const record = new Recorder();

// viem's own hook: the fetch that it is given, so that each answer stands with its own request.
const watch = {
  fetchFn: async (input, init) => {
    const response = await fetch(input, init);
    const copy = response.clone();
    record.exchange(init.body, copy.status, (name) => copy.headers.get(name), Buffer.from(await copy.arrayBuffer()));
    return response;
  },
  retryCount: 0,
};
const chain = foundry;
const account = privateKeyToAccount(TEST_KEY);
const client = createPublicClient({ chain, transport: http(url(), watch), pollingInterval: 100, cacheTime: 0 });
const batching = createPublicClient({ chain, transport: http(url(), { ...watch, batch: { wait: 20 } }), cacheTime: 0 });
const wallet = createWalletClient({ chain, account, transport: http(url(), watch), pollingInterval: 100 });
const describe = (e) => {
  const last = e instanceof BaseError ? e.walk() : e;
  return { name: last.name, code: last.code, data: last.data?.args?.map(String) ?? last.raw ?? last.data };
};

await record.step('chain id', () => client.getChainId());
await record.step('block number', () => client.getBlockNumber());
await record.step('genesis block', async () => (await client.getBlock({ blockNumber: 0n })).hash);
await record.step('balance', () => client.getBalance({ address: account.address }));
await record.step('gas price', () => client.getGasPrice());
await record.step('priority fee', () => client.estimateMaxPriorityFeePerGas());
await record.step('nonce', () => client.getTransactionCount({ address: account.address }));
const deployed = await record.step('deploy a contract', () => wallet.deployContract({ abi: till.abi, bytecode: till.bytecode, args: [7n] }));
const address = await record.step('wait for its receipt', async () => (await client.waitForTransactionReceipt({ hash: deployed })).contractAddress);
await record.step('code', () => client.getCode({ address }));
await record.step('storage', () => client.getStorageAt({ address, slot: '0x0' }));
await record.step('read the contract', () => client.readContract({ address, abi: till.abi, functionName: 'amount' }));
await record.step('estimate gas', () => client.estimateContractGas({ address, abi: till.abi, functionName: 'set', args: [9n], account }));
await record.step('simulate', async () => (await client.simulateContract({ address, abi: till.abi, functionName: 'set', args: [9n], account })).result);
const hash = await record.step('send a transaction', () => wallet.writeContract({ address, abi: till.abi, functionName: 'set', args: [9n] }));
const receipt = await record.step('its receipt', () => client.waitForTransactionReceipt({ hash }));
await record.step('read logs', async () => (await client.getContractEvents({ address, abi: till.abi, eventName: 'Changed', fromBlock: 0n })).map((l) => l.args));
await record.step('logs of a block', () => client.getLogs({ blockHash: receipt.blockHash }));
await record.step('transaction', async () => (await client.getTransaction({ hash })).input);
await record.step('confirmations', () => client.getTransactionConfirmations({ hash }));
await record.step('block with transactions', async () => (await client.getBlock({ blockNumber: receipt.blockNumber, includeTransactions: true })).transactions.length);
await record.step('transactions in a block', () => client.getBlockTransactionCount({ blockNumber: receipt.blockNumber }));
await record.refused('a revert with its data', () => client.readContract({ address, abi: till.abi, functionName: 'refuse', args: [42n, 'closed'] }), describe);
await record.refused('a revert with a reason', () => client.readContract({ address, abi: till.abi, functionName: 'complain' }), describe);
await record.refused('a panic', () => client.readContract({ address, abi: till.abi, functionName: 'panic', args: [0n] }), describe);
await record.step('send value', async () => {
  const value = await wallet.sendTransaction({ to: OTHER, value: parseEther('0.25') });
  return (await client.waitForTransactionReceipt({ hash: value })).status;
});
await record.step('balance after it', () => client.getBalance({ address: OTHER }));
await record.step('a batch', () => Promise.all([batching.getBlockNumber(), batching.getBalance({ address: OTHER }),
  batching.getCode({ address }), batching.getGasPrice(), batching.request({ method: 'net_version' })]));
await record.refused('a bad method', () => client.request({ method: 'eth_noSuchMethod', params: [] }), describe);
await record.refused('a bad parameter', () => client.request({ method: 'eth_getBalance', params: ['0x12', 'latest'] }), describe);
await record.step('fee history', () => client.getFeeHistory({ blockCount: 2, rewardPercentiles: [25, 75] }));
await record.step('proof', () => client.getProof({ address, storageKeys: ['0x' + '00'.repeat(32)] }));
await record.step('access list', () => client.createAccessList({ to: address, data: '0xaa8c217c' }));
await record.step('client version', () => client.request({ method: 'web3_clientVersion' }));
await record.step('an answer of 200,000 bytes', async () => (await client.readContract({ address, abi: till.abi, functionName: 'blob', args: [100000n] })).length);
record.print();
