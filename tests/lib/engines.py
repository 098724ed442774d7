"""Container engines of a test's own: dockerd and podman with folders and sockets of their own, and an image of busybox."""
import os
import shutil
import signal
import subprocess
import tempfile
import urllib.request

from flock import end, wait_until

APPLETS = ("sh", "sleep", "echo", "true", "false", "cat", "env", "id", "ls", "touch", "test", "head", "dd", "kill", "hostname")
IMAGE = "docker.io/library/starling-box:1"


def missing(kind):
    """Why this engine cannot be tested here; None: it can."""
    if os.geteuid() != 0:
        return "needs root"
    for path in {"docker": ("/usr/sbin/dockerd", "/usr/bin/docker"), "podman": ("/usr/bin/podman",)}[kind]:
        if not os.path.exists(path):
            return f"{path} is not installed (packaging/deps.sh test installs it)"
    return None if os.path.exists("/bin/busybox") else "busybox-static is not installed"


class Engine:
    def __init__(self, kind):
        self.kind = kind
        self.folder = tempfile.mkdtemp(prefix="starling-engine-")
        self.socket = os.path.join(self.folder, "e.sock")
        self.process = None

    def __enter__(self):
        self.start()
        self.load(IMAGE)
        return self

    def __exit__(self, *_):
        for c in self.cli("ps", "-aq", check=False).split():
            self.cli("rm", "-f", c, check=False)
        self.stop()
        for _ in range(20):
            mounts = [line.split()[1] for line in open("/proc/mounts", encoding="utf-8") if self.folder in line]
            for m in sorted(mounts, reverse=True):
                subprocess.run(["umount", "-l", m], check=False)
            if not mounts:
                break
        shutil.rmtree(self.folder, ignore_errors=True)

    def argv(self):
        f = self.folder
        if self.kind == "docker":
            return ["/usr/sbin/dockerd", "--data-root", f + "/data", "--exec-root", f + "/exec", "-H", "unix://" + self.socket,
                    "--pidfile", f + "/pid", "--bridge=none", "--iptables=false", "--live-restore"]
        return [*self.podman(), "system", "service", "--time=0", "unix://" + self.socket]

    def podman(self):
        f = self.folder
        return ["/usr/bin/podman", "--root", f + "/root", "--runroot", f + "/run", "--tmpdir", f + "/tmp",
                "--cgroup-manager", "cgroupfs", "--runtime", "runc", "--events-backend", "file", "--storage-driver", "vfs"]

    def start(self):
        if os.path.exists(self.folder + "/pid"):
            os.unlink(self.folder + "/pid")
        wait_until(f"{self.kind} to answer", self.answers, 90, 0.1)

    def answers(self):
        """A dockerd that was killed may give up on the containerd that it left, and start at the second try."""
        if self.process is None or self.process.poll() is not None:
            with open(self.folder + "/log", "ab") as log:
                self.process = subprocess.Popen(self.argv(), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                                start_new_session=True)
        return self.call("version").returncode == 0

    def call(self, *args, **kw):
        argv = (["/usr/bin/docker", "-H", "unix://" + self.socket] if self.kind == "docker" else
                ["/usr/bin/podman", "--url", "unix://" + self.socket])
        return subprocess.run([*argv, *args], capture_output=True, check=False, timeout=60, **kw)

    def cli(self, *args, check=True):
        done = self.call(*args)
        assert not check or done.returncode == 0, done.stderr
        return done.stdout.decode()

    def load(self, name):
        with tempfile.TemporaryDirectory() as d:
            os.mkdir(d + "/bin")
            os.mkdir(d + "/tmp")
            os.mkdir(d + "/etc")
            shutil.copy("/bin/busybox", d + "/bin/busybox")
            for a in APPLETS:
                os.symlink("busybox", f"{d}/bin/{a}")
            tar = subprocess.run(["tar", "-C", d, "-c", "."], capture_output=True, check=True).stdout
        if self.kind == "docker":
            done = self.call("import", "-", name, input=tar)
        else:
            done = subprocess.run([*self.podman(), "import", "-", name], input=tar, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr

    def kill(self):
        """SIGKILL to the engine alone: what it runs goes on."""
        end(self.process.pid)
        self.process.wait()

    def stop(self):
        end(self.process.pid, signal.SIGTERM)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.kill()

    def containers(self):
        """Names of all that carry our label."""
        return self.cli("ps", "-a", "--filter", "label=starling.task", "--format", "{{.Names}}").split()


class Registry:
    """docker-registry on an address of the loopback network, without TLS, which Docker takes there."""
    PROGRAM = "/usr/bin/docker-registry"

    def __init__(self, address, port=5000):
        self.host = f"{address}:{port}"
        self.folder = tempfile.mkdtemp(prefix="starling-registry-")

    def __enter__(self):
        config = self.folder + "/config.yml"
        with open(config, "w", encoding="utf-8") as f:
            f.write(f"version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: {self.folder}/data\nhttp:\n  addr: {self.host}\n")
        with open(self.folder + "/log", "ab") as log:
            self.process = subprocess.Popen([self.PROGRAM, "serve", config], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        wait_until("the registry to answer", self.answers, 20)
        return self

    def answers(self):
        try:
            with urllib.request.urlopen(f"http://{self.host}/v2/", timeout=5) as answer:
                return answer.status == 200
        except OSError:
            return False

    def __exit__(self, *_):
        end(self.process.pid)
        self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)
