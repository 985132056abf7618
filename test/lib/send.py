"""Sends one message by SMTP with STARTTLS and prints its Message-ID and the server's last word.

usage: python3 test/lib/send.py HOST:PORT RECIPIENT [FILE]        FILE: its body, else a greeting"""

import sys
from email.message import EmailMessage
from email.policy import SMTP as CRLF
from email.utils import formatdate, make_msgid
from pathlib import Path
from smtplib import SMTP

from smtpclient import trusting


def main(server, recipient, file=None):
    host, port = server.rsplit(":", 1)
    letter = EmailMessage(policy=CRLF)
    letter["From"] = "newcomer@client.example"
    letter["To"] = recipient
    letter["Subject"] = "A letter on its road"
    letter["Date"] = formatdate()
    letter["Message-ID"] = make_msgid(domain="client.example")
    letter.set_content(Path(file).read_text() if file else "Sealed on the way in, sealed on the way out.\n")
    with SMTP(host, int(port), timeout=30) as client:
        client.ehlo("client.example")
        client.starttls(context=trusting())
        client.ehlo("client.example")
        client.mail("newcomer@client.example")
        code, text = client.rcpt(recipient)
        if code == 250:
            code, text = client.data(letter.as_bytes())
    print(letter["Message-ID"])
    print(code, text.decode())
    return 0 if code == 250 else 1


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]))
