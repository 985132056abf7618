"""A DNS server for tests, UDP and TCP, that answers from a table.

    dns = DnsStub({("example.org", "MX"): [(10, "mx.example.org")],
                   ("mx.example.org", "A"): ["127.0.0.1"],
                   ("broken.example", "*"): SERVFAIL}).start()

A value is a list of records, or NXDOMAIN, SERVFAIL, REFUSED or SILENT (never answers). A name that
is in the table with another type has no data; one that is not in it does not exist. The null MX of
RFC 7505 is (0, "."). `queries` lists what was asked, as (name, type)."""

import ipaddress
import socket
import struct
import threading

NXDOMAIN, SERVFAIL, REFUSED, SILENT = "NXDOMAIN", "SERVFAIL", "REFUSED", "SILENT"
RCODES = {None: 0, SERVFAIL: 2, NXDOMAIN: 3, REFUSED: 5}
TYPES = {1: "A", 2: "NS", 5: "CNAME", 6: "SOA", 15: "MX", 16: "TXT", 28: "AAAA", 43: "DS",
         48: "DNSKEY", 52: "TLSA"}
NUMBERS = {name: number for number, name in TYPES.items()}


def pack_name(name):
    labels = [part for part in name.rstrip(".").split(".") if part]
    return b"".join(bytes([len(one)]) + one.encode() for one in labels) + b"\0"


def read_question(packet):
    at, labels = 12, []
    while packet[at]:
        labels.append(packet[at + 1:at + 1 + packet[at]].decode("latin-1").lower())
        at += 1 + packet[at]
    kind = struct.unpack("!H", packet[at + 1:at + 3])[0]
    return ".".join(labels), TYPES.get(kind, str(kind)), packet[12:at + 5]


def pack_data(kind, value):
    if kind in ("A", "AAAA"):
        return ipaddress.ip_address(value).packed
    if kind == "MX":
        return struct.pack("!H", value[0]) + pack_name(value[1])
    if kind == "TXT":
        return bytes([len(value)]) + value.encode()
    return pack_name(value)


class DnsStub:
    def __init__(self, table=None, address="127.0.0.1"):
        self.table = {}
        self.queries = []
        self.address, self.port = address, 0
        self.put(table or {})

    def put(self, table):
        self.table.update({(name.lower(), kind): value for (name, kind), value in table.items()})

    def _find(self, name, kind):
        for key in ((name, kind), (name, "*")):
            if key in self.table:
                return self.table[key]
        if any(known == name or known.endswith("." + name) for known, _ in self.table):
            return []
        return NXDOMAIN

    def answer(self, packet, over_udp):
        """The packet to send back, or None."""
        name, kind, question = read_question(packet)
        self.queries.append((name, kind))
        records = self._find(name, kind)
        if records == SILENT:
            return None
        rcode = RCODES[records] if isinstance(records, str) else 0
        body = b""
        count = 0
        if not isinstance(records, str):
            for value in records:
                data = pack_data(kind, value)
                body += b"\xc0\x0c" + struct.pack("!HHIH", NUMBERS[kind], 1, 5, len(data)) + data
                count += 1
        flags = 0x8180 | rcode  # an answer, recursion desired and available
        authority = b""
        if not count and rcode in (0, 3):
            # Without an SOA a resolver cannot tell "no data" from a referral.
            data = pack_name("ns.test") + pack_name("root.test") + struct.pack("!5I", 1, 5, 5, 5, 1)
            authority = b"\0" + struct.pack("!HHIH", 6, 1, 1, len(data)) + data
        head = packet[:2] + struct.pack("!5H", flags, 1, count, 1 if authority else 0, 0)
        whole = head + question + body + authority
        if over_udp and len(whole) > 1200:
            return packet[:2] + struct.pack("!5H", flags | 0x0200, 1, 0, 0, 0) + question
        return whole

    # -- life

    def start(self):
        for _ in range(50):  # a port that is free for both
            self.tcp = socket.create_server((self.address, 0))
            self.port = self.tcp.getsockname()[1]
            self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            try:
                self.udp.bind((self.address, self.port))
                break
            except OSError:
                self.tcp.close()
                self.udp.close()
        for loop in (self._udp, self._tcp):
            threading.Thread(target=loop, daemon=True).start()
        return self

    @property
    def server(self):
        """As dns.servers wants it."""
        return f"{self.address}:{self.port}"

    def _udp(self):
        while True:
            try:
                packet, peer = self.udp.recvfrom(4096)
                if len(packet) < 12:  # stop() wakes us with nothing
                    return
                reply = self.answer(packet, True)
                if reply:
                    self.udp.sendto(reply, peer)
            except OSError:
                return

    def _tcp(self):
        while True:
            try:
                sock, _ = self.tcp.accept()
            except OSError:
                return
            threading.Thread(target=self._tcp_session, args=(sock,), daemon=True).start()

    def _tcp_session(self, sock):
        stream = sock.makefile("rwb")
        try:
            while True:
                head = stream.read(2)
                if len(head) < 2:
                    return
                reply = self.answer(stream.read(struct.unpack("!H", head)[0]), False)
                if reply:
                    stream.write(struct.pack("!H", len(reply)) + reply)
                    stream.flush()
        except OSError:
            return
        finally:
            sock.close()

    def stop(self):
        for one in (self.tcp, self.udp):
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            one.close()

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()
