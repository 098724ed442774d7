"""What is lost and comes back: agents, hosts, networks. No time is asserted, only order and outcome."""
import os
import subprocess
import time

import dnsq
from conftest import needs_root, sleeper, stack
from flock import alive, wait_until


def pids(rows):
    return {(r["service"], r["slot"]): r["pid"] for r in rows}


def test_kill_9_of_an_agent_stops_no_task(flock):
    f = flock(3)
    f.cli("deploy", f.write("a.yaml", stack("a", s=sleeper(6))), "--detach")
    before = pids(f.wait_serving("a", 6))
    for peer in f.peers:
        peer.kill()
        assert all(alive(pid) for pid in before.values())
        peer.start()
        f.wait_alive()
    assert pids(f.wait_serving("a", 6)) == before
    for viewer in range(3):
        assert pids(f.wait_serving("a", 6, peer=viewer)) == before


def test_kill_9_loses_no_accepted_revision(flock):
    f = flock(1)
    revision = None
    for n in range(1, 6):
        f.cli("deploy", f.write("a.yaml", stack("a", s=sleeper(1, deploy={"replicas": n}))), "--detach")
        f[0].kill()  # the very moment after it was accepted
        f[0].start()
        row, = f.json("ls")
        assert row["desired"] == n
        assert row["revision"] != revision
        revision = row["revision"]
    assert len(f.json("history", "a")) == 5
    # After so many crashes it would take no new work for minutes; its operator's restart ends that.
    f[0].stop()
    f[0].start()
    f.wait_serving("a", 5)


def test_kill_9_of_all_agents_at_once(flock):
    f = flock(3)
    f.cli("deploy", f.write("a.yaml", stack("a", s=sleeper(6))), "--detach")
    before = pids(f.wait_serving("a", 6))
    for peer in f.peers:
        peer.kill()
    for peer in f.peers:
        peer.start(wait=False)
    for peer in f.peers:
        peer.wait_ready()
    f.wait_alive()
    assert pids(f.wait_serving("a", 6)) == before


def test_an_agent_that_is_down_for_a_moment_is_not_taken_for_a_dead_host(flock):
    f = flock(3)
    f.cli("deploy", f.write("a.yaml", stack("a", s=sleeper(6))), "--detach")
    before = pids(f.wait_serving("a", 6))
    f[2].kill()  # its ports now refuse connections at once
    seen = set()
    end = time.monotonic() + 1.0
    while time.monotonic() < end:
        seen.add(f.nodes()["p3"]["state"])
        time.sleep(0.05)
    f[2].start()
    assert "dead" not in seen, seen
    f.wait_alive()
    assert pids(f.wait_serving("a", 6)) == before


@needs_root
def test_a_refused_connection_alone_never_makes_a_host_dead(flock):
    f = flock(3)
    table = f.nft_table + "_reject"
    rules = f"""table inet {table} {{
        chain in {{
            type filter hook input priority 0;
            ip daddr {f[2].address} tcp dport 7827 reject with tcp reset
        }}
    }}
    """
    subprocess.run(["nft", "-f", "-"], input=rules, text=True, check=True)
    try:
        before = f.nodes()["p3"]["incarnation"]
        end = time.monotonic() + 8
        while time.monotonic() < end:
            for viewer in (0, 1):
                assert f.nodes(peer=viewer)["p3"]["state"] == "alive"
            time.sleep(0.2)
        assert f.nodes()["p3"]["incarnation"] >= before
    finally:
        subprocess.run(["nft", "delete", "table", "inet", table], check=True)
    f.wait_alive()


def test_a_lost_host_s_replicas_run_elsewhere_and_dns_follows(flock):
    f = flock(3)
    f.cli("deploy", f.write("a.yaml", stack("a", s=sleeper(6, ports=["80"]))), "--detach")
    rows = f.wait_serving("a", 6)
    lost = [r for r in rows if r["peer_name"] == "p3"]
    stay = pids(r for r in rows if r["peer_name"] != "p3")
    assert lost, "six replicas on three peers leave none without"
    f[2].lose()
    f.wait_serving("a", 6, on=["p1", "p2"], timeout=90)
    now = pids(f.serving("a", on=["p1", "p2"]))
    assert {k: v for k, v in now.items() if k in stay} == stay, "what was not lost did not move"
    for peer in f.peers[:2]:
        def gone(peer=peer):
            found = dnsq.ask(peer.dns, "s.a.starling.internal", dnsq.A).values(dnsq.A)
            return found and f[2].address not in found
        wait_until("DNS to follow", gone, 5)
    assert f.nodes()["p3"]["state"] == "dead"
    # It comes back with nothing left of its tasks, and takes nothing from anybody.
    f[2].start()
    f.wait_alive()
    time.sleep(2)
    assert pids(f.wait_serving("a", 6)) == now
    assert not f[2].tasks()


