#!/usr/bin/env python3
"""make demo: three peers on 127.78.0.1-3, a signed stack, discovery, a drained host, a lost host, its return, removal.

Prints a timeline in milliseconds. As root a host is lost by blackholing its address with nft, its tasks left
running, as when a cable is pulled; otherwise by SIGKILL to its agent, shims and tasks at once. Leaves nothing
behind, whichever way it ends. STARLING_BIN names another binary than build/starling, DEMO_NET=N another
network (127.78.N.1-3) when that one is in use.
"""
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.request

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), ".."))
sys.path.insert(0, os.path.join(ROOT, "tests", "lib"))

import dnsq  # noqa: E402
from flock import Failed, Flock, wait_until  # noqa: E402

ZONE = "hello.starling.internal"
REPLICAS = 6
started = time.monotonic()


def ms(since):
    return round((time.monotonic() - since) * 1000)


def say(text):
    print(f"{ms(started):7} ms  {text}", flush=True)


def show(command, output):
    print(f"            $ {command}")
    for line in output.rstrip("\n").splitlines():
        print(f"            {line}")
    sys.stdout.flush()


def dig(peer, *question):
    """dig's short answer, sorted; shows it."""
    argv = ["dig", f"@{peer.dns[0]}", "-p", str(peer.dns[1]), "+short", "+time=2", "+tries=2", *question]
    done = subprocess.run(argv, text=True, capture_output=True, check=False)
    if done.returncode != 0:
        raise Failed(f"{' '.join(argv)}: exit {done.returncode}: {done.stdout}{done.stderr}")
    lines = sorted(line for line in done.stdout.splitlines() if not line.startswith(";"))
    show(" ".join(argv), "\n".join(lines) or "(no answer)")
    return lines


def http(address, port):
    with urllib.request.urlopen(f"http://{address}:{port}/", timeout=3) as answer:
        return answer.read().decode().strip()


