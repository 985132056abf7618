"""A next hop that does as it is told: an SMTP server for tests, with every misbehaviour by table.

    hop = NextHop(certificate=pki.certificate("good"), replies={"RCPT": "450 4.2.0 later"})
    hop.start(); ...; hop.wait(1); hop.messages[0].data; hop.stop()

`replies` maps a moment to what is done instead of the usual reply. Moments: "greeting", a verb
("EHLO", "MAIL", ...), "RCPT <address>", "content" (while the message comes in), "end" (of data).
A reply is a str (lines joined by \\n), or Drop(), Silence(), Delay(seconds, reply), or a list: one
for each time, the last one repeats. Messages are kept byte for byte, dots unstuffed.

`python3 test/lib/nexthop.py --port N --chain FILE --key FILE --store DIR` runs one."""

import argparse
import socket
import ssl
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Drop:
    """Closes the connection; as the reply to "content": after that many bytes of it."""

    after: int = 0


class Silence:
    """Says nothing, until the other side gives up."""


@dataclass
class Delay:
    seconds: float
    reply: object = None


@dataclass
class Message:
    sender: str
    recipients: list
    data: bytes
    mail_line: str
    rcpt_lines: list
    session: "Session"
    at: float = field(default_factory=time.monotonic)

    @property
    def queue_marks(self):
        """Values of X-Mark headers: how tests number their messages."""
        head = self.data.split(b"\r\n\r\n", 1)[0]
        return [line[7:].strip().decode() for line in head.split(b"\r\n")
                if line.lower().startswith(b"x-mark:")]


class Gone(Exception):
    pass


class Session:
    """One connection."""

    def __init__(self, hop, sock):
        self.hop, self.sock = hop, sock
        self.commands = []
        self.tls = None  # (version, cipher) once there is TLS
        self.sni = None
        self.tls_error = None
        self.buffer = b""
        self._reset()

    def _reset(self):
        self.mail_line, self.sender, self.recipients, self.rcpt_lines = None, None, [], []

    # -- reading and writing

    def _more(self):
        try:
            got = self.sock.recv(65536)
        except (OSError, ssl.SSLError) as e:
            raise Gone from e
        if not got:
            raise Gone
        self.buffer += got

    def _line(self):
        while b"\n" not in self.buffer:
            self._more()
        line, self.buffer = self.buffer.split(b"\n", 1)
        return line.rstrip(b"\r").decode("latin-1")

    def _say(self, reply):
        lines = reply.split("\n")
        text = "".join(f"{line[:3]}{'-' if i < len(lines) - 1 else ' '}{line[4:]}\r\n"
                       for i, line in enumerate(lines))
        try:
            self.sock.sendall(text.encode("latin-1"))
        except OSError as e:
            raise Gone from e
        return reply

    def _answer(self, moments, usual):
        """Says what the table has for the first of `moments`, else the usual; returns the reply."""
        reply = next((r for r in map(self.hop.take, moments) if r is not None), usual)
        while isinstance(reply, Delay):
            self.hop.stopping.wait(reply.seconds)
            reply = reply.reply if reply.reply is not None else usual
        if isinstance(reply, Drop):
            raise Gone
        if isinstance(reply, Silence):
            while True:
                self._more()
        return self._say(reply)

    # -- commands

    def run(self):
        try:
            if self.hop.implicit_tls:
                self._start_tls()
            if not self._answer(["greeting"], f"220 {self.hop.name} ESMTP").startswith("2"):
                return
            while self._command(self._line()):
                pass
        except Gone:
            pass
        finally:
            try:
                self.sock.close()
            except OSError:
                pass

    def _command(self, line):
        self.commands.append(line)
        verb, _, rest = line.partition(" ")
        verb = verb.upper()
        act = getattr(self, "_" + verb.lower(), None) if verb.isalpha() else None
        if verb not in ("EHLO", "HELO", "STARTTLS", "MAIL", "RCPT", "DATA", "RSET", "NOOP", "QUIT"):
            act = None
        if act is None:
            self._answer([verb], "500 5.5.2 what?")
            return True
        return act(rest, line) is not False

    def _ehlo(self, _rest, _line):
        lines = [self.hop.name, *self.hop.extensions]
        if self.hop.tls_context and not self.tls and self.hop.offer_tls:
            lines.append("STARTTLS")
        self._reset()
        self._answer(["EHLO"], "\n".join("250 " + one for one in lines))

    def _helo(self, _rest, _line):
        self._reset()
        self._answer(["HELO"], f"250 {self.hop.name}")

    def _starttls(self, _rest, _line):
        if not self.hop.tls_context:
            self._answer(["STARTTLS"], "502 5.5.1 no")
            return
        if self._answer(["STARTTLS"], "220 2.0.0 go").startswith("2"):
            self.buffer = b""
            self._start_tls()

    def _start_tls(self):
        try:
            self.sock = self.hop.wrap(self.sock, self)
            self.tls = (self.sock.version(), self.sock.cipher()[0])
        except OSError as e:  # ssl.SSLError is one
            self.tls_error = e
            raise Gone from e
        self._reset()

    def _mail(self, rest, line):
        self._reset()
        if self._answer(["MAIL"], "250 2.1.0 ok").startswith("2"):
            self.mail_line = line
            self.sender = rest[rest.find("<") + 1:rest.find(">")]

    def _rcpt(self, rest, line):
        if self.mail_line is None:
            self._say("503 5.5.1 MAIL first")
            return
        address = rest[rest.find("<") + 1:rest.rfind(">")]
        if self._answer([f"RCPT {address}", "RCPT"], "250 2.1.5 ok").startswith("2"):
            self.recipients.append(address)
            self.rcpt_lines.append(line)

    def _data(self, _rest, _line):
        if not self.recipients:
            self._answer(["DATA"], "554 5.5.1 no valid recipients")
            return
        if not self._answer(["DATA"], "354 go").startswith("3"):
            return
        data = self._content()
        message = Message(self.sender, self.recipients, data, self.mail_line, self.rcpt_lines, self)
        reply = self.hop.peek("end")
        # A next hop that loses the reply has taken the message all the same.
        keep = not isinstance(reply, str) or reply.startswith("2")
        if keep:
            self.hop.keep(message)
        self._reset()
        self._answer(["end"], "250 2.0.0 taken")

    def _content(self):
        drop = self.hop.take("content")
        pieces, tail = [], b"\r\n"  # a dot may stand on the first line
        total = 0
        while True:
            total += len(self.buffer)
            if isinstance(drop, Drop) and total > drop.after:
                raise Gone
            joined = tail + self.buffer
            end = joined.find(b"\r\n.\r\n")
            if end >= 0:
                pieces.append(joined[:end + 2])
                self.buffer = joined[end + 5:]
                break
            cut = max(0, len(joined) - 4)
            pieces.append(joined[:cut])
            tail, self.buffer = joined[cut:], b""
            self._more()
        return b"".join(pieces).replace(b"\r\n..", b"\r\n.")[2:]

    def _rset(self, _rest, _line):
        self._reset()
        self._answer(["RSET"], "250 2.0.0 ok")

    def _noop(self, _rest, _line):
        self._answer(["NOOP"], "250 2.0.0 ok")

    def _quit(self, _rest, _line):
        self._answer(["QUIT"], "221 2.0.0 bye")
        return False


