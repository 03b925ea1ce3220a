"""The command line: `konsil serve | provider | invite | rotate-… | doctor | verify-receipt | bots |
privacy-audit`."""

import argparse
import asyncio
import contextlib
import json
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NoReturn

import konsil
from konsil import clock, log, setting_rules, settings
from konsil.errors import SettingsError, StartError
from konsil.invite import (
    consultation,
    find_provider,
    reception_link,
    sign_in_link,
    starting_time,
)
from konsil.settings import Settings
from waiting_room.errors import ConfigError, Refused, UnusableError
from waiting_room.invitations import OPENS_BEFORE_DEFAULT, RECEPTION_HOURS_DEFAULT
from waiting_room.keys import KeyRing
from waiting_room.providers import Providers

IN_THE_WAY: Final = 1
USAGE_ERROR: Final = 2
INTERRUPTED: Final = 130


class _Parser(argparse.ArgumentParser):
    """argparse's own error prints the usage first; one line that says what to do is enough."""

    def error(self, message: str) -> NoReturn:
        raise SettingsError(f"{message} (see {self.prog} --help)")


def parser() -> argparse.ArgumentParser:
    root = _Parser(
        prog="konsil",
        description="Private video consultations: waiting room, signaling and pages.",
        allow_abbrev=False,
    )
    root.add_argument("--version", action="version", version=f"konsil {konsil.__version__}")
    commands = root.add_subparsers(dest="command", metavar="COMMAND", required=True)

    serve = _command(commands, "serve", "run the server", settings.SERVE)
    serve.set_defaults(run=_serve)

    provider = commands.add_parser(
        "provider",
        help="who may invite: add, list, link, openid, passkeys, reception, revoke",
        allow_abbrev=False,
    )
    actions = provider.add_subparsers(dest="action", metavar="ACTION", required=True)
    for name, text, run in (
        ("add", "add a provider and print the sign-in link", _provider_add),
        ("link", "print a new sign-in link", _provider_link),
        ("openid", "let a provider sign in by the OpenID provider", _provider_openid),
        ("passkeys", "list and remove the passkeys of a provider", _provider_passkeys),
        ("revoke", "void every link and passkey of a provider at once", _provider_revoke),
    ):
        action = _command(actions, name, text, settings.LINKS)
        action.add_argument("name", metavar="NAME", help="as shown to clients")
        action.set_defaults(run=run)
        if name == "openid":
            action.add_argument(
                "value",
                metavar="VALUE",
                nargs="?",
                help="of the claim KONSIL_OIDC_CLAIM that is this provider's; without: say it",
            )
            action.add_argument("--remove", action="store_true", help="let them no more")
        if name == "passkeys":
            action.add_argument("--remove", metavar="ID|all", help="of the list, or all of them")
    reception = _command(
        actions,
        "reception",
        "print a link for the reception of one or more providers: who opens it sees who waits for "
        "them, and can never enter a call",
        settings.LINKS,
    )
    reception.add_argument("names", metavar="NAME", nargs="+", help="names or ids of providers")
    reception.add_argument(
        "--hours",
        type=int,
        default=RECEPTION_HOURS_DEFAULT,
        metavar="N",
        help="how long the link is good, 1 to 744 (default: %(default)s)",
    )
    reception.set_defaults(run=_provider_reception)
    _command(actions, "list", "print id, state and name of each", settings.LINKS).set_defaults(
        run=_provider_list
    )

    _command(
        commands,
        "rotate-keys",
        "make a new signing key; links signed with the former stay good until they close",
        settings.LINKS,
    ).set_defaults(run=_rotate_keys)

    _command(
        commands,
        "rotate-turn-secret",
        "make a new secret for relay passwords; those made with the former stay good until "
        "they expire",
        settings.LINKS,
    ).set_defaults(run=_rotate_turn_secret)

    invite = _command(
        commands,
        "invite",
        "print the links of a consultation as JSON; nothing is stored",
        settings.LINKS,
    )
    invite.add_argument("--provider", required=True, metavar="NAME", help="name or id")
    invite.add_argument(
        "--starts-at",
        required=True,
        metavar="TIME",
        help="`now` or ISO 8601; without an offset it is local time",
    )
    invite.add_argument("--minutes", required=True, type=int, metavar="N", help="5 to 480")
    invite.add_argument(
        "--opens-before",
        type=int,
        default=OPENS_BEFORE_DEFAULT,
        metavar="MIN",
        help="minutes the waiting room opens ahead, 0 to 60 (default: %(default)s)",
    )
    invite.set_defaults(run=_invite)

    doctor = _command(
        commands,
        "doctor",
        "check a deployment as a client would, with the settings of its server: Redis, public "
        "URL, certificate, WebSocket, clock, the relay over every transport, and the forwarder "
        "over UDP and TCP. Exit code 0: "
        "all is well, 1: something is wrong, 2: something could not be checked",
        settings.SERVE,
    )
    doctor.set_defaults(run=_doctor)

    receipt = _command(
        commands,
        "verify-receipt",
        "say whether a receipt of consent or deletion is as its server signed it. Exit code 0: it "
        "is, by a key of this server, 1: it has been changed, 2: by a key that is not known here",
        settings.LINKS,
    )
    receipt.add_argument("file", metavar="FILE", help="the receipt; - reads standard input")
    receipt.add_argument(
        "--trust",
        action="append",
        default=[],
        metavar="KID",
        help="a key of another server, by the id it gives under /api/v1/receipt-keys",
    )
    receipt.set_defaults(run=_verify_receipt)

    bots = _command(
        commands,
        "bots",
        "let pairs of bots have calls with a running server, and print as JSON what pictures and "
        "sound were like; needs the server's state directory. Exit code 0: every pair has had its "
        "call, 1: not",
        settings.LINKS,
    )
    for flag, kind, default, text in (
        ("--pairs", int, 1, "how many, 1 to 200"),
        ("--seconds", float, 10.0, "of each call, 1 to 3600"),
        ("--fps", int, 15, "pictures a second, 5 to 30"),
    ):
        bots.add_argument(flag, type=kind, default=default, help=f"{text} (default: {default})")
    bots.add_argument("--path", choices=("direct", "relay", "sfu"), default="direct")
    bots.add_argument(
        "--size",
        default="320x240",
        metavar="WxH",
        help="of a picture, in pixels, 160x80 to 640x480 (default: %(default)s)",
    )
    bots.add_argument("--relay-url", default="", help="a TURN URL in place of the server's own")
    bots.add_argument("--report", metavar="FILE", help="write a page with plots, too")
    bots.set_defaults(run=_bots)

    audit = _command(
        commands,
        "privacy-audit",
        "prove on the running system that everything held expires; print what is held",
        settings.AUDIT,
    )
    audit.set_defaults(run=_audit)
    return root


