"""Stacks from deploy to removal: placement, names, logs, scaling, revisions."""
import contextlib
import json
import socket
import subprocess
import time
import urllib.request

import dnsq
from conftest import shell, sleeper, stack
from flock import alive, wait_until

SERVER = """
import http.server, os
class H(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        text = (os.environ['STARLING_SLOT'] + ' ' + os.environ['STARLING_ADDRESS']).encode()
        self.send_response(200)
        self.send_header('Content-Length', str(len(text)))
        self.end_headers()
        self.wfile.write(text)
http.server.ThreadingHTTPServer((os.environ['STARLING_ADDRESS'], int(os.environ['PORT'])), H).serve_forever()
"""


def web(replicas, **more):
    return {"command": ["/usr/bin/python3", "-c", SERVER], "ports": [{"name": "http", "target": 8080}],
            "deploy": {"replicas": replicas}, "stop_grace_period": "1s",
            "x-starling": {"probes": {"http": {"port": "http", "path": "/", "interval": "1s", "timeout": "1s",
                                               "start_interval": "100ms", "start_period": "20s"}}}, **more}


def test_a_web_service_is_deployed_found_by_dig_and_answers(flock):
    f = flock(3)
    path = f.write("site.yaml", stack("site", web=web(4)))
    f.cli("deploy", path)
    rows = f.wait_serving("site", 4, "web")
    assert sorted(r["slot"] for r in rows) == [0, 1, 2, 3]
    assert {r["health"] for r in rows} == {"healthy"}
    # On every peer alike, by real dig.
    for peer in f.peers:
        def targets(peer=peer):
            out = subprocess.run(["dig", f"@{peer.dns[0]}", "-p", str(peer.dns[1]), "+short", "+tries=1", "SRV",
                                  "_http._tcp.web.site.starling.internal"], text=True, capture_output=True, check=False).stdout
            return [line.split() for line in out.splitlines()] if len(out.splitlines()) == 4 else None
        found = wait_until("four SRV targets", targets, 5)
        for _, _, port, target in found:
            address, = dnsq.ask(peer.dns, target, dnsq.A).values(dnsq.A)
            with urllib.request.urlopen(f"http://{address}:{port}/", timeout=3) as answer:
                slot, says = answer.read().decode().split()
            assert says == address
            assert target.split(".")[0] == slot
    ends = {(e["address"], e["port"]) for r in rows for e in r["endpoints"]}
    assert len(ends) == 4


def test_a_removed_stack_stops_everywhere_and_stays_away(flock):
    f = flock(3)
    f.cli("deploy", f.write("a.yaml", stack("a", s=sleeper(5))), "--detach")
    rows = f.wait_serving("a", 5)
    assert dnsq.ask(f[0].dns, "s.a.starling.internal", dnsq.A).values(dnsq.A)
    f[2].lose()  # away while it is removed
    f.cli("rm", "a", "--yes", peer=1)
    wait_until("its tasks to be gone", lambda: not f[0].processes() and not f[1].processes(), 20)
    # What the lost host claimed is listed until it is taken for dead.
    wait_until("ps to forget it", lambda: f.ps("a") == [] and f.ps("a", peer=1) == [], 60)
    assert dnsq.ask(f[0].dns, "s.a.starling.internal", dnsq.A).rcode == dnsq.NXDOMAIN
    f[2].start()
    f.wait_alive()
    time.sleep(2)
    assert not any(p.processes() for p in f.peers)
    assert [r["stack"] for r in f.json("ls", peer=2)] == []
    assert not any(alive(r["pid"]) for r in rows)


def test_tasks_get_the_promised_environment_and_nothing_else(flock):
    f = flock(1)
    f.cli("deploy", f.write("e.yaml", stack("e", s=shell(
        "env | sort; echo to stderr >&2; sleep 100000", environment={"COLOUR": "blue"}, ports=["8080"]))), "--detach")
    row, = f.wait_serving("e", 1)
    text = wait_until("the log", lambda: (lambda t: t if "to stderr" in t else None)(f.cli("logs", "e/s").stdout))
    env = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    assert env["COLOUR"] == "blue"
    assert env["STARLING_STACK"] == "e" and env["STARLING_SERVICE"] == "s" and env["STARLING_SLOT"] == "0"
    assert env["STARLING_TASK"] == row["task"]
    assert env["STARLING_ADDRESS"] == f[0].address
    assert env["STARLING_DNS"] == "%s:%d" % f[0].dns
    assert env["PORT"] == env["STARLING_PORT_8080"] == str(row["endpoints"][0]["port"])
    assert 20000 <= int(env["PORT"]) <= 32000
    assert row["revision"].startswith(env["STARLING_REVISION"]) or env["STARLING_REVISION"].startswith(row["revision"])
    assert "XDG_CONFIG_HOME" not in env and "STARLING_KEY" not in env


