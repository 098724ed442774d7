"""Trust that is taken back: peers evicted and leaving, keys and tokens revoked."""
import os
import re
import subprocess

import dnsq
from conftest import sleeper, stack
from flock import wait_until


def new_key(f, name):
    """An operator key file; returns (path, the public half)."""
    path = os.path.join(f.folder, name + ".key")
    out = f.cli("key", "new", path, peer=None).stdout
    return path, re.search(r"\b[0-9a-f]{64}\b", out).group(0)


def state(f, peer):
    return f.json("status", peer=peer)["state"]


def everywhere(f, peers, what, predicate, timeout=20.0):
    for i in peers:
        wait_until(f"{what} on {f[i].name}", lambda i=i: predicate(i), timeout)


def test_an_evicted_peer_is_out_everywhere_and_its_tasks_start_elsewhere(flock):
    f = flock(3)
    f.cli("deploy", f.write("w.yaml", stack("w", s=sleeper(6))), "--detach")
    f.wait_serving("w", 6)
    own = len(f.serving("w", on={"p3"}))
    assert own
    victim = f.nodes()["p3"]["id"]
    assert "starling leave" in f.cli("node", "evict", "p1", "--yes", check=2).stderr
    assert f.cli("node", "evict", "p3", check=2).stdout == ""  # nobody can be asked, so --yes is needed
    assert set(f.nodes()) == {"p1", "p2", "p3"}
    out = f.cli("node", "evict", "p3", "--yes")
    assert victim in out.stdout and "none" in out.stderr
    everywhere(f, (0, 1), "p3 to be gone", lambda i: set(f.nodes(peer=i)) == {"p1", "p2"})
    f.wait_serving("w", 6, on={"p1", "p2"})
    # It learns of it, says so, stops what it ran and starts nothing more.
    wait_until("p3 to know", lambda: state(f, 2) == "evicted")
    assert "evicted from flock" in f[2].new_log()
    wait_until("p3's tasks to end", lambda: not f[2].tasks())
    f.cli("deploy", f.write("x.yaml", stack("x", s=sleeper(4))), "--detach")
    f.wait_serving("x", 4, on={"p1", "p2"})
    assert not f[2].tasks()
    # Its names would only grow old, and what it accepted would reach nobody.
    assert dnsq.ask(f[2].dns, "s.w.starling.internal", dnsq.A).rcode == dnsq.SERVFAIL
    for verb in (["rm", "w", "--yes"], ["leave", "--yes"], ["ls"], ["ps"], ["node", "ls"], ["history", "w"], ["token", "create"]):
        assert "is out of flock flock (an operator evicted it)" in f.cli(*verb, peer=2, check=8).stderr, verb
    assert "join with a new token" in f.cli("status", peer=2).stderr
    # An evicted peer knows it after a restart too, and nobody listens to it.
    assert f[2].stop() == 0
    f[2].start(wait=False)
    wait_until("p3's control socket", lambda: f.cli("status", peer=2, check=False).returncode == 0)
    assert state(f, 2) == "evicted"
    assert set(f.nodes()) == {"p1", "p2"}
    assert "no peer" in f.cli("node", "evict", "p3", "--yes", check=1).stderr


def test_a_peer_that_was_away_learns_of_its_eviction_when_it_is_back(flock):
    f = flock(3)
    f[2].kill()
    f.wait_state("p3", "dead")
    f.cli("node", "evict", "p3", "--yes")
    f[2].start(wait=False)
    wait_until("p3 to know", lambda: f.cli("status", peer=2, check=False).stdout.count("evicted"), 30)
    assert set(f.nodes()) == {"p1", "p2"}
    # The host comes back with a new key.
    assert f[2].stop() == 0
    f[2].data += "-new"
    f.cli("join", f.token(), peer=2)
    f[2].start()
    f.wait_alive()


def test_who_joined_by_the_word_of_an_evicted_peer_stays_and_its_token_admits_nobody(flock):
    f = flock(4, up=False)
    f.init()
    f[0].start()
    token = f.token("--uses", "4")
    f.cli("join", token, peer=1)
    f[1].start()
    f.wait_alive({"p1", "p2"})
    f.cli("join", token, peer=2)
    f[2].start()
    f.wait_alive({"p1", "p2", "p3"})
    row, = f.json("token", "ls")
    assert (row["state"], row["used"], row["uses"], row["peers"]) == ("open", 2, 4, row["peers"])
    assert sorted(row["peers"]) == ["p2", "p3"] and row["created_by_name"] == "admin"
    f.cli("node", "evict", "p2", "--yes")
    everywhere(f, (0, 2), "p2 to be gone", lambda i: set(f.nodes(peer=i)) == {"p1", "p3"})
    assert f.json("token", "ls", peer=2)[0]["state"] == "evicted"
    assert "evicted" in f.cli("join", token, peer=3, check=8).stderr
    f.cli("join", f.token(), peer=3)
    f[3].start()
    f.wait_alive({"p1", "p3", "p4"}, peers=(0, 2, 3))