def resident_kib(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        return int(next(line for line in f if line.startswith("VmRSS:")).split()[1])


def main(flock, figures):
    first, second, third = flock.peers
    cli = flock.cli

    say("starling init: root key, admin key, genesis; the first peer is admitted")
    show("starling init --name demo --data p1", cli("init", "--name", "demo").stdout)
    at = time.monotonic()
    first.start()
    say(f"{first.name} is ready on {first.bind}, {ms(at)} ms after its start")
    for peer in (second, third):
        token = flock.token()
        cli("join", token, peer=peer.number - 1)
        at = time.monotonic()
        peer.start()
        say(f"{peer.name} joined with a token ({len(token)} characters) and is ready, {ms(at)} ms after its start")
    flock.wait_alive()
    say("every peer sees the other two alive")
    show("starling node ls", cli("node", "ls").stdout)

    say(f"deploy docs/examples/hello.yaml: {REPLICAS} x web and a greeter, signed by the admin key")
    at = time.monotonic()
    done = cli("deploy", os.path.join(ROOT, "docs", "examples", "hello.yaml"), "--detach")
    flock.wait_serving("hello", REPLICAS + 1)
    figures["deploy of hello (7 tasks) to all healthy"] = f"{ms(at)} ms (python3 starts 7 times, health checks pass)"
    show("starling deploy docs/examples/hello.yaml --detach", done.stdout + done.stderr)
    say(f"all {REPLICAS + 1} tasks are healthy, {figures['deploy of hello (7 tasks) to all healthy']}")
    show("starling ps hello", cli("ps", "hello").stdout)

    say("discovery: any peer answers for every service")
    wait_until("SRV to list every replica", lambda: len(dns_targets(third)) == REPLICAS, 5)
    dig(third, "A", f"web.{ZONE}")
    dig(third, "SRV", f"_http._tcp.web.{ZONE}")
    dig(second, "TXT", f"web.{ZONE}")
    say("an HTTP answer from each replica")
    for row in sorted(flock.serving("hello", "web"), key=lambda r: r["slot"]):
        end = row["endpoints"][0]
        show(f"curl http://{end['address']}:{end['port']}/", http(end["address"], end["port"]))
    greeter = flock.serving("hello", "greeter")[0]["endpoints"][0]
    say("the greeter finds web by SRV at $STARLING_DNS and calls it")
    show(f"curl http://{greeter['address']}:{greeter['port']}/", http(greeter["address"], greeter["port"]))

    drain(flock, second, figures)
    lose(flock, third, figures)
    come_back(flock, third, figures)

    say("starling rm hello --yes")
    at = time.monotonic()
    cli("rm", "hello", "--yes")
    wait_until("every task to be gone", lambda: not any(p.processes() for p in flock.peers), 30)
    figures["removal to nothing running"] = f"{ms(at)} ms (tasks end on SIGTERM)"
    say(f"nothing of it runs any more on any peer, {figures['removal to nothing running']}")
    if flock.ps():
        raise Failed("ps still lists tasks after the removal")
    say("the name is gone as well")
    dig(first, "A", f"web.{ZONE}")
    figures["resident memory of the three agents"] = ", ".join(
        f"{resident_kib(p.process.pid) / 1024:.1f} MiB" for p in flock.peers) + " (VmRSS)"
    for peer in flock.peers:
        if peer.stop() != 0:
            raise Failed(f"{peer.name} ended with {peer.process.returncode}:\n{peer.new_log()[-2000:]}")
    say("the agents ended on SIGTERM")


def dns_targets(peer):
    argv = ["dig", f"@{peer.dns[0]}", "-p", str(peer.dns[1]), "+short", "+time=1", "+tries=1", "SRV", f"_http._tcp.web.{ZONE}"]
    done = subprocess.run(argv, text=True, capture_output=True, check=False)
    return [line for line in done.stdout.splitlines() if line and not line.startswith(";")]


def drain(flock, peer, figures):
    held = len(flock.serving("hello", on=[peer.name]))
    say(f"starling node drain {peer.name}: each of its {held} tasks stops once another peer serves it")
    at = time.monotonic()
    with Asking("web", flock[0]) as asking:
        done = flock.cli("node", "drain", peer.name)
    if asking.failures:
        raise Failed(f"{asking.failures} of {asking.answers + asking.failures} requests failed during the drain")
    figures["drain of a host with load on it"] = (
        f"{ms(at)} ms ({held} tasks handed over, {asking.answers} requests meanwhile, none failed)")
    show(f"starling node drain {peer.name}", done.stdout + done.stderr)
    say(f"{peer.name} is drained, {figures['drain of a host with load on it']}")
    show("starling ps hello", flock.cli("ps", "hello").stdout)
    done = flock.cli("node", "resume", peer.name)
    say("its work is done; it may have tasks again, and what was handed over stays where it is")
    show(f"starling node resume {peer.name}", done.stdout + done.stderr)


class Asking:
    """A client that asks a service without a pause, where DNS says that it is, for as long as it is entered."""

    def __init__(self, service, peer):
        self.name = f"_http._tcp.{service}.{ZONE}"
        self.server = peer.dns
        self.answers = self.failures = 0
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.ask)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()

    def ask(self):
        ends, until = [], 0
        while not self.over.is_set():
            if time.monotonic() >= until:
                until = time.monotonic() + 1  # its TTL
                ends = [(dnsq.ask(self.server, target, dnsq.A).values(dnsq.A)[0], port) for _, _, port, target
                        in dnsq.ask(self.server, self.name, dnsq.SRV).values(dnsq.SRV)]
            try:
                http(*ends[self.answers % len(ends)])
                self.answers += 1
            except OSError:
                self.failures += 1
            time.sleep(0.01)


