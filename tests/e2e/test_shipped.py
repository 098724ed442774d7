"""Files that stand beside a Compose file travel with it, and templates become what each task is: on any peer, as it is."""
import json
import os

from flock import wait_until


def lines(f, stack):
    return sorted(line.split(": ", 1)[-1] for line in f.cli("logs", stack, "--tail", "100").stdout.splitlines())


def compose(config):
    """Two tasks, one on each peer, each of which says what it was given."""
    script = ("echo config=$(cat /etc/hostname) page=$(cat /mnt/sub/page.txt) slot=$SLOT name=$NAME where=$WHERE; "
              "echo x > /etc/hostname || echo kept; exec sleep 100000")
    return json.dumps({
        "name": "site",
        "configs": {"c": {"content": config}},
        "services": {"web": {
            "command": ["/bin/sh", "-c", script.replace("$", "$$")],
            "configs": [{"source": "c", "target": "/etc/hostname"}],
            "volumes": ["./pages:/mnt:ro"],
            "environment": {"SLOT": "{{.Task.Slot}}", "NAME": "{{.Service.Name}}", "WHERE": "{{.Node.Hostname}}"},
            "deploy": {"replicas": 2, "placement": {"max_replicas_per_node": 1}},
            "stop_grace_period": "1s"}}})


def test_what_stands_beside_a_compose_file_runs_on_every_peer_and_a_change_rolls_it(flock):
    f = flock(2)
    f.write("pages/sub/page.txt", "hello\n")
    f.cli("deploy", f.write("site.yaml", compose("one\n")))
    f.wait_serving("site", 2, "web")
    first = wait_until("both to have said what they see", lambda: len(lines(f, "site")) >= 6 and lines(f, "site"), 10)
    said = [line for line in first if "config=" in line]
    places = {tuple(line.split("slot=")[1].split()) for line in said}
    assert {p[:2] for p in places} == {("1", "name=site_web"), ("2", "name=site_web")}
    assert {p[2] for p in places} == {"where=p1", "where=p2"}
    assert all("config=one page=hello" in line for line in said)
    # Neither the task's view nor the host's own file was written.
    assert sum("kept" in line for line in first) == 2
    tasks = {r["task"] for r in f.ps("site")}
    # The same again changes nothing; another byte replaces both.
    assert "nothing changed" in f.cli("deploy", f.write("site.yaml", compose("one\n"))).stderr
    f.cli("deploy", f.write("site.yaml", compose("two\n")))
    wait_until("both to run with the new config",
               lambda: sum("config=two page=hello" in line for line in lines(f, "site")) == 2, 20)
    assert not tasks & {r["task"] for r in f.wait_serving("site", 2, "web")}


def test_a_task_finds_its_files_again_after_its_agent_and_itself_were_killed(flock):
    f = flock(1)
    f.write("pages/sub/page.txt", "hello\n")
    text = json.loads(compose("one\n"))
    text["services"]["web"]["deploy"] = {"replicas": 1}
    f.cli("deploy", f.write("site.yaml", json.dumps(text)))
    row, = f.wait_serving("site", 1, "web")
    f[0].kill()
    f[0].start()
    again, = f.wait_serving("site", 1, "web")
    assert again["task"] == row["task"]
    assert again["pid"] == row["pid"]
    os.kill(again["pid"], 9)
    wait_until("it to say the same again",
               lambda: sum("config=one page=hello" in line for line in lines(f, "site")) == 2, 20)
