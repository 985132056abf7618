"""The servers that bench/road loads, all alike to it: started on loopback in an accounting group,
with a port whose mail stays in the queue, one whose mail goes to the server's own sink at once, and
an empty queue again between two runs."""

import json
import os
import re
import select
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

from group import Group

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "test" / "lib"))
from letterlock import free_ports  # noqa: E402

BUILD = Path(os.environ.get("BUILD", ROOT / "build")).resolve()
PEERS = ROOT / "build" / "peers"
CERTIFICATE = ("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 "
               "-subj /CN=mx.example.net -addext subjectAltName=DNS:mx.example.net")


class Trouble(Exception):
    """What keeps a measurement from being made."""


def run(*command, **options):
    done = subprocess.run(list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, timeout=900, **options)
    if done.returncode:
        raise Trouble(f"{' '.join(map(str, command))}: exit {done.returncode}\n{done.stdout}")
    return done.stdout


def wait_for_banner(port, seconds=20, pause=0.01):
    end = time.monotonic() + seconds
    while True:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=5) as s:
                if s.recv(3) == b"220":
                    return
        except OSError:
            pass
        if time.monotonic() > end:
            raise Trouble(f"nobody answers on port {port}")
        time.sleep(pause)


def make_certificate(folder):
    folder.mkdir(parents=True)
    run(*CERTIFICATE.split(), "-keyout", folder / "ec.key", "-out", folder / "ec.crt")


