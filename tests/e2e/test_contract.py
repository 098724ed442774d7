"""What scripts rely on: fields and types of -o json, exit codes, flags in any place. Fields are only ever added."""
import json
import os
import re
import subprocess
import time

import pytest

import conftest
from conftest import sleeper, stack

TIME = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$")
ID = re.compile(r"^[0-9a-f]{8,64}$")


class Either:
    def __init__(self, *kinds):
        self.kinds = kinds


SIZE = {"cpus": Either(int, float), "memory_bytes": int}
NODE = {"id": ID, "name": str, "address": str, "state": {"alive", "suspect", "dead", "left"},
        "availability": {"active", "draining", "drained"}, "incarnation": int, "version": str, "arch": str, "os": str,
        "drivers": [str], "labels": {}, "cpus": Either(int, float), "memory_bytes": int, "tasks": int, "resources": {},
        "reserved": SIZE, "reserve": Either(SIZE, None)}
STACK = {"stack": str, "revision": ID, "services": int, "desired": int, "running": int, "healthy": int, "conflict": bool,
         "update": Either(str, None, dict)}
TASK = {"stack": str, "service": str, "slot": int, "task": Either(ID, None), "peer": Either(ID, None), "peer_name": Either(str, None),
        "address": Either(str, None),
        "state": {"pending", "preparing", "starting", "running", "unhealthy", "stopping", "backoff", "done", "failed", "lost"},
        "health": {"none", "starting", "healthy", "unhealthy"}, "reason": Either(str, None), "revision": ID, "driver": str,
        "pid": Either(int, None), "restarts": int,
        "exit": Either({"code": Either(int, None), "signal": Either(int, str, None), "oom": bool}, None),
        "started_at": Either(TIME, None), "retry_at": Either(TIME, None), "endpoints": [{"name": str, "proto": {"tcp", "udp"}, "address": str, "port": int}]}
STATUS = {"flock": Either(str, dict), "name": str, "peer": Either(str, dict), "version": str,
          "state": {"starting", "joining", "waiting", "ready", "draining", "isolated"},
          "peers": {"alive": int, "suspect": int, "dead": int, "left": int}, "store": {"records": int, "root_hash": str},
          "dns": {"address": Either(str, [str], None)}, "http": {"address": Either(str, None)}, "data": str, "clock": {"peers": int, "offset_ms": int, "doubted": bool},
          "capacity": SIZE, "reserve": SIZE}


def check(value, kind, path="$"):
    if isinstance(kind, Either):
        for one in kind.kinds:
            try:
                return check(value, one, path)
            except AssertionError:
                continue
        raise AssertionError(f"{path}: {value!r} is none of {kind.kinds}")
    if kind is None:
        assert value is None, f"{path}: {value!r}"
    elif isinstance(kind, re.Pattern):
        assert isinstance(value, str) and kind.match(value), f"{path}: {value!r} does not match {kind.pattern}"
    elif isinstance(kind, set):
        assert value in kind, f"{path}: {value!r} not in {sorted(kind)}"
    elif isinstance(kind, list):
        assert isinstance(value, list), f"{path}: {value!r}"
        for i, v in enumerate(value):
            check(v, kind[0], f"{path}[{i}]")
    elif isinstance(kind, dict):
        assert isinstance(value, dict), f"{path}: {value!r}"
        missing = set(kind) - set(value)
        assert not missing, f"{path} lacks {sorted(missing)}"
        for k, v in kind.items():
            check(value[k], v, f"{path}.{k}")
    else:
        assert isinstance(value, kind) and not (kind is int and isinstance(value, bool)), f"{path}: {value!r} is no {kind.__name__}"


def test_node_ls(shared):
    rows = shared.json("node", "ls")
    assert len(rows) == 3
    for row in rows:
        check(row, NODE)
        assert "exec" in row["drivers"] and row["memory_bytes"] > 1 << 20 and row["os"] == "linux"
    assert sum(r["tasks"] for r in rows) == 3


def test_ls(shared):
    row, = shared.json("ls")
    check(row, STACK)
    assert (row["stack"], row["services"], row["desired"], row["running"], row["healthy"]) == ("base", 1, 3, 3, 3)


def test_ps(shared):
    rows = shared.json("ps", "base")
    assert [r["slot"] for r in rows] == [0, 1, 2]
    nodes = {r["name"]: r for r in shared.json("node", "ls")}
    for row in rows:
        check(row, TASK)
        assert row["state"] == "running" and row["health"] == "none" and row["driver"] == "exec" and row["pid"] > 1
        assert row["peer"] == nodes[row["peer_name"]]["id"]
        assert [e["name"] for e in row["endpoints"]] == ["http"]
        assert row["endpoints"][0]["address"] == row["address"].split(":")[0]
    assert shared.json("ps") == rows
    unknown = shared.cli("ps", "nosuch", "-o", "json", check=1)
    assert json.loads(unknown.stdout) == [] and "no stack nosuch" in unknown.stderr


