"""Seeing what runs: logs through any one peer, commands in tasks, events, use of cpu and memory."""
import os
import re
import signal
import subprocess
import time

from conftest import shell, sleeper, stack
from flock import wait_until


def speaking(f, replicas=3):
    f.cli("deploy", f.write("l.yaml", stack("l", s=shell("echo slot $STARLING_SLOT speaks; exec sleep 100000", replicas))), "--detach")
    f.wait_serving("l", replicas)


def spoken(text):
    return sorted(re.findall(r"slot \d speaks", text))


ALL = ["slot 0 speaks", "slot 1 speaks", "slot 2 speaks"]


def test_logs_come_through_the_one_peer_that_can_be_reached(flock):
    f = flock(3)
    speaking(f)
    # Nothing but the session with p2: whatever the others say comes through it, end to end.
    far = ["--peer", f[1].bind]
    wait_until("all three", lambda: spoken(f.cli(*far, "logs", "l", peer=None).stdout) == ALL, 20)
    # The local socket of p1 is as good.
    text = f.cli("logs", "l/s", "-t").stdout
    at = [re.search(r"\d{4}-\S+Z", line).group() for line in text.splitlines()]
    assert spoken(text) == ALL and at == sorted(at)
    assert re.search(r"^s/1 \| \S+Z slot 1 speaks$", text, re.M) and "\033" not in text


def test_a_peer_that_cannot_be_reached_is_named_and_the_rest_is_shown(flock):
    f = flock(3)
    speaking(f)
    wait_until("all three", lambda: spoken(f.cli("logs", "l").stdout) == ALL, 20)
    gone = next(r for r in f.ps() if r["peer_name"] == "p3")
    f[2].kill()
    r = f.cli("logs", "l", check=7)
    assert "peer p3" in r.stderr and spoken(r.stdout) == [s for s in ALL if s != f"slot {gone['slot']} speaks"]


def test_a_key_without_a_grant_reads_no_log_of_any_peer(flock):
    f = flock(3)
    speaking(f)
    stranger = os.path.join(f.folder, "stranger.key")
    f.cli("key", "new", stranger)
    r = f.cli("--key", stranger, "logs", "l", check=8)
    assert not spoken(r.stdout)


def test_a_follower_hears_a_task_that_another_peer_starts_later(flock):
    f = flock(2)
    f.cli("deploy", f.write("l.yaml", stack("l", s=shell("echo slot $STARLING_SLOT speaks; exec sleep 100000", 1))), "--detach")
    f.wait_serving("l", 1)
    out = os.path.join(f.folder, "followed")
    with open(out, "wb") as to:
        follower = subprocess.Popen([f.binary, "--data", f[0].data, "logs", "-f", "l/s"], stdout=to, stderr=to, env=f.env)
    try:
        wait_until("the first", lambda: b"slot 0 speaks" in open(out, "rb").read())
        f.cli("scale", "l/s=4", "--detach")
        wait_until("all four", lambda: len(set(spoken(open(out, "rb").read().decode()))) == 4, 30)
        f.cli("rm", "l", "--yes")
        assert follower.wait(30) == 0, open(out).read()
    finally:
        follower.kill()
        follower.wait()
    assert len(spoken(open(out).read())) == 4  # nothing twice


def test_a_reader_that_does_not_read_costs_the_agents_no_memory(flock):
    f = flock(2)
    # Two tasks with logs of several MiB each, and readers that take nothing of it.
    f.cli("deploy", f.write("l.yaml", stack("l", s=shell(
        "i=0; while [ $i -lt 60000 ]; do i=$((i+1)); echo $i 0123456789012345678901234567890123456789012345678901234567890123456789; done; "
        "echo finished; exec sleep 100000", 2))), "--detach")
    f.wait_serving("l", 2)
    for n in (0, 1):
        wait_until("the log", lambda: "finished" in f.cli("logs", f"l/s/{n}", "-n", "1").stdout, 60)
    before = [memory(p.process.pid) for p in f.peers]
    readers = [subprocess.Popen([f.binary, "--data", f[0].data, "logs", "l"], stdout=subprocess.PIPE, env=f.env) for _ in range(4)]
    try:
        time.sleep(2)  # for the agents to be as far as they go
        after = [memory(p.process.pid) for p in f.peers]
        assert all(b - a < 12 << 20 for a, b in zip(before, after)), (before, after)
        text = readers[0].communicate(timeout=60)[0].decode()
        assert len(text.splitlines()) == 120002
    finally:
        for r in readers:
            r.kill()
            r.communicate()


def memory(pid):
    with open(f"/proc/{pid}/statm", encoding="ascii") as f:
        return int(f.read().split()[1]) * 4096
