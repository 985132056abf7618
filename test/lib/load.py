"""Clients that keep sending numbered messages and note what became of each: for tests that break
things under load."""

import collections
import hashlib
import random
import ssl
import threading
import time

from smtpclient import Raw, message

ACCEPTED, REFUSED, UNKNOWN = "accepted", "refused", "unknown"


def numbered(mark, size, chance):
    """A message whose body can be checked: its SHA-256 stands in a header."""
    filler = chance.randbytes(max(1, size // 2)).hex().encode()
    body = b"\r\n".join(filler[i:i + 70] for i in range(0, len(filler), 70)) + b"\r\n"
    digest = hashlib.sha256(body).hexdigest()
    return b"X-Sum: " + digest.encode() + b"\r\n" + message(body, mark=mark)


def is_whole(data):
    """True if the message arrived as numbered() made it."""
    head, _, body = data.partition(b"\r\n\r\n")
    sums = [line[7:].strip().decode() for line in head.split(b"\r\n") if line.startswith(b"X-Sum: ")]
    return sums == [hashlib.sha256(body).hexdigest()]


class Load:
    """with Load(home, clients=4) as load: ...; load.outcomes[mark] is accepted (it got 250), refused,
    or unknown: all was sent, but no reply came. load.refusals counts the refusals by code; load.hung
    how often a client waited longer than TIMEOUT_S for a reply."""

    TIMEOUT_S = 30

    def __init__(self, home, clients=4, sizes=(200, 4000, 40000), recipient="b@example.org", seed=1,
                 pause=0.01):
        self.home, self.clients, self.sizes, self.recipient = home, clients, sizes, recipient
        self.seed, self.pause = seed, pause
        self.outcomes = {}
        self.refusals = collections.Counter()
        self.hung = 0
        self.lock = threading.Lock()
        self.ending = threading.Event()
        self.threads = []

    def _note(self, mark, outcome):
        with self.lock:
            self.outcomes[mark] = outcome

    def _refused(self, reply):
        with self.lock:
            self.refusals[reply[:3]] += 1

    def count(self, outcome):
        with self.lock:
            return sum(1 for one in self.outcomes.values() if one == outcome)

    def _client(self, number):
        chance = random.Random(self.seed * 1000 + number)
        sent = 0
        while not self.ending.is_set():
            try:
                with Raw(self.home.smtp, timeout=self.TIMEOUT_S) as client:
                    self._hello(client, chance)
                    for _ in range(chance.randint(1, 5)):
                        sent += 1
                        self._send(client, f"{number}-{sent}", chance)
                        if self.ending.is_set():
                            break
            except TimeoutError:
                self.hung += 1
            except (OSError, ssl.SSLError):
                time.sleep(0.1)
            time.sleep(self.pause)

    def _hello(self, client, chance):
        if not client.reply().startswith("220"):
            raise ConnectionError
        client.put("EHLO client.example\r\n")
        if "STARTTLS" in client.reply() and chance.random() < 0.3:
            if client.say("STARTTLS").startswith("220"):
                client.start_tls()
                if not client.say("EHLO client.example").startswith("250"):
                    raise ConnectionError

    def _send(self, client, mark, chance):
        data = numbered(mark, chance.choice(self.sizes), chance)
        self._note(mark, REFUSED)  # unless it gets further
        for line, good in (("MAIL FROM:<a@client.example>", "250"),
                           (f"RCPT TO:<{self.recipient}>", "250"), ("DATA", "354")):
            reply = client.say(line)
            if not reply.startswith(good):
                if reply:
                    self._refused(reply)
                if not reply or reply.startswith("421"):
                    raise ConnectionError
                client.say("RSET")
                return
        client.put(data)
        self._note(mark, UNKNOWN)  # from here on it may be taken
        client.put(b".\r\n")
        reply = client.reply()
        if reply.startswith("250"):
            self._note(mark, ACCEPTED)
        elif reply:
            self._refused(reply)
            self._note(mark, REFUSED)
        else:
            raise ConnectionError

    def __enter__(self):
        self.threads = [threading.Thread(target=self._client, args=(i,), daemon=True)
                        for i in range(self.clients)]
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.ending.set()
        for thread in self.threads:
            thread.join(60)
