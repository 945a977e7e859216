# SPDX-License-Identifier: Apache-2.0
"""A real chain node: go-ethereum's geth, as a development chain or with a chain that is imported.

It has no peers and no listener for them; RPC and engine API are on free ports of 127.0.0.1."""

import base64
import hashlib
import hmac
import http.client
import json
import subprocess
import time

import pytest

from support import net, paths
from support.process import Process

APIS = "eth,net,web3,debug,txpool"
SECRET = bytes(range(32))  # of the engine API, which only the test itself uses
# What a slow machine needs time for is not broken off (nanoseconds).
CONFIG = """[Node]
IPCPath = ""
[Node.HTTPTimeouts]
ReadTimeout = 300000000000
WriteTimeout = 300000000000
[Node.P2P]
ListenAddr = ""
NoDial = true
NoDiscovery = true
MaxPeers = 0
"""


def _base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _token(secret):
    """A JSON Web Token (RFC 7519, HS256) as the engine API wants it: made now."""
    parts = [{"alg": "HS256", "typ": "JWT"}, {"iat": int(time.time())}]
    text = ".".join(_base64url(json.dumps(part).encode()) for part in parts)
    return f"{text}.{_base64url(hmac.digest(secret, text.encode(), hashlib.sha256))}"


class Geth(Process):
    """One geth.  Without `genesis` a development chain, which makes a block of each transaction that it
    is sent (or one every `--dev.period` seconds, in `words`), with one rich account; with `genesis` (a
    file) that network, of which `chain` (a file of RLP) is imported and no block is made but by engine()."""

    def __init__(self, folder, name="geth", genesis=None, chain=None, apis=APIS, words=()):
        if not paths.GETH.exists():
            pytest.fail("no geth: ./tests/run builds it where a test needs it")
        self.data = folder / f"{name}.data"
        self.genesis, self.chain = genesis, chain
        self.port, self.engine_port = net.free_port(), net.free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.config = folder / f"{name}.toml"
        self.secret = folder / f"{name}.secret"
        network = ["--dev"]
        if genesis:
            chain_id = json.loads(genesis.read_text())["config"]["chainId"]
            network = ["--networkid", chain_id, "--syncmode", "full", "--gcmode", "archive"]
        super().__init__(name, [
            paths.GETH, *self._common(), "--config", self.config, *network,
            "--http", "--http.addr", "127.0.0.1", "--http.port", self.port, "--http.api", apis,
            "--authrpc.addr", "127.0.0.1", "--authrpc.port", self.engine_port,
            "--authrpc.jwtsecret", self.secret, "--nat", "none", "--cache", "64", "--rpc.evmtimeout", "0",
            "--verbosity", "2", *words], folder)

    def _common(self):
        return ["--datadir", self.data, "--state.scheme", "hash"]

    def _run(self, *words):
        """Runs one of its commands to its end."""
        with open(self.log_path, "ab") as log:
            done = subprocess.run([str(w) for w in (paths.GETH, *words)], stdin=subprocess.DEVNULL,
                                  stdout=log, stderr=log, check=False, timeout=600)
        assert done.returncode == 0, self.log()[-4000:]

    def start(self):
        """Starts it, with its chain when it is new, and waits until it answers."""
        if not self.config.exists():
            self.config.write_text(CONFIG)
            self.secret.write_text(SECRET.hex())
            if self.genesis:
                self._run("init", *self._common(), self.genesis)
            if self.chain:
                self._run("import", *self._common(), "--gcmode", "archive", "--nocompaction", self.chain)
        super().start()
        self.ready(self._answers)
        return self

    def _answers(self):
        try:
            return net.result(self.url, "eth_chainId")
        except (OSError, http.client.HTTPException):
            return None

    def engine(self, method, *params):
        """The result of a call of the engine API."""
        client = net.Http(f"http://127.0.0.1:{self.engine_port}")
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
        try:
            status, _, data = client.post(body, {"Content-Type": "application/json",
                                                 "Authorization": "Bearer " + _token(SECRET)})
        finally:
            client.close()
        assert status == 200, (status, data)
        answer = json.loads(data)
        assert "result" in answer, answer
        return answer["result"]

    def set_head(self, head, safe=None, finalized=None):
        """Makes a block that it has the head of its chain; safe and finalized are the same by default."""
        state = {"headBlockHash": head, "safeBlockHash": safe or head, "finalizedBlockHash": finalized or head}
        status = self.engine("engine_forkchoiceUpdatedV3", state, None)["payloadStatus"]
        assert status["status"] == "VALID", status