def test_scale_up_and_down_moves_nothing_else(flock):
    f = flock(3)
    f.cli("deploy", f.write("a.yaml", stack("a", s=sleeper(3), other=sleeper(2))), "--detach")
    before = {(r["service"], r["slot"]): r["task"] for r in f.wait_serving("a", 5)}
    f.cli("scale", "a/s=6", "--detach")
    f.wait_serving("a", 8)
    after = {(r["service"], r["slot"]): r["task"] for r in f.serving("a")}
    assert {k: v for k, v in after.items() if k in before} == before
    f.cli("scale", "a/s=1", "--detach")
    f.wait_serving("a", 3)
    assert {(r["service"], r["slot"]): r["task"] for r in f.serving("a")} == {
        k: v for k, v in before.items() if k[0] == "other" or k == ("s", 0)}


def test_a_new_revision_replaces_what_changed_only(flock):
    f = flock(3)
    f.cli("deploy", f.write("a.yaml", stack("a", s=sleeper(3), other=sleeper(2))), "--detach")
    before = {(r["service"], r["slot"]): r["task"] for r in f.wait_serving("a", 5)}
    f.cli("deploy", f.write("a.yaml", stack("a", s=sleeper(3, environment={"V": "2"}), other=sleeper(2))), "--detach")

    def replaced():
        now = {(r["service"], r["slot"]): r["task"] for r in f.serving("a")}
        return now if len(now) == 5 and not any(now[k] == v for k, v in before.items() if k[0] == "s") else None
    now = wait_until("all of s to be replaced", replaced, 40)
    assert {k: v for k, v in now.items() if k[0] == "other"} == {k: v for k, v in before.items() if k[0] == "other"}
    versions = f.json("history", "a")
    assert len(versions) == 2 and sum(bool(v["current"]) for v in versions) == 1 and versions[0]["current"]


def test_deploying_the_same_file_again_changes_nothing(flock):
    f = flock(2)
    path = f.write("a.yaml", stack("a", s=sleeper(4)))
    f.cli("deploy", path, "--detach")
    before = sorted(r["task"] for r in f.wait_serving("a", 4))
    f.cli("deploy", path, "--detach")
    time.sleep(1.5)
    assert sorted(r["task"] for r in f.serving("a")) == before


def test_adding_a_stack_moves_no_other(flock):
    f = flock(3)
    f.cli("deploy", f.write("a.yaml", stack("a", s=sleeper(9))), "--detach")
    before = {r["slot"]: (r["peer_name"], r["pid"]) for r in f.wait_serving("a", 9)}
    f.cli("deploy", f.write("b.yaml", stack("b", s=sleeper(9))), "--detach", peer=1)
    f.wait_serving("b", 9)
    assert {r["slot"]: (r["peer_name"], r["pid"]) for r in f.serving("a")} == before


def test_global_runs_one_on_each_peer_that_the_constraint_allows(flock):
    f = flock(3, labels=[["zone=a"], ["zone=b"], ["zone=a"]])
    f.cli("deploy", f.write("g.yaml", stack(
        "g", every=sleeper(deploy={"mode": "global", "replicas": None}) | {"deploy": {"mode": "global"}},
        some={"command": ["/bin/sleep", "100000"],
              "deploy": {"mode": "global", "placement": {"constraints": ["node.labels.zone == a"]}}})), "--detach")
    f.wait_serving("g", 5)
    rows = f.serving("g")
    assert sorted(r["peer_name"] for r in rows if r["service"] == "every") == ["p1", "p2", "p3"]
    assert sorted(r["peer_name"] for r in rows if r["service"] == "some") == ["p1", "p3"]


