"""Who runs what, on five real agents with a host each: lost hosts and lost agents, drains under load, splits with each
policy, agents replaced under their tasks, labels, priorities. The stories share one flock, each leaves it as it was; the
last one puts a peer out."""
import os
import shutil
import signal
import threading
import time
import urllib.error
import urllib.request

import pytest

import dnsq
from conftest import check_and_destroy, needs_root, new_flock, one_owner_per_slot, pids, shell, sleeper, stack
from flock import alive, wait_until

pytestmark = needs_root  # every story here

ZONES = ["a", "a", "b", "b", "c"]


def where(rows):
    return {(r["service"], r["slot"]): r["peer_name"] for r in rows}


@pytest.fixture(scope="module")
def flock_of_five():
    f = new_flock(5, hosts=True)
    # Its own copy of the binary, which may be replaced.
    f.binary = shutil.copy(f.binary, os.path.join(f.folder, "starling"))
    for peer, zone in zip(f.peers, ZONES):
        peer.labels = [f"zone={zone}"]
    f.up()
    yield f
    check_and_destroy(f)


@pytest.fixture
def five(flock_of_five):
    """Five peers of zones a, a, b, b, c with nothing to do; afterwards they are that again."""
    f = flock_of_five
    yield f
    f.network.calm()
    for peer in f.peers:
        if not peer.running():
            peer.start()
    f.wait_alive()
    for name in {row["stack"] for row in f.json("ls")}:
        f.cli("rm", name, "--yes", "--detach")
    wait_until("nothing to run any more", lambda: not any(p.processes() for p in f.peers), 30)
    for peer in f.peers:
        rest(f, peer)


def rest(f, peer):
    """A peer that waits after crashes is stopped and started, as its operator would."""
    if state(f, peer) == "waiting":
        assert peer.stop() == 0
        peer.start()
        assert state(f, peer) != "waiting"


def state(f, peer):
    return f.json("status", peer=peer.number - 1)["state"]


def deploy(f, name, peer=0, **services):
    f.cli("deploy", f.write(f"{name}.yaml", stack(name, **services)), "--detach", peer=peer)


def others(f, *without):
    return [p.name for p in f.peers if p not in without]


# --- agents and hosts that go ---

def note_start(f):
    """A file to which each task that runs `note` at its start adds a line."""
    path = f.write("starts", "")
    os.chmod(path, 0o666)
    return path, f'echo "$STARLING_SERVICE $STARLING_SLOT $STARLING_PEER" >> {path}'


def lines(path):
    with open(path, encoding="utf-8") as log:
        return log.read().splitlines()


def test_an_agent_that_dies_alone_leaves_its_tasks_except_where_a_watchdog_guards_them(five):
    f, victim = five, five[4]
    path, note = note_start(f)
    deploy(f, "a", plain=sleeper(5), guarded=shell(f"{note}; exec sleep 100000", 5, **{"x-starling": {"watchdog": "5s"}}))
    before = f.wait_serving("a", 10)
    wait_until("five starts", lambda: len(lines(path)) == 5)
    plain = [r["pid"] for r in before if r["peer_name"] == "p5" and r["service"] == "plain"]
    guarded = [r["pid"] for r in before if r["peer_name"] == "p5" and r["service"] == "guarded"]
    assert plain and guarded
    stay = pids(r for r in before if r["peer_name"] != "p5")
    victim.kill()
    f.wait_serving("a", 10, on=others(f, victim))
    wait_until("the watchdogs to have stopped what they guard", lambda: not any(alive(pid) for pid in guarded))
    assert all(alive(pid) for pid in plain)
    starts = lines(path)
    assert len(starts) == 5 + len(guarded)
    # Its agent is back: what moved stops there, and nothing of what the watchdogs stopped runs again.
    victim.start()
    f.wait_alive()
    now = one_owner_per_slot(f, "a", 10)
    assert {k: pid for k, pid in now.items() if k in stay} == stay, "what was not lost did not move"
    assert lines(path) == starts
    assert "its watchdog stopped it" in victim.new_log()


