"""Settings: every option by default, flag and environment; every mistake is one line that names its source."""

from __future__ import annotations

import dataclasses

from twisted.trial.unittest import SynchronousTestCase

from quickpulse.errors import SettingsError
from quickpulse.queues.memory import DEFAULT_CAPACITY
from quickpulse.settings import (
    HOW_TO_CHOOSE,
    MODE_VARIABLES,
    MODES,
    OPTIONS,
    Settings,
    choose_mode,
    read_settings,
    suggest,
)

DEFAULTS = {
    "host": "127.0.0.1",
    "ws-port": 8081,
    "grpc-port": 50051,
    "http-port": 8080,
    "ws-endpoint": None,
    "grpc-endpoint": None,
    "http-endpoint": None,
    "capacity": 1_000_000,
    "capacity-bytes": None,
    "max-message-bytes": 1_048_576,
    "max-queues": 10_000,
    "total-bytes": 0,
    "max-batch-bytes": 4_128_768,
    "allow-origin": (),
    "auth-token-file": None,
    "v0": "on",
    "http-api": "auto",
    "allow-host": (),
    "legacy-metric-names": False,
    "ws-frames": "fast",
    "grpc-server": "native",
    "max-connections": 20_000,
    "max-connections-per-address": None,
    "max-streams": 1_000,
    "max-header-bytes": 16_384,
    "max-inflight-bytes": 16_777_216,
    "handshake-seconds": 5.0,
    "idle-seconds": 0.0,
    "stall-seconds": 30.0,
    "drain-seconds": 8.0,
    "queue": "memory",
    "metrics": "prometheus",
}
"""The contract's; a change of one is a change of the interface."""

GOOD = {
    "host": [("0.0.0.0", "0.0.0.0"), (" ::1 ", "::1")],
    "ws-port": [("0", 0), ("65535", 65_535)],
    "grpc-port": [("0", 0), ("65535", 65_535)],
    "http-port": [("0", 0), ("65535", 65_535), ("007", 7)],
    "ws-endpoint": [("tcp:8081", "tcp:8081")],
    "grpc-endpoint": [("unix:/run/q.sock", "unix:/run/q.sock")],
    "http-endpoint": [("tcp6:8080", "tcp6:8080")],
    "capacity": [("1", 1), ("5000000", 5_000_000)],
    "capacity-bytes": [("0", None), ("1", 1)],
    "max-message-bytes": [("1", 1), ("1073741824", 1_073_741_824)],
    "max-queues": [("1", 1), ("1000000", 1_000_000)],
    "total-bytes": [("0", 0), ("1", 1)],
    "max-batch-bytes": [("2000000", 2_000_000), ("1073741824", 1_073_741_824)],
    "allow-origin": [("*", ("*",)), ("http://a, https://b:1,", ("http://a", "https://b:1")), ("", ())],
    "auth-token-file": [("/run/tokens", "/run/tokens")],
    "v0": [("on", "on"), ("off", "off")],
    "http-api": [("auto", "auto"), ("on", "on"), ("loopback", "loopback"), ("off", "off")],
    "allow-host": [("*", ("*",)), ("a.example, b", ("a.example", "b")), ("", ())],
    "legacy-metric-names": [("1", True), ("0", False), ("", False)],
    "ws-frames": [("plain", "plain"), ("fast", "fast")],
    "grpc-server": [("native", "native"), ("grpcio", "grpcio")],
    "max-connections": [("0", None), ("1", 1)],
    "max-connections-per-address": [("0", None), ("1", 1)],
    "max-streams": [("1", 1), ("2147483647", 2_147_483_647)],
    "max-header-bytes": [("1024", 1024), ("1048576", 1_048_576)],
    "max-inflight-bytes": [("65536", 65_536), ("10000000000", 10_000_000_000)],
    "handshake-seconds": [("0", 0.0), ("0.5", 0.5)],
    "idle-seconds": [("0", 0.0), ("0.5", 0.5)],
    "stall-seconds": [("0", 0.0), ("0.5", 0.5)],
    "drain-seconds": [("0", 0.0), ("2.5", 2.5), ("86400", 86_400.0)],
    "queue": [("a.b:c", "a.b:c")],
    "metrics": [("memory", "memory")],
}

WHOLE = ("", "-1", "x", "1.0", "+1", " 1", "1_0", "1e3", "٣", "0x10")

PORT_TEXT = "expected a whole number from 0 to 65535"

