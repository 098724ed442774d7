"""Containers by driver oci: real runc (or crun), images made from busybox-static, a docker-registry on loopback."""
import json
import os
import subprocess
import tarfile
import time

import pytest

import images
from conftest import stack
from flock import wait_until

pytestmark = pytest.mark.skipif(images.missing() is not None, reason=images.missing() or "")


def oci(image, command=None, **more):
    service = {"image": image, "stop_grace_period": "1s", "x-starling": {"driver": "oci"}, **more}
    if command:
        service["command"] = command
    return service


def load(f, folder, name, *args, **config):
    layout = images.layout(os.path.join(f.folder, folder), name, **config)
    return f.cli("image", "load", layout, "--name", name, *args)


def mounts():
    with open("/proc/mounts", encoding="utf-8") as m:
        return m.read()


def reason(f, name, part, peer=0):
    return wait_until(f"a task whose reason has {part!r}",
                      lambda: [r for r in f.ps(name, peer=peer) if part in r["reason"]], 20)


def test_an_image_is_fetched_from_its_registry_runs_and_leaves_nothing(flock, tmp_path):
    f = flock(1)
    registry = images.Registry(str(tmp_path), f"127.78.{f.net}.200")
    try:
        wait_until("the registry", lambda: subprocess.run(["curl", "-s", f"http://{registry.at}/v2/"], check=False).returncode == 0
                   if os.path.exists("/usr/bin/curl") else not time.sleep(1), 10)
        ref = registry.push(images.layout(str(tmp_path / "l"), "x", Env=["GREETING=hello"], User="app", WorkingDir="/data",
                                          Cmd=["sh", "-c", "echo $GREETING $STARLING_SERVICE; id; pwd; exec sleep 1000"]), "app:1")
        f.cli("deploy", f.write("s.yaml", stack("s", web=oci(ref, healthcheck={"test": ["CMD", "cat", "from-image"]}))))
        row, = f.wait_serving("s", 1)
        assert row["driver"] == "oci" and row["health"] == "healthy"
        lines = f.cli("logs", "s/web").stdout.splitlines()
        assert lines == ["hello web", "uid=1000(app) gid=1001(app) groups=2000(extra)", "/data"]
        # What a task fetched is no operator's.
        image, = f.json("image", "ls")
        assert image["image"] == ref and not image["by_hand"]
        refused = f.cli("image", "rm", ref, check=False)
        assert refused.returncode == 1 and "needed here" in refused.stderr
        f.cli("rm", "s", "--yes")
        wait_until("no mount", lambda: f.folder not in mounts(), 10)
        run = os.path.join(f[0].data, "images", "run")
        wait_until("no container's files", lambda: [n for n in os.listdir(run) if not n.startswith(".")] == [], 10)
        f.cli("image", "rm", ref)
        assert f.json("image", "ls") == []
        wait_until("no blob", lambda: os.listdir(os.path.join(f[0].data, "images", "blobs", "sha256")) == [], 10)
        assert os.listdir(os.path.join(f[0].data, "images", "rootfs")) == []
    finally:
        registry.close()


def test_archives_of_both_kinds_are_loaded_on_every_peer(flock, tmp_path):
    f = flock(2)
    load(f, "one", "one:1", "--all")
    f.cli("image", "load", images.archive(os.path.join(f.folder, "one"), str(tmp_path / "two.tar")), "--name", "two:1")
    f.cli("image", "load", images.docker_archive(str(tmp_path / "three.tar"), "three:1"))
    assert [i["image"] for i in f.json("image", "ls")] == ["one:1", "three:1", "two:1"]
    assert [i["image"] for i in f.json("image", "ls", peer=1)] == ["one:1"]
    f.cli("image", "rm", "one:1", "--all")
    assert f.json("image", "ls", peer=1) == []
    nameless = f.cli("image", "load", str(tmp_path / "two.tar"), check=False)
    assert nameless.returncode == 0  # its annotation has a name
    unsigned = f.cli("image", "rm", "two:1", "--key", "/nonexistent", check=False)
    assert unsigned.returncode != 0


def test_a_container_has_what_its_service_says(flock):
    f = flock(1)
    load(f, "app", "app:1")
    shell = ("hostname; id -u; cat /etc/resolv.conf; grep db /etc/hosts; touch /ro 2>&1; df -k /dev/shm | tail -1; cat /seeded/from-image; "
             "stat -c %a /scratch; grep CapBnd /proc/self/status; grep NoNewPrivs /proc/self/status; "
             "echo kept >/kept/file; exec sleep 1000")
    f.cli("deploy", f.write("s.yaml", json.dumps({"name": "s", "services": {"s": oci(
        "app:1", ["sh", "-c", shell], hostname="box", user="root", dns=["192.0.2.1"], dns_search=["example.com"],
        extra_hosts=["db=192.0.2.9"], read_only=True, shm_size="16m", tmpfs=["/scratch:mode=700"], cap_drop=["ALL"],
        security_opt=["no-new-privileges"], volumes=
        ["kept:/kept", {"type": "volume", "source": "seeded", "target": "/data"},
         {"type": "volume", "source": "seeded", "target": "/seeded"}])}, "volumes": {"kept": {}, "seeded": {}}})))
    f.wait_serving("s", 1)
    text = wait_until("its lines", lambda: (lambda t: t if "NoNewPrivs" in t else None)(f.cli("logs", "s/s").stdout), 10)
    lines = text.splitlines()
    assert lines[:5] == ["box", "0", "nameserver 192.0.2.1", "search example.com", "192.0.2.9 db"]
    assert "Read-only file system" in lines[5]
    assert "16384" in lines[6]
    assert lines[7:9] == ["of the image", "700"]
    assert "0000000000000000" in lines[9] and lines[10].split() == ["NoNewPrivs:", "1"]
    with open(os.path.join(f[0].data, "volumes", "s", "kept", "file"), encoding="utf-8") as kept:
        assert kept.read() == "kept\n"


