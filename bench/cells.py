"""What bench/road measures, as two tables: the loads (cells), and the rows that are printed with
what they must reach. Several rows may come from one cell."""

from dataclasses import dataclass, field

ALL = ("letterlock", "postfix", "exim", "bound")
TLS = ALL[:3]  # the bound has none
KIB = 1024


@dataclass(frozen=True)
class Cell:
    name: str
    kind: str                  # accept: held in the queue; relay: on to a sink; else see loads.py
    connections: int
    per_session: int = 0       # messages of one session; 0: as many as there are
    size: int = 4 * KIB
    options: tuple = ()        # of smtpblast
    count: int = 0             # of memory and deferred; the others are calibrated
    servers: tuple = ALL

    def describe(self):
        each = f"{self.per_session} a session" if self.per_session else "sessions reused"
        return (f"{self.kind}, {self.connections} connections, {each}, {self.size // KIB} KiB "
                f"{' '.join(self.options)}").rstrip()


CELLS = {cell.name: cell for cell in (
    Cell("accept-1", "accept", 1),
    Cell("accept-20", "accept", 20),
    Cell("accept-20-pipelined", "accept", 20, options=("-P",)),
    Cell("accept-200", "accept", 200),
    Cell("accept-20-each", "accept", 20, per_session=1),
    Cell("accept-20-tls-each", "accept", 20, per_session=1, options=("-S",), servers=TLS),
    Cell("accept-20-100k", "accept", 20, size=100 * KIB),
    Cell("relay-20", "relay", 20),
    Cell("relay-20-each", "relay", 20, per_session=1),
    Cell("relay-20-tls-each", "relay", 20, per_session=1, options=("-S",)),
    Cell("memory-200", "memory", 200, options=("-O",), count=2000),
    Cell("memory-tls-10000", "memory", 10000, options=("-O", "-S", "-m", "0"),
         servers=("letterlock",)),
    Cell("handshakes", "handshakes", 16, servers=("letterlock",)),
    Cell("deferred-50000", "deferred", 20, count=50000, servers=("letterlock", "postfix")),
)}


@dataclass(frozen=True)
class Row:
    title: str
    cell: str
    must: float                # times Postfix, unless limit or least
    aim: float
    figure: str = "rate"
    limit: bool = False        # the figure itself must be at most must
    least: bool = False        # the figure itself must be at least must
    exim: float = 0            # times Exim
    not_below: str = ""        # a cell whose rate of ours it must reach as well
    against: dict = field(init=False)

    def __post_init__(self):
        against = {} if self.limit or self.least else {"postfix": self.must}
        if self.exim:
            against["exim"] = self.exim
        object.__setattr__(self, "against", against)

    def must_text(self):
        text = f"{self.must:g}"
        if self.exim:
            text += f", {self.exim:g} x exim"
        if self.not_below:
            text += f", {self.not_below}"
        return text


ROWS = (
    Row("accept, 1 connection, reused", "accept-1", 2.5, 3.5),
    Row("accept, 20 connections, reused", "accept-20", 6, 8, exim=4),
    Row("accept, 20, reused, pipelined", "accept-20-pipelined", 6, 9, exim=4),
    Row("accept, 200, reused", "accept-200", 8, 14, not_below="accept-20"),
    Row("accept, 20, one message per connection", "accept-20-each", 4, 5.5),
    Row("accept, 20, STARTTLS, one message per connection", "accept-20-tls-each", 2, 2.8),
    Row("accept, 100 KiB, 20, reused", "accept-20-100k", 4, 6),
    Row("relay-through, 20, reused in and out", "relay-20", 5, 8),
    Row("relay-through, one message per session in", "relay-20-each", 3, 5),
    Row("relay-through, STARTTLS in, one each", "relay-20-tls-each", 2, 3),
    Row("server CPU seconds per 1,000 accepted, 20 reused", "accept-20", 0.25, 0.12, "cpu", True),
    Row("p99 of a transaction, ms, 20 reused", "accept-20", 12, 6, "p99_ms", True),
    Row("memory (PSS, all processes), MiB, at 200 sessions", "memory-200", 30, 15, "pss", True),
    Row("memory of an idle TLS session, KiB, 10,000 of them", "memory-tls-10000", 32, 32,
        "kib_each", True),
    Row("TLS 1.3 handshakes through keys, share, P-256", "handshakes", 0.85, 0.85, "p256",
        least=True),
    Row("TLS 1.3 handshakes through keys, share, RSA 2048", "handshakes", 0.75, 0.75, "rsa2048",
        least=True),
    Row("50,000 deferred: list all, s, warm", "deferred-50000", 0.1, 0.05, "list_warm_s", True),
    Row("50,000 deferred: list all, s, cold cache", "deferred-50000", 0.1, 0.05, "list_cold_s",
        True),
    Row("50,000 deferred: list a page, s, warm", "deferred-50000", 0.1, 0.05, "page_s", True),
    Row("50,000 deferred: list a page, s, cold cache", "deferred-50000", 0.1, 0.05, "page_cold_s",
        True),
    Row("50,000 deferred: start to banner, s", "deferred-50000", 0.45, 0.2, "start_s", True),
    Row("50,000 deferred: accept rate, times that with none", "deferred-50000", 0.9, 1,
        "accept_share", least=True),
    Row("50,000 deferred: memory of each, KiB", "deferred-50000", 1, 1, "kib_each", True),
)
