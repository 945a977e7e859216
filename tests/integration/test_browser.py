# SPDX-License-Identifier: Apache-2.0
"""Debian's Chromium runs a page of another origin that calls the gateway."""

import http.server
import json
import shutil
import threading

import pytest

from support import net
from support.process import Process, wait_for

PAGE = """<!doctype html><title>a dApp</title><script>
const call = (id, method, params) => fetch(GATEWAY, {
  method: 'POST', headers: {'Content-Type': 'application/json'},
  body: JSON.stringify({jsonrpc: '2.0', id, method, params})});
(async () => {
  const seen = {origin: location.origin};
  try {
    const first = await call(1, 'eth_chainId', []);
    seen.chainId = (await first.json()).result;
    seen.receipt = first.headers.get('Counterfoil-Receipt');
    seen.supplier = first.headers.get('Counterfoil-Supplier');
    seen.session = first.headers.get('Counterfoil-Session');
    const [lane, seq, salt] = seen.receipt.split('/');
    const bundle = await fetch(GATEWAY + '.counterfoil/receipts/' + lane + '/' + seq + '?salt=' + salt);
    seen.bundle = await bundle.json();
    const bad = await call('x', 'eth_getBalance', ['0x12', 'latest']);
    seen.error = (await bad.json()).error;
  } catch (error) { seen.failed = String(error); }
  await fetch('/seen', {method: 'POST', body: JSON.stringify(seen)});
})();
</script>"""


@pytest.fixture(scope="module")
def network(network_factory, anvil):
    """One network in front of one chain."""
    return network_factory(upstreams=[anvil.url])


@pytest.fixture
def page(network):
    """(URL of the page on a port of its own, what the page reported)."""
    seen = {}

    class Handler(http.server.BaseHTTPRequestHandler):
        def _answer(self, body):
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_GET(self):
            self._answer(PAGE.replace("GATEWAY", json.dumps(network.url)).encode())

        def do_POST(self):
            seen.update(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self._answer(b"")

        def log_message(self, *_args):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", net.free_port()), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://localhost:{server.server_port}/", seen
    server.shutdown()


def test_a_page_of_another_origin_calls_and_reads_its_receipt(network, page, folder, tmp_path):
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("chromium is not installed")
    url, seen = page
    browser = Process("chromium", [chromium, "--headless=new", "--no-sandbox", "--disable-gpu",
                                   "--disable-dev-shm-usage", "--no-first-run",
                                   f"--user-data-dir={tmp_path}", "--remote-debugging-port=0", url],
                      folder).start()
    try:
        wait_for("the page's report", lambda: seen)
    finally:
        browser.end()
    assert "failed" not in seen, seen
    assert seen["origin"] != network.url.rstrip("/")
    assert seen["chainId"] == "0x7a69"
    lane, seq, salt = seen["receipt"].split("/")
    assert len(lane) == len(salt) == 32 and seq.isdigit()
    assert len(seen["supplier"]) == len(seen["session"]) == 64
    assert seen["bundle"]["salt"] == salt and len(seen["bundle"]["leaf"]) == 384
    assert seen["error"]["code"] == -32602


def test_the_preflight_allows_the_call_and_exposes_the_headers(network):
    one = net.Http(network.url)
    status, headers, _ = one.request("OPTIONS", headers={
        "Origin": "http://dapp.example", "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type"})
    assert status in (200, 204)
    assert headers["access-control-allow-origin"] == "*"
    assert "POST" in headers["access-control-allow-methods"]
    assert "content-type" in headers["access-control-allow-headers"].lower()
    status, headers, _ = one.request("POST", body='{"jsonrpc":"2.0","id":1,"method":"eth_chainId"}',
                                     headers={"Origin": "http://dapp.example",
                                              "Content-Type": "application/json"})
    assert status == 200 and headers["access-control-allow-origin"] == "*"
    exposed = headers["access-control-expose-headers"].lower()
    for name in ("counterfoil-receipt", "counterfoil-supplier", "counterfoil-session"):
        assert name in exposed
    one.close()
