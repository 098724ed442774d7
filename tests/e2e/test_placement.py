"""Who runs what, on five real agents with a host each: lost hosts and lost agents, drains under load, splits with each
policy, agents replaced under their tasks, labels, devices, volumes. Most share one flock, and each leaves it as it was."""
import os
import shutil
import signal
import threading
import time
import urllib.error
import urllib.request

import pytest

import dnsq
from conftest import check_and_destroy, equal_stores, needs_root, new_flock, one_owner_per_slot, pids, shell, sleeper, stack
from flock import alive, wait_until

pytestmark = needs_root  # every story here

ZONES = ["a", "a", "b", "b", "c"]


def where(rows):
    return {(r["service"], r["slot"]): r["peer_name"] for r in rows}


def who_runs_what(rows):
    return {(r["service"], r["slot"], r["peer_name"], r["pid"]) for r in rows}


@pytest.fixture(scope="module")
def flock_of_five():
    f = new_flock(5, hosts=True)
    # Its own copy of the binary, which may be replaced.
    f.binary = shutil.copy(f.binary, os.path.join(f.folder, "starling"))
    for peer, zone in zip(f.peers, ZONES):
        peer.labels = [f"zone={zone}"]
    f[0].resources, f[1].resources = ["gpu=1"], ["gpu=2"]
    f.up()
    yield f
    check_and_destroy(f)


@pytest.fixture
def five(flock_of_five):
    """Five peers of zones a, a, b, b, c, one with a gpu and one with two, with nothing to do; afterwards they are that again."""
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
    # Who has just become ready is a candidate for some and not yet for others, and a new slot would start twice.
    f.wait_alive()
    equal_stores(f)


def at_rest(f, name, n):
    """Rows of a stack's n tasks, once each slot has one owner and no other."""
    one_owner_per_slot(f, name, n)
    return f.serving(name)


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


def one_with(f, rows, *services):
    """The last peer, not the first, that has a task of each of these."""
    return next(p for p in reversed(f.peers[1:]) if set(services) <= {r["service"] for r in rows if r["peer_name"] == p.name})


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
    f = five
    path, note = note_start(f)
    deploy(f, "a", plain=sleeper(5), guarded=shell(f"{note}; exec sleep 100000", 5, **{"x-starling": {"watchdog": "5s"}}))
    before = at_rest(f, "a", 10)
    wait_until("five starts", lambda: len(lines(path)) == 5)
    victim = one_with(f, before, "plain", "guarded")
    plain = [r["pid"] for r in before if r["peer_name"] == victim.name and r["service"] == "plain"]
    guarded = [r["pid"] for r in before if r["peer_name"] == victim.name and r["service"] == "guarded"]
    stay = pids(r for r in before if r["peer_name"] != victim.name)
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
    f = five
    deploy(f, "a", s=sleeper(10))
    before = at_rest(f, "a", 10)
    lost = one_with(f, before, "s")
    there = lost.number - 1
    stay = pids(r for r in before if r["peer_name"] != lost.name)
    lost.lose()
    f.wait_serving("a", 10, on=others(f, lost))
    now = pids(f.serving("a"))
    assert {k: pid for k, pid in now.items() if k in stay} == stay, "what was not lost did not move"
    # It is back, and takes nothing from anybody. It was started again soon after it had taken work: it waits.
    lost.start()
    f.wait_alive()
    status = f.json("status", peer=there)
    assert status["state"] == "waiting" and "restarted 1 time in a row; takes new work in " in status["reason"]
    code, text = readyz(lost)
    assert code == 503 and text.startswith("not ready: restarted 1 time in a row; takes new work in ")
    deploy(f, "b", s=sleeper(5))
    assert set(where(f.wait_serving("b", 5)).values()) <= set(others(f, lost))
    # A second crash; then its operator restarts it: that is no crash, and it is as good as any other at once.
    lost.kill()
    lost.start()
    assert "restarted 2 times in a row" in f.json("status", peer=there)["reason"]
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
    before = who_runs_what(f.wait_serving("a", 15))
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
        assert who_runs_what(f.wait_serving("a", 15, peer=i)) == before
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
    assert 0 < len(stay) < 4
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
        text = os.environ["STARLING_SLOT"].encode()
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
    f = five
    deploy(f, "shop", web=web(5), worker=sleeper(5))
    drained = one_with(f, at_rest(f, "shop", 10), "web", "worker")
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
        f.cli("scale", "shop/worker=10", "--detach")
        rows = f.wait_serving("shop", 15)
        assert {k: pid for k, pid in pids(rows).items() if k in now} == now
        assert drained.name in where(rows).values()
    assert not clients.failures, (len(clients.failures), asked, clients.failures[:5])
    assert f.nodes()[drained.name]["availability"] == "active"
    for service in ("web", "worker"):
        assert f"{service}/" in done.stderr + done.stdout, (done.stdout, done.stderr)


