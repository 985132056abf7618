"""SMTP clients for tests: `Raw` says exactly what it is told, `send` delivers in one call."""

import re
import smtplib
import socket
import ssl


def trusting(*pems):
    """A TLS context that trusts these CA files only; with none, anything at all."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if not pems:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    for pem in pems:
        context.load_verify_locations(pem)
    return context


class Raw:
    """A connection on which every byte is the test's own."""

    def __init__(self, port, address="127.0.0.1", timeout=20, implicit_tls=False):
        self.sock = socket.create_connection((address, port), timeout)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""
        if implicit_tls:
            self.start_tls()

    def put(self, data):
        self.sock.sendall(data if isinstance(data, bytes) else data.encode("latin-1"))

    def reply(self):
        """The next reply, all its lines, ended by LF each but the last; "" when it closed."""
        lines = []
        while True:
            while b"\r\n" not in self.buffer:
                try:
                    got = self.sock.recv(65536)
                except (ConnectionError, ssl.SSLError):
                    got = b""
                if not got:
                    return "\n".join(lines)
                self.buffer += got
            line, self.buffer = self.buffer.split(b"\r\n", 1)
            lines.append(line.decode("latin-1"))
            if not re.match(r"\d\d\d-", lines[-1]):
                return "\n".join(lines)

    def say(self, line):
        """Sends a line with CRLF and returns the reply."""
        self.put(line + "\r\n")
        return self.reply()

    def start_tls(self, context=None, name="localhost"):
        self.sock = (context or trusting()).wrap_socket(self.sock, server_hostname=name)

    def hello(self, name="client.example"):
        """Reads the greeting and says EHLO; returns the keywords offered."""
        assert self.reply().startswith("220"), "greeting"
        return self.ehlo(name)

    def ehlo(self, name="client.example"):
        reply = self.say(f"EHLO {name}")
        assert reply.startswith("250"), reply
        return {line[4:].split()[0].upper() for line in reply.split("\n")[1:]}

    def closed(self):
        """True if the other side ends the connection now."""
        return self.reply() == "" and not self.buffer

    def close(self):
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def message(body=b"Hello.\r\n", mark=None, message_id=None, sender="a@client.example",
            to="b@example.org"):
    """A small message with CRLF line ends."""
    head = [f"From: <{sender}>", f"To: <{to}>", "Subject: test",
            "Date: Sat, 21 Nov 2026 19:13:33 +0000"]
    if message_id:
        head.append(f"Message-ID: {message_id}")
    if mark is not None:
        head.append(f"X-Mark: {mark}")
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


def send(port, data, sender="a@client.example", to="b@example.org", tls="starttls", context=None,
         options=(), timeout=60):
    """Delivers `data` over starttls, implicit or no TLS; returns the last reply's text. Raises
    smtplib.SMTPException when refused. smtplib sends bytes as they are, save for dots."""
    context = context or trusting()
    if tls == "implicit":
        client = smtplib.SMTP_SSL("127.0.0.1", port, timeout=timeout, context=context)
    else:
        client = smtplib.SMTP("127.0.0.1", port, timeout=timeout)
    with client:
        client.ehlo("client.example")
        if tls == "starttls":
            client.starttls(context=context)
            client.ehlo("client.example")
        code, text = client.mail(sender, options)
        if code != 250:
            raise smtplib.SMTPSenderRefused(code, text, sender)
        for one in [to] if isinstance(to, str) else to:
            code, text = client.rcpt(one)
            if code != 250:
                raise smtplib.SMTPRecipientsRefused({one: (code, text)})
        code, text = client.data(data)
        if code != 250:
            raise smtplib.SMTPDataError(code, text)
        return text.decode()


def queue_id(reply):
    """The queue id in "2.0.0 <id> accepted"."""
    return re.search(r"\b([0-9A-HJKMNP-TV-Z]{13})\b", reply, re.I).group(1)


def without_trace(data):
    """The message without the header fields that servers put on top."""
    head, split, body = data.partition(b"\r\n\r\n")
    lines = re.split(rb"\r\n(?![ \t])", head)
    kept = [line for line in lines
            if not re.match(rb"(received|return-path|delivered-to|x-original-to):", line, re.I)]
    return b"\r\n".join(kept) + split + body
