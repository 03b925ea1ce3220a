"""The commands that need no server: what they print, and what they say when they cannot."""

import datetime as dt
import json
import os
import re
import stat
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from konsil.cli import main
from konsil.invite import starting_time
from waiting_room import links
from waiting_room.keys import KeyRing
from waiting_room.passkey_files import PasskeyFiles
from waiting_room.passkeys import Passkey
from waiting_room.providers import Providers
from waiting_room.tokens import Claims, TokenType, verify

ORIGIN = "https://consult.example"


@pytest.fixture(autouse=True)
def _environment(
    own_logging: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    monkeypatch.setenv("KONSIL_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("KONSIL_PUBLIC_URL", ORIGIN)
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


LINKING = (
    "provider add Bob",
    "provider link Ada",
    "provider reception Ada",
    "invite --provider Ada --starts-at now --minutes 30",
)


class Cli:
    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *arguments: str) -> str:
        """Standard output of a command that works."""
        code, out, err = self.run(*arguments)
        assert code == 0, err
        return out

    def refusal(self, *arguments: str) -> tuple[int, str]:
        code, out, err = self.run(*arguments)
        assert out == ""
        assert len(err.splitlines()) == 1, err
        return code, err

    def run(self, *arguments: str) -> tuple[int, str, str]:
        code = main(arguments)
        captured = self._capsys.readouterr()
        return code, captured.out, captured.err


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> Cli:
    return Cli(capsys)


def opened(link: str, state_dir: Path, now: float) -> tuple[links.LinkParts, Claims]:
    parts = links.parse(link.strip())
    assert parts is not None
    claims = verify(
        parts.token,
        KeyRing.open(state_dir),
        now,
        audience=ORIGIN,
        epochs=Providers(state_dir).epoch,
    )
    return parts, claims


def test_a_provider_is_added_listed_linked_and_revoked(cli: Cli, tmp_path: Path) -> None:
    state = tmp_path / "state"
    parts, claims = opened(cli("provider", "add", "Dr. Ada Example"), state, time.time())
    assert (parts.public_url, parts.page, parts.secret) == (ORIGIN, "provider", None)
    assert claims.typ is TokenType.PROVIDER

    (line,) = cli("provider", "list").splitlines()
    assert line.split("\t") == [claims.sub, "active", "Dr. Ada Example"]

    assert cli("provider", "link", "Dr. Ada Example") != cli("provider", "link", claims.sub)
    assert "void" in cli("provider", "revoke", "Dr. Ada Example")
    assert Providers(state).epoch(claims.sub) == claims.epoch + 1
    opened(cli("provider", "link", "Dr. Ada Example"), state, time.time())


def test_an_id_is_never_taken_for_an_option(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = [b"\xf8" * 9, b"\xfb" * 9]  # both would begin with -
    with monkeypatch.context() as context:
        context.setattr("secrets.token_bytes", lambda n: drawn.pop() if drawn else os.urandom(n))
        made = Providers(tmp_path / "state").add("Ada")
    cli("provider", "link", made.id)


def test_who_signs_in_by_the_openid_provider_is_said_and_taken_back(
    cli: Cli, tmp_path: Path
) -> None:
    for name in ("Ada", "Bob"):
        cli("provider", "add", name)
    providers = Providers(tmp_path / "state")
    assert cli("provider", "openid", "Ada") == "\n"
    assert cli("provider", "openid", "Ada", "ada@clinic.example") == "ada@clinic.example\n"
    assert cli("provider", "openid", "Ada") == "ada@clinic.example\n"
    known = providers.known_as("ada@clinic.example")
    assert known is not None
    assert known.name == "Ada"
    assert providers.known_as("Ada@clinic.example") is None
    assert providers.known_as("") is None
    assert cli.refusal("provider", "openid", "Bob", "ada@clinic.example")[0] == 1
    assert cli.refusal("provider", "openid", "Bob", "")[0] == 2
    assert cli.refusal("provider", "openid", "Bob", "x", "--remove")[0] == 2
    assert cli.refusal("provider", "openid", "Bob", "two\nlines")[0] == 1
    assert cli.refusal("provider", "openid", "Bob", "x" * 257)[0] == 1
    assert cli("provider", "openid", "Ada", "--remove") == "\n"
    assert providers.known_as("ada@clinic.example") is None
    # Whom one revokes, one does not want to come in by another door.
    cli("provider", "openid", "Bob", "bob")
    cli("provider", "revoke", "Bob")
    assert providers.known_as("bob") is None


def test_passkeys_are_listed_and_removed(cli: Cli, tmp_path: Path) -> None:
    cli("provider", "add", "Ada")
    kept = PasskeyFiles(tmp_path / "state")
    ada = Providers(tmp_path / "state").named("Ada")
    assert ada is not None
    assert cli("provider", "passkeys", "Ada") == ""
    for name in ("one", "two", "six"):
        kept.add(ada, Passkey(id=name, key="AAAA", epoch=ada.epoch, added="2026-11-22"))
    lines = cli("provider", "passkeys", "Ada").splitlines()
    assert len(lines) == 3
    handle, added = lines[0].split("\t")
    assert added == "2026-11-22"
    assert cli("provider", "passkeys", ada.id, "--remove", handle).splitlines() == lines[1:]
    assert cli.refusal("provider", "passkeys", "Ada", "--remove", handle)[0] == 1
    assert cli("provider", "passkeys", "Ada", "--remove", "all").startswith("2 ")
    assert kept.list(ada) == ()


def test_a_reception_gets_one_link_for_several_providers(cli: Cli, tmp_path: Path) -> None:
    cli("provider", "add", "Dr. Ada Example")
    cli("provider", "add", "Dr. Bo Example")
    one = cli("provider", "reception", "Dr. Ada Example")
    parts, claims = opened(one, tmp_path / "state", time.time())
    assert (parts.page, parts.secret, claims.typ) == ("reception", None, TokenType.RECEPTION)
    assert claims.exp - claims.nbf == 12 * 3600

    base, _, fragment = cli(
        "provider", "reception", "Dr. Ada Example", "Dr. Bo Example", "--hours", "48"
    ).partition("#")
    assert base == f"{ORIGIN}/reception"
    both = [
        opened(f"{base}#{token}", tmp_path / "state", time.time())
        for token in fragment.strip().split("+")
    ]
    assert len({claims.sub for _, claims in both}) == 2
    assert {claims.exp - claims.nbf for _, claims in both} == {48 * 3600}


def test_the_state_is_private(cli: Cli, tmp_path: Path) -> None:
    cli("provider", "add", "Dr. Ada Example")
    for path in (tmp_path / "state").rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path
    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700


def test_an_invitation_is_printed_and_stored_nowhere(cli: Cli, tmp_path: Path) -> None:
    cli("provider", "add", "Ada")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    starts = int(time.time()) + 86_400
    starts_at = dt.datetime.fromtimestamp(starts, dt.UTC).isoformat()
    made = json.loads(
        cli(*["invite", "--provider", "Ada", "--minutes", "30", "--starts-at"], starts_at)
    )
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before

    assert set(made) == {"room", "host_url", "client_url", "opens_at", "closes_at"}
    assert links.is_room_id(made["room"])
    client, claims = opened(made["client_url"], tmp_path / "state", starts)
    assert (client.public_url, client.page) == (ORIGIN, "join")
    assert (claims.typ, claims.room) == (TokenType.CLIENT, made["room"])
    assert (claims.nbf, claims.exp) == (starts - 15 * 60, starts + 30 * 60)
    assert dt.datetime.fromisoformat(made["opens_at"]).timestamp() == claims.nbf
    assert dt.datetime.fromisoformat(made["closes_at"]).timestamp() == claims.exp
    host, claims = opened(made["host_url"], tmp_path / "state", time.time())
    assert (host.page, claims.typ, claims.room) == ("host", TokenType.HOST, made["room"])
    # Both have the one secret, which no token holds.
    assert host.secret == client.secret
    assert re.fullmatch(r"[A-Za-z0-9_-]{22}", host.secret or "")


def test_every_invitation_has_its_own_room_and_secret(cli: Cli) -> None:
    cli("provider", "add", "Ada")
    command = [
        "invite",
        "--provider",
        "Ada",
        "--minutes",
        "5",
        "--starts-at",
        "now",
        "--opens-before",
        "0",
    ]
    first, second = json.loads(cli(*command)), json.loads(cli(*command))
    assert first["room"] != second["room"]
    assert first["client_url"].partition("~")[2] != second["client_url"].partition("~")[2]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("now", 1_000_000_000),
        ("NOW", 1_000_000_000),
        ("2026-12-24T15:30:00Z", 1_798_126_200),
        ("2026-12-24T15:30+01:00", 1_798_122_600),
        ("2026-12-24T15:30", 1_798_122_600),  # in Berlin
        ("2026-07-24 15:30", 1_784_899_800),  # in Berlin, in summer
        ("20261224T153000Z", 1_798_126_200),
    ],
)
def test_times_are_taken_with_and_without_an_offset(text: str, expected: int) -> None:
    assert starting_time(text, 1_000_000_000) == expected