def test_a_label_that_goes_moves_what_needs_it_and_nothing_else(five):
    f = five
    f.cli("node", "label", "p2", "disk=ssd")
    needs = {"placement": {"constraints": ["node.labels.disk == ssd"]}}
    deploy(f, "a", s=sleeper(2, deploy=needs), t=sleeper(5))
    f.wait_serving("a", 7)
    assert len(f.serving("a", "s", on=["p2"])) == 2
    rest_of_it = pids(f.serving("a", "t"))
    f.cli("node", "label", "p4", "disk=ssd")
    f.cli("node", "label", "p2", "disk-")

    def moved():
        rows = f.serving("a", "s")
        assert len({r["slot"] for r in rows}) == 2, "a slot is served at each moment"
        return len(rows) == 2 and {r["peer_name"] for r in rows} == {"p4"}
    wait_until("both slots to be on p4 alone", moved, 20)
    # With nowhere to go it stays, and says so.
    stayed = pids(f.serving("a", "s"))
    f.cli("node", "label", "p4", "disk-")
    told = wait_until("p4 to know", lambda: "constraint" in f.cli("explain", "a/s/0").stdout and f.cli("explain", "a/s/0").stdout)
    assert "node.labels.disk == ssd" in told, told
    time.sleep(1)
    assert pids(f.serving("a", "s")) == stayed and pids(f.serving("a", "t")) == rest_of_it


def test_replicas_are_spread_over_zones_before_hosts(five):
    f = five
    deploy(f, "a", s=sleeper(6, deploy={"placement": {"preferences": [{"spread": "node.labels.zone"}]}}))
    rows = f.wait_serving("a", 6)
    zone = {p.name: z for p, z in zip(f.peers, ZONES)}
    assert sorted(zone[r["peer_name"]] for r in rows) == list("aabbcc")


def test_what_matters_more_takes_the_place_of_what_matters_less(five):
    f = five
    cpus = min(row["cpus"] for row in f.nodes().values())
    most = {"resources": {"reservations": {"cpus": str(round(cpus * 0.6, 2))}}}
    deploy(f, "low", s=sleeper(5, deploy=most))
    f.wait_serving("low", 5)
    high = f.write("high.yaml", stack("high", s=sleeper(1, deploy=most, **{"x-starling": {"priority": 10}})))
    planned = f.cli("plan", high, check=3).stdout
    assert "low/s" in planned, planned
    f.cli("deploy", high)
    assert len(f.serving("high")) == 1
    f.wait_serving("low", 4)
    waiting = [r for r in f.ps("low") if r["peer"] is None]
    assert len(waiting) == 1 and waiting[0]["reason"], waiting
    f.cli("rm", "high", "--yes")
    f.wait_serving("low", 5)


def test_devices_are_counted(five):
    f = five
    gpu = {"resources": {"reservations": {"generic_resources": [{"discrete_resource_spec": {"kind": "gpu", "value": 1}}]}}}
    planned = f.cli("plan", f.write("a.yaml", stack("a", s=sleeper(4, deploy=gpu))), check=4).stdout
    assert "1 slot fits on no peer" in planned and "device" in planned, planned
    deploy(f, "a", s=sleeper(4, deploy=gpu))
    rows = f.wait_serving("a", 3)
    assert sorted(r["peer_name"] for r in rows) == ["p1", "p2", "p2"]
    left, = [r for r in f.ps("a") if r["peer"] is None]
    assert "device" in left["reason"]
    f.cli("scale", "a/s=3", "--detach")
    wait_until("nothing to be left out", lambda: all(r["peer"] for r in f.ps("a")))
    assert pids(f.serving("a")) == pids(rows)


