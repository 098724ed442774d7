"""Founding a flock and entering it: keys, tokens, and what is refused."""
import os
import stat

import pytest

from conftest import new_flock
from flock import Failed


def mode(path):
    return stat.S_IMODE(os.stat(path).st_mode)


def test_three_peers_become_one_flock(flock):
    f = flock(3)
    for peer in range(3):
        rows = f.nodes(peer=peer)
        assert set(rows) == {"p1", "p2", "p3"}
        assert {r["state"] for r in rows.values()} == {"alive"}
        assert len({r["id"] for r in rows.values()}) == 3
        assert [rows[p.name]["address"].split(":")[0] for p in f.peers] == [p.address for p in f.peers]
    assert len({f.json("status", peer=i)["flock"] if isinstance(f.json("status", peer=i)["flock"], str)
                else str(f.json("status", peer=i)["flock"]) for i in range(3)}) == 1


def test_key_files_are_for_their_owner_alone(flock):
    f = flock(1, up=False)
    f.init()
    keys = [os.path.join(folder, name) for folder, _, names in os.walk(f.folder) for name in names if name.endswith(".key")]
    assert len(keys) >= 2, keys
    assert {mode(path) for path in keys} == {0o600}


def test_a_key_file_that_others_can_read_is_refused(flock):
    f = flock(1, up=False)
    f.init()
    os.chmod(f.key, 0o644)
    f[0].start()
    done = f.cli("token", "create", check=False)
    assert done.returncode != 0
    assert f.key in done.stderr and "chmod" in done.stderr


def test_init_does_not_overwrite_a_flock(flock):
    f = flock(1, up=False)
    f.init()
    done = f.cli("init", "--name", "again", check=False)
    assert done.returncode in (1, 2)
    assert f[0].data in done.stderr
    f[0].start()
    assert "again" not in f.cli("status").stdout


def test_an_agent_without_a_flock_says_how_to_get_one(flock):
    f = flock(1, up=False)
    with pytest.raises(Failed) as e:
        f[0].start()
    assert "starling init" in str(e.value) and "starling join" in str(e.value)


@pytest.mark.parametrize("token", ["", "x", "STARLING1-", "STARLING1-AAAA", "STARLING1-" + "A" * 5000, "STARLING1-" + "é" * 40])
def test_a_malformed_token_is_refused(flock, token):
    f = flock(1, up=False)
    done = f.cli("join", token, check=False)
    assert done.returncode == 2, done
    assert "token" in done.stderr


def test_a_damaged_token_is_refused(flock):
    f = flock(2, up=False)
    f.init()
    f[0].start()
    token = f.token()
    swapped = token[:40] + ("A" if token[40] != "A" else "B") + token[41:]
    done = f.cli("join", swapped, peer=1, check=False)
    assert done.returncode == 2 and "token" in done.stderr
    f.cli("join", token, peer=1)


def test_a_token_counts_once(flock):
    f = flock(3, up=False)
    f.init()
    f[0].start()
    token = f.token()
    f.cli("join", token, peer=1)
    done = f.cli("join", token, peer=2, check=False)
    assert done.returncode in (1, 8), done
    assert "token" in done.stderr or "invite" in done.stderr
    f[1].start()
    f.wait_alive({"p1", "p2"})
    assert "p3" not in f.nodes()


def test_hosts_that_join_at_once_with_one_token_all_get_in(flock):
    f = flock(8, up=False)
    f.init()
    f[0].start()
    token = f.token("--uses", "7")
    for peer in f.peers[1:]:
        peer.start(wait=False, token=token)
    for peer in f.peers[1:]:
        peer.wait_ready()
    f.wait_alive()
    row, = f.json("token", "ls")
    assert (row["used"], sorted(row["peers"])) == (7, [p.name for p in f.peers[1:]])


def test_an_expired_token_is_refused(flock):
    f = flock(2, up=False)
    f.init()
    f[0].start()
    token = f.token("--expires", "1s")
    import time
    time.sleep(1.3)
    done = f.cli("join", token, peer=1, check=False)
    assert done.returncode in (1, 8), done
    assert "expired" in done.stderr