BAD = {
    "host": ([" ", ""], "expected a value, got an empty one"),
    "ws-port": ([*WHOLE, "65536", "99999999999999999999"], PORT_TEXT),
    "grpc-port": ([*WHOLE, "65536"], PORT_TEXT),
    "http-port": ([*WHOLE, "65536"], PORT_TEXT),
    "ws-endpoint": ([""], "expected a value, got an empty one"),
    "grpc-endpoint": ([""], "expected a value, got an empty one"),
    "http-endpoint": ([""], "expected a value, got an empty one"),
    "capacity": ([*WHOLE, "0"], "expected a whole number, 1 or more"),
    "capacity-bytes": ([*WHOLE], "expected a whole number, 0 or more"),
    "max-message-bytes": ([*WHOLE, "0", "1073741825"], "expected a whole number from 1 to 1073741824"),
    "max-queues": ([*WHOLE, "0"], "expected a whole number, 1 or more"),
    "total-bytes": ([*WHOLE], "expected a whole number, 0 or more"),
    "max-batch-bytes": ([*WHOLE, "65535", "1073741825"], "expected a whole number from 65536 to 1073741824"),
    "auth-token-file": ([""], "expected a value, got an empty one"),
    "v0": (["", "1"], "expected on or off"),
    "http-api": (["", "all"], "expected auto, loopback, on or off"),
    "legacy-metric-names": (["2", "true", "on", "yes", " 1"], "expected 1 or 0"),
    "ws-frames": (["", "quick"], "expected fast or plain"),
    "grpc-server": (["", "go"], "expected native or grpcio"),
    "max-connections": ([*WHOLE], "expected a whole number, 0 or more"),
    "max-connections-per-address": ([*WHOLE], "expected a whole number, 0 or more"),
    "max-streams": ([*WHOLE, "0", "2147483648"], "expected a whole number from 1 to 2147483647"),
    "max-header-bytes": ([*WHOLE, "1023", "1048577"], "expected a whole number from 1024 to 1048576"),
    "max-inflight-bytes": ([*WHOLE, "65535"], "expected a whole number, 65536 or more"),
    "handshake-seconds": (["", "x", "-1", "nan", "86401"], "expected seconds, from 0 to 86400"),
    "idle-seconds": (["", "x", "-1", "nan", "86401"], "expected seconds, from 0 to 86400"),
    "stall-seconds": (["", "x", "-1", "nan", "86401"], "expected seconds, from 0 to 86400"),
    "drain-seconds": (["", "x", "-1", "nan", "inf", "86401"], "expected seconds, from 0 to 86400"),
    "queue": ([""], "expected a value, got an empty one"),
    "metrics": ([" "], "expected a value, got an empty one"),
}


def refusal(case: SynchronousTestCase, flags: dict, environment: dict) -> str:
    """The one line of a SettingsError."""
    text = str(case.assertRaises(SettingsError, read_settings, flags, environment))
    case.assertNotIn("\n", text)
    return text


