"""What pages may say to the console, and who may open one."""

from __future__ import annotations

import json
import stat
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot_rl.console.access import Access, is_loopback, stored_token
from robot_rl.console.protocol import MAX_BYTES, ClearFault, Command, Control, EStop, Hands, Watch, decode
from robot_rl.core.errors import CodecError

COMMANDS = ("start", "pause")
AT_REST = [0, 0, 0, 0, 0, 0]


def hands(axes: Any = AT_REST, buttons: Any = ()) -> str:
    return json.dumps({"type": "hands", "axes": axes, "buttons": list(buttons)})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (hands([1, -1, 0.5, 0, 0, 0], ["close"]), Hands((1, -1, 0.5, 0, 0, 0), frozenset({"close"}))),
        ('{"type": "control", "take": true}', Control(True)),
        ('{"type": "command", "name": "pause"}', Command("pause")),
        ('{"type": "e_stop"}', EStop()),
        ('{"type": "clear_fault"}', ClearFault()),
        ('{"type": "watch", "cameras": false}', Watch(False)),
    ],
)
def test_messages_of_the_page_are_understood(text, message):
    assert decode(text, COMMANDS) == message


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "not JSON"),
        ("[" * (MAX_BYTES - 1), "not JSON"),
        ("[]", "expected an object"),
        ("{}", "type None"),
        ('{"type": "e_stopp"}', "did you mean 'e_stop'"),
        ('{"type": ["hands"]}', "type \\['hands'\\]"),
        ('{"type": "e_stop", "reason": "x"}', "unknown key 'reason'"),
        ('{"type": "control"}', "'take' is missing"),
        ('{"type": "control", "take": 1}', "expected true or false"),
        ('{"type": "command", "name": "stat"}', "did you mean 'start'"),
        ('{"type": "command", "name": 3}', "command 3"),
        (hands().replace("[0,", "[NaN,"), "NaN"),
        (hands().replace("[0,", "[-Infinity,"), "-Infinity"),
        (hands().replace("[0,", "[1e999,"), "no number in"),
        (hands().replace("[0,", "[1" + "0" * 400 + ","), "no number in"),
        (hands([1.01, 0, 0, 0, 0, 0]), "no number in"),
        (hands([True, 0, 0, 0, 0, 0]), "no number in"),
        (hands(["0", 0, 0, 0, 0, 0]), "no number in"),
        (hands([0] * 5), "expected 6 numbers"),
        (hands(0), "expected 6 numbers"),
        (hands(buttons=["clos"]), "did you mean 'close'"),
        (hands(buttons=[{}]), "button {}"),
        ('{"type": "hands", "axes": [0,0,0,0,0,0], "buttons": "close"}', "list of names"),
        (json.dumps({"type": "e_stop", "x": "y" * MAX_BYTES}), f"more than {MAX_BYTES} bytes"),
        ('{"type": "' + "\N{GREEK SMALL LETTER ALPHA}" * (MAX_BYTES - 20) + '"}', f"more than {MAX_BYTES}"),
    ],
)
def test_what_is_wrong_is_refused_with_a_reason(text, says):
    with pytest.raises(CodecError, match=says):
        decode(text, COMMANDS)


@given(
    st.text(max_size=200)
    | st.recursive(st.none() | st.floats() | st.text(max_size=5), st.lists).map(json.dumps)
)
def test_no_text_does_more_than_be_refused(text):
    try:
        decode(text, COMMANDS)
    except CodecError:
        return


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "localhost", "LOCALHOST", "::1", "[::1]"])
def test_these_mean_this_machine(host):
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.2", "robot", "localhost.evil.com", ""])
def test_these_can_mean_another_one(host):
    assert not is_loopback(host)


def test_without_a_token_only_this_machine_is_served():
    access = Access("")
    assert access.knows_token("") and access.knows_token("whatever")
    assert access.is_own_host("localhost:8080") and access.is_own_host("[::1]:8080")
    assert not access.is_own_host("evil.example:8080")
    assert not access.is_own_host("") and not access.is_own_host("[")


def test_with_a_token_any_host_is_served_to_those_who_know_it():
    access = Access("secret")
    assert access.is_own_host("robot.lab:8080")
    assert access.knows_token("secret")
    assert (
        not access.knows_token("") and not access.knows_token("secreT") and not access.knows_token("\udcff")
    )


def test_pages_of_other_sites_are_known_by_their_origin():
    access = Access("")
    assert access.is_own_origin("", "localhost:8080")
    assert access.is_own_origin("http://LocalHost:8080", "localhost:8080")
    for other in ("http://localhost:8081", "http://evil.example", "null", "http://[", "file://"):
        assert not access.is_own_origin(other, "localhost:8080")


def test_a_token_outlives_the_console_and_is_its_owners_alone(tmp_path):
    path = tmp_path / "run" / "token"
    token = stored_token(path)
    assert len(token) > 20
    assert stored_token(path) == token
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.write_text("\n")
    assert stored_token(path) not in ("", token)
