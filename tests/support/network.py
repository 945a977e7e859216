# SPDX-License-Identifier: Apache-2.0
"""A network under test: a sqlite registry, one gateway and nodes as processes.

Everything is in one folder, on free ports of 127.0.0.1.  Time is compressed by short heights.  The
registry says all from height 0 on, so that there is a session at once (network_main.c); how it is
filled by the verbs, and what comes of that later, is test_registry.py's and test_two_machines.py's.
"""

import http.client
import subprocess

from support import net, paths
from support.export import Export
from support.process import PATIENCE_S, Process, wait_for

SERVICE = "eth"
TOKEN = 10**6  # stake_unit, a weight of 1
# Heights between a snapshot and its session, and a seed and its session: short, as time is here.
LAGS = {"snapshot_lag": 4, "seed_lag": 2, "grace_blocks": 10}

# Limits that a slow machine, or one that stops for a while, is not to meet unless a test is about them.
PATIENT = {"gateway": {"deadline": "30 s"}, "link": {"handshake_timeout": "30 s"},
           "node": {"link.handshake_rate_per_source_max": 256},  # all tests have one address
           "upstream": {"connect_timeout": "20 s", "probe_timeout": "20 s", "slow_after": "20 s"}}

# Most tests count relays and read receipts: each call is a relay of its own.  Others take the product as it is.
EACH_A_RELAY = {"share": False, "cache_bytes": "0 B"}
AS_SHIPPED = {"share": True, "cache_bytes": "64 MiB"}


def run(*words, cwd=None, env=None):
    """Runs a verb of counterfoil; its output.  AssertionError with all that it said."""
    done = subprocess.run([str(paths.COUNTERFOIL), *map(str, words)], cwd=cwd, env=env,
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
                          timeout=120)
    assert done.returncode == 0, f"counterfoil {words}: exit {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout


def write_yaml(path, sections):
    """A configuration of two levels; lists in flow style."""
    lines = []
    for section, options in sections.items():
        if not options:
            continue
        lines.append(f"{section}:")
        for name, value in options.items():
            if isinstance(value, bool):
                value = str(value).lower()
            elif isinstance(value, dict):
                value = "{" + ", ".join(f"{k}: [{', '.join(v)}]" for k, v in value.items()) + "}"
            elif isinstance(value, list):
                value = "[" + ", ".join(value) + "]"
            lines.append(f"  {name}: {value}")
    path.write_text("\n".join(lines) + "\n")


