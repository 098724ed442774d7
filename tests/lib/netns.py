"""Hosts of their own for a flock's peers: a network namespace each, joined by a bridge. Needs root, Linux, iproute2
and nftables. Standard library only.

	  switch                a namespace with a bridge and nothing else
	   |  |  |
	  h1 h2 h3 ...          one namespace per peer: lo, and eth0 with 10.78.NET.N/24

Everything lives in namespaces named after the process that made them, and is gone with them.
"""
import ctypes
import os
import subprocess
import threading

CLONE_NEWNET = 0x40000000


def run(ns, *lines):
    """Commands of `ip` in a namespace, one a line, in one go."""
    subprocess.run(["ip", "-netns", ns, "-batch", "-"], input="\n".join(lines) + "\n", text=True, check=True)


class Network:
    def __init__(self, net, hosts):
        self.net = net
        self.mark = f"starling-{os.getpid()}-{net}"
        self.switch = f"{self.mark}-switch"
        self.hosts = {n: f"{self.mark}-h{n}" for n in hosts}
        self.made = []
        self.at = {}  # of those that moved
        try:
            for name in [self.switch, *self.hosts.values()]:
                subprocess.run(["ip", "netns", "add", name], check=True)
                self.made.append(name)
            run(self.switch, "link add br0 type bridge", "link set br0 up",
                *(line for n, ns in self.hosts.items() for line in (
                    f"link add h{n} type veth peer name eth0 netns {ns}", f"link set h{n} master br0 up")))
            for n, ns in self.hosts.items():
                run(ns, "link set lo up", f"address add {self.address(n)}/24 dev eth0", "link set eth0 up")
        except BaseException:
            self.destroy()
            raise

    def address(self, n):
        """Where host n is now."""
        return self.at.get(n, f"10.78.{self.net}.{n}")

    def inside(self, n):
        """What to put before a command that is to run on host n. Unlike `ip netns exec` it leaves mounts alone, and
        like it becomes the command, so that the process number is the command's."""
        return ["nsenter", f"--net=/run/netns/{self.hosts[n]}"]

    def call(self, n, fn):
        """Calls fn() in a thread that is on host n; returns what it returns. Sockets stay on the host they were made on."""
        done = {}

        def body():
            try:
                with open(f"/run/netns/{self.hosts[n]}", "rb") as ns:
                    if ctypes.CDLL(None, use_errno=True).setns(ns.fileno(), CLONE_NEWNET) != 0:
                        raise OSError(ctypes.get_errno(), "setns")
                done["value"] = fn()
            except BaseException as e:  # noqa: B902: raised again below
                done["error"] = e
        thread = threading.Thread(target=body)
        thread.start()
        thread.join()
        if "error" in done:
            raise done["error"]
        return done["value"]

    # --- weather ---

    def filter(self, n, *rules):
        """Gives host n these rules for what arrives, instead of those that it had; none: all is let in."""
        lines = ["table inet weather", "delete table inet weather"]
        if rules:
            lines += ["table inet weather {", "chain arrives {", "type filter hook input priority 0", *rules, "}", "}"]
        subprocess.run([*self.inside(n), "nft", "-f", "-"], input="\n".join(lines) + "\n", text=True, check=True)

    def split(self, *sides):
        """Hosts of different sides hear nothing of each other any more."""
        for side in sides:
            far = ", ".join(self.address(n) for other in sides if other is not side for n in other)
            for n in side:
                self.filter(n, f"ip saddr {{ {far} }} drop")

    def lose(self, percent):
        """Of the packets that arrive at any host from another, so many in a hundred are lost, at random."""
        for n in self.hosts:
            self.filter(n, f'iifname "eth0" numgen random mod 100 < {percent} counter drop')

    def counted(self, n):
        """Packets that host n's rule with a counter has met."""
        out = subprocess.run([*self.inside(n), "nft", "list", "table", "inet", "weather"], check=True,
                             capture_output=True, text=True).stdout
        return int(out.split("packets ")[1].split()[0])

    def calm(self):
        for n in self.hosts:
            self.filter(n)

    def move(self, n, address):
        """Host n gives up its address for another one. Nobody tells the agent."""
        self.at[n] = address
        run(self.hosts[n], "address flush dev eth0 scope global", f"address add {address}/24 dev eth0")

    def destroy(self):
        for name in reversed(self.made):
            subprocess.run(["ip", "netns", "del", name], check=False)
        self.made = []