class OptionTests(SynchronousTestCase):
    """The table of options, each row."""

    def test_every_option_is_tested_here(self) -> None:
        """A new option gets a line in each table above."""
        names = [option.name for option in OPTIONS]
        self.assertEqual(list(DEFAULTS), names)
        self.assertEqual(list(GOOD), names)
        self.assertEqual({*BAD, "allow-origin", "allow-host"}, set(names))  # any text is a list

    def test_defaults(self) -> None:
        """Nothing given: the contract's defaults, in the table and in the class."""
        settings = read_settings({"mode": "ws"}, {})
        for option in OPTIONS:
            self.assertEqual(option.default, DEFAULTS[option.name])
            self.assertEqual(getattr(settings, option.field), DEFAULTS[option.name])
        self.assertEqual(settings, Settings(mode="ws"))
        self.assertEqual(settings.capacity, DEFAULT_CAPACITY)

    def test_fields(self) -> None:
        """Each option is a field and each field an option, but for the mode."""
        fields = [field.name for field in dataclasses.fields(Settings)]
        self.assertEqual(fields, ["mode", *(option.field for option in OPTIONS)])

    def test_frozen(self) -> None:
        """Settings do not change while the server runs."""
        self.assertRaises(dataclasses.FrozenInstanceError, setattr, Settings(mode="ws"), "host", "x")

    def test_by_flag(self) -> None:
        """A flag's text becomes the value."""
        for option in OPTIONS:
            for text, value in GOOD[option.name]:
                settings = read_settings({"mode": "ws", option.name: text}, {})
                self.assertEqual(getattr(settings, option.field), value, option.name)

    def test_by_environment(self) -> None:
        """So does the variable's, QUICKPULSE_ and the flag's name in capitals."""
        for option in OPTIONS:
            self.assertEqual(option.variable, "QUICKPULSE_" + option.name.upper().replace("-", "_"))
            for text, value in GOOD[option.name]:
                settings = read_settings({}, {"WS_MODE": "1", option.variable: text})
                self.assertEqual(getattr(settings, option.field), value, option.name)

    def test_the_flag_decides(self) -> None:
        """A flag wins over the environment, whose value is then not even looked at; None is no flag."""
        for option in OPTIONS:
            text, value = GOOD[option.name][0]
            for theirs in ("nonsense \n", GOOD[option.name][-1][0]):
                settings = read_settings({"mode": "ws", option.name: text}, {option.variable: theirs})
                self.assertEqual(getattr(settings, option.field), value, option.name)
            settings = read_settings({"mode": "ws", option.name: None}, {option.variable: text})
            self.assertEqual(getattr(settings, option.field), value, option.name)

    def test_bad_values_by_flag(self) -> None:
        """One line: the flag, the value, what was expected."""
        for name, (texts, expected) in BAD.items():
            for text in texts:
                self.assertEqual(refusal(self, {"mode": "ws", name: text}, {}), f"--{name} {text!r}: {expected}")

    def test_bad_values_by_environment(self) -> None:
        """One line: the variable, the value, what was expected."""
        variables = {option.name: option.variable for option in OPTIONS}
        for name, (texts, expected) in BAD.items():
            for text in texts:
                said = refusal(self, {"mode": "ws"}, {variables[name]: text})
                self.assertEqual(said, f"{variables[name]} {text!r}: {expected}")

    def test_a_batch_holds_the_longest_message(self) -> None:
        """Whatever was chosen: what v0 takes, v1 can hand out."""
        chosen = read_settings({"mode": "ws", "max-message-bytes": "16777216"}, {})
        self.assertEqual(chosen.max_batch_bytes, 16_777_216 + 65_536)
        chosen = read_settings({"mode": "ws", "max-message-bytes": "1", "max-batch-bytes": "65536"}, {})
        self.assertEqual(chosen.max_batch_bytes, 65_537)

    def test_values_with_line_ends(self) -> None:
        """What is quoted in an error does not break its line."""
        self.assertIn(r"'1\n2'", refusal(self, {"mode": "ws", "capacity": "1\n2"}, {}))

    def test_a_number_of_thousands_of_digits(self) -> None:
        """Python refuses to convert it; that too is one line with the flag."""
        self.assertTrue(refusal(self, {"mode": "ws", "ws-port": "9" * 5000}, {}).startswith("--ws-port '999"))

    def test_help_texts(self) -> None:
        """Each says its default and its variable; none, and off, are words."""
        texts = {option.name: option.full_help for option in OPTIONS}
        self.assertTrue(texts["ws-port"].endswith("[default: 8081; environment: QUICKPULSE_WS_PORT]"))
        self.assertIn("[default: none;", texts["capacity-bytes"])
        self.assertIn("[default: none;", texts["allow-origin"])
        self.assertIn("[default: off;", texts["legacy-metric-names"])
        for option in OPTIONS:
            self.assertTrue(option.help.endswith("."), option.name)


class UnknownVariableTests(SynchronousTestCase):
    """Variables that begin with our prefix and are none of ours."""

    def test_the_nearest_is_named(self) -> None:
        """A typing error is found out, not ignored."""
        self.assertEqual(
            refusal(self, {"mode": "ws"}, {"QUICKPULSE_CAPACITIY": "5"}),
            "unknown environment variable QUICKPULSE_CAPACITIY; did you mean QUICKPULSE_CAPACITY?",
        )
        self.assertIn("did you mean QUICKPULSE_MODE?", refusal(self, {"mode": "ws"}, {"QUICKPULSE_MODES": "ws"}))

    def test_nothing_is_near(self) -> None:
        """Then only the variable is named."""
        self.assertEqual(
            refusal(self, {"mode": "ws"}, {"QUICKPULSE_ZZZZZZZZZZZZZZZZ": ""}),
            "unknown environment variable QUICKPULSE_ZZZZZZZZZZZZZZZZ",
        )

    def test_other_variables_are_none_of_our_business(self) -> None:
        """Without the prefix, or in small letters."""
        read_settings({"mode": "ws"}, {"PATH": "/bin", "quickpulse_x": "1", "XQUICKPULSE_Y": "1", "QUICKPULSE": "1"})

    def test_the_commands_own(self) -> None:
        """What the command quickpulse reads does not keep a server from starting."""
        names = ("URL", "TOKEN", "TOKEN_FILE", "CA_FILE", "TIMEOUT")
        read_settings({"mode": "ws"}, {f"QUICKPULSE_{name}": "x" for name in names})

    def test_kubernetes_service_links(self) -> None:
        """What Kubernetes adds for a Service called quickpulse is no mistake of anybody's."""
        links = {
            "QUICKPULSE_SERVICE_HOST": "10.0.0.1",
            "QUICKPULSE_SERVICE_PORT": "8081",
            "QUICKPULSE_SERVICE_PORT_HTTP": "8080",
            "QUICKPULSE_PORT": "tcp://10.0.0.1:8081",
            "QUICKPULSE_PORT_8081_TCP": "tcp://10.0.0.1:8081",
            "QUICKPULSE_PORT_8081_TCP_ADDR": "10.0.0.1",
        }
        self.assertEqual(read_settings({"mode": "ws"}, links), Settings(mode="ws"))
        self.assertIn("unknown", refusal(self, {"mode": "ws"}, {"QUICKPULSE_PORTS": "1"}))


