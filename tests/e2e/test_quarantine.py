"""What does not count is kept, shown with its reason, and may be signed again by somebody else."""
import os

from conftest import sleeper, stack
from flock import wait_until
from test_keys import everywhere, new_key


def shown(f, name, peer=0):
    return {r["revision"]: r for r in f.json("history", name, peer=peer)}


def test_what_a_stolen_key_deployed_is_quarantined_and_can_be_signed_again(flock):
    f = flock(3)
    ci, public = new_key(f, "ci")
    f.cli("key", "grant", public, "ci")
    f.cli("--key", ci, "deploy", f.write("w.yaml", stack("w", s=sleeper(2))), "--detach")
    good = f.json("history", "w")[0]["revision"]
    f.cli("--key", ci, "deploy", f.write("w2.yaml", stack("w", s=sleeper(3), evil=sleeper(1))), "--detach")
    f.cli("--key", ci, "deploy", f.write("x.yaml", stack("x", s=sleeper(1))), "--detach")
    f.wait_serving("w", 4)
    f.wait_serving("x", 1)
    # Only up to the first revision was it the owner who signed.
    signed = f.json("key", "history", "ci")
    assert [r["what"] for r in signed] == ["deploy x", "deploy w", "deploy w"] and all(r["valid"] for r in signed)
    f.cli("key", "revoke", "ci", "--keep", "0123456789", "--yes", check=2)
    f.cli("key", "revoke", "ci", "--keep", good[:16], "--yes", peer=1)
    for i in range(3):
        wait_until(f"the revocation on {f[i].name}", lambda i=i: not all(r["valid"] for r in shown(f, "w", i).values()))
        rows = shown(f, "w", i)
        assert rows[good]["current"] and rows[good]["valid"] and rows[good]["author_name"] == "ci"
        bad, = [r for r in rows.values() if not r["valid"]]
        assert bad["author_name"] == "ci" and bad["author_revoked"] and "was revoked" in bad["why"]
        assert {r["stack"]: (r["quarantined"], r["desired"]) for r in f.json("ls", peer=i)} == {"w": (1, 2), "x": (1, 0)}
        assert [r["valid"] for r in f.json("key", "history", "ci", peer=i)] == [False, False, True]
    # What counts runs again; what does not, stops.
    f.wait_serving("w", 2)
    wait_until("x to stop", lambda: not f.serving("x"))
    table = f.cli("history", "w")
    assert "ci (revoked)" in table.stdout and "quarantined" in table.stdout and "deploy w --revision" in table.stderr
    # Somebody looks at it, and signs it with a key of his own.
    text = f.cli("inspect", "w", "--revision", bad["revision"][:12]).stdout
    assert "evil" in text and '"valid": false' in text
    f.cli("deploy", "w", "--revision", "f" * 64, check=1)
    f.cli("--key", ci, "deploy", "w", "--revision", bad["revision"], check=8)
    f.cli("deploy", "w", "--revision", bad["revision"][:16], peer=2)
    f.wait_serving("w", 4)
    for i in range(3):
        wait_until(f"the new revision on {f[i].name}", lambda i=i: len(shown(f, "w", i)) == 3)
        now, = [r for r in shown(f, "w", i).values() if r["current"]]
        assert now["author_name"] == "admin" and set(now["parents"]) == {good, bad["revision"]} and not now["conflict"]
        assert {r["stack"]: r["quarantined"] for r in f.json("ls", peer=i)} == {"w": 0, "x": 1}
    # And a past one is deployed again the same way.
    f.cli("deploy", "w", "--revision", good[:16], "--detach")
    f.wait_serving("w", 2)
    # The hashes are equal: void or not, every peer holds the same records.
    wait_until("one store", lambda: len({f.json("status", peer=i)["store"]["void"] for i in range(3)}) == 1)


def test_signing_again_lends_no_power_unasked(flock):
    f = flock(1)
    ci, public = new_key(f, "ci")
    f.cli("key", "grant", public, "ci", "--power", "exec-as-root")
    f.cli("--key", ci, "deploy", f.write("r.yaml", stack("r", s=sleeper(1, user="root"))), "--detach")
    bad = f.json("history", "r")[0]["revision"]
    f.cli("key", "revoke", "ci", "--keep", "none", "--yes")
    refused = f.cli("deploy", "r", "--revision", bad, "--detach", check=2)
    assert "exec-as-root" in refused.stderr and "--yes" in refused.stderr
    assert not f.serving("r")
    f.cli("deploy", "r", "--revision", bad, "--detach", "--yes")
    f.wait_serving("r", 1)


def test_the_owner_undoes_what_the_thief_of_the_root_key_did(flock):
    f = flock(2, up=False)
    above, _ = new_key(f, "above", "--root")
    f.cli("init", "--name", "prod", "--successor", above)
    f[0].start()
    f.cli("join", f.token(), peer=1)
    f[1].start()
    f.wait_alive()
    root = os.path.join(f[0].data, "root.key")
    grant = [r["record"] for r in f.json("key", "history", "root") if r["what"] == "grant admin to admin"][0]
    _, thief = new_key(f, "thief")
    f.cli("--key", root, "key", "grant", thief, "thief", "--role", "admin")
    f.cli("--key", root, "key", "revoke", "admin", "--yes")
    f.cli("--key", root, "node", "evict", "p2", "--yes")
    wait_until("p2 to be out", lambda: f.json("status", peer=1)["state"] == "evicted")
    f.cli("--key", above, "key", "revoke", "root", "--keep", grant, "--yes")
    everywhere(f, "all to be as it was", lambda i: f.json("status", peer=i)["state"] == "ready" and {
        k["name"] for k in f.json("key", "ls", peer=i)} == {"root-2", "admin"}, 40)
    f.wait_alive()
    f.cli("deploy", f.write("w.yaml", stack("w", s=sleeper(2))), "--detach", peer=1)
    f.wait_serving("w", 2)


def test_a_key_reads_only_the_stacks_that_its_globs_name(flock):
    f = flock(1)
    eye, public = new_key(f, "eye")
    secret = {"environment": {"SECRETISH": "s3cr3t"}}
    f.cli("deploy", f.write("a.yaml", stack("web-a", s=sleeper(1, **secret))), "--detach")
    f.cli("deploy", f.write("b.yaml", stack("db", s=sleeper(1, **secret))), "--detach")
    f.wait_serving("db", 1)
    f.wait_serving("web-a", 1)
    f.cli("key", "grant", public, "eye", "--role", "read", "--stack", "web-*")
    assert "s3cr3t" in f.cli("--key", eye, "inspect", "web-a").stdout
    f.cli("--key", eye, "logs", "web-a/s")
    assert "cover other stacks" in f.cli("--key", eye, "inspect", "db", check=8).stderr
    assert "s3cr3t" not in f.cli("--key", eye, "inspect", "db", "--revision", f.json("history", "db")[0]["revision"]).stdout
    f.cli("--key", eye, "logs", "db/s", check=8)


def test_a_far_peer_must_show_that_the_flock_admitted_it(flock):
    f = flock(3)
    far = ["--peer", f[2].bind]
    assert "p3" in f.cli(*far, "status", peer=None).stdout
    f.cli("node", "evict", "p3", "--yes")
    wait_until("p3 to know", lambda: f.json("status", peer=2)["state"] == "evicted")
    assert "was evicted" in f.cli(*far, "ls", peer=None, check=8).stderr