class Network:
    """gateway (Process), nodes (list of Process), url, node_keys, gateway_key.

    gateway, node: options of the section of that name, or of another: {"link.idle_timeout": "3 s"}."""

    def __init__(self, folder, upstreams, stakes=(1, 1, 1), block_ms=100, session_blocks=30,
                 session_suppliers=None, applications=1, by_url=False, gateway=None, node=None,
                 params=None, guests=(), gateways=(), upstream=None, limits=PATIENT,
                 prices=None, entries=(), failover=True):
        """guests: (key, port, stake) of suppliers and gateways: keys, that the test itself plays.
        limits: of time, by section, that hold where the test says nothing; {}: those of the product.
        failover: each node has all upstreams, its own first; else only its own.
        prices: of the nodes.  entries: more lines for network_main.c, with {folder} for ours."""
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.upstreams, self.stakes = list(upstreams), list(stakes)
        self.block_ms, self.session_blocks = block_ms, session_blocks
        self.guests, self.guest_gateways = list(guests), list(gateways)
        self.session_suppliers = session_suppliers or len(self.stakes) + len(self.guests)
        self.params = LAGS | (params or {})
        self.by_url = by_url
        self.failover = failover
        self.limits = limits
        self.upstream = upstream or {}
        self.port = net.free_port()
        self.url = f"http://127.0.0.1:{self.port}/"
        self.admin_urls, self.node_ports = [], [net.free_port() for _ in self.stakes]
        self._make_registry(applications, prices or [0] * len(self.stakes), entries)
        self.gateway = self._gateway(gateway or {})
        self.nodes = [self._node(n, node or {}) for n in range(len(self.stakes))]
        self.exported = 0

    # -- files

    def key_file(self, name):
        """The path of a key."""
        return str(self.folder / f"{name}.key")

    @staticmethod
    def make(*lines):
        """What network_main.c prints for these lines."""
        done = subprocess.run([paths.MAKE_NETWORK], input="\n".join(lines) + "\n", text=True,
                              capture_output=True, check=False, timeout=600)
        assert done.returncode == 0, done.stderr
        return done.stdout.split()

    def _make_registry(self, applications, prices, entries):
        """The keys; the registry: parameters, stakes, escrow and grants; and its keeper."""
        self.registry = self.folder / "registry.db"
        lines = [f"{name} {value}" for name, value in (self.params | {
            "block_ms": self.block_ms, "session_blocks": self.session_blocks,
            "session_suppliers": self.session_suppliers}).items()]
        lines.append(f"registry {self.registry} {self.key_file('registry.db')}")
        own = [(self.key_file(f"node{n}"), port, stake, price) for n, (port, stake, price) in
               enumerate(zip(self.node_ports, self.stakes, prices))]
        for key, port, stake, price in [*own, *((*guest, 0) for guest in self.guests)]:
            lines.append(f"supplier {key} 127.0.0.1:{port} {stake * TOKEN} {price}")
        for n in range(applications):
            lines.append(f"application {self.key_file(f'app{n}')} {10**6 * TOKEN}")
            for gateway in [self.key_file("gateway"), *self.guest_gateways]:
                lines.append(f"grant {self.key_file(f'app{n}')} {gateway} {TOKEN}")
        lines += [line.format(folder=self.folder) for line in entries]
        lines += ["key registry " + self.key_file("registry.db"), "key gateway " + self.key_file("gateway")]
        lines += [f"key supplier {self.key_file(f'node{n}')}" for n in range(len(self.stakes))]
        lines += [f"key application {self.key_file(f'app{n}')}" for n in range(applications)]
        self.registry_key, self.gateway_key, *keys = self.make(*lines)
        self.node_keys, self.applications = keys[:len(self.stakes)], keys[len(self.stakes):]
        port = net.free_port()
        self.registry_url = f"http://127.0.0.1:{port}/"
        self.keeper = Process("keeper", [
            paths.COUNTERFOIL, "registry", "serve", "--key", self.folder / "registry.db.key",
            "--listen", f"127.0.0.1:{port}", self.registry], self.folder)

    def _common(self, name, role):
        admin = net.free_port()
        self.admin_urls.append(f"http://127.0.0.1:{admin}")
        registry = {"source": self.registry_url if self.by_url else self.registry,
                    "key": self.registry_key}
        return {"registry": registry,
                "ledger": {"dir": self.folder / f"{name}.ledger"},
                "admin": {"listen": f"127.0.0.1:{admin}"},
                "link": dict(self.limits.get("link", {})),
                role: {"key": self.folder / f"{name}.key"}}

    def _gateway(self, more):
        sections = self._common("gateway", "gateway")
        tokens = self.folder / "tokens"
        tokens.write_text("".join(f"application-token-{n:06d} {app}\n" for n, app in enumerate(self.applications)))
        tokens.chmod(0o600)
        sections["gateway"] |= {"listen": f"127.0.0.1:{self.port}", "tokens": tokens,
                                "application": self.applications[0],
                                **EACH_A_RELAY, **self.limits.get("gateway", {}), **more}
        return self._process("gateway", sections)

    def _node(self, n, more):
        sections = self._common(f"node{n}", "node")
        # Node i prefers upstream i mod n and has the rest as failover.
        turn = n % len(self.upstreams)
        urls = self.upstreams[turn:] + self.upstreams[:turn] if self.failover else [self.upstreams[turn]]
        sections["node"] |= {"listen": f"127.0.0.1:{self.node_ports[n]}", "services": {SERVICE: urls},
                             **self.limits.get("node", {}), **more}
        sections["upstream"] = self.limits.get("upstream", {}) | self.upstream
        process = self._process(f"node{n}", sections, verb="node")
        return process

    def _process(self, name, sections, verb="gateway"):
        for option in [option for option in sections[verb] if "." in option]:
            section, _, word = option.partition(".")
            sections.setdefault(section, {})[word] = sections[verb].pop(option)
        path = self.folder / f"{name}.yaml"
        write_yaml(path, sections)
        process = Process(name, [paths.COUNTERFOIL, verb, "--config", path], self.folder)
        process.config = path
        process.admin = "http://" + sections["admin"]["listen"]
        return process

    def tokens(self, count):
        """A file of the first COUNT tokens, for wrk.lua."""
        path = self.folder / f"tokens-{count}"
        lines = (self.folder / "tokens").read_text().splitlines(keepends=True)[:count]
        path.write_text("".join(lines))
        return path

    # -- life

    def processes(self):
        """All of them, the gateway first."""
        return [self.gateway, *self.nodes]

    def start(self, timeout=PATIENCE_S):
        """Starts all; returns when a call would be answered, by each node that is in every session."""
        self.start_keeper()
        for node in self.nodes:
            node.start()
        self.gateway.start()
        self.wait_ready(timeout)
        if self.session_suppliers >= len(self.stakes) + len(self.guests):
            # What no readiness says: the first node to be there makes a gateway ready.
            wait_for("a session on each node", lambda: all(
                self.metric(node, "counterfoil_node_sessions") > 0 for node in self.nodes), timeout)
        return self

    def start_keeper(self):
        """Starts the registry's keeper, if it does not run yet: guests need it before the others."""
        if not self.keeper.running():
            self.keeper.start()
        self.keeper.ready(lambda: net.answers(self.registry_url))

    def wait_ready(self, timeout=PATIENCE_S):
        """Waits until every process says so and a call is answered."""
        for process in self.processes():
            process.ready(lambda p=process: net.answers(p.admin + "/readyz"), timeout)
        wait_for("a first answer", lambda: self._answers(self.url), timeout)
        if len(self.applications) > 1:
            # Its grant was the last to be made, so it is the last to be active.
            last = (self.folder / "tokens").read_text().split()[-2]
            wait_for("the last application's answer",
                     lambda: self._answers(f"{self.url}{SERVICE}/{last}"), timeout)

    @staticmethod
    def _answers(url):
        try:
            return bool(net.result(url, "eth_chainId"))
        except (OSError, AssertionError, ValueError, http.client.HTTPException):
            return False

    def stop(self):
        """Asks all to end, the gateway first; each must exit with 0."""
        for process in self.processes():
            assert process.stop() == 0, f"{process.name}: {process.log()[-2000:]}"
        self.keeper.stop()

    def end(self):
        """The end of a test, however it went."""
        for process in [*self.processes(), self.keeper]:
            process.end()

    # -- what it did

    def metric(self, process, name):
        """The sum of a metric over its labels."""
        text = net.get(process.admin + "/metrics")[2].decode()
        return sum(float(line.rpartition(" ")[2]) for line in text.splitlines()
                   if line.split("{")[0].split(" ")[0] == name)

    def relayed(self):
        """Relays that the gateway has answered."""
        return self.metric(self.gateway, "counterfoil_gateway_picks_total")

    def export(self, process):
        """The ledger of one process, exported by the verb."""
        self.exported += 1
        into = self.folder / f"export-{process.name}-{self.exported}"
        role = "node" if process in self.nodes else "gateway"
        run("ledger", "export", "--role", role, "--config", process.config, "--private",
            "--audit", into)
        return Export(into)

    def exports(self):
        """(the gateway's export, those of the nodes)."""
        return self.export(self.gateway), [self.export(node) for node in self.nodes]

    def all_cosigned(self):
        """True when every lane of every node has its last head cosigned."""
        return all(lane.final_size() == len(lane.leaves)
                   for node in self.nodes for lane in self.export(node).lanes.values())

    def settled(self):
        """exports(), once every lane of every node has its last delivered head cosigned; else None."""
        gateway, nodes = self.exports()
        for lane in (lane for node in nodes for lane in node.lanes.values()):
            undelivered = sum(to - start for start, to in lane.undelivered)
            if lane.final_size() != len(lane.leaves) - undelivered:
                return None
        return gateway, nodes
