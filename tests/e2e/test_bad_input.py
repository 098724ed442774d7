"""Hostile and mistaken input: a clear error or a counted drop, the agent alive, its state as it was."""
import os
import random
import re
import socket
import struct
import subprocess
import time
import urllib.error
import urllib.request

import pytest

import dnsq
from conftest import needs_root, shell, sleeper, snapshot, stack
from flock import wait_until

# One reproducible source of garbage; a failure prints it.
SEED = int(os.environ.get("GARBAGE_SEED", "7827"))


@pytest.fixture
def untouched(shared):
    """The shared flock, which must be as it was when the story ends: alive, same state, same tasks."""
    before = [snapshot(shared, i) for i in range(3)]
    started = [p.process.pid for p in shared.peers]
    yield shared
    assert [p.process.pid for p in shared.peers] == started and all(p.running() for p in shared.peers)
    shared.wait_alive(timeout=30)

    def same():
        return [snapshot(shared, i) for i in range(3)] == before
    wait_until("the state to be as it was", same, 10)


def counters(f, peer=0):
    with urllib.request.urlopen("http://%s:%d/metrics" % f[peer].http, timeout=5) as answer:
        text = answer.read().decode()
    return {m.group(1): float(m.group(2)) for m in re.finditer(r"^(\w+(?:\{[^}]*\})?) ([-+.\deE]+)$", text, re.M)}


def grown(before, after, word):
    return {k: v - before.get(k, 0) for k, v in after.items() if word in k and v > before.get(k, 0)}


@pytest.mark.parametrize("text, where", [
    ("services: [\n", ":2:"),
    ("services:\n  web:\n   command: x\n  command: y\n bad: z\n", ":5:"),
    ("\tservices: {}\n", ":1:"),
    ("services:\n  s:\n    command: [sleep, '1']\n    comand: x\n", ":4:5"),
    ("services:\n  s:\n    command: [sleep, '1']\n    deploy:\n      replicas: many\n", ":5:"),
    ("services:\n  s:\n    command: [sleep, '1']\n    deploy:\n      replicas: -1\n", ":5:"),
    ("services:\n  s:\n    command: [sleep, '1']\n    ports: ['80:8080']\n", ":4:"),
    ("services:\n  s:\n    command: [sleep, '1']\n    environment: {A: [1]}\n", ":4:"),
    ("services:\n  BAD NAME:\n    command: [sleep, '1']\n", ":[23]:"),
    ("services:\n  s:\n    command: [sleep, '1']\n    env_file: missing.env\n", ":4:"),
    ("services:\n  s:\n    command: [sleep, '${UNSET:?is needed}']\n", ":3:"),
    ("services: {s: {}}\n", ":1:"),
    ("a: &a [*a]\n", ":1:"),
])
def test_a_bad_compose_file_is_refused_by_line(untouched, text, where):
    path = untouched.write("bad/compose.yaml", text)
    for verb in (["validate"], ["deploy", "--detach"]):
        done = untouched.cli(*verb, path, check=2)
        assert re.search(r"compose\.yaml" + where, done.stderr), done.stderr


@pytest.mark.parametrize("content", [
    b"", b"\0" * 100, b"\xff\xfe\x00s", os.urandom(4096), b"{" * 100000, b"&a [" * 5000,
    b"a: &a [x,x,x,x,x,x,x,x,x]\n" + b"".join(
        b"%c: &%c [%s]\n" % (98 + i, 98 + i, b",".join([b"*%c" % (97 + i)] * 9)) for i in range(20)),
    b"services:\n" + b"".join(b"  s%d: {command: [sleep, '1']}\n" % i for i in range(2000)),
], ids=["empty", "nul", "utf16", "random", "deep-flow", "deep-anchors", "billion-laughs", "2000-services"])
def test_a_hostile_compose_file_is_refused(untouched, content):
    path = os.path.join(untouched.folder, "hostile.yaml")
    with open(path, "wb") as f:
        f.write(content)
    done = untouched.cli("deploy", path, "--detach", check=2, timeout=30)
    assert "hostile.yaml" in done.stderr


def test_a_spec_signed_by_an_unknown_key_is_refused(untouched):
    key = os.path.join(untouched.folder, "stranger.key")
    untouched.cli("key", "new", key, peer=None)
    path = untouched.write("web.yaml", stack("evil", s=sleeper()))
    for peer in range(3):
        done = untouched.cli("--key", key, "deploy", path, "--detach", peer=peer, check=8)
        assert "key" in done.stderr
    untouched.cli("--key", key, "rm", "base", "--yes", check=8)
    untouched.cli("--key", key, "token", "create", check=8)
    untouched.cli("--key", key, "logs", "base/web", check=8)


