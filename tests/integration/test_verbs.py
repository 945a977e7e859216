# SPDX-License-Identifier: Apache-2.0
"""The verbs that set a gateway or a node up, in the words in which their help speaks."""

import os
import re
import stat
import subprocess

import pytest

from support import net, paths
from support.process import Process, wait_for

HEX = r"[0-9a-f]{64}"


def counterfoil(*words, cwd=None, env=None, text=None):
    """Runs a verb; (exit status, standard output, standard error)."""
    done = subprocess.run([str(paths.COUNTERFOIL), *map(str, words)], cwd=cwd, input=text or "",
                          env=dict(os.environ, **(env or {})), capture_output=True, text=True,
                          check=False, timeout=60, start_new_session=True)
    return done.returncode, done.stdout, done.stderr


def test_help_lists_every_verb_and_each_has_a_page_of_its_own():
    status, out, _ = counterfoil("help")
    assert status == 0
    verbs = re.findall(r"^  ([a-z-]+) +\S", out, re.M)
    assert {"gateway", "node", "init", "doctor", "key", "check-config", "registry", "stake", "unstake",
            "fund", "grant", "audit", "version"} <= set(verbs)
    for verb in verbs:
        status, page, _ = counterfoil("help", verb)
        assert status == 0 and page.startswith(f"usage: counterfoil {verb}"), verb
        assert all(len(line) <= 100 for line in page.splitlines()), verb
        if verb != "audit":
            assert counterfoil(verb, "--help")[1] == page


def test_a_mistyped_verb_gets_a_hint_and_exit_status_3():
    status, out, err = counterfoil("gatway")
    assert (status, out) == (3, "") and "did you mean `gateway'" in err
    assert counterfoil()[0] == 3
    assert counterfoil("key", "nwe")[0] == 3


def test_check_config_reports_all_that_is_wrong_with_its_place(tmp_path):
    path = tmp_path / "gateway.yaml"
    path.write_text("gateway:\n  lisen: 127.0.0.1:1\n  batch_max: 0\nledger:\n  sync: never\n")
    status, out, err = counterfoil("check-config", path)
    assert status == 1 and out == ""
    assert err.splitlines() == [
        f"{path}:2:3: gateway.lisen: unknown option; did you mean gateway.listen?",
        f"{path}:3:14: gateway.batch_max: out of range; allowed: 1..10000",
        f"{path}:5:9: ledger.sync: unknown word; allowed: normal full",
        f"counterfoil: {path}: 3 problems"]
    path.write_text("gateway:\n  batch_max: 7\n")
    assert counterfoil("check-config", path)[0] == 0
    status, out, _ = counterfoil("check-config", "--print", path, "--gateway.deadline", "2 s",
                                 env={"COUNTERFOIL_LOG_LEVEL": "debug"})
    assert status == 0
    assert f"gateway.batch_max = 7 ({path}:2)\n" in out
    assert "gateway.deadline = 2 s (command line)\n" in out
    assert "log.level = debug (environment)\n" in out


def test_a_key_is_private_never_overwritten_and_shows_its_public_half(tmp_path):
    path = tmp_path / "node.key"
    status, public, _ = counterfoil("key", "new", "supplier", path)
    assert status == 0 and re.fullmatch(HEX + "\n", public)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    before = path.read_bytes()
    status, _, err = counterfoil("key", "new", "supplier", path)
    assert status == 1 and "never overwritten" in err
    assert path.read_bytes() == before
    assert counterfoil("key", "show", path)[1] == public
    path.chmod(0o644)
    status, _, err = counterfoil("key", "show", path)
    assert status == 1 and "chmod 600" in err


def test_a_passphrase_encrypts_the_key_and_is_asked_for_nowhere_without_a_terminal(tmp_path):
    path, words = tmp_path / "gateway.key", tmp_path / "words"
    words.write_text("horse battery\n")
    assert counterfoil("key", "new", "gateway", path, "--passphrase-file", words)[0] == 0
    assert "kdf argon2id13" in path.read_text() and "secret" not in path.read_text()
    assert counterfoil("key", "show", "--role", path)[1].startswith("gateway encrypted ")
    status, _, err = counterfoil("key", "new", "gateway", tmp_path / "other", "--encrypt")
    assert status == 1 and "no passphrase" in err
    status = counterfoil("key", "new", "gateway", tmp_path / "third",
                         env={"COUNTERFOIL_PASSPHRASE": "horse"})[0]
    assert status == 0 and "kdf" in (tmp_path / "third").read_text()


