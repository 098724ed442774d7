"""How tasks live and die, across peers: those that wait for others, and those that fail where they are."""
import os

from conftest import one_owner_per_slot, shell, sleeper, stack
from flock import wait_until


def test_a_service_starts_once_what_it_depends_on_is_healthy_on_another_peer(flock):
    f = flock(2)
    sign = os.path.join(f.folder, "healthy")
    db = sleeper(healthcheck={"test": ["CMD", "/usr/bin/test", "-e", sign], "interval": "1s", "start_period": "1h"},
                 deploy={"placement": {"constraints": ["node.hostname == p1"]}})
    web = sleeper(depends_on={"db": {"condition": "service_healthy"}},
                  deploy={"placement": {"constraints": ["node.hostname == p2"]}})
    f.cli("deploy", f.write("shop.yaml", stack("shop", db=db, web=web)), "--detach")
    wait_until("db runs", lambda: [r for r in f.ps("shop") if r["service"] == "db" and r["state"] == "running"])
    why = f.cli("explain", "shop/web/0").stdout
    assert "waits until db is healthy (depends_on)" in why, why
    assert [r["service"] for r in f.ps("shop") if r["pid"]] == ["db"]
    open(sign, "w").close()
    one_owner_per_slot(f, "shop", 2)


def test_a_task_that_keeps_failing_on_its_peer_is_moved_to_another(flock):
    f = flock(3)
    web = shell('[ "$STARLING_PEER" = p2 ] && exit 3; exec sleep 1000')
    web["x-starling"] = {"prefer": ["node.hostname == p2"], "move_after": 3}
    web["restart"] = "always"
    f.cli("deploy", f.write("shop.yaml", stack("shop", web=web)), "--detach")
    one_owner_per_slot(f, "shop", 1)
    assert f.serving("shop")[0]["peer_name"] != "p2"


def test_one_that_fails_everywhere_stays_in_sight_with_its_reason(flock):
    f = flock(2)
    f.cli("deploy", f.write("shop.yaml", stack("shop", web=shell("exit 3"))), "--detach")
    wait_until("it was tried elsewhere, too", lambda: any(r["state"] == "backoff" and r["restarts"] >= 6
                                                          for r in f.ps("shop")), 60)
    row = next(r for r in f.ps("shop") if r["state"] == "backoff")
    assert "exited with code 3" in row["reason"], row
