"""Keys that are kept and keys that are lost: sealed files, the root's successor, a stolen root key."""
import os
import pty
import re
import select
import subprocess
import time

from conftest import sleeper, stack
from flock import wait_until


def new_key(f, name, *args):
    """A key file; returns (path, the public half)."""
    path = os.path.join(f.folder, name + ".key")
    out = f.cli("key", "new", path, *args, peer=None).stdout
    return path, re.search(r"\b[0-9a-f]{64}\b", out).group(0)


def everywhere(f, what, predicate, timeout=20.0):
    for i in range(len(f.peers)):
        wait_until(f"{what} on {f[i].name}", lambda i=i: predicate(i), timeout)


def roles(f, peer):
    return {k["name"]: k["role"] for k in f.json("key", "ls", peer=peer)}


def typed(f, argv, answers):
    """Runs a command at a terminal of its own, and types an answer at each prompt; returns (exit code, all that it shows)."""
    pid, fd = pty.fork()
    if pid == 0:
        os.chdir(f.folder)
        os.execve(f.binary, [f.binary, *argv], f.env)
    shown, waiting, deadline = b"", list(answers), time.monotonic() + 30
    while time.monotonic() < deadline:
        if not select.select([fd], [], [], 0.2)[0]:
            continue
        try:
            got = os.read(fd, 4096)
        except OSError:
            break
        if not got:
            break
        shown += got
        if waiting and got.rstrip(b" ").endswith(b":"):
            os.write(fd, waiting.pop(0).encode() + b"\r")
    os.close(fd)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), shown.decode()


def test_the_roots_successor_retires_it_and_what_it_signed_stays(flock):
    f = flock(3)
    f.cli("deploy", f.write("w.yaml", stack("w", s=sleeper(3))), "--detach")
    before = {r["task"] for r in f.wait_serving("w", 3)}
    root = os.path.join(f[0].data, "root.key")
    path, public = new_key(f, "next", "--root")
    other, _ = new_key(f, "other", "--root")
    wrong, _ = new_key(f, "wrong")
    assert "key new FILE --root" in f.cli("--key", root, "key", "succeed", wrong, "--yes", check=2).stderr
    assert "holds a root key" in f.cli("key", "grant", path, "next", check=2).stderr
    assert "only the flock's root" in f.cli("key", "succeed", path, "--yes", check=8).stderr
    f.cli("--key", root, "key", "succeed", public, check=2)  # nobody can be asked
    f.cli("--key", root, "key", "succeed", public, "--yes")
    assert "succeeded" in f.cli("--key", root, "key", "succeed", other, "--yes", check=8).stderr
    everywhere(f, "the new root", lambda i: roles(f, i) == {"root": "root", "root-2": "root", "admin": "admin"})
    # The old one cannot undo it; the new one retires the old.
    f.cli("--key", root, "key", "revoke", "root-2", "--yes", check=8)
    f.cli("--key", path, "key", "revoke", "root", "--yes", peer=1)
    everywhere(f, "the old root to be gone", lambda i: roles(f, i) == {"root-2": "root", "admin": "admin"})
    _, ci = new_key(f, "ci")
    f.cli("--key", root, "key", "grant", ci, "ci", check=8)
    f.cli("--key", root, "token", "create", check=8)
    f.cli("--key", path, "key", "grant", ci, "ci", peer=2)
    # Peers, stacks and the admin's key are what they were.
    f.cli("scale", "w/s=4", "--detach")
    assert before <= {r["task"] for r in f.wait_serving("w", 4)}
    assert set(f.nodes(peer=2)) == {"p1", "p2", "p3"}


