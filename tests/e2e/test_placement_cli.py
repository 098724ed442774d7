"""What operators set about peers and where things run, and how they ask: drain, label, voters, explain, plan."""
import json
import os
import pwd
import re
import signal
import subprocess

from conftest import shell, sleeper, stack
from flock import wait_until
from test_operators import new_key


def test_labels_are_set_and_taken_away_by_any_name_of_the_peer(flock):
    f = flock(2)
    ids = {name: row["id"] for name, row in f.nodes().items()}
    f.cli("node", "label", "p2", "disk=ssd", "zone=b")
    f.cli("node", "label", ids["p2"][:6], "zone-", peer=1)
    f.cli("node", "label", ids["p2"], "rack=7")
    assert "nothing changed" in f.cli("node", "label", "p2", "rack=7").stderr
    for peer in 0, 1:
        assert f.nodes(peer)["p2"]["labels"] == {"disk": "ssd", "rack": "7"}
        assert f.nodes(peer)["p1"]["labels"] == {}
    assert "KEY=VALUE" in f.cli("node", "label", "p2", "zone", check=2).stderr
    assert "no peer p9" in f.cli("node", "label", "p9", "a=b", check=1).stderr
    for twice in ("zone=b", "zone=c"), ("zone=b", "zone-"):
        assert "label zone stands twice" in f.cli("node", "label", "p2", *twice, check=2).stderr
    assert "peer p2 has no label dsik" in f.cli("node", "label", "p2", "dsik-").stderr
    assert "has no label" not in f.cli("node", "label", "p2", "rack-").stderr


def test_only_admins_set_what_concerns_all(flock):
    f = flock(1)
    path, public = new_key(f, "ci")
    f.cli("key", "grant", public, "ci", "--role", "deploy")
    for args in ("node", "drain", "p1"), ("node", "label", "p1", "a=b"), ("voters", "set", "p1"):
        assert "admin" in f.cli("--key", path, *args, check=8).stderr
    assert f.nodes()["p1"]["availability"] == "active"
    f.cli("node", "drain", "p1", "--detach")
    f.cli("node", "resume", "p1")
    assert [row["what"].rpartition(" ")[0] for row in f.json("key", "history", "admin")[:2]] == ["resume peer", "drain peer"]


def test_voters_are_named_and_a_bad_number_is_warned_of(flock):
    f = flock(3)
    assert f.json("voters", "ls") == []
    assert "name 3 or 5" in f.cli("voters", "set", "p1").stderr
    assert "warning" not in f.cli("voters", "set", "p3", "p1", "p2").stderr
    assert sorted(r["name"] for r in f.json("voters", "ls", peer=2)) == ["p1", "p2", "p3"]
    assert {r["state"] for r in f.json("voters", "ls")} == {"alive"}
    assert "stands twice" in f.cli("voters", "set", "p1", "p1", check=2).stderr


def test_a_peer_with_nothing_to_hand_over_is_drained_at_once(flock):
    f = flock(2)
    said = f.cli("node", "drain", "p2").stderr
    assert re.search(r"^p2 is drained: 0 tasks handed over$", said, re.M), said
    assert f.nodes(1)["p2"]["availability"] == "drained"
    assert "drains already, by admin" in f.cli("node", "drain", "p2").stderr
    f.cli("node", "resume", "p2")
    assert f.nodes()["p2"]["availability"] == "active"
    assert "not drained" in f.cli("node", "resume", "p2").stderr


def test_what_tasks_may_reserve_is_the_host_less_the_reserve(flock):
    f = flock(1, up=False)
    f.init()
    f[0].start("--reserve-cpu", "0.5", "--reserve-memory", "1g", "--resource", "gpu=2")
    status = f.json("status")
    assert status["reserve"] == {"cpus": 0.5, "memory_bytes": 1 << 30}
    node, = f.json("node", "ls")
    assert (node["cpus"], node["memory_bytes"]) == (status["capacity"]["cpus"], status["capacity"]["memory_bytes"])
    assert node["reserve"] == status["reserve"] and node["resources"] == {"gpu": 2}
    assert node["reserved"] == {"cpus": 0, "memory_bytes": 0}


