# SPDX-License-Identifier: Apache-2.0
"""A network under test: a sqlite registry made by the verbs, one gateway and nodes as processes.

Everything is in one folder, on free ports of 127.0.0.1.  Time is compressed by short heights.
"""

import http.client
import subprocess

from support import net, paths
from support.export import Export
from support.process import Process, wait_for

SERVICE = "eth"
TOKEN = 10**6  # stake_unit, a weight of 1
# Heights between a snapshot and its session, and a seed and its session: short, as time is here.
LAGS = {"snapshot_lag": 4, "seed_lag": 2, "grace_blocks": 10}


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
                 params=None, guests=(), gateways=(), upstream=None):
        """guests: (key, port, stake) of suppliers and gateways: keys, that the test itself plays."""
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.upstreams, self.stakes = list(upstreams), list(stakes)
        self.block_ms, self.session_blocks = block_ms, session_blocks
        self.guests, self.guest_gateways = list(guests), list(gateways)
        self.session_suppliers = session_suppliers or len(self.stakes) + len(self.guests)
        self.params = LAGS | (params or {})
        self.by_url = by_url
        self.upstream = upstream or {}
        self.port = net.free_port()
        self.url = f"http://127.0.0.1:{self.port}/"
        self.admin_urls, self.node_ports = [], [net.free_port() for _ in self.stakes]
        self._make_keys(applications)
        self._make_registry()
        self.gateway = self._gateway(gateway or {})
        self.nodes = [self._node(n, node or {}) for n in range(len(self.stakes))]
        self.exported = 0

    # -- files

    def _make_keys(self, applications):
        self.registry_key = run("key", "new", "registry", self.folder / "registry.db.key").strip()
        self.gateway_key = run("key", "new", "gateway", self.folder / "gateway.key").strip()
        self.node_keys = [run("key", "new", "supplier", self.folder / f"node{n}.key").strip()
                          for n in range(len(self.stakes))]
        self.applications = [run("key", "new", "application", self.folder / f"app{n}.key").strip()
                             for n in range(applications)]

    def _make_registry(self):
        """The registry, by the verbs: parameters, stakes, escrow and grants; and its keeper."""
        self.registry = self.folder / "registry.db"
        words = ["--block-ms", self.block_ms, "--session-blocks", self.session_blocks,
                 "--session-suppliers", self.session_suppliers]
        for name, value in self.params.items():
            words += ["--" + name.replace("_", "-"), value]
        run("registry", "init", "--key", self.folder / "registry.db.key", *words, self.registry)
        own = zip(self.node_keys, self.node_ports, self.stakes)
        for key, port, stake in [*own, *self.guests]:
            run("stake", "--registry", self.registry, "--service", SERVICE, "--endpoint",
                f"127.0.0.1:{port}", key, stake * TOKEN)
        for n, application in enumerate(self.applications):
            run("fund", "--registry", self.registry, application, 10**6 * TOKEN)
            for gateway in [self.gateway_key, *self.guest_gateways]:
                run("grant", "--registry", self.registry, "--key", self.folder / f"app{n}.key",
                    gateway, SERVICE, TOKEN)
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
                role: {"key": self.folder / f"{name}.key"}}

    def _gateway(self, more):
        sections = self._common("gateway", "gateway")
        tokens = self.folder / "tokens"
        tokens.write_text("".join(f"application-token-{n:06d} {app}\n" for n, app in enumerate(self.applications)))
        tokens.chmod(0o600)
        sections["gateway"] |= {"listen": f"127.0.0.1:{self.port}", "tokens": tokens,
                                "application": self.applications[0], **more}
        return self._process("gateway", sections)

    def _node(self, n, more):
        sections = self._common(f"node{n}", "node")
        # Node i prefers upstream i mod n and has the rest as failover.
        turn = n % len(self.upstreams)
        urls = self.upstreams[turn:] + self.upstreams[:turn]
        sections["node"] |= {"listen": f"127.0.0.1:{self.node_ports[n]}", "services": {SERVICE: urls},
                             **more}
        if self.upstream:
            sections["upstream"] = self.upstream
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

    def start(self, timeout=30):
        """Starts all; returns when a call would be answered."""
        self.start_keeper()
        for node in self.nodes:
            node.start()
        self.gateway.start()
        self.wait_ready(timeout)
        return self

    def start_keeper(self):
        """Starts the registry's keeper, if it does not run yet: guests need it before the others."""
        if not self.keeper.running():
            self.keeper.start()
        self.keeper.ready(lambda: net.answers(self.registry_url))

    def wait_ready(self, timeout=30):
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
        role = "gateway" if process is self.gateway else "node"
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