def test_an_hour_that_the_clocks_leave_out_is_refused() -> None:
    with pytest.raises(ValueError, match="does not exist"):
        starting_time("2027-03-28T02:30", 1_000_000_000)  # in Berlin
    assert starting_time("2027-03-28T02:30Z", 1_000_000_000) == 1_806_201_000


@pytest.mark.parametrize("text", ["", "tomorrow", "2026-13-01", "0001-01-01T00:00+14:00", "1e9"])
def test_what_is_no_time_is_refused(cli: Cli, text: str) -> None:
    cli("provider", "add", "Ada")
    code, message = cli.refusal(
        "invite", "--provider", "Ada", "--minutes", "30", f"--starts-at={text}"
    )
    assert code in {1, 2}
    assert "starts" in message


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ("invite --provider Bob --starts-at now --minutes 30", 1, "no provider named 'Bob'"),
        ("invite --provider Ada --starts-at now --minutes 4", 1, "minutes must be from 5 to 480"),
        ("invite --provider Ada --starts-at now --minutes 30 --opens-before 61", 1, "opens_before"),
        ("invite --provider Ada --starts-at 2020-01-01 --minutes 30", 1, "in the past"),
        ("invite --provider Ada --starts-at 2999-01-01 --minutes 30", 1, "30 days"),
        ("invite --provider Ada --starts-at now --minutes x", 2, "--minutes"),
        ("invite --provider Ada --starts-at now", 2, "--minutes"),
        ("invite --provider Ada --start now --minutes 30", 2, "--starts-at"),
        ("provider add Ada", 1, "already"),
        ("provider add", 2, "NAME"),
        ("provider revoke Bob", 1, "no provider named"),
        ("provider link Bob", 1, "no provider named"),
        ("provider", 2, "ACTION"),
        ("provider list --port 70000", 2, "--port '70000': must be a whole number"),
        ("serve --prot 1", 2, "unrecognized arguments"),
        ("serve --tls-cert /c", 2, "KONSIL_TLS_KEY"),
        ("serve --roles sfu,turn,web", 2, "--roles"),
        ("unknown", 2, "unknown"),
        ("", 2, "COMMAND"),
    ],
)
def test_a_mistake_is_told_in_one_line(cli: Cli, arguments: str, code: int, words: str) -> None:
    cli("provider", "add", "Ada")
    got, message = cli.refusal(*arguments.split())
    assert got == code
    assert words in message
    assert message.startswith("konsil: ")


