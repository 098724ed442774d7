"""What tasks do that nobody wants, and what becomes of it: driver exec, real agents, real processes."""
import glob
import json
import os
import random
import signal
import subprocess
import time

from conftest import needs_root, shell, stack
from flock import alive, end, read_bytes, wait_until


def deploy(f, name, service):
    f.cli("deploy", f.write(f"{name}.yaml", stack(name, s=service)), "--detach")


def folder(f, row):
    return os.path.join(f[0].data, "tasks", row["task"])


def log_bytes(f, row):
    return sum(os.path.getsize(p) for p in glob.glob(os.path.join(folder(f, row), "log", "*")))


def shim_of(row):
    """The parent of a task's first process."""
    return int(read_bytes(f"/proc/{row['pid']}/stat").rpartition(b")")[2].split()[1])


def ended(f, name):
    def look():
        rows = f.ps(name)
        return rows[0] if rows and rows[0]["state"] in ("failed", "done") else None
    return wait_until(f"{name} to have ended", look, 40)


def gone(f):
    return wait_until("every process of its tasks to be gone", lambda: not f[0].tasks(), 30)


def test_a_task_that_ignores_its_stop_signal_forks_away_and_hides_is_killed_whole(flock):
    f = flock(1)
    deploy(f, "x", shell("trap '' TERM HUP INT; (setsid sh -c 'trap \"\" TERM; cd /; sleep 1000 & exec setsid sleep 1000' &) ; "
                         "while :; do sleep 1; done", stop_grace_period="300ms"))
    f.wait_serving("x", 1)
    wait_until("all of it to run", lambda: len(f[0].tasks()) >= 3, 20)
    f.cli("rm", "x", "--yes", "--detach")
    gone(f)


def test_a_task_that_forks_away_and_ends_leaves_nothing(flock):
    f = flock(1)
    deploy(f, "x", shell("setsid setsid sh -c 'sleep 1000 & sleep 1000' & sleep 0.2; exit 4", restart="no"))
    row = ended(f, "x")
    assert row["exit"]["code"] == 4
    gone(f)


def test_a_task_that_closes_its_output_goes_on_and_its_end_is_seen(flock):
    f = flock(1)
    deploy(f, "x", shell("echo before; exec >&- 2>&- <&-; sleep 0.5; exit 6", restart="no"))
    assert ended(f, "x")["exit"]["code"] == 6
    assert "before" in f.cli("logs", "x/s").stdout


def test_a_failing_entrypoint_is_seen_in_ps_with_its_last_exit(flock):
    f = flock(1)
    deploy(f, "x", {**shell("exit 0"), "entrypoint": ["/bin/sh", "-c", "echo cannot >&2; exit 9"]})

    def looped():
        rows = f.ps("x")
        return rows and rows[0]["restarts"] >= 2 and rows[0]
    row = wait_until("it to be restarted twice", looped, 30)
    assert "exited with code 9" in row["reason"]
    assert "cannot" in f.cli("logs", "x/s").stdout


def test_a_flood_of_output_takes_bounded_memory_and_disk(flock):
    f = flock(1)
    deploy(f, "x", shell("yes 'a line of a program that says far too much, over and over' | head -c 300000000; echo end; "
                         "sleep 1000"))
    row, = f.wait_serving("x", 1)
    shim = shim_of(row)
    wait_until("all of it to be written", lambda: "end" in f.cli("logs", "x/s", "--tail", "1").stdout, 120)
    assert log_bytes(f, row) <= 11 << 20
    peak = [int(line.split()[1]) for line in read_bytes(f"/proc/{shim}/status").decode().splitlines()
            if line.startswith("VmHWM")][0]
    if "/san/" not in f.binary:  # sanitizers have memory of their own
        assert peak < 8 << 10
    assert alive(row["pid"])


def test_a_task_that_takes_more_memory_than_its_limit_is_said_to_have(flock):
    f = flock(1)
    deploy(f, "x", {"command": ["/usr/bin/tail", "/dev/zero"], "restart": "no", "deploy": {"resources": {"limits": {
        "memory": "32M"}}}})

    def look():
        rows = f.ps("x")
        return rows and rows[0]["state"] in ("failed", "pending", "done") and rows[0]["reason"] and rows[0]
    row = wait_until("it to have ended, or to be refused", look, 60)
    if "control group" in row["reason"] or "limit of memory" in row["reason"]:
        return  # this host gives none, and says so
    assert row["exit"]["oom"] is True
    assert "memory limit of 33554432 bytes" in row["reason"]


@needs_root
def test_on_a_full_disk_a_task_goes_on_and_its_log_tells_how_much_is_missing(flock):
    f = flock(1, up=False)
    f.init()
    small = os.path.join(f[0].data, "tasks")
    os.makedirs(small, mode=0o700, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m,mode=0700", "tmpfs", small], check=True)
    try:
        f[0].start()
        f.wait_alive()
        go = os.path.join(f.folder, "go")
        ballast = os.path.join(small, "ballast")
        with open(ballast, "wb") as b:
            b.write(b"x" * (1 << 20))
        deploy(f, "x", shell(f"yes 'what fills the disk' | head -c 4000000; while ! test -e {go}; do sleep 0.1; done; "
                             "echo after; sleep 1000"))
        row, = f.wait_serving("x", 1)
        wait_until("the disk to be full", lambda: os.statvfs(small).f_bavail == 0, 60)
        time.sleep(1)
        assert alive(row["pid"]) and alive(shim_of(row))
        assert f.wait_serving("x", 1)[0]["pid"] == row["pid"]
        os.unlink(ballast)
        with open(go, "w", encoding="utf-8"):
            pass
        wait_until("the log to go on", lambda: "after" in f.cli("logs", "x/s").stdout, 30)
        assert "log lines lost: No space left on device" in f.cli("logs", "x/s").stdout
        f.cli("rm", "x", "--yes", "--detach")
        gone(f)
    finally:
        f[0].stop()
        subprocess.run(["umount", "-l", small], check=False)


def test_agents_and_shims_killed_at_random_leave_what_is_wanted_and_no_orphan(flock):
    """STARLING_KILLS: seconds of it; a seed is printed, and STARLING_SEED takes it."""
    f = flock(1)
    seed = int(os.environ.get("STARLING_SEED", random.randrange(1 << 32)))
    print(f"STARLING_SEED={seed}")
    chance = random.Random(seed)
    deploy(f, "x", shell("setsid sh -c 'sleep 100000 & exec sleep 100000' & exec sleep 100000", 6))
    f.wait_serving("x", 6)
    until = time.monotonic() + float(os.environ.get("STARLING_KILLS", "6"))
    while time.monotonic() < until:
        time.sleep(chance.random() * 0.3)
        shims = [p for p in f[0].processes() if b"\0shim\0" in read_bytes(f"/proc/{p}/cmdline")]
        if shims and chance.random() < 0.7:
            end(chance.choice(shims), signal.SIGKILL)
        if chance.random() < 0.3:
            f[0].kill()
            f[0].start()
    rows = f.wait_serving("x", 6, timeout=120)
    assert len({r["pid"] for r in rows}) == 6
    ids = {json.dumps(r["task"]) for r in rows}
    assert len(ids) == 6
    wait_until("three processes of each task, and no more", lambda: len(f[0].tasks()) == 18, 60)
    f.cli("rm", "x", "--yes", "--detach")
    gone(f)