def test_an_unplaced_slot_is_a_row_with_null_peer_and_a_reason(shared):
    path = shared.write("u.yaml", stack("u", s=sleeper(2, deploy={"placement": {"constraints": ["node.labels.x == y"]}})))
    shared.cli("deploy", path, "--detach")
    try:
        rows = shared.json("ps", "u")
        assert len(rows) == 2
        for row in rows:
            check(row, TASK)
            assert row["peer"] is None and row["peer_name"] is None and row["state"] == "pending" and row["reason"]
            assert row["pid"] is None and row["endpoints"] == [] and row["started_at"] is None
    finally:
        shared.cli("rm", "u", "--yes")


def test_status(shared):
    for i, peer in enumerate(shared.peers):
        status = shared.json("status", peer=i)
        check(status, STATUS)
        assert status["state"] == "ready" and status["peers"] == {"alive": 3, "suspect": 0, "dead": 0, "left": 0}
        assert status["data"] == peer.data
        assert "%s:%d" % peer.dns in json.dumps(status["dns"]) and "%s:%d" % peer.http in json.dumps(status["http"])
    assert len({shared.json("status", peer=i)["store"]["root_hash"] for i in range(3)}) == 1


def test_global_options_stand_before_or_after_the_verb(shared):
    data = shared[1].data
    one = shared.cli("--data", data, "-o", "json", "ls", peer=None).stdout
    assert json.loads(one) == json.loads(shared.cli("ls", "--data", data, "-o", "json", peer=None).stdout)
    assert json.loads(one) == json.loads(shared.cli("ls", "-o", "json", peer=None, env={"STARLING_DATA": data}).stdout)


def test_tables_have_no_colour_off_a_terminal(shared):
    for verb in (["ls"], ["ps"], ["node", "ls"], ["status"], ["history", "base"]):
        out = shared.cli(*verb).stdout
        assert out and "\x1b" not in out, verb


def test_quiet_prints_names_only(shared):
    assert shared.cli("ls", "-q").stdout == "base\n"


@pytest.mark.parametrize("verb", [["ls"], ["ps"], ["node", "ls"]])
def test_watch_prints_again_after_a_change(shared, verb):
    process = subprocess.Popen([shared.binary, "--data", shared[0].data, *verb, "--watch", "-o", "json"], stdout=subprocess.PIPE,
                               env=shared.env, start_new_session=True)
    try:
        os.set_blocking(process.stdout.fileno(), False)
        seen, changed, end = "", False, time.monotonic() + 20
        while time.monotonic() < end:
            seen += (process.stdout.read() or b"").decode()
            if not changed and "base" in seen + ("base" if verb[0] == "node" and "p3" in seen else ""):
                shared.cli("deploy", shared.write("w.yaml", stack("w", s=sleeper(1))), "--detach")
                shared.wait_serving("w", 1)
                changed, mark = True, len(seen)
            elif changed and len(seen) > mark and ('"w"' in seen or verb[0] == "node"):
                break
            time.sleep(0.05)
        else:
            pytest.fail(f"nothing more was printed after the change: {seen[-500:]!r}")
        assert process.poll() is None
    finally:
        process.kill()
        process.wait()
        shared.cli("rm", "w", "--yes", check=False)
        conftest.snapshot(shared)


def test_version_and_help(shared):
    with open(os.path.join(conftest.ROOT, "VERSION"), encoding="ascii") as f:
        version = f.read().strip()
    assert version in shared.cli("version", peer=None).stdout
    text = shared.cli("--help", peer=None).stdout
    for verb in ("init", "join", "agent", "token create", "status", "deploy", "validate", "ls", "ps", "inspect", "logs", "exec", "top", "events", "scale", "rm",
                 "history", "node ls", "image pull", "image load", "image ls", "image rm", "dns query", "key new", "version"):
        assert re.search(rf"^\s+{verb}\b", text, re.M), verb


def test_exit_codes(shared):
    shared.cli("ls", check=0)
    shared.cli("nosuch", check=2)
    shared.cli("inspect", "nosuch", check=1)
    never = {"test": ["CMD", "/bin/false"], "interval": "1s", "start_period": "60s"}
    path = shared.write("t.yaml", stack("t", s=sleeper(1, healthcheck=never)))
    shared.cli("deploy", path, "--timeout", "2s", check=6)
    shared.cli("rm", "t", "--yes")


def test_dns_query_verb(shared):
    out = shared.cli("dns", "query", "web.base.starling.internal").stdout
    for row in shared.json("ps", "base"):
        assert row["address"].split(":")[0] in out


def test_health_endpoints(shared):
    import urllib.request
    for path in ("/healthz", "/readyz", "/metrics"):
        with urllib.request.urlopen("http://%s:%d%s" % (*shared[0].http, path), timeout=5) as answer:
            assert answer.status == 200


def test_every_row_of_a_table_is_in_json(shared):
    table = shared.cli("ps", "base").stdout.splitlines()
    assert len(table) == 1 + len(shared.json("ps", "base"))


def test_deploy_says_how_many_peers_hold_the_revision(shared):
    done = shared.cli("deploy", shared.write("d.yaml", stack("d", s=sleeper(1))), "--detach")
    assert re.search(r"durable on \d/3 peers", done.stdout + done.stderr), done
    shared.cli("rm", "d", "--yes")
