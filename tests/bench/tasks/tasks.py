#!/usr/bin/env python3
"""make bench-tasks: what tasks cost on one peer: memory of a shim, and of the agent and its work at rest.

    tests/bench/tasks/tasks.py [--counts 1,20,500] [--idle SECONDS] [--start PROGRAM]

One agent on the loopback network with so many `sleep` tasks without checks. A shim's memory is its proportional set size
(/proc/PID/smaps_rollup), the mean of all; the agent's is its resident set. Its work at rest is what it used of one
processor over --idle seconds. PROGRAM is bench_start, whose table comes first. Nothing here asserts a figure.

Ours is build/starling-static where `make static` has made it, else build/starling; STARLING_BIN names another.
"""
import argparse
import os
import subprocess
import sys
import time

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", "..", ".."))
sys.path.insert(0, os.path.join(ROOT, "tests", "lib"))

from flock import Flock, read_bytes, wait_until  # noqa: E402

# What was begun may settle: the status pages of so many tasks are written once more after the last has started.
SETTLE_S = 15
LIMIT_S = 300


def binary():
    named = os.environ.get("STARLING_BIN")
    static = os.path.join(ROOT, "build", "starling-static")
    return named or (static if os.path.exists(static) else os.path.join(ROOT, "build", "starling"))


def kib(pid, file, key):
    for line in read_bytes(f"/proc/{pid}/{file}").decode().splitlines():
        if line.startswith(key + ":"):
            return int(line.split()[1])
    return 0


def cpu_s(pid):
    fields = read_bytes(f"/proc/{pid}/stat").rpartition(b")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def shims(peer):
    return [p for p in peer.processes() if b"\0shim\0" in read_bytes(f"/proc/{p}/cmdline")]


def measure(flock, count, idle_s):
    """One row, of a stack with so many replicas."""
    peer = flock[0]
    services = -(-count // 250)
    each = [count // services + (i < count % services) for i in range(services)]
    text = "name: bench\nservices:\n"
    for i, n in enumerate(each):
        text += (f"  s{i}:\n    command: [sleep, '100000']\n    deploy:\n      replicas: {n}\n"
                 f"      resources: {{reservations: {{memory: 1M}}}}\n")
    begun = time.monotonic()
    flock.cli("deploy", "--detach", flock.write("bench.yaml", text), timeout=LIMIT_S)
    wait_until(f"{count} tasks to run", lambda: len(peer.tasks()) >= count, LIMIT_S, 0.1)
    took = time.monotonic() - begun
    time.sleep(SETTLE_S)
    mine = shims(peer)
    pss = [kib(p, "smaps_rollup", "Pss") / 1024 for p in mine]
    own = [kib(p, "smaps_rollup", "Private_Dirty") / 1024 for p in mine]
    agent = peer.process.pid
    before, since = cpu_s(agent), time.monotonic()
    time.sleep(idle_s)
    cpu = (cpu_s(agent) - before) / (time.monotonic() - since) * 100
    print(f"| {count} | {sum(pss) / len(pss):.3f} | {sum(own) / len(own):.3f} "
          f"| {kib(agent, 'status', 'VmRSS') / 1024:.1f} | {cpu:.2f} | {took:.1f} |", flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--counts", default="1,20,500")
    parser.add_argument("--idle", type=float, default=30)
    parser.add_argument("--start")
    args = parser.parse_args()
    print(f"Binary: `{os.path.basename(binary())}`; {os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}.\n", flush=True)
    if args.start:
        subprocess.run([args.start, binary()], check=True)
        print(flush=True)
    print("| tasks | shim, PSS, MiB | of that its own pages, MiB | agent, MiB | agent's cpu at rest, % "
          "| all running after, s |\n|---|---|---|---|---|---|", flush=True)
    with Flock(binary(), 1) as flock:
        flock.up()
        for count in map(int, args.counts.split(",")):
            measure(flock, count, args.idle)


if __name__ == "__main__":
    main()
