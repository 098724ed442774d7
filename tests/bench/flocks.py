#!/usr/bin/env python3
"""make bench-flocks: real agents beside as many of serf's, on this machine, in one run.

    tests/bench/flocks.py [--sizes 5,20,50] [--rounds N] [--idle SECONDS] [--out FILE]

All agents run on the loopback network, each with an address of its own (ours 127.78.x.y, serf's 127.79.x.y), in the
lan profile of each. Size by size, ours first, then serf's; of repeated figures the median [smallest-largest] is
given. What an agent knows of others is read from its log as it is written, which costs it nothing. Nothing here
asserts a time.

The table is printed as rows of markdown, and written to --out as well. Ours is build/starling-static where `make
static` has made it, else build/starling; STARLING_BIN names another. Without the package `serf` its column is empty.
"""
import argparse
import json
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
import time

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
sys.path.insert(0, os.path.join(ROOT, "tests", "lib"))

import serf  # noqa: E402
from flock import Failed, Flock  # noqa: E402

NET = 1
# Before an idle flock is measured, and between losses, what was begun may settle: queues, reconciliations, push-pull.
SETTLE_S = 10
# Longest wait for anything: several times what either took here.
LIMIT_S = 120


class Watch:
    """Follows the logs of all agents of a flock: what each last said of every other."""

    def __init__(self, peers, patterns, own=None):
        self.peers = peers
        self.patterns = patterns  # state: pattern of a line that says it, with the other's name
        self.own = own            # pattern of a line that tells what others' logs call this peer, if not by its name
        self.called = {p.name: None if own else p.name.encode() for p in peers}
        self.at = {p.name: 0 for p in peers}
        self.said = {p.name: {} for p in peers}
        self.deaths = []  # (who said it, of whom)

    def read(self, peer):
        try:
            with open(peer.log, "rb") as log:
                log.seek(self.at[peer.name])
                new = log.read()
        except OSError:
            return
        new = new[:new.rfind(b"\n") + 1]
        self.at[peer.name] += len(new)
        for line in new.splitlines():
            if self.own and (found := self.own.search(line)):
                self.called[peer.name] = found.group(1)
            for state, pattern in self.patterns.items():
                if found := pattern.search(line):
                    self.said[peer.name][found.group(1)] = state
                    if state == "dead":
                        self.deaths.append((peer.name, found.group(1)))

    def until(self, what, done, begin=None):
        """Seconds from begin (or now) until done() holds."""
        begin = begin or time.monotonic()
        while True:
            for peer in self.peers:
                self.read(peer)
            if done():
                return time.monotonic() - begin
            if time.monotonic() - begin > LIMIT_S:
                raise Failed(f"waited {LIMIT_S} s for {what}")
            time.sleep(0.005)

    def says(self, peer, other, states):
        return self.said[peer.name].get(self.called[other.name]) in states

    def all_alive(self):
        return all(self.says(p, o, ("alive", "suspect")) for p in self.peers for o in self.peers if p is not o)

    def all_know(self, victim):
        return all(self.says(p, victim, ("dead",)) for p in self.peers if p is not victim)

    def forget(self, peer):
        """A new run of this agent begins: it knows nothing yet, and others do not know of it."""
        self.said[peer.name] = {}
        for said in self.said.values():
            said.pop(self.called[peer.name], None)


# --- two kinds of flock with one face: joining in two ways, then a loss and a return ---

class Ours:
    subnet = "127.78"

    def __init__(self, binary, n):
        self.flock = Flock(binary, n, net=NET, prefix="starling-flocks-")
        self.peers = self.flock.peers
        self.watch = Watch(self.peers, {s: re.compile(rb"peer ([0-9a-f]{16}) is %s \(" % s.encode())
                                        for s in ("alive", "suspect", "dead")},
                           own=re.compile(rb"this host is (?:peer |its first peer, )([0-9a-f]{16})"))
        self.note(self.peers[0], self.flock.cli("init", "--name", "bench").stdout)
        self.peers[0].start()
        self.token = self.flock.token("--uses", str(max(n - 1, 1)))

    @staticmethod
    def note(peer, text):
        with open(peer.log, "a", encoding="utf-8") as log:
            log.write(text)

    def join(self):
        """Every host but the first: `starling join TOKEN`, and the agent as soon as it is in; all at once."""
        begin = time.monotonic()
        for peer in self.peers[1:]:
            peer.start(wait=False, token=self.token)
        return self.watch.until("all to be listed by all", self.watch.all_alive, begin)

    def start(self):
        """Admissions are made; every agent but the first starts at once."""
        for peer in self.peers[1:]:
            self.note(peer, self.flock.cli("join", self.token, peer=peer.number - 1).stdout)
        time.sleep(2)
        begin = time.monotonic()
        for peer in self.peers[1:]:
            peer.start(wait=False)
        return self.watch.until("all to be listed by all", self.watch.all_alive, begin)

    def back(self, peer):
        peer.start(wait=False)

    def lists(self, peer):
        return {n for n, row in self.flock.nodes(peer=peer.number - 1).items() if row["state"] == "alive"}

    def destroy(self):
        self.flock.destroy()


