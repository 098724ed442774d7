"""Durability: how many disks a change is on, and what becomes of it when disks and agents fail."""
import json
import os
import random
import re
import shutil
import subprocess
import time

import pytest
from conftest import needs_root, shell, sleeper, stack
from flock import wait_until


def deploy(f, n, *args, peer=0, check=True, name="a", timeout=60.0):
    return f.cli("deploy", f.write(f"{name}.yaml", stack(name, s=sleeper(1, deploy={"replicas": n}))), "--detach", *args,
                 peer=peer, check=check, timeout=timeout)


def test_the_answer_names_the_peers_that_have_not_confirmed(flock):
    f = flock(3)
    assert "durable on 3/3 peers" in deploy(f, 1).stderr
    f[2].kill()
    done = deploy(f, 2)
    assert "durable on 2/3 peers" in done.stderr
    assert "p3 cannot be reached" in done.stderr and "p2" not in done.stderr
    # Every verb that changes something says the same.
    f.cli("key", "new", os.path.join(f.folder, "ci.key"))
    key = f.cli("key", "new", os.path.join(f.folder, "ci2.key")).stdout.split()[0]
    for args in (["scale", "a/s=1", "--detach"], ["token", "create"], ["key", "grant", key, "ci", "--role", "deploy"],
                 ["rm", "a", "--yes", "--detach"]):
        done = f.cli(*args)
        assert "durable on 2/3 peers only: p3 cannot be reached" in done.stderr, done


def test_durable_waits_for_so_many_peers_and_fails_with_6(flock):
    f = flock(3)
    assert "durable on 3/3 peers" in deploy(f, 1, "--durable", 3).stderr
    assert "durable on 1/1 peers" in deploy(f, 2, "--durable", 1).stderr
    f[2].kill()
    done = deploy(f, 3, "--durable", 3, "--timeout", "2s", check=6)
    assert "accepted, but durable on 2/3 peers only after 2 s: p3 cannot be reached" in done.stderr
    assert f.json("ls")[0]["desired"] == 3, "it is accepted all the same"
    done = deploy(f, 4, "--durable", 4, check=2)
    assert "3 of the flock's peers have ever run" in done.stderr
    assert f.json("ls")[0]["desired"] == 3, "and this one was not"
    # The same again asks anew; the peer comes back meanwhile.
    again = subprocess.Popen([f.binary, "--data", f[0].data, "deploy", "a.yaml", "--detach", "--durable", "3", "--timeout",
                              "50s"], env=f.env, cwd=f.folder, stderr=subprocess.PIPE, text=True)
    f.write("a.yaml", stack("a", s=sleeper(1, deploy={"replicas": 3})))
    time.sleep(1)
    assert again.poll() is None
    f[2].start()
    assert "durable on 3/3 peers" in again.communicate(timeout=60)[1]
    assert again.returncode == 0


def test_a_peer_that_joined_and_never_ran_is_not_counted(flock):
    f = flock(3, up=False)
    f.init()
    f[0].start()
    for peer in f.peers[1:]:
        f.cli("join", f.token(), peer=peer.number - 1)
    f[1].start()
    f.wait_alive(["p1", "p2"], peers=[0, 1])
    assert "durable on 2/2 peers" in deploy(f, 1).stderr
    f[2].start()
    f.wait_alive()
    assert "durable on 3/3 peers" in deploy(f, 2).stderr
    # Once it has run it is counted, by an agent too that has not seen it since its own start.
    f[2].kill()
    f[0].stop()
    f[0].start()
    done = deploy(f, 3)
    assert "durable on 2/3 peers only: p3 cannot be reached" in done.stderr