def test_garbage_on_the_udp_port_is_counted_and_dropped(untouched):
    rng = random.Random(SEED)
    before = counters(untouched)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(0.3)
        for n in range(3000):
            size = rng.choice([0, 1, 12, 95, 96, 300, 1199, 1200, 1201, 9000])
            head = bytes([rng.choice([0, 1, 2, rng.randrange(256)])])
            s.sendto((head + rng.randbytes(size))[:size], (untouched[0].address, 7827))
            if n % 100 == 0:
                time.sleep(0.005)
        with pytest.raises(TimeoutError):
            s.recv(2048)  # an unknown sender gets no answer
    assert wait_until("the drops to be counted", lambda: grown(before, counters(untouched), "drop"), 5)


@needs_root
def test_replayed_packets_are_counted_and_change_nothing(untouched):
    """Real packets of the flock, seen on the wire and sent again from their own address."""
    seen = []
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.ntohs(0x0800)) as wire:
        wire.bind(("lo", 0))
        wire.settimeout(0.5)
        want = socket.inet_aton(untouched[0].address)
        end = time.monotonic() + 20
        while len(seen) < 20 and time.monotonic() < end:
            try:
                frame, info = wire.recvfrom(65536)
            except TimeoutError:
                continue
            if info[2] == socket.PACKET_OUTGOING:
                continue
            ip = frame[14:]
            if len(ip) > 28 and ip[9] == 17 and ip[16:20] == want and struct.unpack(">H", ip[22:24])[0] == 7827:
                seen.append(frame)
        assert len(seen) == 20
    before = counters(untouched)
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as wire:
        for frame in seen * 20:
            # On the loopback device the kernel leaves the checksum for a card to fill in; 0 says that there is none.
            wire.sendto(frame[14:40] + b"\0\0" + frame[42:], (untouched[0].address, 0))
    assert wait_until("replays to be counted", lambda: grown(before, counters(untouched), "replay"), 5)


MAP32 = b"\xdf\xff\xff\xff\xff"
ARRAY32 = b"\xdd\xff\xff\xff\xff"
BIN32 = b"\xc6\xff\xff\xff\xff"


def message(body):
    return struct.pack(">I", len(body)) + body


CONTROL_GARBAGE = [
    b"", b"\0", b"\0\0\0\0", b"\xff" * 64, b"GET / HTTP/1.1\r\n\r\n", struct.pack(">I", 0xFFFFFFFF) + b"x" * 1000,
    message(MAP32), message(ARRAY32), message(BIN32), message(b"\x81\xa4verb" + MAP32), message(b"\x83\xa4verb\xa6status\xa3seq\x01\xa4args" + MAP32),
    message(b"\x83\xa4verb\xa6submit\xa3seq\x01\xa4args\x81\xa6record" + BIN32), message(b"\x91" * 10000), message(b"\x81\xa4verb\xa2ps"),
    message(b"\x83\xa4verb\xa6nosuch\xa3seq\x01\xa4args\x80"),
]


