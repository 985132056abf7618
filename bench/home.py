"""A home of Letterlock's own, served for a measurement by whoever runs it: no root, no other server."""

import json
import re
import signal
import subprocess
import time
from pathlib import Path

from group import pss
from servers import BUILD, Trouble, free_ports, wait_for_banner

MESSAGES, CONNECTIONS = 20000, 20  # of the accept cell


class ServedHome:
    def __init__(self, folder, messages):
        self.home, self.process = folder, None
        self.port, = free_ports(1)
        self.cli("setup", "--hostname", "mx.example.net",
                 "--set", f"listen.smtp=127.0.0.1:{self.port}", "--set", "listen.submission=",
                 "--set", "listen.submissions=", "--set", "relay.tls=off",
                 "--set", "smtp.max_sessions_per_address=10000")
        self.serve()  # makes the key and the certificate of the first start
        self.stop()
        if messages:
            subprocess.run([BUILD / "bench/queue_fill", self.home, str(messages)], check=True)

    def cli(self, *arguments):
        done = subprocess.run([BUILD / "letterlock", "--home", self.home, *arguments],
                              stdout=subprocess.PIPE, check=True)
        return done.stdout

    def serve(self):
        """Seconds from exec to the banner."""
        since = time.monotonic()
        self.process = subprocess.Popen([BUILD / "letterlock", "--home", self.home, "serve"],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for_banner(self.port, 120, 0.001)
        return time.monotonic() - since

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()

    def roles(self):
        found = {}
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                parent = int(re.search(r"^PPid:\s+(\d+)", (folder / "status").read_text(), re.M)[1])
                name = (folder / "comm").read_text().strip()
            except (OSError, TypeError):
                continue
            if parent == self.process.pid or int(folder.name) == self.process.pid:
                found.setdefault(name, []).append(int(folder.name))
        return found

    def loaded(self):
        """Seconds until the whole queue is in memory (what needs all of it waits for it)."""
        since = time.monotonic()
        self.cli("queue", "summary", "--json")
        return time.monotonic() - since

    def memory(self):
        roles = self.roles()
        return pss(sum(roles.values(), [])), pss(roles.get("store", []))

    def timed(self, *arguments):
        since = time.monotonic()
        self.cli(*arguments)
        return time.monotonic() - since

    def whole_list(self):
        since, rows, after = time.monotonic(), 0, None
        while True:
            more = ("--after", after) if after else ()
            page = json.loads(self.cli("queue", "list", "--json", "--limit", "1000", *more))
            rows += sum(len(m["recipients"]) for m in page["messages"])
            after = page["more"]
            if not after:
                return time.monotonic() - since, rows

    def accept(self):
        """Accepted messages a second, relay stopped; they are removed again."""
        self.cli("service", "stop", "relay")
        line = subprocess.run(
            [BUILD / "bench/smtpblast", "-n", str(MESSAGES), "-c", str(CONNECTIONS), "-m", "50",
             "-s", "4096", "-T", "60", str(self.port)],
            stdout=subprocess.PIPE, check=True, text=True).stdout
        if re.search(r"(lost|rej[45]|conn_err)=[1-9]", line):
            raise Trouble(f"void: {line}")
        self.cli("queue", "remove", "--state", "ready")
        self.cli("service", "start", "relay")
        return float(re.search(r"\brate=([\d.]+)", line)[1])
