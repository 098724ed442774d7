"""Fixtures of the end-to-end stories: real agents of the binary that STARLING_BIN names (default build/san/starling).

A story makes its own flock with `flock(n)`; stories that only look, or that must leave everything as it was, share
the one of their module (`shared`).
"""
import json
import os
import sys

import pytest

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
sys.path.insert(0, os.path.join(ROOT, "tests", "lib"))

from flock import Flock, wait_until  # noqa: E402

BINARY = os.environ.get("STARLING_BIN", os.path.join(ROOT, "build", "san", "starling"))
# What a sanitizer says must not be lost in a log that nobody reads: an agent that it ends has failed its story.
SANITIZERS = {"ASAN_OPTIONS": "abort_on_error=0:exitcode=99:detect_leaks=1", "UBSAN_OPTIONS": "print_stacktrace=1:exitcode=99"}
_nets = iter(range(2, 250))
_base = os.getpid() % 50 * 5


def new_flock(n, hosts=False):
    # Each flock of a run has a network of its own, so that a late packet of one never reaches the next.
    return Flock(BINARY, n, net=2 + (_base + next(_nets)) % 250, prefix="starling-e2e-", agent_env=SANITIZERS,
                 hosts=hosts)


def check_and_destroy(f):
    """Ends a flock; fails the story when an agent wrote a sanitizer's report or left something behind."""
    reports = []
    for peer in f.peers:
        peer.stop()
        if os.path.exists(peer.log):
            with open(peer.log, encoding="utf-8", errors="replace") as log:
                text = log.read()
            at = max(text.find("ERROR: AddressSanitizer"), text.find("runtime error:"), text.find("LeakSanitizer"))
            if at >= 0:
                reports.append(f"{peer.name}: {text[max(0, at - 200):at + 4000]}")
    f.destroy()
    assert not reports, "\n".join(reports)
    assert not f.left_over()


@pytest.fixture
def flock(request):
    """flock(n): n peers, up and seeing each other; flock(n, up=False): nothing started yet; flock(n, hosts=True): each
    on a host of its own, a network namespace (root only)."""
    made = []

    def make(n=3, up=True, labels=None, hosts=False):
        f = new_flock(n, hosts)
        made.append(f)
        for peer, own in zip(f.peers, labels or []):
            peer.labels = own
        return f.up() if up else f

    yield make
    for f in made:
        if request.node.stash.get(FAILED, False):
            for peer in f.peers:
                if peer.process:
                    print(f"--- {peer.name}\n{peer.new_log()[-6000:]}")
        check_and_destroy(f)


@pytest.fixture(scope="module")
def shared():
    """Three peers with a stack `base` of three sleeping replicas, for stories that change nothing."""
    f = new_flock(3)
    f.up()
    f.cli("deploy", f.write("base.yaml", stack("base", web=sleeper(3, ports=[{"name": "http", "target": 80}]))), "--detach")
    f.wait_serving("base", 3)
    yield f
    check_and_destroy(f)


FAILED = pytest.StashKey()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    if report.when == "call":
        item.stash[FAILED] = report.failed


def stack(name, **services):
    """A Compose file as JSON, which is YAML; returns its text."""
    return json.dumps({"name": name, "services": services}, indent=1)


def sleeper(replicas=1, **more):
    """A service whose tasks do nothing, and end at once when told to."""
    service = {"command": ["/bin/sleep", "100000"], "deploy": {"replicas": replicas}}
    deploy = more.pop("deploy", {})
    service["deploy"].update(deploy)
    return {**service, **more}


def shell(script, replicas=1, **more):
    """A service that runs a shell script; `$` is Compose's, so it is doubled."""
    return {"command": ["/bin/sh", "-c", script.replace("$", "$$")], "deploy": {"replicas": replicas}, **more}


def snapshot(f, peer=0):
    """What must not change when input is refused: the peers, the stacks with their revisions, who runs what."""
    peers = sorted((r["id"], r["name"], r["address"], r["incarnation"]) for r in f.json("node", "ls", peer=peer))
    stacks = f.json("ls", peer=peer)
    history = [f.json("history", row["stack"], peer=peer) for row in stacks]
    return peers, stacks, history, sorted((r["stack"], r["service"], r["slot"], r["task"], r["pid"]) for r in f.ps(peer=peer))


def pids(rows):
    return {(r["service"], r["slot"]): r["pid"] for r in rows}


def one_owner_per_slot(f, name, n, timeout=60.0):
    """Waits until n tasks of a stack serve, the same on every peer's list, and none of its processes is beside them."""
    others = {r["pid"] for r in f.ps() if r["stack"] != name}

    def settled():
        views = [pids(f.serving(name, peer=p.number - 1)) for p in f.peers if p.running()]
        running = {pid for p in f.peers for pid in p.tasks()} - others
        return views[0] if len(views[0]) == n and all(v == views[0] for v in views) and running == set(views[0].values()) \
            else None
    return wait_until(f"one owner for each slot of {name}", settled, timeout, every=0.2)


def equal_stores(f, timeout=60.0):
    """Waits until all running peers hold the same records."""
    def same():
        return len({f.json("status", peer=p.number - 1)["store"]["root_hash"] for p in f.peers if p.running()}) == 1
    wait_until("equal stores", same, timeout, every=0.2)


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: nft, mount or raw sockets")