def lose(flock, peer, figures):
    here = [p.name for p in flock.peers if p is not peer]
    held = [r for r in flock.serving("hello") if r["peer_name"] == peer.name]
    at = time.monotonic()
    if os.geteuid() == 0 and shutil.which("nft"):
        flock.blackhole(peer)
        say(f"{peer.name} is lost: nft drops all packets to and from it; its {len(held)} tasks run on over there")
    else:
        peer.lose()
        say(f"{peer.name} is lost: SIGKILL to its agent, its shims and its {len(held)} tasks at once")
    flock.wait_serving("hello", REPLICAS + 1, on=here, timeout=60)
    took = ms(at)
    figures["loss of a host to all its replicas healthy elsewhere"] = f"{took} ms ({len(held)} tasks moved)"
    say(f"all {REPLICAS + 1} tasks are healthy on {' and '.join(here)}, {took} ms after the loss")
    show("starling node ls", flock.cli("node", "ls").stdout)
    show("starling ps hello", flock.cli("ps", "hello").stdout)
    wait_until("DNS to answer without it", lambda: peer.address not in answers_a(flock[0]), 5)
    say(f"DNS has followed, {ms(at)} ms after the loss")
    dig(flock[0], "A", f"web.{ZONE}")


def answers_a(peer):
    argv = ["dig", f"@{peer.dns[0]}", "-p", str(peer.dns[1]), "+short", "+time=1", "+tries=1", "A", f"web.{ZONE}"]
    return subprocess.run(argv, text=True, capture_output=True, check=False).stdout.split()


def come_back(flock, peer, figures):
    before = peer.tasks()
    at = time.monotonic()
    if peer.running():
        flock.heal()
        say(f"the cable is back; {peer.name} still runs {len(before)} tasks of its own, all of which have moved")
    else:
        peer.start()
        say(f"{peer.name} is started again on its data folder")
    flock.wait_alive()
    say(f"every peer sees {peer.name} alive again, {ms(at)} ms after its return")

    def settled():
        rows = flock.serving("hello")
        owned = {r["pid"] for r in rows if r["peer_name"] == peer.name}
        return len(rows) == REPLICAS + 1 and {t for t in peer.tasks() if t in before} <= owned
    wait_until(f"what moved to have stopped on {peer.name}", settled, 40)
    stopped = len([p for p in before if p not in peer.tasks()])
    figures["return of a host to one owner per slot"] = f"{ms(at)} ms ({stopped} of {len(before)} surplus tasks stopped)"
    say(f"one owner per slot again, {REPLICAS + 1} tasks in all; {stopped} of {len(before)} that had moved stopped on {peer.name}, "
        f"{ms(at)} ms after its return")
    show("starling ps hello", flock.cli("ps", "hello").stdout)


def run():
    binary = os.environ.get("STARLING_BIN", os.path.join(ROOT, "build", "starling"))
    # Before anything starts: an interrupt ends the demo through its clean-up.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    figures = {}
    flock = Flock(binary, 3, net=int(os.environ.get("DEMO_NET", "0")), prefix="starling-demo-")
    try:
        try:
            main(flock, figures)
        except (Failed, OSError, subprocess.SubprocessError, KeyError, IndexError) as e:
            say(f"FAILED: {type(e).__name__}: {e}")
            for peer in flock.peers:
                print(f"--- the end of {peer.name}'s log\n{peer.new_log()[-3000:] if peer.process else 'never started'}")
            return 1
    finally:
        flock.destroy()
    left = flock.left_over()
    if left or os.path.exists(flock.folder):
        say(f"FAILED: left behind: processes {sorted(left)}, folder {flock.folder}")
        return 1
    say("nothing is left behind: no process, no packet filter table, no folder")
    print("\nFigures of this run (not assertions; `make bench` measures more)")
    figures[f"size of {os.path.relpath(binary, ROOT)}"] = f"{os.path.getsize(binary) / 1048576:.2f} MiB"
    static = os.path.join(ROOT, "build", "starling-static")
    if os.path.exists(static) and static != os.path.abspath(binary):
        figures["size of build/starling-static"] = f"{os.path.getsize(static) / 1048576:.2f} MiB"
    for what, figure in figures.items():
        print(f"  {what + ':':56} {figure}")
    return 0


sys.exit(run())