def test_explain_says_what_each_peer_lacks_in_figures(flock):
    f = flock(2)
    f.cli("node", "label", "p2", "zone=b")
    ask = {"resources": {"reservations": {"cpus": "640"}}}
    where = {"placement": {"constraints": ["node.labels.zone == a"]}}
    f.cli("deploy", f.write("a.yaml", stack("shop", huge=sleeper(1, deploy=ask), zoned=sleeper(1, deploy=where), s=sleeper(1))),
          "--detach")
    f.wait_serving("shop", 1, "s")
    out = f.cli("explain", "shop/huge").stdout
    assert out.startswith("shop/huge/0 fits on no peer: reservation is larger than the whole peer (9)\n") and "asks 640 cpus" in out
    peers = {p["name"]: p for p in f.json("explain", "shop/zoned/0")[0]["peers"]}
    assert {p["number"] for p in peers.values()} == {8}
    assert peers["p1"]["detail"] == "node.labels.zone == a, and it has none"
    assert peers["p2"]["detail"] == "node.labels.zone == a, and it is b"
    slot, = f.json("explain", "shop/s")
    assert slot["why"] == f"runs on {slot['owner']}, and nothing asks it to move"
    assert [p["name"] for p in slot["peers"] if p["here"]] == [slot["owner"]]
    assert "no such stack" in f.cli("explain", "nope/s", check=1).stderr
    many = f.write("m.yaml", stack("many", s=sleeper(70, deploy={"placement": {"constraints": ["node.labels.zone == moon"]}})))
    f.cli("deploy", many, "--detach")
    wait_until("70 slots", lambda: len(f.ps("many")) == 70)
    assert [(i["slot"], i["more"]) for i in f.json("explain", "many/s")] == [(n, 6) for n in range(64)]
    assert "6 more slots of it are not shown" in f.cli("explain", "many/s").stderr
    assert f.json("explain", "many/s/69")[0]["slot"] == 69
    assert "1 replicas, so no such slot" in f.cli("explain", "shop/s/7", check=1).stderr
    everywhere = {"command": ["/bin/sleep", "100000"], "deploy": {"mode": "global"}}
    f.cli("deploy", f.write("g.yaml", stack("all", s=everywhere)))
    assert len(f.json("explain", "all/s/0")) == 2
    assert "numbered 0 on every peer; ask for all/s" in f.cli("explain", "all/s/1", check=1).stderr


def test_a_plan_writes_nothing_and_tells_what_the_deployment_then_does(flock):
    f = flock(3)
    before = f.write("a.yaml", stack("shop", web=sleeper(2), old=sleeper(1), same=sleeper(3)))
    assert f.cli("plan", before, check=3).stdout.startswith("stack shop: 3 added, 0 changed, 0 removed, 0 as they are\n")
    assert f.json("ls") == []
    first = json.loads(f.cli("plan", before, "-o", "json", check=3).stdout)["slots"]
    f.cli("deploy", before)
    assert {(r["service"], r["slot"]): r["peer_name"] for r in f.ps("shop")} == {(s["service"], s["slot"]): s["to"] for s in first}
    assert f.cli("plan", before).stdout == "stack shop: nothing would change\n"
    after = f.write("b.yaml", stack("shop", web=sleeper(4, environment={"A": "1"}), new=sleeper(1), same=sleeper(3)))
    plan = json.loads(f.cli("plan", after, "-o", "json", check=3).stdout)
    assert {s["service"]: s["change"] for s in plan["services"]} == {
        "new": "added", "old": "removed", "same": "same", "web": "changed"}
    web = next(s for s in plan["services"] if s["service"] == "web")
    assert web["replaces_tasks"] and web["keys"] == ["deploy.replicas", "environment"]
    planned = {(s["service"], s["slot"]): (s["action"], s["to"]) for s in plan["slots"]}
    assert planned["old", 0] == ("stop", None)
    assert [planned["web", i][0] for i in range(4)] == ["replace", "replace", "start", "start"]
    f.cli("deploy", after)
    # What starts may go elsewhere once what stops has made room.
    are = {(r["service"], r["slot"]): r["peer_name"] for r in f.ps("shop")}
    assert set(are) == {slot for slot, (action, _) in planned.items() if action != "stop"}
    assert all(are[slot] == to for slot, (action, to) in planned.items() if action in ("keep", "replace"))


def test_a_plan_that_fits_nowhere_says_which_slot_and_why(flock):
    f = flock(1)
    path = f.write("a.yaml", stack("shop", huge=sleeper(1, deploy={"resources": {"reservations": {"cpus": "640"}}})))
    out = f.cli("plan", path, check=4).stdout
    assert re.search(r"^shop/huge/0 +nowhere .*reservation is larger than the whole peer \(9\)$", out, re.M), out
    path, public = new_key(f, "ci")
    f.cli("--key", path, "plan", f.write("b.yaml", stack("shop", s=sleeper(1))), check=8)


def test_a_paused_service_waits_for_its_dead_peer_until_that_is_drained(flock):
    f = flock(3)
    path = f.write("a.yaml", stack("shop", s=sleeper(3, deploy={"placement": {"max_replicas_per_node": 2}},
                                                     **{"x-starling": {"partition": "pause"}})))
    f.cli("deploy", path)
    f[2].lose()
    f.wait_state("p3", "dead")
    lost, = [r for r in f.ps("shop") if r["state"] == "pending"]
    assert lost["reason"] == "waits for p3, which is dead (partition: pause); `starling node drain p3` if it will not be back soon"
    slot = f"shop/s/{lost['slot']}"
    assert "it had it last" in f.cli("explain", slot).stdout
    plan = f.cli("plan", path).stdout
    assert re.search(rf"^{slot} +keep +p3 +p3 +waits for p3", plan, re.M) and "2 slots are kept as they are" in plan, plan
    assert "p3 is dead: others start what it ran" in f.cli("node", "drain", "p3").stderr
    f.wait_serving("shop", 3, on=["p1", "p2"])


