"""Peers on hosts of their own: networks that split, lose packets and change addresses, a host that stands still, one
that is put out. Real agents, each in a network namespace, with nothing faked but the weather between them."""
import os
import signal
import time

import dnsq
from conftest import equal_stores, needs_root, one_owner_per_slot, pids, sleeper, stack
from flock import alive, wait_until

pytestmark = needs_root  # every story here


def count(peer, what):
    return peer.metrics()[f"starling_{what}_total"]


def ident(f, name):
    return f.nodes()[name]["id"]


def said(peer, what, of=None):
    """Lines of this run's log that say that a peer (of: an id, or any) is suspect, dead or alive."""
    return [line for line in peer.new_log().splitlines() if f" is {what} (" in line and (of is None or of in line)]


def test_a_split_flock_is_writable_on_both_sides_and_heals_without_a_command(flock):
    f = flock(5, hosts=True)
    left, right = (0, 1), (2, 3, 4)
    f.cli("deploy", f.write("a.yaml", stack("a", s=sleeper(5))), "--detach")
    f.wait_serving("a", 5)
    equal_stores(f)
    f.network.split([f[i].number for i in left], [f[i].number for i in right])
    for viewer, far in (*((i, right) for i in left), *((i, left) for i in right)):
        for i in far:
            f.wait_state(f[i].name, "dead", peer=viewer)
    # Each side runs what it sees, and takes what it is given: a stack of its own, and one edit of the same stack.
    for side, name, replicas in ((left, "l", 3), (right, "r", 4)):
        here = [f[i].name for i in side]
        f.cli("deploy", f.write(f"{name}.yaml", stack(name, s=sleeper(2))), "--detach", peer=side[0])
        f.wait_serving(name, 2, peer=side[-1], on=here)
        f.cli("deploy", f.write(f"a-{name}.yaml", stack("a", s=sleeper(replicas))), "--detach", peer=side[-1])
        f.wait_serving("a", replicas, peer=side[0], on=here)
    assert {r["stack"] for r in f.json("ls", peer=0)} == {"a", "l"}
    assert {r["stack"] for r in f.json("ls", peer=4)} == {"a", "r"}
    f.network.calm()
    f.wait_alive(timeout=60)
    equal_stores(f)

    def lists():
        rows = [f.json("ls", peer=i) for i in range(5)]
        return rows[0] if all(r == rows[0] for r in rows) and {r["stack"] for r in rows[0]} == {"a", "l", "r"} else None
    rows = {r["stack"]: r for r in wait_until("the same list on every peer", lists, 30)}
    assert [name for name in sorted(rows) if rows[name]["conflict"]] == ["a"]
    assert rows["a"]["desired"] in (3, 4)
    histories = [f.json("history", "a", peer=i) for i in range(5)]
    assert all(h == histories[0] for h in histories)
    assert len([h for h in histories[0] if h["current"]]) == 1
    assert len([h for h in histories[0] if h["conflict"] or h["current"]]) == 2
    f.wait_serving("a", rows["a"]["desired"])
    running = {r["pid"] for r in f.ps() if r["state"] == "running"}
    assert len(running) == rows["a"]["desired"] + 4
    wait_until("nothing else to run", lambda: {pid for p in f.peers for pid in p.tasks()} == running, 30)
    equal_stores(f)


def test_at_thirty_percent_loss_nobody_is_taken_for_dead(flock):
    f = flock(5, hosts=True)
    f.cli("deploy", f.write("a.yaml", stack("a", s=sleeper(5))), "--detach")
    before = pids(f.wait_serving("a", 5))
    f.network.lose(30)
    end = time.monotonic() + 62
    time.sleep(20)
    f.cli("deploy", f.write("b.yaml", stack("b", s=sleeper(5))), "--detach", peer=3)
    for i in range(5):
        f.wait_serving("b", 5, peer=i)
    # What a task's peer alone knows may not get through in time, and is asked for again.
    everywhere = wait_until("each task's pid", lambda: (lambda all: None not in all.values() and all)(pids(f.serving("b"))))
    while time.monotonic() < end:
        for i in range(5):
            states = {name: row["state"] for name, row in f.nodes(peer=i).items()}
            assert "dead" not in states.values(), (f[i].name, states)
        time.sleep(1)
    # It did rain on each host: of a minute of packets, four a second, three in ten.
    assert all(f.network.counted(p.number) > 40 for p in f.peers)
    for peer in f.peers:
        assert count(peer, "deaths") == 0, said(peer, "dead")
        assert not said(peer, "dead")
    f.network.calm()
    assert pids(f.wait_serving("a", 5)) == before and pids(f.wait_serving("b", 5)) == everywhere
    equal_stores(f)