def test_bad_images_are_refused_with_the_cause(flock, tmp_path):
    f = flock(1)
    spoiled = images.layout(os.path.join(f.folder, "spoiled"), "bad:1", spoil=b"other bytes")
    answer = f.cli("image", "load", spoiled, check=False)
    assert answer.returncode == 2 and "damaged, or was changed" in answer.stderr
    arm = images.layout(os.path.join(f.folder, "arm"), "arm:1", arch="sparc")
    answer = f.cli("image", "load", arm, check=False)
    assert answer.returncode == 4 and "linux/sparc" in answer.stderr
    for number, (bad, part) in enumerate([
            (images.entry("../../out", data=b"x"), '".."'),
            (images.entry("link", tarfile.LNKTYPE, link="../../../etc/passwd"), "outside of the image"),
            (images.entry("sda", tarfile.BLKTYPE), "device")]):
        layout = images.layout(os.path.join(f.folder, f"hostile{number}"), "hostile:1", layers=[images.layer([bad])])
        answer = f.cli("image", "load", layout, check=False)
        assert answer.returncode == 2 and part in answer.stderr, answer.stderr
    # A link to the outside is only a link: what is written through it stays inside.
    through = images.layer([images.entry("etc", tarfile.SYMTYPE, link=str(tmp_path)), images.entry("etc/evil", data=b"x")])
    f.cli("image", "load", images.layout(os.path.join(f.folder, "through"), "through:1", layers=[through]), check=False)
    assert os.listdir(tmp_path) == []
    assert os.listdir(os.path.join(f[0].data, "images", "tmp")) == []


def test_a_start_that_cannot_be_says_why(flock):
    f = flock(1)
    load(f, "app", "app:1")
    f.cli("deploy", f.write("a.yaml", stack("a", s=oci("127.0.0.1:1/none:1"))), "--detach")
    f.cli("deploy", f.write("b.yaml", stack("b", s=oci("absent:1", pull_policy="never"))), "--detach")
    f.cli("deploy", f.write("c.yaml", stack("c", s=oci("app:1", ["/no/such/program"]))), "--detach")
    f.cli("deploy", f.write("d.yaml", stack("d", s=oci("app:1", ["true"], user="nobody-here"))), "--detach")
    reason(f, "a", "registry does not answer")
    reason(f, "b", "pull_policy is never")
    reason(f, "c", "no such file")
    reason(f, "d", 'user "nobody-here"')


def test_containers_outlive_their_agent(flock):
    f = flock(1)
    load(f, "app", "app:1")
    f.cli("deploy", f.write("s.yaml", stack("s", s=oci("app:1", ["sleep", "1000"]))))
    before, = f.wait_serving("s", 1)
    f[0].kill()
    f[0].start()
    after, = f.wait_serving("s", 1)
    assert (before["task"], before["pid"]) == (after["task"], after["pid"])
    os.kill(after["pid"], 9)
    wait_until("another process", lambda: [r for r in f.ps("s") if r["state"] == "running" and r["pid"] not in (None, after["pid"])], 20)


def test_a_command_runs_inside_a_container(flock, tmp_path):
    f = flock(1)
    load(f, "one", "one:1")
    f.cli("deploy", f.write("s.yaml", stack("s", web=oci("one:1", ["sleep", "1000"], hostname="inside"))))
    f.wait_serving("s", 1)
    said = f.cli("exec", "-e", "A=b", "-w", "/tmp", "s/web", "sh", "-c", "hostname; echo $A; pwd; exit 7", check=False)
    assert (said.returncode, said.stdout.split()) == (7, ["inside", "b", "/tmp"]), said.stderr
    assert f.cli("exec", "-i", "s/web", "cat", stdin="through\n").stdout == "through\n"
    named = f.cli("exec", "-u", "www", "s/web", "id", check=False)
    assert named.returncode == 125 and "a user is a number" in named.stderr
    assert "uid=1234" in f.cli("exec", "-u", "1234", "s/web", "id").stdout
    missing = f.cli("exec", "s/web", "no-such-program", check=False)
    assert missing.returncode in (127, 255) and "no-such-program" in missing.stderr  # crun's code, and runc's
