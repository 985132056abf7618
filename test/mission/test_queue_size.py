"""A queue at size: destinations that are dead or slow slow no other; a large queue is listed by the page
and changed as a whole; a start does not wait for it."""

import json
import socket
import sqlite3
import threading
import time

import pytest
from letterlock import until
from smtpclient import message, queue_id, send

MANY = 2500


def fill(home, count, domains=10):
    """Puts deferred mail into the queue of a home that does not run, as the store would have left it."""
    with sqlite3.connect(home.folder / "data/node.db") as db:
        now = int(time.time() * 1000)
        ids = [(now - count + i) << 20 for i in range(count)]
        db.executemany(
            "INSERT INTO message (id, received_ms, open, recipients, sender, sender_domain, envid, ret,"
            " body_type, body_kind, size, has_8bit, longest_line, prefix, message_id, session,"
            " listener, client, helo, tls) VALUES (?1, ?1 >> 20, 1, 1, 'a@s' || ?2 || '.example', 's' ||"
            " ?2 || '.example', '', 0, 0, 0, 8, 0, 6, x'', '', 0, 0, '', '', '')",
            [(one, i % 7) for i, one in enumerate(ids)])
        db.executemany("INSERT INTO body VALUES (?, ?)", [(one, b"A: b\r\n\r\n") for one in ids])
        db.executemany(
            "INSERT INTO recipient (message, n, state, next_ms, attempts, last_ms, notify, address, domain,"
            " orcpt, cause, text) VALUES (?, 0, 2, ?, 1, ?, 0, 'b@d' || ?4 || '.example', 'd' || ?4 ||"
            " '.example', '', ?5, 'later')",
            [(one, now + 3600000, now, i % domains, ("connect.refused", "reply.temporary")[i % 5 == 0])
             for i, one in enumerate(ids)])


def pages(home, *filters, limit=1000):
    """All rows of a list, page by page, as (queue id, address)."""
    rows, after = [], ()
    while True:
        page = json.loads(home.cli("queue", "list", "--json", "--limit", limit, *filters, *after))
        rows += [(m["id"], r["address"]) for m in page["messages"] for r in m["recipients"]]
        if not page["more"]:
            return rows
        after = ("--after", page["more"])


@pytest.fixture
def large(new_home):
    """A home that serves with many deferred messages; no relay, so that they stay as they are."""
    home = new_home()
    home.serve()
    home.stop()
    fill(home, MANY)
    home.serve()
    home.cli("service", "stop", "relay")
    return home


def test_queue_by_the_page(large):
    rows = pages(large)
    assert len(rows) == len(set(rows)) == MANY
    assert rows == sorted(rows)
    assert len(pages(large, "--domain", "D3.example")) == MANY // 10
    assert len(pages(large, "--destination", "mx d3.example")) == MANY // 10
    assert len(pages(large, "--cause", "reply.temporary")) == MANY // 5
    assert len(pages(large, "--sender", "s1.example")) == len(range(1, MANY, 7))
    assert len(pages(large, "--sender", "A@s1.example", "--domain", "d1.example")) == len(range(1, MANY, 70))
    assert pages(large, "--sender", "<>") == pages(large, "--state", "held") == []
    assert len(pages(large, "--older", "0s")) == MANY and pages(large, "--older", "1h") == []
    assert pages(large, "--younger", "1h") == rows
    for wrong in (("--cause", "nonsense"), ("--older", "long"), ("--sender", "a@"),
                  ("--connector", "a", "--destination", "b")):
        large.refused("queue", "list", *wrong)
    large.refused("queue", "list", "--limit", "1001", status=2)


def test_queue_summary(large):
    large.cli("queue", "hold", "--domain", "d1.example", "--cause", "connect.refused")
    summary = large.cli_json("queue", "summary")
    assert summary["messages"] == MANY and summary["held"] == MANY // 10
    assert summary["deferred"] == MANY - MANY // 10 and summary["destination_count"] == 10
    hops = {hop["destination"]: hop for hop in summary["destinations"]}
    assert hops["mx d1.example"]["held"] == hops["mx d1.example"]["of_cause"] == MANY // 10
    assert hops["mx d2.example"]["deferred"] == MANY // 10
    assert hops["mx d2.example"]["cause"]["id"] == "connect.refused"
    causes = {one["cause"]["id"]: one["recipients"] for one in summary["causes"]}
    assert causes == {"connect.refused": MANY // 5 * 4 - MANY // 10, "reply.temporary": MANY // 5,
                      "local.held": MANY // 10}
    shown = large.cli("queue", "summary", "--limit", "2")
    for text in ("2,500 messages", "NEXT HOP", "8 more next hops", "connect.refused", "local.held"):
        assert text in shown


def test_all_of_a_queue_is_changed_while_mail_comes(large):
    """Hold, release and remove everything; meanwhile mail is accepted, and none is lost."""
    sent, done = [], threading.Event()

    def keep_sending():
        while not done.is_set():
            sent.append(queue_id(send(large.smtp, message(), to="new@fresh.example")))

    sender = threading.Thread(target=keep_sending)
    sender.start()
    try:
        assert "Held" in large.cli("queue", "hold", "--older", "0s")
        # Pages that were listed before are gone on with after all has moved.
        assert len(pages(large, "--state", "held", limit=700)) >= MANY
        assert "Released" in large.cli("queue", "release", "--state", "held")
        large.cli("queue", "retry", "--all")
        large.cli("queue", "remove", "--sender", "s1.example")
    finally:
        done.set()
        sender.join()
    left = pages(large)
    assert len(left) == MANY - len(range(1, MANY, 7)) + len(sent)
    assert set(sent) <= {id for id, _ in left}


def never_answers():
    """A port that takes connections and says nothing."""
    return socket.create_server(("127.0.0.1", 0), backlog=1000)


def test_dead_destinations_slow_no_other(new_home, new_hop):
    """Sixty next hops that never answer have twenty messages each, more than may be under way at all;
    what is for the others, behind them, goes at once."""
    home = new_home(relay_tls="off")
    hop = new_hop()
    dead = [never_answers() for _ in range(60)]
    with sqlite3.connect(home.folder / "data/site.db") as db:
        db.executemany("INSERT INTO domain VALUES (?, '127.0.0.1', ?)",
                       [(f"d{i}.example", one.getsockname()[1]) for i, one in enumerate(dead)])
    home.serve()
    home.cli("connector", "add", "well", f"127.0.0.1:{hop.port}", "--for", "well.example", "--tls", "off")
    home.stop()
    fill(home, 60 * 20, domains=60)
    with sqlite3.connect(home.folder / "data/node.db") as db:
        db.execute("UPDATE recipient SET next_ms = 0")
    home.serve()
    until(lambda: home.cli_json("status")["queue"]["active"] >= 60, "each dead one is tried")
    for i in range(30):
        send(home.smtp, message(mark=i), to="b@well.example")
    hop.wait(30, timeout=20)
    # Nobody of the dead has given up meanwhile: they still hold what they have.
    assert home.cli_json("status")["queue"]["active"] >= 60
    for one in dead:
        one.close()