@pytest.mark.parametrize("junk", CONTROL_GARBAGE, ids=range(len(CONTROL_GARBAGE)))
def test_garbage_on_the_control_socket(untouched, junk):
    for cut in (len(junk), len(junk) // 2):
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(5)
            s.connect(os.path.join(untouched[0].data, "control.sock"))
            try:
                s.sendall(junk[:cut])
                s.shutdown(socket.SHUT_WR)
                while s.recv(65536):
                    pass
            except OSError:
                pass
    untouched.cli("status", timeout=10)


@pytest.mark.parametrize("port", ["peer", "http", "dns"])
def test_garbage_on_a_tcp_port(untouched, port):
    rng = random.Random(SEED)
    peer = untouched[0]
    address = {"peer": (peer.address, 7827), "http": peer.http, "dns": peer.dns}[port]
    held = []
    for n in range(60):
        s = socket.create_connection(address, 5)
        s.settimeout(5)
        try:
            s.sendall(rng.choice([b"", b"\0", b"\xff\xff", b"\0\0", b"GET /" + b"A" * 70000, MAP32 * 100, rng.randbytes(2000),
                                  struct.pack(">H", 65535) + rng.randbytes(100), b"POST / HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n"]))
            if n % 3 == 0:
                s.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # closed by the other side already: as good an answer as any
        held.append(s)
    untouched.cli("status", timeout=10)
    untouched.wait_alive(timeout=10)
    for s in held:
        s.close()


def test_many_connections_do_not_starve_the_flock(untouched):
    held = []
    try:
        for _ in range(400):
            s = socket.socket()
            s.settimeout(1)
            try:
                s.connect((untouched[0].address, 7827))
            except OSError:
                s.close()
                break
            held.append(s)
        untouched.cli("status", timeout=10)
        untouched.cli("ps", peer=1, timeout=10)
        time.sleep(3)
        untouched.wait_alive(timeout=10)
    finally:
        for s in held:
            s.close()


def test_garbage_on_the_dns_port(untouched):
    rng = random.Random(SEED)
    server = untouched[0].dns
    good = dnsq.query_bytes("web.base.starling.internal", dnsq.A)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.connect(server)
        for n in range(3000):
            packet = bytearray(good)
            for _ in range(rng.randrange(1, 6)):
                packet[rng.randrange(len(packet))] = rng.randrange(256)
            if n % 3 == 0:
                packet = packet[:rng.randrange(len(packet))]
            if n % 7 == 0:
                packet = bytearray(rng.randbytes(rng.choice([0, 1, 11, 12, 17, 512, 4000])))
            try:
                s.send(bytes(packet))
            except ConnectionRefusedError:
                pytest.fail("the DNS port is closed")
            if n % 50 == 0:
                time.sleep(0.005)
    # Answers may be limited for a while per source; they come back.
    def answers():
        try:
            return len(dnsq.ask(server, "web.base.starling.internal", dnsq.A, timeout=0.5).values(dnsq.A)) > 0
        except TimeoutError:
            return False
    wait_until("DNS to answer", answers, 10)


def test_http_is_read_only_and_bounded(untouched):
    base = "http://%s:%d" % untouched[0].http
    with urllib.request.urlopen(base + "/healthz", timeout=5) as answer:
        assert answer.status == 200
    for method, path, codes in [("POST", "/healthz", (405, 404)), ("GET", "/nothing", (404,)), ("DELETE", "/metrics", (405, 404)),
                                ("GET", "/" + "a" * 60000, (404, 414, 431)), ("GET", "/%00/../../etc/passwd", (400, 404))]:
        try:
            with urllib.request.urlopen(urllib.request.Request(base + path, method=method, data=b"x" if method == "POST" else None), timeout=5) as answer:
                code = answer.status
        except urllib.error.HTTPError as e:
            code = e.code
        except (urllib.error.URLError, ConnectionError):
            code = codes[0]  # closed: as good a refusal
        assert code in codes, (method, path[:40], code)


def http_get(peer, path):
    try:
        with urllib.request.urlopen("http://%s:%d%s" % (*peer.http, path), timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as refusal:
        return refusal.code, refusal.read().decode()


@needs_root
def test_a_task_that_finds_the_disk_full_starts_elsewhere(flock):
    f = flock(2, up=False)
    disk = f[0].data
    os.makedirs(disk)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m,mode=755", "tmpfs", disk], check=True)
    try:
        f.up()
        with open(os.path.join(disk, "ballast"), "wb", buffering=0) as ballast:
            try:
                while ballast.write(b"\0" * 4096):
                    pass
            except OSError:
                pass
        f.cli("deploy", f.write("a.yaml", stack("a", s=sleeper(4))), peer=1)
        assert {r["peer_name"] for r in f.wait_serving("a", 4, peer=1)} == {"p2"}
        code, text = wait_until("p1 to say so", lambda: (lambda r: r if r[0] == 503 else None)(http_get(f[0], "/readyz")), 10)
        assert "disk full" in text
        # What comes next is not even offered to it.
        told = f.cli("explain", "a/s", peer=1, check=False).stdout
        assert "not ready" in told, told
    finally:
        f.destroy(keep=True)
        subprocess.run(["umount", "-l", disk], check=True)


@needs_root
def test_a_full_disk_refuses_new_specs_and_keeps_running_tasks(flock):
    f = flock(1, up=False)
    disk = f[0].data
    os.makedirs(disk)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m,mode=755", "tmpfs", disk], check=True)
    try:
        f.init()
        f[0].start()
        f.cli("deploy", f.write("a.yaml", stack("a", s=sleeper(2))), "--detach")
        rows = f.wait_serving("a", 2)
        ballast = os.open(os.path.join(disk, "ballast"), os.O_WRONLY | os.O_CREAT)
        try:
            while os.write(ballast, b"\0" * 4096):
                pass
        except OSError:
            os.close(ballast)
        # Whatever still fits in pages that SQLite has, the disk is full for good before long.
        refused = None
        for n in range(40):
            done = f.cli("deploy", f.write("b.yaml", stack(f"b{n}", s=sleeper(1, environment={"PAD": "x" * 4000}))), "--detach", check=False)
            if done.returncode:
                refused = done
                break
        assert refused is not None and refused.returncode == 1, "a full disk was never noticed"
        assert re.search("full|space", refused.stderr), refused.stderr
        assert f[0].running()
        code, text = wait_until("it to say so", lambda: (lambda r: r if r[0] == 503 else None)(http_get(f[0], "/readyz")), 10)
        assert "disk full" in text
        assert "\nstarling_store_full 1\n" in http_get(f[0], "/metrics")[1]
        assert {r["pid"] for r in f.serving("a")} == {r["pid"] for r in rows}
        known = {r["stack"] for r in f.json("ls")}
        assert f"b{n}" not in known
        os.unlink(os.path.join(disk, "ballast"))
        f.cli("deploy", f.write("c.yaml", stack("c", s=sleeper(1))), "--detach")
        f.wait_serving("c", 1)
        assert http_get(f[0], "/readyz")[0] == 200
        assert "\nstarling_store_full 0\n" in http_get(f[0], "/metrics")[1]
        # And what was refused is not there after a restart either; what was accepted is.
        f[0].kill()
        f[0].start()
        assert {r["stack"] for r in f.json("ls")} == known | {"c"}
    finally:
        f.destroy(keep=True)
        subprocess.run(["umount", "-l", disk], check=True)


def test_a_damaged_store_is_said_not_guessed(flock):
    f = flock(1)
    f[0].stop()
    path = os.path.join(f[0].data, "store.db")
    for name in os.listdir(f[0].data):
        if name.startswith("store.db-"):
            os.unlink(os.path.join(f[0].data, name))
    with open(path, "r+b") as db:
        db.write(b"\xff" * 200)
    f[0].start(wait=False)
    assert f[0].process.wait(20) == 1
    assert "store.db" in f[0].new_log()


def test_a_task_cannot_flood_the_disk_with_logs(flock):
    f = flock(1)
    f.cli("deploy", f.write("a.yaml", stack("a", s=shell("yes | head -c 60000000; sleep 100000"))), "--detach")
    f.wait_serving("a", 1)

    def size():
        return sum(os.path.getsize(os.path.join(d, n)) for d, _, names in os.walk(os.path.join(f[0].data, "tasks")) for n in names)
    time.sleep(3)
    assert 0 < size() < 45_000_000


@pytest.mark.parametrize("args", [
    ["nosuch"], ["deploy"], ["deploy", "/nonexistent.yaml"], ["ps", "--nosuch"], ["scale", "base/web=many"], ["scale", "base/web"],
    ["scale", "base/web=99999999999"], ["rm"], ["logs", "no/such/thing/here"], ["--timeout", "soon", "ps"], ["ps", "-o", "xml"],
    ["token", "create", "--expires", "never"], ["agent", "--bind", "nowhere"], ["init", "--name", "Bad Name"], ["a" * 10000],
])
def test_wrong_use_exits_2_and_says_how(untouched, args):
    done = untouched.cli(*args, check=False)
    assert done.returncode == (1 if args == ["deploy", "/nonexistent.yaml"] and done.returncode == 1 else 2), done
    assert re.search(r"^starling\b", done.stderr, re.M)


def test_without_an_agent_the_error_says_what_to_do(flock):
    f = flock(1, up=False)
    f.init()
    done = f.cli("ps", check=1)
    assert "agent" in done.stderr and f[0].data in done.stderr


def test_idle_connections_make_room_for_those_who_ask(flock):
    f = flock(1)
    held = []

    def connect(request=b""):
        s = socket.socket(socket.AF_UNIX)
        s.settimeout(5)
        s.connect(os.path.join(f[0].data, "control.sock"))
        held.append(s)
        assert s.recv(4096), "no greeting"
        s.sendall(request and struct.pack(">I", len(request)) + request)
        return s
    try:
        watcher = connect(b"\x83\xa4verb\xa2ps\xa3seq\x00\xa4args\x81\xa5watch\xc3")
        for _ in range(63):
            connect()
        full = f.cli("status", check=1)
        assert "64 connections already" in full.stderr, full.stderr
        wait_until("an idle connection to make room", lambda: f.cli("status", check=False).returncode == 0, 20, 1)
        # Each of these takes the place of the one that was idle for longest; who watches is not idle.
        for _ in range(20):
            f.cli("status")
        watcher.settimeout(0.5)
        while True:
            try:
                assert watcher.recv(65536), "the watcher was cut off"
            except TimeoutError:
                break
    finally:
        for s in held:
            s.close()
