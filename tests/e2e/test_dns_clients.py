"""The responder and the clients that people use: dig, kdig, drill, glibc's resolver, `starling dns query`.

A small program serves a fixed zone with the agent's own code (tests/e2e/dnsd.c).
"""
import json
import os
import shutil
import socket
import subprocess

import pytest

from conftest import BINARY, ROOT

FLAVOR = os.environ.get("FLAVOR", "san")
DNSD = os.path.join(ROOT, "build", FLAVOR, "tests", "e2e", "dnsd")


@pytest.fixture(scope="module")
def server():
    """(address, port) of a responder."""
    subprocess.run(["make", "-s", "-C", ROOT, "FLAVOR=" + FLAVOR, os.path.relpath(DNSD, ROOT)], check=True)
    process = subprocess.Popen([DNSD, "127.0.0.1:0"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        host, port = process.stdout.readline().strip().rsplit(":", 1)
        yield host, port
        process.stdin.close()
        assert process.wait(30) == 0  # a sanitizer's report would be another status
    finally:
        process.kill()


def run(*args):
    return subprocess.run(args, capture_output=True, text=True, timeout=60)


def ask(client, server, *question):
    """The output of a client that prints like dig."""
    host, port = server
    if shutil.which(client) is None:
        pytest.skip(client + " is not installed")
    done = run(client, "-p", port, "@" + host, *question)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def records(output, section):
    """The records of a section, as lists of words without TTL and class, sorted."""
    lines, inside = [], False
    for line in output.splitlines():
        if line.startswith(";;"):
            inside = line.strip(";: ").startswith(section)
        elif inside and line.strip() and not line.startswith(";"):
            words = line.split()
            lines.append(" ".join([words[0], *words[3:]]))
    return sorted(lines)


CLIENTS = ["dig", "kdig", "drill"]
WEB = "web.shop.starling.internal"


@pytest.mark.parametrize("client", CLIENTS)
def test_addresses(client, server):
    assert records(ask(client, server, WEB, "A"), "ANSWER SECTION") == [
        f"{WEB}. A 10.0.0.1", f"{WEB}. A 10.0.0.2"]
    assert records(ask(client, server, "six.shop.starling.internal", "AAAA"), "ANSWER SECTION") == [
        "six.shop.starling.internal. AAAA 2001:db8::1"]


@pytest.mark.parametrize("client", CLIENTS)
def test_srv_with_targets_and_their_addresses(client, server):
    out = ask(client, server, "_http._tcp." + WEB, "SRV")
    assert records(out, "ANSWER SECTION") == [
        f"_http._tcp.{WEB}. SRV 0 1 20001 0.{WEB}.", f"_http._tcp.{WEB}. SRV 0 1 20002 1.{WEB}."]
    assert records(out, "ADDITIONAL SECTION") == [f"0.{WEB}. A 10.0.0.1", f"1.{WEB}. A 10.0.0.2"]


@pytest.mark.parametrize("client", CLIENTS)
def test_txt_soa_ns_ptr(client, server):
    assert records(ask(client, server, WEB, "TXT"), "ANSWER SECTION") == [f'{WEB}. TXT "revision=r1"']
    assert records(ask(client, server, "starling.internal", "SOA"), "ANSWER SECTION") == [
        "starling.internal. SOA ns.starling.internal. hostmaster.starling.internal. 42 60 60 3600 1"]
    assert records(ask(client, server, "starling.internal", "NS"), "ANSWER SECTION") == [
        "starling.internal. NS ns.starling.internal."]
    assert records(ask(client, server, "1.0.0.10.in-addr.arpa", "PTR"), "ANSWER SECTION") == [
        "1.0.0.10.in-addr.arpa. PTR a.node.starling.internal."]


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("name,rcode", [("idle.shop.starling.internal", "NOERROR"), ("2." + WEB, "NOERROR"),
                                        ("3." + WEB, "NXDOMAIN"), ("nope.starling.internal", "NXDOMAIN")])
def test_no_records_is_told_from_no_name(client, server, name, rcode):
    out = ask(client, server, name, "A")
    assert rcode in out
    assert records(out, "ANSWER SECTION") == []
    assert len(records(out, "AUTHORITY SECTION")) == 1


@pytest.mark.parametrize("client", CLIENTS)
def test_other_names_are_refused(client, server):
    assert "REFUSED" in ask(client, server, "example.com", "A")


@pytest.mark.parametrize("client", CLIENTS)
def test_what_does_not_fit_is_fetched_over_tcp(client, server):
    over_tcp = ["-t"] if client == "drill" else []  # the others see the bit and ask again by themselves
    out = ask(client, server, *over_tcp, "big.shop.starling.internal", "A")
    assert len(records(out, "ANSWER SECTION")) == 100


@pytest.mark.parametrize("client", ["dig", "kdig"])
def test_tcp_from_the_start_and_kept_open(client, server):
    out = ask(client, server, "+tcp", "+keepopen", WEB, "A", WEB, "TXT", "big.shop.starling.internal", "A")
    assert out.count("NOERROR") == 3
    assert "REFUSED" not in out and "timed out" not in out


def test_dig_finds_the_truncation_bit(server):
    out = ask("dig", server, "+ignore", "+notcp", "+noedns", "big.shop.starling.internal", "A")
    assert "flags: qr aa tc" in out
    assert "MSG SIZE  rcvd: 5" in out  # 496 to 512 bytes: whole records of 16


def test_dig_edns_versions_options_and_flags(server):
    assert "status: NOERROR" in ask("dig", server, "+cookie", "+nsid", "+subnet=10.0.0.0/8", "+dnssec", WEB, "A")
    assert "status: BADVERS" in ask("dig", server, "+edns=1", "+noednsnegotiation", WEB, "A")
    assert "status: NOTIMP" in ask("dig", server, "+opcode=update", WEB, "A")
    assert "status: REFUSED" in ask("dig", server, "-c", "CH", "-t", "TXT", "version.bind")
    # Another number of questions than one: RFC 9619.
    assert "status: FORMERR" in ask("dig", server, "+header-only", WEB)


def test_the_case_of_the_question_is_kept(server):
    mixed = "wEb.ShoP.StarLIng.interNAL"
    assert mixed + "." in ask("dig", server, mixed, "A")


def test_transfers_are_refused(server):
    host, port = server
    assert "Transfer failed" in run("dig", "-p", port, "@" + host, "starling.internal", "AXFR").stdout


@pytest.mark.skipif(os.geteuid() != 0, reason="needs a network and mount namespace of its own")
def test_glibc_resolves_through_resolv_conf(tmp_path):
    """Port 53 and /etc/resolv.conf in namespaces of their own: what every program on a host does."""
    resolv = tmp_path / "resolv.conf"
    resolv.write_text("nameserver 127.78.27.53\nsearch shop.starling.internal\noptions ndots:1\n")
    script = f"""
        ip link set lo up || exit 3
        ip address add 192.0.2.1/32 dev lo || exit 3 # glibc asks for no addresses on a host without any
        mount --bind {resolv} /etc/resolv.conf || exit 3
        coproc D {{ {DNSD} 127.78.27.53:53; }}
        read -r at <&${{D[0]}}
        getent ahostsv4 {WEB} | awk '{{print $1}}' | sort -u
        getent ahostsv4 web | awk '{{print $1}}' | sort -u
        getent hosts 10.0.0.2
        getent ahostsv4 big.shop.starling.internal | grep -c STREAM
        getent ahostsv4 idle.shop.starling.internal || echo none
    """
    done = run("unshare", "--net", "--mount", "bash", "-c", script)
    if done.returncode == 3 or "unshare failed" in done.stderr:
        pytest.skip("no namespaces here: " + done.stderr)
    hosts = [line.split()[0] for line in done.stdout.splitlines()]
    assert hosts == ["10.0.0.1", "10.0.0.2", "10.0.0.1", "10.0.0.2", "10.0.0.2", "100", "none"], done.stdout + done.stderr


class TestOurOwnClient:
    def query(self, server, *args, code=0):
        done = run(BINARY, "dns", "query", "--server", ":".join(server), *args)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    def test_a_short_name_is_one_of_the_zone(self, server):
        out = self.query(server, "web.shop")
        assert "10.0.0.1" in out and "10.0.0.2" in out
        assert f"{WEB}. has 2 A records" in out

    def test_type_follows_from_the_name(self, server):
        assert "SRV" in self.query(server, "_http._tcp.web.shop")
        assert "a.node.starling.internal." in self.query(server, "10.0.0.1")

    def test_json_has_all_sections(self, server):
        answer = json.loads(self.query(server, "_8080._tcp.web.shop", "-o", "json"))
        assert answer["rcode"] == "NOERROR" and answer["authoritative"]
        assert sorted(r["data"] for r in answer["answers"]) == [f"0 1 20001 0.{WEB}.", f"0 1 20002 1.{WEB}."]
        assert sorted(r["data"] for r in answer["additional"]) == ["10.0.0.1", "10.0.0.2"]

    def test_quiet_prints_the_data_alone(self, server):
        assert sorted(self.query(server, "-q", "web.shop").split()) == ["10.0.0.1", "10.0.0.2"]

    def test_no_records_exits_1_and_says_what_it_means(self, server):
        assert "exists, but has no A record" in self.query(server, "idle.shop", code=1)
        assert "does not exist" in self.query(server, "nope.shop", code=1)
        assert "does not answer for example.com." in self.query(server, "example.com.", code=1)

    def test_wrong_use_exits_2(self, server):
        assert "no record type" in self.query(server, "web.shop", "BOGUS", code=2)
        assert "no domain name" in self.query(server, "a..b", code=2)

    def test_nobody_there_exits_6(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.bind(("127.0.0.1", 0))  # takes the query and says nothing
            out = self.query(("127.0.0.1", str(s.getsockname()[1])), "--timeout", "1s", "web.shop", code=6)
        assert "no answer" in out

    def test_what_does_not_fit_is_fetched_over_tcp(self, server):
        assert "has 100 A records" in self.query(server, "big.shop")
        assert "has 100 A records" in self.query(server, "--tcp", "big.shop")
