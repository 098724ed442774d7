"""Volumes: seen from any peer, deleted by who may deploy the stack, and not while something counts on them."""
import os

from conftest import shell, stack
from flock import wait_until


def keeping(f):
    keeps = shell("touch $STARLING_VOLUME_DATA/was-here; exec sleep 100000", 1, **{"x-starling": {"volumes": ["data"]}})
    f.cli("deploy", f.write("a.yaml", stack("a", db=keeps)), "--detach")
    f.wait_serving("a", 1)


def test_a_volume_is_listed_everywhere_and_deleted_on_the_peer_that_has_it(flock):
    f = flock(2)
    keeping(f)
    for peer in range(2):
        wait_until("the volume is told", lambda: f.json("volume", "ls", peer=peer), 20)
    row = f.json("volume", "ls")[0]
    home = next(p for p in f.peers if p.name == row["peer_name"])
    other = next(p for p in f.peers if p is not home).number - 1
    folder = os.path.join(home.data, "volumes", "a", "data")
    assert (row["volume"], row["services"], row["reachable"]) == ("a/data", ["db"], True)
    assert os.path.exists(os.path.join(folder, "was-here"))

    assert "say --yes" in f.cli("volume", "rm", "a/data", check=2).stderr
    refused = f.cli("volume", "rm", "a/data", "--yes", peer=other, check=False)
    assert refused.returncode == 1 and "a/db" in refused.stderr and os.path.exists(folder)

    f.cli("rm", "a", "--yes")
    wait_until("no task", lambda: not home.tasks(), 30)
    assert f.json("volume", "ls", peer=other)[0]["services"] == []
    wait_until("the removal is let", lambda: f.cli("volume", "rm", "a/data", "--yes", peer=other, check=False).returncode == 0, 20)
    assert not os.path.exists(folder)
    wait_until("nobody lists it", lambda: not f.json("volume", "ls", peer=other), 20)
    wait_until("its files are gone", lambda: not os.path.exists(os.path.join(home.data, "volumes", ".removed")), 20)
    gone = f.cli("volume", "rm", "a/data", "--yes", peer=other, check=False)
    assert gone.returncode == 1 and "no volume a/data" in gone.stderr
