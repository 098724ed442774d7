"""Just enough of a DNS client to look at answers from tests: asks one question, reads the whole message."""
import random
import socket
import struct

A, NS, SOA, PTR, TXT, AAAA, SRV, OPT, ANY = 1, 2, 6, 12, 16, 28, 33, 41, 255
NOERROR, FORMERR, SERVFAIL, NXDOMAIN, NOTIMP, REFUSED = range(6)


def encode_name(name):
    return b"".join(bytes([len(p)]) + p.encode() for p in name.rstrip(".").split(".") if p) + b"\0"


def decode_name(message, at):
    labels, after, jumps = [], None, 0
    while message[at]:
        if message[at] >= 0xC0:
            after = after if after is not None else at + 2
            at = (message[at] & 0x3F) << 8 | message[at + 1]
            jumps += 1
            if jumps > 64:
                raise ValueError("compression loop")
        else:
            labels.append(message[at + 1:at + 1 + message[at]].decode())
            at += 1 + message[at]
    return ".".join(labels) + ".", (after if after is not None else at + 1)


class Answer:
    """rcode, flags, and records as (name, type, ttl, value) in answers, authority and additional."""

    def __init__(self, message):
        self.size = len(message)
        self.id, flags, qd, an, ns, ar = struct.unpack_from(">6H", message)
        self.rcode, self.aa, self.tc = flags & 15, bool(flags & 0x400), bool(flags & 0x200)
        at = 12
        for _ in range(qd):
            _, at = decode_name(message, at)
            at += 4
        sections = []
        for count in (an, ns, ar):
            records = []
            for _ in range(count):
                name, at = decode_name(message, at)
                kind, _, ttl, length = struct.unpack_from(">HHIH", message, at)
                at += 10
                records.append((name, kind, ttl, self.value(message, at, kind, length)))
                at += length
            sections.append(records)
        self.answers, self.authority, self.additional = sections
        if at != len(message):
            raise ValueError(f"{len(message) - at} bytes after the last record")

    @staticmethod
    def value(message, at, kind, length):
        data = message[at:at + length]
        if kind == A:
            return socket.inet_ntop(socket.AF_INET, data)
        if kind == AAAA:
            return socket.inet_ntop(socket.AF_INET6, data)
        if kind == SRV:
            return (*struct.unpack_from(">HHH", data), decode_name(message, at + 6)[0])
        if kind in (NS, PTR):
            return decode_name(message, at)[0]
        if kind == TXT:
            texts, i = [], 0
            while i < len(data):
                texts.append(data[i + 1:i + 1 + data[i]].decode())
                i += 1 + data[i]
            return texts
        return data

    def values(self, kind):
        return [value for _, k, _, value in self.answers if k == kind]


def query_bytes(name, kind, edns=1232, number=None):
    number = random.randrange(65536) if number is None else number
    opt = b"\0" + struct.pack(">HHIH", OPT, edns, 0, 0) if edns else b""
    return struct.pack(">6H", number, 0x0100, 1, 0, 0, 1 if edns else 0) + encode_name(name) + struct.pack(
        ">HH", kind, 1) + opt


def ask(server, name, kind, edns=1232, tcp=False, timeout=3.0):
    """server: (address, port)."""
    query = query_bytes(name, kind, edns)
    if tcp:
        with socket.create_connection(server, timeout) as s:
            s.sendall(struct.pack(">H", len(query)) + query)
            f = s.makefile("rb")
            length, = struct.unpack(">H", f.read(2))
            message = f.read(length)
    else:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.settimeout(timeout)
            s.connect(server)
            s.send(query)
            message = s.recv(65536)
    answer = Answer(message)
    if answer.id != struct.unpack_from(">H", query)[0]:
        raise ValueError("the answer is to another question")
    return answer