def readyz(peer):
    def fetch():
        try:
            with urllib.request.urlopen("http://%s:%d/readyz" % peer.http, timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as e:
            return e.code, e.read().decode()
    return peer.call(fetch)


def test_a_lost_host_s_slots_run_elsewhere_and_its_crashing_agent_gets_no_new_work(five):
    f, lost = five, five[3]
    rest(f, lost)
    deploy(f, "a", s=sleeper(10))
    before = f.wait_serving("a", 10)
    stay = pids(r for r in before if r["peer_name"] != lost.name)
    assert len(stay) == 8
    lost.lose()
    f.wait_serving("a", 10, on=others(f, lost))
    now = pids(f.serving("a"))
    assert {k: pid for k, pid in now.items() if k in stay} == stay, "what was not lost did not move"
    # It is back, and takes nothing from anybody. It was started again soon after it had taken work: it waits.
    lost.start()
    f.wait_alive()
    status = f.json("status", peer=3)
    assert status["state"] == "waiting" and "restarted 1 time in a row; takes new work in " in status["reason"]
    code, text = readyz(lost)
    assert code == 503 and text.startswith("not ready: restarted 1 time in a row; takes new work in ")
    deploy(f, "b", s=sleeper(5))
    assert set(where(f.wait_serving("b", 5)).values()) <= set(others(f, lost))
    # A second crash; then its operator restarts it: that is no crash, and it is as good as any other at once.
    lost.kill()
    lost.start()
    assert "restarted 2 times in a row" in f.json("status", peer=3)["reason"]
    assert lost.stop() == 0
    lost.start()
    f.wait_alive()
    assert state(f, lost) == "ready" and readyz(lost) == (200, "ready\n")
    deploy(f, "c", s=sleeper(5))
    assert lost.name in where(f.wait_serving("c", 5)).values()
    assert pids(f.serving("a")) == now


def replace_binary(f):
    """As a package manager does: another file takes the name, the old one lives while somebody runs it."""
    new = f.binary + ".new"
    shutil.copy(f.binary, new)
    with open(new, "ab") as out:
        out.write(b"another build")
    os.rename(new, f.binary)


def test_agents_are_replaced_under_their_tasks_and_nothing_moves(five):
    f = five
    deploy(f, "a", s=sleeper(10), g={**sleeper(1), "deploy": {"mode": "global"}})
    before = f.wait_serving("a", 15)
    shims = {pid for p in f.peers for pid in p.processes()}
    replace_binary(f)
    # An agent whose file was replaced still starts tasks.
    deploy(f, "b", s=sleeper(5))
    f.wait_serving("b", 5)
    f.cli("rm", "b", "--yes")
    for peer in f.peers:
        if peer.number % 2:
            assert peer.stop() == 0
        else:
            peer.kill()
        peer.start()
    f.wait_alive()
    for i in range(5):
        assert pids(f.wait_serving("a", 15, peer=i)) == pids(before)
        assert where(f.serving("a", peer=i)) == where(before)
    assert {pid for p in f.peers for pid in p.processes()} == shims
    # And they are in charge of them.
    f.cli("scale", "a/s=5", "--detach")
    f.wait_serving("a", 10)
    f.cli("rm", "a", "--yes")
    wait_until("all to be gone", lambda: not any(p.processes() for p in f.peers), 20)


def test_two_peers_of_which_one_is_lost(flock):
    f = flock(2)
    deploy(f, "a", s=sleeper(4))
    before = f.wait_serving("a", 4)
    stay = pids(r for r in before if r["peer_name"] == "p1")
    assert len(stay) == 2
    f[1].lose()
    now = pids(f.wait_serving("a", 4, on=["p1"]))
    assert {k: pid for k, pid in now.items() if k in stay} == stay
    f.cli("scale", "a/s=5", "--detach")
    f.wait_serving("a", 5, on=["p1"])
    f[1].start()
    f.wait_alive()
    after = one_owner_per_slot(f, "a", 5)
    assert {k: pid for k, pid in after.items() if k in now} == now, "a host that comes back takes nothing away"
