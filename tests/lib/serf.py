"""Serf agents on this machine, to measure beside ours: the same addresses, logs and questions as tests/lib/flock.py
has for Starling. Standard library only; the agents are Debian's package `serf`.
"""
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile

from flock import Failed, end, read_bytes, wait_until

PEER_PORT = 7946
RPC_PORT = 7373


def pack(value):
    """msgpack of what a request is made of: small maps, lists, short texts, small numbers, truth values."""
    if value is True or value is False:
        return b"\xc3" if value else b"\xc2"
    if isinstance(value, int) and 0 <= value < 128:
        return bytes([value])
    if isinstance(value, str) and len(value) < 32:
        return bytes([0xa0 | len(value)]) + value.encode()
    if isinstance(value, list) and len(value) < 16:
        return bytes([0x90 | len(value)]) + b"".join(map(pack, value))
    if isinstance(value, dict) and len(value) < 16:
        return bytes([0x80 | len(value)]) + b"".join(pack(k) + pack(v) for k, v in value.items())
    raise ValueError(f"{value!r}: no request holds that")


class SerfPeer:
    def __init__(self, flock, number):
        self.flock = flock
        self.number = number
        self.name = f"p{number}"
        self.address = f"127.79.{flock.net}.{number}"
        self.log = os.path.join(flock.folder, self.name + ".log")
        self.bind = f"{self.address}:{PEER_PORT}"
        self.rpc = (self.address, RPC_PORT)
        self.process = None

    def start(self, *extra, wait=True):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [self.flock.binary, "agent", "-node", self.name, "-bind", self.bind, "-rpc-addr", "%s:%d" % self.rpc,
                 "-profile", "lan", *extra], stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                start_new_session=True, cwd=self.flock.folder)
        if wait:
            self.wait_ready()
        return self

    def wait_ready(self):
        def answers():
            if self.process.poll() is not None:
                raise Failed(f"serf {self.name} ended:\n{read_bytes(self.log)[-2000:].decode(errors='replace')}")
            with socket.socket() as s:
                return s.connect_ex(self.rpc) == 0
        wait_until(f"serf {self.name} to answer", answers, 30, every=0.02)

    def session(self):
        """A connection to the agent, ready for one more request."""
        s = socket.create_connection(self.rpc, 5)
        s.sendall(pack({"Command": "handshake", "Seq": 0}) + pack({"Version": 1}))
        return s

    def running(self):
        return self.process is not None and self.process.poll() is None

    def kill(self):
        if self.running():
            end(self.process.pid)
            self.process.wait()


class SerfFlock:
    def __init__(self, n, net):
        self.binary = shutil.which("serf")
        self.net = net
        self.folder = tempfile.mkdtemp(prefix="starling-serf-")
        self.peers = [SerfPeer(self, i + 1) for i in range(n)]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.destroy()

    def __getitem__(self, i):
        return self.peers[i]

    def join_all(self):
        """Tells every agent but the first, all at once, to join the first; returns the connections, to be closed."""
        sessions = [p.session() for p in self.peers[1:]]
        for s in sessions:
            s.sendall(pack({"Command": "join", "Seq": 1}) + pack({"Existing": [self[0].bind], "Replay": False}))
        return sessions

    def alive(self, peer):
        """Names of those that this peer lists as alive."""
        out = subprocess.run([self.binary, "members", "-rpc-addr", "%s:%d" % peer.rpc, "-format", "json"], check=True,
                             capture_output=True, text=True, timeout=30).stdout
        return {m["name"] for m in json.loads(out)["members"] if m["status"] == "alive"}

    def destroy(self):
        for peer in self.peers:
            if peer.running():
                end(peer.process.pid, signal.SIGKILL)
        for peer in self.peers:
            if peer.process:
                peer.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


# A line of an agent's log that says that another is alive, or has failed.
ALIVE = re.compile(rb"EventMemberJoin: (p\d+) ")
DEAD = re.compile(rb"EventMemberFailed: (p\d+) ")
SUSPECT = re.compile(rb"Suspect (p\d+) has failed")