def test_kill_9_at_random_moments_loses_nothing_accepted(flock):
    """Deploys one after the other while agents are killed and started again; whatever was answered as accepted is in the
    history of all in the end."""
    seed = int(os.environ.get("SEED", random.randrange(1 << 30)))
    print(f"SEED={seed}")
    rng = random.Random(seed)
    f = flock(3)
    accepted, asked = [], 0
    end = time.monotonic() + 20
    while time.monotonic() < end:
        victim = rng.randrange(3)
        asked += 1
        p = subprocess.Popen([f.binary, "--data", f[victim].data, "deploy", "-", "--detach", "-o", "json"], env=f.env,
                             cwd=f.folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        p.stdin.write(stack(f"s{asked % 3}", s=sleeper(1, deploy={"replicas": 1 + asked % 7}, environment={"N": str(asked)})))
        p.stdin.close()
        if rng.random() < 0.4:
            time.sleep(rng.random() * 0.06)
            f[victim].kill()
        out = p.stdout.read()
        if p.wait(60) == 0 and out:
            accepted.append(json.loads(out))
        if not f[victim].running():
            f[victim].start()
    f.wait_alive()
    assert len(accepted) >= 10, (asked, accepted)
    for viewer in range(3):
        def complete(viewer=viewer):
            known = {h["revision"][:16] for n in range(3) for h in f.json("history", f"s{n}", peer=viewer)}
            return not [a for a in accepted if a["revision"] not in known]
        wait_until(f"{f[viewer].name} to know all {len(accepted)} accepted revisions of {asked}", complete, 40)


class SmallDisk:
    """A peer's data folder as a file system of its own with so little room that it can be filled."""

    def __init__(self, peer, size):
        self.path = peer.data
        os.makedirs(self.path, exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=0700", "starling-test", self.path], check=True)

    def fill(self):
        with open(os.path.join(self.path, "filler"), "wb", buffering=0) as f:
            try:
                while True:
                    f.write(b"\0" * 4096)
            except OSError:
                pass

    def free(self):
        os.unlink(os.path.join(self.path, "filler"))

    def unmount(self):
        subprocess.run(["umount", "-l", self.path], check=False)


@needs_root
def test_a_full_disk_refuses_changes_with_a_reason_and_heals(flock):
    f = flock(3, up=False)
    disk = SmallDisk(f[0], "4m")
    try:
        f.up()
        assert "durable on 3/3 peers" in deploy(f, 3).stderr
        before = {r["task"]: r["pid"] for r in f.wait_serving("a", 3)}
        disk.fill()
        # Until it notices, small changes may still fit into blocks that the store has already.
        wait_until("a change to be refused", lambda: deploy(f, 4, check=False, name="b").returncode or
                   f.cli("rm", "b", "--yes", "--detach", check=False).returncode, 30)
        done = deploy(f, 5, check=False, name="c")
        assert done.returncode == 1 and "not accepted, nothing was written" in done.stderr, done
        assert "disk is full" in done.stderr and "free space on it" in done.stderr
        assert {r["task"]: r["pid"] for r in f.wait_serving("a", 3)} == before, "tasks go on"
        # Others take changes, and say who could not write.
        done = deploy(f, 2, peer=1, name="d")
        assert "durable on 2/3 peers only: p1 could not write it" in done.stderr, done
        # An agent that is killed now starts again with all that it had accepted.
        f[0].kill()
        f[0].start(wait=False)
        wait_until("the agent to answer", lambda: f.cli("ls", check=False).returncode == 0, 30)
        assert "a" in [r["stack"] for r in f.json("ls")]
        disk.free()
        wait_until("changes to be taken again", lambda: deploy(f, 5, check=False, name="c").returncode == 0, 60, every=1)
        wait_until("it to have caught up", lambda: "d" in [r["stack"] for r in f.json("ls")], 60)
    finally:
        for peer in f.peers:
            peer.lose()
        disk.unmount()


def traced_agents(flock):
    """Three peers for strace: LeakSanitizer cannot look for leaks while it holds the process."""
    f = flock(3, up=False)
    f.env["ASAN_OPTIONS"] += ":detect_leaks=0"
    return f.up()


def watched_by(strace, pid):
    wait_until("strace to watch", lambda: f"TracerPid:\t{strace.pid}" in
               open(f"/proc/{pid}/status", encoding="ascii").read(), 10)


needs_strace = pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("strace"), reason="needs root and strace")


@needs_strace
def test_tasks_that_change_state_sync_nothing_and_a_change_of_the_spec_does(flock):
    f = traced_agents(flock)
    f.cli("deploy", f.write("x.yaml", stack("x", crash=shell("sleep 0.3; exit 1", 6), still=sleeper(3))), "--detach")
    f.wait_serving("x", 3, service="still")
    time.sleep(1)
    tracers = []
    for peer in f.peers:
        out = os.path.join(f.folder, peer.name + ".trace")
        tracers.append((out, subprocess.Popen(
            ["strace", "-f", "-qq", "-o", out, "-e", "trace=fsync,fdatasync,sync,syncfs,sync_file_range,msync", "-p",
             str(peer.process.pid)], stderr=subprocess.DEVNULL)))
        watched_by(tracers[-1][1], peer.process.pid)

    def syncs():
        return [sum("sync" in line for line in open(out, encoding="utf-8", errors="replace")) for out, _ in tracers]

    def restarts():
        return sum(r["restarts"] or 0 for r in f.ps("x"))
    before = restarts()
    wait_until("tasks to be restarted", lambda: restarts() >= before + 6, 30)
    assert syncs() == [0, 0, 0]
    f.cli("scale", "x/still=2", "--detach")
    wait_until("each to have synced the new revision", lambda: min(syncs()) >= 1, 10)
    for _, strace in tracers:
        strace.terminate()
        strace.wait()


@needs_strace
def test_a_failed_sync_stops_the_agent_before_it_answers(flock):
    f = traced_agents(flock)
    deploy(f, 3)
    before = {r["task"]: r["pid"] for r in f.wait_serving("a", 3)}
    trace = os.path.join(f.folder, "trace")
    strace = subprocess.Popen(["strace", "-f", "-qq", "-o", trace, "-e", "trace=fsync,fdatasync", "-e",
                               "inject=fsync,fdatasync:error=EIO", "-p", str(f[0].process.pid)], stderr=subprocess.DEVNULL)
    watched_by(strace, f[0].process.pid)
    done = deploy(f, 5, check=False, name="b")
    assert done.returncode == 1 and "durable" not in done.stdout + done.stderr, done
    assert "sync failed: Input/output error. Whether the change was accepted is not known" in done.stderr, done
    assert f[0].process.wait(20) == 1
    strace.wait(10)
    assert re.search(r"the durable store failed \(.*store.db: COMMIT: disk I/O error: sync failed: Input/output error\)",
                     f[0].new_log())
    assert "check the disk and start the agent again" in f[0].new_log()
    with open(trace, encoding="utf-8", errors="replace") as t:
        assert sum("EIO" in line for line in t) == 1, "one sync failed, and none was tried again"
    # Tasks go on; the agent that starts again has all that was accepted.
    f[0].start()
    f.wait_alive()
    rows = f.wait_serving("a", 3)
    assert {r["task"]: r["pid"] for r in rows} == before
