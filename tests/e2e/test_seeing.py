"""Seeing what runs: logs through any one peer, commands in tasks, events, use of cpu and memory."""
import json
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
        # A sanitizer keeps what was freed, so there the bound says only that it does not hold all that was to be read.
        room = (12 if "/san/" not in f.binary else 512) << 20
        assert all(b - a < room for a, b in zip(before, after)), (before, after)
        text = readers[0].communicate(timeout=60)[0].decode()
        assert len(text.splitlines()) == 120002
    finally:
        for r in readers:
            r.kill()
            r.communicate()


def memory(pid):
    with open(f"/proc/{pid}/statm", encoding="ascii") as f:
        return int(f.read().split()[1]) * 4096


def one_task(f, n=1, script="exec sleep 100000"):
    f.cli("deploy", f.write("x.yaml", stack("x", s=shell(script, n, environment={"COLOUR": "green"}))), "--detach")
    f.wait_serving("x", n)


def test_exec_runs_in_the_task_from_any_peer_and_gives_its_exit_code(flock):
    f = flock(3)
    one_task(f)
    task = f.serving("x")[0]
    for peer in range(3):
        r = f.cli("exec", "x/s", "sh", "-c", "echo $COLOUR $STARLING_TASK; echo bad >&2; exit 3", peer=peer, check=3)
        assert r.stdout == f"green {task['task']}\n" and r.stderr == "bad\n"
    far = ["--peer", next(p.bind for p in f.peers if p.name != task["peer_name"])]
    assert f.cli(*far, "exec", "-e", "COLOUR=red", "-w", "/tmp", "x/s/0", "sh", "-c", "echo $COLOUR; pwd", peer=None).stdout == "red\n/tmp\n"
    # What the command is to have, it has: its user and its control groups.
    mine = f.cli("exec", "x/s", "cat", "/proc/self/status").stdout
    with open(f"/proc/{task['pid']}/status", encoding="ascii") as s:
        theirs = s.read()
    for line in ("Uid", "Gid", "NoNewPrivs"):
        assert re.search(rf"^{line}:.*$", mine, re.M).group() == re.search(rf"^{line}:.*$", theirs, re.M).group()
    with open(f"/proc/{task['pid']}/cgroup", encoding="ascii") as s:
        assert f.cli("exec", "x/s", "cat", "/proc/self/cgroup").stdout == s.read()
    assert f.cli("exec", "x/s", "no-such-program", check=127).stderr
    assert f.cli("exec", "x/s", "/etc/passwd", check=126).stderr
    assert f.cli("exec", "x/s", "sh", "-c", "kill -9 $$", check=137)
    assert "no task" in f.cli("exec", "x/t", "true", check=125).stderr


def test_exec_passes_input_on_both_ways_at_once(flock):
    f = flock(2)
    one_task(f)
    far = next(p for p in f.peers if p.name != f.serving("x")[0]["peer_name"])
    sent = os.urandom(3 << 20)
    r = subprocess.run([f.binary, "--data", far.data, "exec", "-i", "x/s", "cat"], input=sent, stdout=subprocess.PIPE, env=f.env,
                       timeout=60, check=True)
    assert r.stdout == sent
    # Without -i there is none.
    assert f.cli("exec", "x/s", "cat").stdout == ""


def test_what_exec_started_ends_with_its_session(flock):
    f = flock(2)
    one_task(f)
    far = next(p for p in f.peers if p.name != f.serving("x")[0]["peer_name"])
    mark = f"31{os.getpid()}"

    def left():
        return [p for p in os.listdir("/proc") if p.isdigit() and mark in cmdline(p)]

    def start():
        p = subprocess.Popen([f.binary, "--data", far.data, "exec", "x/s", "sh", "-c",
                              f"trap '' HUP; (setsid sleep {mark} &) ; sleep {mark}; true"], env=f.env)
        wait_until("both sleeps", lambda: len([p for p in left() if cmdline(p).startswith("sleep")]) == 2)
        return p
    p = start()
    p.kill()
    p.wait()
    wait_until("nothing to be left of it", lambda: not left())
    # Ctrl-C goes to the command.
    p = start()
    p.send_signal(signal.SIGINT)
    assert p.wait(20) in (0, 130)
    wait_until("nothing to be left of it", lambda: not left())


def cmdline(pid):
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as f:
            return f.read().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def test_exec_on_a_terminal(flock):
    import pty
    import termios
    f = flock(2)
    one_task(f)
    far = next(p for p in f.peers if p.name != f.serving("x")[0]["peer_name"])
    master, slave = pty.openpty()
    termios.tcsetwinsize(slave, (31, 77))
    before = termios.tcgetattr(slave)
    p = subprocess.Popen([f.binary, "--data", far.data, "exec", "-it", "x/s", "sh"], stdin=slave, stdout=slave, stderr=slave,
                         env={**f.env, "TERM": "vt100"}, start_new_session=True)
    seen = bytearray()

    def until(what):
        def look():
            import select
            while select.select([master], [], [], 0)[0]:
                seen.extend(os.read(master, 65536))
            return what in seen
        wait_until(repr(what), look, 20)
    try:
        os.write(master, b"tty; stty size; echo $TERM\r")
        until(b"31 77\r\nvt100")
        assert b"/dev/pts/" in seen
        termios.tcsetwinsize(slave, (40, 100))
        p.send_signal(signal.SIGWINCH)
        os.write(master, b"stty size; sleep 1000\r")
        until(b"40 100")
        os.write(master, b"\x03")  # Ctrl-C, to the sleep and not to us
        os.write(master, b"echo go''ing on; exit 5\r")
        until(b"going on")
        assert p.wait(20) == 5
        assert termios.tcgetattr(slave) == before
    finally:
        p.kill()
        p.wait()


