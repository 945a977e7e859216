// SPDX-License-Identifier: Apache-2.0
// Steps of a client script, and every HTTP exchange that its library made in each of them, as JSON
// on standard output.  It only watches: the libraries are used as they are.

const HEADERS = ['counterfoil-receipt', 'counterfoil-supplier', 'counterfoil-session', 'content-type'];

function plain(value) {
  return JSON.parse(JSON.stringify(value ?? null, (_, v) => (typeof v === 'bigint' ? v.toString() : v)));
}

export class Recorder {
  #steps = [];
  #open = { name: 'before the first step', exchanges: [] };

  /** One request and its answer, both as the bytes on the wire; get(name) reads a header. */
  exchange(request, status, get, response) {
    this.#open.exchanges.push({
      request: Buffer.from(request ?? '').toString('base64'),
      response: Buffer.from(response ?? '').toString('base64'),
      status,
      headers: Object.fromEntries(HEADERS.map((name) => [name, get(name) ?? null])),
    });
  }

  /** Runs one step; what it returns is compared between two runs of the script. */
  async step(name, action) {
    this.#open = { name, exchanges: [] };
    this.#steps.push(this.#open);
    const value = await action();
    this.#open.value = plain(value);
    return value;
  }

  /** A step that must fail; describe(error) says what of the error is compared. */
  async refused(name, action, describe) {
    return this.step(name, async () => {
      let value;
      try {
        value = await action();
      } catch (error) {
        return { refused: describe(error) };
      }
      throw new Error(`${name}: was not refused but gave ${JSON.stringify(plain(value))}`);
    });
  }

  print() {
    process.stdout.write(JSON.stringify(this.#steps) + '\n');
  }
}

/** The URL that the script is called with. */
export function url() {
  if (process.argv.length !== 3) {
    console.error('usage: node SCRIPT URL');
    process.exit(2);
  }
  return process.argv[2];
}

// The first key of anvil's public test mnemonic: worth nothing anywhere else.
export const TEST_KEY = '0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80';
export const OTHER = '0x70997970C51812dc3A010C7d01b50e0d17dc79C8';