def test_an_agent_that_stands_still_for_30_seconds_comes_back_and_takes_nobody_for_dead(flock):
    f = flock(3, hosts=True)
    brief, frozen, others = f[0], f[2], f.peers[:2]
    f.cli("deploy", f.write("a.yaml", stack("a", s=sleeper(9))), "--detach")
    f.wait_serving("a", 9)
    there = frozen.tasks()
    victim = ident(f, frozen.name)
    assert there
    # It has just begun to suspect a peer, which goes on and says so when it is too late for the frozen one to hear:
    # that timer has long run out when it wakes up.
    os.kill(brief.process.pid, signal.SIGSTOP)
    try:
        f.wait_state(brief.name, "suspect", peer=2)
        os.kill(frozen.process.pid, signal.SIGSTOP)
        began = time.monotonic()
    finally:
        os.kill(brief.process.pid, signal.SIGCONT)
    try:
        for i in (0, 1):
            f.wait_state(frozen.name, "dead", peer=i)
            f.wait_state(brief.name, "alive", peer=i)
        # Others take over; what ran there runs on, under its shims.
        f.wait_serving("a", 9, on=[p.name for p in others])
        time.sleep(max(0, began + 30 - time.monotonic()))
        assert all(alive(pid) for pid in there)
        suspicions = count(others[1], "suspicions")
    finally:
        os.kill(frozen.process.pid, signal.SIGCONT)
    f.wait_alive(timeout=10)
    one_owner_per_slot(f, "a", 9)
    # It heard what waited for it before it judged; nobody but itself was taken for dead, or is suspected since.
    assert count(frozen, "deaths") == 0 and not said(frozen, "dead"), frozen.new_log()
    for peer in others:
        assert count(peer, "deaths") == 1 and all(victim in line for line in said(peer, "dead")), peer.new_log()
    assert count(others[1], "suspicions") == suspicions
    equal_stores(f)


def shown_at(f, name, address, peers, timeout=20.0):
    for i in peers:
        wait_until(f"{f[i].name} to know {name} at {address}", lambda i=i: f.nodes(peer=i)[name]["address"].split(":")[0]
                   == address and f.nodes(peer=i)[name]["state"] == "alive", timeout)


def test_a_peer_that_changes_its_address_stays_the_same_peer(flock):
    f = flock(5, hosts=True, up=False)
    f.init()
    f[0].start()
    for peer in f.peers[1:]:
        f.cli("join", f.token(), peer=peer.number - 1)
        # The fourth is told what to say of itself; the others find out.
        peer.start(*(["--advertise", peer.address] if peer is f[3] else []))
    f.wait_alive()
    f.cli("deploy", f.write("a.yaml", stack("a", s=sleeper(10, ports=["80"]))), "--detach")
    before = pids(f.wait_serving("a", 10))
    who = {name: row["id"] for name, row in f.nodes().items()}
    everyone = range(5)

    # While all goes well: nobody takes it for dead, nothing moves, and names lead to the new address.
    old, new = f[2].address, f"10.78.{f.net}.103"
    f[2].move(new)
    shown_at(f, "p3", new, everyone)
    assert {name: row["id"] for name, row in f.nodes().items()} == who

    def answers():
        found = f[0].call(lambda: dnsq.ask(f[0].dns, "s.a.starling.internal", dnsq.A)).values(dnsq.A)
        return new in found and old not in found
    wait_until("names to lead to the new address", answers, 10)
    # Others reach it first: a session to where it is now, and a revision that no packet holds.
    wait_until("a far command", lambda: f.cli("--peer", f"{new}:7827", "ls", peer=None, check=False,
                                                inside=f[0].inside).returncode == 0, 10)
    large = sleeper(5, environment={f"FILL{n}": "x" * 4000 for n in range(4)})
    f.cli("deploy", f.write("large.yaml", stack("large", s=large)), "--detach", peer=1)
    f.wait_serving("large", 5, peer=2)
    assert all(count(p, "deaths") == 0 for p in f.peers)

    # With --advertise others hear the old address until the agent is told another; they find it all the same.
    f[3].move(f"10.78.{f.net}.104")
    shown_at(f, "p4", f[3].address, (0, 1, 2, 4))
    f.cli("scale", "a/s=11", "--detach", peer=0)
    f.wait_serving("a", 11, peer=3)
    assert all(count(p, "deaths") == 0 for p in f.peers)

    # Two that are cut off, from each other as well, move meanwhile: neither knows where the other is.
    f.network.split([1, 4, 5], [2], [3])
    for name in ("p2", "p3"):
        f.wait_state(name, "dead", peer=0)
    f[1].move(f"10.78.{f.net}.112")
    f[2].move(f"10.78.{f.net}.113")
    f.network.calm()
    shown_at(f, "p2", f[1].address, everyone, 40)
    shown_at(f, "p3", f[2].address, everyone, 40)
    assert {name: row["id"] for name, row in f.nodes().items()} == who
    equal_stores(f)
    stayed = {k: pid for k, pid in before.items() if alive(pid)}
    assert len(stayed) >= 5
    # A task of now is told the address of now.
    f.cli("rm", "a", "--yes")
    f.cli("deploy", f.write("n.yaml", stack("n", s={**sleeper(1), "deploy": {"mode": "global"}})), "--detach")
    f.wait_serving("n", 5, peer=2)
    task = wait_until("p3 to tell its task's number", lambda: f.serving("n", on={"p3"})[0]["pid"], 20)
    with open(f"/proc/{task}/environ", "rb") as env:
        assert f"STARLING_ADDRESS={f[2].address}".encode() in env.read().split(b"\0")