def test_a_slot_that_nothing_can_run_says_why(flock):
    f = flock(2)
    path = f.write("c.yaml", stack("c", s=sleeper(1, deploy={"placement": {"constraints": ["node.labels.zone == moon"]}})))
    done = f.cli("deploy", path, "--timeout", "20s", check=False, timeout=90)
    assert done.returncode == 4, done
    row, = f.ps("c")
    assert row["peer"] is None and row["reason"]
    told = f.cli("explain", "c/s", check=False)
    assert told.returncode == 0 and "p1" in told.stdout and "p2" in told.stdout


def test_a_command_that_no_peer_has_ends_the_deployment_with_its_name(flock):
    f = flock(3)
    path = f.write("m.yaml", stack("m", s={"command": ["no-such-program"]}))
    done = f.cli("deploy", path, check=False, timeout=60)
    assert done.returncode == 4, done
    assert "no-such-program" in done.stderr and "not found in PATH" in done.stderr
    row, = f.ps("m")
    assert row["peer"] is None and row["state"] == "pending"
    assert row["reason"].startswith("no peer can run it: ") and row["reason"].endswith("not found in PATH (on p1)")


def test_what_one_peer_cannot_start_the_next_one_does(flock):
    f = flock(2)
    # A stranger holds the host ports on one of two empty hosts, and either is asked first for some of the services.
    with contextlib.ExitStack() as strangers:
        held = [strangers.enter_context(socket.create_server((f[0].address, 0))) for _ in range(4)]
        services = {f"s{n}": sleeper(1, ports=[{"target": 8080, "published": s.getsockname()[1], "mode": "host"}])
                    for n, s in enumerate(held)}
        f.cli("deploy", f.write("n.yaml", stack("n", **services)))
        assert {r["peer_name"] for r in f.wait_serving("n", 4)} == {"p2"}


def test_an_update_that_no_peer_can_start_stops_at_its_first_slot(flock):
    f = flock(3)
    f.cli("deploy", f.write("u.yaml", stack("u", s=sleeper(4))))
    before = {r["slot"]: r["pid"] for r in f.wait_serving("u", 4)}
    bad = {"command": ["no-such-program"], "deploy": {"replicas": 4}}
    done = f.cli("deploy", f.write("u.yaml", stack("u", s=bad)), check=False, timeout=60)
    assert done.returncode == 4 and "not found in PATH" in done.stderr, done
    time.sleep(10)  # longer than any wait after which a slot no longer holds up the rest
    left = {r["slot"]: r["pid"] for r in f.serving("u")}
    assert len(left) == 3 and left.items() <= before.items()
    # And a revision that works goes through at once.
    f.cli("deploy", f.write("u.yaml", stack("u", s=sleeper(4))))
    f.wait_serving("u", 4)


def test_a_task_that_ends_is_restarted(flock):
    f = flock(1)
    f.cli("deploy", f.write("r.yaml", stack("r", s=sleeper(1))), "--detach")
    row, = f.wait_serving("r", 1)
    import os
    import signal
    os.kill(row["pid"], signal.SIGKILL)

    def again():
        now = f.serving("r")
        return now[0] if now and now[0]["pid"] != row["pid"] else None
    now = wait_until("its restart", again, 20)
    assert now["restarts"] >= 1
    assert now["slot"] == row["slot"]


def test_a_failed_one_with_no_restart_says_its_exit_code(flock):
    f = flock(1)
    f.cli("deploy", f.write("x.yaml", stack("x", s=shell("exit 7", restart="no"))), "--detach")

    def failed():
        rows = f.ps("x")
        return rows[0] if rows and rows[0]["state"] in ("failed", "done") else None
    row = wait_until("it to have failed", failed, 20)
    assert row["state"] == "failed" and row["exit"]["code"] == 7 and row["exit"]["oom"] is False


def test_an_unhealthy_task_is_not_in_dns_and_is_nodata_not_nxdomain(flock):
    f = flock(2)
    f.cli("deploy", f.write("h.yaml", stack("h", s=sleeper(2, healthcheck={
        "test": ["CMD", "/bin/false"], "interval": "1s", "retries": 1000, "start_period": "1000s"}))), "--detach")
    wait_until("both to run", lambda: [r["state"] for r in f.ps("h")].count("running") == 2, 20)
    answer = dnsq.ask(f[0].dns, "s.h.starling.internal", dnsq.A)
    assert answer.rcode == dnsq.NOERROR and answer.answers == []
    assert [k for _, k, _, _ in answer.authority] == [dnsq.SOA]