def test_a_key_without_the_right_evicts_nobody_and_revokes_nothing(flock):
    f = flock(2)
    path, public = new_key(f, "ci")
    f.cli("key", "grant", public, "ci")
    f.token()
    ids = [t["id"] for t in f.json("token", "ls")]
    f.cli("--key", path, "node", "evict", "p2", "--yes", check=8)
    f.cli("--key", path, "key", "revoke", "admin", "--yes", check=8)
    f.cli("--key", path, "token", "revoke", ids[0], check=8)
    f.cli("--key", path, "leave", "--yes", check=8)
    # An admin's key does not revoke the key above it.
    f.cli("key", "revoke", "root", "--yes", check=8)
    assert set(f.nodes()) == {"p1", "p2"} and state(f, 0) == "ready"
    assert {k["name"] for k in f.json("key", "ls")} == {"root", "admin", "ci"}


def test_a_revoked_key_changes_nothing_more_and_what_it_signed_stays(flock):
    f = flock(3)
    path, public = new_key(f, "ci")
    f.cli("key", "grant", public, "ci")
    file = f.write("w.yaml", stack("w", s=sleeper(3)))
    f.cli("--key", path, "deploy", file, "--detach")
    before = {r["task"] for r in f.wait_serving("w", 3)}
    assert "yes" in f.cli("key", "revoke", "ci", check=2).stderr
    shown = f.cli("key", "revoke", "ci", "--yes").stderr
    assert f.json("history", "w")[0]["revision"][:16] in shown
    everywhere(f, range(3), "the revocation", lambda i: "ci" not in {k["name"] for k in f.json("key", "ls", peer=i)})
    for i in range(3):
        f.cli("--key", path, "scale", "w/s=5", "--detach", peer=i, check=8)
        row, = f.json("history", "w", peer=i)
        assert row["valid"] and row["current"]
        assert f.json("status", peer=i)["store"]["void"] == 1  # the grant
    assert {r["task"] for r in f.wait_serving("w", 3)} == before
    assert "no key" in f.cli("key", "revoke", "ci", "--yes", check=1).stderr
    again = f.cli("key", "grant", public, "ci", check=1).stderr
    assert "revocation stands" in again and "key new" in again and "may act" not in again
    assert f.json("status")["store"]["void"] == 1
    f.cli("scale", "w/s=4", "--detach")
    f.wait_serving("w", 4)


def test_root_revokes_the_admin_and_its_peers_stay(flock):
    f = flock(2)
    f.cli("deploy", f.write("w.yaml", stack("w", s=sleeper(2))), "--detach")
    f.wait_serving("w", 2)
    root = os.path.join(f[0].data, "root.key")
    f.cli("--key", root, "key", "revoke", "admin", "--yes")
    everywhere(f, range(2), "the revocation",
               lambda i: {k["name"] for k in f.json("key", "ls", peer=i)} == {"root"})
    f.cli("token", "create", check=8)
    for i in range(2):
        assert set(f.nodes(peer=i)) == {"p1", "p2"}
    assert len(f.serving("w")) == 2
    path, public = new_key(f, "next")
    f.cli("--key", root, "key", "grant", public, "next", "--role", "admin")
    f.cli("--key", path, "scale", "w/s=3", "--detach", peer=1)
    f.wait_serving("w", 3)


def test_a_revoked_token_admits_nobody_more(flock):
    f = flock(3, up=False)
    f.init()
    f[0].start()
    token = f.token("--uses", "3")
    f.cli("join", token, peer=1)
    f[1].start()
    f.wait_alive({"p1", "p2"})
    ident = f.cli("token", "ls", "-q").stdout.strip()
    f.cli("token", "revoke", ident, peer=1)
    everywhere(f, (0, 1), "the revocation", lambda i: f.json("token", "ls", peer=i)[0]["state"] == "revoked")
    assert "revoked" in f.cli("join", token, peer=2, check=8).stderr
    for i in (0, 1):
        assert set(f.nodes(peer=i)) == {"p1", "p2"}
    f.cli("token", "revoke", ident, check=1)
    f.cli("token", "revoke", "0123456789abcdef", check=1)
    expired = f.token("--expires", "1s")
    assert expired
    wait_until("the token to expire", lambda: "expired" in {t["state"] for t in f.json("token", "ls")}, 5)


def test_a_peer_that_leaves_hands_its_tasks_over_first(flock):
    f = flock(3)
    f.cli("deploy", f.write("w.yaml", stack("w", s=sleeper(6))), "--detach")
    f.wait_serving("w", 6)
    own = {(r["service"], r["slot"]) for r in f.serving("w", on={"p3"})}
    assert own
    f.cli("leave", peer=2, check=2)
    out = f.cli("leave", "--yes", peer=2)
    assert "p3 has left" in out.stderr
    # When the command is back, others serve already and the agent has ended.
    f[2].process.wait(5)
    assert f[2].process.returncode == 0
    assert not f[2].tasks()
    assert len(f.serving("w", on={"p1", "p2"})) == 6
    assert f.nodes()["p3"]["state"] == "left"
    f[2].start()
    f.wait_alive()


