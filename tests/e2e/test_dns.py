"""The zone as a resolver sees it."""
import socket

import pytest

import dnsq
from flock import wait_until

ZONE = "starling.internal"


def ask(f, name, kind, **more):
    return dnsq.ask(f[0].dns, f"{name}.{ZONE}" if name else ZONE, kind, **more)


@pytest.mark.parametrize("tcp", [False, True], ids=["udp", "tcp"])
def test_a_service_answers_with_its_endpoints(shared, tcp):
    rows = shared.json("ps", "base")
    addresses = sorted({r["address"].split(":")[0] for r in rows})
    answer = ask(shared, "web.base", dnsq.A, tcp=tcp)
    assert answer.rcode == dnsq.NOERROR and answer.aa
    assert sorted(set(answer.values(dnsq.A))) == addresses
    assert {ttl for _, _, ttl, _ in answer.answers} == {1}
    assert sorted(set(ask(shared, "tasks.web.base", dnsq.A, tcp=tcp).values(dnsq.A))) == addresses


def test_srv_names_the_slot_and_its_port(shared):
    rows = {r["slot"]: r for r in shared.json("ps", "base")}
    targets = ask(shared, "_http._tcp.web.base", dnsq.SRV).values(dnsq.SRV)
    assert len(targets) == 3
    for _, _, port, target in targets:
        slot = int(target.split(".")[0])
        assert rows[slot]["endpoints"][0]["port"] == port
        assert ask(shared, f"{slot}.web.base", dnsq.A).values(dnsq.A) == [rows[slot]["address"].split(":")[0]]
    assert ask(shared, "_http._udp.web.base", dnsq.SRV).rcode == dnsq.NXDOMAIN


def test_a_peer_has_a_name(shared):
    for peer in shared.peers:
        assert ask(shared, f"{peer.name}.node", dnsq.A).values(dnsq.A) == [peer.address]


def test_no_data_and_no_name_carry_the_soa(shared):
    nodata = ask(shared, "web.base", dnsq.AAAA)
    assert nodata.rcode == dnsq.NOERROR and not nodata.answers and nodata.authority[0][1] == dnsq.SOA
    nxdomain = ask(shared, "nothing.base", dnsq.A)
    assert nxdomain.rcode == dnsq.NXDOMAIN and nxdomain.authority[0][1] == dnsq.SOA
    assert ask(shared, "base", dnsq.A).rcode == dnsq.NOERROR  # an empty non-terminal exists


def test_apex_and_text(shared):
    assert len(ask(shared, "", dnsq.SOA).answers) == 1
    assert ask(shared, "", dnsq.NS).values(dnsq.NS)
    texts = ask(shared, "web.base", dnsq.TXT).values(dnsq.TXT)
    assert any(t.startswith("revision=") for text in texts for t in text)


def test_other_zones_are_refused(shared):
    assert dnsq.ask(shared[0].dns, "example.org", dnsq.A).rcode == dnsq.REFUSED


def test_names_have_no_case(shared):
    assert ask(shared, "WEB.Base", dnsq.A).values(dnsq.A)


def test_edns_is_spoken_to_those_who_speak_it(shared):
    with_opt = ask(shared, "web.base", dnsq.A, edns=4096)
    assert [k for _, k, _, _ in with_opt.additional] == [dnsq.OPT]
    without = ask(shared, "web.base", dnsq.A, edns=0)
    assert dnsq.OPT not in [k for _, k, _, _ in without.additional] and without.size <= 512


def test_several_questions_over_one_connection(shared):
    queries = [dnsq.query_bytes(f"{n}.web.base.{ZONE}", dnsq.A, number=n + 1) for n in range(3)]
    with socket.create_connection(shared[0].dns, 5) as s:
        s.sendall(b"".join(len(q).to_bytes(2, "big") + q for q in queries))
        f = s.makefile("rb")
        got = {}
        for _ in queries:
            answer = dnsq.Answer(f.read(int.from_bytes(f.read(2), "big")))
            got[answer.id] = answer.values(dnsq.A)
    assert set(got) == {1, 2, 3} and all(len(v) == 1 for v in got.values())


def test_a_peer_that_is_dead_or_has_left_keeps_its_name(flock):
    f = flock(3)
    for peer in (1, 2):
        wait_until("its name", lambda peer=peer: ask(f, f"{f[peer].name}.node", dnsq.A).values(dnsq.A))
    f.cli("leave", "--yes", peer=1)
    f[2].kill()
    for peer in (1, 2):
        wait_until("no addresses", lambda peer=peer: not ask(f, f"{f[peer].name}.node", dnsq.A).answers)
        assert ask(f, f"{f[peer].name}.node", dnsq.A).rcode == dnsq.NOERROR
    assert ask(f, "nobody.node", dnsq.A).rcode == dnsq.NXDOMAIN