def test_control_characters_of_an_argument_do_not_reach_the_terminal(cli: Cli) -> None:
    _, message = cli.refusal("provider", "link", "x\x1b[2J\ny")
    assert "\x1b" not in message


def test_an_unusable_state_directory_is_named(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("KONSIL_STATE_DIR", str(tmp_path / "file"))
    code, message = cli.refusal("provider", "add", "Ada")
    assert code == 1
    assert "KONSIL_STATE_DIR" in message


@pytest.mark.parametrize("made", ["all of it", "an empty directory"])
@pytest.mark.parametrize(
    "arguments",
    [
        "provider add Bob",
        "provider revoke Ada",
        "provider openid Ada value",
        "provider passkeys Ada --remove all",
        "rotate-keys",
        "rotate-turn-secret",
    ],
)
def test_nothing_is_written_that_the_server_of_another_user_could_not_read(
    cli: Cli, tmp_path: Path, made: str, arguments: str
) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give files away")
    state = tmp_path / "state"
    state.mkdir()
    if made == "all of it":
        cli("provider", "add", "Ada")
        cli("provider", "passkeys", "Ada", "--remove", "all")
        cli("rotate-turn-secret")
    for path in (state, *state.rglob("*")):
        os.chown(path, 65534, 65534)

    def content() -> dict[str, tuple[int, bytes]]:
        return {
            str(path): (path.stat().st_uid, path.read_bytes() if path.is_file() else b"")
            for path in state.rglob("*")
        }

    before = content()
    code, message = cli.refusal(*arguments.split())
    assert code == 1
    assert content() == before
    if made == "all of it" or "Ada" not in arguments:
        assert "belongs to nobody" in message
        assert "sudo -u nobody konsil" in message


def test_a_directory_of_root_is_for_whoever_may_write_to_it(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = tmp_path / "state"
    state.mkdir()
    if state.stat().st_uid != 0:
        pytest.skip("only root has files of root")
    monkeypatch.setattr(os, "geteuid", lambda: 65534)
    # A volume of Kubernetes belongs to root, and a group may write to it.
    cli("provider", "add", "Ada")
    # What is there already, and is root's, was not made by this user.
    code, message = cli.refusal("provider", "add", "Bob")
    assert code == 1
    assert "belongs to root" in message


@pytest.mark.parametrize("setting", ["", "~/state", "~nobody-4711/state"])
def test_without_a_home_directory_it_says_what_to_set(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, setting: str
) -> None:
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    monkeypatch.delenv("KONSIL_STATE_DIR")
    monkeypatch.setattr(os, "getuid", lambda: 2**31 - 5)  # as in a container: in no passwd file
    if setting:
        monkeypatch.setenv("KONSIL_STATE_DIR", setting)
    code, message = cli.refusal("provider", "list")
    assert code == 2
    assert "KONSIL_STATE_DIR" in message
    assert "home directory" in message


def test_a_settings_file_in_a_home_that_is_not_there_is_named(cli: Cli) -> None:
    code, message = cli.refusal("provider", "list", "--config", "~nobody-4711/konsil.toml")
    assert code == 2
    assert "--config" in message
    assert "home directory" in message


@pytest.mark.parametrize("command", LINKING)
def test_links_for_no_url_that_was_set_are_remarked(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    cli("provider", "add", "Ada")
    code, out, err = cli.run(*command.split())
    assert (code, "note" in err) == (0, False)
    monkeypatch.delenv("KONSIL_PUBLIC_URL")
    code, out, err = cli.run(*[word.replace("Bob", "Eve") for word in command.split()])
    assert code == 0
    assert out.count("http://localhost:8080/") == (2 if command.startswith("invite") else 1)
    assert out.startswith(("http://localhost:8080/", "{"))
    (note,) = [line for line in err.splitlines() if "note" in line]
    assert note.startswith("konsil: note: ")
    for words in ("http://localhost:8080", "KONSIL_PUBLIC_URL", "the server's"):
        assert words in note


@pytest.mark.parametrize(
    "command", ["provider add Ada", "provider revoke Ada", "rotate-keys", "rotate-turn-secret"]
)
def test_a_state_directory_that_a_command_has_made_is_told(
    cli: Cli, tmp_path: Path, command: str
) -> None:
    words = f"konsil: note: made a new state directory {tmp_path / 'state'}"
    _, _, err = cli.run(*command.split())
    assert [line for line in err.splitlines() if line.startswith(words)]
    _, _, err = cli.run(*command.split())
    assert words not in err


def test_a_command_that_makes_nothing_tells_of_nothing(cli: Cli, tmp_path: Path) -> None:
    assert cli.run("provider", "list") == (0, "", "")
    assert not (tmp_path / "state").exists()


def test_keys_rotate_and_old_links_stay_good(cli: Cli, tmp_path: Path) -> None:
    link = cli("provider", "add", "Ada")
    first = KeyRing.open(tmp_path / "state").current.kid
    assert "signs from now on" in cli("rotate-keys")
    assert KeyRing.open(tmp_path / "state").current.kid != first
    opened(link, tmp_path / "state", time.time())


def test_the_audit_cannot_tell_without_a_server(cli: Cli) -> None:
    code, out, _ = cli.run("privacy-audit")
    assert code == 2
    assert "no server runs" in out


@pytest.mark.parametrize("command", ["serve", "invite", "privacy-audit", "provider add"])
def test_help_is_there(capsys: pytest.CaptureFixture[str], command: str) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*command.split(), "--help"])
    assert ended.value.code == 0
    assert "KONSIL_STATE_DIR" in capsys.readouterr().out