def test_leaving_does_not_wait_for_ever_for_what_fits_nowhere_else(flock):
    f = flock(2, labels=[[], ["disk=ssd"]])
    f.cli("deploy", f.write("w.yaml", stack("w", s=sleeper(1, deploy={"placement": {"constraints": [
        "node.labels.disk==ssd"]}}))), "--detach")
    f.wait_serving("w", 1, on={"p2"})
    f.cli("leave", "--yes", "--timeout", "3s", peer=1)
    f[1].process.wait(5)
    assert not f[1].tasks()


def test_the_last_peer_leaves_at_once(flock):
    f = flock(1)
    f.cli("deploy", f.write("w.yaml", stack("w", s=sleeper(2))), "--detach")
    f.wait_serving("w", 2)
    f.cli("leave", "--yes", timeout=30)
    f[0].process.wait(5)
    assert not f[0].tasks()


def test_a_far_operator_cannot_make_a_peer_leave(flock):
    f = flock(2)
    done = f.cli("--peer", f[1].bind, "leave", "--yes", peer=None, check=2)
    assert "--peer" in done.stderr
    assert f[1].running()


def test_a_peer_whose_admission_stops_to_count_stops_its_work(flock):
    """The admin whose token let p2 in is revoked with nothing of it kept: p2 is no member, everywhere, and knows it."""
    f = flock(2, up=False)
    f.init()
    f[0].start()
    path, public = new_key(f, "second")
    f.cli("key", "grant", public, "second", "--role", "admin")
    f.cli("join", f.cli("--key", path, "token", "create", "-q").stdout.strip(), peer=1)
    f[1].start()
    f.wait_alive()
    f.cli("deploy", f.write("w.yaml", stack("w", s=sleeper(4))), "--detach")
    f.wait_serving("w", 4)
    assert f[1].tasks()
    f.cli("key", "revoke", "second", "--keep", "none", "--yes")
    wait_until("p2 to know", lambda: state(f, 1) == "unadmitted")
    assert set(f.nodes()) == {"p1"}
    f.wait_serving("w", 4, on={"p1"})
    assert "its invite is not known to this flock, or was revoked" in f.json("status", peer=1)["reason"]
    assert "is out of flock flock" in f.cli("ls", peer=1, check=8).stderr
    wait_until("p2's tasks to end", lambda: not f[1].tasks(), 60)


def join_on_two_sides(f, uses):
    """p3 joins through p1 while p2 is away, p4 with the same token through p2 while p1 is away; then all are up."""
    f.init()
    f[0].start()
    f.cli("join", f.token(), peer=1)
    f[1].start()
    f.wait_alive({"p1", "p2"})
    token = f.token("--uses", uses)
    wait_until("p2 to know the token", lambda: len(f.json("token", "ls", peer=1)) == 2)
    f[1].kill()
    f.cli("join", token, peer=2)
    f[0].kill()
    f[1].start(wait=False)
    wait_until("p2's control socket", lambda: f.cli("status", peer=1, check=False).returncode == 0)
    f.cli("join", token, peer=3)
    for i in (0, 2, 3):
        f[i].start(wait=False)
    for i in (0, 2, 3):
        wait_until(f"{f[i].name}'s control socket", lambda i=i: f.cli("status", peer=i, check=False).returncode == 0)


def test_a_token_for_two_admits_two_hosts_that_ask_two_peers_that_do_not_see_each_other(flock):
    f = flock(4, up=False)
    join_on_two_sides(f, "2")
    f.wait_alive({"p1", "p2", "p3", "p4"}, peers=range(4), timeout=60)
    row, = [t for t in f.json("token", "ls") if t["uses"] == 2]
    assert sorted(row["peers"]) == ["p3", "p4"] and row["state"] == "used"


def test_a_token_for_one_that_let_in_two_on_two_sides_keeps_one_and_the_other_is_told(flock):
    f = flock(4, up=False)
    join_on_two_sides(f, "1")
    out, = wait_until("one of them to be out", lambda: [i for i in (2, 3) if state(f, i) == "unadmitted"], 60)
    assert "more hosts joined with its token than that allows" in f.json("status", peer=out)["reason"]
    members = {"p1", "p2", "p3", "p4"} - {f[out].name}
    everywhere(f, set(range(4)) - {out}, "the same members", lambda i: set(f.nodes(peer=i)) == members, 40)
    assert f[out].stop() == 0
    f[out].data += "-new"
    f.cli("join", f.token(), peer=out)
    f[out].start()
    f.wait_alive()


def test_a_peer_answers_from_afar_after_an_admin_with_a_long_history_was_revoked(flock):
    f = flock(2)
    for _ in range(25):
        f.token()
    root = os.path.join(f[0].data, "root.key")
    path, public = new_key(f, "a2")
    f.cli("--key", root, "key", "grant", public, "a2", "--role", "admin")
    f.cli("--key", root, "key", "revoke", "admin", "--yes")
    for i in range(2):
        everywhere(f, (i,), "the revocation", lambda i: {k["name"] for k in f.json("key", "ls", peer=i)} == {"root", "a2"})
        f.cli("--key", path, "--peer", f[i].bind, "token", "create", peer=None)
