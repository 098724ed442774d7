"""Tasks as containers of a real Docker and a real Podman: they live, end, are stopped, outlive agent and engine."""
import os
import re

import pytest

from conftest import stack
from engines import IMAGE, Engine, Registry, missing
from flock import wait_until


@pytest.fixture(scope="module", params=["docker", "podman"])
def engine(request):
    why = missing(request.param)
    if why:
        pytest.skip(why)
    with Engine(request.param) as e:
        yield e


def up(flock, engine):
    f = flock(1, up=False)
    f.init()
    f[0].start("--engine-socket", engine.socket)
    return f


def box(script, **more):
    """A service of one container. Hosts that may raise no limit of files need one that they can give."""
    return {"image": IMAGE, "pull_policy": "never", "command": ["/bin/sh", "-c", script], "network_mode": "none",
            "ulimits": {"nofile": 1024, "nproc": 4096}, "stop_grace_period": "5s", "x-starling": {"driver": "engine"}, **more}


def deploy(f, **services):
    f.cli("deploy", f.write("shop.yaml", stack("shop", **services)), "--detach")


def row(f, service="web"):
    rows = [r for r in f.ps("shop") if r["service"] == service]
    return rows[0] if rows else {"state": None, "reason": ""}


def state(f, want, service="web", timeout=40):
    wait_until(f"{service} to be {want}", lambda: row(f, service)["state"] == want, timeout)
    return row(f, service)


def lines(f, service="web"):
    out = f.cli("logs", f"shop/{service}", "--tail", "100000").stdout
    return [int(n) for n in re.findall(r"line (\d+)$", out, re.M)]


def gone(f, engine):
    f.cli("rm", "shop", "--yes")
    wait_until("no container to be left", lambda: not engine.containers(), 40)


COUNT = "trap 'echo bye; exit 0' TERM; i=0; while :; do i=$$((i+1)); echo line $$i; sleep 0.1; done"


def test_a_container_runs_is_healthy_logs_and_stops_by_its_signal(flock, engine):
    f = up(flock, engine)
    deploy(f, web=box(COUNT, healthcheck={"test": ["CMD", "/bin/true"], "interval": "2s"}))
    f.wait_serving("shop", 1)
    wait_until("lines", lambda: len(lines(f)) > 3)
    assert len(engine.containers()) == 1
    f.cli("scale", "shop/web=0")
    wait_until("it to be gone", lambda: not engine.containers())


def test_an_exit_code_and_a_kill_for_memory_are_told(flock, engine):
    f = up(flock, engine)
    deploy(f, job=box("exit 3", restart="no"),
           # Docker begins to listen for it after the start, and cannot tell of one that comes before.
           web=box("sleep 1; exec dd if=/dev/zero of=/dev/null bs=64M", restart="no",
                   deploy={"resources": {"limits": {"memory": "16m"}}}))
    assert state(f, "failed", "job")["reason"] == "exited with code 3"
    # Podman 4.3 does not notice it where control groups are of both versions at once.
    reason = state(f, "failed")["reason"]
    assert "memory limit" in reason or (engine.kind == "podman" and reason == "killed by SIGKILL"), reason
    gone(f, engine)


def test_one_that_ignores_its_signal_is_killed_after_its_grace(flock, engine):
    f = up(flock, engine)
    deploy(f, web=box("trap '' TERM; echo line 1; while :; do sleep 0.1; done", stop_grace_period="300ms"))
    wait_until("it runs", lambda: lines(f))
    gone(f, engine)


def test_a_missing_image_and_a_missing_command_say_so(flock, engine):
    f = up(flock, engine)
    deploy(f, web=box("true", image="starling-nothing:1"), job=box("true", entrypoint=["/nosuch"]))
    wait_until("the image's reason", lambda: "pull_policy is never" in row(f)["reason"])
    wait_until("the command's reason", lambda: "/nosuch" in row(f, "job")["reason"])
    wait_until("no container to be left", lambda: not engine.containers())


def test_an_unhealthy_one_is_restarted(flock, engine):
    f = up(flock, engine)
    deploy(f, web=box("sleep 1000", healthcheck={"test": ["CMD", "/bin/false"], "interval": "1s", "retries": 1}))
    wait_until("a restart", lambda: row(f).get("restarts", 0) > 0)
    gone(f, engine)