def test_an_evicted_peer_gets_no_answer_and_does_not_come_back(flock):
    f = flock(4, hosts=True, up=False)
    f.init()
    f[0].start()
    token = f.token("--uses", "3")
    for peer in f.peers[1:]:
        f.cli("join", token, peer=peer.number - 1)
        peer.start()
    f.wait_alive()
    out, rest = f[3], ["p1", "p2", "p3"]
    f.cli("deploy", f.write("w.yaml", stack("w", s=sleeper(8))), "--detach")
    f.wait_serving("w", 8)
    assert out.tasks()
    old = ident(f, "p4")
    # It is away when it happens, so it does not know, and speaks as a member would.
    f.network.split([1, 2, 3], [4])
    f.wait_state("p4", "dead")
    f.cli("node", "evict", "p4", "--yes")
    for i in range(3):
        wait_until(f"p4 to be gone from {f[i].name}'s list", lambda i=i: set(f.nodes(peer=i)) == set(rest), 20)
    f.wait_serving("w", 8, on=rest)
    # Its packets arrive, and none goes back; a session tells it why, and it says so itself.
    f.network.calm()
    for n in (1, 2, 3):
        f.network.filter(n, f"ip saddr {out.address} udp dport 7827 counter")
    f.network.filter(4, "udp sport 7827 counter")
    wait_until("its packets to arrive", lambda: f.network.counted(1) + f.network.counted(2) + f.network.counted(3) > 0, 40)
    wait_until("p4 to know", lambda: f.json("status", peer=3)["state"] == "evicted", 60)
    assert f.network.counted(4) == 0, "an unknown sender was answered"
    assert "evicted from flock" in out.new_log()
    wait_until("its tasks to end", lambda: not out.tasks(), 20)
    f.network.calm()
    # Neither started again, nor with its old key and a new token, nor with the token that it came with.
    assert out.stop() == 0
    out.start(wait=False)
    wait_until("its control socket", lambda: f.cli("status", peer=3, check=False).returncode == 0)
    assert f.json("status", peer=3)["state"] == "evicted"
    assert out.stop() == 0
    for name in os.listdir(out.data):
        if name.startswith(("store.db", "own.db")):
            os.unlink(os.path.join(out.data, name))
    assert "evicted" in f.cli("join", f.token(), peer=3, check=8).stderr
    out.data += "-new"
    assert "evicted" in f.cli("join", token, peer=3, check=8).stderr
    assert set(f.nodes()) == set(rest)
    assert {r["peer_name"] for r in f.serving("w")} <= set(rest)
    # With a new key and a new token it is another peer.
    f.cli("join", f.token(), peer=3)
    out.start()
    f.wait_alive()
    assert ident(f, "p4") != old