def test_an_encrypted_copy_of_a_key_takes_its_place(tmp_path):
    key, copy, words = (tmp_path / name for name in ("node.key", "copy.key", "words"))
    words.write_text("horse battery\n")
    public = counterfoil("key", "new", "supplier", key)[1]
    assert counterfoil("key", "encrypt", key, copy, "--passphrase-file", words) == (0, public, "")
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600 and "secret" not in copy.read_text()
    assert counterfoil("key", "show", "--role", copy)[1] == "supplier encrypted " + public
    before = copy.read_bytes()
    status, _, err = counterfoil("key", "encrypt", key, copy, "--passphrase-file", words)
    assert status == 1 and "never overwritten" in err and copy.read_bytes() == before
    status, _, err = counterfoil("key", "encrypt", copy, tmp_path / "third")
    assert status == 1 and "encrypted already" in err
    status, _, err = counterfoil("key", "encrypt", key, tmp_path / "third")
    assert status == 1 and "no passphrase" in err and not (tmp_path / "third").exists()


def lines_to_run(out):
    """The commands that a verb has printed, as words without the program's name."""
    return [line.split()[1:] for line in out.splitlines() if line.startswith("  counterfoil ")]


@pytest.fixture(scope="module")
def keeper(folder):
    """A registry that is served; (Process, its sqlite file, its URL, its key)."""
    path = folder / "registry.db"
    status, out, err = counterfoil("registry", "init", "--block-ms", 100, "--session-blocks", 10,
                                   "--snapshot-lag", 4, "--seed-lag", 2, path)
    assert status == 0, err
    key = re.search(HEX, out).group()
    port = net.free_port()
    process = Process("keeper", [paths.COUNTERFOIL, "registry", "serve", "--listen",
                                 f"127.0.0.1:{port}", path], folder).start()
    url = f"http://127.0.0.1:{port}/"
    process.ready(lambda: net.answers(url))
    yield process, path, url, key
    process.end()


def test_a_node_and_a_gateway_join_by_init_doctor_and_the_lines_that_they_print(folder, keeper, anvil):
    _, database, url, key = keeper
    ports = {name: net.free_port() for name in ("node", "gateway", "node admin", "gateway admin")}
    status, out, err = counterfoil(
        "init", "node", "--dir", "n", "--registry", url, "--registry-key", key,
        "--backend", f"eth={anvil.url}", "--listen", f"127.0.0.1:{ports['node']}",
        "--endpoint", f"127.0.0.1:{ports['node']}", "--admin", f"127.0.0.1:{ports['node admin']}",
        cwd=folder)
    assert status == 0, err
    stake, doctor_node, run_node = lines_to_run(out)
    status, out, err = counterfoil(
        "init", "gateway", "--dir", "g", "--registry", url, "--registry-key", key,
        "--listen", f"127.0.0.1:{ports['gateway']}", "--admin", f"127.0.0.1:{ports['gateway admin']}",
        cwd=folder)
    assert status == 0, err
    fund, grant, doctor_gateway, run_gateway = lines_to_run(out)

    # Before the keeper has done anything the doctor says what is missing.
    status, out, _ = counterfoil(*doctor_node, cwd=folder)
    assert status == 1 and re.search(r"^fix   stake: .* is not staked", out, re.M)
    assert re.search(r"^pass  backend eth \S+: chain \d+$", out, re.M)
    status, out, _ = counterfoil(*doctor_gateway, cwd=folder)
    assert status == 1 and re.search(r"^fix   grant eth: ", out, re.M)

    # The keeper runs the lines; the grant is signed where the application's key is.
    where = {"COUNTERFOIL_REGISTRY_SOURCE": str(database)}
    assert stake[0] == "stake" and counterfoil(*stake, env=where)[0] == 0
    assert fund[0] == "fund" and counterfoil(*fund, env=where)[0] == 0
    status, signed, err = counterfoil(*grant, cwd=folder)
    assert status == 0, err
    status, _, err = counterfoil("grant", "--record", signed.strip().splitlines()[-1], env=where)
    assert status == 0, err

    # The registry is polled: the doctor is content soon, and both programs serve.
    for words in (doctor_node, doctor_gateway):
        wait_for(" ".join(words), lambda w=words: counterfoil(*w, cwd=folder)[0] == 0)
    node = Process("joined-node", [paths.COUNTERFOIL, *run_node], folder).start()
    gateway = Process("joined-gateway", [paths.COUNTERFOIL, *run_gateway], folder).start()
    try:
        gateway.ready(lambda: net.answers(f"http://127.0.0.1:{ports['gateway admin']}/readyz"), 40)
        assert net.result(f"http://127.0.0.1:{ports['gateway']}/", "eth_chainId") == "0x7a69"
        assert node.running() and gateway.stop() == 0 and node.stop() == 0
    finally:
        gateway.end()
        node.end()


