"""Real agents on this machine, for the demo, the end-to-end stories and the benchmarks. Standard library only.

Each peer has an address of its own on the loopback network (127.78.NET.N), or with hosts=True a host of its own
(tests/lib/netns.py), and a data folder under one temporary folder. Everything that a flock started is found again by
that folder and those addresses, and ended one process at a time, by number; nothing is ever ended by name.
"""
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.request

from netns import Network

PEER_PORT = 7827
HTTP_PORT = 7828
DNS_PORT = 7853


class Failed(Exception):
    """A command ended with an unexpected exit code, or a wait ended before what it waited for."""


def wait_until(what, predicate, timeout=30.0, every=0.05):
    """Calls predicate until it gives something true, and returns that; Failed names what was waited for."""
    end = time.monotonic() + timeout
    while True:
        value = predicate()
        if value:
            return value
        if time.monotonic() >= end:
            raise Failed(f"waited {timeout:g} s for {what}")
        time.sleep(every)


def read_bytes(path):
    try:
        with open(path, "rb") as f:
            return f.read()
    except OSError:
        return b""


def alive(pid):
    """Does this process run (a zombie does not)?"""
    stat = read_bytes(f"/proc/{pid}/stat")
    return bool(stat) and stat.rpartition(b")")[2].split()[0] not in (b"Z", b"X")


def end(pid, sig=signal.SIGKILL):
    try:
        os.kill(pid, sig)
    except ProcessLookupError:
        pass


class Peer:
    """One agent: its address, folder and process."""

    def __init__(self, flock, number):
        self.flock = flock
        self.number = number
        self.name = f"p{number}"
        own = flock.network
        self.address = own.address(number) if own else f"127.78.{flock.net}.{number}"
        self.inside = own.inside(number) if own else []
        self.data = os.path.join(flock.folder, self.name)
        self.log = os.path.join(flock.folder, self.name + ".log")
        # On a host of its own the agent finds out its address itself, as it does for most users.
        self.bind = f"0.0.0.0:{PEER_PORT}" if own else f"{self.address}:{PEER_PORT}"
        self.dns = ("127.0.0.1" if own else self.address, DNS_PORT)
        self.http = ("127.0.0.1" if own else self.address, HTTP_PORT)
        self.addresses = [self.address]  # of now and before: tasks started then carry them
        self.labels = []
        self.resources = []
        self.process = None
        self.log_at = 0

    def command(self):
        """The command that runs this agent."""
        argv = [*self.inside, self.flock.binary, "agent", "--data", self.data, "--name", self.name, "--bind", self.bind,
                "--dns", "%s:%d" % self.dns, "--http", "%s:%d" % self.http]
        for label in self.labels:
            argv += ["--label", label]
        for resource in self.resources:
            argv += ["--resource", resource]
        return argv

    def start(self, *extra, wait=True, timeout=30.0, token=None):
        """Starts the agent; with wait, returns when it has printed `ready`. With a token the host joins first, and
        becomes the agent as soon as it is in."""
        argv = [*self.command(), *extra]
        if token:
            argv = [*self.inside, "/bin/sh", "-c", '"$0" --data "$1" join "$2" && shift 2 && exec "$@"', self.flock.binary,
                    self.data, token, *argv]
        with open(self.log, "ab") as log:
            self.log_at = log.tell()
            self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=subprocess.STDOUT, env=self.flock.env, start_new_session=True,
                                            cwd=self.flock.folder)
        if wait:
            self.wait_ready(timeout)
        return self

    def new_log(self):
        """What this run of the agent has printed."""
        return read_bytes(self.log)[self.log_at:].decode(errors="replace")

    def wait_ready(self, timeout=30.0):
        def ready():
            if self.process.poll() is not None:
                raise Failed(f"{self.name}: the agent ended with {self.process.returncode}:\n{self.new_log()[-3000:]}")
            return re.search(r"^ready$", self.new_log(), re.M)
        wait_until(f"{self.name} to be ready", ready, timeout, every=0.01)

    def running(self):
        return self.process is not None and self.process.poll() is None

    def stop(self, timeout=20.0):
        """SIGTERM: the agent detaches from its tasks and ends. Returns its exit code."""
        if self.running():
            end(self.process.pid, signal.SIGTERM)
            try:
                self.process.wait(timeout)
            except subprocess.TimeoutExpired:
                raise Failed(f"{self.name}: the agent did not end within {timeout:g} s of SIGTERM") from None
        return self.process.returncode if self.process else None

    def kill(self):
        """SIGKILL to the agent alone."""
        if self.running():
            end(self.process.pid)
            self.process.wait()

    def call(self, fn):
        """Calls fn on this peer's host."""
        return self.flock.network.call(self.number, fn) if self.inside else fn()

    def metrics(self):
        """What /metrics says: {name with labels: number}."""
        def fetch():
            with urllib.request.urlopen("http://%s:%d/metrics" % self.http, timeout=10) as answer:
                return answer.read().decode()
        lines = [line for line in self.call(fetch).splitlines() if line and not line.startswith("#")]
        return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}

    def move(self, address):
        """Its host changes its address."""
        self.flock.network.move(self.number, address)
        self.addresses.append(address)
        self.address = address

    def processes(self):
        """Shims and tasks of this peer: whatever names its folder or carries its address, and all descendants."""
        agent = self.process.pid if self.process else None
        marks = self.marks()
        folder = os.fsencode(self.data)
        own, children = set(), {}
        for entry in os.listdir("/proc"):
            if not entry.isdigit():
                continue
            pid = int(entry)
            stat = read_bytes(f"/proc/{pid}/stat").rpartition(b")")[2].split()
            if len(stat) < 2 or stat[0] in (b"Z", b"X"):
                continue
            children.setdefault(int(stat[1]), []).append(pid)
            argv = read_bytes(f"/proc/{pid}/cmdline").split(b"\0")
            shim = any(a == folder or a.startswith(folder + b"/") for a in argv)
            if shim or marks & set(read_bytes(f"/proc/{pid}/environ").split(b"\0")):
                own.add(pid)
        found, queue = set(), [p for p in own if p not in (agent, os.getpid())]
        while queue:
            pid = queue.pop()
            if pid not in found:
                found.add(pid)
                queue += children.get(pid, [])
        return found - {agent, os.getpid()}

    def tasks(self):
        """Numbers of the tasks' own processes: those with this peer's address in their environment."""
        marks = self.marks()
        return {p for p in self.processes() if marks & set(read_bytes(f"/proc/{p}/environ").split(b"\0"))}

    def marks(self):
        return {f"STARLING_ADDRESS={a}".encode() for a in self.addresses}

    def lose(self):
        """SIGKILL to the agent, its shims and its tasks at once, as when the power goes."""
        for _ in range(5):
            pids = self.processes()
            if self.running():
                pids.add(self.process.pid)
            if not pids:
                break
            for pid in pids:
                end(pid)
            if self.process:
                self.process.wait()
            time.sleep(0.02)


