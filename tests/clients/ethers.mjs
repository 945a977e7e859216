// SPDX-License-Identifier: Apache-2.0
// A dApp with ethers v6: node ethers.mjs URL
import fs from 'node:fs';
import { Contract, ContractFactory, FetchRequest, JsonRpcProvider, Network, NonceManager, Wallet, parseEther } from 'ethers';
import { OTHER, Recorder, TEST_KEY, url } from './record.mjs';

const till = JSON.parse(fs.readFileSync(new URL('contract/Till.json', import.meta.url)));
const record = new Recorder();

const get = FetchRequest.createGetUrlFunc();
FetchRequest.registerGetUrl(async (request, signal) => {
  const answer = await get(request, signal);
  record.exchange(request.body, answer.statusCode, (name) => answer.headers[name], answer.body);
  return answer;
});

// One call a request: then a call's body is the client's own bytes from { to }.
const single = new JsonRpcProvider(url(), undefined, { batchMaxCount: 1, cacheTimeout: -1, pollingInterval: 100 });
const batching = new JsonRpcProvider(url(), undefined, { batchStallTime: 30, cacheTimeout: -1, staticNetwork: Network.from(31337) });
const wallet = new Wallet(TEST_KEY, single);
const signer = new NonceManager(wallet);
const revert = (e) => ({ code: e.code, data: e.data, reason: e.reason, revert: e.revert?.args?.map(String) });
const rpc = (e) => ({ code: e.error?.code ?? e.info?.error?.code ?? e.code });

await record.step('network', async () => (await single.getNetwork()).chainId);
await record.step('block number', () => single.getBlockNumber());
await record.step('genesis block', async () => (await single.getBlock(0)).hash);
await record.step('balance', () => single.getBalance(wallet.address));
await record.step('fee data', () => single.getFeeData());
await record.step('nonce', () => single.getTransactionCount(wallet.address));

const contract = await record.step('deploy a contract', async () => {
  const deployed = await new ContractFactory(till.abi, till.bytecode, signer).deploy(7);
  await deployed.waitForDeployment();
  return deployed;
}).then((deployed) => new Contract(deployed.target, till.abi, signer));

await record.step('code', () => single.getCode(contract.target));
await record.step('storage', () => single.getStorage(contract.target, 0));
await record.step('read the contract', () => contract.amount());
await record.step('estimate gas', () => contract.set.estimateGas(9));
const sent = await record.step('send a transaction', async () => {
  const transaction = await contract.set(9);
  return { hash: transaction.hash, nonce: transaction.nonce };
});
const receipt = await record.step('wait for its receipt', async () => {
  const r = await single.waitForTransaction(sent.hash, 1, 20000);
  return { status: r.status, block: r.blockNumber, blockHash: r.blockHash, gas: r.gasUsed, logs: r.logs };
});
await record.step('read logs', async () => (await contract.queryFilter('Changed', 0)).map((l) => l.args.map(String)));
await record.step('logs by block hash', () => single.getLogs({ address: contract.target, blockHash: receipt.blockHash }));
await record.step('transaction', async () => (await single.getTransaction(sent.hash)).data);
await record.step('block with transactions', async () => (await single.getBlock(receipt.block, true)).prefetchedTransactions.length);
await record.step('block by hash', async () => (await single.getBlock(receipt.blockHash)).number);
await record.refused('a revert with its data', () => contract.refuse.staticCall(42, 'closed'), revert);
await record.refused('a revert with a reason', () => contract.complain.staticCall(), revert);
await record.refused('a panic', () => contract.panic.staticCall(0), revert);
await record.refused('a revert while estimating', () => contract.refuse.estimateGas(1, 'shut'), revert);
await record.step('send value', async () => {
  const transaction = await signer.sendTransaction({ to: OTHER, value: parseEther('1.5') });
  return (await transaction.wait()).status;
});
await record.step('balance after it', () => single.getBalance(OTHER));
await record.step('an old balance', () => single.getBalance(OTHER, 0));
await record.step('a batch', () => Promise.all([
  batching.send('eth_chainId', []), batching.getBlockNumber(), batching.getBalance(OTHER),
  batching.getCode(contract.target), batching.send('net_version', [])]));
await record.refused('a batch with a revert in it', async () => {
  const answers = await Promise.allSettled([batching.getBlockNumber(),
    batching.call({ to: contract.target, data: contract.interface.encodeFunctionData('complain') })]);
  if (answers[0].status !== 'fulfilled') throw new Error('the good call of the batch failed');
  throw answers[1].reason;
}, revert);
await record.refused('a bad method', () => single.send('eth_noSuchMethod', []), rpc);
await record.refused('a bad parameter', () => single.send('eth_getBalance', ['0x12', 'latest']), rpc);
await record.refused('too few parameters', () => single.send('eth_getBalance', []), rpc);
await record.step('client version', () => single.send('web3_clientVersion', []));
await record.step('sha3', () => single.send('web3_sha3', ['0x68656c6c6f']));
await record.step('fee history', () => single.send('eth_feeHistory', ['0x2', 'latest', [25, 75]]));
await record.step('proof', () => single.send('eth_getProof', [contract.target, ['0x' + '00'.repeat(32)], 'latest']));
await record.step('access list', () => single.send('eth_createAccessList', [{ to: contract.target, data: '0xaa8c217c' }, 'latest']));
await record.step('receipts of a block', () => single.send('eth_getBlockReceipts', ['latest']));
await record.step('syncing', () => single.send('eth_syncing', []));
await record.step('an answer of 200,000 bytes', async () => (await contract.blob(100000)).length);
await record.step('no such transaction', () => single.getTransaction('0x' + '11'.repeat(32)));
record.print();
single.destroy();
batching.destroy();
