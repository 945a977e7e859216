# SPDX-License-Identifier: Apache-2.0
"""nginx as a canned backend and as the plain proxy that benchmarks compare with."""

import json
import os
import pathlib
import shutil

from support.process import Process

BODY = '{"jsonrpc":"2.0","id":1,"result":"0x' + "0" * 42 + '"}'
assert len(BODY) == 80

CONFIGURATION = """
daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log warn;
events {{ worker_connections 4096; }}
http {{
  access_log off; keepalive_requests 1000000000; keepalive_timeout 600s;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  {rest}
}}
"""
BACKEND = """{blocks} server {{ listen 127.0.0.1:{port} backlog=4096; default_type application/json;
  location / {{ return 200 '{body}'; }} }}"""
# What a gateway asks the head with: nginx does not read bodies here, but it is told their lengths.
HEAD_CALL = '{"jsonrpc":"2.0","id":1,"method":"eth_getBlockByNumber","params":["latest",false]}'
WORD_MAX = 4000  # of its configuration
BLOCK = pathlib.Path(__file__).resolve().parents[1] / "data/mainnet-21925176/block.json"
FILE = """server {{ listen 127.0.0.1:{port} backlog=4096; default_type application/json; root {root};
  error_page 405 =200 /{name}; location / {{ return 405; }} location = /{name} {{ }} }}"""
PROXY = """upstream b {{ server 127.0.0.1:{backend}; keepalive 64; keepalive_requests 1000000000; }}
  server {{ listen 127.0.0.1:{port} backlog=4096;
    location / {{ proxy_pass http://b; proxy_http_version 1.1; proxy_set_header Connection ""; }} }}"""


class Nginx(Process):
    """One nginx with a configuration of ours; its worker is what is measured."""

    def __init__(self, name, folder, rest):
        inside = folder / name
        inside.mkdir()
        (inside / "nginx.conf").write_text(CONFIGURATION.format(folder=inside, rest=rest))
        nginx = shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin")
        super().__init__(name, [nginx, "-p", inside, "-e", inside / "error.log",
                                "-c", inside / "nginx.conf"], folder)

    def worker(self):
        """The pid of the worker."""
        text = pathlib.Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text()
        return int(text.split()[0])


def head_block(transactions=1):
    """A block of mainnet as an answer to HEAD_CALL, with the hashes of so many of its transactions: its header
    follows from its hash."""
    block = json.loads(BLOCK.read_text())
    del block["withdrawals"]
    block["transactions"] = block["transactions"][:transactions]
    return json.dumps({"jsonrpc": "2.0", "id": 1, "result": block}, separators=(",", ":"))


def canned(name, folder, port, body=BODY, head=None):
    """A backend that gives BODY to whatever it is asked, or HEAD to who asks with HEAD_CALL."""
    pieces = [body[at:at + WORD_MAX] for at in range(0, len(body), WORD_MAX)]
    blocks = [f"map $content_length $piece{n} {{ default '{piece}'; }}" for n, piece in enumerate(pieces)]
    body = "".join(f"$piece{n}" for n in range(len(pieces))) if len(pieces) > 1 else body
    if head:
        blocks += [f"map $content_length $answer {{ default '{body}'; {len(HEAD_CALL)} '{head}'; }}"]
        body = "$answer"
    return Nginx(name, folder, BACKEND.format(port=port, body=body, blocks="\n".join(blocks)))


def canned_file(name, folder, port, path):
    """A backend that gives a file to whatever it is asked."""
    return Nginx(name, folder, FILE.format(port=port, root=path.parent, name=path.name))


def plain_proxy(name, folder, port, backend):
    """A proxy in front of the backend at that port."""
    return Nginx(name, folder, PROXY.format(port=port, backend=backend))