def test_logs_of_any_peer_from_any_peer(flock):
    f = flock(3)
    f.cli("deploy", f.write("l.yaml", stack("l", s=shell("echo slot $STARLING_SLOT speaks; sleep 100000", 3))), "--detach")
    f.wait_serving("l", 3)
    for peer in range(3):
        wait_until("all three to have spoken", lambda: all(
            f"slot {n} speaks" in f.cli("logs", "l/s", peer=peer).stdout for n in range(3)), 10)
    one = f.cli("logs", "l/s/1", peer=2).stdout
    assert "slot 1 speaks" in one and "slot 0" not in one


def test_validate_needs_no_agent(flock):
    f = flock(1, up=False)
    f.cli("validate", f.write("ok.yaml", stack("ok", s=sleeper())), peer=None)
    done = f.cli("validate", f.write("bad.yaml", "services:\n  s:\n    comand: [true]\n"), peer=None, check=2)
    assert "bad.yaml:3:5" in done.stderr and "comand" in done.stderr


def test_inspect_shows_the_spec_and_needs_a_key(flock):
    f = flock(1)
    f.cli("deploy", f.write("i.yaml", stack("i", s=sleeper(1, environment={"SECRETISH": "s3"}))), "--detach")
    f.wait_serving("i", 1)
    assert "s3" in f.cli("inspect", "i").stdout
    other = f.folder + "/nobody.key"
    f.cli("key", "new", other, peer=None)
    assert f.cli("--key", other, "inspect", "i", check=8).stdout.count("s3") == 0


def test_ls_sums_up(flock):
    f = flock(2)
    f.cli("deploy", f.write("a.yaml", stack("a", s=sleeper(2), t=sleeper(1))), "--detach")
    f.wait_serving("a", 3)
    row, = f.json("ls")
    assert (row["stack"], row["services"], row["desired"], row["running"], row["conflict"]) == ("a", 2, 3, 3, False)
    table = f.cli("ls").stdout
    assert "a" in table.split()
    assert json.loads(f.cli("ls", "-o", "json", peer=1).stdout)[0]["revision"] == row["revision"]


def test_a_stack_that_fits_nowhere_is_told_soon(flock):
    f = flock(2)
    text = stack("far", s=sleeper(1, deploy={"placement": {"constraints": ["node.labels.zone == moon"]}}))
    started = time.monotonic()
    done = f.cli("deploy", f.write("far.yaml", text), check=4)
    took = time.monotonic() - started
    assert "1 slot of stack far has no peer:" in done.stderr
    assert done.stderr.count("has no peer") == 1 and "a placement constraint does not hold" in done.stderr
    print(f"told after {took:.1f} s")


def test_removing_names_the_peers_that_may_still_run_it(flock):
    f = flock(3)
    f.cli("deploy", f.write("gl.yaml", stack("gl", s={"command": ["/bin/sleep", "100000"], "deploy": {"mode": "global"}})), "--detach")
    f.wait_serving("gl", 3)
    pid, = {r["pid"] for r in f.serving("gl") if r["peer_name"] == "p3"}
    f[2].kill()
    done = f.cli("rm", "gl", "--yes", check=7)
    assert "stack gl is removed; p3 could not be reached and stops its tasks when it is back" in done.stderr
    assert alive(pid)
    f[2].start()
    wait_until("p3 to stop its task", lambda: not alive(pid))