@needs_root
def test_after_a_split_heals_what_moved_stops(flock):
    f = flock(3)
    f.cli("deploy", f.write("a.yaml", stack("a", s=sleeper(6))), "--detach")
    f.wait_serving("a", 6)
    there = f[2].tasks()
    assert there
    f.blackhole(f[2])
    f.wait_serving("a", 6, on=["p1", "p2"], timeout=90)
    assert all(alive(pid) for pid in there), "the far side keeps what it runs"
    f.heal()
    f.wait_alive(timeout=60)

    def settled():
        views = [pids(f.serving("a", peer=i)) for i in range(3)]
        running = {pid for p in f.peers for pid in p.tasks()}
        return len(views[0]) == 6 and views[0] == views[1] == views[2] and running == set(views[0].values())
    wait_until("one owner per slot, and nothing else running", settled, 60)
    f.cli("rm", "a", "--yes")
    wait_until("all to be gone", lambda: not any(p.processes() for p in f.peers), 20)


@needs_root
def test_both_sides_of_a_split_take_revisions_and_both_survive(flock):
    f = flock(3)
    f.cli("deploy", f.write("a.yaml", stack("a", s=sleeper(2))), "--detach")
    f.wait_serving("a", 2)
    f.blackhole(f[2])
    f.wait_state("p3", "dead", timeout=60)
    f.cli("deploy", f.write("b.yaml", stack("a", s=sleeper(3))), "--detach", peer=0)
    f.cli("deploy", f.write("c.yaml", stack("a", s=sleeper(4))), "--detach", peer=2)
    f.heal()
    f.wait_alive(timeout=60)

    def agree():
        rows = [f.json("ls", peer=i)[0] for i in range(3)]
        return rows[0] if all(r["conflict"] for r in rows) and len({r["revision"] for r in rows}) == 1 else None
    row = wait_until("all to show the conflict and one winner", agree, 40)
    assert row["desired"] in (3, 4)
    assert len([h for h in f.json("history", "a") if h["conflict"] or h["current"]]) == 2
    f.wait_serving("a", row["desired"])
    # A new revision on top of both ends it.
    f.cli("deploy", f.write("d.yaml", stack("a", s=sleeper(1))), "--detach")
    wait_until("the conflict to be over", lambda: not any(f.json("ls", peer=i)[0]["conflict"] for i in range(3)), 20)


def test_one_survivor_of_three_stays_writable(flock):
    f = flock(3)
    f[1].lose()
    f[2].lose()
    done = f.cli("deploy", f.write("a.yaml", stack("a", s=sleeper(3))), "--detach")
    f.wait_serving("a", 3, on=["p1"], timeout=90)
    assert "durable on 1/3 peers" in done.stderr
    assert "p2 cannot be reached" in done.stderr and "p3 cannot be reached" in done.stderr
    f.cli("scale", "a/s=1", "--detach")
    f.wait_serving("a", 1, timeout=60)
    f[1].start()
    f[2].start()
    f.wait_alive()
    for viewer in (1, 2):
        wait_until("the returned to know it", lambda v=viewer: [r["stack"] for r in f.json("ls", peer=v)] == ["a"], 20)


def test_a_peer_alone_after_a_reboot_starts_its_work(flock):
    f = flock(2)
    f.cli("deploy", f.write("a.yaml", stack("a", s=sleeper(4))), "--detach")
    held = [r for r in f.wait_serving("a", 4) if r["peer_name"] == "p1"]
    assert held
    f[0].lose()
    f[1].lose()
    f[0].start(timeout=60)
    f.wait_serving("a", 4, on=["p1"], timeout=90)


def test_a_rebooted_host_takes_no_more_than_its_share(flock):
    """Processes of another boot are not mistaken for tasks: data survives, processes do not."""
    f = flock(1)
    f.cli("deploy", f.write("a.yaml", stack("a", s=sleeper(2))), "--detach")
    old = pids(f.wait_serving("a", 2))
    f[0].lose()
    assert not any(alive(pid) for pid in old.values())
    f[0].start()
    new = pids(f.wait_serving("a", 2, timeout=60))
    assert set(new) == set(old) and not set(new.values()) & set(old.values())
    assert len(f[0].tasks()) == 2


def test_a_stopped_process_is_not_a_dead_host_for_long(flock):
    """SIGSTOP for 3 s, as in a paused machine: nothing is lost when it goes on."""
    import signal
    f = flock(3)
    f.cli("deploy", f.write("a.yaml", stack("a", s=sleeper(6))), "--detach")
    f.wait_serving("a", 6)
    os.kill(f[2].process.pid, signal.SIGSTOP)
    time.sleep(3)
    os.kill(f[2].process.pid, signal.SIGCONT)
    f.wait_alive()
    f.wait_serving("a", 6)
    wait_until("one process per slot", lambda: sum(len(p.tasks()) for p in f.peers) == 6, 60)