def test_init_keeps_what_is_there(tmp_path):
    assert counterfoil("init", "node", cwd=tmp_path)[0] == 0
    key, config = (tmp_path / "node.key").read_bytes(), (tmp_path / "node.yaml").read_bytes()
    status, _, err = counterfoil("init", "node", cwd=tmp_path)
    assert status == 1 and "is not overwritten" in err
    (tmp_path / "node.yaml").unlink()
    status, out, _ = counterfoil("init", "node", cwd=tmp_path)
    assert status == 0 and "kept   ./node.key" in out
    assert (tmp_path / "node.key").read_bytes() == key
    assert (tmp_path / "node.yaml").read_bytes() == config


@pytest.mark.parametrize("words, says", [
    (("--backend", "eth"), "SERVICE=URL"),
    (("--endpoint", "here"), "`here' is not host:port"),
])
def test_init_writes_nothing_when_a_word_is_wrong(tmp_path, words, says):
    status, _, err = counterfoil("init", "node", "--dir", tmp_path / "n", *words)
    assert status == 3 and says in err
    assert not (tmp_path / "n").exists()


def test_doctor_says_what_to_do_about_each_thing(tmp_path):
    path = tmp_path / "node.yaml"
    path.write_text("node: {key: no.key, services: {eth: 'http://127.0.0.1:1'}}\n"
                    "registry: {source: none.db}\nledger: {dir: ledger}\n")
    status, out, err = counterfoil("doctor", path)
    assert status == 1 and err == ""
    fixes = re.findall(r"^fix   (.+?): .*$", out, re.M)
    # Whether the disk is large enough is this machine's business.
    assert [f for f in fixes if f != "disk"] == ["key", "backend eth http://127.0.0.1:1", "registry"]
    assert f"counterfoil key new supplier {tmp_path}/no.key" in out
    assert re.search(r"^(pass|fix )  disk: ", out, re.M) and re.search(r"^pass  files: ", out, re.M)


def test_doctor_names_the_configuration_when_it_cannot_be_read(tmp_path):
    path = tmp_path / "node.yaml"
    path.write_text("node: {kee: no.key}\n")
    for words in ((path,), ("--role", "node", path), (tmp_path / "none.yaml",)):
        status, out, err = counterfoil("doctor", *words)
        assert status == 1 and err
        assert out == "fix   configuration: correct what is said above, then ask again\n"
    assert counterfoil("doctor", "--role", "keeper", path)[0] == 3


def test_too_few_files_are_told_at_start_and_by_the_doctor(tmp_path):
    """Both count the connections that the limits of the configuration allow."""
    path = tmp_path / "gateway.yaml"
    path.write_text("gateway: {key: no.key, application: '" + "a" * 64 + "', connections_max: 5000}\n"
                    "registry: {source: none.db}\nledger: {dir: ledger}\n")
    few = ["prlimit", "--nofile=1024:1024", str(paths.COUNTERFOIL)]
    said = subprocess.run([*few, "gateway", path], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, check=False, timeout=60)
    assert re.search(r"warn program\.files may_open=1024 asked_for=5\d{3} ", said.stderr), said.stderr
    said = subprocess.run([*few, "doctor", path], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, check=False, timeout=60)
    assert re.search(r"^fix   files: 1024 files may be open, .* ask for 5\d{3}; set LimitNOFILE",
                     said.stdout, re.M), said.stdout
    path.write_text(path.read_text().replace("5000", "100"))
    said = subprocess.run([*few, "gateway", path], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, check=False, timeout=60)
    assert "program.files" not in said.stderr