def test_exec_needs_a_key_that_may_deploy_the_stack(flock):
    f = flock(2)
    one_task(f)
    for name, grant in (("stranger", None), ("eye", ["--role", "read"]), ("other", ["--role", "deploy", "--stack", "y*"])):
        path = os.path.join(f.folder, name + ".key")
        public = re.search(r"[0-9a-f]{64}", f.cli("key", "new", path).stdout).group()
        if grant:
            f.cli("key", "grant", public, name, *grant)
        r = f.cli("--key", path, "exec", "x/s", "echo", "in", check=125)
        assert "in\n" not in r.stdout and r.stderr


def events(f, *args, peer=0, check=True):
    r = f.cli("-o", "json", "events", *args, peer=peer, check=check)
    return [json.loads(line) for line in r.stdout.splitlines()]


def test_events_tell_what_happened_anywhere_by_time(flock):
    f = flock(3)
    one_task(f, 3, "trap 'exit 0' TERM; sleep 0.3; [ $STARLING_SLOT = 1 ] && [ ! -e /tmp/once-$STARLING_TASK ] && touch /tmp/once-$STARLING_TASK && exit 7; "
                   "sleep 100000 & wait")
    wait_until("the restart", lambda: any(e["event"] == "restarted" and e["slot"] == 1 for e in events(f, peer=2)))
    all_ = events(f, peer=1)
    assert [e["time"] for e in all_] == sorted(e["time"] for e in all_)
    assert sorted(e["slot"] for e in all_ if e["event"] == "started") == [0, 1, 2]
    crash = [e for e in all_ if e["event"] == "exited"]
    assert len(crash) == 1 and crash[0]["slot"] == 1 and "7" in crash[0]["text"]
    assert [e["stack"] for e in all_ if e["event"] == "deployed"] == ["x"]
    follower = subprocess.Popen([f.binary, "--data", f[0].data, "events", "-f"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=f.env)
    os.set_blocking(follower.stdout.fileno(), False)
    seen = bytearray()

    def until(*words):
        def look():
            seen.extend(follower.stdout.read() or b"")
            return any(all(w.encode() in line for w in words) for line in seen.splitlines())
        wait_until(f"{words} in {seen!r}", look, 40)
    try:
        f.cli("node", "drain", "p2")
        until("draining", "peer p2")
        f[2].kill()
        until("dead", "peer p3")
        f.cli("rm", "x", "--yes", check=False)
        until("removed", "stack x")
    finally:
        follower.kill()
        follower.communicate()
    r = f.cli("events", check=7)
    assert "p3" in r.stderr and re.search(r"started +x/s/\d on p1", r.stdout)


def test_top_shows_who_uses_the_cpu_on_any_peer(flock):
    f = flock(3)
    f.cli("deploy", f.write("t.yaml", stack("t", idle=sleeper(2), busy=shell("while :; do :; done", 1))), "--detach")
    f.wait_serving("t", 3)
    where = {(r["service"], r["slot"]): r["peer_name"] for r in f.ps()}
    for peer in range(3):
        all_ = json.loads(f.cli("-o", "json", "top", "--once", peer=peer).stdout)
        assert sorted(p["peer_name"] for p in all_["peers"]) == ["p1", "p2", "p3"]
        tasks = {(t["service"], t["slot"]): t for t in all_["tasks"]}
        assert {k: t["peer_name"] for k, t in tasks.items()} == where
        assert tasks["busy", 0]["cpu_percent"] > tasks["idle", 0]["cpu_percent"]
        assert all(t["memory_bytes"] > 0 and t["processes"] >= 1 for t in tasks.values())
    text = f.cli("top", "t").stdout
    assert re.search(r"^t/busy/0 .*%", text, re.M) and "CORES" in text
    assert json.loads(f.cli("-o", "json", "top", "--once", "other").stdout)["tasks"] == []
    f[2].kill()
    r = f.cli("top", "--once", check=7)
    assert "p3" in r.stderr and "p2" in r.stdout


def test_a_crash_loop_is_seen_in_ps_with_why_and_when_next(flock):
    f = flock(2)
    f.cli("deploy", f.write("c.yaml", stack("c", s={
        "command": ["/bin/sh", "-c", "exit 9"], "deploy": {"restart_policy": {"delay": "20s"}}})), "--detach")
    for peer in range(2):
        row = wait_until("the pause", lambda: next((r for r in f.ps(peer=peer) if r["state"] == "backoff" and r["retry_at"]), None), 40)
        assert row["exit"]["code"] == 9 and row["restarts"] >= 1 and row["retry_at"] > time.strftime("%Y-%m-%dT%H:%M", time.gmtime())
    text = f.cli("ps", "c").stdout
    assert re.search(r"backoff.*exit.* 9; tries again in \d+ s", text), text