def test_a_stolen_root_key_is_overruled_by_the_one_that_the_genesis_names(flock):
    f = flock(2, up=False)
    above, _ = new_key(f, "above", "--root")
    wrong, _ = new_key(f, "wrong")
    assert "a root key is needed" in f.cli("init", "--name", "prod", "--successor", wrong, check=2).stderr
    assert "above it" in f.cli("init", "--name", "prod", "--successor", above).stdout
    f[0].start()
    f.cli("join", f.token(), peer=1)
    f[1].start()
    f.wait_alive()
    root = os.path.join(f[0].data, "root.key")
    thief, thief_key = new_key(f, "thief", "--root")
    # The thief names a successor, revokes the admin, and lets a key of its own in.
    assert "succeeded" in f.cli("--key", root, "key", "succeed", thief, "--yes", check=8).stderr
    f.cli("--key", root, "key", "grant", thief_key, "thief", "--role", "admin")
    f.cli("--key", root, "key", "revoke", "admin", "--yes")
    f.cli("token", "create", check=8)
    # The owner takes the flock back with the key that was never on a host.
    f.cli("--key", above, "key", "revoke", "root", "--yes")
    f.cli("--key", above, "key", "revoke", "thief", "--yes", peer=1)
    mine, mine_key = new_key(f, "mine")
    f.cli("--key", above, "key", "grant", mine_key, "mine", "--role", "admin")
    everywhere(f, "the flock to be its owner's", lambda i: roles(f, i) == {"root-2": "root", "mine": "admin"})
    f.cli("--key", thief, "token", "create", check=8)
    f.cli("--key", mine, "token", "create", peer=1)
    assert set(f.nodes()) == {"p1", "p2"}


def test_a_sealed_operator_key_works_with_its_passphrase_and_not_without(flock):
    f = flock(1, up=False)
    word = f.write("word", "open sesame\n")
    f.cli("init", "--name", "flock", "--seal", "--passphrase-file", word)
    for path in (f.key, os.path.join(f[0].data, "root.key")):
        with open(path, encoding="ascii") as file:
            assert "-sealed-1 " in file.read()
    f[0].start()  # the peer's own key is bare
    file = f.write("w.yaml", stack("w", s=sleeper(1)))
    refused = f.cli("deploy", file, "--detach", env={"STARLING_PASSPHRASE": "open barley"}, check=8)
    assert "another passphrase" in refused.stderr
    f.cli("deploy", file, "--detach", "--passphrase-file", word)
    f.cli("--peer", f[0].bind, "scale", "w/s=2", "--detach", peer=None, env={"STARLING_PASSPHRASE": "open sesame"})
    f.wait_serving("w", 2)
    f.cli("rm", "w", "--yes", env={"STARLING_PASSPHRASE_FILE": word})
    # Without a terminal nobody is asked: CI is told what to give.
    done = subprocess.run([f.binary, "--data", f[0].data, "token", "create"], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, env=f.env, start_new_session=True, check=False)
    assert done.returncode == 8 and "STARLING_PASSPHRASE_FILE" in done.stderr
    assert "empty" in f.cli("token", "create", "--passphrase-file", f.write("none", "\n"), check=8).stderr


def test_a_person_is_asked_for_the_passphrase_and_it_is_not_shown(flock):
    f = flock(1)
    code, shown = typed(f, ["key", "seal", f.key], ["tip of the tongue", "tip of the lung"])
    assert code == 1 and "differ" in shown
    code, shown = typed(f, ["key", "seal", f.key], ["tip of the tongue", "tip of the tongue"])
    assert code == 0 and "is sealed" in shown and "tongue" not in shown
    argv = ["--data", f[0].data, "token", "create"]
    code, shown = typed(f, argv, ["tip of the tongue"])
    assert code == 0 and "STARLING1-" in shown and "tongue" not in shown and shown.count("Passphrase of") == 1
    code, shown = typed(f, argv, ["no"])
    assert code == 8 and "another passphrase" in shown
    code, shown = typed(f, argv, ["\x03"])
    assert code == 8 and "no passphrase was given" in shown
    code, shown = typed(f, ["key", "unseal", f.key], ["tip of the tonguX\x7fe"])
    assert code == 0
    assert f.token()