def test_the_token_of_another_flock_opens_nothing(flock):
    ours, theirs = flock(2, up=False), flock(1, up=False)
    ours.init()
    ours[0].start()
    theirs.init("other")
    # Their agent listens where ours does not; the token names their flock, so even there our records never mix.
    theirs[0].start()
    foreign = theirs.token()
    theirs[0].stop()
    done = ours.cli("join", foreign, peer=1, check=False, timeout=90)
    assert done.returncode in (1, 6, 7, 8), done
    assert set(ours.nodes()) == {"p1"}


def test_a_member_does_not_join_a_second_flock(flock):
    f, other = flock(2), flock(1)
    done = f.cli("join", other.token(), peer=1, check=False)
    assert done.returncode in (1, 2)
    assert set(other.nodes()) == {"p1"}


def test_nobody_enters_without_a_token(flock):
    """A peer with keys of its own that pretends to belong gets no answer and never shows up."""
    f, stranger = flock(1), flock(1)
    stranger[0].stop()
    # Same addresses as in the other flock's world: it says hello to p1 as if it knew it.
    before = f.json("status")["store"]
    stranger[0].start()
    assert set(f.nodes()) == {"p1"}
    assert f.json("status")["store"]["root_hash"] == before["root_hash"]


def test_a_port_in_use_is_named(flock):
    f = flock(2)
    f[1].stop()
    f[1].bind = f[0].bind
    with pytest.raises(Failed) as e:
        f[1].start()
    assert f[0].bind in str(e.value)
    f[1].bind = f"{f[1].address}:7827"
    f[1].dns = f[0].dns
    with pytest.raises(Failed) as e:
        f[1].start()
    assert "%s:%d" % f[0].dns in str(e.value)
    f[1].dns = (f[1].address, 7853)
    f[1].http = f[0].http
    with pytest.raises(Failed) as e:
        f[1].start()
    assert "%s:%d" % f[0].http in str(e.value)
    f[1].http = (f[1].address, 7828)
    f[1].start()
    f.wait_alive()


def test_two_agents_do_not_share_a_data_folder(flock):
    f = flock(1)
    second = new_flock(1)
    try:
        second[0].data = f[0].data
        with pytest.raises(Failed) as e:
            second[0].start()
        assert f[0].data in str(e.value)
    finally:
        second[0].kill()
        second[0].data = os.path.join(second.folder, "p1")
        second.destroy()
    assert f[0].running()


def test_init_leaves_the_flock_file_of_another_flock_alone(flock):
    f = flock(2, up=False)
    f.init()
    f[0].start()
    file = os.path.join(os.path.dirname(f.key), "flock")
    with open(file, encoding="ascii") as was:
        before = was.read()
    beside, apart = (os.path.join(f.folder, *p) for p in ((os.path.dirname(f.key), "new.key"), ("apart", "new.key")))
    refused = f.cli("--key", beside, "init", "--name", "second", peer=1, check=1).stderr
    assert file in refused and "folder of its own" in refused
    assert not os.path.exists(beside) and not os.path.exists(os.path.join(f[1].data, "root.key"))
    with open(file, encoding="ascii") as now:
        assert now.read() == before
    f.cli("--peer", f[0].bind, "status", peer=None)
    f.cli("--key", apart, "init", "--name", "second", peer=1)
    # A key of the one flock, asked of a peer of the other: the file that says which flock is named.
    other = f.cli("--key", apart, "--peer", f[0].bind, "status", peer=None, check=8).stderr
    assert os.path.join(f.folder, "apart", "flock") in other


def test_an_unwritable_data_folder_is_named(flock):
    f = flock(1, up=False)
    f[0].data = "/proc/starling"
    done = f.cli("init", "--name", "x", check=False)
    assert done.returncode == 1
    assert "/proc/starling" in done.stderr


def test_the_agent_ends_cleanly_and_comes_back_as_the_same_peer(flock):
    f = flock(2)
    before = f.nodes()["p2"]
    assert f[1].stop() == 0
    f.wait_state("p2", ("left", "dead"))
    f[1].start()
    f.wait_alive()
    after = f.nodes()["p2"]
    assert after["id"] == before["id"]
    assert after["incarnation"] > before["incarnation"]