class Sink:
    """The next hop of one server: counts and keeps nothing, and lives as long as the server does
    (a next hop that refuses is left alone for a while by some)."""

    def __init__(self):
        self.port, = free_ports(1)
        self.process = None
        self.start()

    def start(self):
        self.process = subprocess.Popen(
            [BUILD / "bench" / "mailsink", "-T", "86400", str(self.port)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
        wait_for_banner(self.port)

    def expect(self, count):
        self.process.stdin.write(f"{count}\n")

    def wait(self, seconds):
        """The moment (CLOCK_MONOTONIC) of the last message expected, or None."""
        if not select.select([self.process.stdout], [], [], seconds)[0]:
            return None
        words = dict(w.split("=") for w in self.process.stdout.readline().split() if "=" in w)
        return float(words["at"])

    def stop(self):
        if self.process:
            self.process.terminate()
            self.process.communicate()
            self.process = None


class Server:
    relays = True      # has a relay_port, and a sink
    quits = True       # QUIT is answered at once

    def __init__(self, work):
        self.work = work
        self.sink = Sink() if self.relays else None
        self.accept_port, self.relay_port = free_ports(2)
        self.group = Group(self.name)
        self.process = None
        try:
            self.configure()
            self.start()
            self.complete()
        except BaseException:
            self.stop()
            raise

    def complete(self):
        """What can only be set up in a server that runs."""

    def run_in_group(self, command):
        with open(self.work / f"{self.name}.out", "ab") as out:
            return self.group.start(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out)

    def shut_down(self):
        self.process.terminate()
        self.process.wait(30)

    def restart(self):
        self.shut_down()
        self.start()

    def stop(self):
        try:
            if self.process:
                self.shut_down()
        finally:
            self.group.remove()
            if self.sink:
                self.sink.stop()

    def hold(self, held):
        """Deliveries: none while held. Where accept_port holds by itself there is nothing to do."""


class Letterlock(Server):
    name = "letterlock"

    def configure(self):
        self.relay_port = self.accept_port
        folder = self.work / "letterlock"
        self.home = folder / "home"
        make_certificate(folder / "tls")
        self.cli("setup", "--hostname", "mx.example.net", *(w for setting in (
            f"listen.smtp=127.0.0.1:{self.accept_port}", "listen.submission=",
            "listen.submissions=", "relay.networks=127.0.0.0/8", "relay.tls=off",
            "dns.servers=127.0.0.1:1", "dns.trust_anchor=", "relay.concurrency=20",
            "relay.retry=1000s",
            "smtp.max_sessions=20000", "smtp.max_sessions_per_address=20000",
        ) for w in ("--set", setting)))
        self.cli("connector", "add", "sink", f"127.0.0.1:{self.sink.port}", "--for", "*",
                 "--tls", "off")

    def complete(self):
        tls = self.work / "letterlock" / "tls"
        self.cli("cert", "import", tls / "ec.crt", tls / "ec.key")

    def cli(self, *words):
        return run(BUILD / "letterlock", *words, "--home", self.home)

    def start(self):
        self.process = self.run_in_group([BUILD / "letterlock", "--home", self.home, "serve"])
        wait_for_banner(self.accept_port)
        self.held = False

    def hold(self, held):
        if held != self.held:
            self.cli("service", "stop" if held else "start", "relay")
            self.held = held

    def queue(self):
        return json.loads(self.cli("status", "--json"))["queue"]

    def queued(self):
        return self.queue()["messages"]

    def deferred(self):
        """One message tries a dead next hop; the others wait behind it untried."""
        queue = self.queue()
        return queue["messages"] - queue["active"]

    def list_page(self):
        self.cli("queue", "list")

    def list_queue(self):
        """By the page: 1,000 is the most it gives at once."""
        place, listed = [], 0
        while place is not None:
            page = json.loads(self.cli("queue", "list", "--limit", "1000", "--json", *place))
            listed += len(page["messages"])
            place = ["--after", page["more"]] if page["more"] else None
        return listed

    def empty(self):
        self.cli("queue", "remove", "--all")


class Postfix(Server):
    """In a tree of its own, entered with chroot; one port holds, the other does not."""
    name = "postfix"

    def configure(self):
        self.folder = PEERS / "bench" / "postfix"
        for part in "etc", "data", "spool":
            (self.folder / part).mkdir(parents=True)
        make_certificate(self.folder / "tls")
        inside = "/bench/postfix"
        fill = {"@DIR@": inside, "@TLS@": inside + "/tls", "@PORT@": self.relay_port,
                "@HOLDPORT@": self.accept_port, "@SINK@": self.sink.port}
        for part in "main", "master":
            fill_in(f"postfix-{part}.cf", self.folder / "etc" / f"{part}.cf", fill)
        run("chroot", PEERS, "chown", "-R", "postfix", inside + "/data")

    def tool(self, name, *words):
        return run("chroot", PEERS, name, "-c", "/bench/postfix/etc", *words)

    def start(self):
        self.process = self.run_in_group(
            ["chroot", PEERS, "postfix", "-c", "/bench/postfix/etc", "start"])
        self.process.wait(30)
        wait_for_banner(self.accept_port)

    def shut_down(self):
        self.tool("postfix", "stop")

    def queued(self):
        return files_below(self.folder / "spool" / "hold")

    def deferred(self):
        return files_below(self.folder / "spool" / "deferred")

    def list_page(self):
        """It knows no pages."""
        self.list_queue()

    def list_queue(self):
        return int(re.search(r"in (\d+) Requests?\.\s*$", self.tool("postqueue", "-p"))[1])

    def empty(self):
        self.tool("postsuper", "-d", "ALL")


class Exim(Server):
    """In the same tree; its configuration stands where the package looks for it."""
    name = "exim"
    quits = False      # it lets a client wait 200 ms for the answer to QUIT

    def configure(self):
        self.folder = PEERS / "bench" / "exim"
        for part in "spool", "log":
            (self.folder / part).mkdir(parents=True)
        make_certificate(self.folder / "tls")
        inside = "/bench/exim"
        (PEERS / "etc" / "exim4").mkdir(exist_ok=True)
        fill_in("exim.conf", PEERS / "etc" / "exim4" / "exim4.conf",
                {"@DIR@": inside, "@TLS@": inside + "/tls", "@PORT@": self.relay_port,
                 "@HOLDPORT@": self.accept_port, "@SINK@": self.sink.port})
        run("chroot", PEERS, "chown", "-R", "Debian-exim", inside)

    def start(self):
        self.process = self.run_in_group(["chroot", PEERS, "/exim/usr/sbin/exim4", "-bdf"])
        wait_for_banner(self.accept_port)

    def queued(self):
        return files_below(self.folder / "spool" / "input", "-H")

    def empty(self):
        for part in "input", "msglog":
            run("find", self.folder / "spool" / part, "-type", "f", "-delete")


class Bound(Server):
    """What the machine could do: a sink with one log and one sync for all that wait, which parses,
    routes and logs nothing."""
    name = "bound"
    relays = False

    def configure(self):
        self.log = self.work / "bound.log"

    def start(self):
        self.process = self.run_in_group([BUILD / "bench" / "mailsink", "-T", "86400",
                                          "-w", self.log, str(self.accept_port)])
        wait_for_banner(self.accept_port)

    def queued(self):
        return None

    def empty(self):
        os.truncate(self.log, 0)


def fill_in(template, target, words):
    text = (ROOT / "bench" / "peers" / template).read_text()
    for word, value in words.items():
        text = text.replace(word, str(value))
    target.write_text(text)


def files_below(folder, ending=""):
    return sum(name.endswith(ending) for _, _, names in os.walk(folder) for name in names)


def remove_peer_folders():
    shutil.rmtree(PEERS / "bench", ignore_errors=True)


SERVERS = {server.name: server for server in (Letterlock, Postfix, Exim, Bound)}