def _command(
    commands: "argparse._SubParsersAction[_Parser]",
    name: str,
    text: str,
    takes: str,
) -> argparse.ArgumentParser:
    made = commands.add_parser(name, help=text, description=text, allow_abbrev=False)
    settings.add_flags(made, takes)
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and gives its exit code: 0, 1 (something stood in the way) or 2 (usage)."""
    try:
        options = parser().parse_args(arguments)
        loaded, remarks = settings.load(vars(options))
        log.configure(loaded.log_format, loaded.log_level)
        for remark in remarks:
            _say(f"note: {remark}")
        with _telling_of_a_new_directory(options, loaded):
            code: int = options.run(options, loaded)
        return code
    except StartError as error:
        _say(str(error))
        return error.exit_code
    except ConfigError as error:
        _say(str(error))
        return IN_THE_WAY if isinstance(error, UnusableError) else USAGE_ERROR
    except Refused as error:
        _say(error.detail or error.code)
        return 1
    except BrokenPipeError:
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED


def _say(text: str) -> None:
    # A control character in a path or name must not become a second line or move the cursor.
    line = "".join(character if character.isprintable() else "?" for character in text)
    print(f"konsil: {line}", file=sys.stderr)


@contextlib.contextmanager
def _telling_of_a_new_directory(options: argparse.Namespace, loaded: Settings) -> Iterator[None]:
    """It is seldom what was meant: the server has another. `serve` prints its own anyway."""
    path = None if options.command == "serve" else state_dir(loaded)
    if path is None or os.path.exists(path):
        yield
        return
    try:
        yield
    finally:
        if os.path.exists(path):
            _say(f"note: made a new state directory {path}; the server must have the same")


def state_dir(loaded: Settings) -> Path:
    return loaded.state_dir or settings.default_state_dir()


def _serve(options: argparse.Namespace, loaded: Settings) -> int:
    for remark in setting_rules.check_serve(loaded):
        _say(f"note: {remark}")
    # Imported here: the short commands need neither aiohttp nor Redis.
    from konsil import serve  # noqa: PLC0415

    return serve.run(loaded)


def _public_url(loaded: Settings) -> str:
    lan_host = None
    if loaded.tls_self_signed:
        from konsil.tls import lan_address  # noqa: PLC0415

        lan_host = lan_address()
    return setting_rules.origin(loaded, loaded.port, lan_host)


def _links_url(loaded: Settings) -> str:
    """What links begin with. Tells where nobody has said it: others open them, elsewhere."""
    url = _public_url(loaded)
    if not loaded.public_url:
        _say(
            f"note: links are for {url}: KONSIL_PUBLIC_URL must be what browsers see, and the same "
            "as the server's"
        )
    return url


def _provider_add(options: argparse.Namespace, loaded: Settings) -> int:
    directory = state_dir(loaded)
    added = Providers(directory).add(options.name)
    ring = KeyRing.open(directory)
    print(sign_in_link(ring, added, _links_url(loaded), now=clock.now()))
    _say("the link signs in once, within 31 days; konsil provider link makes another")
    return 0


def _provider_link(options: argparse.Namespace, loaded: Settings) -> int:
    directory = state_dir(loaded)
    found = find_provider(Providers(directory), options.name)
    print(sign_in_link(KeyRing.open(directory), found, _links_url(loaded), now=clock.now()))
    return 0


def _provider_reception(options: argparse.Namespace, loaded: Settings) -> int:
    directory = state_dir(loaded)
    providers = Providers(directory)
    found = [find_provider(providers, name) for name in options.names]
    ring = KeyRing.open(directory)
    made = reception_link(ring, found, _links_url(loaded), now=clock.now(), hours=options.hours)
    print(made)
    return 0


def _provider_list(options: argparse.Namespace, loaded: Settings) -> int:
    for provider in Providers(state_dir(loaded)).list():
        print(provider.id, "active" if provider.active else "barred", provider.name, sep="\t")
    return 0


def _provider_revoke(options: argparse.Namespace, loaded: Settings) -> int:
    revoked = Providers(state_dir(loaded)).revoke(options.name)
    print(
        f"all links and passkeys of {revoked.name} are void; konsil provider link makes a new link"
    )
    return 0


def _provider_openid(options: argparse.Namespace, loaded: Settings) -> int:
    providers = Providers(state_dir(loaded))
    provider = find_provider(providers, options.name)
    if options.value is not None and options.remove:
        raise SettingsError("give a VALUE or --remove, not both")
    if options.value == "":
        raise SettingsError("VALUE must not be empty; --remove lets a provider no more")
    if options.value is not None or options.remove:
        provider = providers.set_openid(provider.id, options.value or "")
    print(provider.openid)
    return 0


def _provider_passkeys(options: argparse.Namespace, loaded: Settings) -> int:
    # Imported here: the other commands need no library of WebAuthn.
    from waiting_room.passkey_files import PasskeyFiles  # noqa: PLC0415

    directory = state_dir(loaded)
    provider, kept = find_provider(Providers(directory), options.name), PasskeyFiles(directory)
    if options.remove == "all":
        count = kept.clear(provider)
        print(f"{count} passkeys of {provider.name} are void")
        return 0
    if options.remove:
        kept.remove(provider, options.remove)
    for passkey in kept.list(provider):
        print(passkey.handle, passkey.added, sep="\t")
    return 0


def _rotate_keys(options: argparse.Namespace, loaded: Settings) -> int:
    ring = KeyRing.open(state_dir(loaded))
    made = ring.rotate(clock.now())
    print(f"{made.kid} signs from now on; running servers notice by themselves")
    return 0


def _rotate_turn_secret(options: argparse.Namespace, loaded: Settings) -> int:
    from konsil.turn_secret import KeptSecrets  # noqa: PLC0415

    if loaded.turn_secret is not None:
        raise SettingsError(
            "KONSIL_TURN_SECRET is set, so it is yours to rotate: set a new one, and the present "
            "one as KONSIL_TURN_FORMER_SECRET"
        )
    since = KeptSecrets.open(state_dir(loaded), clock.SystemClock().wall).rotate()
    seconds = max(0, since - clock.now())
    print(f"a new secret is used in {seconds} seconds; running servers notice by themselves")
    return 0


def _invite(options: argparse.Namespace, loaded: Settings) -> int:
    directory, now = state_dir(loaded), clock.now()
    try:
        starts_at = starting_time(options.starts_at, now)
    except ValueError as error:
        raise SettingsError(f"--starts-at {options.starts_at[:40]!r} {error}") from None
    provider = find_provider(Providers(directory), options.provider)
    made = consultation(
        KeyRing.open(directory),
        provider,
        _links_url(loaded),
        starts_at=starts_at,
        minutes=options.minutes,
        opens_before=options.opens_before,
        now=now,
    )
    print(json.dumps(made.document(), indent=2))
    return 0


def _doctor(options: argparse.Namespace, loaded: Settings) -> int:
    setting_rules.check_serve(loaded)
    from konsil import doctor  # noqa: PLC0415

    return asyncio.run(doctor.run(loaded, state_dir(loaded)))


def _verify_receipt(options: argparse.Namespace, loaded: Settings) -> int:
    from konsil import verify_receipt  # noqa: PLC0415

    return verify_receipt.run(options.file, state_dir(loaded), options.trust)


def _bots(options: argparse.Namespace, loaded: Settings) -> int:
    for name, least, most in (("pairs", 1, 200), ("seconds", 1, 3600), ("fps", 5, 30)):
        if not least <= getattr(options, name) <= most:
            raise SettingsError(f"--{name} must be from {least} to {most}")
    try:
        from loadtest import saturation  # noqa: PLC0415
        from loadtest.bots import run as bots  # noqa: PLC0415
        from loadtest.bots.media import size_of  # noqa: PLC0415
    except ImportError as error:
        raise SettingsError(
            f"{error.name} is missing; the bots need pip install './[loadtest]' in the checkout"
        ) from None
    if (size := size_of(options.size)) is None:
        raise SettingsError("--size must be WIDTHxHEIGHT, even numbers, from 160x80 to 640x480")
    plan = bots.Plan(
        url=_public_url(loaded),
        state_dir=state_dir(loaded),
        pairs=options.pairs,
        path=options.path,
        seconds=options.seconds,
        fps=options.fps,
        size=size,
        relay_url=options.relay_url,
    )
    document = asyncio.run(bots.run(plan))
    print(json.dumps(document, indent=2))
    if words := saturation.warning(document["summary"]):
        print(f"konsil: {words}", file=sys.stderr)
    if options.report:
        from loadtest.report.page import page  # noqa: PLC0415

        Path(options.report).write_text(page("Konsil: media bots", [document]))
    return 1 if document["summary"]["failed"] else 0


def _audit(options: argparse.Namespace, loaded: Settings) -> int:
    from konsil import audit  # noqa: PLC0415

    return asyncio.run(audit.run(loaded, state_dir(loaded)))
