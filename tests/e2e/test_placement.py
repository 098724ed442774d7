"""Who runs what, on five real agents with a host each: lost hosts and lost agents, drains under load, splits with each
policy, agents replaced under their tasks, labels, priorities. The stories share one flock, each leaves it as it was; the
last one puts a peer out."""
import os
import shutil
import signal
import threading
import time
import urllib.error
import urllib.request

import pytest

import dnsq
from conftest import check_and_destroy, needs_root, new_flock, one_owner_per_slot, pids, shell, sleeper, stack
from flock import alive, wait_until

pytestmark = needs_root  # every story here

ZONES = ["a", "a", "b", "b", "c"]


def where(rows):
    return {(r["service"], r["slot"]): r["peer_name"] for r in rows}


@pytest.fixture(scope="module")
def flock_of_five():
    f = new_flock(5, hosts=True)
    # Its own copy of the binary, which may be replaced.
    f.binary = shutil.copy(f.binary, os.path.join(f.folder, "starling"))
    for peer, zone in zip(f.peers, ZONES):
        peer.labels = [f"zone={zone}"]
    f.up()
    yield f
    check_and_destroy(f)


@pytest.fixture
def five(flock_of_five):
    """Five peers of zones a, a, b, b, c with nothing to do; afterwards they are that again."""
    f = flock_of_five
    yield f
    f.network.calm()
    for peer in f.peers:
        if not peer.running():
            peer.start()
    f.wait_alive()
    for name in {row["stack"] for row in f.json("ls")}:
        f.cli("rm", name, "--yes", "--detach")
    wait_until("nothing to run any more", lambda: not any(p.processes() for p in f.peers), 30)
    for peer in f.peers:
        rest(f, peer)


def rest(f, peer):
    """A peer that waits after crashes is stopped and started, as its operator would."""
    if state(f, peer) == "waiting":
        assert peer.stop() == 0
        peer.start()
        assert state(f, peer) != "waiting"


def state(f, peer):
    return f.json("status", peer=peer.number - 1)["state"]


def deploy(f, name, peer=0, **services):
    f.cli("deploy", f.write(f"{name}.yaml", stack(name, **services)), "--detach", peer=peer)


def others(f, *without):
    return [p.name for p in f.peers if p not in without]


# --- agents and hosts that go ---

def note_start(f):
    """A file to which each task that runs `note` at its start adds a line."""
    path = f.write("starts", "")
    os.chmod(path, 0o666)
    return path, f'echo "$STARLING_SERVICE $STARLING_SLOT $STARLING_PEER" >> {path}'


def lines(path):
    with open(path, encoding="utf-8") as log:
        return log.read().splitlines()


def test_an_agent_that_dies_alone_leaves_its_tasks_except_where_a_watchdog_guards_them(five):
    f, victim = five, five[4]
    path, note = note_start(f)
    deploy(f, "a", plain=sleeper(5), guarded=shell(f"{note}; exec sleep 100000", 5, **{"x-starling": {"watchdog": "5s"}}))
    before = f.wait_serving("a", 10)
    wait_until("five starts", lambda: len(lines(path)) == 5)
    plain = [r["pid"] for r in before if r["peer_name"] == "p5" and r["service"] == "plain"]
    guarded = [r["pid"] for r in before if r["peer_name"] == "p5" and r["service"] == "guarded"]
    assert plain and guarded
    stay = pids(r for r in before if r["peer_name"] != "p5")
    victim.kill()
    f.wait_serving("a", 10, on=others(f, victim))
    wait_until("the watchdogs to have stopped what they guard", lambda: not any(alive(pid) for pid in guarded))
    assert all(alive(pid) for pid in plain)
    starts = lines(path)
    assert len(starts) == 5 + len(guarded)
    # Its agent is back: what moved stops there, and nothing of what the watchdogs stopped runs again.
    victim.start()
    f.wait_alive()
    now = one_owner_per_slot(f, "a", 10)
    assert {k: pid for k, pid in now.items() if k in stay} == stay, "what was not lost did not move"
    assert lines(path) == starts
    assert "its watchdog stopped it" in victim.new_log()