class NextHop:
    EXTENSIONS = ("PIPELINING", "8BITMIME", "SIZE 209715200", "ENHANCEDSTATUSCODES", "DSN")

    def __init__(self, certificate=None, replies=None, extensions=EXTENSIONS, address="127.0.0.1",
                 port=0, name="nexthop.test", offer_tls=True, implicit_tls=False, on_message=None):
        self.name, self.extensions = name, extensions
        self.address, self.port = address, port
        self.offer_tls, self.implicit_tls = offer_tls, implicit_tls
        self.replies = dict(replies or {})
        self.on_message = on_message
        self.messages, self.sessions = [], []
        self.changed = threading.Condition()
        self.stopping = threading.Event()
        self.tls_context = None
        self.listener = None
        if certificate:
            self.use(certificate)

    def use(self, certificate):
        """From now on shows this certificate (a pki.Certificate)."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate.chain, certificate.key)
        context.sni_callback = lambda sock, name, _ctx: setattr(sock, "sni_seen", name)
        self.tls_context = context

    def wrap(self, sock, session):
        wrapped = self.tls_context.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
        session.sock = wrapped
        wrapped.do_handshake()
        session.sni = getattr(wrapped, "sni_seen", None)
        return wrapped

    # -- the table of replies

    def set(self, **replies):
        """Changes the table while it runs: set(RCPT="450 ...", MAIL=None)."""
        with self.changed:
            for moment, reply in replies.items():
                self.replies.pop(moment, None)
                if reply is not None:
                    self.replies[moment] = reply

    def peek(self, moment):
        with self.changed:
            reply = self.replies.get(moment)
            return reply[0] if isinstance(reply, list) else reply

    def take(self, moment):
        with self.changed:
            reply = self.replies.get(moment)
            if isinstance(reply, list):
                return reply.pop(0) if len(reply) > 1 else reply[0]
            return reply

    # -- messages

    def keep(self, message):
        if self.on_message:
            self.on_message(message)
        with self.changed:
            self.messages.append(message)
            self.changed.notify_all()

    def wait(self, count=1, timeout=30):
        """Waits until `count` messages came; returns them all."""
        with self.changed:
            if not self.changed.wait_for(lambda: len(self.messages) >= count, timeout):
                raise AssertionError(
                    f"{len(self.messages)} of {count} messages came within {timeout} s; "
                    f"commands: {[s.commands for s in self.sessions[-3:]]}")
            return list(self.messages)

    # -- life

    def start(self):
        family = socket.AF_INET6 if ":" in self.address else socket.AF_INET
        self.listener = socket.create_server((self.address, self.port), family=family, backlog=256)
        self.port = self.listener.getsockname()[1]
        self.stopping.clear()
        self.acceptor = threading.Thread(target=self._accept, args=(self.listener,), daemon=True)
        self.acceptor.start()
        return self

    def _accept(self, listener):
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            session = Session(self, sock)
            self.sessions.append(session)
            threading.Thread(target=session.run, daemon=True).start()

    def stop(self):
        """Closes the port and all sessions; start() opens the same port again."""
        self.stopping.set()
        if self.listener:
            # shutdown() wakes the accepting thread, which close() alone does not.
            self.listener.shutdown(socket.SHUT_RDWR)
            self.listener.close()
            self.acceptor.join()
            self.listener = None
        for session in self.sessions:
            try:
                session.sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()


def main():
    options = argparse.ArgumentParser(description="a next hop that keeps all it gets")
    options.add_argument("--port", type=int, required=True)
    options.add_argument("--chain", required=True)
    options.add_argument("--key", required=True)
    options.add_argument("--store", type=Path, required=True)
    given = options.parse_args()

    class Files:
        chain, key = given.chain, given.key

    def store(message):
        given.store.mkdir(parents=True, exist_ok=True)
        number = len(list(given.store.iterdir())) + 1
        (given.store / f"{number}.eml").write_bytes(message.data)

    NextHop(certificate=Files, port=given.port, name="localhost", on_message=store).start()
    threading.Event().wait()


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        pass