class SuggestTests(SynchronousTestCase):
    """suggest."""

    def test_near_and_far(self) -> None:
        """The end of a sentence, or nothing."""
        self.assertEqual(suggest("grpc_steam", list(MODES)), "; did you mean grpc_stream?")
        self.assertEqual(suggest("zebra", list(MODES)), "")


class ModeTests(SynchronousTestCase):
    """Exactly one mode: the flag, then QUICKPULSE_MODE, then the three variables."""

    def assert_refused(self, flag: str | None, environment: dict[str, str], problem: str) -> None:
        """The problem, and then what to do: the flag and the three variables."""
        text = str(self.assertRaises(SettingsError, choose_mode, flag, environment))
        self.assertEqual(text, f"{problem}: {HOW_TO_CHOOSE}")

    def test_how_to_choose_names_all_ways(self) -> None:
        """The flag with the modes, and the three variables."""
        self.assertEqual(
            HOW_TO_CHOOSE, "give --mode ws|grpc|grpc_stream|all, or set one of WS_MODE, RPC_MODE, RPC_STREAM_MODE to 1"
        )
        self.assertEqual(list(MODE_VARIABLES), ["WS_MODE", "RPC_MODE", "RPC_STREAM_MODE"])

    def test_by_flag(self) -> None:
        """Each mode, whatever the environment says."""
        loud = {"QUICKPULSE_MODE": "nonsense", "WS_MODE": "1", "RPC_MODE": "maybe"}
        for mode in ("ws", "grpc", "grpc_stream", "all"):
            self.assertEqual(choose_mode(mode, {}), mode)
            self.assertEqual(choose_mode(mode, loud), mode)

    def test_by_quickpulse_mode(self) -> None:
        """It decides over the three variables."""
        three = {"WS_MODE": "1", "RPC_MODE": "1", "RPC_STREAM_MODE": "maybe"}
        for mode in ("ws", "grpc", "grpc_stream", "all"):
            self.assertEqual(choose_mode(None, {"QUICKPULSE_MODE": mode, **three}), mode)

    def test_by_the_three_variables(self) -> None:
        """1 is on; 0, empty and absent are off."""
        for variable, mode in (("WS_MODE", "ws"), ("RPC_MODE", "grpc"), ("RPC_STREAM_MODE", "grpc_stream")):
            self.assertEqual(choose_mode(None, {variable: "1"}), mode)
            others = dict(zip(set(MODE_VARIABLES) - {variable}, ("0", ""), strict=True))
            self.assertEqual(choose_mode(None, {variable: "1", **others}), mode)

    def test_none(self) -> None:
        """Nothing chosen, or all off."""
        self.assert_refused(None, {}, "no mode was chosen")
        self.assert_refused(None, {"WS_MODE": "0", "RPC_MODE": "", "RPC_STREAM_MODE": "0"}, "no mode was chosen")

    def test_several(self) -> None:
        """Two or three of the variables."""
        two = {"RPC_MODE": "1", "WS_MODE": "1"}
        self.assert_refused(None, two, "WS_MODE and RPC_MODE are all on")
        self.assert_refused(
            None, {**two, "RPC_STREAM_MODE": "1"}, "WS_MODE and RPC_MODE and RPC_STREAM_MODE are all on"
        )

    def test_nonsense(self) -> None:
        """A value that is no mode, with the near one, from wherever it came."""
        self.assert_refused("wss", {}, "--mode 'wss' is no mode; did you mean ws?")
        self.assert_refused("WS", {}, "--mode 'WS' is no mode")
        self.assert_refused("", {"WS_MODE": "1"}, "--mode '' is no mode")
        self.assert_refused(None, {"QUICKPULSE_MODE": "zebra"}, "QUICKPULSE_MODE 'zebra' is no mode")
        self.assert_refused(None, {"QUICKPULSE_MODE": "", "WS_MODE": "1"}, "QUICKPULSE_MODE '' is no mode")

    def test_a_variable_that_is_neither_on_nor_off(self) -> None:
        """It is an error even where another one is on: what was meant is not known."""
        for value in ("true", "yes", "2", " 1"):
            self.assert_refused(None, {"WS_MODE": "1", "RPC_MODE": value}, f"RPC_MODE={value!r}: expected 1 or 0")