class Serfs:
    subnet = "127.79"

    def __init__(self, n):
        self.flock = serf.SerfFlock(n, NET)
        self.peers = self.flock.peers
        self.watch = Watch(self.peers, {"alive": serf.ALIVE, "dead": serf.DEAD})
        self.peers[0].start()

    def start(self):
        """Every agent but the first starts with -join of the first; all at once."""
        begin = time.monotonic()
        for peer in self.peers[1:]:
            peer.start("-join", self.peers[0].bind, wait=False)
        return self.watch.until("all to be listed by all", self.watch.all_alive, begin)

    def join(self):
        """All run already; every one but the first is told, at once, to join the first."""
        for peer in self.peers[1:]:
            peer.start(wait=False)
        for peer in self.peers[1:]:
            peer.wait_ready()
        begin = time.monotonic()
        sessions = self.flock.join_all()
        took = self.watch.until("all to be listed by all", self.watch.all_alive, begin)
        for s in sessions:
            s.close()
        return took

    def back(self, peer):
        other = self.peers[0] if peer is not self.peers[0] else self.peers[1]
        peer.start("-join", other.bind, wait=False)

    def lists(self, peer):
        return self.flock.alive(peer)

    def destroy(self):
        self.flock.destroy()


# --- what an idle agent costs ---

def rollup(pid):
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as f:
        return {k: int(v.split()[0]) / 1024 for k, v in (line.split(":", 1) for line in f if line.startswith(("Rss", "Pss")))}


def cpu_seconds(pid):
    """Of all threads, by the scheduler's own count of nanoseconds."""
    total = 0
    for tid in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{tid}/schedstat", encoding="ascii") as f:
            total += int(f.read().split()[0])
    return total / 1e9


class Traffic:
    """Counts packets and bytes (IP and up) that each address sends and receives, UDP and TCP alike."""

    def __init__(self, subnet):
        self.table = f"starling_bench_{os.getpid()}"
        net = f"{subnet}.{NET}.0/24"
        self.rules = f"""table ip {self.table} {{
            set sent {{ type ipv4_addr; flags dynamic; size 512; counter; }}
            set received {{ type ipv4_addr; flags dynamic; size 512; counter; }}
            chain count {{
                type filter hook output priority 0;
                ip saddr {net} ip daddr {net} update @sent {{ ip saddr }}
                ip saddr {net} ip daddr {net} update @received {{ ip daddr }}
            }}
        }}
        """

    def __enter__(self):
        subprocess.run(["nft", "-f", "-"], input=self.rules, text=True, check=True)
        return self

    def __exit__(self, *_):
        subprocess.run(["nft", "delete", "table", "ip", self.table], check=True)

    def read(self, name):
        """address: (packets, bytes)"""
        out = subprocess.run(["nft", "-j", "list", "set", "ip", self.table, name], check=True, capture_output=True,
                             text=True).stdout
        found = {}
        for item in json.loads(out)["nftables"]:
            for element in item.get("set", {}).get("elem", []):
                e = element["elem"]
                found[e["val"]] = (e["counter"]["packets"], e["counter"]["bytes"])
        return found


def idle(flock, seconds):
    """{figure: one value for each agent}"""
    time.sleep(SETTLE_S)
    pids = {p.address: p.process.pid for p in flock.peers}
    with Traffic(flock.subnet) as traffic:
        cpu = {a: cpu_seconds(pid) for a, pid in pids.items()}
        at = time.monotonic()
        time.sleep(seconds)
        lasted = time.monotonic() - at
        sent, received = traffic.read("sent"), traffic.read("received")
    memory = [rollup(pid) for pid in pids.values()]
    return {
        "resident memory, MiB": [m["Rss"] for m in memory],
        "proportional memory, MiB": [m["Pss"] for m in memory],
        "CPU idle, % of a core": [100 * (cpu_seconds(pid) - cpu[a]) / lasted for a, pid in pids.items()],
        "packets sent per second, idle": [sent.get(a, (0, 0))[0] / lasted for a in pids],
        "packets received per second, idle": [received.get(a, (0, 0))[0] / lasted for a in pids],
        "bytes sent per second, idle": [sent.get(a, (0, 0))[1] / lasted for a in pids],
        "bytes received per second, idle": [received.get(a, (0, 0))[1] / lasted for a in pids],
    }


