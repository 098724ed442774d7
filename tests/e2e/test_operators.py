"""Who may do what, and from where: roles, globs, powers, and the command line far from any agent."""
import os
import re
import socket
import struct

from conftest import needs_root, sleeper, stack
from flock import wait_until


def new_key(f, name):
    """An operator key file; returns (path, the public half)."""
    path = os.path.join(f.folder, name + ".key")
    out = f.cli("key", "new", path, peer=None).stdout
    return path, re.search(r"\b[0-9a-f]{64}\b", out).group(0)


def ask_socket(peer, verb, of):
    """The raw answer to an unsigned request with the argument `stack`: the msgpack of greeting and last message."""
    def text(s):
        return bytes([0xa0 + len(s)]) + s.encode()
    message = b"\x83" + text("verb") + text(verb) + text("seq") + b"\x00" + text("args") + b"\x81" + text("stack") + text(of)
    answer = b""
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(5)
        s.connect(os.path.join(peer.data, "control.sock"))
        s.sendall(struct.pack(">I", len(message)) + message)
        while answer.count(text("end")) == 0 and answer.count(text("error")) == 0:
            got = s.recv(65536)
            assert got, answer
            answer += got
        s.settimeout(0.2)
        try:
            while got := s.recv(65536):
                answer += got
        except TimeoutError:
            pass
    return answer


def test_a_deploy_key_deploys_what_its_globs_name(flock):
    f = flock(2)
    path, public = new_key(f, "ci")
    web = f.write("web.yaml", stack("web-shop", s=sleeper(2)))
    other = f.write("db.yaml", stack("db", s=sleeper(1)))
    f.cli("--key", path, "deploy", web, "--detach", check=8)
    f.cli("key", "grant", public, "ci", "--stack", "web-*")
    f.cli("--key", path, "deploy", web, "--detach", peer=1)
    f.wait_serving("web-shop", 2)
    refused = f.cli("--key", path, "deploy", other, "--detach", check=8)
    assert "db" in refused.stderr
    f.cli("--key", path, "token", "create", check=8)
    f.cli("--key", path, "key", "grant", public, "ci", "--role", "admin", check=8)
    assert [r["stack"] for r in f.json("ls")] == ["web-shop"]
    f.cli("--key", path, "rm", "web-shop", "--yes")
    assert {k["name"]: k["role"] for k in f.json("key", "ls")} == {
        "root": "root", "admin": "admin", "ci": "deploy"}


def test_a_read_key_reads_and_changes_nothing(flock):
    f = flock(1)
    path, public = new_key(f, "eye")
    f.cli("deploy", f.write("a.yaml", stack("a", s=sleeper(1, environment={"SECRETISH": "s3cr3t"}))), "--detach")
    f.wait_serving("a", 1)
    # What file permissions alone let in gets to know that there is a spec, not what it says.
    answer = ask_socket(f[0], "stack", "a")
    assert b"spec_hash" in answer and b"s3cr3t" not in answer
    f.cli("--key", path, "inspect", "a", check=8)
    f.cli("key", "grant", public, "eye", "--role", "read")
    assert "s3cr3t" in f.cli("--key", path, "inspect", "a").stdout
    f.cli("--key", path, "logs", "a/s")
    f.cli("--key", path, "scale", "a/s=2", check=8)
    f.cli("--key", path, "rm", "a", "--yes", check=8)
    assert len(f.serving("a")) == 1


@needs_root
def test_root_needs_a_power_that_the_key_was_given(flock):
    f = flock(1)
    path, public = new_key(f, "ci")
    f.cli("key", "grant", public, "ci")
    root = f.write("r.yaml", stack("r", s=sleeper(1, user="root")))
    done = f.cli("--key", path, "deploy", root, "--detach", check=8)
    assert "service s needs the power exec-as-root, which key ci does not have" in done.stderr
    assert f.json("ls") == []
    f.cli("deploy", root, "--detach")
    row, = f.wait_serving("r", 1)
    with open(f"/proc/{row['pid']}/status", encoding="ascii") as status:
        assert re.search(r"^Uid:\s+0\s", status.read(), re.M)


@needs_root
def test_a_service_without_a_user_is_nobody_and_gains_nothing(flock):
    f = flock(1)
    f.cli("deploy", f.write("n.yaml", stack("n", s=sleeper(1))), "--detach")
    row, = f.wait_serving("n", 1)
    with open(f"/proc/{row['pid']}/status", encoding="ascii") as status:
        text = status.read()
    assert re.search(r"^Uid:\s+65534\s+65534\s+65534\s+65534$", text, re.M)
    assert re.search(r"^NoNewPrivs:\s+1$", text, re.M)
    assert re.search(r"^CapEff:\s+0+$", text, re.M)


def test_the_command_line_reaches_a_far_peer_with_a_key_alone(flock):
    f = flock(2)
    far = ["--peer", f[1].bind]
    assert f.json("status")["name"] == "p1"
    out = f.cli(*far, "status", peer=None).stdout
    assert "p2" in out
    f.cli(*far, "deploy", f.write("a.yaml", stack("a", s=sleeper(2))), "--detach", peer=None)
    f.wait_serving("a", 2)
    f.cli(*far, "logs", "a/s", peer=None)
    # A new key may be used from afar as it is: the flock's id stands beside it.
    os.mkdir(os.path.join(f.folder, "carried"))
    carried, public = new_key(f, "carried/eye")
    f.cli("key", "grant", public, "eye", "--role", "read")
    wait_until("p2 to know the key", lambda: f.cli("--key", carried, *far, "status", peer=None, check=False).returncode == 0)
    stranger, _ = new_key(f, "stranger")
    refused = f.cli("--key", stranger, *far, "status", peer=None, check=False)
    assert refused.returncode == 8, refused
    f.cli(*far, "rm", "a", "--yes", peer=None)
