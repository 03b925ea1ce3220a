"""Offers read strictly, answers written well: made ones, and recorded ones of real browsers."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from aiortc.sdp import SessionDescription
from hypothesis import given
from hypothesis import strategies as st

from sfu.control import Source, SourceRef, Track
from sfu.interfaces import Extension, Kind
from sfu.sdp.answer import Endpoint, OwnSide, write_answer
from sfu.sdp.lines import MAX_CHARACTERS, MAX_SECTIONS, BadDescriptionError
from sfu.sdp.negotiation import Agreement, BadTrackError, Streams, negotiate
from sfu.sdp.offer import IceCredentials, SessionOffer, parse_offer
from tests.unit.sfu_page import CERTIFICATE, Page, Section, camera, microphone, receiver

RECORDED = Path(__file__).parents[1] / "vectors" / "sdp"
NAMES = sorted(path.stem for path in RECORDED.glob("*.sdp"))
OWN = OwnSide(
    42,
    7,
    IceCredentials("ourUfrag", "ourPassword/0123456789ab"),
    CERTIFICATE.fingerprint,
    (Endpoint("192.0.2.1", 10000, tcp=True), Endpoint("2001:db8::1", 10000, tcp=False)),
)


def recorded(name: str) -> str:
    return (RECORDED / f"{name}.sdp").read_bytes().decode()


def label(source: SourceRef) -> tuple[str, str]:
    return f"{source.participant}c", f"{source.participant}-{source.source.value}"


def tracks_for(offer: SessionOffer) -> list[Track]:
    """What a page would say of its offer: it sends one of each kind, and receives others."""
    tracks = []
    for section in offer.sections:
        kind = Source.MICROPHONE if section.kind == "audio" else Source.CAMERA
        if section.active and section.direction.sends:
            tracks.append(Track(section.mid, send=kind))
        elif section.active and section.direction.receives:
            tracks.append(Track(section.mid, receive=SourceRef(f"p{section.mid}", kind)))
    return tracks


def agree(text: str, tracks: list[Track] | None = None) -> Agreement:
    offer = parse_offer(text)
    given_tracks = tracks_for(offer) if tracks is None else tracks
    return negotiate(offer, given_tracks, Streams(os.urandom), label)


def answer(text: str, tracks: list[Track] | None = None) -> str:
    return write_answer(agree(text, tracks), OWN)


def made(*sections: Section) -> str:
    return Page("alice", list(sections)).sdp()


def sections_of(description: str) -> list[str]:
    return re.split(r"(?m)^(?=m=)", description)[1:]


# Recorded offers


@pytest.mark.parametrize("name", NAMES)
def test_recorded_offers_are_answered(name: str) -> None:
    offer = recorded(name)
    ours = answer(offer)
    theirs = sections_of(offer)
    assert [s.split(" ")[0] for s in sections_of(ours)] == [s.split(" ")[0] for s in theirs]
    mids = re.compile(r"^a=mid:(\S+)", re.MULTILINE)
    assert mids.findall(ours) == mids.findall(offer)
    SessionDescription.parse(ours)


@pytest.mark.parametrize("browser", ["chromium", "firefox"])
class TestRecorded:
    def test_simulcast(self, browser: str) -> None:
        agreement = agree(recorded(f"{browser}-simulcast"))
        sound, picture = agreement.send
        assert (sound.kind, picture.kind) == (Kind.AUDIO, Kind.VIDEO)
        assert picture.rids == ("l", "m", "h")
        assert [codec.name for codec in picture.codecs.values()] == ["VP8"]
        (vp8,) = picture.codecs.values()
        assert vp8.rtx_pt is not None
        assert {"nack", "nack pli", "ccm fir", "transport-cc"} <= vp8.feedback
        assert {Extension.MID, Extension.RID, Extension.REPAIRED_RID} <= set(picture.extensions)
        assert Extension.TRANSPORT_CC in picture.extensions
        assert Extension.AUDIO_LEVEL in sound.extensions
        ours = sections_of(answer(recorded(f"{browser}-simulcast")))[1]
        assert "\r\na=simulcast:recv l;m;h\r\n" in ours
        assert [f"a=rid:{rid} recv" in ours for rid in "lmh"] == [True] * 3
        assert "\r\na=recvonly\r\n" in ours

    def test_what_we_send_is_announced(self, browser: str) -> None:
        agreement = agree(recorded(f"{browser}-simulcast"))
        ours = sections_of(write_answer(agreement, OWN))
        assert len(agreement.receive) == 3
        for track in agreement.receive:
            section = next(s for s in ours if f"a=mid:{track.mid}\r\n" in s)
            assert f"a=ssrc:{track.ssrc} cname:" in section
            assert "\r\na=sendonly\r\n" in section
            assert f"\r\na=msid:{track.participant}c " in section
            assert (track.rtx_ssrc is not None) is (track.kind is Kind.VIDEO)
            if track.rtx_ssrc is not None:
                assert f"a=ssrc-group:FID {track.ssrc} {track.rtx_ssrc}" in section
            assert Extension.RID not in track.extensions

    def test_one_camera_without_simulcast_announces_its_ssrcs(self, browser: str) -> None:
        picture = agree(recorded(f"{browser}-plain")).send[1]
        assert picture.rids == ()
        assert len(picture.ssrcs) == 1
        assert list(picture.rtx_ssrcs) == list(picture.ssrcs)
        assert [codec.name for codec in picture.codecs.values()] == ["VP8"]

    def test_a_section_that_ended_and_one_that_was_stopped(self, browser: str) -> None:
        ended = agree(recorded(f"{browser}-ended"))
        assert [section.accepted for section in ended.sections] == [True] * 5
        assert len(ended.receive) == 2
        stopped = agree(recorded(f"{browser}-stopped"))
        assert [section.accepted for section in stopped.sections] == [True, True, True, False, True]
        ours = write_answer(stopped, OWN)
        assert sections_of(ours)[3].startswith("m=video 0 ")
        recycled = agree(recorded(f"{browser}-recycled"))
        assert all(section.accepted for section in recycled.sections)
        assert recycled.sections[3].offered.mid != stopped.sections[3].offered.mid

    def test_data_channels_are_declined(self, browser: str) -> None:
        ours = answer(recorded(f"{browser}-data"))
        declined = next(s for s in sections_of(ours) if s.startswith("m=application"))
        assert declined.startswith("m=application 0 UDP/DTLS/SCTP webrtc-datachannel\r\n")
        assert re.search(r"^a=group:BUNDLE (\S+)\r$", ours, re.MULTILINE)

    def test_a_restart_shows(self, browser: str) -> None:
        before, after = (parse_offer(recorded(f"{browser}-{n}")) for n in ("again", "restarted"))
        assert before.session_id == after.session_id
        assert before.fingerprints == after.fingerprints
        assert before.ice != after.ice


# Made offers


def test_nothing_is_agreed_without_a_track() -> None:
    agreement = agree(made(microphone("0"), camera("1")), [])
    assert (agreement.send, agreement.receive) == ((), ())
    for section in sections_of(write_answer(agreement, OWN)):
        assert "\r\na=inactive\r\n" in section
        assert "a=ssrc" not in section


def test_a_track_whose_section_does_not_go_its_way_is_left_out() -> None:
    """As between the end of a source and the next use of its section."""
    wanted = receiver("0", "bob", Source.CAMERA)
    shared = camera("1")
    wanted.direction = shared.direction = "inactive"
    assert wanted.track is not None
    assert shared.track is not None
    agreement = agree(made(wanted, shared), [wanted.track, shared.track])
    assert (agreement.send, agreement.receive) == ((), ())
    assert "a=ssrc" not in write_answer(agreement, OWN)


def test_candidates_are_told_once_in_the_first_section() -> None:
    ours = sections_of(answer(made(microphone("0"), camera("1"))))
    assert re.findall(r"a=candidate:\S+ 1 (\S+) \d+ (\S+) 10000 typ host(.*)\r", ours[0]) == [
        ("udp", "192.0.2.1", ""),
        ("tcp", "192.0.2.1", " tcptype passive"),
        ("udp", "2001:db8::1", ""),
    ]
    assert "a=candidate" not in ours[1]
    priorities = list(map(int, re.findall(r" 1 (?:udp|tcp) (\d+) ", ours[0])))
    assert priorities[0] > priorities[2] > priorities[1]


def test_a_source_keeps_its_ssrc_while_it_is_received_and_gets_another_later() -> None:
    streams = Streams(os.urandom)
    offer = parse_offer(made(receiver("0", "bob", Source.CAMERA)))
    tracks = tracks_for(offer)
    first = negotiate(offer, tracks, streams, label).receive[0]
    used = {("0", SourceRef("p0", Source.CAMERA))}
    assert streams.keep(used) == []
    assert negotiate(offer, tracks, streams, label).receive[0] == first
    assert streams.keep(set()) == [first.ssrc, first.rtx_ssrc]
    assert negotiate(offer, tracks, streams, label).receive[0].ssrc != first.ssrc


def test_our_ssrcs_are_none_of_the_pages() -> None:
    numbers = iter([(2222).to_bytes(4), (0).to_bytes(4), (5).to_bytes(4), (5).to_bytes(4)])
    more = iter([(6).to_bytes(4)])
    streams = Streams(lambda _: next(numbers, None) or next(more))
    text = made(camera("0", ssrc=2222), receiver("1", "bob", Source.CAMERA))
    offer = parse_offer(text)
    track = negotiate(offer, tracks_for(offer), streams, label).receive[0]
    assert (track.ssrc, track.rtx_ssrc) == (5, 6)


def test_lf_alone_ends_a_line_as_well() -> None:
    text = made(microphone("0"), camera("1"))
    assert agree(text.replace("\r\n", "\n")) == agree(text)


def test_opus_may_be_lost_and_may_be_silent() -> None:
    text = made(microphone("0")).replace(
        "useinbandfec=1", "stereo=1;maxplaybackrate=48000;usedtx=1;cbr=x"
    )
    assert "a=fmtp:111 minptime=10;useinbandfec=1;usedtx=1\r\n" in answer(text)


# What is refused


BASE = made(microphone("0"), camera("1"))


def at(start: str, name: str = "", beyond: int = 0) -> str:
    """How the first line that begins so is named, or one some lines further on."""
    lines = BASE.split("\r\n")
    number = next(n for n, line in enumerate(lines, 1) if line.startswith(start))
    return f"line {number + beyond} {name}".rstrip()


def replaced(old: str, new: str, count: int = -1) -> Callable[[], str]:
    def change() -> str:
        assert old in BASE
        return BASE.replace(old, new, count)

    return change


def flood(line: str, count: int) -> Callable[[], str]:
    return replaced("a=mid:1\r\n", "a=mid:1\r\n" + line * count)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (lambda: "", "line 1 v"),
        (lambda: "v=1\r\n", "line 1 v"),
        (lambda: "hello", "line 1"),
        (lambda: BASE.split("m=")[0], "line 6"),
        (replaced("m=video 9", "m=video 70000000"), at("m=video", "m")),
        (replaced("m=video 9 ", "m=text 9 "), at("m=video", "m")),
        (replaced("m=video 9 UDP", "m=video 9 XXX"), at("m=video", "m")),
        (replaced("VP8/90000", "VP7/90000"), at("m=video", "m")),
        (replaced("opus/48000/2", "opus/48000"), at("m=audio", "m")),
        (replaced("a=mid:1", "a=mid:0"), at("a=mid:1", "a=mid")),
        (replaced("a=mid:1\r\n", ""), at("m=video", "m")),
        (replaced("a=mid:1", "a=mid:" + 17 * "1"), at("a=mid:1", "a=mid")),
        (replaced("BUNDLE 0 1", "BUNDLE 0"), at("a=mid:1", "a=mid")),
        (replaced("a=rtcp-mux\r\n", "", 1), at("m=audio", "m")),
        (replaced("a=setup:actpass", "a=setup:passive"), at("a=setup", "a=setup")),
        (replaced("a=setup:actpass\r\n", ""), at("m=audio", "m")),
        (replaced("a=ice-pwd:", "a=ice-pwd:!"), at("a=ice-pwd", "a=ice-pwd")),
        (replaced("a=ice-ufrag:", "a=ice-ufrag:é"), at("a=ice-u", "a=ice-ufrag")),
        (replaced("sha-256", "sha-1"), at("a=fing", "a=fingerprint")),
        (replaced("sha-256", "sha-512"), at("a=fing", "a=fingerprint")),
        (replaced("a=fingerprint", "a=fngrprnt"), at("m=audio", "m")),
        (replaced("a=rtpmap:97", "a=rtpmap:x"), at("a=rtpmap:97", "a=rtpmap")),
        (replaced("a=rtpmap:97", "a=rtpmap:96"), at("a=rtpmap:97", "a=rtpmap")),
        (replaced("96 97\r", "96 96\r"), at("m=video", "m")),
        (replaced("96 97\r", "96 ٣\r"), at("m=video", "m")),
        (replaced("96 97\r", "96 128\r"), at("m=video", "m")),
        (replaced("a=extmap:10 ", "a=extmap:11 "), at("a=extmap:11", "a=extmap")),
        (replaced("a=extmap:10 ", "a=extmap:0 "), at("a=extmap:10", "a=extmap")),
        (replaced("a=ssrc:2222 ", "a=ssrc:0 "), at("a=ssrc:2222", "a=ssrc")),
        (replaced("FID 2222 2223", "FID 2222 2224"), at("a=ssrc-g", "a=ssrc-group")),
        (replaced("FID 2222 2223", "FID 2222"), at("a=ssrc-g", "a=ssrc-group")),
        (replaced("a=sendonly", "a=sendonly\r\na=inactive", 1), at("a=sendonly", "a=inactive", 1)),
        (replaced("s=-", "s=\x00"), at("s=")),
        (replaced("s=-", "s=" + 3000 * "x"), at("s=")),
        (replaced("o=-", "o"), at("o=")),
        (replaced(" 2 IN IP4", " 2 IN"), at("o=", "o")),
        (flood("a=rid:x send\r\n", 2), at("a=mid:1", "a=rid", 2)),
        (flood("a=ssrc:{} x\r\n", 1), at("a=mid:1", "a=ssrc", 1)),
        (flood("a=simulcast:send x\r\n", 1), at("a=mid:1", "a=simulcast", 1)),
        (flood("a=simulcast:x\r\n", 1), at("a=mid:1", "a=simulcast", 1)),
        (flood("a=b\r\n", 9000), "line 8001"),
    ],
)  # fmt: skip
def test_the_line_is_named(change: Callable[[], str], field: str) -> None:
    with pytest.raises(BadDescriptionError) as refused:
        agree(change())
    assert refused.value.field == field


def test_too_many_sections_are_refused_at_the_first_that_is_too_many() -> None:
    sections = [Section(str(n), "audio", "inactive") for n in range(200)]
    text = "".join(
        line for line in made(*sections).splitlines(keepends=True) if "extmap" not in line
    )
    with pytest.raises(BadDescriptionError) as refused:
        parse_offer(re.sub(r"a=(fmtp|rtcp-fb|rtcp-rsize|ssrc|fing|ice).*\r\n", "", text))
    assert refused.value.detail == f"more than {MAX_SECTIONS} media sections"


@pytest.mark.parametrize("filler", ["a=x\r\n", "a" * 100])
def test_a_mebibyte_is_refused_before_it_is_read(filler: str) -> None:
    text = BASE + filler * (2**20 // len(filler))
    began = time.process_time()
    with pytest.raises(BadDescriptionError) as refused:
        parse_offer(text)
    assert time.process_time() - began < 0.1
    last = text.count("\n", 0, MAX_CHARACTERS) + 1
    assert refused.value.field == f"line {last}"


@pytest.mark.parametrize(
    ("tracks", "index"),
    [
        ([Track("7", send=Source.CAMERA)], 0),
        ([Track("0", send=Source.CAMERA)], 0),
        ([Track("0")], 0),
        ([Track("0", send=Source.MICROPHONE, receive=SourceRef("b", Source.MICROPHONE))], 0),
        ([Track("0", send=Source.MICROPHONE), Track("0", send=Source.SCREEN_AUDIO)], 1),
        ([Track("1", send=Source.CAMERA), Track("2", send=Source.CAMERA)], 1),
    ],
)
def test_tracks_that_do_not_fit(tracks: list[Track], index: int) -> None:
    with pytest.raises(BadTrackError) as refused:
        agree(made(microphone("0"), camera("1"), camera("2", ssrc=3000)), tracks)
    assert refused.value.field == f"tracks[{index}]"


# Any text

_ANSWER_LINE = re.compile(r"[a-z]=[\x20-\x7e]+")


def is_sane(text: str) -> None:
    """An answer, or a refusal that names a line; nothing of a stranger's text runs on in ours."""
    refused = ""
    try:
        ours = answer(text)
    except BadDescriptionError as error:
        refused = error.field
    except BadTrackError:
        return
    if refused:
        assert re.fullmatch(r"line \d+( [a-z](=[A-Za-z0-9-]+)?)?", refused)
        return
    assert ours.endswith("\r\n")
    for line in ours.removesuffix("\r\n").split("\r\n"):
        assert _ANSWER_LINE.fullmatch(line), line
    SessionDescription.parse(ours)


@given(st.text(max_size=500))
def test_any_text(text: str) -> None:
    is_sane(text)


@given(st.data())
def test_recorded_offers_with_lines_changed(data: st.DataObject) -> None:
    lines = recorded(data.draw(st.sampled_from(NAMES))).split("\r\n")
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(lines) - 1))
        match data.draw(st.sampled_from(["remove", "repeat", "swap", "cut", "put", "borrow"])):
            case "remove":
                del lines[at]
            case "repeat":
                lines.insert(at, lines[at])
            case "swap":
                other = data.draw(st.integers(0, len(lines) - 1))
                lines[at], lines[other] = lines[other], lines[at]
            case "cut":
                lines[at] = lines[at][: data.draw(st.integers(0, 20))]
            case "put":
                cut = data.draw(st.integers(0, len(lines[at])))
                lines[at] = lines[at][:cut] + data.draw(st.text(max_size=3)) + lines[at][cut:]
            case "borrow":
                lines[at] = data.draw(st.sampled_from(lines))
        if not lines:
            break
    is_sane("\r\n".join(lines))
