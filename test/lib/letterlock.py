"""A Letterlock installation of its own for each test, driven as an administrator would: by the
command line.

    home = Home(tmp_path / "home")
    home.setup(); home.serve(); home.cli("domain", "add", "example.org"); home.stop()

LETTERLOCK_BUILD names the build folder to test (default: build/asan, or build)."""

import json
import os
import random
import re
import signal
import socket
import subprocess
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SANITIZER = re.compile(r"ERROR: (Address|Leak)Sanitizer|runtime error:|SUMMARY: \w*Sanitizer")


def build_folder():
    given = os.environ.get("LETTERLOCK_BUILD")
    if given:
        return Path(given).resolve()
    asan = ROOT / "build" / "asan"
    return asan if (asan / "letterlock").exists() else ROOT / "build"


def free_ports(count, address="127.0.0.1"):
    """Ports that nobody listens on at this moment, all different. Below those that the kernel gives to
    connections: one of these may take any of its own before we do."""
    sockets = []
    while len(sockets) < count:
        try:
            sockets.append(socket.create_server((address, random.randrange(10000, 32000))))
        except OSError:
            pass
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


def until(condition, what, timeout=15, pause=0.05):
    """Waits until condition() is true and returns its value."""
    end = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"waited {timeout} s in vain: {what}")
        time.sleep(pause)


class Refused(Exception):
    """The command line said no: exit status and what it printed."""

    def __init__(self, done):
        super().__init__(f"{' '.join(map(str, done.args))}: exit {done.returncode}\n"
                         f"{done.stdout}{done.stderr}")
        self.status, self.stdout, self.stderr = done.returncode, done.stdout, done.stderr


