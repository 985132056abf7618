"""P2: TLS is never silently off. A bad certificate, key, setting or file changes nothing; the last
good one goes on serving, also across a restart, and the status names what cannot be used."""

import sqlite3

import pytest
from smtpclient import Raw


def served(home, name="mx.home.example"):
    """The certificate a client of port 25 is shown, DER."""
    with Raw(home.smtp) as client:
        client.hello()
        assert client.say("STARTTLS").startswith("220")
        client.start_tls(name=name)
        return client.sock.getpeercert(True)


def import_one(home, made):
    home.cli("cert", "import", made.chain, made.key)
    return served(home)


def faults(home):
    return [one["text"] for one in home.cli_json("status")["degraded"] if one["what"] != "walls"]


@pytest.mark.parametrize("setting, contents", [
    ("trust.store", "no certificate\n"),
    ("trust.store", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
    ("trust.store", None),
    ("dns.trust_anchor", "no record\n"),
])
def test_P2_a_file_that_cannot_be_used_is_refused(home, tmp_path, setting, contents):
    path = tmp_path / "file"
    if contents is not None:
        path.write_text(contents)
    before = home.setting(setting)
    assert str(path) in home.refused("config", "set", setting, path)
    assert home.setting(setting) == before
    assert faults(home) == []


def test_P2_a_file_that_goes_bad_is_told_and_the_last_good_one_stays(home, tmp_path, pki):
    path = tmp_path / "anchors.pem"
    path.write_text(pki.root.pem.read_text())
    home.cli("config", "set", "trust.store", path)
    path.write_text("damaged\n")
    assert "still in use" in home.cli("config", "set", "smtp.max_hops", "60")
    assert ["still in use" in one for one in faults(home)] == [True]
    home.stop()
    home.serve()
    assert "relay" in home.roles()
    assert ["nothing is trusted" in one for one in faults(home)] == [True]
    path.write_text(pki.root.pem.read_text())
    home.cli("config", "set", "smtp.max_hops", "70")
    assert faults(home) == []


def test_P2_a_certificate_with_very_many_names_serves(home, pki):
    one = import_one(home, pki.root.issue("mx.home.example", *(f"a{n}.x" for n in range(1100))))
    home.wait_role("mx", home.kill_role("mx"))
    assert served(home) == one
    assert served(home, "a1099.x") == one


def test_P2_the_certificate_before_serves_when_a_key_is_lost(home, pki):
    first = import_one(home, pki.root.issue("mx.home.example"))
    known = set((home.folder / "keys").iterdir())
    second = import_one(home, pki.root.issue("mx.home.example"))
    assert second != first
    lost, = set((home.folder / "keys").iterdir()) - known
    lost.write_text("damaged")
    assert served(home) == second  # `keys` has read it already
    home.stop()
    home.serve()
    assert served(home) == first
    assert [lost.name[:16] in one for one in faults(home)] == [True]
    # What is bad already does not stand in the way of what mends it.
    third = import_one(home, pki.root.issue("mx.home.example"))
    assert third not in (first, second)


def test_P2_a_damaged_row_leaves_the_certificate_before(home, pki):
    first = import_one(home, pki.root.issue("mx.home.example"))
    import_one(home, pki.root.issue("mx.home.example"))
    home.stop()
    with sqlite3.connect(home.folder / "data" / "site.db") as db:
        db.execute("UPDATE certificate SET chain = '-----BEGIN CERTIFICATE-----\nAAAA\n"
                   "-----END CERTIFICATE-----\n' WHERE id = (SELECT max(id) FROM certificate)")
    db.close()
    home.serve()
    assert served(home) == first
    assert ["damaged" in one for one in faults(home)] == [True]
