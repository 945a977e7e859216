# SPDX-License-Identifier: Apache-2.0
"""A steady load of distinct calls on keep-alive connections, that notes every answer."""

import hashlib
import http.client
import json
import threading
import time

from support import net


class Answer:
    """One call: when, how it ended, its receipt and supplier."""

    __slots__ = ("at", "took", "ok", "why", "receipt", "supplier", "session")

    def __init__(self, at):
        self.at, self.took, self.ok, self.why = at, 0.0, False, ""
        self.receipt = self.supplier = self.session = None


class Load:
    """`clients` threads, each calling as fast as it is answered (or with `pause` between)."""

    def __init__(self, url, clients=8, pause=0.0, timeout=60, notebook=None):
        self.url, self.clients, self.pause, self.timeout = url, clients, pause, timeout
        self.notebook = open(notebook, "a", buffering=1) if notebook else None
        self.answers = []
        self.good = 0  # answers so far that were right
        self.bad = 0   # calls so far that failed
        self.sessions = set()  # that they were given in
        self.answered = set()  # numbers of the clients that had one
        self.stopping = threading.Event()
        self.lock = threading.Lock()
        self.threads = [threading.Thread(target=self._run, args=(n,), daemon=True)
                        for n in range(clients)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        """Lets the calls in flight end."""
        self.stopping.set()
        for thread in self.threads:
            thread.join(self.timeout + 5)

    def _run(self, number):
        client, asked, mine = None, 0, []
        while not self.stopping.is_set():
            asked += 1
            answer = Answer(time.monotonic())
            try:
                if client is None:
                    client = net.Http(self.url, self.timeout)
                body = self._call(client, f"0x{number:04x}{asked:036x}", answer)
                if self.notebook and answer.ok:
                    # Before the next call: what a client holds in its hands after a crash of ours.
                    digest = hashlib.sha256(body).hexdigest()
                    self.notebook.write(f"{answer.receipt} {digest}\n")
            except (OSError, http.client.HTTPException, ValueError) as error:
                answer.why = f"{type(error).__name__}: {error}"
                client = None
                time.sleep(0.02)
            if answer.ok:
                self.good += 1  # a count to watch; a lost update does not matter
                self.sessions.add(answer.session)
                self.answered.add(number)
            else:
                self.bad += 1
            answer.took = time.monotonic() - answer.at
            mine.append(answer)
            if self.pause:
                time.sleep(self.pause)
        with self.lock:
            self.answers += mine

    @staticmethod
    def _call(client, address, answer):
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "eth_getBalance",
                           "params": [address, "latest"]})
        status, headers, data = client.post(body)
        parsed = json.loads(data)
        answer.receipt = headers.get("counterfoil-receipt")
        answer.supplier = headers.get("counterfoil-supplier")
        answer.session = headers.get("counterfoil-session")
        answer.ok = status == 200 and parsed.get("id") == 1 and parsed.get("result") == "0x0"
        if not answer.ok:
            answer.why = f"{status}: {data[:200]!r}"
        return data

    def failed(self):
        """What went wrong, by answer."""
        return [a.why for a in self.answers if not a.ok]