class Home:
    def __init__(self, folder, hostname="mx.home.example", settings=None):
        self.folder = Path(folder)
        self.hostname = hostname
        self.program = build_folder() / "letterlock"
        self.smtp, self.submission, self.submissions = free_ports(3)
        self.settings = {
            "listen.smtp": f"127.0.0.1:{self.smtp}",
            "listen.submission": f"127.0.0.1:{self.submission}",
            "listen.submissions": f"127.0.0.1:{self.submissions}",
            "relay.networks": "127.0.0.0/8",
            # Nothing a test does may reach a name server of the world.
            "dns.servers": "127.0.0.1:1",
            "dns.trust_anchor": "",
            **(settings or {}),
        }
        self.preload = {}  # environment for serve and its roles alone (test/crash/faults.py)
        self.process = None
        self.launcher = []  # a command that runs serve, as its last arguments
        self.options = []  # of serve
        self.stderr = self.folder.parent / (self.folder.name + ".stderr")

    @property
    def env(self):
        env = {k: v for k, v in os.environ.items() if not k.startswith("LETTERLOCK")}
        env["LETTERLOCK_HOME"] = str(self.folder)
        # Walled roles cannot look for leaks (that takes ptrace); unit tests do.
        env["ASAN_OPTIONS"] = ("detect_leaks=0:abort_on_error=1:detect_stack_use_after_return=0:"
                               "verify_asan_link_order=0")  # a test may preload something
        env["UBSAN_OPTIONS"] = "print_stacktrace=1"
        return env

    # -- command line

    def run(self, *args, stdin=None, timeout=60):
        """Runs `letterlock ARGS`; returns what came, whatever the exit status."""
        return subprocess.run([self.program, *map(str, args)], env=self.env, text=True,
                              input=stdin, capture_output=True, timeout=timeout)

    def cli(self, *args, stdin=None):
        """Runs `letterlock ARGS` and returns its output; Refused unless it exits with 0."""
        done = self.run(*args, stdin=stdin)
        if done.returncode:
            raise Refused(done)
        return done.stdout

    def cli_json(self, *args):
        return json.loads(self.cli(*args, "--json"))

    def refused(self, *args, status=1):
        """Runs `letterlock ARGS`, which must be refused with this status; returns all it said."""
        done = self.run(*args)
        assert done.returncode == status, f"{args}: exit {done.returncode}: {done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    def set(self, **settings):
        """Live settings: set(smtp_tls="required") sets smtp.tls."""
        for name, value in settings.items():
            self.cli("config", "set", name.replace("_", ".", 1), value)

    def setting(self, name):
        return self.cli_json("config", "get", name)["value"]

    # -- life

    def setup(self):
        options = [part for key, value in self.settings.items()
                   for part in ("--set", f"{key}={value}")]
        self.cli("setup", "--hostname", self.hostname, *options)
        return self

    def serve(self, timeout=30):
        """Starts `letterlock serve` and waits until it says that it is ready."""
        notify = self.folder.parent / (self.folder.name + ".ready")
        notify.unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ready:
            ready.bind(str(notify))
            ready.settimeout(0.1)
            with open(self.stderr, "ab") as err:
                self.process = subprocess.Popen(
                    [*self.launcher, self.program, "serve", *self.options],
                    env={**self.env, **self.preload, "NOTIFY_SOCKET": str(notify)},
                    stdin=subprocess.DEVNULL, stdout=err, stderr=err)
            end = time.monotonic() + timeout
            while True:
                try:
                    if b"READY=1" in ready.recv(4096):
                        break
                except TimeoutError:
                    pass
                if self.process.poll() is not None:
                    raise AssertionError(f"serve ended with {self.process.returncode}:\n{self.said()}")
                if time.monotonic() > end:
                    raise AssertionError(f"serve is not ready after {timeout} s:\n{self.said()}")
        notify.unlink(missing_ok=True)
        return self

    def said(self):
        """The end of what serve and its roles wrote to standard error and to the log."""
        logs = sorted((self.folder / "log").glob("letterlock.*")) if self.folder.exists() else []
        texts = [self.stderr.read_text(errors="replace")] if self.stderr.exists() else []
        texts += [one.read_text(errors="replace") for one in logs[-1:]]
        return "\n".join(text[-6000:] for text in texts)

    def log(self):
        """All lines of the log files, oldest first."""
        files = sorted((self.folder / "log").glob("letterlock.*"))
        return [line for one in files for line in one.read_text(errors="replace").splitlines()]

    def stop(self, timeout=30):
        """Ends serve in order; a sanitizer's report or an unclean end fails the test."""
        if not self.process:
            return
        process, self.process = self.process, None
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(timeout)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                raise AssertionError(f"serve did not stop within {timeout} s:\n{self.said()}")
        self.look_for_findings()
        assert process.returncode == 0, f"serve ended with {process.returncode}:\n{self.said()}"

    def look_for_findings(self):
        text = self.stderr.read_text(errors="replace") if self.stderr.exists() else ""
        found = SANITIZER.search(text)
        assert not found, text[max(0, found.start() - 500):found.start() + 8000]

    def kill(self):
        """As a crash of the machine would end it: serve and all roles at once."""
        pids = [self.process.pid, *self.children()]
        for pid in pids:
            self.kill_pid(pid)
        self.process.wait()
        self.process = None
        until(lambda: not any(alive(pid) for pid in pids), "killed roles are gone")

    def __enter__(self):
        return self.setup().serve()

    def __exit__(self, *_):
        self.stop()

    # -- roles

    def roles(self):
        """The roles that run under serve, by name: {"mx": pid, "store": pid, ...}."""
        return {one["role"]: one["pid"] for one in self.cli_json("service", "list")["roles"]
                if one["state"] == "running" and one["role"] != "serve"}

    def children(self):
        """The processes under serve."""
        found = []
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                parent = int(stat.read_text().rsplit(")", 1)[1].split()[1])
            except OSError:
                continue
            if parent == self.process.pid:
                found.append(int(stat.parent.name))
        return found

    def kill_role(self, name):
        """kill -9 of one role; returns its old pid. Serve will start it again."""
        pid = self.roles()[name]
        self.kill_pid(pid)
        return pid

    @staticmethod
    def kill_pid(pid):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass

    def wait_role(self, name, not_pid=None, timeout=15):
        """Waits until the role runs (again, with another pid)."""
        def runs():
            try:
                pid = self.roles().get(name)
            except Refused:  # the store or control itself is on its way
                return None
            return pid != not_pid and pid

        return until(runs, f"role {name} runs", timeout)

    # -- queue and trace

    def queue(self, *filters):
        """The messages of `queue list`."""
        return self.cli_json("queue", "list", *filters)["messages"]

    def wait_queue_empty(self, timeout=60):
        until(lambda: not self.queue(), "the queue is empty", timeout, pause=0.2)

    def trace(self, what):
        """The newest message that `trace` finds; its recipients and records beside."""
        return self.cli_json("trace", what)["messages"][0]

    def recipient(self, what, n=0):
        """The recipient number n of the newest message found."""
        return self.trace(what)["recipients"][n]

    def wait_state(self, what, state, timeout=30):
        """Waits until the first recipient has this state ("delivered", "deferred", "bounced");
        returns it."""
        def look():
            one = self.recipient(what)
            return one if one["state"] == state else None

        try:
            return until(look, f"{what} is {state}", timeout, pause=0.1)
        except AssertionError as e:
            raise AssertionError(f"{e}\n{self.run('trace', what).stdout}\n{self.said()}") from None


def alive(pid):
    """A process that is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False