def readyz(peer):
    def fetch():
        try:
            with urllib.request.urlopen("http://%s:%d/readyz" % peer.http, timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as e:
            return e.code, e.read().decode()
    return peer.call(fetch)


def test_a_lost_host_s_slots_run_elsewhere_and_its_crashing_agent_gets_no_new_work(five):
    f, lost = five, five[3]
    rest(f, lost)
    deploy(f, "a", s=sleeper(10))
    before = f.wait_serving("a", 10)
    stay = pids(r for r in before if r["peer_name"] != lost.name)
    assert len(stay) == 8
    lost.lose()
    f.wait_serving("a", 10, on=others(f, lost))
    now = pids(f.serving("a"))
    assert {k: pid for k, pid in now.items() if k in stay} == stay, "what was not lost did not move"
    # It is back, and takes nothing from anybody. It was started again soon after it had taken work: it waits.
    lost.start()
    f.wait_alive()
    status = f.json("status", peer=3)
    assert status["state"] == "waiting" and "restarted 1 time in a row; takes new work in " in status["reason"]
    code, text = readyz(lost)
    assert code == 503 and text.startswith("not ready: restarted 1 time in a row; takes new work in ")
    deploy(f, "b", s=sleeper(5))
    assert set(where(f.wait_serving("b", 5)).values()) <= set(others(f, lost))
    # A second crash; then its operator restarts it: that is no crash, and it is as good as any other at once.
    lost.kill()
    lost.start()
    assert "restarted 2 times in a row" in f.json("status", peer=3)["reason"]
    assert lost.stop() == 0
    lost.start()
    f.wait_alive()
    assert state(f, lost) == "ready" and readyz(lost) == (200, "ready\n")
    deploy(f, "c", s=sleeper(5))
    assert lost.name in where(f.wait_serving("c", 5)).values()
    one_owner_per_slot(f, "a", 10)
    assert {k: pid for k, pid in pids(f.serving("a")).items() if k in stay} == stay


def replace_binary(f):
    """As a package manager does: another file takes the name, the old one lives while somebody runs it."""
    new = f.binary + ".new"
    shutil.copy(f.binary, new)
    with open(new, "ab") as out:
        out.write(b"another build")
    os.rename(new, f.binary)


def test_agents_are_replaced_under_their_tasks_and_nothing_moves(five):
    f = five
    deploy(f, "a", s=sleeper(10), g={**sleeper(1), "deploy": {"mode": "global"}})
    before = f.wait_serving("a", 15)
    shims = {pid for p in f.peers for pid in p.processes()}
    replace_binary(f)
    # An agent whose file was replaced still starts tasks.
    deploy(f, "b", s=sleeper(5))
    f.wait_serving("b", 5)
    f.cli("rm", "b", "--yes")
    for peer in f.peers:
        if peer.number % 2:
            assert peer.stop() == 0
        else:
            peer.kill()
        peer.start()
    f.wait_alive()
    for i in range(5):
        assert pids(f.wait_serving("a", 15, peer=i)) == pids(before)
        assert where(f.serving("a", peer=i)) == where(before)
    assert {pid for p in f.peers for pid in p.processes()} == shims
    # And they are in charge of them.
    f.cli("scale", "a/s=5", "--detach")
    f.wait_serving("a", 10)
    f.cli("rm", "a", "--yes")
    wait_until("all to be gone", lambda: not any(p.processes() for p in f.peers), 20)


def test_two_peers_of_which_one_is_lost(flock):
    f = flock(2)
    deploy(f, "a", s=sleeper(4))
    before = f.wait_serving("a", 4)
    stay = pids(r for r in before if r["peer_name"] == "p1")
    assert len(stay) == 2
    f[1].lose()
    now = pids(f.wait_serving("a", 4, on=["p1"]))
    assert {k: pid for k, pid in now.items() if k in stay} == stay
    f.cli("scale", "a/s=5", "--detach")
    f.wait_serving("a", 5, on=["p1"])
    f[1].start()
    f.wait_alive()
    after = one_owner_per_slot(f, "a", 5)
    assert {k: pid for k, pid in after.items() if k in now} == now, "a host that comes back takes nothing away"


# --- moves that somebody asked for ---

# Answers after a little work; SIGTERM lets what is being answered end.
SERVER = """
import http.server, os, signal, threading, time

class Web(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        time.sleep(0.02)
        text = os.environ["STARLING_PEER"].encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_):
        pass

class Server(http.server.ThreadingHTTPServer):
    daemon_threads = False
    request_queue_size = 64

server = Server((os.environ["STARLING_ADDRESS"], int(os.environ["PORT"])), Web)
signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
server.serve_forever(0.05)
server.server_close()
"""


def web(replicas):
    return {"command": ["/usr/bin/python3", "-uc", SERVER.replace("$", "$$")], "ports": [{"name": "http", "target": 80}],
            "deploy": {"replicas": replicas},
            "x-starling": {"probes": {"http": {"port": "http", "path": "/", "interval": "1s", "start_interval": "100ms",
                                               "start_period": "20s"}}}}


class Clients:
    """Threads on some hosts that ask a service for answers without a pause, where Starling's DNS says that it is; they
    look that up anew when the answer's TTL is over."""

    def __init__(self, f, name, hosts):
        self.f, self.name = f, name
        self.over = threading.Event()
        self.answers, self.failures = {}, []
        self.threads = [threading.Thread(target=f.network.call, args=(n, self.ask)) for n in hosts]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        for thread in self.threads:
            thread.join()

    def lookup(self):
        server = ("127.0.0.1", 7853)
        found = dnsq.ask(server, f"_http._tcp.{self.name}.starling.internal", dnsq.SRV)
        ttl = min(ttl for _, kind, ttl, _ in found.answers if kind == dnsq.SRV)
        return ttl, [(port, dnsq.ask(server, target, dnsq.A).values(dnsq.A)[0])
                     for _, _, port, target in found.values(dnsq.SRV)]

    def ask(self):
        until, ends, turn = 0, [], 0
        while not self.over.is_set():
            if time.monotonic() >= until:
                asked = time.monotonic()
                ttl, ends = self.lookup()
                until = asked + ttl
            port, address = ends[turn % len(ends)]
            turn += 1
            try:
                with urllib.request.urlopen(f"http://{address}:{port}/", timeout=10) as answer:
                    who = answer.read().decode()
                    self.answers[who] = self.answers.get(who, 0) + 1
            except OSError as e:
                self.failures.append((round(time.monotonic(), 3), address, port, repr(e)))


def test_a_drain_under_load_loses_no_request_and_no_copy(five):
    f, drained = five, five[2]
    deploy(f, "shop", web=web(5), worker=sleeper(5))
    f.wait_serving("shop", 10)
    here = {p for p in drained.tasks()}
    assert here
    with Clients(f, "web.shop", [1, 2, 3, 4]) as clients:
        wait_until("answers of every replica", lambda: len(clients.answers) == 5)
        done = f.cli("node", "drain", drained.name, "--timeout", "40s")
        assert not f.serving("shop", on=[drained.name])
        wait_until("its tasks to have ended", lambda: not drained.tasks(), 5)
        now = pids(f.wait_serving("shop", 10, on=others(f, drained)))
        asked = sum(clients.answers.values())
        wait_until("answers after the drain", lambda: sum(clients.answers.values()) > asked + 50)
        # It takes tasks again; what was handed over stays.
        f.cli("node", "resume", drained.name)
        f.cli("scale", "shop/worker=6", "--detach")
        rows = f.wait_serving("shop", 11)
        assert {k: pid for k, pid in pids(rows).items() if k in now} == now
        assert where(rows)["worker", 5] == drained.name
    assert not clients.failures, (len(clients.failures), asked, clients.failures[:5])
    assert f.nodes()[drained.name]["availability"] == "active"
    for service in ("web", "worker"):
        assert f"{service}/" in done.stderr + done.stdout, (done.stdout, done.stderr)