def test_a_named_volume_outlives_its_container(flock, engine):
    f = up(flock, engine)
    text = stack("shop", web=box("cat /data/x; echo line 7 >/data/x; sleep 1000", volumes=["data:/data"]))
    text = text.rstrip()
    path = f.write("shop.json", text[:-1] + ', "volumes": {"data": {}}}')
    f.cli("deploy", path, "--detach")
    f.wait_serving("shop", 1)
    assert not lines(f)
    engine.cli("rm", "-f", engine.containers()[0])
    wait_until("what it wrote to be read", lambda: lines(f) == [7])
    gone(f, engine)


def test_an_agent_that_is_killed_finds_its_container_again_without_losing_a_line(flock, engine):
    f = up(flock, engine)
    deploy(f, web=box(COUNT))
    f.wait_serving("shop", 1)
    name = engine.containers()
    for _ in range(3):
        n = len(lines(f))
        f[0].kill()
        f[0].start("--engine-socket", engine.socket)
        wait_until("more lines", lambda n=n: len(lines(f)) > n + 3)
    assert engine.containers() == name
    seen = lines(f)
    assert seen == list(range(1, len(seen) + 1))
    assert row(f)["restarts"] == 0
    gone(f, engine)


def test_an_engine_that_is_killed_ends_no_task(flock, engine):
    f = up(flock, engine)
    deploy(f, web=box(COUNT, healthcheck={"test": ["CMD", "/bin/true"], "interval": "1s", "retries": 1}))
    f.wait_serving("shop", 1)
    name = engine.containers()
    engine.kill()
    n = len(lines(f))
    assert row(f)["state"] == "running"
    engine.start()
    wait_until("more lines", lambda: len(lines(f)) > n + 3)
    assert engine.containers() == name
    seen = lines(f)
    assert seen == list(range(1, len(seen) + 1))
    assert (row(f)["state"], row(f)["restarts"]) == ("running", 0)
    gone(f, engine)


def test_what_no_task_knows_is_removed(flock, engine):
    f = up(flock, engine)
    deploy(f, web=box(COUNT))
    f.wait_serving("shop", 1)
    peer = engine.cli("inspect", engine.containers()[0], "--format", '{{index .Config.Labels "starling.peer"}}').strip()
    engine.cli("run", "-d", "--network", "none", "--ulimit", "nofile=1024", "--ulimit", "nproc=4096", "--label",
               "starling.peer=" + peer, "--label",
               "starling.task=00000000000000ff", "--label", "starling.run=1", "--name", "orphan", IMAGE, "/bin/sleep", "1000")
    assert "orphan" in engine.containers()
    f[0].kill()
    f[0].start("--engine-socket", engine.socket)
    wait_until("the orphan to be removed", lambda: "orphan" not in engine.containers())
    assert len(engine.containers()) == 1
    gone(f, engine)


def test_an_image_is_pulled_from_a_registry_and_a_wrong_digest_is_refused(flock, engine):
    if engine.kind == "podman":
        pytest.skip("Podman takes a registry without TLS only from its host's registries.conf")
    if not os.path.exists(Registry.PROGRAM):
        pytest.skip(f"{Registry.PROGRAM} is not installed (packaging/deps.sh test installs it)")
    f = up(flock, engine)
    with Registry(f[0].address) as registry:
        image = f"{registry.host}/box:1"
        engine.cli("tag", IMAGE, image)
        digest = re.search(r"sha256:[0-9a-f]{64}", engine.cli("push", image)).group(0)
        engine.cli("rmi", image)
        wrong = "sha256:" + "0" * 64
        deploy(f, web=box("echo line 1; sleep 1000", image=f"{image}@{digest}", pull_policy="missing"),
               job=box("true", image=f"{registry.host}/box@{wrong}", pull_policy="missing"))
        wait_until("it runs", lambda: lines(f) == [1])
        wait_until("the digest's reason", lambda: "cannot be pulled" in row(f, "job")["reason"])
    gone(f, engine)
