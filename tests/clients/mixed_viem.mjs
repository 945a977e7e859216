// SPDX-License-Identifier: Apache-2.0
// Questions by viem's own actions: node mixed_viem.mjs URL QUESTIONS COUNT ANSWERS
// QUESTIONS.1, .2, ... are files of them (tests/support/growing.py), of which the newest 2,000 are asked at
// random.  What went over the wire is written to ANSWERS, as tests/support/traffic.lua does.
import fs from 'node:fs';
import { BaseError, createPublicClient, hexToBigInt, hexToNumber, http } from 'viem';

const [url, questionsPath, count, answersPath] = process.argv.slice(2);
const KEPT = 2000;
const CLIENTS = 4;
const FIELDS = ['counterfoil-pinned', 'counterfoil-receipt'];
const micros = () => Math.floor(Number(process.hrtime.bigint() / 1000n));
const number = (text) => (text.startsWith('0x') ? { blockNumber: hexToBigInt(text) } : { blockTag: text });

// A question, by the action that dApps use for it; what has none, or is about a block by its hash in an object,
// is a plain request.
const actions = {
  eth_blockNumber: (c) => c.getBlockNumber({ cacheTime: 0 }),
  eth_chainId: (c) => c.getChainId(),
  eth_gasPrice: (c) => c.getGasPrice(),
  eth_feeHistory: (c, [n, at, rewardPercentiles]) => c.getFeeHistory({ blockCount: hexToNumber(n), rewardPercentiles, ...number(at) }),
  eth_getBlockByNumber: (c, [at, includeTransactions]) => c.getBlock({ ...number(at), includeTransactions }),
  eth_getBlockByHash: (c, [blockHash, includeTransactions]) => c.getBlock({ blockHash, includeTransactions }),
  eth_getBlockTransactionCountByNumber: (c, [at]) => c.getBlockTransactionCount(number(at)),
  eth_getTransactionByHash: (c, [hash]) => c.getTransaction({ hash }),
  eth_getTransactionByBlockHashAndIndex: (c, [blockHash, index]) => c.getTransaction({ blockHash, index: hexToNumber(index) }),
  eth_getTransactionReceipt: (c, [hash]) => c.getTransactionReceipt({ hash }),
  eth_getBalance: (c, [address, at]) => c.getBalance({ address, ...number(at) }),
  eth_getTransactionCount: (c, [address, at]) => c.getTransactionCount({ address, ...number(at) }),
  eth_getCode: (c, [address, at]) => c.getCode({ address, ...number(at) }),
  eth_getStorageAt: (c, [address, slot, at]) => c.getStorageAt({ address, slot, ...number(at) }),
  eth_call: (c, [{ to, data }, at]) => c.call({ to, data, ...number(at) }),
  eth_getLogs: (c, [{ address, fromBlock, toBlock, blockHash }]) => c.getLogs(blockHash ? { address, blockHash } : {
    address, fromBlock: hexToBigInt(fromBlock), toBlock: toBlock.startsWith('0x') ? hexToBigInt(toBlock) : toBlock }),
};

const questions = [];
let files = 0;
function look() {
  for (;;) {
    let text;
    try {
      text = fs.readFileSync(`${questionsPath}.${files + 1}`, 'utf8');
    } catch {
      return;
    }
    files += 1;
    for (const line of text.trim().split('\n')) {
      questions.push(JSON.parse(`{${line.split('\t')[1]}}`));
    }
    questions.splice(0, Math.max(0, questions.length - KEPT));
  }
}

const lines = [];
const client = createPublicClient({
  transport: http(url, {
    retryCount: 0,
    timeout: 60_000,
    fetchFn: async (input, init) => {
      const sent = micros();
      const response = await fetch(input, init);
      const body = await response.clone().text();
      const fields = FIELDS.map((name) => response.headers.get(name) ?? '-');
      lines.push([init.body, sent, micros() - sent, response.status, ...fields, body].join('\t'));
      return response;
    },
  }),
});

async function ask() {
  while (lines.length < Number(count)) { // viem shares some calls that are the same
    look();
    const { method, params } = questions[Math.floor(Math.random() * questions.length)];
    const plain = !actions[method] || typeof params[1]?.blockHash === 'string';
    try {
      await (plain ? client.request({ method, params }) : actions[method](client, params));
    } catch (error) {
      // What came over the wire is judged; of it viem throws what reverted or is not there.
      if (!(error instanceof BaseError)) {
        throw error;
      }
    }
  }
}

look();
await Promise.all(Array.from({ length: CLIENTS }, ask));
fs.writeFileSync(answersPath, lines.join('\n') + '\n');