def test_a_volume_keeps_its_service_where_it_is(five):
    f = five
    keeps = shell("touch $STARLING_VOLUME_DATA/was-here; exec sleep 100000", 1, **{"x-starling": {"volumes": ["data"]}})
    deploy(f, "a", s=keeps)
    home, = {r["peer_name"] for r in f.wait_serving("a", 1)}
    peer = next(p for p in f.peers if p.name == home)
    viewer = peer.number % 5
    kept = os.path.join(peer.data, "volumes", "a", "data", "was-here")
    wait_until("the folder to be used", lambda: os.path.exists(kept))
    there = pids(f.serving("a"))
    # A drain takes the others and leaves it, and says why.
    deploy(f, "b", s=sleeper(10))
    f.wait_serving("b", 10)
    assert f.serving("b", on=[home])
    f.cli("node", "drain", home, "--detach", peer=viewer)
    f.wait_serving("b", 10, peer=viewer, on=others(f, peer))
    assert "a volume of the service lives on another peer" in f.cli("explain", "a/s/0", peer=viewer).stdout
    assert pids(f.serving("a", peer=viewer)) == there
    wait_until("what was handed over to stop here", lambda: len(peer.tasks()) == 1)
    f.cli("node", "resume", home)
    # Nor does it start elsewhere when the host is lost, when all else has long been started; it is back with its host.
    f.cli("scale", "b/s=12", "--detach")
    f.wait_serving("b", 12)
    assert f.serving("b", on=[home])
    peer.lose()
    f.wait_serving("b", 12, peer=viewer, on=others(f, peer))
    assert not f.serving("a", peer=viewer, on=others(f, peer))
    left, = f.ps("a", peer=viewer)
    assert "volume" in left["reason"], left
    peer.start()
    f.wait_alive()
    f.wait_serving("a", 1, on=[home])
    # And after the stack was removed and comes again.
    f.cli("rm", "a", "--yes")
    deploy(f, "a", peer=viewer, s=keeps)
    f.wait_serving("a", 1, on=[home])


# --- splits ---

def on(rows, service, *peers):
    return {r["slot"]: r["pid"] for r in rows if r["service"] == service and r["peer_name"] in peers}


def test_a_split_goes_as_each_service_says(flock):
    f = flock(5, hosts=True)
    small, large = ["p1", "p2"], ["p3", "p4", "p5"]
    f.cli("voters", "set", *small, *large)
    deploy(f, "a", run=sleeper(5), majority=sleeper(5, **{"x-starling": {"partition": "majority"}}),
           pause=sleeper(10, **{"x-starling": {"partition": "pause"}}))
    before = at_rest(f, "a", 20)
    assert all(on(before, "majority", *small) and on(before, "pause", name) for name in (*small, *large)), before
    f.network.split([1, 2], [3, 4, 5])
    # The larger side: all of the first two, and of the third what it had.
    f.wait_serving("a", 5, service="run", peer=2, on=large)
    f.wait_serving("a", 5, service="majority", peer=3, on=large)
    assert on(f.serving("a", peer=2), "pause", *large) == on(before, "pause", *large)
    # The smaller: all of the first, nothing of the second, what it had of the third.
    f.wait_serving("a", 5, service="run", peer=0, on=small)
    wait_until("the majority's tasks to stop", lambda: not any(map(alive, on(before, "majority", *small).values())), 20)
    assert not f.serving("a", "majority", peer=1, on=small)
    assert all(map(alive, on(before, "pause", *small).values()))
    # An operator says that one of the lost is gone for good: now its slots are replaced, and the other's still are not.
    gone, kept = on(before, "pause", "p1"), {**on(before, "pause", *large), **on(before, "pause", "p2")}
    f.cli("node", "evict", "p1", "--yes", peer=2)
    f.wait_serving("a", 10 - len(on(before, "pause", "p2")), service="pause", peer=2, on=large)
    f.cli("scale", "a/run=6", "--detach", peer=4)
    f.wait_serving("a", 6, service="run", peer=2, on=large)
    now = on(f.serving("a", peer=2), "pause", *large)
    assert now.keys() == gone.keys() | on(before, "pause", *large).keys()
    f.network.calm()
    f.wait_alive(names=["p2", *large], peers=[1, 2, 3, 4])
    wait_until("what was put out to stop", lambda: not f[0].tasks(), 30)
    rows = wait_settled(f, "a", 21, f.peers[1:])
    assert kept.items() <= {slot: pid for (service, slot), pid in rows.items() if service == "pause"}.items()


def wait_settled(f, name, n, peers):
    def settled():
        views = [pids(f.serving(name, peer=p.number - 1)) for p in peers]
        running = {pid for p in peers for pid in p.tasks()}
        return views[0] if len(views[0]) == n and all(v == views[0] for v in views) and running == set(views[0].values()) \
            else None
    return wait_until(f"one owner for each slot of {name}", settled, 60, every=0.2)