# --- one size ---

def losses(flock, rounds):
    """Seconds from each SIGKILL until all others know, and how many deaths were said of peers that lived."""
    watch, took = flock.watch, []
    false = len(watch.deaths)
    for i in range(rounds):
        victim = flock.peers[1 + i * 7 % (len(flock.peers) - 1)]
        before = len(watch.deaths)
        victim.kill()
        took.append(watch.until(f"all to know that {victim.name} is lost", lambda v=victim: watch.all_know(v)))
        watch.forget(victim)
        flock.back(victim)
        watch.until(f"{victim.name} to be back", watch.all_alive)
        time.sleep(SETTLE_S)
        watch.until("the logs", lambda: True)
        false += sum(of != watch.called[victim.name] or who == victim.name for who, of in watch.deaths[before:])
    return took, false


# Ours: `starling join TOKEN`, then the agent, on every host but the first. Serf's agents run and are told to join.
JOINED = "all join one seed: until all list all, s"
# Ours has its admissions and starts; serf's agent starts with -join.
STARTED = "all but one start: until all list all, s"


def measure(make, n, options):
    """{figure: (values, one per repeat or agent)} of flocks of n."""
    rows = {JOINED: [], STARTED: []}
    for what, way in ((JOINED, "join"), (STARTED, "start")):
        for i in range(options.rounds):
            flock = make(n)
            try:
                rows[what].append(getattr(flock, way)())
                last = what == STARTED and i == options.rounds - 1
                if last:
                    rows.update(idle(flock, options.idle))
                    rows["known to all after a SIGKILL, s"], false = losses(flock, options.losses)
                    rows["false deaths said in all losses"] = [false]
                    names = {p.name for p in flock.peers}
                    for p in flock.peers[:5]:
                        if flock.lists(p) != names:
                            raise Failed(f"{p.name} lists {sorted(flock.lists(p))}, not all {n}")
            finally:
                flock.destroy()
    return rows


SPREAD = ("all", "known")


def cell(what, values):
    if values is None:
        return "-"
    mid = statistics.median(values)
    text = f"{mid:.0f}" if what.startswith(("bytes", "false")) else f"{mid:.2f}"
    if what.startswith(SPREAD):
        text += f" [{min(values):.2f}-{max(values):.2f}]"
    return text


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--sizes", default="5,20,50")
    parser.add_argument("--rounds", type=int, default=5, help="flocks joined, for each size and way")
    parser.add_argument("--losses", type=int, default=7, help="agents killed, for each size")
    parser.add_argument("--idle", type=float, default=60, help="seconds")
    parser.add_argument("--out", help="file that gets the table too")
    parser.add_argument("--only", choices=("starling", "serf"))
    options = parser.parse_args()
    static = os.path.join(ROOT, "build", "starling-static")
    binary = os.environ.get("STARLING_BIN", static if os.path.exists(static) else os.path.join(ROOT, "build", "starling"))
    kinds = {"Starling": lambda n: Ours(binary, n)}
    if shutil.which("serf"):
        kinds["serf"] = Serfs
    else:
        print("serf is not installed (Debian package serf): its column stays empty", file=sys.stderr)
    if options.only:
        kinds = {k: v for k, v in kinds.items() if k.lower() == options.only}
    lines = [f"<!-- tests/bench/flocks.py {' '.join(sys.argv[1:])}; {os.path.relpath(binary, ROOT)}; "
             f"{os.cpu_count()} cores, Linux {platform.release()}, load {os.getloadavg()[0]:.1f} at the start -->",
             "| agents | what | Starling | serf |", "|---|---|---|---|"]
    print("\n".join(lines), flush=True)
    for n in map(int, options.sizes.split(",")):
        found = {name: measure(make, n, options) for name, make in kinds.items()}
        for what in next(iter(found.values())):
            row = f"| {n} | {what} | {cell(what, found.get('Starling', {}).get(what))} | {cell(what, found.get('serf', {}).get(what))} |"
            print(row, flush=True)
            lines.append(row)
    if options.out:
        with open(options.out, "w", encoding="utf-8") as f:
            f.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