def test_removing_names_the_peers_that_were_lost_long_before(flock):
    f = flock(3)
    f.cli("deploy", f.write("a.yaml", stack("a", s=sleeper(6))), "--detach")
    f.cli("deploy", f.write("b.yaml", stack("b", s=sleeper(1, deploy={"placement": {"constraints": ["node.hostname==p1"]}}))), "--detach")
    f.wait_serving("a", 6)
    f.wait_serving("b", 1)
    pids = {r["pid"] for r in f.serving("a") if r["peer_name"] == "p3"}
    assert pids
    f[2].kill()
    f.wait_state("p3", "dead")
    f.wait_serving("a", 6, on={"p1", "p2"})
    # All six run elsewhere, and yet p3's may run on.
    done = f.cli("rm", "a", "--yes", check=7)
    assert "stack a is removed; p3 could not be reached" in done.stderr
    assert "p3, p3" not in done.stderr
    f.cli("rm", "b", "--yes")
    assert all(alive(pid) for pid in pids)
    f[2].start()
    wait_until("p3 to stop its tasks", lambda: not any(alive(pid) for pid in pids))


def test_logs_since_a_time_or_for_a_while(flock):
    f = flock(1)
    f.cli("deploy", f.write("a.yaml", stack("a", s=shell("echo early; sleep 3; echo late; sleep 100000"))), "--detach")
    f.wait_serving("a", 1)
    wait_until("both lines", lambda: "late" in f.cli("logs", "a/s").stdout)
    at = [line.split()[0] for line in f.cli("logs", "a/s", "-t").stdout.splitlines()]
    assert f.cli("logs", "a/s", "--since", "1h").stdout == "early\nlate\n"
    assert f.cli("logs", "a/s", "--since", at[0]).stdout == "early\nlate\n"
    assert f.cli("logs", "a/s", "--since", at[1]).stdout == "late\n"
    assert f.cli("logs", "a/s", "--since", at[1][:19] + "Z").stdout == "late\n"
    for bad in ("yesterday", "2026-13-01T00:00:00Z", "-5m", "0s"):
        assert "--since" in f.cli("logs", "a/s", "--since=" + bad, check=2).stderr


def test_a_host_port_is_one_per_peer(flock):
    f = flock(3)
    port = {"name": "http", "target": 80, "published": 18080, "mode": "host"}
    f.cli("deploy", f.write("p.yaml", stack("p", s=sleeper(3, ports=[port]))), "--detach")
    rows = f.wait_serving("p", 3)
    assert sorted(r["peer_name"] for r in rows) == ["p1", "p2", "p3"]
    assert {(e["port"], e["address"]) for r in rows for e in r["endpoints"]} == {(18080, p.address) for p in f.peers}
    f.cli("scale", "p/s=4", "--detach")
    row = wait_until("the fourth to be listed", lambda: [r for r in f.ps("p") if r["slot"] == 3], 10)[0]
    assert row["peer"] is None and "port" in row["reason"]
    assert len(f.serving("p")) == 3


def test_an_update_replaces_one_slot_after_the_other(flock):
    f = flock(3)
    f.cli("deploy", f.write("a.yaml", stack("a", s=sleeper(4))), "--detach")
    old = {r["slot"]: r["task"] for r in f.wait_serving("a", 4)}
    f.cli("deploy", f.write("a.yaml", stack("a", s=sleeper(4, environment={"V": "2"}))), "--detach", peer=1)
    fewest = 4

    def done():
        nonlocal fewest
        rows = f.serving("a")
        fewest = min(fewest, len({r["slot"] for r in rows}))
        return len(rows) == 4 and not {r["task"] for r in rows} & set(old.values())
    wait_until("all four to be replaced", done, 60)
    assert fewest >= 3


def test_a_newer_revision_supersedes_one_that_cannot_run(flock):
    f = flock(2)
    f.cli("deploy", f.write("a.yaml", stack("a", s=sleeper(3))), "--detach")
    old = {r["slot"]: r["pid"] for r in f.wait_serving("a", 3)}
    f.cli("deploy", f.write("a.yaml", stack("a", s={"command": ["/no/such/program"], "deploy": {"replicas": 3}})), "--detach")
    wait_until("the broken one to be tried", lambda: any(r["state"] != "running" or r["reason"] for r in f.ps("a")), 20)
    # It holds after the first slot: the others serve on.
    kept = [r for r in f.serving("a") if r["pid"] == old[r["slot"]]]
    assert len(kept) >= 2
    f.cli("deploy", f.write("a.yaml", stack("a", s=sleeper(3))), "--detach")
    now = {r["slot"]: r["pid"] for r in f.wait_serving("a", 3, timeout=60)}
    assert {s: p for s, p in now.items() if p in old.values()}, "what still ran the first revision's content was left alone"