class Flock:
    """N peers. Use as a context manager; on the way out everything that was started is ended and removed."""

    def __init__(self, binary, n=3, net=None, prefix="starling-", agent_env=None, hosts=False):
        self.binary = os.path.abspath(binary)
        # Two flocks at once on one machine, say demo and tests, take different networks.
        self.net = net if net is not None else 2 + os.getpid() % 250
        self.folder = tempfile.mkdtemp(prefix=prefix)
        os.chmod(self.folder, 0o755)  # tasks run as nobody
        self.key = os.path.join(self.folder, "operator.key")
        self.env = {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "LANG": "C.UTF-8", "HOME": self.folder,
                    "XDG_CONFIG_HOME": os.path.join(self.folder, "config"),
                    "XDG_DATA_HOME": os.path.join(self.folder, "data"), "STARLING_KEY": self.key}
        self.env.update({k: v for k, v in os.environ.items() if k.endswith("SAN_OPTIONS")})
        self.env.update(agent_env or {})
        self.network = Network(self.net, range(1, n + 1)) if hosts else None
        self.peers = [Peer(self, i + 1) for i in range(n)]
        self.nft_table = f"starling_{os.getpid()}_{self.net}"
        self.nft_loaded = False

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.destroy()

    def __getitem__(self, i):
        return self.peers[i]

    # --- commands ---

    def cli(self, *args, peer=0, check=True, timeout=60.0, stdin=None, env=None, inside=()):
        """Runs `starling --data <peer's folder> ARGS`. check: the exit code to insist on (True: 0, False: any). peer
        None: with no folder, where `inside` leads."""
        argv = [self.binary, *(["--data", self[peer].data] if peer is not None else []), *map(str, args)]
        shown = " ".join(argv[3:] or argv)
        argv = [*(self[peer].inside if peer is not None else inside), *argv]
        done = subprocess.run(argv, input=stdin, stdin=subprocess.DEVNULL if stdin is None else None, text=True,
                              capture_output=True, timeout=timeout, env={**self.env, **(env or {})}, cwd=self.folder)
        expected = 0 if check is True else check
        if check is not False and done.returncode != expected:
            raise Failed(f"{shown}: exit {done.returncode}, not {expected}\n{done.stdout}{done.stderr}")
        return done

    def json(self, *args, peer=0):
        return json.loads(self.cli(*args, "-o", "json", peer=peer).stdout)

    def ps(self, *args, peer=0):
        """Rows; none of a stack that the peer does not know, or knows no more."""
        done = self.cli("ps", *args, "-o", "json", peer=peer, check=False)
        if done.returncode and not (done.returncode == 1 and "no stack" in done.stderr):
            raise Failed(f"ps: exit {done.returncode}\n{done.stderr}")
        return json.loads(done.stdout)

    def nodes(self, peer=0):
        return {row["name"]: row for row in self.json("node", "ls", peer=peer)}

    def write(self, name, text):
        """A file in the flock's folder; returns its path."""
        path = os.path.join(self.folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        os.chmod(path, 0o644)
        return path

    # --- making a flock ---

    def init(self, name="flock"):
        self.cli("init", "--name", name)
        return self

    def token(self, *args, peer=0):
        """The token alone, whatever else the command says about it."""
        out = self.cli("token", "create", *args, peer=peer).stdout
        found = re.search(r"STARLING1-[A-Za-z0-9_-]+", out)
        if not found:
            raise Failed(f"token create printed no token: {out!r}")
        return found.group(0)

    def up(self, name="flock", timeout=30.0):
        """init, start the first peer, join and start the others, wait until each sees all."""
        self.init(name)
        self[0].start()
        for peer in self.peers[1:]:
            self.cli("join", self.token(), peer=peer.number - 1)
            peer.start()
        self.wait_alive(timeout=timeout)
        return self

    def wait_alive(self, names=None, timeout=30.0, peers=None):
        """Waits until every running peer sees the named ones (default: all) alive."""
        names = set(names or [p.name for p in self.peers])
        for i in peers if peers is not None else [p.number - 1 for p in self.peers if p.running()]:
            wait_until(f"{self[i].name} to see {', '.join(sorted(names))} alive", lambda i=i: names <= {
                n for n, row in self.nodes(peer=i).items() if row["state"] == "alive"}, timeout)

    def wait_state(self, name, states, peer=0, timeout=40.0):
        states = {states} if isinstance(states, str) else set(states)
        return wait_until(f"{name} to be {' or '.join(sorted(states))}",
                          lambda: self.nodes(peer=peer).get(name, {}).get("state") in states, timeout)

    def serving(self, stack, service=None, peer=0, on=None):
        """Rows of a stack's tasks that run, and are healthy or without a check."""
        return [r for r in self.ps(stack, peer=peer)
                if r["state"] == "running" and r["health"] in ("none", "healthy")
                and service in (None, r["service"]) and (on is None or r["peer_name"] in on)]

    def wait_serving(self, stack, n, service=None, peer=0, on=None, timeout=40.0, every=0.03):
        """Waits until exactly n tasks serve; with on, only tasks of those peers count."""
        def enough():
            rows = self.serving(stack, service, peer, on)
            return rows if len(rows) == n else None
        try:
            return wait_until(f"{n} tasks of {stack}{'/' + service if service else ''} to serve", enough, timeout, every)
        except Failed as e:
            rows = [{k: r[k] for k in ("service", "slot", "peer_name", "state", "health", "reason")}
                    for r in self.ps(stack, peer=peer)]
            raise Failed(f"{e}; ps says:\n" + "\n".join(map(str, rows))) from None

    # --- losing a host ---

    def blackhole(self, peer):
        """Drops every packet between a peer's address and the others', as a pulled cable does: what stays on that
        host goes on. Needs root."""
        a, net = peer.address, f"127.78.{self.net}.0/24"
        rules = f"""table inet {self.nft_table} {{
            chain out {{
                type filter hook output priority 0;
                ip saddr {a} ip daddr {net} ip daddr != {a} drop
                ip daddr {a} ip saddr {net} ip saddr != {a} drop
                ip daddr {a} th dport {PEER_PORT} drop
                ip saddr {a} th sport {PEER_PORT} drop
            }}
        }}
        """
        self.nft_loaded = True
        subprocess.run(["nft", "-f", "-"], input=rules, text=True, check=True)

    def heal(self):
        """Takes the blackhole away."""
        if self.nft_loaded:
            subprocess.run(["nft", "delete", "table", "inet", self.nft_table], check=False, capture_output=True)
            self.nft_loaded = False

    # --- leaving nothing behind ---

    def left_over(self):
        """Processes of this flock that still run."""
        found = set()
        for peer in self.peers:
            found |= peer.processes()
            if peer.running():
                found.add(peer.process.pid)
        return found

    def destroy(self, keep=False):
        self.heal()
        for peer in self.peers:
            peer.kill()
        for _ in range(50):
            left = self.left_over()
            if not left:
                break
            for pid in left:
                end(pid)
            time.sleep(0.02)
        if self.network:
            self.network.destroy()
        # A container whose shim was killed leaves its root folder mounted; an agent that came back would take it away.
        with open("/proc/mounts", encoding="utf-8") as mounts:
            paths = [line.split()[1] for line in mounts]
        for path in paths:
            if path.startswith(self.folder + "/") and "/images/run/" in path:
                subprocess.run(["umount", "-l", path], check=False)
        if not keep:
            shutil.rmtree(self.folder, ignore_errors=True)