def test_an_even_flock_has_nothing_to_move(flock):
    f = flock(2)
    f.cli("deploy", f.write("a.yaml", stack("shop", s=sleeper(4))))
    out = f.cli("rebalance", "--plan").stdout
    assert out.startswith("the flock is even: nothing would move\n")
    plan = f.json("rebalance", "--plan")
    assert plan["moves"] == [] and [p["tasks"] for p in plan["peers"]] == [2, 2]
    f.cli("rebalance")
    assert f.json("key", "history", "admin")[0]["what"] == "set rebalance"


def test_what_a_task_keeps_in_a_volume_outlives_its_stack_and_pins_it(flock):
    f = flock(2)
    keep = shell('echo "$STARLING_REVISION" >> "$STARLING_VOLUME_DATA"/runs && exec sleep 1000')
    keep["x-starling"] = {"volumes": ["data"]}
    path = f.write("a.yaml", stack("shop", db=keep))
    f.cli("deploy", path)
    row, = f.ps("shop")
    home = next(p for p in f.peers if p.name == row["peer_name"])
    runs = os.path.join(home.data, "volumes", "shop", "data", "runs")
    assert len(open(runs).read().splitlines()) == 1
    if os.geteuid() == 0:
        assert pwd.getpwuid(os.stat(os.path.dirname(runs)).st_uid).pw_name == "nobody"
    other = next(p for p in f.peers if p is not home)
    for _ in range(3):
        f.cli("rm", "shop", "--yes")
        f.cli("deploy", path)
        assert f.ps("shop")[0]["peer_name"] == home.name
    assert len(open(runs).read().splitlines()) == 4
    lacks = next(p for p in f.json("explain", "shop/db")[0]["peers"] if p["name"] == other.name)
    assert (lacks["number"], lacks["detail"]) == (15, f"data lives on {home.name}")
    kept = f.cli("node", "drain", home.name, "--timeout", "4s", check=4).stderr
    assert "shop/db/0: stays on" in kept and "(15)" in kept
    assert f.serving("shop", on=[home.name])


def test_ids_may_be_cut_short_and_durations_count_days(flock):
    f = flock(1)
    said = f.cli("token", "create", "--expires", "10d").stderr
    token = re.search(r"token ([0-9a-f]{16}),", said).group(1)
    assert token in {row["id"] for row in f.json("token", "ls")}
    assert "no token" in f.cli("token", "revoke", token[:3], check=1).stderr
    f.cli("token", "revoke", token[:6])
    assert "revoked already" in f.cli("token", "revoke", token, check=1).stderr
    assert "at most 30d" in f.cli("token", "create", "--help").stdout
    f.cli("token", "create", "--expires", "31d", check=2)
    path, public = new_key(f, "ci")
    f.cli("key", "grant", public, "ci")
    f.cli("key", "history", public[:8])
    assert "no key" in f.cli("key", "history", public[:3], check=1).stderr
    f.cli("key", "revoke", public[:8], "--yes")
    assert next(k for k in f.json("key", "ls", "--all") if k["name"] == "ci")["state"] == "revoked"


def test_a_drain_hands_over_first_and_an_interrupt_ends_only_the_waiting(flock):
    f = flock(3)
    pinned = sleeper(1, deploy={"placement": {"constraints": ["node.hostname == p3"]}})
    everywhere = {"command": ["/bin/sleep", "1000"], "deploy": {"mode": "global"}}
    f.cli("deploy", f.write("a.yaml", stack("shop", web=sleeper(6), pinned=pinned, g=everywhere)))
    on_p3 = {r["slot"] for r in f.serving("shop", "web", on=["p3"])}
    assert on_p3
    waiting = subprocess.Popen([f.binary, "--data", f[0].data, "node", "drain", "p3"], env=f.env, text=True,
                               stderr=subprocess.PIPE)
    wait_until("p3 to have no web", lambda: not f.serving("shop", "web", on=["p3"]), 20)
    # The pinned task is left, so it goes on waiting.
    assert len(f.serving("shop", "web")) == 6 and waiting.poll() is None
    waiting.send_signal(signal.SIGINT)
    said = waiting.communicate(timeout=10)[1]
    assert waiting.returncode == 130 and "the drain goes on" in said, said
    for slot in on_p3:
        assert re.search(rf"^shop/web/{slot}: handed over from p3 to p[12], ", said, re.M), said
    assert re.search(r"^shop/g/0: stopped on p3$", said, re.M), said
    assert f.nodes()["p3"]["availability"] == "draining"
    assert "stays on p3: a placement constraint does not hold (8); label another peer" in f.cli(
        "node", "drain", "p3", "--timeout", "3s", check=4).stderr
    f.cli("node", "resume", "p3")
    f.wait_serving("shop", 3, "g")
    assert f.serving("shop", "web", on=["p3"]) == []
